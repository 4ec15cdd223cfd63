/* Rule 15 at the writer: whose connection holds a session, what it is told on the feed, and that
 * what an older one still has under way does not count. */
#include "topic_fixture.h"

static int set_up(void **state)
{
    return set_up_with(state, "session { exclusive = true }\n");
}

static int set_up_shared(void **state)
{
    return set_up_with(state, "");
}

static void attach(struct fixture *f, uint64_t connection, bool takes)
{
    struct command_attach c = {.connection = connection,
                               .transport = STR("websocket"),
                               .lease_ms = 3600 * 1000,
                               .takes = takes};
    memcpy(c.session, alice, SESSION_ID_SIZE);
    rig_attach(&f->rig, 0, &c);
    expect_code(f, CODE_OK);
}

static void open_alice(struct fixture *f)
{
    rig_open_session(&f->rig, 0, alice, "alice");
    run(f);
    skip_feed(f);
}

static uint64_t generation_of(struct fixture *f)
{
    struct session s;
    struct txn *t = look(f);
    assert_int_equal(session_get(t, alice, &s), 0);
    txn_done(t);
    return s.generation;
}

static uint64_t attached_as(struct fixture *f, uint64_t connection)
{
    struct attachment a;
    struct txn *t = look(f);
    assert_int_equal(attachment_get(t, alice, connection, &a), 0);
    txn_done(t);
    return a.generation;
}

static void expect_fence(struct fixture *f, uint64_t connection, uint64_t generation)
{
    struct rig_fed fed;
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.control, FEED_FENCE);
    assert_int_equal(fed.fence.mailbox, mailbox_of(f, alice));
    assert_int_equal(fed.fence.connection, connection);
    assert_int_equal(fed.fence.generation, generation);
    expect_silence(f);
}

static void who_takes_a_session_fences_the_others_off(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    attach(f, 7, true);
    expect_fence(f, 7, 1);
    attach(f, 8, true);
    expect_fence(f, 8, 2);
    assert_int_equal(generation_of(f), 2);
    assert_int_equal(attached_as(f, 7), 1);
    assert_int_equal(attached_as(f, 8), 2);

    /* Renewals, and those who take nothing, change nothing. */
    attach(f, 7, false);
    attach(f, 8, false);
    attach(f, 9, false);
    expect_silence(f);
    assert_int_equal(generation_of(f), 2);
    assert_int_equal(attached_as(f, 7), 1);
    assert_int_equal(attached_as(f, 8), 2);
    assert_int_equal(attached_as(f, 9), 0);

    /* The same connection may take it again. */
    attach(f, 7, true);
    expect_fence(f, 7, 3);
    assert_int_equal(attached_as(f, 7), 3);
}

static void shared_sessions_count_and_fence_nobody(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    attach(f, 7, true);
    attach(f, 8, true);
    expect_silence(f);
    assert_int_equal(generation_of(f), 2);
    assert_int_equal(attached_as(f, 7), 1);
}

static uint64_t publish_by(struct fixture *f, uint64_t generation)
{
    struct command_append head = {.generation = generation};
    memcpy(head.session, alice, SESSION_ID_SIZE);
    struct command_append_item item = {
        .target = APPEND_TOPIC, .name = STR("t:a"), .flags = MESSAGE_JSON, .payload = STR("1")};
    return rig_publish(&f->rig, 0, &head, &item);
}

static struct session session_now(struct fixture *f)
{
    struct session s;
    struct txn *t = look(f);
    assert_int_equal(session_get(t, alice, &s), 0);
    txn_done(t);
    return s;
}

static void an_older_connection_changes_nothing(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    attach(f, 7, true);
    attach(f, 8, true);
    skip_feed(f);

    uint64_t batch = f->writer->meta.batch;
    rig_ack_by(&f->rig, 0, alice, 1, 1);
    expect_code(f, CODE_SUPERSEDED);
    assert_int_equal(session_now(f).acked, 0);
    rig_subscribe(&f->rig, 0, alice, "t:b", 1);
    expect_code(f, CODE_SUPERSEDED);
    rig_unsubscribe(&f->rig, 0, alice, "t:a", 1);
    expect_code(f, CODE_SUPERSEDED);
    publish_by(f, 1);
    expect_code(f, CODE_SUPERSEDED);
    /* Refusals are final: each was committed. */
    assert_int_equal(f->writer->meta.batch, batch + 4);
    assert_int_equal(rows(f, DB_SUBS), 1);
    assert_int_equal(rows(f, DB_TOPIC), 1);
    assert_int_equal(f->writer->meta.last_seq, 1);
    expect_silence(f);

    /* The one that holds it may do all that, and so may REST, which has no connection. */
    for (uint64_t generation = 0; generation <= 2; generation += 2) {
        rig_ack_by(&f->rig, 0, alice, 1, generation);
        expect_code(f, CODE_OK);
        rig_subscribe(&f->rig, 0, alice, "t:b", generation);
        expect_code(f, CODE_OK);
        rig_unsubscribe(&f->rig, 0, alice, "t:b", generation);
        expect_code(f, CODE_OK);
        publish_by(f, generation);
        expect_item(f, CODE_OK);
    }
    assert_int_equal(session_now(f).acked, 1);
}

static void in_shared_sessions_one_is_as_good_as_the_other(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    attach(f, 7, true);
    attach(f, 8, true);
    rig_ack_by(&f->rig, 0, alice, 1, 1);
    expect_code(f, CODE_OK);
    rig_subscribe(&f->rig, 0, alice, "t:a", 1);
    expect_code(f, CODE_OK);
    publish_by(f, 1);
    struct rig_reply r = run(f);
    assert_true(r.code == CODE_OK && r.item == CODE_OK && r.seq == 2);
}

static void who_is_gone_publishes_nothing(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    publish_by(f, 0);
    expect_item(f, CODE_OK);
    rig_end(&f->rig, 0, alice);
    publish_by(f, 0);
    expect_code(f, CODE_SESSION_UNKNOWN);
    assert_int_equal(f->writer->meta.last_seq, 1);
}

#define fence_test(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
#define shared_test(t) cmocka_unit_test_setup_teardown(t, set_up_shared, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fence_test(who_takes_a_session_fences_the_others_off),
        shared_test(shared_sessions_count_and_fence_nobody),
        fence_test(an_older_connection_changes_nothing),
        shared_test(in_shared_sessions_one_is_as_good_as_the_other),
        shared_test(who_is_gone_publishes_nothing),
        fence_test(who_is_gone_publishes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
