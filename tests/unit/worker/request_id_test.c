/* request_id: what is honoured, what is derived, what is made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/exchange.h"
#include "worker/request_id.h"

static void test_given_ids(void **state)
{
    (void)state;
    char text[REQUEST_ID_MAX + 2];
    memset(text, 'a', sizeof(text));
    assert_true(request_id_valid(STR("AZaz09._~+/=:-")));
    assert_true(request_id_valid(str_make(text, 1)));
    assert_true(request_id_valid(str_make(text, REQUEST_ID_MAX)));
    assert_false(request_id_valid(str_make(text, REQUEST_ID_MAX + 1)));
    assert_false(request_id_valid(STR("")));
    for (int c = 0; c < 256; c++) {
        bool good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    (c && strchr("._~+/=:-", c));
        text[1] = (char)c;
        assert_int_equal(request_id_valid(str_make(text, 3)), good);
    }
}

static void test_traceparents(void **state)
{
    (void)state;
#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"
    static const char *const good[] = {
        "00-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-ff",
        "cc-" TRACE "-" SPAN "-01",
        "cc-" TRACE "-" SPAN "-01-what-comes-later",
    };
    static const char *const bad[] = {
        "",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-more",
        "00-" TRACE "-" SPAN "-01 ",
        "cc-" TRACE "-" SPAN "-01more",
        "ff-" TRACE "-" SPAN "-01",
        "0-" TRACE "-" SPAN "-001",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0g",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(traceparent_valid(str_of(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (traceparent_valid(str_of(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    }
    assert_memory_equal(good[0] + TRACEPARENT_TRACE_AT, TRACE, TRACEPARENT_TRACE_LEN);
}

static void test_made_ids_differ(void **state)
{
    (void)state;
    uint64_t one = 0, two = 0;
    char a[REQUEST_ID_MADE + 1], b[REQUEST_ID_MADE + 1], c[REQUEST_ID_MADE + 1];
    request_id_make(&one, a);
    request_id_make(&one, b);
    request_id_make(&two, c);
    assert_int_equal(strlen(a), REQUEST_ID_MADE);
    assert_int_equal(strspn(a, "0123456789abcdef"), REQUEST_ID_MADE);
    assert_string_not_equal(a, b);
    assert_string_not_equal(a, c);
    assert_true(request_id_valid(str_of(a)));
    assert_true(one != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_given_ids),
        cmocka_unit_test(test_traceparents),
        cmocka_unit_test(test_made_ids_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
