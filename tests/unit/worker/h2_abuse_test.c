/* Floods over a connection: each ends it with ENHANCE_YOUR_CALM, is counted by its kind, and costs
 * no more than its budget; what a busy, honest client sends does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"
#include "worker/h2_limits.h"

static void assert_calmed(enum metric kind)
{
    h2_turn();
    assert_int_equal(P.goaways, 1);
    assert_int_equal(P.goaway[0], NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(H.client_eof);
    assert_int_equal(counted(METRIC_CLOSED_ABUSE), 1);
    assert_int_equal(counted(kind), 1);
    assert_int_equal(counted(METRIC_CLOSED_PROTOCOL), 0);
    assert_int_equal(H.sent + H.gone, H.heads);
    close_client();
    h2_turn();
    assert_int_equal(h2_connections(H.w.h2), 0);
}

/* Up to limit + 1 frames; stops when the server has had enough. */
static size_t flood(uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n, size_t most)
{
    size_t sent = 0;
    while (sent < most && !H.client_eof) {
        send_frame(type, flags, id, p, n);
        sent++;
        h2_turn();
    }
    return sent;
}

static void test_rapid_reset(void **state)
{
    (void)state;
    uint32_t id = 1;
    while (!H.client_eof && id < 1000) {
        put_request("GET", "/later");
        send_block(id, END_HEADERS | END_STREAM);
        send_reset(id, NGHTTP2_CANCEL);
        h2_turn();
        H.nheld = 0;
        id += 2;
    }
    assert_in_range(H.heads, H.conf.resets, H.conf.resets + 2);
    assert_int_equal(counted(METRIC_STREAM_RESETS_PEER), H.conf.resets + 1);
    assert_calmed(METRIC_ABUSE_RESETS);
}

/* All in one packet: work stops soon, not at its end. */
static void test_rapid_reset_in_one_write(void **state)
{
    (void)state;
    struct buf all;
    buf_init(&all, 1 << 20);
    put_request("GET", "/deny");
    for (uint32_t id = 1; id < 1600; id += 2) {
        uint8_t head[9];
        frame_head(head, P.block.len, NGHTTP2_HEADERS, END_HEADERS | END_STREAM, id);
        buf_append(&all, head, 9);
        buf_append_str(&all, buf_str(&P.block));
        frame_head(head, 4, NGHTTP2_RST_STREAM, 0, id);
        buf_append(&all, head, 9);
        buf_append(&all, "\0\0\0\x8", 4);
    }
    assert_true(all.len < 64 << 10);
    assert_int_equal(send(H.client, all.data, all.len, MSG_NOSIGNAL), (ssize_t)all.len);
    buf_free(&all);
    h2_turn();
    assert_in_range(H.heads, H.conf.resets, H.conf.resets + 200);
    assert_calmed(METRIC_ABUSE_RESETS);
}

/* CVE-2025-8671: the client makes us reset its streams. */
static void test_resets_that_we_are_made_to_send(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < 1000 && !H.client_eof; id += 2) {
        put_request("GET", "/later");
        send_block(id, END_HEADERS | END_STREAM);
        send_window(id, INT32_MAX);
        h2_turn();
        H.nheld = 0;
    }
    assert_in_range(H.heads, H.conf.resets, H.conf.resets + 2);
    assert_calmed(METRIC_ABUSE_RESETS);
}

static void test_malformed_requests_without_end(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < 1000 && !H.client_eof; id += 2) {
        put_field("UPPER", "case");
        send_block(id, END_HEADERS | END_STREAM);
        h2_turn();
    }
    assert_calmed(METRIC_ABUSE_RESETS);
}

static void test_settings_flood(void **state)
{
    (void)state;
    size_t n = flood(NGHTTP2_SETTINGS, 0, 0, "\0\4\0\0\xff\xff", 6, 1000);
    assert_in_range(n, H.conf.control - 5, H.conf.control + 5);
    assert_calmed(METRIC_ABUSE_SETTINGS);
}

static void test_ping_flood(void **state)
{
    (void)state;
    size_t n = flood(NGHTTP2_PING, 0, 0, "12345678", 8, 1000);
    assert_in_range(n, H.conf.control - 5, H.conf.control + 5);
    assert_true(P.ping_acks <= n);
    assert_calmed(METRIC_ABUSE_PINGS);
}

static void test_priority_flood(void **state)
{
    (void)state;
    flood(NGHTTP2_PRIORITY, 0, 7, "\0\0\0\1\0", 5, 1000);
    assert_calmed(METRIC_ABUSE_PRIORITIES);
}

