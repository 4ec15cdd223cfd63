/* store_txn_test - rows, snapshots, cursors, and what is noted on the seat. */
#include "tests/unit/shm/store_fixture.h"

static struct str key_of(unsigned n, unsigned char buf[8])
{
    key_u64(buf, n);
    return str_make(buf, 8);
}

static void put(struct fixture *f, unsigned n, const char *value)
{
    unsigned char key[8];
    assert_int_equal(txn_put(f->txn, DB_NAME, key_of(n, key), str_of(value)), 0);
}

static void test_rows(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct str v;
    void *at;
    fixture_write(f);
    put(f, 1, "one");
    assert_int_equal(txn_put_new(f->txn, DB_NAME, key_of(1, key), STR("uno")), -EEXIST);
    assert_int_equal(txn_reserve(f->txn, DB_NAME, key_of(2, key), 3, &at), 0);
    memcpy(at, "two", 3);
    assert_int_equal(txn_get(f->txn, DB_NAME, key_of(2, key), &v), 0);
    assert_true(str_is(v, "two"));
    assert_int_equal(txn_entries(f->txn, DB_NAME), 2);
    assert_int_equal(txn_del(f->txn, DB_NAME, key_of(3, key)), -ENOENT);
    assert_int_equal(txn_del(f->txn, DB_NAME, key_of(1, key)), 0);
    assert_int_equal(txn_get(f->txn, DB_NAME, key_of(1, key), &v), -ENOENT);
    fixture_commit(f);
    struct txn *t = fixture_read(f);
    assert_int_equal(txn_get(t, DB_NAME, key_of(2, key), &v), 0);
    assert_true(str_is(v, "two"));
}

static void test_abort_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct str v;
    fixture_write(f);
    put(f, 1, "one");
    fixture_abort(f);
    fixture_write(f);
    assert_int_equal(txn_get(f->txn, DB_NAME, key_of(1, key), &v), -ENOENT);
}

/* A reader keeps its snapshot, and sees the next one after it has been renewed. */
static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct row row;
    struct str v;
    struct txn *t = fixture_read(f);
    assert_int_equal(txn_seek(t, DB_NAME, str_make(NULL, 0), &row), -ENOENT);
    fixture_write(f);
    put(f, 1, "one");
    fixture_commit(f);
    assert_int_equal(txn_get(t, DB_NAME, key_of(1, key), &v), -ENOENT);
    fixture_read_done(f);
    t = fixture_read(f);
    assert_int_equal(txn_seek(t, DB_NAME, str_make(NULL, 0), &row), 0);
    assert_true(str_is(row.value, "one"));
}

static void test_cursor(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct row row;
    fixture_write(f);
    for (unsigned i = 1; i <= 9; i++)
        put(f, i * 10, "v");
    assert_int_equal(txn_seek(f->txn, DB_NAME, key_of(45, key), &row), 0);
    assert_int_equal(key_u64_get(row.key.p), 50);
    assert_int_equal(txn_prev(f->txn, DB_NAME, &row), 0);
    assert_int_equal(key_u64_get(row.key.p), 40);
    assert_int_equal(txn_last(f->txn, DB_NAME, &row), 0);
    assert_int_equal(key_u64_get(row.key.p), 90);
    assert_int_equal(txn_next(f->txn, DB_NAME, &row), -ENOENT);
    assert_int_equal(txn_seek(f->txn, DB_NAME, key_of(91, key), &row), -ENOENT);
}

/* Deleting while walking: over pages that merge, with other writes between. */
static void test_delete_while_walking(void **state)
{
    struct fixture *f = *state;
    char value[200];
    struct row row;
    unsigned seen = 0;
    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    fixture_write(f);
    for (unsigned i = 0; i < 3000; i++)
        put(f, i * 2, value);
    int rc = txn_seek(f->txn, DB_NAME, str_make(NULL, 0), &row);
    for (unsigned i = 0; rc == 0; i++, seen++) {
        assert_int_equal(key_u64_get(row.key.p), i * 2);
        if (i % 7 != 0)
            assert_int_equal(txn_del_row(f->txn, DB_NAME), 0);
        if (i % 5 == 0)
            put(f, 100000 + i, "other");
        rc = i == 2999 ? -ENOENT : txn_next(f->txn, DB_NAME, &row);
    }
    assert_int_equal(seen, 3000);
    assert_int_equal(txn_entries(f->txn, DB_NAME), 429 + 600);
    fixture_commit(f);
}

static void test_seat(void **state)
{
    struct fixture *f = *state;
    struct board_seat seat = {0};
    struct txn *t;
    store_close(f->store);
    struct store_options o = {.path = f->path,
                              .map_size = FIXTURE_MAP,
                              .mode = STORE_WRITER,
                              .max_readers = 20,
                              .seat = &seat};
    assert_int_equal(store_open(&o, &f->store), 0);
    assert_int_equal(atomic_load(&seat.txn_since_ms), 0);
    assert_int_equal(store_read(f->store, &t), 0);
    assert_int_not_equal(atomic_load(&seat.txn_since_ms), 0);
    txn_done(t);
    assert_int_equal(atomic_load(&seat.txn_since_ms), 0);
    fixture_write(f);
    assert_int_not_equal(atomic_load(&seat.txn_since_ms), 0);
    fixture_commit(f);
    assert_int_equal(atomic_load(&seat.txn_since_ms), 0);
    assert_int_equal(atomic_load(&seat.sync_since_ms), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_rows),
        fixture_test(test_abort_leaves_nothing),
        fixture_test(test_snapshot),
        fixture_test(test_cursor),
        fixture_test(test_delete_while_walking),
        fixture_test(test_seat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
