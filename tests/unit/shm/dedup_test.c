/* dedup_test - a key is known for the whole window, and for no longer, whatever the buckets do. */
#include "tests/unit/failmalloc.h"
#include "tests/unit/shm/store_fixture.h"

#include "shm/dedup.h"

static const uint8_t CONTENT[16] = "content";

static void key_hash(unsigned n, uint8_t ret[16])
{
    memset(ret, 0, 16);
    memcpy(ret, &n, sizeof(n));
}

static void put(struct fixture *f, struct dedup *d, unsigned n)
{
    uint8_t hash[16];
    key_hash(n, hash);
    assert_int_equal(dedup_put(d, f->txn, 1, hash, f->now_ms, n, CONTENT), 0);
}

static int find(struct fixture *f, struct dedup *d, uint64_t stream, unsigned n)
{
    uint8_t hash[16], content[16];
    uint64_t seq;
    key_hash(n, hash);
    int rc = dedup_find(d, f->txn, stream, hash, f->now_ms, &seq, content);
    if (rc == 0) {
        assert_int_equal(seq, n);
        assert_memory_equal(content, CONTENT, sizeof(content));
    }
    return rc;
}

static void test_window_is_exact(void **state)
{
    struct fixture *f = *state;
    struct dedup *d;
    fixture_write(f);
    assert_int_equal(dedup_open(f->txn, 10000, &d), 0);
    put(f, d, 1);
    assert_int_equal(find(f, d, 1, 1), 0);
    assert_int_equal(find(f, d, 2, 1), -ENOENT); /* another stream */
    assert_int_equal(find(f, d, 1, 2), -ENOENT);
    f->now_ms += 9999;
    assert_int_equal(find(f, d, 1, 1), 0);
    f->now_ms += 1;
    assert_int_equal(find(f, d, 1, 1), -ENOENT);
    dedup_close(d);
}

/* A steady stream of keys: each is found during its window, and the table stays bounded. */
static void test_sweep(void **state)
{
    struct fixture *f = *state;
    struct dedup *d;
    fixture_write(f);
    assert_int_equal(dedup_open(f->txn, 8000, &d), 0);
    for (unsigned n = 1; n <= 600; n++) {
        unsigned budget = 4;
        put(f, d, n);
        f->now_ms += 100;
        assert_int_equal(find(f, d, 1, n > 79 ? n - 78 : 1), 0);
        assert_int_equal(dedup_sweep(d, f->txn, f->now_ms, &budget), 0);
        assert_true(txn_entries(f->txn, DB_DEDUP) <= 80 + 2 * 20 + 20);
        if (n % 50 == 0) { /* a restart */
            dedup_close(d);
            assert_int_equal(dedup_open(f->txn, 8000, &d), 0);
        }
    }
    /* Without new keys the last bucket goes too. */
    for (unsigned i = 0; i < 40; i++) {
        unsigned budget = 64;
        f->now_ms += 1000;
        assert_int_equal(dedup_sweep(d, f->txn, f->now_ms, &budget), 0);
    }
    assert_int_equal(txn_entries(f->txn, DB_DEDUP), 0);
    dedup_close(d);
}

static void test_budget(void **state)
{
    struct fixture *f = *state;
    struct dedup *d;
    unsigned budget = 10;
    fixture_write(f);
    assert_int_equal(dedup_open(f->txn, 4000, &d), 0);
    for (unsigned n = 1; n <= 100; n++)
        put(f, d, n);
    f->now_ms += 2000;
    put(f, d, 101);
    f->now_ms += 1500;
    put(f, d, 102);
    f->now_ms += 3500;
    assert_int_equal(dedup_sweep(d, f->txn, f->now_ms, &budget), 0);
    assert_int_equal(budget, 0);
    assert_int_equal(txn_entries(f->txn, DB_DEDUP), 92);
    budget = 500;
    assert_int_equal(dedup_sweep(d, f->txn, f->now_ms, &budget), 0);
    assert_int_equal(txn_entries(f->txn, DB_DEDUP), 2);
    assert_int_equal(find(f, d, 1, 102), 0);
    dedup_close(d);
}

/* Another window needs no migration: longer remembers more, shorter forgets at once. */
static void test_changed_window(void **state)
{
    struct fixture *f = *state;
    struct dedup *d;
    fixture_write(f);
    assert_int_equal(dedup_open(f->txn, 4000, &d), 0);
    for (unsigned n = 1; n <= 20; n++, f->now_ms += 1000)
        put(f, d, n);
    assert_int_equal(find(f, d, 1, 16), -ENOENT);
    dedup_window(d, 60000);
    assert_int_equal(find(f, d, 1, 1), 0);
    dedup_window(d, 1500);
    assert_int_equal(find(f, d, 1, 20), 0);
    assert_int_equal(find(f, d, 1, 19), -ENOENT);
    dedup_close(d);
}

/* More stretches than buckets: the newest takes the rest, nothing is forgotten. */
static void test_many_buckets(void **state)
{
    struct fixture *f = *state;
    struct dedup *d;
    fixture_write(f);
    assert_int_equal(dedup_open(f->txn, 1000, &d), 0);
    for (unsigned n = 1; n <= 200; n++, f->now_ms += 1000)
        put(f, d, n);
    dedup_window(d, 300000);
    for (unsigned n = 1; n <= 200; n++)
        assert_int_equal(find(f, d, 1, n), 0);
    dedup_close(d);
    assert_int_equal(dedup_open(f->txn, 300000, &d), 0);
    for (unsigned n = 1; n <= 200; n++)
        assert_int_equal(find(f, d, 1, n), 0);
    dedup_close(d);
}

static void test_abort(void **state)
{
    struct fixture *f = *state;
    struct dedup *d;
    fixture_write(f);
    assert_int_equal(dedup_open(f->txn, 4000, &d), 0);
    put(f, d, 1);
    fixture_commit(f);
    f->now_ms += 3000;
    fixture_write(f);
    put(f, d, 2);
    unsigned budget = 10;
    assert_int_equal(dedup_sweep(d, f->txn, f->now_ms + 9000, &budget), 0);
    fixture_abort(f);
    fixture_write(f);
    assert_int_equal(dedup_reload(d, f->txn), 0);
    assert_int_equal(find(f, d, 1, 1), 0); /* its sweep never happened */
    assert_int_equal(find(f, d, 1, 2), -ENOENT);
    put(f, d, 2);
    assert_int_equal(find(f, d, 1, 2), 0);
    dedup_close(d);
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    struct dedup *d = NULL;
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_DEDUP, STR("short"), STR("")), 0);
    assert_int_equal(dedup_open(f->txn, 4000, &d), -EUCLEAN);
    assert_null(d);
}

static int open_and_close(void *arg)
{
    struct fixture *f = arg;
    struct dedup *d;
    int rc = dedup_open(f->txn, 1000, &d);
    if (rc == 0)
        dedup_close(d);
    return rc;
}

static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    assert_int_equal(failmalloc_each(open_and_close, f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_window_is_exact), fixture_test(test_sweep),
        fixture_test(test_budget),          fixture_test(test_changed_window),
        fixture_test(test_many_buckets),    fixture_test(test_abort),
        fixture_test(test_malformed),       fixture_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
