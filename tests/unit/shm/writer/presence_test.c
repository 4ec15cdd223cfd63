/* presence_test - who is here, when, and what is refused: leases, graces, deaths, limits. */
#include "presence_fixture.h"

static const uint8_t alice[SESSION_ID_SIZE] = {1}, phone[SESSION_ID_SIZE] = {2},
                     bob[SESSION_ID_SIZE] = {3}, nobody[SESSION_ID_SIZE] = {4};
#define ROOM "p:room"
#define LEASE 30000

static struct view view;

/* Someone who is subscribed, and follows the list from the beginning. */
static int set_up_room(void **state)
{
    int rc = set_up(state);
    struct fixture *f = *state;
    f->rig.conf->topics_members = 3;
    f->rig.conf->presence_meta = 64;
    open_session(f, alice, "alice");
    open_session(f, phone, "alice");
    open_session(f, bob, "bob");
    open_session(f, nobody, "");
    rig_subscribe(&f->rig, 0, nobody, ROOM, 0);
    expect_code(f, CODE_OK);
    view = (struct view){.name = ROOM};
    fetch(f, &view);
    return rc;
}

static struct seat seat_now(struct fixture *f, const uint8_t id[SESSION_ID_SIZE])
{
    static struct view now;
    char text[SESSION_ID_TEXT];
    now.name = ROOM;
    fetch(f, &now);
    session_id_text(id, text);
    struct seat *s = seat_of(&now, text);
    return s ? *s : (struct seat){.ref = ""};
}

static bool here(struct fixture *f, const uint8_t id[SESSION_ID_SIZE])
{
    return seat_now(f, id).ref[0] != 0;
}

static void test_track(void **state)
{
    struct fixture *f = *state;
    connect_by(f, 0, alice, 7, LEASE);
    track(f, alice, ROOM, "{\"name\":\"A\"}");
    assert_true(here(f, alice));
    assert_int_equal(f->ndiffs, 0);
    pass_ms(f, WINDOW - 1);
    assert_int_equal(f->ndiffs, 0);
    pass_ms(f, 1);
    assert_int_equal(f->ndiffs, 1);
    follow(f, &view);
    assert_true(view.n == 1 && view.fetched == 1);
    struct seat s = view.seat[0];
    assert_string_equal(s.key, "alice");
    assert_string_equal(s.meta, "{\"name\":\"A\"}");

    /* The same again: nothing. */
    track(f, alice, ROOM, "{\"name\":\"A\"}");
    pass_ms(f, 2000);
    assert_int_equal(f->ndiffs, 1);
    assert_string_equal(seat_now(f, alice).ref, s.ref);
    /* Subscribing without a word of presence: nothing. */
    rig_subscribe(&f->rig, 0, alice, ROOM, 0);
    expect_code(f, CODE_OK);
    assert_string_equal(seat_now(f, alice).ref, s.ref);

    /* Another meta: an update. */
    track(f, alice, ROOM, "{\"name\":\"B\"}");
    pass_ms(f, WINDOW);
    assert_int_equal(f->ndiffs, 2);
    char prev[64];
    snprintf(prev, sizeof(prev), "\"prev_ref\":\"%s\"", s.ref);
    assert_non_null(strstr(f->diff[1].text, prev));
    assert_non_null(strstr(f->diff[1].text, "\"leaves\":{}"));
    follow(f, &view);
    assert_true(view.n == 1 && view.fetched == 1);
    assert_string_equal(view.seat[0].meta, "{\"name\":\"B\"}");
    assert_string_not_equal(view.seat[0].ref, s.ref);

    /* Untracked: it stays subscribed. */
    track(f, alice, ROOM, "null");
    assert_false(here(f, alice));
    expect_up_to_date(f, &view);
    assert_true(view.n == 0 && view.fetched == 1);
    assert_int_equal(topic_named(f, ROOM).subscribers, 2);
    track(f, alice, ROOM, "null");
    pass_ms(f, 2000);
    assert_int_equal(f->ndiffs, 3);
}

