/* h1_read: requests out of bytes, through a connection: cut anywhere, pipelined, refused, too
 * large, with 100-continue, with bodies of every framing. */
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

static void assert_lacks(const char *text, const char *what)
{
    if (strstr(text, what))
        fail_msg("%s\nis in\n%s", what, text);
}

static void reconnect(void)
{
    close_client();
    turn_unread();
    received();
    connect_client();
}

static void test_body_by_length(void **state)
{
    (void)state;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" GET("/now?next"));
    const char *r = received();
    assert_contains(r, "\r\n\r\nhelloHTTP/1.1 200 OK\r\n");
    assert_contains(r, "\r\n\r\nnext");
    assert_int_equal(H.sent, 2);
}

static void test_body_in_chunks(void **state)
{
    (void)state;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: ignored\r\n\r\n" GET("/now?next"));
    const char *r = received();
    assert_contains(r, "\r\n\r\nhelloHTTP/1.1 200 OK\r\n");
    assert_contains(r, "\r\n\r\nnext");
}

/* The same requests cut at every byte boundary: the same answers. */
static void test_cut_at_every_byte(void **state)
{
    (void)state;
    static const char text[] =
        "\r\nPOST /echo?a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
        "GET /now?last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        send_bytes(text, cut);
        turn();
        send_bytes(text + cut, sizeof(text) - 1 - cut);
        turn();
        assert_true(H.client_eof);
        const char *r = received();
        assert_int_equal(count_of(r, "HTTP/1.1 200 OK\r\n"), 3);
        assert_contains(r, "\r\n\r\nabcHTTP");
        assert_contains(r, "\r\n\r\ndeHTTP");
        assert_contains(r, "\r\n\r\nlast");
        reconnect();
    }
    /* And one byte at a time. */
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        send_bytes(text + i, 1);
    turn();
    assert_int_equal(count_of(received(), "HTTP/1.1 200 OK\r\n"), 3);
    assert_int_equal(H.gone, 0);
}

/* Each is answered with its code and reason, once, and closed; the request smuggled behind it is
 * not heard. The details are in the tests of h1_scan, h1_head and h1_chunk. */
static void test_faults_are_answered_and_close(void **state)
{
    (void)state;
    static const struct {
        const char *text, *status, *reason;
    } rows[] = {
        {"GET / HTTP/1.1\nHost: h\n\n", "400 Bad Request", "bare_lf"},
        {"\x16\x03\x01", "400 Bad Request", "control_character"},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400 Bad Request", "length_and_encoding"},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\n", "400 Bad Request",
         "length_invalid"},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented",
         "encoding_unknown"},
        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "host_missing"},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "501 Not Implemented", "method"},
        {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "501 Not Implemented", "connect"},
        {"GET /\r\n", "505 HTTP Version Not Supported", "http_0_9"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported", "http_2_preface"},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: x\r\n\r\n",
         "417 Expectation Failed", "expect"},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
         "400 Bad Request", "chunk_size"},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
         "400 Bad Request", "chunk_end"},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx\r\n\r\n",
         "400 Bad Request", "trailer"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char reason[64];
        snprintf(reason, sizeof(reason), "\"reason\":\"%s\"", rows[i].reason);
        send_text(rows[i].text);
        send_text(GET("/now?smuggled"));
        const char *r = received();
        assert_int_equal(count_of(r, "\r\nServer: restante\r\n"), 1);
        assert_contains(r, rows[i].status);
        assert_contains(r, reason);
        assert_contains(r, "Connection: close\r\n");
        assert_contains(r, "X-Request-Id: ");
        assert_contains(r, "Content-Type: application/problem+json\r\n");
        assert_lacks(r, "smuggled\r\n\r\n");
        assert_true(H.client_eof);
        reconnect();
    }
    assert_int_equal(H.metrics->v[METRIC_CLOSED_PROTOCOL], sizeof(rows) / sizeof(rows[0]));
}

static void test_fault_waits_for_its_turn(void **state)
{
    (void)state;
    send_text(GET("/later") "GET / HTTP/1.1\r\n\r\n");
    assert_string_equal(received(), "");
    answer_text(H.held[0], STR("first"));
    turn();
    const char *r = received();
    assert_contains(r, "\r\n\r\nfirstHTTP/1.1 400 ");
    assert_true(H.client_eof);
}

