/* ws: the handshake's answer, messages whole and in pieces, pings, and both ways to close. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker/ws_harness.h"

#define BOTH_WAYS(tls) for (int tls = 0; tls < 2; tls++)

static void test_keys(void **state)
{
    (void)state;
    assert_true(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZQ==")));
    assert_true(ws_key_valid(STR("AAAAAAAAAAAAAAAAAAAA+/==")));
    static const char *const bad[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZVE=",
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBs=SBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZ-==",
        "dGhlIHNhbXBsZSBub25j\r\n==",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(ws_key_valid(str_of(bad[i])));
    assert_false(ws_key_valid(str_make("dGhlIHNhbXBsZSBub25j\0Q==", 24)));
}

/* --- the 101 --- */

static const char *answer_to(const struct ws_handshake *h)
{
    struct client *c = fresh_client(0);
    struct wire wire = client_wire(c, false);
    assert_int_equal(ws_accept(W.w.ws, wire, "test:1", h, &ws_ops, c), 0);
    turn();
    buf_append_c(&c->got, '\0');
    return (const char *)c->got.data;
}

static void test_the_answer(void **state)
{
    (void)state;
    const char *text = answer_to(&harness_handshake);
    assert_memory_equal(text, switching, strlen(switching));
    assert_non_null(strcasestr(text, "\r\nUpgrade: websocket\r\n"));
    assert_non_null(strstr(text, "\r\nConnection: Upgrade\r\n"));
    /* RFC 6455 1.3 */
    assert_non_null(strstr(text, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(text, "\r\nSec-WebSocket-Protocol: restante.v1.json\r\n"));
    assert_non_null(strstr(text, "\r\nX-Request-Id: id-1\r\n"));
    assert_non_null(strstr(text, "\r\nServer: restante\r\n"));
    assert_null(strcasestr(text, "extensions"));
    assert_string_equal(text + strlen(text) - 4, "\r\n\r\n");
}

static void test_no_protocol_is_answered_where_none_was_chosen(void **state)
{
    (void)state;
    struct ws_handshake h = harness_handshake;
    h.protocol = NULL;
    assert_null(strcasestr(answer_to(&h), "protocol:"));
}

static void test_the_longest_request_id_fits(void **state)
{
    (void)state;
    char id[129];
    memset(id, 'i', 128);
    id[128] = '\0';
    struct ws_handshake h = harness_handshake;
    h.request_id = id;
    h.protocol = "restante.v1.msgpack";
    assert_non_null(strstr(answer_to(&h), id));
}

/* --- messages --- */

static void test_echo(void **state)
{
    (void)state;
    static char large[FRAME_LIMIT];
    memset(large, 'l', sizeof(large));
    static const size_t sizes[] = {0, 1, 125, 126, 511, 512, 513, 528, 529, 1024, FRAME_LIMIT};
    BOTH_WAYS(tls)
    {
        struct client *c = connect_client(0, tls);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            send_frame(c, FIN | WS_TEXT, large, sizes[i]);
            expect_frame(c, FIN | WS_TEXT, large, sizes[i]);
            send_frame(c, FIN | WS_BINARY, large, sizes[i]);
            expect_frame(c, FIN | WS_BINARY, large, sizes[i]);
        }
        assert_int_equal(c->messages, 2 * sizeof(sizes) / sizeof(sizes[0]));
        close_client(c);
        turn();
        assert_int_equal(c->closed, 1);
        assert_int_equal(c->why, METRIC_SOCKET_CLOSED_LOST);
    }
}

/* A conversation with everything in it, cut at every byte into two reads. */
static size_t conversation(unsigned char *ret)
{
    size_t n = 0;
    n += make_frame(WS_TEXT, "one ", 4, ret + n);
    n += make_frame(FIN | WS_PING, "p", 1, ret + n);
    n += make_frame(WS_CONTINUATION, "", 0, ret + n);
    n += make_frame(WS_CONTINUATION, "two ", 4, ret + n);
    n += make_frame(FIN | WS_PONG, "q", 1, ret + n);
    n += make_frame(FIN | WS_CONTINUATION, "three", 5, ret + n);
    n += make_frame(FIN | WS_TEXT, "x", 1, ret + n);
    n += make_frame(FIN | WS_PING, "", 0, ret + n);
    n += make_frame(FIN | WS_CLOSE, "\x03\xe8", 2, ret + n);
    return n;
}

static void expect_conversation(struct client *c)
{
    expect_frame(c, FIN | WS_PONG, "p", 1);
    expect_text(c, "one two three");
    expect_text(c, "x");
    expect_frame(c, FIN | WS_PONG, "", 0);
    expect_close(c, 1000);
    expect_closed(c, METRIC_SOCKET_CLOSED_PEER);
}

