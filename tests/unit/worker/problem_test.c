/* problem: the document, its header lines, every code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/worker/exchange_fake.h"

static void test_document(void **state)
{
    (void)state;
    strcpy(F.ex.request_id, "id-1");
    exchange_problem(&F.ex, CODE_RATE_LIMITED, 7, "%d of \"%s\"", 3, "x\n");
    assert_string_equal(text_of(&F.ex.out_body),
                        "{\"type\":\"about:blank\",\"title\":\"Too many requests\",\"status\":429,"
                        "\"code\":\"rate_limited\",\"detail\":\"3 of \\\"x\\n\\\"\","
                        "\"request_id\":\"id-1\"}");
    assert_string_equal(own_lines(), "Retry-After: 7\r\n");
    assert_string_equal(F.ex.out_type, "application/problem+json");
    assert_int_equal(F.ex.out_status, 429);
    assert_int_equal(F.ex.out_code, CODE_RATE_LIMITED);
}

static void test_every_code_is_json_with_its_status(void **state)
{
    (void)state;
    for (int c = CODE_OK + 1; c < CODE_COUNT; c++) {
        fresh_exchange();
        exchange_problem(&F.ex, (enum code)c, 0, NULL);
        struct json_value v;
        assert_int_equal(json_check(buf_str(&F.ex.out_body), &v), 0);
        assert_int_equal(F.ex.out_status, code_status((enum code)c));
        const char *body = text_of(&F.ex.out_body);
        assert_non_null(strstr(body, code_text((enum code)c)));
        assert_null(strstr(body, "detail"));
    }
}

static void test_unavailable(void **state)
{
    (void)state;
    exchange_problem(&F.ex, CODE_UNAVAILABLE, 0, NULL);
    assert_non_null(strstr(text_of(&F.ex.out_body), "\"outcome\":\"none\""));
    assert_string_equal(own_lines(), "Retry-After: 1\r\n");
    fresh_exchange();
    exchange_problem_with(&F.ex, CODE_UNAVAILABLE, 2, STR(",\"outcome\":\"unknown\""), "d");
    assert_non_null(strstr(text_of(&F.ex.out_body), "\"outcome\":\"unknown\""));
    assert_null(strstr(text_of(&F.ex.out_body), "none"));
    assert_string_equal(own_lines(), "Retry-After: 2\r\n");
}

static void test_challenges(void **state)
{
    (void)state;
    exchange_problem(&F.ex, CODE_TOKEN_MISSING, 0, NULL);
    assert_string_equal(own_lines(), "WWW-Authenticate: Bearer\r\n");
    fresh_exchange();
    exchange_problem(&F.ex, CODE_TOKEN_EXPIRED, 0, NULL);
    assert_string_equal(own_lines(), "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
    fresh_exchange();
    exchange_add_header(&F.ex, "WWW-Authenticate", STR("Mine"));
    exchange_problem(&F.ex, CODE_TOKEN_EXPIRED, 0, NULL);
    assert_string_equal(own_lines(), "WWW-Authenticate: Mine\r\n");
}

static void test_replaces_what_was_begun(void **state)
{
    (void)state;
    buf_append_z(&F.ex.out_body, "half an ans");
    exchange_add_header(&F.ex, "Allow", STR("GET"));
    exchange_problem(&F.ex, CODE_METHOD_NOT_ALLOWED, 0, NULL);
    assert_memory_equal(F.ex.out_body.data, "{\"type\"", 7);
    assert_string_equal(own_lines(), "Allow: GET\r\n");
}

static void test_long_details_are_cut(void **state)
{
    (void)state;
    char detail[2000];
    memset(detail, 'd', sizeof(detail));
    detail[sizeof(detail) - 1] = '\0';
    exchange_problem(&F.ex, CODE_BAD_REQUEST, 0, "%s", detail);
    struct json_value v;
    assert_int_equal(json_check(buf_str(&F.ex.out_body), &v), 0);
    assert_in_range(F.ex.out_body.len, 511, 700);
}

/* Whatever fails, the status goes out. */
static void test_every_allocation_failure(void **state)
{
    (void)state;
    bool failed = true;
    unsigned long n = 0;
    while (failed) {
        fresh_exchange();
        failmalloc_arm(++n);
        exchange_problem(&F.ex, CODE_UNAVAILABLE, 1, "why");
        failed = failmalloc_disarm();
        assert_int_equal(F.ex.out_status, 503);
        assert_true(F.ex.out_body.len == 0 || F.ex.out_type);
    }
    assert_true(n > 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fake_up, fake_down)
    const struct CMUnitTest tests[] = {
        T(test_document),
        T(test_every_code_is_json_with_its_status),
        T(test_unavailable),
        T(test_challenges),
        T(test_replaces_what_was_begun),
        T(test_long_details_are_cut),
        T(test_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
