/* h2_conn: a connection's beginning and ends, draining in two steps, bytes in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/worker/h2_harness.h"

static void test_settings_come_first(void **state)
{
    (void)state;
    h2_turn();
    assert_int_equal(P.settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], H.conf.streams);
    assert_int_equal(P.settings[NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE], H2_STREAM_WINDOW);
    assert_int_equal(P.settings[NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE], H.conf.limit_header);
    assert_int_equal(P.settings[NGHTTP2_SETTINGS_ENABLE_PUSH], 0);
    assert_int_equal(P.window[0], H2_CONNECTION_WINDOW - 65535);
    assert_int_equal(P.settings_acks, 0);
    peer_hello();
    assert_int_equal(P.settings_acks, 1);
}

static void test_bytes_one_by_one(void **state)
{
    (void)state;
    struct buf all;
    buf_init(&all, 4096);
    uint8_t head[9];
    buf_append(&all, WIRE_PREFACE, WIRE_PREFACE_LEN);
    frame_head(head, 0, NGHTTP2_SETTINGS, 0, 0);
    buf_append(&all, head, 9);
    put_request("POST", "/echo");
    frame_head(head, P.block.len, NGHTTP2_HEADERS, END_HEADERS, 1);
    buf_append(&all, head, 9);
    buf_append_str(&all, buf_str(&P.block));
    frame_head(head, 4, NGHTTP2_DATA, END_STREAM, 1);
    buf_append(&all, head, 9);
    buf_append(&all, "body", 4);
    for (size_t i = 0; i < all.len; i++) {
        assert_int_equal(H.bodies, 0);
        h2_send(all.data + i, 1);
    }
    buf_free(&all);
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "body");
}

static void test_peer_that_closes_ends_everything(void **state)
{
    (void)state;
    get(1, "/park");
    get(3, "/later");
    shutdown(H.client, SHUT_WR);
    h2_turn();
    assert_true(H.client_eof);
    assert_int_equal(H.gone, 2);
    assert_int_equal(h2_connections(H.w.h2), 0);
}

static void test_goaway_of_the_peer_lets_streams_finish(void **state)
{
    (void)state;
    get(1, "/later");
    send_frame(NGHTTP2_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    h2_turn();
    assert_false(H.client_eof);
    answer_text(H.held[0], STR("the last"));
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "the last");
    assert_true(H.client_eof);
    assert_int_equal(counted(METRIC_CLOSED_PROTOCOL), 0);
}

static void test_closing_the_server_ends_everything(void **state)
{
    (void)state;
    get(1, "/park");
    get(3, "/later");
    post(5, "/echo");
    h2_close(H.w.h2);
    H.w.h2 = NULL;
    assert_int_equal(H.gone, 3);
    assert_int_equal(counted(METRIC_CONNECTIONS), 0);
}

static void test_answers_wake_their_own_connection(void **state)
{
    (void)state;
    get(1, "/later?a");
    int first = H.client;
    forget_answers();
    h2_connect();
    nghttp2_hd_inflate_del(P.inflater);
    assert_int_equal(nghttp2_hd_inflate_new(&P.inflater), 0);
    peer_hello();
    get(1, "/later?b");
    answer_text(H.held[1], STR("second"));
    answer_text(H.held[0], STR("first"));
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "second");
    char bytes[4096];
    assert_true(recv(first, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
    close(first);
}

/* --- draining --- */

static void test_drain_in_two_steps(void **state)
{
    (void)state;
    get(1, "/park");
    h2_drain(H.w.h2);
    h2_turn();
    assert_int_equal(P.goaways, 1);
    assert_int_equal(P.goaway[0], NGHTTP2_NO_ERROR);
    assert_int_equal(P.goaway_last[0], INT32_MAX);
    assert_int_equal(P.pings, 1);
    /* Not knowing yet, the client begins one more. */
    assert_string_equal(body_of(get(3, "/now?on-its-way")), "on-its-way");
    send_ping(NGHTTP2_FLAG_ACK);
    h2_turn();
    assert_int_equal(P.goaways, 2);
    assert_int_equal(P.goaway[1], NGHTTP2_NO_ERROR);
    assert_int_equal(P.goaway_last[1], 3);
    assert_false(H.client_eof);
    /* It is no longer taken, and not begun: the client may repeat it elsewhere. */
    assert_int_equal(get(5, "/now")->heads, 0);
    assert_int_equal(H.heads, 2);
    answer_text(H.held[0], STR("the last"));
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "the last");
    assert_true(H.client_eof);
    close_client();
    h2_turn();
    assert_int_equal(h2_connections(H.w.h2), 0);
    assert_int_equal(H.sent, 2);
}

static void test_drain_does_not_wait_for_the_ping(void **state)
{
    (void)state;
    h2_drain(H.w.h2);
    h2_turn();
    assert_int_equal(P.goaways, 1);
    h2_tick_ms(H2_NOTICE_MS + 100);
    assert_int_equal(P.goaways, 2);
    assert_true(H.client_eof);
}

