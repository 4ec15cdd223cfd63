/* h1_write: order of pipelined answers, large answers, HEAD, streams, slow readers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h1_harness.h"

static void assert_contains(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("%s\nis not in\n%s", what, text);
}

static void test_answers_keep_their_order(void **state)
{
    (void)state;
    send_text(GET("/later?0") GET("/later?1") GET("/now?2") GET("/later?3"));
    assert_int_equal(H.nheld, 3); /* all are worked on at once */
    answer_text(H.held[2], STR("three"));
    answer_text(H.held[1], STR("one"));
    turn();
    assert_string_equal(received(), "");
    assert_int_equal(H.sent, 0);
    answer_text(H.held[0], STR("zero"));
    turn();
    const char *r = received();
    const char *zero = strstr(r, "\r\n\r\nzero"), *one = strstr(r, "\r\n\r\none"),
               *two = strstr(r, "\r\n\r\n2"), *three = strstr(r, "\r\n\r\nthree");
    assert_true(zero && one && two && three);
    assert_true(zero < one && one < two && two < three);
    assert_int_equal(H.sent, 4);
    assert_int_equal(H.gone, 0);
}

static void test_a_parked_first_does_not_stop_the_others(void **state)
{
    (void)state;
    send_text(GET("/park") GET("/now?a") GET("/now?b"));
    assert_int_equal(H.bodies, 3);
    assert_int_equal(H.metrics->v[METRIC_POLLS_PARKED], 1);
    answer_text(H.held[0], STR("woken"));
    turn();
    assert_contains(received(), "\r\n\r\nwokenHTTP/1.1 200 OK");
    assert_int_equal(H.metrics->v[METRIC_POLLS_PARKED], 0);
    assert_int_equal(H.sent, 3);
}

static void test_reading_pauses_at_the_pipeline_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        send_text(GET("/later"));
    assert_int_equal(H.heads, 4);
    answer_text(H.held[0], STR(""));
    turn();
    assert_int_equal(H.heads, 5);
    for (size_t i = 1; i < 5; i++)
        answer_text(H.held[i], STR(""));
    turn();
    assert_int_equal(H.heads, 6);
    answer_text(H.held[5], STR(""));
    turn();
    assert_int_equal(count_of(received(), "HTTP/1.1 200 OK"), 6);
}

static void test_a_whole_pipeline_in_one_packet(void **state)
{
    (void)state;
    char text[64 * 64] = "";
    for (int i = 0; i < 50; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof(text) - at, "GET /now?%02d HTTP/1.1\r\nHost: h\r\n\r\n", i);
    }
    send_text(text);
    const char *r = received();
    assert_int_equal(count_of(r, "HTTP/1.1 200 OK"), 50);
    for (int i = 0; i < 50; i++) {
        char body[16];
        snprintf(body, sizeof(body), "\r\n\r\n%02d", i);
        r = strstr(r, body);
        assert_non_null(r);
    }
}

static void test_large_answers_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {H1_COPY_MAX, H1_COPY_MAX + 1, 300000, 5u << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char text[128], length[64];
        snprintf(text, sizeof(text),
                 "GET /big?%zu HTTP/1.1\r\nHost: h\r\n\r\nGET /now?end HTTP/1.1\r\nHost: h\r\n\r\n",
                 sizes[i]);
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", sizes[i]);
        send_text(text);
        const char *r = received();
        assert_contains(r, length);
        const char *body = strstr(r, "\r\n\r\n") + 4;
        assert_int_equal(strspn(body, "b"), sizes[i]);
        assert_contains(body + sizes[i], "\r\n\r\nend");
    }
    assert_int_equal(H.sent, 8);
}

static void test_a_reader_that_is_slow_holds_back_reading(void **state)
{
    (void)state;
    send_bytes(GET("/big?1000000"), strlen(GET("/big?1000000")));
    turn_unread();
    assert_int_equal(H.sent, 0);
    send_bytes(GET("/now?x") GET("/now?y"), strlen(GET("/now?x") GET("/now?y")));
    turn_unread();
    assert_int_equal(H.heads, 1); /* more than the watermark waits: not read */
    turn();                       /* the client reads */
    assert_int_equal(H.heads, 3);
    assert_contains(received(), "\r\n\r\ny");
    assert_int_equal(H.sent, 3);
}