/* Two sessions of one subject: one key, which comes with the first and goes with the last. */
static void test_one_key(void **state)
{
    struct fixture *f = *state;
    connect_by(f, 0, alice, 7, LEASE);
    connect_by(f, 0, phone, 8, LEASE);
    track(f, alice, ROOM, "{}");
    track(f, phone, ROOM, "{\"on\":\"phone\"}");
    pass_ms(f, WINDOW);
    assert_int_equal(f->ndiffs, 1);
    cJSON *o = cJSON_Parse(f->diff[0].text);
    cJSON *joins = item(o, "joins");
    assert_int_equal(cJSON_GetArraySize(joins), 1);
    assert_int_equal(cJSON_GetArraySize(item(item(joins, "alice"), "metas")), 2);
    cJSON_Delete(o);
    track(f, alice, ROOM, "null");
    expect_up_to_date(f, &view);
    assert_true(view.n == 1 && sits(&view, phone));
    track(f, phone, ROOM, "null");
    expect_up_to_date(f, &view);
    assert_true(view.n == 0 && view.fetched == 1);
}

static void test_anonymous(void **state)
{
    struct fixture *f = *state;
    char text[SESSION_ID_TEXT];
    session_id_text(nobody, text);
    connect_by(f, 0, nobody, 7, LEASE);
    track(f, nobody, ROOM, "{}");
    expect_up_to_date(f, &view);
    assert_string_equal(view.seat[0].key, text);
}

/* A connection that comes back within the grace shows nobody anything. */
static void test_reconnect(void **state)
{
    struct fixture *f = *state;
    connect_by(f, 0, alice, 7, LEASE);
    track(f, alice, ROOM, "{}");
    expect_up_to_date(f, &view);
    size_t said = f->ndiffs;
    struct seat s = view.seat[0];
    for (uint64_t i = 0; i < 20; i++) {
        disconnect(f, alice, 7 + i);
        pass_ms(f, GRACE - 1);
        assert_true(here(f, alice));
        connect_by(f, i % 2, alice, 8 + i, LEASE);
        pass_ms(f, i * 100);
    }
    pass_ms(f, GRACE);
    assert_string_equal(seat_now(f, alice).ref, s.ref);
    assert_int_equal(f->ndiffs, said);
    assert_int_equal(topic_named(f, ROOM).dirty_ms, 0);
}

/* Gone after the grace, not before; and here again, as someone new, with the next connection. */
static void test_leave_after_the_grace(void **state)
{
    struct fixture *f = *state;
    connect_by(f, 0, alice, 7, LEASE);
    track(f, alice, ROOM, "{\"a\":1}");
    expect_up_to_date(f, &view);
    struct seat s = view.seat[0];
    disconnect(f, alice, 7);
    pass_ms(f, GRACE - 1);
    assert_true(here(f, alice));
    pass_ms(f, 1001); /* the queue keeps whole seconds */
    assert_false(here(f, alice));
    assert_int_equal(topic_named(f, ROOM).tracked, 1);
    expect_up_to_date(f, &view);
    assert_true(view.n == 0 && view.fetched == 1);
    char ref[64];
    snprintf(ref, sizeof(ref), "\"ref\":\"%s\"", s.ref);
    assert_non_null(strstr(f->diff[f->ndiffs - 1].text, ref));
    expect_sound(f);
    pass_ms(f, 60000);
    connect_by(f, 1, alice, 9, LEASE);
    expect_up_to_date(f, &view);
    assert_true(view.n == 1 && view.fetched == 1);
    assert_string_not_equal(view.seat[0].ref, s.ref);
    assert_string_equal(view.seat[0].meta, "{\"a\":1}");
}

/* With two connections it leaves with the last of them. */
static void test_last_connection(void **state)
{
    struct fixture *f = *state;
    connect_by(f, 0, alice, 7, 60000);
    connect_by(f, 1, alice, 8, 20000);
    track(f, alice, ROOM, "{}");
    disconnect(f, alice, 7);
    pass_ms(f, 20000 + GRACE - 1);
    assert_true(here(f, alice));
    pass_ms(f, 1001);
    assert_false(here(f, alice));
}