static void test_fault_of_head_has_no_body(void **state)
{
    (void)state;
    send_text("HEAD / HTTP/1.1\r\n\r\n");
    const char *r = received();
    assert_contains(r, "HTTP/1.1 400 ");
    assert_string_equal(strstr(r, "\r\n\r\n"), "\r\n\r\n");
}

static void test_header_limits(void **state)
{
    (void)state;
    char text[20000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "GET /", 5);
    send_bytes(text, 9000);
    turn();
    assert_contains(received(), "HTTP/1.1 414 URI Too Long");
    reconnect();

    int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nA: ");
    memset(text + n, 'x', 17000);
    send_bytes(text, 17000);
    turn();
    assert_contains(received(), "HTTP/1.1 431 Request Header Fields Too Large");
    reconnect();

    n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 100; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "A: %d\r\n", i);
    n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
    send_bytes(text, (size_t)n);
    turn();
    const char *r = received();
    assert_contains(r, "HTTP/1.1 431 ");
    assert_contains(r, "header_count");
}

static void test_second_empty_line_is_no_request(void **state)
{
    (void)state;
    send_text("\r\n\r\n");
    assert_contains(received(), "\"reason\":\"request_line\"");
}

/* --- bodies that are not wanted --- */

static void test_too_large_by_length(void **state)
{
    (void)state;
    send_text("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789");
    assert_contains(received(), "HTTP/1.1 200 ");
    send_text("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n");
    const char *r = received();
    assert_contains(r, "HTTP/1.1 413 ");
    assert_lacks(r, "Connection: close");
    /* Eleven bytes are read and dropped; the connection lives on. */
    send_text("0123456789x" GET("/now?alive"));
    assert_contains(received(), "\r\n\r\nalive");
    assert_int_equal(H.bodies, 2);
}

static void test_far_too_large_closes(void **state)
{
    (void)state;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n");
    const char *r = received();
    assert_contains(r, "HTTP/1.1 413 ");
    assert_contains(r, "Connection: close");
    assert_true(H.client_eof);
    /* What comes is read for a while, so that the answer is not lost. */
    send_text("0123456789");
    assert_int_equal(h1_connections(H.w.h1), 1);
    char *junk = calloc(1, H1_DROP_MAX + 1);
    assert_non_null(junk);
    send_bytes(junk, H1_DROP_MAX + 1);
    free(junk);
    turn();
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_too_large_in_chunks(void **state)
{
    (void)state;
    send_text("POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
              "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n");
    assert_contains(received(), "\r\n\r\n0123456789");
    send_text("POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
              "6\r\n012345\r\n5\r\n");
    const char *r = received();
    assert_contains(r, "HTTP/1.1 413 ");
    assert_contains(r, "Connection: close");
    assert_true(H.client_eof);
}

static void test_chunk_size_near_2_to_64(void **state)
{
    (void)state;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
              "1\r\na\r\nffffffffffffffff\r\n");
    assert_contains(received(), "HTTP/1.1 413 ");
}