static void test_tiny_windows_flood(void **state)
{
    (void)state;
    get(1, "/later");
    flood(NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4, 1000);
    assert_calmed(METRIC_ABUSE_WINDOWS);
}

static void test_empty_data_flood(void **state)
{
    (void)state;
    post(1, "/echo");
    flood(NGHTTP2_DATA, 0, 1, NULL, 0, 1000);
    assert_calmed(METRIC_ABUSE_EMPTY);
}

static void test_padding_flood(void **state)
{
    (void)state;
    post(1, "/echo");
    flood(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\2\0\0", 3, 1000);
    assert_calmed(METRIC_ABUSE_EMPTY);
}

static void test_unknown_frames_flood(void **state)
{
    (void)state;
    flood(0xee, 0, 0, "x", 1, 1000);
    assert_calmed(METRIC_ABUSE_UNKNOWN);
}

static void test_headers_of_closed_streams_flood(void **state)
{
    (void)state;
    get(1, "/now");
    flood(NGHTTP2_HEADERS, END_HEADERS | END_STREAM, 1, "\x82", 1, 1000);
    assert_calmed(METRIC_ABUSE_EMPTY);
}

static void test_continuations_without_end(void **state)
{
    (void)state;
    put_request("GET", "/now");
    send_block(1, END_STREAM);
    size_t n = flood(NGHTTP2_CONTINUATION, 0, 1, "", 0, 1000);
    assert_in_range(n, 1, 2 * H2_CONTINUATIONS);
    assert_calmed(METRIC_ABUSE_CONTINUATIONS);
    assert_int_equal(H.heads, 0);
}

/* A field of 4000 bytes in the table, named again and again by one byte each. */
static void test_header_bomb(void **state)
{
    (void)state;
    char *value = malloc(4001);
    assert_non_null(value);
    memset(value, 'v', 4000);
    value[4000] = '\0';
    put_request("GET", "/now");
    size_t at = P.block.len;
    put_field("a", value);
    P.block.data[at] = 0x40; /* with indexing */
    for (int i = 0; i < 10000; i++)
        buf_append_c(&P.block, (char)(0x80 | 62));
    send_block(1, END_HEADERS | END_STREAM);
    free(value);
    assert_calmed(METRIC_ABUSE_HEADERS);
}

static void test_trailer_bomb(void **state)
{
    (void)state;
    char value[1001];
    memset(value, 'v', 1000);
    value[1000] = '\0';
    post(1, "/echo");
    put_field("a", value);
    P.block.data[0] = 0x40;
    for (int i = 0; i < 10000; i++)
        buf_append_c(&P.block, (char)(0x80 | 62));
    send_block(1, END_HEADERS | END_STREAM);
    assert_calmed(METRIC_ABUSE_HEADERS);
}

/* --- honest clients --- */

static void test_many_requests_are_no_abuse(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < 4000; id += 2) {
        put_request("GET", "/now?content");
        send_block(id, END_HEADERS | END_STREAM);
        h2_turn();
        send_window(0, 7); /* as some libraries do, for every frame */
        send_window(id + 2 > 4000 ? 1 : id, 7);
        send_ping(0);
        h2_turn();
        if (id % 200 == 1)
            forget_answers();
    }
    assert_int_equal(H.sent, 2000);
    assert_int_equal(P.goaways, 0);
}

static void test_cancelling_what_is_answered_otherwise_is_no_abuse(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < 2000; id += 4) {
        put_request("GET", "/park");
        send_block(id, END_HEADERS | END_STREAM);
        send_reset(id, NGHTTP2_CANCEL);
        get(id + 2, "/now");
        H.nheld = 0;
    }
    assert_int_equal(P.goaways, 0);
    assert_int_equal(H.gone, 500);
    assert_int_equal(H.sent, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H2_TEST(test_rapid_reset),
        H2_TEST(test_rapid_reset_in_one_write),
        H2_TEST(test_resets_that_we_are_made_to_send),
        H2_TEST(test_malformed_requests_without_end),
        H2_TEST(test_settings_flood),
        H2_TEST(test_ping_flood),
        H2_TEST(test_priority_flood),
        H2_TEST(test_tiny_windows_flood),
        H2_TEST(test_empty_data_flood),
        H2_TEST(test_padding_flood),
        H2_TEST(test_unknown_frames_flood),
        H2_TEST(test_headers_of_closed_streams_flood),
        H2_TEST(test_continuations_without_end),
        H2_TEST(test_header_bomb),
        H2_TEST(test_trailer_bomb),
        H2_TEST(test_many_requests_are_no_abuse),
        H2_TEST(test_cancelling_what_is_answered_otherwise_is_no_abuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