/* Many small answers, read a little at a time: the buffer does not grow without bound. */
static void test_a_trickling_reader(void **state)
{
    (void)state;
    H.conf.pipeline = 64;
    size_t asked = 0, got = 0, each = 0;
    char bytes[700];
    for (int i = 0; i < 3000; i++) {
        if (send(H.client, GET("/big?1000"), strlen(GET("/big?1000")), MSG_DONTWAIT) > 0)
            asked++;
        turn_unread();
        ssize_t n = recv(H.client, bytes, sizeof(bytes), MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
    }
    turn();
    got += H.got.len;
    received();
    assert_true(asked > 100);
    assert_int_equal(H.sent, asked);
    each = got / asked;
    assert_true(each > 1000 && got == each * asked);
}

static void test_head_has_length_but_no_body(void **state)
{
    (void)state;
    send_text("HEAD /now?12345 HTTP/1.1\r\nHost: h\r\n\r\n" GET("/now?z"));
    const char *r = received();
    assert_contains(r, "Content-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_contains(r, "\r\n\r\nz");
}

static void test_204_has_neither(void **state)
{
    (void)state;
    send_text(GET("/empty") GET("/now?z"));
    const char *r = received();
    assert_contains(r, "HTTP/1.1 204 No Content\r\n");
    const char *second = strstr(r + 1, "HTTP/1.1 200");
    assert_non_null(second);
    assert_memory_equal(second - 4, "\r\n\r\n", 4);
    assert_true(strstr(r, "Content-Length") > second);
}

static void test_every_answer_has_its_lines(void **state)
{
    (void)state;
    send_text("GET /now HTTP/1.1\r\nHost: h\r\nX-Request-Id: a-b.c\r\n\r\n");
    const char *r = received();
    assert_contains(r, "\r\nX-Request-Id: a-b.c\r\n");
    assert_contains(r, "\r\nDate: ");
    assert_contains(r, " GMT\r\n");
    assert_contains(r, "\r\nServer: restante\r\n");
    assert_contains(r, "\r\nCache-Control: no-store\r\n");
    assert_contains(r, "\r\nContent-Type: text/plain\r\n");
    assert_contains(r, "\r\nContent-Length: 0\r\n");
}

/* --- persistence --- */

static void test_close_is_said_and_done(void **state)
{
    (void)state;
    send_text("GET /now?a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET("/now?never"));
    const char *r = received();
    assert_contains(r, "\r\nConnection: close\r\n");
    assert_int_equal(count_of(r, "HTTP/1.1 "), 1);
    assert_true(H.client_eof);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_http10(void **state)
{
    (void)state;
    send_text("GET /now?a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_contains(received(), "\r\nConnection: keep-alive\r\n");
    assert_false(H.client_eof);
    send_text("GET /now?a HTTP/1.0\r\n\r\n");
    assert_contains(received(), "\r\nConnection: close\r\n");
    assert_true(H.client_eof);
}

static void test_close_after_drops_what_is_behind(void **state)
{
    (void)state;
    send_text(GET("/close") GET("/later"));
    assert_int_equal(count_of(received(), "HTTP/1.1 "), 1);
    assert_int_equal(H.gone, 1);
    assert_int_equal(H.sent, 1);
    assert_true(H.client_eof);
}

/* --- streams --- */

static void test_stream_in_chunks(void **state)
{
    (void)state;
    send_text(GET("/stream") GET("/now?after"));
    assert_contains(received(), "Transfer-Encoding: chunked\r\n");
    struct exchange *ex = H.held[0];
    assert_int_equal(exchange_stream_write(ex, STR("hello")), 0);
    assert_int_equal(exchange_stream_write(ex, STR("")), 0);
    assert_int_equal(exchange_stream_write(ex, STR("0123456789abcdefg")), 0);
    turn();
    assert_string_equal(received(), "5\r\nhello\r\n11\r\n0123456789abcdefg\r\n");
    exchange_stream_end(ex);
    turn();
    const char *r = received();
    assert_contains(r, "0\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_contains(r, "\r\n\r\nafter");
    assert_int_equal(H.sent, 2);
}

static void test_stream_of_http10_ends_with_the_connection(void **state)
{
    (void)state;
    send_text("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    exchange_stream_write(H.held[0], STR("hello"));
    exchange_stream_end(H.held[0]);
    turn();
    const char *r = received();
    assert_contains(r, "Connection: close\r\n");
    assert_contains(r, "\r\n\r\nhello");
    assert_null(strstr(r, "chunked"));
    assert_null(strstr(r, "Content-Length"));
    assert_true(H.client_eof);
}

static void test_stream_of_head_sends_nothing(void **state)
{
    (void)state;
    send_text("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    exchange_stream_write(H.held[0], STR("hello"));
    exchange_stream_end(H.held[0]);
    send_text(GET("/now?z"));
    const char *r = received();
    assert_int_equal(count_of(r, "hello"), 0);
    assert_contains(r, "chunked\r\n\r\nHTTP/1.1 200 OK");
}

static void test_stream_waits_for_its_turn(void **state)
{
    (void)state;
    send_text(GET("/later") GET("/stream"));
    exchange_stream_write(H.held[1], STR("early"));
    turn();
    assert_string_equal(received(), "");
    answer_text(H.held[0], STR("first"));
    turn();
    const char *r = received();
    assert_contains(r, "\r\n\r\nfirstHTTP/1.1 200 OK");
    assert_contains(r, "\r\n\r\n5\r\nearly\r\n");
}

static void test_stream_holds_back_its_writer(void **state)
{
    (void)state;
    send_text(GET("/stream"));
    received();
    char kilobyte[1024];
    memset(kilobyte, 'k', sizeof(kilobyte));
    size_t taken = 0;
    int r = 0;
    while (r == 0 && taken < 10000) {
        r = exchange_stream_write(H.held[0], str_make(kilobyte, sizeof(kilobyte)));
        taken++;
        turn_unread();
    }
    assert_int_equal(r, -EAGAIN);
    assert_int_equal(H.drained, 0);
    turn();
    assert_int_equal(H.drained, 1);
    assert_int_equal(count_of(received(), "400\r\nkkk"), taken); /* the refused one was taken too */
    assert_int_equal(exchange_stream_write(H.held[0], STR("x")), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, harness_up, harness_down)
    const struct CMUnitTest tests[] = {
        T(test_answers_keep_their_order),
        T(test_a_parked_first_does_not_stop_the_others),
        T(test_reading_pauses_at_the_pipeline_limit),
        T(test_a_whole_pipeline_in_one_packet),
        T(test_large_answers_arrive_whole),
        T(test_a_reader_that_is_slow_holds_back_reading),
        T(test_a_trickling_reader),
        T(test_head_has_length_but_no_body),
        T(test_204_has_neither),
        T(test_every_answer_has_its_lines),
        T(test_close_is_said_and_done),
        T(test_http10),
        T(test_close_after_drops_what_is_behind),
        T(test_stream_in_chunks),
        T(test_stream_of_http10_ends_with_the_connection),
        T(test_stream_of_head_sends_nothing),
        T(test_stream_waits_for_its_turn),
        T(test_stream_holds_back_its_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
