/* The sweep: what is due goes, whatever stands before it in the queue, and the leases of a dead
 * worker are cut (rules 6, 9, 13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rig.c"

#include <errno.h>

static const uint8_t alice[SESSION_ID_SIZE] = {1}, bob[SESSION_ID_SIZE] = {2},
                     carol[SESSION_ID_SIZE] = {3};

#define HOUR_MS (3600 * 1000)

struct fixture {
    struct rig rig;
    struct writer *writer;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rig_open(&f->rig, "session { presence_grace = \"10s\" }");
    f->writer = rig_writer(&f->rig);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    rig_stop(f->writer);
    rig_close(&f->rig);
    free(f);
    return 0;
}

static void later(struct fixture *f, int64_t ms)
{
    atomic_fetch_add(&f->rig.board->clock_offset_ms, ms);
}

/* Turns of the writer, enough for what is due in portions. */
static void turns(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        storetime_turn(f->writer);
        assert_true(batch_run(f->writer) >= 0);
    }
}

static bool has_session(struct fixture *f, const uint8_t id[SESSION_ID_SIZE])
{
    struct txn *t;
    struct str v;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    int err = txn_get(t, DB_SESSION, str_make(id, SESSION_ID_SIZE), &v);
    txn_done(t);
    return err == 0;
}

/* Rows that no writer of ours puts. */
static void put_raw(struct fixture *f, enum store_db db, struct str key, struct str value)
{
    struct txn *t;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    assert_int_equal(txn_put(t, db, key, value), 0);
    assert_int_equal(txn_commit(t), 0);
}

static struct str id_of(const uint8_t id[SESSION_ID_SIZE])
{
    return str_make(id, SESSION_ID_SIZE);
}

static void what_is_due_goes(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_run(f->writer);
    turns(f, 2);
    assert_true(has_session(f, alice));
    later(f, 2 * HOUR_MS);
    turns(f, 2);
    assert_false(has_session(f, alice));
    assert_int_equal(f->writer->metrics->v[METRIC_SESSIONS_EXPIRED], 1);
    assert_int_equal(f->writer->metrics->v[METRIC_SWEEP_FAILED], 0);
}

/* Two damaged sessions stand before a sound one: they are put off, it goes, and meanwhile commands
 * are answered as ever. */
static void damage_at_the_front_does_not_stop_the_sweep(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_open_session(&f->rig, 0, bob, "bob");
    rig_open_session(&f->rig, 0, carol, "carol");
    rig_run(f->writer);
    put_raw(f, DB_SESSION, id_of(alice), STR("damaged"));
    put_raw(f, DB_SESSION, id_of(bob), STR("damaged"));
    later(f, 2 * HOUR_MS);
    turns(f, 8);
    assert_true(has_session(f, alice));
    assert_true(has_session(f, bob));
    assert_false(has_session(f, carol));
    assert_int_equal(f->writer->metrics->v[METRIC_SWEEP_FAILED], 2);

    /* They are asked again an hour on, and put off again. */
    later(f, HOUR_MS + 5000);
    turns(f, 8);
    assert_int_equal(f->writer->metrics->v[METRIC_SWEEP_FAILED], 4);
}

static void commands_run_beside_a_damaged_front(void **state)
{
    struct fixture *f = *state;
    struct rig_reply r;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_run(f->writer);
    put_raw(f, DB_SESSION, id_of(alice), STR("damaged"));
    later(f, 2 * HOUR_MS);
    assert_true(rig_reply(&f->rig, 0, &r));

    uint64_t opened = rig_open_session(&f->rig, 0, bob, "bob");
    uint64_t sent = rig_append(&f->rig, 1, bob, NULL, "1", MESSAGE_JSON);
    turns(f, 4);
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.id, opened);
    assert_int_equal(r.code, CODE_OK);
    assert_true(rig_reply(&f->rig, 1, &r));
    assert_int_equal(r.id, sent);
    assert_int_equal(r.item, CODE_OK);
    assert_int_equal(f->writer->metrics->v[METRIC_SWEEP_FAILED], 1);

    /* Once it is out of the way, batches go through whole again. */
    uint64_t aborted = f->writer->metrics->v[METRIC_BATCHES_ABORTED];
    rig_append(&f->rig, 1, bob, NULL, "2", MESSAGE_JSON);
    turns(f, 4);
    assert_true(rig_reply(&f->rig, 1, &r));
    assert_int_equal(r.item, CODE_OK);
    assert_int_equal(f->writer->metrics->v[METRIC_BATCHES_ABORTED], aborted);
}

/* A row whose key names nothing stops neither commands nor the sweep. */
static void a_malformed_row_is_passed(void **state)
{
    struct fixture *f = *state;
    struct rig_reply r;
    put_raw(f, DB_EXPIRY, str_make("\0\0", 2), STR(""));
    rig_open_session(&f->rig, 0, alice, "alice");
    turns(f, 4);
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.code, CODE_OK);
    assert_int_equal(f->writer->metrics->v[METRIC_SWEEP_FAILED], 1);
    later(f, 2 * HOUR_MS);
    turns(f, 4);
    assert_false(has_session(f, alice));
}

