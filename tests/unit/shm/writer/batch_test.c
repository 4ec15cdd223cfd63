/* The writer against hand-made commands: what it answers, what it stores, what it says on the feed,
 * and that a bad command harms only itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rig.c"

#include "shm/page.h"

#include <errno.h>
#include <poll.h>

static const uint8_t alice[SESSION_ID_SIZE] = {1}, bob[SESSION_ID_SIZE] = {2};

struct fixture {
    struct rig rig;
    struct writer *writer;
};

static int set_up_with(void **state, const char *extra)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rig_open(&f->rig, extra);
    f->writer = rig_writer(&f->rig);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, "");
}

static int set_up_small(void **state)
{
    return set_up_with(state, "session { mailbox_messages = 2 }");
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    rig_stop(f->writer);
    rig_close(&f->rig);
    free(f);
    return 0;
}

static struct rig_reply expect_reply(struct fixture *f, uint32_t slot, uint64_t id)
{
    struct rig_reply reply;
    assert_true(rig_reply(&f->rig, slot, &reply));
    assert_int_equal(reply.id, id);
    return reply;
}

static void append_is_stored_answered_and_fed(void **state)
{
    struct fixture *f = *state;
    uint64_t opened = rig_open_session(&f->rig, 0, alice, "alice");
    uint64_t first = rig_append(&f->rig, 0, alice, NULL, "\"one\"", MESSAGE_JSON);
    uint64_t second = rig_append(&f->rig, 1, alice, "k", "\"two\"", MESSAGE_JSON);
    rig_run(f->writer);

    assert_int_equal(expect_reply(f, 0, opened).code, CODE_OK);
    struct rig_reply a = expect_reply(f, 0, first), b = expect_reply(f, 1, second);
    assert_int_equal(a.item, CODE_OK);
    assert_int_equal(b.item, CODE_OK);
    assert_int_equal(a.seq, 1);
    assert_int_equal(b.seq, 2);

    struct buf body;
    buf_init(&body, 65536);
    struct feed_record rec;
    uint64_t fed = 0;
    while (feed_next(&f->rig.feed, &f->rig.reader, &rec, &body) == 1)
        if (rec.type == FEED_MESSAGE) {
            assert_int_equal(rec.seq, fed + 1);
            fed++;
        }
    assert_int_equal(fed, 2);
    assert_int_equal(f->rig.reader.seq, 2);
    buf_free(&body);
}

static void same_key_is_the_same_message_also_after_a_restart(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_append(&f->rig, 0, alice, "k", "\"one\"", MESSAGE_JSON);
    rig_run(f->writer);
    rig_stop(f->writer);
    rig_restart(&f->rig);
    f->writer = rig_writer(&f->rig);
    uint64_t again = rig_append(&f->rig, 0, alice, "k", "\"one\"", MESSAGE_JSON);
    uint64_t other = rig_append(&f->rig, 0, alice, "k", "\"two\"", MESSAGE_JSON);
    rig_run(f->writer);
    struct rig_reply r = expect_reply(f, 0, again);
    assert_int_equal(r.item, CODE_OK);
    assert_true(r.duplicate);
    assert_int_equal(r.seq, 1);
    assert_int_equal(expect_reply(f, 0, other).item, CODE_IDEMPOTENCY_CONFLICT);
    assert_int_equal(f->writer->meta.last_seq, 1);
}

static void a_full_mailbox_refuses_and_a_failure_is_not_remembered(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    rig_append(&f->rig, 0, alice, NULL, "2", MESSAGE_JSON);
    uint64_t third = rig_append(&f->rig, 0, alice, "k", "3", MESSAGE_JSON);
    uint64_t acked = rig_ack(&f->rig, 0, alice, 1);
    uint64_t retry = rig_append(&f->rig, 0, alice, "k", "3", MESSAGE_JSON);
    rig_run(f->writer);
    struct rig_reply r;
    for (int i = 0; i < 3; i++)
        assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(expect_reply(f, 0, third).item, CODE_MAILBOX_FULL);
    assert_int_equal(expect_reply(f, 0, acked).code, CODE_OK);
    r = expect_reply(f, 0, retry);
    assert_int_equal(r.item, CODE_OK);
    assert_false(r.duplicate);
    assert_int_equal(r.seq, 3);
}

static void an_unknown_session_and_an_ack_ahead_are_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t lost = rig_append(&f->rig, 0, bob, NULL, "1", MESSAGE_JSON);
    rig_open_session(&f->rig, 0, alice, "alice");
    uint64_t ahead = rig_ack(&f->rig, 0, alice, 99);
    rig_run(f->writer);
    struct rig_reply r;
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.id, lost);
    assert_int_equal(r.code, CODE_OK);
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(expect_reply(f, 0, ahead).code, CODE_CURSOR_RESET);
    assert_int_equal(f->writer->meta.last_seq, 0);
}

static void garbage_condemns_its_worker_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    uint64_t opened = rig_open_session(&f->rig, 1, alice, "alice");
    rig_garbage(&f->rig, 0);
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON); /* skipped with the rest of its ring */
    uint64_t good = rig_append(&f->rig, 1, alice, NULL, "2", MESSAGE_JSON);
    rig_run(f->writer);
    assert_int_equal(expect_reply(f, 1, opened).code, CODE_OK);
    assert_int_equal(expect_reply(f, 1, good).item, CODE_OK);
    assert_int_equal(atomic_load(&f->rig.board->seat[0].condemned), 1);
    assert_int_equal(atomic_load(&f->rig.board->seat[1].condemned), 0);
    struct rig_reply r;
    assert_false(rig_reply(&f->rig, 0, &r));
    assert_int_equal(ring_tail(&f->rig.rings.inbox[0]), ring_head(&f->rig.rings.inbox[0]));
    assert_int_equal(f->writer->metrics->v[METRIC_COMMANDS_BAD], 1);
}