static void test_answered_before_the_body(void **state)
{
    (void)state;
    send_text("POST /deny HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello" GET("/now?next"));
    const char *r = received();
    assert_contains(r, "HTTP/1.1 401 ");
    assert_contains(r, "WWW-Authenticate: Bearer\r\n");
    assert_contains(r, "\r\n\r\nnext");
    assert_int_equal(H.bodies, 1);
    /* Chunks of unknown length are not waited for. */
    send_text("POST /deny HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_contains(received(), "Connection: close\r\n");
    assert_true(H.client_eof);
}

/* --- Expect --- */

#define EXPECTING(path)                                                                            \
    "POST " path " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

static void test_continue(void **state)
{
    (void)state;
    send_text(EXPECTING("/echo"));
    assert_string_equal(received(), "HTTP/1.1 100 Continue\r\n\r\n");
    send_text("hello");
    const char *r = received();
    assert_contains(r, "HTTP/1.1 200 OK\r\n");
    assert_contains(r, "\r\n\r\nhello");
}

static void test_continue_is_judged_first(void **state)
{
    (void)state;
    send_text(EXPECTING("/deny"));
    const char *r = received();
    assert_lacks(r, "100 Continue");
    assert_contains(r, "HTTP/1.1 401 ");
    assert_contains(r, "Connection: close\r\n");
    assert_true(H.client_eof);
    reconnect();
    send_text(
        "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    r = received();
    assert_lacks(r, "100 Continue");
    assert_contains(r, "HTTP/1.1 413 ");
    assert_true(H.client_eof);
}

static void test_continue_waits_for_its_turn(void **state)
{
    (void)state;
    send_text(GET("/later") EXPECTING("/echo"));
    assert_string_equal(received(), "");
    answer_text(H.held[0], STR("first"));
    turn();
    const char *r = received();
    assert_contains(r, "\r\n\r\nfirstHTTP/1.1 100 Continue\r\n\r\n");
    send_text("hello");
    assert_contains(received(), "\r\n\r\nhello");
}

static void test_no_continue_when_the_body_is_here(void **state)
{
    (void)state;
    send_text(EXPECTING("/echo") "hello");
    const char *r = received();
    assert_lacks(r, "100 Continue");
    assert_contains(r, "\r\n\r\nhello");
    reconnect();
    send_text("POST /echo HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(received(), ""); /* HTTP/1.0 knows no 100 */
}

/* --- the end of input --- */

static void test_half_close_still_gets_answers(void **state)
{
    (void)state;
    send_bytes(GET("/later"), strlen(GET("/later")));
    shutdown(H.client, SHUT_WR);
    turn();
    assert_int_equal(H.gone, 0);
    answer_text(H.held[0], STR("late"));
    turn();
    assert_contains(received(), "\r\n\r\nlate");
    assert_true(H.client_eof);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_cut_body_is_gone_but_not_those_before(void **state)
{
    (void)state;
    send_text(GET("/later") "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    shutdown(H.client, SHUT_WR);
    turn();
    assert_int_equal(H.gone, 1);
    answer_text(H.held[0], STR("late"));
    turn();
    assert_int_equal(count_of(received(), "HTTP/1.1 "), 1);
    assert_int_equal(H.sent, 1);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_cut_head_closes(void **state)
{
    (void)state;
    send_text("GET /now HTTP/1.1\r\nHo");
    shutdown(H.client, SHUT_WR);
    turn();
    assert_string_equal(received(), "");
    assert_int_equal(h1_connections(H.w.h1), 0);
}

/* All bodies together have a ceiling: by the length that is announced, and by what comes. */
static void test_bodies_have_a_ceiling(void **state)
{
    (void)state;
    H.conf.limit_bodies = 8192;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 8193\r\n\r\n");
    const char *r = received();
    assert_contains(r, "HTTP/1.1 503 ");
    assert_contains(r, "Retry-After: ");
    assert_contains(r, "\"code\":\"unavailable\"");
    assert_contains(r, "\"outcome\":\"none\",\"reason\":\"bodies\"");
    assert_int_equal(H.metrics->v[METRIC_BODIES_REFUSED], 1);
    reconnect();

    static char chunk[4096 + 1];
    memset(chunk, 'x', sizeof(chunk) - 1);
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        send_text("1000\r\n");
        send_text(chunk);
        send_text("\r\n");
    }
    assert_contains(received(), "\"reason\":\"bodies\"");
    assert_int_equal(H.metrics->v[METRIC_BODIES_REFUSED], 2);
    assert_int_equal(H.bodies, 0);
    reconnect();

    /* What others hold counts, and what is held is given back. */
    assert_int_equal(H.metrics->v[METRIC_BODIES_BYTES], 0);
    H.w.bodies = 8192;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_contains(received(), "\"reason\":\"bodies\"");
    H.w.bodies = 0;
    reconnect();
    send_text("POST /park HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    assert_true(H.w.bodies >= 5);
    assert_int_equal(H.metrics->v[METRIC_BODIES_BYTES], H.w.bodies);
    reconnect();
    assert_int_equal(H.w.bodies, 0);
    assert_int_equal(H.metrics->v[METRIC_BODIES_BYTES], 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, harness_up, harness_down)
    const struct CMUnitTest tests[] = {
        T(test_body_by_length),
        T(test_body_in_chunks),
        T(test_cut_at_every_byte),
        T(test_faults_are_answered_and_close),
        T(test_fault_waits_for_its_turn),
        T(test_fault_of_head_has_no_body),
        T(test_header_limits),
        T(test_second_empty_line_is_no_request),
        T(test_too_large_by_length),
        T(test_far_too_large_closes),
        T(test_too_large_in_chunks),
        T(test_chunk_size_near_2_to_64),
        T(test_answered_before_the_body),
        T(test_continue),
        T(test_continue_is_judged_first),
        T(test_continue_waits_for_its_turn),
        T(test_no_continue_when_the_body_is_here),
        T(test_half_close_still_gets_answers),
        T(test_cut_body_is_gone_but_not_those_before),
        T(test_cut_head_closes),
        T(test_bodies_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
