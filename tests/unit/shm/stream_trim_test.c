/* stream_trim_test - what the expiry queue does to streams: ttl and age. */
#include "tests/unit/shm/stream_fixture.h"

#include "shm/expiry.h"

static void test_expire_message(void **state)
{
    struct fixture *f = *state;
    struct stream_gone gone = {0};
    struct stream_limits l = UNBOUNDED;
    bool removed = true;
    l.gone = &gone;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &l, 1);
    assert_int_equal(append_to(f, s, &l, (struct put){.ttl_ms = 5000, .bytes = 3}, NULL), 0);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 1);
    /* Early: put again at its time. */
    assert_int_equal(stream_expire_message(f->txn, s, 2, f->now_ms + 4999, &l, &removed), 0);
    assert_false(removed);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 1);
    assert_int_equal(stream_expire_message(f->txn, s, 2, f->now_ms + 5000, &l, &removed), 0);
    assert_true(removed);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 1); /* of its receipt */
    struct stream_head h = head_of(f, s);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.bytes, 10);
    assert_int_equal(h.with_ttl, 0);
    assert_true(h.last_gone);
    assert_int_equal(h.trimmed, 0);
    assert_int_equal(h.receipts, 1);
    assert_int_equal(gone.expired, 1);
    /* Again, of a message without ttl, of none, of no stream: nothing. */
    assert_int_equal(stream_expire_message(f->txn, s, 2, f->now_ms + 5000, &l, &removed), 0);
    assert_false(removed);
    assert_int_equal(stream_expire_message(f->txn, s, 1, f->now_ms + 5000, &l, &removed), 0);
    assert_false(removed);
    assert_int_equal(stream_expire_message(f->txn, 99, 1, f->now_ms, &l, &removed), 0);
    assert_false(removed);
}

static void test_age(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.age_ms = 10000};
    struct expiry_row row;
    uint64_t due;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    for (int i = 0; i < 5; i++, f->now_ms += 1000)
        append_many(f, s, &l, 2);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 1);
    assert_int_equal(expiry_next(f->txn, &due), 0);
    assert_int_equal(due, 1000000 + 10000);
    f->now_ms = due;
    assert_int_equal(expiry_take(f->txn, f->now_ms, &row), 0);
    assert_int_equal(row.kind, EXPIRE_AGE);
    assert_int_equal(stream_expire_age(f->txn, s, f->now_ms, &l, &f->budget), 0);
    assert_int_equal(head_of(f, s).count, 8);
    assert_int_equal(head_of(f, s).trimmed, 2);
    assert_int_equal(expiry_next(f->txn, &due), 0); /* put again for the next one */
    assert_int_equal(due, 1000000 + 11000);
    /* Out of budget: it goes on at once. */
    f->now_ms += 60000;
    assert_int_equal(expiry_take(f->txn, f->now_ms, &row), 0);
    f->budget = 3;
    assert_int_equal(stream_expire_age(f->txn, s, f->now_ms, &l, &f->budget), 0);
    assert_int_equal(head_of(f, s).count, 5);
    assert_int_equal(expiry_take(f->txn, f->now_ms, &row), 0);
    f->budget = 30;
    assert_int_equal(stream_expire_age(f->txn, s, f->now_ms, &l, &f->budget), 0);
    assert_int_equal(head_of(f, s).count, 0); /* the newest too, when it is too old */
    assert_int_equal(head_of(f, s).trimmed, 10);
    assert_false(head_of(f, s).last_gone);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 0);
    append_many(f, s, &l, 1);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 1);
    assert_int_equal(stream_expire_age(f->txn, 99, f->now_ms, &l, &f->budget), 0);
}

/* Which of the two took it is told apart, and only age moves `trimmed`. */
static void test_ttl_before_age(void **state)
{
    (void)state;
    struct entry e = {.time_ms = 1000, .expires_ms = 2000};
    assert_int_equal(entry_gone(&e, 1999, 1500), GONE_NOT);
    assert_int_equal(entry_gone(&e, 2000, 1500), GONE_EXPIRED);
    assert_int_equal(entry_gone(&e, 3000, 1500), GONE_EXPIRED);
    assert_int_equal(entry_gone(&e, 1500, 500), GONE_TRIMMED);
    assert_int_equal(entry_gone(&e, 9000, 500), GONE_TRIMMED);
    assert_int_equal(entry_gone(&e, 9000, 0), GONE_EXPIRED);
    e.expires_ms = 0;
    assert_int_equal(entry_gone(&e, UINT64_MAX - 1, 0), GONE_NOT);
}

static void test_cut_meets_expired(void **state)
{
    struct fixture *f = *state;
    struct stream_gone gone = {0};
    struct stream_limits l = {.messages = 2, .receipts = true, .receipts_ms = 1000, .gone = &gone};
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    assert_int_equal(append_to(f, s, &l, (struct put){.ttl_ms = 10}, NULL), 0);
    append_many(f, s, &l, 1);
    f->now_ms += 10;
    append_many(f, s, &l, 1);
    assert_int_equal(gone.expired, 1);
    assert_int_equal(gone.trimmed, 0);
    assert_int_equal(head_of(f, s).floor, 1);
    assert_int_equal(head_of(f, s).trimmed, 0);
    append_many(f, s, &l, 1);
    assert_int_equal(gone.trimmed, 1);
    assert_int_equal(head_of(f, s).trimmed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_expire_message),
        fixture_test(test_age),
        cmocka_unit_test(test_ttl_before_age),
        fixture_test(test_cut_meets_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