static void test_drain_closes_idle_connections(void **state)
{
    (void)state;
    get(1, "/now");
    h2_drain(H.w.h2);
    h2_turn();
    send_ping(NGHTTP2_FLAG_ACK);
    h2_turn();
    assert_true(H.client_eof);
    assert_int_equal(P.goaway_last[1], 1);
    h2_tick_ms(H2_LINGER_MS + 100);
    assert_int_equal(h2_connections(H.w.h2), 0);
}

static void test_connections_that_come_while_draining(void **state)
{
    (void)state;
    close_client();
    h2_turn();
    h2_drain(H.w.h2);
    h2_connect();
    peer_hello();
    assert_int_equal(P.goaways, 1);
    assert_string_equal(body_of(get(1, "/now?one")), "one");
    send_ping(NGHTTP2_FLAG_ACK);
    h2_turn();
    assert_int_equal(P.goaways, 2);
    assert_true(H.client_eof);
}

static void test_drain_twice(void **state)
{
    (void)state;
    get(1, "/later");
    h2_drain(H.w.h2);
    h2_drain(H.w.h2);
    h2_turn();
    assert_int_equal(P.goaways, 1);
    assert_int_equal(P.pings, 1);
}

/* --- closing --- */

static void test_what_comes_after_the_end_is_dropped(void **state)
{
    (void)state;
    static char bytes[16384];
    send_frame(NGHTTP2_DATA, 0, 0, "x", 1); /* a connection error */
    h2_turn();
    assert_true(H.client_eof);
    assert_int_equal(h2_connections(H.w.h2), 1); /* the client still has time to read why */
    for (size_t n = 0; n <= H2_DROP_MAX; n += sizeof(bytes))
        h2_send(bytes, sizeof(bytes));
    h2_turn();
    assert_int_equal(h2_connections(H.w.h2), 0);
}

static int accept_one(void *arg)
{
    (void)arg;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    int r = h2_accept(H.w.h2, wire_clear(pair[1]), "test:3");
    close(pair[0]);
    while (h2_proceed(H.w.h2))
        continue;
    event_base_loop(H.w.base, EVLOOP_NONBLOCK);
    return r;
}

static void test_accepting_without_memory(void **state)
{
    (void)state;
    failmalloc_arm(1);
    assert_int_equal(accept_one(NULL), -ENOMEM);
    failmalloc_disarm();
    assert_int_equal(h2_connections(H.w.h2), 1);
    assert_string_equal(body_of(get(1, "/now?alive")), "alive");
}

/* Whichever allocation of ours fails while a request is served: it ends, once, and nobody else
 * does worse than lose the connection. */
static void test_requests_without_memory(void **state)
{
    uint32_t answered = 0;
    for (unsigned long n = 1; n < 40; n++) {
        put_request("POST", "/echo");
        failmalloc_arm(n); /* from here to the disarm only the server asks for memory */
        send_block(1, END_HEADERS);
        send_data(1, "body", END_STREAM);
        h2_turn_unread();
        bool failed = failmalloc_disarm();
        h2_turn();
        answered += answer_of(1)->ended;
        if (!failed)
            break;
        assert_true(answer_of(1)->ended || answer_of(1)->reset != NOT_RESET || H.client_eof);
        assert_int_equal(H.sent + H.gone, H.heads);
        assert_int_equal(h2_down(state), 0);
        assert_int_equal(h2_up(state), 0);
    }
    assert_true(answered > 0);
    assert_string_equal(body_of(answer_of(1)), "body");
}

/* A request that cannot be made small stays as it is. */
static void test_parking_without_memory(void **state)
{
    for (unsigned long n = 1; n < 40; n++) {
        put_request("GET", "/park");
        put_field("origin", "https://a.example");
        failmalloc_arm(n);
        send_block(1, END_HEADERS | END_STREAM);
        h2_turn_unread();
        bool failed = failmalloc_disarm();
        if (H.nheld) {
            assert_true(str_is(exchange_header(H.held[0], "origin"), "https://a.example"));
            answer_text(H.held[0], STR("parked"));
            h2_turn();
            assert_string_equal(body_of(answer_of(1)), "parked");
        }
        if (!failed)
            return;
        assert_int_equal(h2_down(state), 0);
        assert_int_equal(h2_up(state), 0);
    }
    fail();
}

#define SILENT(f) cmocka_unit_test_setup_teardown(f, h2_up_silent, h2_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SILENT(test_settings_come_first),
        SILENT(test_bytes_one_by_one),
        H2_TEST(test_peer_that_closes_ends_everything),
        H2_TEST(test_goaway_of_the_peer_lets_streams_finish),
        H2_TEST(test_closing_the_server_ends_everything),
        H2_TEST(test_answers_wake_their_own_connection),
        H2_TEST(test_drain_in_two_steps),
        H2_TEST(test_drain_does_not_wait_for_the_ping),
        H2_TEST(test_drain_closes_idle_connections),
        H2_TEST(test_connections_that_come_while_draining),
        H2_TEST(test_drain_twice),
        H2_TEST(test_what_comes_after_the_end_is_dropped),
        H2_TEST(test_accepting_without_memory),
        H2_TEST(test_requests_without_memory),
        H2_TEST(test_parking_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
