/* expiry_test - what is due comes out in order, and nothing before its time. */
#include "tests/unit/shm/store_fixture.h"

#include "shm/expiry.h"

static void put(struct fixture *f, uint64_t due_ms, enum expiry_kind kind, const char *id)
{
    assert_int_equal(expiry_put(f->txn, due_ms, kind, str_of(id)), 0);
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    struct expiry_row row;
    uint64_t next;
    fixture_write(f);
    assert_int_equal(expiry_next(f->txn, &next), 0);
    assert_true(next == UINT64_MAX);
    put(f, 5001, EXPIRE_MESSAGE, "b");
    put(f, 4000, EXPIRE_RECLAIM, "c");
    put(f, 4000, EXPIRE_SESSION, "a");
    assert_int_equal(expiry_next(f->txn, &next), 0);
    assert_int_equal(next, 4000);
    assert_int_equal(expiry_take(f->txn, 3999, &row), -ENOENT);
    assert_int_equal(expiry_take(f->txn, 4000, &row), 0);
    assert_int_equal(row.kind, EXPIRE_SESSION);
    assert_int_equal(row.id_len, 1);
    assert_memory_equal(row.id, "a", 1);
    assert_int_equal(expiry_take(f->txn, 4000, &row), 0);
    assert_int_equal(row.kind, EXPIRE_RECLAIM);
    /* Part of a second is rounded up: never early. */
    assert_int_equal(expiry_take(f->txn, 5999, &row), -ENOENT);
    assert_int_equal(expiry_take(f->txn, 6000, &row), 0);
    assert_int_equal(row.due_ms, 6000);
    assert_int_equal(expiry_take(f->txn, UINT64_MAX, &row), -ENOENT);
}

static void test_exact_row(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    put(f, 1500, EXPIRE_SESSION, "x");
    put(f, 1700, EXPIRE_SESSION, "x"); /* the same second, the same row */
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 1);
    assert_int_equal(expiry_has(f->txn, 2000, EXPIRE_SESSION, STR("x")), 0);
    assert_int_equal(expiry_has(f->txn, 2000, EXPIRE_MESSAGE, STR("x")), -ENOENT);
    assert_int_equal(expiry_del(f->txn, 2001, EXPIRE_SESSION, STR("x")), -ENOENT);
    assert_int_equal(expiry_del(f->txn, 1999, EXPIRE_SESSION, STR("x")), 0);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 0);
}

static void test_far_future(void **state)
{
    struct fixture *f = *state;
    struct expiry_row row;
    uint64_t next;
    fixture_write(f);
    put(f, UINT64_MAX, EXPIRE_SESSION, "never");
    assert_int_equal(expiry_next(f->txn, &next), 0);
    assert_true(next == UINT64_MAX);
    assert_int_equal(expiry_take(f->txn, UINT64_MAX - 1, &row), -ENOENT);
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    struct expiry_row row;
    unsigned char longest[EXPIRY_KEY + 1] = {0};
    assert_int_equal(expiry_decode(str_make(longest, 9), &row), -EUCLEAN);
    assert_int_equal(expiry_decode(str_make(longest, 10), &row), 0);
    assert_int_equal(expiry_decode(str_make(longest, EXPIRY_KEY), &row), 0);
    assert_int_equal(row.id_len, EXPIRY_ID_MAX);
    assert_int_equal(expiry_decode(str_make(longest, EXPIRY_KEY + 1), &row), -EUCLEAN);
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_EXPIRY, STR("short"), STR("")), 0);
    assert_int_equal(expiry_put(f->txn, 4000, EXPIRE_RECLAIM, STR("12345678")), 0);
    assert_int_equal(txn_put(f->txn, DB_EXPIRY, str_make("\0\0", 2), STR("")), 0);

    /* It is due at once, whatever the time, and then no longer in the way. */
    uint64_t next = 1;
    assert_int_equal(expiry_next(f->txn, &next), 0);
    assert_int_equal(next, 0);
    assert_int_equal(expiry_take(f->txn, 1, &row), -EUCLEAN);
    assert_int_equal(expiry_next(f->txn, &next), 0);
    assert_int_equal(next, 4000);
    assert_int_equal(expiry_take(f->txn, 4000, &row), 0);
    assert_int_equal(expiry_take(f->txn, 4000, &row), -EUCLEAN);
    assert_int_equal(expiry_take(f->txn, 4000, &row), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_order),
        fixture_test(test_exact_row),
        fixture_test(test_far_future),
        fixture_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