/* A damaged session harms nobody but who asks for it, and says so for good. */
static void a_damaged_session_fails_alone(void **state)
{
    struct fixture *f = *state;
    struct rig_reply r;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_open_session(&f->rig, 0, bob, "bob");
    rig_run(f->writer);
    put_raw(f, DB_SESSION, id_of(alice), STR("damaged"));
    assert_true(rig_reply(&f->rig, 0, &r) && rig_reply(&f->rig, 0, &r));

    uint64_t before = rig_append(&f->rig, 0, bob, NULL, "1", MESSAGE_JSON);
    uint64_t bad = rig_append(&f->rig, 0, alice, NULL, "2", MESSAGE_JSON);
    uint64_t after = rig_append(&f->rig, 0, bob, NULL, "3", MESSAGE_JSON);
    turns(f, 2);
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.id, before);
    assert_int_equal(r.seq, 1);
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.id, bad);
    assert_int_equal(r.code, CODE_INTERNAL);
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.id, after);
    assert_int_equal(r.seq, 2);
    assert_int_equal(f->writer->metrics->v[METRIC_BATCHES_ABORTED], 1);
}

static uint64_t lease_of(struct fixture *f, uint64_t connection)
{
    struct txn *t;
    struct attachment a = {0};
    assert_int_equal(store_write(f->writer->store, &t), 0);
    int err = attachment_get(t, alice, connection, &a);
    txn_done(t);
    return err ? 0 : a.lease_ms;
}

static void attach(struct fixture *f, uint32_t slot, uint64_t connection, uint64_t lease_ms)
{
    struct command_attach c = {
        .connection = connection, .lease_ms = lease_ms, .transport = STR("long-poll")};
    memcpy(c.session, alice, SESSION_ID_SIZE);
    rig_attach(&f->rig, slot, &c);
}

/* Rule 9: the dead worker's leases end after the grace, those of the others stay. */
static void leases_of_a_dead_worker_are_cut(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_run(f->writer);
    attach(f, 0, 10, 120000);
    attach(f, 1, 11, 120000);
    rig_run(f->writer);
    uint64_t long_lease = lease_of(f, 10);
    assert_true(long_lease >= f->writer->now_ms + 120000);

    atomic_store(&f->rig.board->seat[0].generation, 2);
    atomic_store(&f->rig.board->seat[0].dead_generation, 1);
    attach(f, 0, 12, 120000); /* of the successor */
    turns(f, 2);
    assert_in_range(lease_of(f, 10), f->writer->now_ms, f->writer->now_ms + 10000);
    assert_true(lease_of(f, 11) > f->writer->now_ms + 60000);
    assert_true(lease_of(f, 12) > f->writer->now_ms + 60000);

    later(f, 15000);
    turns(f, 4);
    assert_int_equal(lease_of(f, 10), 0);
    assert_int_not_equal(lease_of(f, 11), 0);
    assert_int_not_equal(lease_of(f, 12), 0);
}

static uint64_t log_rows(struct fixture *f)
{
    struct txn *t;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    uint64_t n = txn_entries(t, DB_LOG);
    txn_done(t);
    return n;
}

/* A thousand messages acked, or dropped with their session: at most WRITER_DELETES rows go in one
 * transaction, the rest in those after it (rule 6). */
static void large_deletes_are_cut(void **state)
{
    struct fixture *f = *state;
    struct rig_reply r;
    enum { N = 3 * WRITER_DELETES };
    for (int way = 0; way < 2; way++) {
        const uint8_t *id = way ? bob : alice;
        rig_open_session(&f->rig, 0, id, "somebody");
        for (int i = 0; i < N; i++) {
            rig_append(&f->rig, 0, id, NULL, "1", MESSAGE_JSON);
            if (i % 64 == 63)
                rig_run(f->writer);
            while (rig_reply(&f->rig, 0, &r))
                ;
        }
        rig_run(f->writer);
        uint64_t had = log_rows(f);
        if (way)
            later(f, 2 * HOUR_MS); /* both expire */
        else
            rig_ack(&f->rig, 0, id, f->writer->meta.last_seq);
        unsigned transactions = 0;
        while (had > 2 && transactions < 50) {
            turns(f, 1);
            uint64_t has = log_rows(f);
            assert_true(had - has <= WRITER_DELETES + 2); /* and the heads of ended sessions */
            transactions += has < had;
            had = has;
            later(f, 1000);
        }
        assert_true(transactions >= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_due_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_at_the_front_does_not_stop_the_sweep, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(commands_run_beside_a_damaged_front, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_malformed_row_is_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_session_fails_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_deletes_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leases_of_a_dead_worker_are_cut, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
