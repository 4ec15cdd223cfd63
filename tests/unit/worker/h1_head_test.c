/* h1_head: views, methods, targets, persistence, and every framing two readers could read
 * differently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/h1_head.h"

static enum h1_fault parse(const char *text, struct h1_head *ret)
{
    return h1_head_parse(text, strlen(text), ret);
}

static void assert_str(struct str s, const char *text)
{
    assert_int_equal(s.n, strlen(text));
    if (s.n)
        assert_memory_equal(s.p, text, s.n);
}

static void test_views(void **state)
{
    (void)state;
    struct h1_head h;
    assert_int_equal(parse("POST /v1/a%20b?x=1&y HTTP/1.1\r\nHost: h:80\r\nA:  b c \t\r\nEmpty:\r\n"
                           "Content-Length: 007\r\n\r\n",
                           &h),
                     H1_FINE);
    assert_int_equal(h.method, METHOD_POST);
    assert_str(h.method_text, "POST");
    assert_str(h.target, "/v1/a%20b?x=1&y");
    assert_str(h.path, "/v1/a%20b");
    assert_str(h.query, "x=1&y");
    assert_int_equal(h.nheaders, 4);
    assert_str(h.headers[1].name, "A");
    assert_str(h.headers[1].value, "b c");
    assert_str(h.headers[2].name, "Empty");
    assert_str(h.headers[2].value, "");
    assert_int_equal(h.framing, H1_LENGTH);
    assert_int_equal(h.length, 7);
    assert_true(h.keep_alive);
    assert_false(h.http10);
}

static void test_methods(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum method method;
        enum h1_fault fault;
    } rows[] = {
        {"GET", METHOD_GET, H1_FINE},         {"HEAD", METHOD_HEAD, H1_FINE},
        {"POST", METHOD_POST, H1_FINE},       {"PUT", METHOD_PUT, H1_FINE},
        {"PATCH", METHOD_PATCH, H1_FINE},     {"DELETE", METHOD_DELETE, H1_FINE},
        {"OPTIONS", METHOD_OPTIONS, H1_FINE}, {"TRACE", METHOD_OTHER, H1_FINE},
        {"PROPFIND", METHOD_OTHER, H1_FINE},  {"BREW", METHOD_OTHER, H1_METHOD},
        {"get", METHOD_OTHER, H1_METHOD},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[128];
        struct h1_head h;
        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].name);
        assert_int_equal(parse(text, &h), rows[i].fault);
        if (rows[i].fault == H1_FINE)
            assert_int_equal(h.method, rows[i].method);
    }
}

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum h1_fault fault;
        const char *path, *query;
    } rows[] = {
        {"GET / HTTP/1.1", H1_FINE, "/", ""},
        {"GET /? HTTP/1.1", H1_FINE, "/", ""},
        {"GET /a??b HTTP/1.1", H1_FINE, "/a", "?b"},
        {"GET //x/../y HTTP/1.1", H1_FINE, "//x/../y", ""},
        {"GET http://h/p?q HTTP/1.1", H1_FINE, "/p", "q"},
        {"GET HTTPS://h:1/p HTTP/1.1", H1_FINE, "/p", ""},
        {"GET http://h HTTP/1.1", H1_FINE, "/", ""},
        {"GET http://h?q=1 HTTP/1.1", H1_FINE, "/", "q=1"},
        {"GET http:///p HTTP/1.1", H1_TARGET, "", ""},
        {"GET ftp://h/p HTTP/1.1", H1_TARGET, "", ""},
        {"GET http://u@h/p HTTP/1.1", H1_TARGET, "", ""},
        {"GET h/p HTTP/1.1", H1_TARGET, "", ""},
        {"GET h:80 HTTP/1.1", H1_TARGET, "", ""},
        {"GET * HTTP/1.1", H1_TARGET, "", ""},
        {"OPTIONS * HTTP/1.1", H1_FINE, "*", ""},
        {"CONNECT h:80 HTTP/1.1", H1_CONNECT, "", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[128];
        struct h1_head h;
        snprintf(text, sizeof(text), "%s\r\nHost: h\r\n\r\n", rows[i].line);
        enum h1_fault f = parse(text, &h);
        if (f != rows[i].fault)
            print_error("row %zu: %s\n", i, rows[i].line);
        assert_string_equal(h1_fault_reason(f), h1_fault_reason(rows[i].fault));
        if (f != H1_FINE)
            continue;
        assert_str(h.path, rows[i].path);
        assert_str(h.query, rows[i].query);
    }
}

#define P11 "POST / HTTP/1.1\r\nHost: h\r\n"
#define P10 "POST / HTTP/1.0\r\n"

/* The request smuggling table: each row is a way to make two readers disagree. */
static void test_framing_faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum h1_fault fault;
    } rows[] = {
        {P11 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", H1_LENGTH_AND_TE},
        {P11 "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", H1_LENGTH_AND_TE},
        {P11 "transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n", H1_LENGTH_AND_TE},
        {P11 "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", H1_LENGTH_TWICE},
        {P11 "Content-Length: 5\r\nContent-length: 6\r\n\r\n", H1_LENGTH_TWICE},
        {P11 "Content-Length: 5, 5\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: +5\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: -5\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: 0x5\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: 5 5\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: 5;\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: five\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length:\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: \t \r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: 18446744073709551615\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: 18446744073709551616\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Content-Length: 99999999999999999999999\r\n\r\n", H1_LENGTH_INVALID},
        {P11 "Transfer-Encoding: gzip\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding: identity\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding: gzip, chunked\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding: chunked, identity\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding: xchunked\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding: chunked;q=1\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding: \"chunked\"\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding:\r\n\r\n", H1_TE_UNKNOWN},
        {P11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", H1_TE_TWICE},
        {P11 "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", H1_TE_TWICE},
        {P10 "Transfer-Encoding: chunked\r\n\r\n", H1_TE_HTTP10},
        {"GET / HTTP/1.1\r\n\r\n", H1_HOST_MISSING},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", H1_HOST_TWICE},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", H1_HOST_INVALID},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", H1_HOST_INVALID},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", H1_HOST_INVALID},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", H1_HOST_INVALID},
        {P11 "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n",
         H1_UPGRADE_BODY},
        {P11
         "Connection: keep-alive, upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n",
         H1_UPGRADE_BODY},
        {P11 "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n", H1_EXPECT},
        {P11 "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", H1_EXPECT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct h1_head h;
        enum h1_fault f = parse(rows[i].text, &h);
        if (f != rows[i].fault)
            print_error("row %zu: %s\n", i, rows[i].text);
        assert_string_equal(h1_fault_reason(f), h1_fault_reason(rows[i].fault));
    }
}

