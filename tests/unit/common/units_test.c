/* units: every row of both tables, in both directions, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/units.h"

struct row {
    const char *text;
    uint64_t value;
};

static const struct row durations[] = {
    {"500ms", 500},
    {"30s", 30000},
    {"10m", 600000},
    {"2h", 7200000},
    {"7d", 604800000},
    {"365d", 31536000000},
    {"1ms", 1},
    {"0s", 0},
    {"1500ms", 1500},
    {"90s", 90000},
    {"18446744073709551615ms", UINT64_MAX},
};
static const struct row sizes[] = {
    {"0", 0},
    {"1", 1},
    {"1023", 1023},
    {"1K", 1024},
    {"64K", 65536},
    {"16M", 16u << 20},
    {"64G", 64ull << 30},
    {"16T", 16ull << 40},
    {"1025", 1025},
    {"18446744073709551615", UINT64_MAX},
};
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void test_durations_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(durations); i++) {
        uint64_t v = 99;
        char text[UNITS_TEXT];
        assert_int_equal(duration_parse(str_of(durations[i].text), &v), 0);
        assert_true(v == durations[i].value);
        duration_text(v, text);
        assert_string_equal(text, durations[i].text);
    }
}

static void test_sizes_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(sizes); i++) {
        uint64_t v = 99;
        char text[UNITS_TEXT];
        assert_int_equal(size_parse(str_of(sizes[i].text), &v), 0);
        assert_true(v == sizes[i].value);
        size_text(v, text);
        assert_string_equal(text, sizes[i].text);
    }
}

static void test_shortest_exact_form(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"1h", 3600000}, {"61m", 3660000}, {"1d", 86400000}, {"25h", 90000000}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[UNITS_TEXT];
        duration_text(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_bare_numbers(void **state)
{
    (void)state;
    uint64_t v = 0;
    assert_int_equal(duration_parse(STR("25"), &v), 0);
    assert_true(v == 25000);
    assert_int_equal(duration_parse(STR("0"), &v), 0);
    assert_true(v == 0);
    assert_int_equal(size_parse(STR("25"), &v), 0);
    assert_true(v == 25);
    assert_int_equal(duration_parse(STR("007s"), &v), 0);
    assert_true(v == 7000);
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "s",     "ms",   "K",   "-1s", "+1s",       "1 s",
                                      " 1s", "1s ",   "1.5s", "1e3", "1S",  "1sec",      "1k",
                                      "1KB", "1m30s", "1w",   "1y",  "0x1", "1\xc2\xb5s"};
    uint64_t v = 42;
    for (size_t i = 0; i < ROWS(bad); i++) {
        assert_int_equal(duration_parse(str_of(bad[i]), &v), -EINVAL);
        assert_int_equal(size_parse(str_of(bad[i]), &v), -EINVAL);
    }
    assert_int_equal(duration_parse(STR("1K"), &v), -EINVAL);
    assert_int_equal(size_parse(STR("1s"), &v), -EINVAL);
    assert_int_equal(size_parse(STR("1\0K"), &v), -EINVAL);
    assert_true(v == 42);
}

static void test_overflow(void **state)
{
    (void)state;
    static const char *const durations_past[] = {
        "18446744073709551616ms", "18446744073709552s", "18446744073709551615d",
        "99999999999999999999999s", "18446744073709551615"};
    static const char *const sizes_past[] = {"18446744073709551616", "18014398509481984K",
                                             "16777216T", "99999999999999999999999"};
    uint64_t v = 42;
    for (size_t i = 0; i < ROWS(durations_past); i++)
        assert_int_equal(duration_parse(str_of(durations_past[i]), &v), -ERANGE);
    for (size_t i = 0; i < ROWS(sizes_past); i++)
        assert_int_equal(size_parse(str_of(sizes_past[i]), &v), -ERANGE);
    assert_true(v == 42);
    assert_int_equal(size_parse(STR("16777215T"), &v), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_both_ways),
        cmocka_unit_test(test_sizes_both_ways),
        cmocka_unit_test(test_shortest_exact_form),
        cmocka_unit_test(test_bare_numbers),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