static void test_split_at_every_byte(void **state)
{
    (void)state;
    unsigned char bytes[256];
    size_t n = conversation(bytes);
    for (size_t cut = 0; cut <= n; cut++) {
        struct client *c = connect_client(0, cut & 1);
        send_raw(c, bytes, cut);
        turn();
        send_raw(c, bytes + cut, n - cut);
        turn();
        expect_conversation(c);
        close_client(c);
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    unsigned char bytes[256];
    size_t n = conversation(bytes);
    BOTH_WAYS(tls)
    {
        struct client *c = connect_client(0, tls);
        for (size_t i = 0; i < n; i++) {
            send_raw(c, bytes + i, 1);
            turn();
        }
        expect_conversation(c);
        close_client(c);
    }
}

/* What one connection has sent in part is not mixed with what another sends. */
static void test_connections_do_not_mix(void **state)
{
    (void)state;
    struct client *c[4];
    unsigned char frame[4][64];
    size_t n = 0;
    for (size_t i = 0; i < 4; i++) {
        char text[] = "message of a";
        text[11] = (char)('a' + i);
        c[i] = connect_client(i, i & 1);
        n = make_frame(FIN | WS_TEXT, text, 12, frame[i]);
    }
    for (size_t at = 0; at < n; at++) {
        for (size_t i = 0; i < 4; i++)
            send_raw(c[i], frame[i] + at, 1);
        turn();
    }
    for (size_t i = 0; i < 4; i++) {
        char text[] = "message of a";
        text[11] = (char)('a' + i);
        expect_text(c[i], text);
    }
}

static void test_utf8_split_over_fragments_is_whole(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    send_frame(c, WS_TEXT, "\xe2\x82", 2);
    send_frame(c, FIN | WS_CONTINUATION, "\xac", 1);
    expect_text(c, "\xe2\x82\xac");
    send_frame(c, FIN | WS_BINARY, "\xff\xfe", 2);
    expect_frame(c, FIN | WS_BINARY, "\xff\xfe", 2);
}

static void test_each_ping_has_its_pong(void **state)
{
    (void)state;
    BOTH_WAYS(tls)
    {
        struct client *c = connect_client(0, tls);
        unsigned char bytes[10 * 140];
        char payload[125];
        size_t n = 0;
        for (int i = 0; i < 10; i++) {
            memset(payload, 'a' + i, sizeof(payload));
            n += make_frame(FIN | WS_PING, payload, sizeof(payload), bytes + n);
        }
        send_raw(c, bytes, n);
        turn();
        for (int i = 0; i < 10; i++) {
            memset(payload, 'a' + i, sizeof(payload));
            expect_frame(c, FIN | WS_PONG, payload, sizeof(payload));
        }
        assert_int_equal(c->messages, 0);
        close_client(c);
    }
}

/* --- pausing --- */

static void test_a_paused_connection_is_not_read(void **state)
{
    (void)state;
    BOTH_WAYS(tls)
    {
        struct client *c = connect_client(0, tls);
        unsigned char bytes[64 * 16];
        size_t n = make_frame(FIN | WS_TEXT, "pause", 5, bytes);
        for (int i = 0; i < 60; i++)
            n += make_frame(FIN | WS_TEXT, "more", 4, bytes + n);
        send_raw(c, bytes, n);
        turn();
        assert_in_range(c->messages, 1, WS_CLIENTS * 2);
        size_t before = c->messages;
        send_message(c, "later");
        assert_int_equal(c->messages, before);
        ws_pause(c->ws, false);
        turn();
        assert_int_equal(c->messages, 62);
        buf_append_c(&c->heard, '\0');
        assert_non_null(strstr((char *)c->heard.data, "more\nlater\n"));
        close_client(c);
        turn();
        assert_int_equal(c->closed, 1);
    }
}

static void test_ends_while_paused(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    send_message(c, "pause");
    expect_text(c, "pause");
    send_message(c, "unread");
    ws_end(c->ws, WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
    turn();
    expect_close(c, WS_RESTARTING);
    send_close(c, WS_RESTARTING);
    expect_closed(c, METRIC_SOCKET_CLOSED_DRAIN);
    assert_int_equal(c->messages, 1);
}

/* --- the end --- */

static void test_the_peer_closes(void **state)
{
    (void)state;
    static const unsigned codes[] = {0, 1000, 1001, 1003, 1007, 1011, 3000, 4999};
    BOTH_WAYS(tls)
    {
        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
            struct client *c = connect_client(0, tls);
            send_close(c, codes[i]);
            expect_close(c, codes[i]);
            expect_closed(c, METRIC_SOCKET_CLOSED_PEER);
            close_client(c);
        }
    }
}

static void test_a_close_with_a_reason(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    send_frame(c, FIN | WS_CLOSE,
               "\x03\xe8"
               "bye \xe2\x82\xac",
               9);
    expect_close(c, 1000);
    expect_closed(c, METRIC_SOCKET_CLOSED_PEER);
}

static void test_what_was_asked_before_the_close_is_answered(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    unsigned char bytes[64];
    size_t n = make_frame(FIN | WS_TEXT, "last", 4, bytes);
    n += make_frame(FIN | WS_CLOSE, "\x03\xe8", 2, bytes + n);
    n += make_frame(FIN | WS_TEXT, "too late", 8, bytes + n);
    send_raw(c, bytes, n);
    turn();
    expect_text(c, "last");
    expect_close(c, 1000);
    expect_closed(c, METRIC_SOCKET_CLOSED_PEER);
    assert_int_equal(c->messages, 1);
}

static void test_we_close(void **state)
{
    (void)state;
    BOTH_WAYS(tls)
    {
        struct client *c = connect_client(0, tls);
        say(c->ws, WS_TEXT, STR("before"));
        ws_end(c->ws, WS_SUPERSEDED, METRIC_SOCKET_CLOSED_SUPERSEDED);
        say(c->ws, WS_TEXT, STR("after"));
        ws_end(c->ws, WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED); /* the first one counts */
        assert_int_equal(c->closed, 0);                           /* never from inside */
        turn();
        expect_text(c, "before");
        expect_close(c, WS_SUPERSEDED);
        assert_int_equal(c->closed, 0); /* the peer has a moment */
        send_message(c, "crossed");
        send_frame(c, FIN | WS_PING, "crossed too", 11);
        assert_int_equal(c->got.len, 0);
        send_close(c, WS_SUPERSEDED);
        expect_closed(c, METRIC_SOCKET_CLOSED_SUPERSEDED);
        assert_int_equal(c->messages, 0);
        assert_int_equal(metric_of(METRIC_SOCKET_CLOSED_SUPERSEDED), 1 + (uint64_t)tls);
        assert_int_equal(metric_of(METRIC_SOCKET_CLOSED_ENDED), 0);
        close_client(c);
    }
}

static void test_ends_from_inside_a_message(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    unsigned char bytes[64];
    size_t n = make_frame(FIN | WS_TEXT, "end", 3, bytes);
    n += make_frame(FIN | WS_TEXT, "not heard", 9, bytes + n);
    n += make_frame(FIN | WS_CLOSE, "\x03\xe8", 2, bytes + n);
    send_raw(c, bytes, n);
    turn();
    expect_close(c, WS_GOING_AWAY);
    expect_closed(c, METRIC_SOCKET_CLOSED_ENDED);
    assert_int_equal(c->messages, 1);
}

static void test_the_peer_ends_without_a_close(void **state)
{
    (void)state;
    BOTH_WAYS(tls)
    {
        struct client *c = connect_client(0, tls);
        unsigned char bytes[64];
        size_t n = make_frame(FIN | WS_TEXT, "cut off", 7, bytes);
        send_raw(c, bytes, n - 3);
        turn();
        shutdown(c->fd, SHUT_WR); /* half-closed: it could still read */
        turn();
        expect_closed(c, METRIC_SOCKET_CLOSED_LOST);
        assert_int_equal(c->messages, 0);
        close_client(c);
    }
}

static void test_all_end_with_the_server(void **state)
{
    (void)state;
    struct client *c[3];
    for (size_t i = 0; i < 3; i++)
        c[i] = connect_client(i, i & 1);
    ws_end(c[1]->ws, WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED);
    assert_int_equal(ws_connections(W.w.ws), 3);
    ws_close_all(W.w.ws);
    W.w.ws = NULL;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(c[i]->closed, 1);
    assert_int_equal(c[0]->why, METRIC_SOCKET_CLOSED_DRAIN);
    assert_int_equal(c[1]->why, METRIC_SOCKET_CLOSED_ENDED);
    assert_int_equal(metric_of(METRIC_SOCKETS), 0);
    assert_int_equal(ws_open(&W.w, harness_now, NULL, &W.w.ws), 0);
}

static void test_gauges(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    connect_client(1, true);
    assert_int_equal(metric_of(METRIC_SOCKETS), 2);
    assert_int_equal(metric_of(METRIC_CONNECTIONS), 2);
    assert_string_equal(ws_remote(c->ws), "test:1");
    send_close(c, 1000);
    assert_int_equal(metric_of(METRIC_SOCKETS), 1);
    assert_int_equal(metric_of(METRIC_CONNECTIONS), 1);
    assert_int_equal(metric_of(METRIC_SOCKET_CLOSED_PEER), 1);
}

#define WS_TEST(f) cmocka_unit_test_setup_teardown(f, ws_up, ws_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        WS_TEST(test_the_answer),
        WS_TEST(test_no_protocol_is_answered_where_none_was_chosen),
        WS_TEST(test_the_longest_request_id_fits),
        WS_TEST(test_echo),
        WS_TEST(test_split_at_every_byte),
        WS_TEST(test_byte_by_byte),
        WS_TEST(test_connections_do_not_mix),
        WS_TEST(test_utf8_split_over_fragments_is_whole),
        WS_TEST(test_each_ping_has_its_pong),
        WS_TEST(test_a_paused_connection_is_not_read),
        WS_TEST(test_ends_while_paused),
        WS_TEST(test_the_peer_closes),
        WS_TEST(test_a_close_with_a_reason),
        WS_TEST(test_what_was_asked_before_the_close_is_answered),
        WS_TEST(test_we_close),
        WS_TEST(test_ends_from_inside_a_message),
        WS_TEST(test_the_peer_ends_without_a_close),
        WS_TEST(test_all_end_with_the_server),
        WS_TEST(test_gauges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
