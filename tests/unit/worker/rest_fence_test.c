/* rest_fence_test - who waits for an exclusive session takes it, and is told when it is taken. */
#include "rest_sse_harness.h"

static int up_exclusive(void **state)
{
    int err = up(state);
    F.conf.exclusive = true;
    return err;
}

/* The attach that the writer is asked for; connection 0: there was none. */
static struct command_attach attach_asked(void)
{
    struct command_attach a = {.connection = 0};
    struct command_header h;
    struct unpack body;
    proceed();
    pass_ms(200);
    proceed();
    while (take_command(&h, &body))
        if (h.type == COMMAND_ATTACH)
            assert_int_equal(command_attach_decode(&body, &a), 0);
    return a;
}

static void wait_on(const char *query)
{
    char rest[128];
    snprintf(rest, sizeof(rest), "/messages%s", query);
    say(at_session("GET", 0, rest), token_of(0), NULL);
}

static void fence(uint64_t connection, uint64_t generation)
{
    feed_fence(F.session[0].stream, connection, generation);
    feed_end(FEED_COMMIT);
    proceed();
}

static void a_poll_gives_way(void **state)
{
    (void)state;
    wait_on("?wait=30");
    struct command_attach a = attach_asked();
    assert_true(a.connection > COMMAND_POLL_CONNECTION && a.takes);
    fence(a.connection, 5); /* its own */
    assert_waits();
    fence(a.connection + 1, 6);
    assert_code(409, "superseded");
    assert_int_equal(route_pickups(F.route), 0);
    assert_int_equal(metric(METRIC_SUPERSEDED), 1);
}

static void an_event_stream_gives_way(void **state)
{
    (void)state;
    open_stream("");
    struct command_attach a = attach_asked();
    assert_true(a.connection > COMMAND_POLL_CONNECTION && a.takes);
    fence(a.connection, 5);
    assert_int_equal(R.ended, 0);
    fence(a.connection + 1, 6);
    assert_non_null(strstr(all_said(), "event: restante.closing\ndata: {\"reason\":\"superseded\","
                                       "\"retry_after_ms\":"));
    assert_int_equal(R.ended, 1);
    assert_int_equal(route_pickups(F.route), 0);
}

static void a_plain_get_takes_nothing(void **state)
{
    (void)state;
    wait_on("");
    assert_int_equal(R.ex.out_status, 200);
    assert_int_equal(attach_asked().connection, 0);
    wait_on("?wait=0");
    assert_int_equal(R.ex.out_status, 200);
    assert_int_equal(attach_asked().connection, 0);
}

static void polls_of_a_shared_session_are_one(void **state)
{
    (void)state;
    F.conf.exclusive = false;
    wait_on("?wait=30");
    struct command_attach a = attach_asked();
    assert_int_equal(a.connection, COMMAND_POLL_CONNECTION);
    assert_false(a.takes);
    assert_waits();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up_exclusive, rest_close)
    const struct CMUnitTest tests[] = {
        T(a_poll_gives_way),
        T(an_event_stream_gives_way),
        T(a_plain_get_takes_nothing),
        T(polls_of_a_shared_session_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