static void a_dead_generation_is_applied_but_not_answered(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    atomic_store(&f->rig.board->seat[0].generation, 2);
    rig_run(f->writer);
    struct rig_reply r;
    assert_false(rig_reply(&f->rig, 0, &r));
    assert_int_equal(f->writer->meta.last_seq, 1);
}

static void an_ephemeral_is_fed_and_commits_nothing(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_run(f->writer);
    uint64_t batch = f->writer->meta.batch;
    uint64_t id = rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON | MESSAGE_EPHEMERAL);
    rig_run(f->writer);
    struct rig_reply r;
    assert_true(rig_reply(&f->rig, 0, &r));
    r = expect_reply(f, 0, id);
    assert_int_equal(r.item, CODE_OK);
    assert_int_equal(r.seq, 0);
    assert_int_equal(f->writer->meta.batch, batch);
    assert_int_equal(f->writer->meta.last_seq, 0);
    assert_int_equal(f->writer->metrics->v[METRIC_EPHEMERAL], 1);
    struct buf body;
    buf_init(&body, 65536);
    struct feed_record rec;
    bool fed = false;
    while (feed_next(&f->rig.feed, &f->rig.reader, &rec, &body) == 1)
        fed |= rec.type == FEED_MESSAGE;
    assert_true(fed);
    buf_free(&body);
}

/* A message over a quarter of the feed: readers are sent to the store. */
/* They are nowhere but on the feed: more than it takes of one batch must not make one. */
static void a_flood_of_ephemerals_is_cut_before_it_laps(void **state)
{
    struct fixture *f = *state;
    struct rig_fed fed;
    char text[1000];
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_run(f->writer);
    while (rig_fed(&f->rig, &fed)) /* a new writer begins with a lap */
        ;
    for (int i = 0; i < 40; i++) /* of 64 KiB a quarter is a batch's */
        rig_append(&f->rig, 0, alice, NULL, text, MESSAGE_JSON | MESSAGE_EPHEMERAL);
    rig_run(f->writer);
    int messages = 0;
    while (rig_fed(&f->rig, &fed)) {
        assert_int_not_equal(fed.rec.type, FEED_LAP);
        messages += fed.rec.type == FEED_MESSAGE;
    }
    assert_int_equal(messages, 40);
}

