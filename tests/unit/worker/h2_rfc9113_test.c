/* What RFC 9113 calls an error and a client can provoke: each is answered with the code it names.
 *
 * A stream error costs its stream: the connection answers the next request. A connection error is
 * GOAWAY with the code, then the end. Where the RFC names a stream error and nghttp2 ends the
 * connection (5.4.1 allows it) the row says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"

static void assert_connection_error(uint32_t code)
{
    h2_turn();
    assert_int_equal(P.goaways, 1);
    assert_int_equal(P.goaway[0], code);
    assert_true(H.client_eof);
    assert_int_equal(counted(METRIC_CLOSED_PROTOCOL), 1);
    assert_int_equal(H.sent + H.gone, H.heads);
    close_client();
    h2_turn();
    assert_int_equal(h2_connections(H.w.h2), 0);
}

static void assert_stream_error(uint32_t id, uint32_t code)
{
    h2_turn();
    assert_int_equal(answer_of(id)->reset, code);
    assert_int_equal(P.goaways, 0);
    assert_string_equal(body_of(get(2001, "/now?alive")), "alive");
}

/* --- frames whose form is wrong --- */

struct bad_frame {
    const char *why;
    uint8_t type, flags;
    uint32_t id;
    const char *payload;
    size_t n;
    uint32_t error;
};

#define P_(text) (text), sizeof(text) - 1

