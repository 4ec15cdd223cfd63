/* stream_tally_test - sums stay exact while the floor jumps over thousands of messages. */
#include "tests/unit/shm/stream_fixture.h"

#define MANY (3 * STREAM_RUN + 100)

static uint64_t filled(struct fixture *f)
{
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &UNBOUNDED, MANY);
    return s;
}

static void test_runs(void **state)
{
    struct fixture *f = *state;
    uint64_t s = filled(f);
    struct run r;
    struct stream_head h = head_of(f, s);
    assert_int_equal(txn_entries(f->txn, DB_TALLY), 3);
    assert_int_equal(h.sealed, 3 * STREAM_RUN);
    assert_int_equal(h.run, 100);
    assert_int_equal(tally_run(f->txn, s, &h, 0, &r), 0);
    assert_int_equal(r.to, STREAM_RUN);
    assert_int_equal(tally_run(f->txn, s, &h, 3 * STREAM_RUN, &r), 0);
    assert_true(r.to == UINT64_MAX);
    assert_int_equal(tally_run(f->txn, s, &h, MANY, &r), -ENOENT);
}

/* The floor moves in steps that begin and end anywhere in runs. */
static void test_floor(void **state)
{
    struct fixture *f = *state;
    uint64_t s = filled(f), removed, had = 0;
    const uint64_t at[] = {1,
                           STREAM_RUN - 1,
                           STREAM_RUN,
                           STREAM_RUN + 5,
                           2 * STREAM_RUN + 7,
                           3 * STREAM_RUN,
                           3 * STREAM_RUN + 50,
                           MANY - 1,
                           MANY};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        f->budget = 100;
        assert_int_equal(stream_ack(f->txn, s, at[i], f->now_ms, &UNBOUNDED, &f->budget, &removed),
                         0);
        assert_int_equal(removed, at[i] - had);
        assert_int_equal(head_of(f, s).count, MANY - at[i]);
        assert_int_equal(head_of(f, s).bytes, (MANY - at[i]) * 10);
        had = at[i];
    }
    assert_int_equal(txn_entries(f->txn, DB_TALLY), 0);
}

/* Entries taken out of the middle are taken out of their run. */
static void test_removed(void **state)
{
    struct fixture *f = *state;
    uint64_t s = filled(f), removed;
    struct stream_head h = head_of(f, s);
    struct entry e;
    for (uint64_t seq = 10; seq <= 10 + STREAM_RUN; seq++) {
        assert_int_equal(entry_get(f->txn, s, seq, &e), 0);
        assert_int_equal(entry_remove(f->txn, s, &h, &e, GONE_REPLACED, &UNBOUNDED, f->now_ms), 0);
    }
    assert_int_equal(stream_head_put(f->txn, s, &h), 0);
    assert_int_equal(h.count, MANY - STREAM_RUN - 1);
    assert_int_equal(
        stream_ack(f->txn, s, STREAM_RUN + 20, f->now_ms, &UNBOUNDED, &f->budget, &removed), 0);
    assert_int_equal(removed, 9 + 10);
    assert_int_equal(head_of(f, s).count, MANY - STREAM_RUN - 20);
}

/* A run that was emptied has no row, and the floor may stop in its place. */
static void test_emptied_run(void **state)
{
    struct fixture *f = *state;
    uint64_t s = filled(f), removed;
    struct stream_head h = head_of(f, s);
    struct entry e;
    for (uint64_t seq = STREAM_RUN + 1; seq <= 2 * STREAM_RUN; seq++) {
        assert_int_equal(entry_get(f->txn, s, seq, &e), 0);
        assert_int_equal(entry_remove(f->txn, s, &h, &e, GONE_EXPIRED, &UNBOUNDED, f->now_ms), 0);
    }
    assert_int_equal(stream_head_put(f->txn, s, &h), 0);
    assert_int_equal(txn_entries(f->txn, DB_TALLY), 2);
    assert_int_equal(
        stream_ack(f->txn, s, STREAM_RUN + 9, f->now_ms, &UNBOUNDED, &f->budget, &removed), 0);
    assert_int_equal(removed, STREAM_RUN);
    assert_int_equal(head_of(f, s).count, STREAM_RUN + 100);
}

/* Sums that cannot be are not written on. */
static void test_malformed(void **state)
{
    struct fixture *f = *state;
    uint64_t s = filled(f), removed;
    unsigned char key[KEY_STREAM], row[32] = {0};
    struct tally v;
    assert_int_equal(tally_decode(STR("short"), &v), -EUCLEAN);
    key_u64(row, 10 * MANY);
    assert_int_equal(txn_put(f->txn, DB_TALLY, key_stream(key, s, STREAM_RUN), str_make(row, 32)),
                     0);
    assert_int_equal(stream_ack(f->txn, s, STREAM_RUN, f->now_ms, &UNBOUNDED, &f->budget, &removed),
                     -EUCLEAN);
}

/* Room for one in a large mailbox of expired ones is found without looking at all of them. */
static void test_room_among_many(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.messages = MANY, .refuse = true};
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(append_to(f, s, &l, (struct put){.ttl_ms = i == 9000 ? 10 : 1000}, NULL),
                         0);
    assert_int_equal(append_to(f, s, &l, (struct put){0}, NULL), CODE_MAILBOX_FULL);
    f->now_ms += 10;
    assert_int_equal(append_to(f, s, &l, (struct put){0}, NULL), 0);
    assert_false(is_there(f, s, 9001));
    assert_int_equal(append_to(f, s, &l, (struct put){0}, NULL), CODE_MAILBOX_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_runs),      fixture_test(test_floor),
        fixture_test(test_removed),   fixture_test(test_emptied_run),
        fixture_test(test_malformed), fixture_test(test_room_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
