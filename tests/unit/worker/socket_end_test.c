/* socket_end_test - each way a session over a WebSocket ends, and what is said and answered before.
 */
#include "socket_harness.h"

#include "tests/unit/failmalloc.h"

static void the_session_ends(void **state)
{
    (void)state;
    connect_socket("");
    F.ended[0] = true;
    feed_session_end(0);
    feed_end(FEED_COMMIT);
    proceed();
    assert_ended(WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED);
    assert_hears_nothing();
    assert_int_equal(route_pickups(F.route), 0);
}

static void a_session_that_is_gone_is_found_out(void **state)
{
    (void)state;
    connect_socket("");
    F.ended[0] = true; /* and no word on the feed */
    pass_ms(24000);
    assert_open();
    pass_ms(1200);
    assert_ended(WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED);
}

static void a_key_that_was_rotated_out(void **state)
{
    (void)state;
    connect_socket("");
    struct session_keys keys;
    board_keys_get(F.board, &keys);
    struct session_keys once = {.key = {{.id = 6, .secret = {9}}, keys.key[0]}};
    board_keys_set(F.board, &once);
    pass_ms(26000);
    assert_open();
    struct session_keys twice = {.key = {{.id = 7, .secret = {8}}, once.key[0]}};
    board_keys_set(F.board, &twice);
    pass_ms(26000);
    assert_ended(WS_REVOKED, METRIC_SOCKET_CLOSED_REVOKED);
    assert_int_equal(route_pickups(F.route), 0);
}

static void api_keys_are_not_rotated(void **state)
{
    (void)state;
    char query[128];
    snprintf(query, sizeof(query), "?session=%s", sid(0));
    ask(query, UPGRADE "\n" KEY);
    hand_wire();
    struct session_keys other = {.key = {{.id = 7, .secret = {8}}}};
    board_keys_set(F.board, &other);
    pass_ms(60000);
    assert_open();
}

static void drain_is_told_with_advice(void **state)
{
    (void)state;
    connect_socket("");
    R.w.draining = true;
    route_drain(F.route);
    proceed();
    assert_ended(WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
    unsigned long ms = 0;
    assert_int_equal(sscanf(hear(), "{\"t\":\"closing\",\"retry_after_ms\":%lu}", &ms), 1);
    assert_in_range(ms, 2000, 3999);
}

static void drain_waits_for_what_is_under_way(void **state)
{
    (void)state;
    struct unpack body;
    connect_socket("");
    tell("{\"t\":\"ack\",\"n\":1,\"cursor\":\"9f86d081884c7d65.0\"}");
    assert_hears("{\"t\":\"ok\",\"re\":1}");
    F.last_seq = 4;
    feed_end(FEED_COMMIT);
    tell("{\"t\":\"ack\",\"n\":2,\"cursor\":\"9f86d081884c7d65.4\"}");
    uint64_t id = expect_command(COMMAND_ACK, &body);
    R.w.draining = true;
    route_drain(F.route);
    proceed();
    assert_hears_of("\"t\":\"closing\"");
    assert_open();
    assert_true(W.ws.paused);
    tell("{\"t\":\"ping\",\"n\":3}"); /* had been read before: too late */
    complete(id, CODE_OK, NULL, 0);
    proceed();
    assert_hears("{\"t\":\"ok\",\"re\":2}");
    assert_ended(WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
}

static void what_begins_while_we_leave(void **state)
{
    (void)state;
    char query[128], headers[1024];
    snprintf(query, sizeof(query), "?session=%s", sid(0));
    snprintf(headers, sizeof(headers), UPGRADE "\n%s", token_of(0));
    ask(query, headers);
    R.w.draining = true;
    route_drain(F.route);
    hand_wire();
    proceed();
    const char *heard = hear();
    assert_non_null(strstr(heard, "\"t\":\"hello\""));
    assert_non_null(strstr(heard, "\"t\":\"closing\""));
    assert_ended(WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
}

static void a_store_that_fails(void **state)
{
    (void)state;
    F.fail_reads = 1000;
    F.fail_with = -EIO;
    open_socket("", "");
    proceed();
    assert_hears_of("\"t\":\"closing\"");
    assert_ended(WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
}

static void no_memory_for_a_live_message(void **state)
{
    (void)state;
    connect_socket("");
    W.ws.refuse = true;
    publish(1, 1, 0, "a");
    proceed();
    assert_ended(WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
    assert_int_equal(route_pickups(F.route), 0);
}

static void no_memory_for_hello(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 100; n++) {
        char query[128], headers[1024];
        snprintf(query, sizeof(query), "?session=%s", sid(0));
        snprintf(headers, sizeof(headers), UPGRADE "\n%s", token_of(0));
        ask(query, headers);
        assert_int_equal(W.handed, 1);
        failmalloc_arm(n);
        hand_wire();
        proceed();
        bool failed = failmalloc_disarm();
        if (!failed) {
            assert_true(n > 3);
            return;
        }
        if (!strstr(hear(), "\"t\":\"hello\""))
            assert_ended(WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
        close_socket();
    }
    fail();
}

static void frames_of_the_other_kind(void **state)
{
    (void)state;
    connect_socket(JSON_PROTOCOL);
    W.ws.ops->on_message(W.ws.arg, true, STR("{\"t\":\"ping\"}"));
    assert_ended(WS_WRONG_TYPE, METRIC_SOCKET_CLOSED_PROTOCOL);
    close_socket();
    connect_socket(MSGPACK_PROTOCOL);
    W.ws.ops->on_message(W.ws.arg, false, STR("\x81\xa1t\xa4ping"));
    assert_ended(WS_WRONG_TYPE, METRIC_SOCKET_CLOSED_PROTOCOL);
}

static void the_client_leaves(void **state)
{
    (void)state;
    struct unpack body;
    connect_socket("");
    F.last_seq = 4;
    feed_end(FEED_COMMIT);
    tell("{\"t\":\"ack\",\"n\":2,\"cursor\":\"9f86d081884c7d65.4\"}");
    uint64_t id = expect_command(COMMAND_ACK, &body);
    close_socket();
    complete(id, CODE_OK, NULL, 0); /* nobody is called */
    proceed();
    assert_int_equal(route_pickups(F.route), 0);
}

static void a_wire_that_cannot_be_taken(void **state)
{
    (void)state;
    W.accept = -EMFILE;
    open_socket("", "");
    assert_false(W.open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_session_ends),
        TEST(a_session_that_is_gone_is_found_out),
        TEST(a_key_that_was_rotated_out),
        TEST(api_keys_are_not_rotated),
        TEST(drain_is_told_with_advice),
        TEST(drain_waits_for_what_is_under_way),
        TEST(what_begins_while_we_leave),
        TEST(a_store_that_fails),
        TEST(no_memory_for_a_live_message),
        TEST(no_memory_for_hello),
        TEST(frames_of_the_other_kind),
        TEST(the_client_leaves),
        TEST(a_wire_that_cannot_be_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
