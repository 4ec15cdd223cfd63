/* h2_body_test - bodies: in pieces, with trailers, over a limit, and the windows they need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"

static void test_body_in_pieces(void **state)
{
    (void)state;
    struct answer *a = post(1, "/echo");
    send_data(1, "one ", 0);
    send_data(1, "two ", 0);
    h2_turn();
    assert_int_equal(H.bodies, 0);
    send_data(1, "three", END_STREAM);
    h2_turn();
    assert_string_equal(body_of(a), "one two three");
    assert_int_equal(a->reset, NOT_RESET);
}

static void test_padding_is_no_body(void **state)
{
    (void)state;
    post(1, "/echo");
    send_frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED | END_STREAM, 1, "\3abc\0\0\0", 7);
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "abc");
}

static void test_trailers_are_ignored(void **state)
{
    (void)state;
    post(1, "/echo");
    send_data(1, "body", 0);
    put_field("x-checksum", "1");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "body");
}

static void test_trailers_have_a_limit(void **state)
{
    (void)state;
    char *value = filled('v', 9000);
    post(1, "/echo");
    put_field("a", value);
    send_block(1, END_STREAM);
    put_field("b", value);
    send_frame(NGHTTP2_CONTINUATION, END_HEADERS, 1, P.block.data, P.block.len);
    buf_reset(&P.block);
    free(value);
    h2_turn();
    assert_refused(answer_of(1), "400", "trailer");
    assert_int_equal(H.bodies, 0);
}

static void test_trailers_that_do_not_end_the_stream(void **state)
{
    (void)state;
    post(1, "/echo");
    put_field("x-checksum", "1");
    send_block(1, END_HEADERS);
    h2_turn();
    assert_int_equal(answer_of(1)->reset, NGHTTP2_PROTOCOL_ERROR);
}

/* Before it is read whole: by what content-length says. */
static void test_announced_body_over_the_limit(void **state)
{
    (void)state;
    put_request("POST", "/small");
    put_field("content-length", "11");
    send_block(1, END_HEADERS);
    h2_turn();
    assert_refused(answer_of(1), "413", "body_size");
    assert_int_equal(answer_of(1)->reset, NGHTTP2_NO_ERROR);
    assert_int_equal(H.bodies, 0);
}

static void test_body_over_the_limit(void **state)
{
    (void)state;
    post(1, "/small");
    send_data(1, "0123456789", 0);
    h2_turn();
    assert_int_equal(answer_of(1)->heads, 0);
    send_data(1, "x", 0);
    h2_turn();
    assert_refused(answer_of(1), "413", "body_size");
    assert_int_equal(answer_of(1)->reset, NGHTTP2_NO_ERROR);
    send_data(1, "and more", 0); /* on its way when the answer came */
    assert_string_equal(body_of(get(3, "/now?alive")), "alive");
}

static void test_answer_before_the_body(void **state)
{
    (void)state;
    struct answer *a = post(1, "/deny");
    assert_true(has_field(a, ":status: 401\n"));
    assert_true(a->ended);
    assert_int_equal(a->reset, NGHTTP2_NO_ERROR);
    assert_int_equal(H.sent, 1);
    assert_int_equal(H.bodies, 0);
}

static void test_expect_is_answered_when_the_body_is_wanted(void **state)
{
    (void)state;
    put_request("POST", "/echo");
    put_field("expect", "100-continue");
    send_block(1, END_HEADERS);
    h2_turn();
    assert_string_equal(answer_of(1)->fields, ":status: 100\n");
    assert_false(answer_of(1)->ended);
    send_data(1, "body", END_STREAM);
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "body");
    assert_int_equal(answer_of(1)->heads, 2);
    put_request("POST", "/deny");
    put_field("expect", "100-continue");
    send_block(3, END_HEADERS);
    h2_turn();
    assert_true(strncmp(answer_of(3)->fields, ":status: 401\n", 13) == 0);
}