/* Stream 1 waits for its body, stream 3 waits for its answer. */
static const struct bad_frame bad_frames[] = {
    {"4.2 frame larger than SETTINGS_MAX_FRAME_SIZE", NGHTTP2_DATA, 0, 1, NULL, 16385,
     NGHTTP2_FRAME_SIZE_ERROR},
    {"6.1 DATA on stream 0", NGHTTP2_DATA, 0, 0, P_("x"), NGHTTP2_PROTOCOL_ERROR},
    {"6.1 DATA padded beyond its length", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, P_("\x05x"),
     NGHTTP2_PROTOCOL_ERROR},
    {"5.1 DATA on an idle stream", NGHTTP2_DATA, 0, 9, P_("x"), NGHTTP2_PROTOCOL_ERROR},
    {"5.1 DATA on a half-closed stream (escalated)", NGHTTP2_DATA, 0, 3, P_("x"),
     NGHTTP2_STREAM_CLOSED},
    {"6.2 HEADERS on stream 0", NGHTTP2_HEADERS, END_HEADERS, 0, P_("\x82"),
     NGHTTP2_PROTOCOL_ERROR},
    {"5.1.1 HEADERS on an even stream", NGHTTP2_HEADERS, END_HEADERS, 4, P_("\x82"),
     NGHTTP2_PROTOCOL_ERROR},
    {"5.1 HEADERS on a half-closed stream (escalated)", NGHTTP2_HEADERS, END_HEADERS | END_STREAM,
     3, P_("\x82"), NGHTTP2_STREAM_CLOSED},
    {"6.2 HEADERS padded beyond its length", NGHTTP2_HEADERS, END_HEADERS | NGHTTP2_FLAG_PADDED, 5,
     P_("\x05\x82"), NGHTTP2_PROTOCOL_ERROR},
    {"4.3 a header block that cannot be inflated", NGHTTP2_HEADERS, END_HEADERS, 5,
     P_("\xff\xff\xff\xff\xff\xff\xff"), NGHTTP2_COMPRESSION_ERROR},
    {"6.3 PRIORITY of 4 bytes (escalated)", NGHTTP2_PRIORITY, 0, 5, P_("\0\0\0\1"),
     NGHTTP2_FRAME_SIZE_ERROR},
    {"6.4 RST_STREAM on stream 0", NGHTTP2_RST_STREAM, 0, 0, P_("\0\0\0\0"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.4 RST_STREAM on an idle stream", NGHTTP2_RST_STREAM, 0, 9, P_("\0\0\0\0"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.4 RST_STREAM of 3 bytes", NGHTTP2_RST_STREAM, 0, 1, P_("\0\0\0"), NGHTTP2_FRAME_SIZE_ERROR},
    {"6.5 SETTINGS on a stream", NGHTTP2_SETTINGS, 0, 1, NULL, 0, NGHTTP2_PROTOCOL_ERROR},
    {"6.5 SETTINGS of 5 bytes", NGHTTP2_SETTINGS, 0, 0, P_("\0\1\0\0\0"), NGHTTP2_FRAME_SIZE_ERROR},
    {"6.5 SETTINGS ack with content", NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, P_("\0\1\0\0\0\0"),
     NGHTTP2_FRAME_SIZE_ERROR},
    {"6.5.2 ENABLE_PUSH 2", NGHTTP2_SETTINGS, 0, 0, P_("\0\2\0\0\0\2"), NGHTTP2_PROTOCOL_ERROR},
    {"6.5.2 INITIAL_WINDOW_SIZE over 2^31-1", NGHTTP2_SETTINGS, 0, 0, P_("\0\4\x80\0\0\0"),
     NGHTTP2_FLOW_CONTROL_ERROR},
    {"6.5.2 MAX_FRAME_SIZE below 2^14", NGHTTP2_SETTINGS, 0, 0, P_("\0\5\0\0\x3f\xff"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.5.2 MAX_FRAME_SIZE over 2^24-1", NGHTTP2_SETTINGS, 0, 0, P_("\0\5\1\0\0\0"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.6 PUSH_PROMISE from a client", NGHTTP2_PUSH_PROMISE, END_HEADERS, 1, P_("\0\0\0\2\x82"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.7 PING of 7 bytes", NGHTTP2_PING, 0, 0, P_("1234567"), NGHTTP2_FRAME_SIZE_ERROR},
    {"6.7 PING on a stream", NGHTTP2_PING, 0, 1, P_("12345678"), NGHTTP2_PROTOCOL_ERROR},
    {"6.8 GOAWAY on a stream", NGHTTP2_GOAWAY, 0, 1, P_("\0\0\0\0\0\0\0\0"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.8 GOAWAY of 7 bytes", NGHTTP2_GOAWAY, 0, 0, P_("\0\0\0\0\0\0\0"), NGHTTP2_FRAME_SIZE_ERROR},
    {"6.9 WINDOW_UPDATE of 0 on the connection", NGHTTP2_WINDOW_UPDATE, 0, 0, P_("\0\0\0\0"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.9 WINDOW_UPDATE of 0 on a stream (escalated)", NGHTTP2_WINDOW_UPDATE, 0, 1, P_("\0\0\0\0"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.9 WINDOW_UPDATE of 3 bytes", NGHTTP2_WINDOW_UPDATE, 0, 0, P_("\0\0\1"),
     NGHTTP2_FRAME_SIZE_ERROR},
    {"6.9 WINDOW_UPDATE on an idle stream", NGHTTP2_WINDOW_UPDATE, 0, 9, P_("\0\0\0\1"),
     NGHTTP2_PROTOCOL_ERROR},
    {"6.9.1 a connection window over 2^31-1", NGHTTP2_WINDOW_UPDATE, 0, 0, P_("\x7f\xff\xff\xff"),
     NGHTTP2_FLOW_CONTROL_ERROR},
    {"6.10 CONTINUATION without HEADERS", NGHTTP2_CONTINUATION, END_HEADERS, 1, P_("\x82"),
     NGHTTP2_PROTOCOL_ERROR},
};

static void test_bad_frames_end_the_connection(void **state)
{
    for (size_t i = 0; i < sizeof(bad_frames) / sizeof(bad_frames[0]); i++) {
        const struct bad_frame *f = &bad_frames[i];
        post(1, "/echo");
        get(3, "/later");
        uint8_t bytes[9 + 256];
        frame_head(bytes, f->n, f->type, f->flags, f->id);
        if (f->payload)
            memcpy(bytes + 9, f->payload, f->n);
        h2_send(bytes, 9 + (f->payload ? f->n : 0));
        h2_turn();
        if (P.goaways != 1 || P.goaway[0] != f->error)
            fail_msg("%s: %zu GOAWAY, error %u", f->why, P.goaways, P.goaway[0]);
        assert_connection_error(f->error);
        assert_int_equal(h2_down(state), 0);
        assert_int_equal(h2_up(state), 0);
    }
}

/* --- stream states --- */

static void test_stream_ids_do_not_decrease(void **state)
{
    (void)state;
    get(5, "/now");
    /* 5.1.1: it cannot be told from one that was closed just now, so it is ignored. */
    put_request("GET", "/now");
    send_block(3, END_HEADERS | END_STREAM);
    h2_turn();
    assert_int_equal(answer_of(3)->heads, 0);
    assert_int_equal(H.heads, 1);
    assert_string_equal(body_of(get(7, "/now?alive")), "alive");
}

static void test_data_on_a_closed_stream_is_ignored(void **state)
{
    (void)state;
    get(1, "/now");
    send_data(1, "late", 0);
    h2_turn();
    assert_int_equal(P.goaways, 0);
    assert_string_equal(body_of(get(3, "/now?alive")), "alive");
}

static void test_stream_window_overflow_is_a_stream_error(void **state)
{
    (void)state;
    get(1, "/later");
    send_window(1, INT32_MAX);
    assert_stream_error(1, NGHTTP2_FLOW_CONTROL_ERROR);
    assert_int_equal(H.gone, 1);
}

static void test_more_body_than_the_window_is_an_error(void **state)
{
    (void)state;
    static char zeros[16384];
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0); /* the refusal cannot leave: */
    post(3, "/small");                                     /* its stream stays open */
    for (int i = 0; i < 5; i++) {
        send_frame(NGHTTP2_DATA, 0, 3, zeros, sizeof(zeros));
        h2_turn();
    }
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535);
    assert_stream_error(3, NGHTTP2_FLOW_CONTROL_ERROR);
}

static void test_too_many_streams_at_once(void **state)
{
    (void)state;
    for (uint32_t id = 1; id <= 199; id += 2)
        post(id, "/echo");
    assert_int_equal(H.heads, 100);
    assert_int_equal(P.settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 100);
    /* The client has not acknowledged our SETTINGS: it may not know. */
    post(201, "/echo");
    assert_int_equal(answer_of(201)->reset, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(P.goaways, 0);
    /* Now it knows, and nghttp2 escalates (5.1.2). */
    send_frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    post(203, "/echo");
    assert_connection_error(NGHTTP2_PROTOCOL_ERROR);
}

static void test_continuation_is_not_interrupted(void **state)
{
    (void)state;
    put_request("GET", "/now");
    send_block(1, END_STREAM);
    send_ping(0);
    assert_connection_error(NGHTTP2_PROTOCOL_ERROR);
}

static void test_continuation_of_another_stream(void **state)
{
    (void)state;
    put_request("GET", "/now");
    send_block(1, END_STREAM);
    send_frame(NGHTTP2_CONTINUATION, END_HEADERS, 3, NULL, 0);
    assert_connection_error(NGHTTP2_PROTOCOL_ERROR);
}

static void test_continuation_goes_on(void **state)
{
    (void)state;
    put_field(":method", "GET");
    put_field(":scheme", "http");
    send_block(1, END_STREAM);
    put_field(":authority", "h");
    put_field(":path", "/now?pieces");
    send_frame(NGHTTP2_CONTINUATION, END_HEADERS, 1, P.block.data, P.block.len);
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "pieces");
}

/* --- the preface --- */

static void test_preface_must_be_followed_by_settings(void **state)
{
    (void)state;
    h2_send(WIRE_PREFACE, WIRE_PREFACE_LEN);
    send_ping(0);
    assert_connection_error(NGHTTP2_PROTOCOL_ERROR);
}

static void test_wrong_preface(void **state)
{
    (void)state;
    h2_send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", WIRE_PREFACE_LEN);
    assert_connection_error(NGHTTP2_PROTOCOL_ERROR);
}

static void test_unknown_frames_are_ignored(void **state)
{
    (void)state;
    send_frame(0xf0, 0xff, 7, "whatever", 8);
    send_frame(0x10, 0, 0, "\0\0\0\1u=1", 7);
    assert_string_equal(body_of(get(1, "/now?alive")), "alive");
    assert_int_equal(P.goaways, 0);
}

/* 5.3.2: priorities are deprecated, and we say so in SETTINGS. */
static void test_priorities_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(get(1, "/later")->heads, 0);
    send_frame(NGHTTP2_PRIORITY, 0, 0, "\0\0\0\1\0", 5);
    send_frame(NGHTTP2_PRIORITY, 0, 1, "\0\0\0\1\0", 5);
    assert_string_equal(body_of(get(3, "/now?alive")), "alive");
    assert_int_equal(P.goaways, 0);
}

#define SILENT(f) cmocka_unit_test_setup_teardown(f, h2_up_silent, h2_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        H2_TEST(test_bad_frames_end_the_connection),
        H2_TEST(test_stream_ids_do_not_decrease),
        H2_TEST(test_data_on_a_closed_stream_is_ignored),
        H2_TEST(test_stream_window_overflow_is_a_stream_error),
        H2_TEST(test_more_body_than_the_window_is_an_error),
        H2_TEST(test_too_many_streams_at_once),
        H2_TEST(test_continuation_is_not_interrupted),
        H2_TEST(test_continuation_of_another_stream),
        H2_TEST(test_continuation_goes_on),
        SILENT(test_preface_must_be_followed_by_settings),
        SILENT(test_wrong_preface),
        H2_TEST(test_unknown_frames_are_ignored),
        H2_TEST(test_priorities_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
