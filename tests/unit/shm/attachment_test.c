/* attachment_test - leases of connections, and those of a worker that died (rule 9). */
#include "tests/unit/shm/store_fixture.h"

#include "shm/expiry.h"
#include "shm/session.h"

static const uint8_t ALICE[SESSION_ID_SIZE] = {1}, BOB[SESSION_ID_SIZE] = {2};

static void put(struct fixture *f, const uint8_t *session, uint64_t connection, uint32_t slot,
                uint32_t generation, uint64_t lease_ms)
{
    struct attachment a = {.connection = connection,
                           .slot = slot,
                           .slot_generation = generation,
                           .since_ms = 77,
                           .lease_ms = lease_ms,
                           .generation = 1000 + connection,
                           .transport = STR("websocket"),
                           .remote = STR("[::1]:5000")};
    assert_int_equal(attachment_put(f->txn, session, &a), 0);
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct attachment a, list[4];
    fixture_write(f);
    put(f, ALICE, 5, 1, 3, 5000);
    put(f, ALICE, 6, 2, 3, 6000);
    put(f, BOB, 5, 1, 3, 7000);
    assert_int_equal(attachment_get(f->txn, ALICE, 6, &a), 0);
    assert_int_equal(a.slot, 2);
    assert_int_equal(a.slot_generation, 3);
    assert_int_equal(a.since_ms, 77);
    assert_int_equal(a.lease_ms, 6000);
    assert_int_equal(a.generation, 1006);
    assert_true(str_is(a.transport, "websocket") && str_is(a.remote, "[::1]:5000"));
    assert_int_equal(attachment_list(f->txn, ALICE, list, 4), 2);
    assert_int_equal(list[0].connection, 5);
    assert_int_equal(list[1].connection, 6);
    assert_int_equal(attachment_list(f->txn, ALICE, list, 1), 1);
    assert_int_equal(attachment_del(f->txn, ALICE, 5), 0);
    assert_int_equal(attachment_del(f->txn, ALICE, 5), -ENOENT);
    assert_int_equal(attachment_get(f->txn, ALICE, 5, &a), -ENOENT);
    assert_int_equal(attachment_list(f->txn, BOB, list, 4), 1);
}

static void test_worker_died(void **state)
{
    struct fixture *f = *state;
    unsigned char key[24] = {0};
    struct attachment a;
    bool done = false;
    unsigned rounds = 0;
    fixture_write(f);
    for (uint64_t c = 1; c <= 10; c++) {
        put(f, ALICE, c, 1, 3, 90000);           /* the dead one's */
        put(f, BOB, c, c % 2 ? 2 : 1, 4, 90000); /* another slot's, its successor's */
    }
    put(f, BOB, 11, 1, 2, 1000); /* ends earlier anyway */
    for (; !done; rounds++) {
        unsigned budget = 4;
        assert_int_equal(attachment_worker_died(f->txn, 1, 3, 5000, key, &budget, &done), 0);
        assert_true(done || budget == 0);
    }
    assert_int_equal(rounds, 6);
    for (uint64_t c = 1; c <= 10; c++) {
        assert_int_equal(attachment_get(f->txn, ALICE, c, &a), 0);
        assert_int_equal(a.lease_ms, 5000);
        assert_int_equal(a.generation, 1000 + c);
        assert_true(str_is(a.remote, "[::1]:5000"));
        assert_int_equal(attachment_get(f->txn, BOB, c, &a), 0);
        assert_int_equal(a.lease_ms, 90000);
    }
    assert_int_equal(attachment_get(f->txn, BOB, 11, &a), 0);
    assert_int_equal(a.lease_ms, 1000);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 10);
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    unsigned char key[24] = {1};
    struct attachment a[2];
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_ATTACH, str_make(key, sizeof(key)), STR("short")), 0);
    assert_int_equal(attachment_get(f->txn, ALICE, 0, a), -EUCLEAN);
    assert_int_equal(attachment_list(f->txn, ALICE, a, 2), -EUCLEAN);

    /* It does not keep the leases of the others from being cut. */
    struct attachment sound = {.connection = 7, .slot = 1, .slot_generation = 3, .lease_ms = 9000};
    assert_int_equal(attachment_put(f->txn, ALICE, &sound), 0);
    assert_int_equal(txn_put(f->txn, DB_ATTACH, STR("x"), STR("")), 0);
    unsigned char from[24] = {0};
    unsigned budget = 10;
    bool done = false;
    assert_int_equal(attachment_worker_died(f->txn, 1, 3, 5000, from, &budget, &done), 0);
    assert_true(done);
    assert_int_equal(attachment_get(f->txn, ALICE, 7, a), 0);
    assert_int_equal(a[0].lease_ms, 5000);
    assert_int_equal(attachment_get(f->txn, ALICE, 0, a), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_round_trip),
        fixture_test(test_worker_died),
        fixture_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
