/* stream_reclaim_test - acks, emptying and dropping: at once for readers, in portions for the disk.
 */
#include "tests/unit/shm/stream_fixture.h"

#include "shm/expiry.h"

static uint64_t ack(struct fixture *f, uint64_t stream, uint64_t seq)
{
    uint64_t removed = UINT64_MAX;
    assert_int_equal(stream_ack(f->txn, stream, seq, f->now_ms, &UNBOUNDED, &f->budget, &removed),
                     0);
    return removed;
}

/* Runs the queue's reclaiming until it is empty, each time with this budget. Returns the rounds. */
static unsigned reclaim_all(struct fixture *f, unsigned budget)
{
    struct expiry_row row;
    unsigned rounds = 0;
    while (expiry_take(f->txn, f->now_ms, &row) == 0) {
        assert_int_equal(row.kind, EXPIRE_RECLAIM);
        f->budget = budget;
        assert_int_equal(stream_reclaim(f->txn, key_u64_get(row.id), &f->budget), 0);
        rounds++;
    }
    return rounds;
}

static void test_ack(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &UNBOUNDED, 10);
    assert_int_equal(ack(f, s, 4), 4);
    assert_int_equal(head_of(f, s).floor, 4);
    assert_int_equal(ack(f, s, 3), 0); /* cumulative: an older one is nothing */
    assert_int_equal(head_of(f, s).floor, 4);
    assert_int_equal(ack(f, s, 5000), 6); /* past the last: the last */
    assert_int_equal(head_of(f, s).floor, 10);
    assert_int_equal(head_of(f, s).trimmed, 0);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 1);
    assert_int_equal(f->budget, 502);
    uint64_t removed = 3;
    assert_int_equal(stream_ack(f->txn, 99, 1, f->now_ms, &UNBOUNDED, &f->budget, &removed),
                     -ENOENT);
    assert_int_equal(removed, 3);
}

static void test_ack_over_budget(void **state)
{
    struct fixture *f = *state;
    struct reclaim_job job;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &UNBOUNDED, 100);
    f->budget = 10;
    assert_int_equal(ack(f, s, 60), 60); /* counted at once */
    assert_int_equal(f->budget, 0);
    assert_int_equal(head_of(f, s).count, 40);
    assert_true(head_of(f, s).reclaim_queued);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 1 + 90);
    f->budget = 10; /* a second one only queues behind the first */
    assert_int_equal(ack(f, s, 80), 20);
    assert_int_equal(f->budget, 10);
    assert_int_equal(reclaim_job(f->txn, s, 61, &job), 0);
    assert_int_equal(job.upto, 80);
    assert_int_equal(reclaim_job(f->txn, s, 81, &job), -ENOENT);
    assert_int_equal(reclaim_all(f, 25), 3);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 1 + 20);
    assert_int_equal(txn_entries(f->txn, DB_RECLAIM), 0);
    assert_false(head_of(f, s).reclaim_queued);
    assert_int_equal(head_of(f, s).count, 20);
}

/* Appends, trims and more acks go on above a floor that is still being cleared. */
static void test_while_reclaiming(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.messages = 20};
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    append_many(f, s, &l, 20);
    f->budget = 0;
    assert_int_equal(ack(f, s, 15), 15);
    append_many(f, s, &l, 30);
    assert_int_equal(head_of(f, s).count, 20);
    assert_int_equal(head_of(f, s).trimmed, 30);
    assert_true(is_there(f, s, 1) && is_there(f, s, 15) && !is_there(f, s, 16));
    assert_int_equal(reclaim_all(f, 100), 1);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 1 + 20);
}

static void test_empty(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    assert_int_equal(stream_empty(f->txn, s, &f->budget), 0); /* of nothing */
    for (int i = 0; i < 10; i++)
        assert_int_equal(
            append_to(f, s, &UNBOUNDED, (struct put){.ttl_ms = 500, .collapse = "k"}, NULL), 0);
    append_many(f, s, &UNBOUNDED, 10);
    f->budget = 4;
    assert_int_equal(stream_empty(f->txn, s, &f->budget), 0);
    assert_int_equal(head_of(f, s).count, 0);
    assert_int_equal(head_of(f, s).with_ttl, 0);
    assert_int_equal(head_of(f, s).last, 20);
    assert_int_equal(head_of(f, s).trimmed, 0);
    reclaim_all(f, 4);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 1);
    assert_int_equal(txn_entries(f->txn, DB_COLLAPSE), 0);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 0);
    assert_int_equal(stream_empty(f->txn, 99, &f->budget), -ENOENT);
}

static void test_drop(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = UNBOUNDED;
    struct stream_head h;
    l.age_ms = 1u << 30;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX), other = new_stream(f, STREAM_MAILBOX);
    append_many(f, other, &UNBOUNDED, 3);
    append_many(f, s, &l, STREAM_RUN);
    for (int i = 0; i < 20; i++) /* 19 receipts */
        assert_int_equal(
            append_to(f, s, &l, (struct put){.ttl_ms = 1u << 30, .collapse = "k"}, NULL), 0);
    f->budget = 0;
    assert_int_equal(ack(f, s, 13), 10); /* its seqs begin at 4 */
    f->budget = 500;
    assert_int_equal(stream_drop(f->txn, s, &f->budget), 0);
    assert_int_equal(f->budget, 0);
    assert_int_equal(stream_head(f->txn, s, &h), -ENOENT);
    assert_true(reclaim_all(f, 500) >= STREAM_RUN / 500);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 1 + 3);
    static const enum store_db side[] = {DB_RECEIPT, DB_TALLY, DB_RECLAIM, DB_COLLAPSE, DB_EXPIRY};
    for (size_t i = 0; i < sizeof(side) / sizeof(side[0]); i++)
        assert_int_equal(txn_entries(f->txn, side[i]), 0);
    assert_int_equal(stream_drop(f->txn, s, &f->budget), -ENOENT);
    assert_int_equal(stream_reclaim(f->txn, s, &f->budget), 0); /* a late row of the queue */
    assert_int_equal(head_of(f, other).count, 3);
}

static void test_malformed_job(void **state)
{
    struct fixture *f = *state;
    unsigned char key[KEY_STREAM];
    struct reclaim_job job;
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_RECLAIM, key_stream(key, 1, 1), STR("short")), 0);
    assert_int_equal(reclaim_job(f->txn, 1, 0, &job), -EUCLEAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_ack),
        fixture_test(test_ack_over_budget),
        fixture_test(test_while_reclaiming),
        fixture_test(test_empty),
        fixture_test(test_drop),
        fixture_test(test_malformed_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