/* A worker whose commands fill each batch does not keep the others from having theirs. */
static void who_fills_a_batch_is_not_first_in_the_next(void **state)
{
    struct fixture *f = *state;
    char text[2000];
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_run(f->writer);
    for (int i = 0; i < 30; i++) /* some are a batch */
        rig_append(&f->rig, 0, alice, NULL, text, MESSAGE_JSON);
    uint64_t other = rig_append(&f->rig, 1, alice, NULL, "2", MESSAGE_JSON);
    struct rig_reply r;
    f->writer->first_slot = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(batch_run(f->writer) > 0);
        assert_true(f->writer->meta.last_seq < 20);
    }
    assert_true(rig_reply(&f->rig, 1, &r));
    assert_int_equal(r.id, other);
}

static void what_does_not_fit_travels_as_a_lap(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    char *big = calloc(1, 20001);
    memset(big, '7', 20000);
    uint64_t id = rig_append(&f->rig, 0, alice, NULL, big, MESSAGE_JSON);
    free(big);
    rig_run(f->writer);
    struct rig_reply r;
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(expect_reply(f, 0, id).seq, 1);
    struct buf body;
    buf_init(&body, 65536);
    struct feed_record rec;
    bool lap = false;
    while (feed_next(&f->rig.feed, &f->rig.reader, &rec, &body) == 1) {
        assert_int_not_equal(rec.type, FEED_MESSAGE);
        lap |= rec.type == FEED_LAP;
    }
    assert_true(lap);
    assert_int_equal(f->rig.reader.seq, 1);
    buf_free(&body);
}

/* Another writer's id in the store: this one touches nothing more and leaves (rule 11). */
static void a_store_that_another_writer_took_is_left(void **state)
{
    struct fixture *f = *state;
    struct txn *t;
    struct meta m;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    assert_int_equal(meta_get(t, &m), 0);
    m.writer++;
    assert_int_equal(meta_put(t, &m), 0);
    assert_int_equal(txn_commit(t), 0);

    rig_open_session(&f->rig, 0, alice, "alice");
    storetime_turn(f->writer);
    assert_int_equal(batch_run(f->writer), -ESTALE);
    struct rig_reply r;
    assert_false(rig_reply(&f->rig, 0, &r));
    assert_int_equal(store_write(f->writer->store, &t), 0);
    assert_int_equal(txn_entries(t, DB_SESSION), 0);
    txn_done(t);

    /* The command waits for the rightful one. */
    rig_stop(f->writer);
    f->writer = rig_writer(&f->rig);
    rig_run(f->writer);
    assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.code, CODE_OK);
}

/* A worker that takes no completions: it is condemned, its commands are applied all the same, and
 * the others are answered (rule 3: the writer never waits). */
static void a_full_reply_ring_costs_its_worker(void **state)
{
    struct fixture *f = *state;
    struct board_seat *deaf = &f->rig.board->seat[0];
    struct metric_block *m = f->writer->metrics;
    uint64_t opened = rig_open_session(&f->rig, 1, alice, "alice");
    rig_run(f->writer);
    assert_int_equal(expect_reply(f, 1, opened).code, CODE_OK);
    for (int i = 0; i < 4000 && m->v[METRIC_COMPLETIONS_LOST] == 0; i++) {
        rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
        rig_run(f->writer);
    }
    assert_int_equal(m->v[METRIC_COMPLETIONS_LOST], 1);
    assert_int_equal(atomic_load(&deaf->condemned), atomic_load(&deaf->generation));
    uint64_t last = f->writer->meta.last_seq;
    uint64_t id = rig_append(&f->rig, 1, alice, NULL, "1", MESSAGE_JSON);
    rig_run(f->writer);
    assert_int_equal(expect_reply(f, 1, id).seq, last + 1);
    assert_int_equal(atomic_load(&f->rig.board->seat[1].condemned), 0);
    assert_int_equal(m->v[METRIC_COMMANDS_APPLIED], last + 2);
}

