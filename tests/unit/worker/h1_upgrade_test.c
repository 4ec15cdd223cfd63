/* h1: requests that may take their connection over, those that may not, and how it changes hands.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker/h1_harness.h"

/* What the application was handed. */
static struct {
    struct wire wire; /* fd 0: none */
    char remote[32];
    int status;
} taken;

static void on_wire(struct exchange *ex, struct wire wire, const char *remote)
{
    taken.wire = wire;
    taken.status = ex->out_status;
    snprintf(taken.remote, sizeof(taken.remote), "%s", remote);
}

static int up(void **state)
{
    memset(&taken, 0, sizeof(taken));
    return harness_up(state);
}

static int down(void **state)
{
    if (taken.wire.fd)
        wire_close(&taken.wire);
    return harness_down(state);
}

#define ASKS "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define REQUEST(path) "GET " path " HTTP/1.1\r\n" ASKS "\r\n"

static struct exchange *asked(const char *text)
{
    send_text(text);
    return H.nheld ? H.held[H.nheld - 1] : NULL;
}

/* --- who may --- */

static const struct {
    const char *what, *text;
    bool may;
} rows[] = {
    {"as RFC 6455 has it", REQUEST("/later"), true},
    {"case does not matter",
     "GET /later HTTP/1.1\r\nhost: h\r\nupgrade: WebSocket\r\nconnection: UPGRADE\r\n\r\n", true},
    {"lists",
     "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: foo, websocket\r\nConnection: keep-alive, "
     "Upgrade\r\n\r\n",
     true},
    {"no upgrade", GET("/later"), false},
    {"another protocol",
     "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", false},
    {"almost its name",
     "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websockets\r\nConnection: Upgrade\r\n\r\n", false},
    {"not named by Connection",
     "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n\r\n",
     false},
    {"no Connection", "GET /later HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", false},
    {"only Connection", "GET /later HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\r\n", false},
    {"HTTP/1.0", "GET /later HTTP/1.0\r\n" ASKS "Connection: keep-alive\r\n\r\n", false},
    {"POST", "POST /later HTTP/1.1\r\n" ASKS "\r\n", false},
    {"HEAD", "HEAD /later HTTP/1.1\r\n" ASKS "\r\n", false},
    {"bytes behind it", REQUEST("/later") "\x81\x80\x01\x01\x01\x01", false},
    {"a request behind it", REQUEST("/later") GET("/now"), false},
};

static void test_who_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        H.nheld = 0;
        struct exchange *ex = asked(rows[i].text);
        assert_non_null(ex);
        if (H.may_upgrade != rows[i].may || exchange_may_upgrade(ex) != rows[i].may)
            fail_msg("%s", rows[i].what);
        close_client();
        turn_unread();
        connect_client();
    }
}

static void test_with_a_body_it_is_no_request(void **state)
{
    (void)state;
    send_text("GET /later HTTP/1.1\r\n" ASKS "Content-Length: 3\r\n\r\nabc");
    const char *text = received();
    assert_non_null(strstr(text, "HTTP/1.1 400 "));
    assert_non_null(strstr(text, "upgrade_body"));
    assert_int_equal(H.nheld, 0);
}

static void test_what_comes_later_counts_too(void **state)
{
    (void)state;
    struct exchange *ex = asked(REQUEST("/later"));
    assert_true(exchange_may_upgrade(ex));
    send_text("\x81");
    assert_false(exchange_may_upgrade(ex));
    close_client();
    turn_unread();
    connect_client();
    ex = asked(REQUEST("/later"));
    assert_true(exchange_may_upgrade(ex));
    shutdown(H.client, SHUT_WR);
    turn_unread();
    assert_false(exchange_may_upgrade(ex));
}

/* --- how --- */

