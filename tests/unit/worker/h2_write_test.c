/* h2_write: answers as frames: their fields, whose turn it is, windows, what waits for the kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"

static void test_answer_has_the_common_fields(void **state)
{
    (void)state;
    struct answer *a = get(1, "/now?hello");
    assert_true(a->ended);
    assert_string_equal(body_of(a), "hello");
    assert_true(strncmp(a->fields, ":status: 200\n", 13) == 0);
    assert_true(has_field(a, "\nserver: restante\n"));
    assert_true(has_field(a, "\ncache-control: no-store\n"));
    assert_true(has_field(a, "\ncontent-type: text/plain\n"));
    assert_true(has_field(a, "\ncontent-length: 5\n"));
    assert_true(has_field(a, "\ndate: "));
    assert_true(has_field(a, "\nx-request-id: "));
    assert_false(has_field(a, "connection"));
    assert_int_equal(H.sent, 1);
    assert_int_equal(a->reset, NOT_RESET);
}

static void test_application_fields_are_lower_case(void **state)
{
    (void)state;
    put_request("GET", "/later");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    exchange_add_header(H.held[0], "Restante-Cursor", STR("e.1"));
    exchange_add_header(H.held[0], "Empty", STR(""));
    answer_text(H.held[0], STR("x"));
    h2_turn();
    assert_true(has_field(answer_of(1), "\nrestante-cursor: e.1\n"));
    assert_true(has_field(answer_of(1), "\nempty: \n"));
}

static void test_head_has_no_body(void **state)
{
    (void)state;
    put_request("HEAD", "/now?hello");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    assert_true(answer_of(1)->ended);
    assert_true(has_field(answer_of(1), "content-length: 5\n"));
    assert_int_equal(answer_of(1)->body.len, 0);
    assert_int_equal(answer_of(1)->frames, 0);
}

static void test_204_has_neither_length_nor_body(void **state)
{
    (void)state;
    struct answer *a = get(1, "/empty");
    assert_true(a->ended);
    assert_true(has_field(a, ":status: 204\n"));
    assert_false(has_field(a, "content-length"));
    assert_int_equal(a->frames, 0);
}

/* What many streams have to say leaves in one write. */
static void test_many_answers_in_one_write(void **state)
{
    (void)state;
    for (uint32_t id = 1; id <= 39; id += 2)
        get(id, "/later");
    assert_int_equal(H.nheld, 20);
    for (size_t i = 0; i < 20; i++)
        answer_text(H.held[i], STR("together"));
    h2_proceed(H.w.h2);
    static char bytes[65536];
    ssize_t n = recv(H.client, bytes, sizeof(bytes), 0);
    assert_true(n > 20 * 8);
    assert_int_equal(H.sent, 20);
    assert_int_equal(recv(H.client, bytes, 1, MSG_DONTWAIT), -1);
}

static void test_large_body_arrives_whole(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    send_window(0, 1 << 20);
    struct answer *a = get(1, "/big?600000");
    assert_true(a->ended);
    assert_int_equal(a->body.len, 600000);
    assert_int_equal(H.sent, 1);
}

/* --- windows --- */

static void test_stream_window_of_zero_holds_only_its_stream(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    struct answer *held = get(1, "/now?held");
    assert_int_equal(held->heads, 1);
    assert_int_equal(held->body.len, 0);
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    put_request("GET", "/now?free");
    send_block(3, END_HEADERS | END_STREAM);
    send_window(3, 100);
    h2_turn();
    assert_string_equal(body_of(answer_of(3)), "free");
    assert_false(held->ended);
    assert_int_equal(H.sent, 1);
    send_window(1, 2);
    h2_turn();
    assert_string_equal(body_of(held), "he");
    send_window(1, 100);
    h2_turn();
    assert_string_equal(body_of(held), "held");
    assert_true(held->ended);
}

static void test_connection_window_is_kept(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    struct answer *a = get(1, "/big?100000");
    assert_int_equal(a->body.len, 65535);
    assert_int_equal(get(3, "/empty")->heads, 1); /* what needs no window goes on */
    send_window(0, 10);
    h2_turn();
    assert_int_equal(a->body.len, 65545);
    send_window(0, 1 << 20);
    h2_turn();
    assert_true(a->ended);
}

static void test_large_bodies_take_turns(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    get(1, "/big?300000");
    get(3, "/big?300000");
    get(5, "/now?small");
    for (int i = 0; i < 5; i++) {
        send_window(0, 40000);
        h2_turn();
    }
    size_t a = answer_of(1)->body.len, b = answer_of(3)->body.len;
    assert_string_equal(body_of(answer_of(5)), "small"); /* it did not wait for them */
    assert_true(b > 0 && a > 0);
    assert_in_range(a - b, 0, 65535 + 16384);
    size_t before_a = a, before_b = b;
    for (int i = 0; i < 4; i++) {
        send_window(0, 32768);
        h2_turn();
    }
    assert_int_equal(answer_of(1)->body.len - before_a, 2 * 32768);
    assert_int_equal(answer_of(3)->body.len - before_b, 2 * 32768);
}

static void test_max_frame_size_of_the_peer_is_kept(void **state)
{
    (void)state;
    struct answer *a = get(1, "/big?50000");
    assert_int_equal(a->body.len, 50000);
    assert_int_equal(a->frames, 4); /* 16384 each */
}

/* --- what waits for the kernel --- */

static void test_a_peer_that_does_not_read_costs_little(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10 << 20);
    send_window(0, 100 << 20);
    for (uint32_t id = 1; id <= 19; id += 2) {
        put_request("GET", "/big?900000");
        send_block(id, END_HEADERS | END_STREAM);
    }
    h2_turn_unread();
    uint64_t out = counted(METRIC_BYTES_OUT);
    assert_true(out < 4 << 20); /* the socket's buffer, not all of it */
    /* Nothing more is taken in meanwhile. */
    uint64_t in = counted(METRIC_BYTES_IN);
    for (int i = 0; i < 5; i++)
        send_ping(0);
    assert_int_equal(counted(METRIC_BYTES_IN), in);
    h2_turn();
    for (uint32_t id = 1; id <= 19; id += 2)
        assert_int_equal(answer_of(id)->body.len, 900000);
    assert_int_equal(P.ping_acks, 5);
    assert_int_equal(H.sent, 10);
}

/* on_sent is when the kernel has it all, not when it is in frames. */
static void test_sent_when_the_kernel_has_it(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10 << 20);
    send_window(0, 100 << 20);
    int small = 4096;
    assert_int_equal(setsockopt(H.client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    put_request("GET", "/big?999999");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn_unread();
    assert_int_equal(H.sent, 0);
    h2_turn();
    assert_int_equal(H.sent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H2_TEST(test_answer_has_the_common_fields),
        H2_TEST(test_application_fields_are_lower_case),
        H2_TEST(test_head_has_no_body),
        H2_TEST(test_204_has_neither_length_nor_body),
        H2_TEST(test_many_answers_in_one_write),
        H2_TEST(test_large_body_arrives_whole),
        H2_TEST(test_stream_window_of_zero_holds_only_its_stream),
        H2_TEST(test_connection_window_is_kept),
        H2_TEST(test_large_bodies_take_turns),
        H2_TEST(test_max_frame_size_of_the_peer_is_kept),
        H2_TEST(test_a_peer_that_does_not_read_costs_little),
        H2_TEST(test_sent_when_the_kernel_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