/* At every writer start (rule 1): whoever lives on the feed looks into the store once, and all are
 * woken, since a dead writer may have moved heads without ringing. */
static void a_new_writer_rings_and_sends_to_the_store(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    rig_run(f->writer);
    rig_stop(f->writer);
    struct buf body;
    buf_init(&body, 65536);
    struct feed_record rec;
    while (feed_next(&f->rig.feed, &f->rig.reader, &rec, &body) == 1)
        ;
    for (int i = 0; i < 2; i++)
        bell_wake(&(struct bell){f->rig.bell_fd[i], &f->rig.board->seat[i].asleep});

    f->writer = rig_writer(&f->rig);
    assert_int_equal(feed_next(&f->rig.feed, &f->rig.reader, &rec, &body), 1);
    assert_int_equal(rec.type, FEED_LAP);
    assert_int_equal(rec.seq, 1);
    for (int i = 0; i < 2; i++) {
        struct pollfd p = {.fd = f->rig.bell_fd[i], .events = POLLIN};
        assert_int_equal(poll(&p, 1, 0), 1);
    }
    buf_free(&body);
}

/* The writer remembers where mailboxes are; it must not remember one that is gone. */
static void an_ended_session_is_published_to_no_more(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    rig_end(&f->rig, 0, alice);
    uint64_t late = rig_append(&f->rig, 0, alice, NULL, "2", MESSAGE_JSON);
    rig_run(f->writer);
    uint64_t later = rig_append(&f->rig, 0, alice, NULL, "3", MESSAGE_JSON);
    rig_run(f->writer);
    assert_int_equal(f->writer->meta.last_seq, 1);
    struct rig_reply r;
    for (int i = 0; i < 3; i++)
        assert_true(rig_reply(&f->rig, 0, &r));
    /* Refused item by item: the command itself did not fail. */
    assert_int_equal(expect_reply(f, 0, late).code, CODE_OK);
    assert_int_equal(expect_reply(f, 0, later).code, CODE_OK);
    assert_int_equal(f->writer->metrics->v[METRIC_BATCHES_ABORTED], 0);
    /* The same id anew is another mailbox. */
    rig_open_session(&f->rig, 0, alice, "alice");
    uint64_t fresh = rig_append(&f->rig, 0, alice, NULL, "4", MESSAGE_JSON);
    rig_run(f->writer);
    while (r.id != fresh)
        assert_true(rig_reply(&f->rig, 0, &r));
    assert_int_equal(r.item, CODE_OK);
    assert_int_equal(r.seq, 2);
}

/* Expired is expired at once, remembered or not. */
static void a_session_past_its_ttl_is_published_to_no_more(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    rig_run(f->writer);
    f->writer->now_ms += 2 * f->rig.conf->session_ttl;
    rig_append(&f->rig, 0, alice, NULL, "2", MESSAGE_JSON);
    rig_run(f->writer);
    assert_int_equal(f->writer->meta.last_seq, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(append_is_stored_answered_and_fed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(same_key_is_the_same_message_also_after_a_restart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_mailbox_refuses_and_a_failure_is_not_remembered,
                                        set_up_small, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_session_and_an_ack_ahead_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(garbage_condemns_its_worker_and_nobody_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_dead_generation_is_applied_but_not_answered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_ephemeral_is_fed_and_commits_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_ephemerals_is_cut_before_it_laps, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_fills_a_batch_is_not_first_in_the_next, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_travels_as_a_lap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ended_session_is_published_to_no_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_session_past_its_ttl_is_published_to_no_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_reply_ring_costs_its_worker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_writer_rings_and_sends_to_the_store, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_store_that_another_writer_took_is_left, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
