/* h1_scan: the end of a header section, every forbidden byte, every limit, in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/exchange.h"
#include "worker/h1_scan.h"

#define LIMIT 16384

/* Fed whole, and one byte more at a time: both must say the same. */
static enum h1_fault scan(const char *data, size_t n, size_t limit, size_t *ret_len)
{
    struct h1_scan whole = {0}, bytewise = {0};
    size_t len = 0, len2 = 0;
    enum h1_fault f = H1_FINE, f2 = H1_FINE;
    enum h1_scan_result r = h1_scan(&whole, data, n, limit, &len, &f), r2 = H1_SCAN_MORE;
    for (size_t i = 1; i <= n && r2 == H1_SCAN_MORE; i++)
        r2 = h1_scan(&bytewise, data, i, limit, &len2, &f2);
    assert_int_equal(r, r2);
    assert_int_equal(f, f2);
    assert_int_equal(len, len2);
    *ret_len = r == H1_SCAN_WHOLE ? len : 0;
    return f;
}

static enum h1_fault scan_text(const char *text)
{
    size_t len;
    return scan(text, strlen(text), LIMIT, &len);
}

static void test_finds_the_end(void **state)
{
    (void)state;
    const char *text = "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t v\xc3\xa9 \r\n\r\nrest";
    size_t len;
    assert_int_equal(scan(text, strlen(text), LIMIT, &len), H1_FINE);
    assert_int_equal(len, strlen(text) - 4);
    assert_int_equal(scan(text, len - 1, LIMIT, &len), H1_FINE);
    assert_int_equal(len, 0);
}

static void test_tells_faults_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum h1_fault fault;
    } rows[] = {
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", H1_BARE_LF},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", H1_BARE_LF},
        {"GET / HTTP/1.1\r\nHost: a\r\n\n", H1_BARE_LF},
        {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", H1_BARE_CR},
        {"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", H1_BARE_CR},
        {"GET / HTTP/1.1\r\nHost: a\r\n\rX", H1_BARE_CR},
        {"GET /\x01 HTTP/1.1\r\n\r\n", H1_CONTROL},
        {"GET /\x7f HTTP/1.1\r\n\r\n", H1_CONTROL},
        {"\x16\x03\x01\x02", H1_CONTROL},
        {"GET / HTTP/1.1\r\nA: b\x02\r\n\r\n", H1_CONTROL},
        {"GET / HTTP/1.1\r\nA\x1f: b\r\n\r\n", H1_CONTROL},
        {"GET / HTTP/1.1 \r\n\r\n", H1_REQUEST_LINE},
        {"GET  / HTTP/1.1\r\n\r\n", H1_REQUEST_LINE},
        {" GET / HTTP/1.1\r\n\r\n", H1_REQUEST_LINE},
        {"GET\t/ HTTP/1.1\r\n\r\n", H1_REQUEST_LINE},
        {"G(T / HTTP/1.1\r\n\r\n", H1_REQUEST_LINE},
        {"GET / http/1.1\r\n\r\n", H1_REQUEST_LINE},
        {"GET / HTTP/1.10\r\n\r\n", H1_REQUEST_LINE},
        {"GET / HTTP/1,1\r\n\r\n", H1_REQUEST_LINE},
        {"GET / HTTP/11\r\n\r\n", H1_REQUEST_LINE},
        {"GET\r\n\r\n", H1_REQUEST_LINE},
        {"\r\n\r\n", H1_REQUEST_LINE},
        {"GET /\r\n", H1_VERSION_09},
        {"GET / HTTP/0.9\r\n", H1_VERSION},
        {"GET / HTTP/1.2\r\n", H1_VERSION},
        {"GET / HTTP/2.0\r\n", H1_VERSION},
        {"GET / HTTP/3.0\r\n", H1_VERSION},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H1_PREFACE},
        {"GET /#a HTTP/1.1\r\n\r\n", H1_TARGET},
        {"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", H1_TARGET},
        {"GET / HTTP/1.1\r\nA : b\r\n\r\n", H1_HEADER_SPACE},
        {"GET / HTTP/1.1\r\nA\t: b\r\n\r\n", H1_HEADER_SPACE},
        {"GET / HTTP/1.1\r\n A: b\r\n\r\n", H1_OBS_FOLD},
        {"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", H1_OBS_FOLD},
        {"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", H1_OBS_FOLD},
        {"GET / HTTP/1.1\r\nno-colon\r\n\r\n", H1_HEADER_NAME},
        {"GET / HTTP/1.1\r\n: b\r\n\r\n", H1_HEADER_NAME},
        {"GET / HTTP/1.1\r\nA(: b\r\n\r\n", H1_HEADER_NAME},
        {"GET / HTTP/1.1\r\nA\xff: b\r\n\r\n", H1_HEADER_NAME},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum h1_fault f = scan_text(rows[i].text);
        if (f != rows[i].fault)
            print_error("row %zu: %s\n", i, rows[i].text);
        assert_string_equal(h1_fault_reason(f), h1_fault_reason(rows[i].fault));
    }
}