static void test_framing_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum h1_framing framing;
        uint64_t length;
        bool keep_alive, expect;
    } rows[] = {
        {P11 "\r\n", H1_NO_BODY, 0, true, false},
        {P11 "Content-Length: 0\r\n\r\n", H1_NO_BODY, 0, true, false},
        {P11 "Content-Length: 1844674407370955160\r\n\r\n", H1_LENGTH, 1844674407370955160u, true,
         false},
        {P11 "Transfer-Encoding: Chunked\r\n\r\n", H1_CHUNKED, 0, true, false},
        {P11 "Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n", H1_CHUNKED, 0, true,
         true},
        {P11 "Expect: 100-continue\r\n\r\n", H1_NO_BODY, 0, true, false},
        {P11 "Connection: close\r\n\r\n", H1_NO_BODY, 0, false, false},
        {P11 "Connection: Keep-Alive ,\tCLOSE\r\n\r\n", H1_NO_BODY, 0, false, false},
        {P11 "Connection: foo\r\nConnection: close\r\n\r\n", H1_NO_BODY, 0, false, false},
        {P11 "Connection: closed\r\n\r\n", H1_NO_BODY, 0, true, false},
        {P10 "\r\n", H1_NO_BODY, 0, false, false},
        {P10 "Connection: keep-alive\r\nContent-Length: 3\r\n\r\n", H1_LENGTH, 3, true, false},
        {P10 "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", H1_LENGTH, 3, false, false},
        {P11 "Upgrade: websocket\r\nContent-Length: 1\r\n\r\n", H1_LENGTH, 1, true, false},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", H1_NO_BODY, 0, true, false},
        {"GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         H1_NO_BODY, 0, true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct h1_head h;
        enum h1_fault f = parse(rows[i].text, &h);
        if (f != H1_FINE)
            print_error("row %zu: %s\n", i, rows[i].text);
        assert_string_equal(h1_fault_reason(f), "fine");
        assert_int_equal(h.framing, rows[i].framing);
        assert_true(h.length == rows[i].length);
        assert_int_equal(h.keep_alive, rows[i].keep_alive);
        assert_int_equal(h.expect, rows[i].expect);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_framing_faults),
        cmocka_unit_test(test_framing_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