static void test_the_wire_changes_hands(void **state)
{
    (void)state;
    struct exchange *ex = asked(REQUEST("/later"));
    exchange_hand_over(ex, on_wire);
    assert_int_equal(taken.wire.fd, 0); /* not from inside */
    H.nheld = 0;
    h1_proceed(H.w.h1);
    assert_true(taken.wire.fd > 0);
    assert_string_equal(taken.remote, "test:1");
    assert_int_equal(taken.status, 101);
    assert_int_equal(h1_connections(H.w.h1), 0);
    assert_int_equal(H.metrics->v[METRIC_CONNECTIONS], 0);
    assert_int_equal(H.gone + H.sent, 0);
    /* It is whole: both ways, and h1 touches it no more. */
    assert_int_equal(send(H.client, "in", 2, MSG_NOSIGNAL), 2);
    turn_unread();
    char bytes[32];
    assert_int_equal(wire_read(&taken.wire, bytes, sizeof(bytes)), 2);
    struct iovec part = {(void *)(uintptr_t) "out", 3};
    assert_int_equal(wire_write(&taken.wire, &part, 1), 3);
    turn();
    assert_string_equal(received(), "out");
    tick_ms(1000000); /* no deadline of HTTP is left */
    assert_false(H.client_eof);
}

static void test_what_comes_after_the_hand_over_is_the_takers(void **state)
{
    (void)state;
    struct exchange *ex = asked(REQUEST("/later"));
    exchange_hand_over(ex, on_wire);
    assert_int_equal(send(H.client, "early", 5, MSG_NOSIGNAL), 5);
    H.nheld = 0;
    turn_unread();
    char bytes[32];
    assert_int_equal(wire_read(&taken.wire, bytes, sizeof(bytes)), 5);
    assert_memory_equal(bytes, "early", 5);
}

static void test_answers_before_it_go_first(void **state)
{
    (void)state;
    send_text(GET("/later"));
    send_text(GET("/now?second"));
    struct exchange *ex = asked(REQUEST("/later"));
    assert_int_equal(H.nheld, 2);
    exchange_hand_over(ex, on_wire);
    turn();
    assert_int_equal(taken.wire.fd, 0);
    assert_int_equal(send(H.client, "not read", 8, MSG_NOSIGNAL), 8);
    turn();
    buf_append_str(&H.held[0]->out_body, STR("first"));
    exchange_answer(H.held[0], 200, "text/plain");
    H.nheld = 0;
    turn();
    const char *text = received();
    assert_true(taken.wire.fd > 0);
    assert_int_equal(count_of(text, "HTTP/1.1 200 "), 2);
    assert_true(strstr(text, "first") < strstr(text, "second"));
    assert_int_equal(count_of(text, "Connection: close"), 0);
    char bytes[32];
    assert_int_equal(wire_read(&taken.wire, bytes, sizeof(bytes)), 8);
}

static void test_gone_before_its_turn(void **state)
{
    (void)state;
    send_text(GET("/later"));
    struct exchange *ex = asked(REQUEST("/later"));
    exchange_hand_over(ex, on_wire);
    turn();
    close_client();
    turn_unread();
    tick_ms(2 * H1_PROBE_MS); /* nobody reads it: it is asked whether it lives */
    assert_int_equal(taken.wire.fd, 0);
    assert_int_equal(H.gone, 2);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_gone_with_the_server(void **state)
{
    (void)state;
    struct exchange *ex = asked(REQUEST("/later"));
    exchange_hand_over(ex, on_wire);
    h1_close(H.w.h1);
    assert_int_equal(taken.wire.fd, 0);
    assert_int_equal(H.gone, 1);
    assert_int_equal(h1_open(&H.w, harness_now, NULL, &H.w.h1), 0);
}

static void test_after_the_last_answer_there_is_none(void **state)
{
    (void)state;
    send_text("GET /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    size_t before = H.nheld;
    send_text(REQUEST("/later")); /* dropped: the first was the last */
    assert_int_equal(H.nheld, before);
}

#define UP_TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        UP_TEST(test_who_may),
        UP_TEST(test_with_a_body_it_is_no_request),
        UP_TEST(test_what_comes_later_counts_too),
        UP_TEST(test_the_wire_changes_hands),
        UP_TEST(test_what_comes_after_the_hand_over_is_the_takers),
        UP_TEST(test_answers_before_it_go_first),
        UP_TEST(test_gone_before_its_turn),
        UP_TEST(test_gone_with_the_server),
        UP_TEST(test_after_the_last_answer_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