static void test_a_nul_is_a_control_character_everywhere(void **state)
{
    (void)state;
    static const char text[] = "GET /a HTTP/1.1\r\nAb: cd\r\nE: f\r\n\r\n";
    /* Not at the two line ends' LF, where CR alone is the fault that is seen. */
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        char copy[sizeof(text)];
        size_t len;
        memcpy(copy, text, sizeof(text));
        if (copy[i] == '\n')
            continue;
        copy[i] = '\0';
        assert_int_equal(scan(copy, sizeof(text) - 1, LIMIT, &len), H1_CONTROL);
    }
}

static void test_target_may_be_half_the_section(void **state)
{
    (void)state;
    char text[2048];
    size_t limit = 1024, len;
    for (size_t target = 510; target <= 514; target++) {
        int n = snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\n\r\n", (int)target - 1, 0);
        enum h1_fault f = scan(text, (size_t)n, limit, &len);
        assert_int_equal(f, target <= 512 ? H1_FINE : H1_TARGET_LONG);
    }
    memset(text, 'A', sizeof(text)); /* never a line end */
    assert_int_equal(scan(text, sizeof(text), limit, &len), H1_TARGET_LONG);
    assert_int_equal(scan(text, 1023, limit, &len), H1_TARGET_LONG);
}

static void test_section_ends_at_the_limit(void **state)
{
    (void)state;
    size_t limit = 1024, len;
    char *text = malloc(4096);
    assert_non_null(text);
    for (size_t total = 1020; total <= 1028; total++) {
        int n = snprintf(text, 4096, "GET / HTTP/1.1\r\nA: ");
        memset(text + n, 'v', 4096 - (size_t)n);
        memcpy(text + total - 4, "\r\n\r\n", 4);
        enum h1_fault f = scan(text, total, limit, &len);
        assert_int_equal(f, total <= limit ? H1_FINE : H1_HEADERS_SIZE);
        assert_int_equal(len, total <= limit ? total : 0);
    }
    free(text);
}

static void test_counts_header_lines(void **state)
{
    (void)state;
    char text[4096];
    for (int headers = 99; headers <= 102; headers++) {
        int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");
        for (int i = 0; i < headers; i++)
            n += snprintf(text + n, sizeof(text) - (size_t)n, "A:b\r\n");
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
        size_t len;
        enum h1_fault f = scan(text, (size_t)n, LIMIT, &len);
        assert_int_equal(f, headers <= EXCHANGE_HEADERS ? H1_FINE : H1_HEADERS_COUNT);
    }
}

static void test_tokens(void **state)
{
    (void)state;
    assert_true(h1_is_token("!#$%&'*+-.^_`|~09azAZ", 21));
    assert_false(h1_is_token("", 0));
    for (const char *p = "\"(),/:;<=>?@[\\]{} \t\x7f\x80"; *p; p++)
        assert_false(h1_is_token(p, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_end),
        cmocka_unit_test(test_tells_faults_apart),
        cmocka_unit_test(test_a_nul_is_a_control_character_everywhere),
        cmocka_unit_test(test_target_may_be_half_the_section),
        cmocka_unit_test(test_section_ends_at_the_limit),
        cmocka_unit_test(test_counts_header_lines),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
