/* The disk fails under a commit: full, or broken, once or for a while. Whatever the step, each
 * command is answered once and truly, what was accepted is stored once, and the writer goes on, or
 * leaves when LMDB says that it must (rules 1, 6, 17). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "failing_disk.h"
#include "rig.c"

static const uint8_t alice[SESSION_ID_SIZE] = {1}, bob[SESSION_ID_SIZE] = {2};

/* --- the writer under test --- */

struct fixture {
    struct rig rig;
    struct writer *writer;
    unsigned writers;
};

static struct rig_reply reply(struct fixture *f, uint32_t slot, uint64_t id)
{
    struct rig_reply r;
    assert_true(rig_reply(&f->rig, slot, &r));
    assert_int_equal(r.id, id);
    return r;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    armed = false;
    rig_open(&f->rig, "namespace \"t:*\" { }");
    f->writer = rig_writer(&f->rig);
    f->writers = 1;
    uint64_t a = rig_open_session(&f->rig, 0, alice, "alice");
    uint64_t b = rig_open_session(&f->rig, 0, bob, "bob");
    rig_run(f->writer);
    assert_int_equal(reply(f, 0, a).code, CODE_OK);
    assert_int_equal(reply(f, 0, b).code, CODE_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    armed = false;
    rig_stop(f->writer);
    rig_close(&f->rig);
    free(f);
    return 0;
}

/* Until nothing waits; a writer that must leave is followed by a new one, as the supervisor does.
 */
static void run(struct fixture *f)
{
    for (int turn = 0; turn < 50; turn++) {
        storetime_turn(f->writer);
        int took = batch_run(f->writer);
        if (took == 0)
            return;
        if (took > 0)
            continue;
        armed = false; /* it opens the store without trouble */
        rig_stop(f->writer);
        f->writer = rig_writer(&f->rig);
        f->writers++;
    }
    fail_msg("the writer does not come to rest");
}

static uint64_t stored(struct fixture *f, const uint8_t id[SESSION_ID_SIZE])
{
    struct txn *t;
    struct session s;
    struct stream_head h;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    assert_int_equal(session_get(t, id, &s), 0);
    assert_int_equal(stream_head(t, s.stream, &h), 0);
    txn_done(t);
    return h.count;
}

/* What was published to a topic, and how many are subscribed to it; of one that is not there 0. */
static uint64_t stored_in_topic(struct fixture *f, const char *name, uint64_t *ret_subscribers)
{
    struct txn *t;
    struct topic topic = {.subscribers = 0};
    struct stream_head h = {.count = 0};
    uint64_t stream;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    if (topic_find(t, str_of(name), &stream) == 0) {
        assert_int_equal(topic_get(t, stream, &topic), 0);
        assert_int_equal(stream_head(t, stream, &h), 0);
    }
    txn_done(t);
    *ret_subscribers = topic.subscribers;
    return h.count;
}

/* How often the feed spoke of subscribing to it. */
static unsigned told(struct fixture *f, const char *name)
{
    struct rig_fed fed;
    unsigned n = 0;
    while (rig_fed(&f->rig, &fed))
        n += fed.control == FEED_SUBSCRIBE && str_is(fed.sub.name, name);
    return n;
}

/* One step fails, each in its turn: nothing is lost by it, and everything is stored once. */
static void one_step_fails(void **state, int with)
{
    struct fixture *f = *state;
    uint64_t sent = 0, subscribers;
    unsigned at = 0;
    do {
        char topic[16];
        at++;
        snprintf(topic, sizeof(topic), "t:%u", at);
        uint64_t a = rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
        uint64_t b = rig_append(&f->rig, 1, bob, NULL, "2", MESSAGE_JSON);
        uint64_t joined = rig_subscribe(&f->rig, 0, alice, topic, 0);
        uint64_t c = rig_append(&f->rig, 0, alice, NULL, "3", MESSAGE_JSON);
        uint64_t d = rig_publish_topic(&f->rig, 1, topic, NULL, "4", MESSAGE_JSON);
        arm(at, 1, with);
        run(f);
        struct rig_reply ra = reply(f, 0, a);
        assert_int_equal(reply(f, 0, joined).code, CODE_OK);
        struct rig_reply rc = reply(f, 0, c), rb = reply(f, 1, b);
        assert_int_equal(reply(f, 1, d).item, CODE_OK);
        sent++;
        assert_int_equal(ra.item, CODE_OK);
        assert_int_equal(rb.item, CODE_OK);
        assert_int_equal(rc.item, CODE_OK);
        assert_true(ra.seq < rc.seq);
        assert_int_equal(f->writer->meta.last_seq, 4 * sent);
        assert_int_equal(stored(f, alice), 2 * sent);
        assert_int_equal(stored(f, bob), sent);
        assert_int_equal(stored_in_topic(f, topic, &subscribers), 1);
        assert_int_equal(subscribers, 1);
        assert_int_equal(told(f, topic), 1);
        struct rig_reply more;
        assert_false(rig_reply(&f->rig, 0, &more) || rig_reply(&f->rig, 1, &more));
    } while (steps >= at);
    assert_true(at > 3); /* pages, their fsync, the meta page */
}

static void a_full_disk_at_one_step(void **state)
{
    one_step_fails(state, ENOSPC);
}

static void a_broken_disk_at_one_step(void **state)
{
    one_step_fails(state, EIO);
    struct fixture *f = *state;
    assert_true(f->writers > 1); /* the meta page: LMDB gives the environment up */
}

/* For a while: what waits is refused as not stored, and once there is room all goes on. */
static void a_disk_stays_full(void **state)
{
    struct fixture *f = *state;
    uint64_t first = rig_append(&f->rig, 0, alice, "k", "1", MESSAGE_JSON);
    uint64_t second = rig_append(&f->rig, 1, bob, NULL, "2", MESSAGE_JSON);
    uint64_t joined = rig_subscribe(&f->rig, 0, alice, "t:a", 0), subscribers;
    uint64_t third = rig_publish_topic(&f->rig, 1, "t:a", NULL, "3", MESSAGE_JSON);
    arm(1, 1000000, ENOSPC);
    run(f);
    armed = false;
    assert_int_equal(reply(f, 0, first).code, CODE_STORE_FULL);
    assert_int_equal(reply(f, 0, joined).code, CODE_STORE_FULL);
    assert_int_equal(reply(f, 1, second).code, CODE_STORE_FULL);
    assert_int_equal(reply(f, 1, third).code, CODE_STORE_FULL);
    assert_int_equal(stored_in_topic(f, "t:a", &subscribers), 0);
    assert_int_equal(subscribers, 0);
    assert_int_equal(told(f, "t:a"), 0);
    assert_int_equal(f->writers, 1);
    assert_int_equal(f->writer->meta.last_seq, 0);
    assert_int_equal(atomic_load(&f->rig.board->last_seq), 0);
    assert_int_equal(stored(f, alice), 0);

    /* The failure is not remembered under its key. */
    uint64_t again = rig_append(&f->rig, 0, alice, "k", "1", MESSAGE_JSON);
    run(f);
    struct rig_reply r = reply(f, 0, again);
    assert_int_equal(r.item, CODE_OK);
    assert_false(r.duplicate);
    assert_int_equal(r.seq, 1);
    assert_int_equal(stored(f, alice), 1);

    /* Nor is the topic that was almost made. */
    third = rig_publish_topic(&f->rig, 0, "t:a", NULL, "3", MESSAGE_JSON);
    run(f);
    assert_int_equal(reply(f, 0, third).item, CODE_OK);
    assert_int_equal(stored_in_topic(f, "t:a", &subscribers), 1);
}

static void a_disk_stays_broken(void **state)
{
    struct fixture *f = *state;
    uint64_t id = rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    arm(1, 1000000, EIO);
    run(f);
    armed = false;
    assert_int_equal(reply(f, 0, id).code, CODE_UNAVAILABLE);
    assert_int_equal(f->writer->meta.last_seq, 0);
    assert_int_equal(stored(f, alice), 0);
}

/* A place in the ring that was given up stays given up, also for the next writer. */
static void what_was_refused_is_not_run_by_the_next_writer(void **state)
{
    struct fixture *f = *state;
    uint64_t id = rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    arm(1, 1000000, ENOSPC);
    run(f);
    armed = false;
    assert_int_equal(reply(f, 0, id).code, CODE_STORE_FULL);
    rig_stop(f->writer);
    f->writer = rig_writer(&f->rig);
    run(f);
    struct rig_reply r;
    assert_false(rig_reply(&f->rig, 0, &r));
    assert_int_equal(stored(f, alice), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_disk_at_one_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_disk_at_one_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_stays_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_stays_broken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_refused_is_not_run_by_the_next_writer, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
