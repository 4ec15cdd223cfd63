/* h2_deadline: what is late, what that costs, and what is not late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"

#define STEP 200 /* more than the wheel's */

static void test_no_preface(void **state)
{
    (void)state;
    h2_send(WIRE_PREFACE, 10);
    h2_tick_ms(H.conf.head_timeout - STEP);
    assert_false(H.client_eof);
    h2_tick_ms(2 * STEP);
    assert_true(H.client_eof);
    assert_int_equal(P.goaways, 1);
    assert_int_equal(counted(METRIC_CLOSED_TIMEOUT), 1);
}

static void test_header_section_that_does_not_end(void **state)
{
    (void)state;
    get(1, "/park");
    put_request("GET", "/now");
    send_block(3, END_STREAM);
    for (uint64_t ms = 0; ms + 2000 < H.conf.head_timeout; ms += 2000) {
        h2_tick_ms(2000);
        put_field("a", "b");
        send_frame(NGHTTP2_CONTINUATION, 0, 3, P.block.data, P.block.len);
        buf_reset(&P.block);
        h2_turn();
    }
    assert_false(H.client_eof);
    h2_tick_ms(2000 + STEP);
    assert_true(H.client_eof);
    assert_int_equal(P.goaway[0], NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(H.gone, 1);
    assert_int_equal(counted(METRIC_CLOSED_TIMEOUT), 1);
}

static void test_a_refused_header_section_is_not_late(void **state)
{
    (void)state;
    put_field("BAD", "name");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    assert_int_equal(answer_of(1)->reset, NGHTTP2_PROTOCOL_ERROR);
    h2_tick_ms(H.conf.head_timeout + STEP);
    assert_int_equal(P.goaways, 0);
    assert_string_equal(body_of(get(3, "/now?alive")), "alive");
}

static void test_body_that_does_not_come(void **state)
{
    (void)state;
    H.conf.ping = 3600000;
    post(1, "/echo");
    h2_tick_ms(10000);
    post(3, "/echo");
    h2_tick_ms(H.conf.body_timeout - 10000 - STEP);
    send_data(1, "a byte is no excuse", 0);
    h2_turn();
    assert_int_equal(answer_of(1)->heads, 0);
    h2_tick_ms(2 * STEP);
    assert_true(has_field(answer_of(1), ":status: 408\n"));
    assert_int_equal(answer_of(1)->reset, NGHTTP2_NO_ERROR);
    assert_int_equal(answer_of(3)->heads, 0);
    send_data(3, "in time", END_STREAM);
    h2_turn();
    assert_string_equal(body_of(answer_of(3)), "in time");
    assert_int_equal(P.goaways, 0);
}

static void test_body_time_begins_with_continue(void **state)
{
    (void)state;
    put_request("POST", "/echo");
    put_field("expect", "100-continue");
    send_block(1, END_HEADERS);
    h2_turn();
    h2_tick_ms(H.conf.body_timeout - STEP);
    assert_int_equal(answer_of(1)->heads, 1);
    h2_tick_ms(2 * STEP);
    assert_true(has_field(answer_of(1), ":status: 408\n"));
}

static void test_idle_connection(void **state)
{
    (void)state;
    h2_tick_ms(H.conf.idle_timeout - STEP);
    get(1, "/now");
    h2_tick_ms(H.conf.idle_timeout - STEP);
    send_ping(0); /* shows life, but asks for nothing */
    h2_turn();
    assert_int_equal(P.goaways, 0);
    h2_tick_ms(2 * STEP);
    assert_int_equal(P.goaways, 1);
    assert_int_equal(P.goaway[0], NGHTTP2_NO_ERROR);
    assert_int_equal(P.goaway_last[0], 1);
    assert_true(H.client_eof);
    assert_int_equal(counted(METRIC_CLOSED_TIMEOUT), 1);
}

static void test_parked_is_not_idle(void **state)
{
    (void)state;
    get(1, "/park");
    for (uint64_t ms = 0; ms < 2 * H.conf.idle_timeout; ms += 10000) {
        send_ping(0);
        h2_tick_ms(10000);
    }
    assert_int_equal(P.goaways, 0);
    assert_int_equal(P.pings, 0);
}

static void test_silent_peer_is_asked(void **state)
{
    (void)state;
    get(1, "/park");
    h2_tick_ms(H.conf.ping - STEP);
    assert_int_equal(P.pings, 0);
    h2_tick_ms(2 * STEP);
    assert_int_equal(P.pings, 1);
    h2_tick_ms(H.conf.ping - STEP);
    send_ping(NGHTTP2_FLAG_ACK);
    h2_turn();
    assert_false(H.client_eof);
    h2_tick_ms(H.conf.ping + STEP); /* asked again */
    assert_int_equal(P.pings, 2);
    assert_int_equal(H.gone, 0);
    h2_tick_ms(H.conf.ping + STEP); /* and does not answer */
    assert_true(H.client_eof);
    assert_int_equal(H.gone, 1);
    assert_int_equal(counted(METRIC_CLOSED_TIMEOUT), 1);
    assert_int_equal(h2_connections(H.w.h2), 0);
}

/* --- peers that take nothing --- */

static void test_closed_stream_window(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    get(1, "/now?never-taken");
    h2_tick_ms(H.conf.write_timeout - STEP);
    assert_int_equal(answer_of(1)->reset, NOT_RESET);
    get(3, "/park");
    h2_tick_ms(2 * STEP);
    assert_int_equal(answer_of(1)->reset, NGHTTP2_CANCEL);
    assert_int_equal(H.gone, 1); /* only this one */
    assert_int_equal(P.goaways, 0);
    assert_int_equal(counted(METRIC_STREAM_RESETS_US), 1);
}

static void test_stream_that_is_taken_slowly(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    struct answer *a = get(1, "/now?slowly");
    for (size_t i = 0; i < 6; i++) {
        h2_tick_ms(H.conf.write_timeout - STEP);
        send_window(1, 1);
        h2_turn();
    }
    assert_string_equal(body_of(a), "slowly");
    assert_true(a->ended);
}

static void test_closed_connection_window(void **state)
{
    (void)state;
    H.conf.ping = 3600000;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    get(1, "/big?70000");
    assert_int_equal(answer_of(1)->body.len, 65535);
    h2_tick_ms(H.conf.write_timeout - STEP);
    get(3, "/now?behind-it");
    assert_int_equal(P.goaways, 0);
    h2_tick_ms(2 * STEP);
    assert_int_equal(P.goaways, 1);
    assert_true(H.client_eof);
    assert_int_equal(H.gone, 2);
    assert_int_equal(counted(METRIC_CLOSED_SLOW), 1);
}

/* With the connection's window shared by many, one that has to wait long is not at fault. */
static void test_stream_behind_others_is_not_late(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    get(1, "/big?70000");
    get(3, "/now?x");
    for (int i = 0; i < 10; i++) {
        h2_tick_ms(H.conf.write_timeout / 2);
        send_window(0, 100);
        h2_turn();
    }
    assert_int_equal(P.goaways, 0);
    assert_int_equal(counted(METRIC_STREAM_RESETS_US), 0);
}

static void test_peer_that_reads_nothing(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100 << 20);
    send_window(0, 100 << 20);
    for (uint32_t id = 1; id < 9; id += 2) {
        put_request("GET", "/big?999999");
        send_block(id, END_HEADERS | END_STREAM);
    }
    h2_turn_unread();
    H.now_ms += H.conf.write_timeout - STEP;
    h2_tick(H.w.h2);
    h2_turn_unread();
    assert_int_equal(h2_connections(H.w.h2), 1);
    H.now_ms += 2 * STEP;
    h2_tick(H.w.h2);
    h2_turn_unread();
    assert_int_equal(h2_connections(H.w.h2), 0);
    assert_int_equal(counted(METRIC_CLOSED_SLOW), 1);
    assert_int_equal(H.gone + H.sent, H.heads);
}