static void test_windows_are_given_back(void **state)
{
    (void)state;
    static char bytes[16384];
    memset(bytes, 'b', sizeof(bytes));
    P.window[0] = 0;
    post(1, "/echo");
    for (int i = 0; i < 16; i++) {
        send_frame(NGHTTP2_DATA, i == 15 ? END_STREAM : 0, 1, bytes, sizeof(bytes));
        h2_turn();
    }
    assert_true(P.window[1] >= 16 * sizeof(bytes) - 65536);
    send_window(0, 1 << 20);
    send_window(1, 1 << 20);
    h2_turn();
    assert_int_equal(answer_of(1)->body.len, 16 * sizeof(bytes));
    assert_true(answer_of(1)->ended);
}

/* Past limits.request in memory only the oldest body goes on; when it is done, the next. */
static void test_bodies_beyond_memory_wait(void **state)
{
    (void)state;
    static char bytes[16384];
    H.conf.limit_request = 100000;
    post(1, "/echo");
    post(3, "/echo");
    post(5, "/echo");
    for (uint32_t id = 1; id <= 5; id += 2) {
        for (int i = 0; i < 3; i++)
            send_frame(NGHTTP2_DATA, 0, id, bytes, sizeof(bytes));
    }
    h2_turn();
    P.window[1] = 0;
    send_frame(NGHTTP2_DATA, 0, 5, bytes, 8192); /* its window is nearly closed */
    h2_turn();
    assert_int_equal(P.window[1], 0);
    send_frame(NGHTTP2_DATA, 0, 1, bytes, 16384);
    h2_turn();
    assert_true(P.window[1] > 0); /* the oldest */
    send_frame(NGHTTP2_DATA, END_STREAM, 1, bytes, 0);
    send_window(0, 65536);
    send_window(1, 65536);
    h2_turn();
    assert_true(answer_of(1)->ended);
    P.window[1] = 0;
    send_frame(NGHTTP2_DATA, 0, 3, bytes, 16384); /* it is the oldest now */
    h2_turn();
    assert_true(P.window[1] > 0);
}

/* What all bodies of the worker hold together counts, and is given back. */
static void test_bodies_have_a_ceiling(void **state)
{
    (void)state;
    static char bytes[8192];
    memset(bytes, 'b', sizeof(bytes));
    H.conf.limit_bodies = 20000;
    post(1, "/echo");
    send_frame(NGHTTP2_DATA, 0, 1, bytes, sizeof(bytes));
    send_frame(NGHTTP2_DATA, 0, 1, bytes, sizeof(bytes));
    post(3, "/echo");
    send_frame(NGHTTP2_DATA, END_STREAM, 3, bytes, sizeof(bytes));
    h2_turn();
    assert_true(strncmp(answer_of(3)->fields, ":status: 503\n", 13) == 0);
    assert_int_equal(H.metrics->v[METRIC_BODIES_REFUSED], 1);
    send_frame(NGHTTP2_DATA, END_STREAM, 1, bytes, 0);
    h2_turn();
    assert_int_equal(answer_of(1)->body.len, 2 * sizeof(bytes));
    assert_int_equal(H.w.bodies, 0);
    post(5, "/echo");
    send_frame(NGHTTP2_DATA, END_STREAM, 5, bytes, sizeof(bytes));
    h2_turn();
    assert_int_equal(answer_of(5)->body.len, sizeof(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H2_TEST(test_body_in_pieces),
        H2_TEST(test_padding_is_no_body),
        H2_TEST(test_trailers_are_ignored),
        H2_TEST(test_trailers_have_a_limit),
        H2_TEST(test_trailers_that_do_not_end_the_stream),
        H2_TEST(test_announced_body_over_the_limit),
        H2_TEST(test_body_over_the_limit),
        H2_TEST(test_answer_before_the_body),
        H2_TEST(test_expect_is_answered_when_the_body_is_wanted),
        H2_TEST(test_windows_are_given_back),
        H2_TEST(test_bodies_beyond_memory_wait),
        H2_TEST(test_bodies_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
