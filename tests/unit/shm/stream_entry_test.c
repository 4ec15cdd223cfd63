/* stream_entry_test - the rows that one message has. */
#include "tests/unit/shm/stream_fixture.h"

#include "shm/expiry.h"

static void test_entry(void **state)
{
    struct fixture *f = *state;
    struct entry e;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    assert_int_equal(
        append_to(f, s, &UNBOUNDED, (struct put){.ttl_ms = 10, .collapse = "k", .bytes = 33}, NULL),
        0);
    append_many(f, s, &UNBOUNDED, 1);
    assert_int_equal(entry_get(f->txn, s, 1, &e), 0);
    assert_int_equal(e.seq, 1);
    assert_int_equal(e.time_ms, f->now_ms);
    assert_int_equal(e.expires_ms, f->now_ms + 10);
    assert_int_equal(e.bytes, 33);
    assert_true(e.collapses);
    assert_int_equal(entry_first(f->txn, s, 1, &e), 0);
    assert_int_equal(entry_next(f->txn, s, &e), 0);
    assert_int_equal(e.seq, 2);
    assert_false(e.collapses);
    assert_int_equal(entry_next(f->txn, s, &e), -ENOENT); /* the head is no entry */
    assert_int_equal(entry_first(f->txn, s, 3, &e), -ENOENT);
    assert_int_equal(entry_get(f->txn, s, STREAM_HEAD_SEQ, &e), -ENOENT);
}

static void test_erase(void **state)
{
    struct fixture *f = *state;
    struct entry first, second;
    uint8_t hash[COLLAPSE_HASH];
    uint64_t bearer;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    struct put keyed = {.ttl_ms = 10, .collapse = "k"};
    assert_int_equal(append_to(f, s, &UNBOUNDED, keyed, NULL), 0);
    assert_int_equal(entry_get(f->txn, s, 1, &first), 0);
    collapse_hash(STR("k"), hash);
    /* Its key is borne by another by now: that row stays. */
    assert_int_equal(collapse_put(f->txn, s, hash, 7), 0);
    assert_int_equal(entry_erase(f->txn, s, &first), 0);
    assert_int_equal(collapse_find(f->txn, s, hash, &bearer), 0);
    assert_int_equal(bearer, 7);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 0);
    assert_int_equal(entry_erase(f->txn, s, &first), -ENOENT);
    assert_int_equal(txn_del(f->txn, DB_COLLAPSE, STR("nothing")), -ENOENT);
    append_many(f, s, &UNBOUNDED, 1);
    assert_int_equal(entry_get(f->txn, s, 2, &second), 0);
    assert_int_equal(entry_erase(f->txn, s, &second), 0);
    assert_false(is_there(f, s, 2));
}

static void test_tally(void **state)
{
    struct fixture *f = *state;
    struct tally v;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    append_many(f, s, &UNBOUNDED, 5);
    assert_int_equal(append_to(f, s, &UNBOUNDED, (struct put){.ttl_ms = 50}, NULL), 0);
    assert_int_equal(append_to(f, s, &UNBOUNDED, (struct put){.ttl_ms = 20}, NULL), 0);
    assert_int_equal(entries_tally(f->txn, s, 2, 6, &v), 0);
    assert_int_equal(v.count, 4);
    assert_int_equal(v.bytes, 30);
    assert_int_equal(v.with_ttl, 1);
    assert_int_equal(v.next_expires_ms, f->now_ms + 50);
    assert_int_equal(entries_tally(f->txn, s, 0, UINT64_MAX, &v), 0);
    assert_int_equal(v.count, 7);
    assert_int_equal(v.next_expires_ms, f->now_ms + 20);
    assert_int_equal(entries_tally(f->txn, s, 7, 7, &v), 0);
    assert_int_equal(v.count, 0);
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    unsigned char key[KEY_STREAM];
    struct message m;
    struct entry e;
    struct tally v;
    uint64_t seq;
    fixture_write(f);
    struct row row = {.key = STR("short")};
    assert_int_equal(entry_message(row, 1, &m), -EUCLEAN);
    assert_int_equal(txn_put(f->txn, DB_LOG, key_stream(key, 1, 1), STR("junk")), 0);
    assert_int_equal(entry_get(f->txn, 1, 1, &e), -EUCLEAN);
    assert_int_equal(entry_first(f->txn, 1, 1, &e), -EUCLEAN);
    assert_int_equal(entries_tally(f->txn, 1, 0, 5, &v), -EUCLEAN);
    uint8_t hash[COLLAPSE_HASH] = {0};
    assert_int_equal(collapse_put(f->txn, 1, hash, 1), 0);
    assert_int_equal(txn_seek(f->txn, DB_COLLAPSE, str_make(NULL, 0), &row), 0);
    char collapse[8 + COLLAPSE_HASH];
    memcpy(collapse, row.key.p, sizeof(collapse));
    assert_int_equal(
        txn_put(f->txn, DB_COLLAPSE, str_make(collapse, sizeof(collapse)), STR("short")), 0);
    assert_int_equal(collapse_find(f->txn, 1, hash, &seq), -EUCLEAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_entry),
        fixture_test(test_erase),
        fixture_test(test_tally),
        fixture_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