/* Tracked by a session that nobody is connected to: it has the grace to come. */
static void test_nobody_connected(void **state)
{
    struct fixture *f = *state;
    struct attachment a[2];
    track(f, alice, ROOM, "{}");
    assert_true(here(f, alice));
    struct txn *t = look(f);
    assert_int_equal(attachment_list(t, alice, a, 2), 0); /* no connection that anyone sees */
    txn_done(t);
    pass_ms(f, GRACE - 1);
    assert_true(here(f, alice));
    pass_ms(f, 1001);
    assert_false(here(f, alice));
    /* It speaks again, of another topic: it is here, in both. */
    track(f, alice, "p:other", "{}");
    assert_true(here(f, alice));
    expect_sound(f);
    connect_by(f, 0, alice, 7, LEASE);
    pass_ms(f, GRACE + 2000);
    assert_true(here(f, alice));
    assert_int_equal(topic_named(f, "p:other").members, 1);
}

static void test_worker_killed(void **state)
{
    struct fixture *f = *state;
    connect_by(f, 0, alice, 7, 600000);
    connect_by(f, 1, bob, 8, 600000);
    track(f, alice, ROOM, "{}");
    track(f, bob, ROOM, "{}");
    expect_up_to_date(f, &view);
    size_t said = f->ndiffs;
    atomic_store(&f->rig.board->seat[0].dead_generation, 1);
    atomic_store(&f->rig.board->seat[0].generation, 2);
    settle(f);
    pass_ms(f, GRACE - 1);
    assert_true(here(f, alice));
    assert_int_equal(f->ndiffs, said);
    pass_ms(f, 1001);
    assert_false(here(f, alice));
    assert_true(here(f, bob));
    expect_up_to_date(f, &view);
    assert_int_equal(view.fetched, 1);
}

/* The server starts again, an hour later: everyone has the grace, from its start. */
static void restart_after(struct fixture *f, uint64_t ms)
{
    rig_stop(f->writer);
    clock_ms += ms;
    rig_restart(&f->rig);
    f->rig.reader = (struct feed_reader){0};
    f->writer = rig_writer(&f->rig);
    settle(f);
}

static void test_server_restart(void **state)
{
    struct fixture *f = *state;
    rig_subscribe(&f->rig, 0, bob, ROOM, 0); /* lives on in the mean time */
    expect_code(f, CODE_OK);
    connect_by(f, 0, alice, 7, 600000);
    connect_by(f, 0, bob, 8, 600000);
    track(f, alice, ROOM, "{}");
    track(f, bob, ROOM, "{}");
    expect_up_to_date(f, &view);
    struct seat s = seat_now(f, bob);
    restart_after(f, 300000);
    pass_ms(f, GRACE - 1);
    assert_true(here(f, alice));
    assert_true(here(f, bob));
    connect_by(f, 0, bob, 9, 600000);
    pass_ms(f, 1001);
    assert_false(here(f, alice)); /* its lease said otherwise */
    assert_string_equal(seat_now(f, bob).ref, s.ref);
    /* Twice in a row, and leases that were over long before. */
    restart_after(f, 2);
    restart_after(f, 700000);
    assert_true(here(f, bob));
    pass_ms(f, GRACE - 1);
    assert_true(here(f, bob));
    pass_ms(f, 1001);
    assert_false(here(f, bob));
}

/* More attachments than one transaction may touch. */
static void test_server_restart_in_portions(void **state)
{
    struct fixture *f = *state;
    for (uint64_t c = 100; c < 100 + 3 * WRITER_DELETES; c++) {
        connect_by(f, 0, alice, c, 600000);
        if (c == 100)
            track(f, alice, ROOM, "{}");
    }
    restart_after(f, 1);
    pass_ms(f, GRACE - 1);
    assert_true(here(f, alice));
    pass_ms(f, 1001);
    assert_false(here(f, alice));
}