static void test_stream_with_nothing_to_say_is_not_late(void **state)
{
    (void)state;
    struct answer *a = get(1, "/stream");
    exchange_stream_write(H.held[0], STR("begin"));
    h2_turn();
    for (int i = 0; i < 10; i++) {
        send_ping(0);
        h2_tick_ms(H.conf.write_timeout / 2);
    }
    exchange_stream_write(H.held[0], STR(", go on"));
    h2_turn();
    assert_string_equal(body_of(a), "begin, go on");
}

#define SILENT(f) cmocka_unit_test_setup_teardown(f, h2_up_silent, h2_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SILENT(test_no_preface),
        H2_TEST(test_header_section_that_does_not_end),
        H2_TEST(test_a_refused_header_section_is_not_late),
        H2_TEST(test_body_that_does_not_come),
        H2_TEST(test_body_time_begins_with_continue),
        H2_TEST(test_idle_connection),
        H2_TEST(test_parked_is_not_idle),
        H2_TEST(test_silent_peer_is_asked),
        H2_TEST(test_closed_stream_window),
        H2_TEST(test_stream_that_is_taken_slowly),
        H2_TEST(test_closed_connection_window),
        H2_TEST(test_stream_behind_others_is_not_late),
        H2_TEST(test_peer_that_reads_nothing),
        H2_TEST(test_stream_with_nothing_to_say_is_not_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
