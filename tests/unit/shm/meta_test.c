/* meta_test - the state row, and the counter of streams beside it. */
#include "tests/unit/shm/store_fixture.h"

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct meta m = {.schema = META_SCHEMA,
                     .epoch = 1,
                     .last_seq = 2,
                     .batch = 3,
                     .writer = 4,
                     .time_ms = 5,
                     .ring_set = 6,
                     .slots = BOARD_SLOTS};
    struct meta got;
    uint64_t v;
    for (unsigned i = 0; i < BOARD_SLOTS; i++)
        m.inbox_pos[i] = i * 1000;
    fixture_write(f);
    assert_int_equal(meta_put(f->txn, &m), 0);
    assert_int_equal(meta_get(f->txn, &got), 0);
    assert_memory_equal(&got, &m, sizeof(m));
    assert_int_equal(meta_last_seq(f->txn, &v), 0);
    assert_int_equal(v, 2);
    assert_int_equal(meta_time(f->txn, &v), 0);
    assert_int_equal(v, 5);
    assert_int_equal(meta_writer(f->txn, &v), 0);
    assert_int_equal(v, m.writer);
    assert_int_equal(meta_schema(f->txn, &v), 0);
    assert_int_equal(v, META_SCHEMA);
}

/* Fewer slots: the positions beyond them are nothing. */
static void test_fewer_slots(void **state)
{
    struct fixture *f = *state;
    struct meta m = {.slots = BOARD_SLOTS}, got;
    m.inbox_pos[1] = m.inbox_pos[5] = 9;
    fixture_write(f);
    assert_int_equal(meta_put(f->txn, &m), 0);
    m.slots = 2;
    assert_int_equal(meta_put(f->txn, &m), 0);
    assert_int_equal(meta_get(f->txn, &got), 0);
    assert_int_equal(got.inbox_pos[1], 9);
    assert_int_equal(got.inbox_pos[5], 0);
}

static void test_new_store(void **state)
{
    struct fixture *f = *state;
    struct meta m;
    uint64_t v = 7;
    fixture_write(f);
    assert_int_equal(txn_del(f->txn, DB_META, STR("state")), 0);
    assert_int_equal(meta_get(f->txn, &m), -ENOENT);
    assert_int_equal(meta_schema(f->txn, &v), -ENOENT);
    assert_int_equal(v, 7);
    assert_int_equal(meta_last_seq(f->txn, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(meta_time(f->txn, &v), 0);
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    struct meta m;
    uint64_t v;
    unsigned char row[61];
    memset(row, 0xff, sizeof(row)); /* 60 is the least; slots beyond all sense */
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_META, STR("state"), str_make(row, 59)), 0);
    assert_int_equal(meta_get(f->txn, &m), -EUCLEAN);
    assert_int_equal(meta_last_seq(f->txn, &v), -EUCLEAN);
    assert_int_equal(meta_writer(f->txn, &v), -EUCLEAN);
    assert_int_equal(txn_put(f->txn, DB_META, STR("state"), str_make(row, 60)), 0);
    assert_int_equal(meta_get(f->txn, &m), -EUCLEAN);
    memset(row, 0, sizeof(row));
    assert_int_equal(txn_put(f->txn, DB_META, STR("state"), str_make(row, 61)), 0);
    assert_int_equal(meta_get(f->txn, &m), -EUCLEAN);
    assert_int_equal(txn_put(f->txn, DB_META, STR("stream"), STR("xy")), 0);
    assert_int_equal(txn_put(f->txn, DB_META, STR("state"), str_make(row, 60)), 0);
    assert_int_equal(meta_get(f->txn, &m), -EUCLEAN);
    assert_int_equal(meta_next_stream(f->txn, &v), -EUCLEAN);
}

/* Streams are counted in the transaction, whatever the writer puts as its state. */
static void test_streams_are_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t a, b;
    struct meta m;
    fixture_write(f);
    assert_int_equal(meta_next_stream(f->txn, &a), 0);
    assert_int_equal(meta_next_stream(f->txn, &b), 0);
    assert_int_equal(a, 1);
    assert_int_equal(b, 2);
    fixture_commit(f); /* with last_stream 0 in it */
    fixture_write(f);
    assert_int_equal(meta_get(f->txn, &m), 0);
    assert_int_equal(m.last_stream, 2);
    assert_int_equal(meta_next_stream(f->txn, &a), 0);
    fixture_abort(f);
    fixture_write(f);
    assert_int_equal(meta_next_stream(f->txn, &a), 0);
    assert_int_equal(a, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_round_trip),          fixture_test(test_fewer_slots),
        fixture_test(test_new_store),           fixture_test(test_malformed),
        fixture_test(test_streams_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