static void test_ends(void **state)
{
    struct fixture *f = *state;
    connect_by(f, 0, alice, 7, LEASE);
    connect_by(f, 0, bob, 8, LEASE);
    track(f, alice, ROOM, "{}");
    track(f, bob, ROOM, "{}");
    track(f, bob, "p:other", "{}");
    expect_up_to_date(f, &view);
    rig_unsubscribe(&f->rig, 0, alice, ROOM, 0);
    expect_code(f, CODE_OK);
    expect_up_to_date(f, &view);
    assert_true(view.n == 1 && sits(&view, bob));
    expect_sound(f);
    rig_end(&f->rig, 0, bob);
    expect_code(f, CODE_OK);
    expect_up_to_date(f, &view);
    assert_true(view.n == 0 && view.fetched == 1);
    assert_int_equal(stream_named(f, "p:other"), 0);
    /* Those that are away go without a word. */
    track(f, alice, ROOM, "{}");
    disconnect(f, alice, 7);
    pass_ms(f, GRACE + 1000);
    expect_up_to_date(f, &view);
    size_t said = f->ndiffs;
    assert_false(here(f, alice));
    rig_end(&f->rig, 0, alice);
    expect_code(f, CODE_OK);
    pass_ms(f, 2000);
    assert_int_equal(f->ndiffs, said);
    assert_int_equal(topic_named(f, ROOM).tracked, 0);
}

/* A session that is away is untracked, and comes back to what is left. */
static void test_untrack_while_away(void **state)
{
    struct fixture *f = *state;
    track(f, alice, ROOM, "{}");
    track(f, alice, "p:other", "{}");
    pass_ms(f, GRACE + 1000);
    assert_false(here(f, alice));
    track(f, alice, "p:other", "null");
    assert_false(here(f, alice));
    expect_sound(f);
    connect_by(f, 0, alice, 7, LEASE);
    assert_true(here(f, alice));
    assert_int_equal(topic_named(f, "p:other").members, 0);
    disconnect(f, alice, 7);
    pass_ms(f, GRACE + 1000);
    track(f, alice, ROOM, "null");
    expect_sound(f); /* away from nowhere it would be */
    expect_up_to_date(f, &view);
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    char meta[70];
    rig_track(&f->rig, 0, alice, "t:plain", "{}");
    expect_code(f, CODE_FORBIDDEN);
    assert_int_equal(stream_named(f, "t:plain"), 0); /* nor was it subscribed */
    rig_track(&f->rig, 0, alice, "t:plain", "null");
    expect_code(f, CODE_OK);
    snprintf(meta, sizeof(meta), "{\"a\":\"%056d\"}", 0);
    assert_int_equal(strlen(meta), 64);
    track(f, alice, ROOM, meta);
    snprintf(meta, sizeof(meta), "{\"a\":\"%057d\"}", 1);
    rig_track(&f->rig, 0, alice, ROOM, meta);
    expect_code(f, CODE_TOO_LARGE);
    assert_int_equal(strlen(seat_now(f, alice).meta), 64);
    /* As many as topics.members, those that are away among them. */
    pass_ms(f, GRACE + 1000);
    track(f, phone, ROOM, "{}");
    track(f, bob, ROOM, "{}");
    rig_track(&f->rig, 0, nobody, ROOM, "{}");
    expect_code(f, CODE_LIMIT_REACHED);
    track(f, bob, ROOM, "{\"again\":1}"); /* who is there already may say something else */
    track(f, phone, ROOM, "null");
    track(f, nobody, ROOM, "{}");
    expect_up_to_date(f, &view);
    assert_int_equal(view.n, 2);
    connect_by(f, 0, alice, 7, LEASE);
    expect_up_to_date(f, &view);
    assert_true(view.n == 3 && sits(&view, alice));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_track, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_one_key, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_anonymous, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_reconnect, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_leave_after_the_grace, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_last_connection, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_connected, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_worker_killed, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_server_restart, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_server_restart_in_portions, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_ends, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_untrack_while_away, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up_room, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
