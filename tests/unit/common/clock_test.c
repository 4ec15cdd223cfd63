/* clock: the text of a time, against the C library; the clocks against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

static void reference(uint64_t ms, char ret[CLOCK_TEXT_SIZE + 8])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char head[CLOCK_TEXT_SIZE];
    assert_non_null(gmtime_r(&seconds, &tm));
    strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret, CLOCK_TEXT_SIZE + 8, "%s.%03uZ", head, (unsigned)(ms % 1000));
}

static void assert_text(uint64_t ms)
{
    char got[CLOCK_TEXT_SIZE], want[CLOCK_TEXT_SIZE + 8];
    clock_text(ms, got);
    reference(ms, want);
    assert_string_equal(got, want);
}

static void test_known_texts(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_SIZE];
    clock_text(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_text(1795435200123, text);
    assert_string_equal(text, "2026-11-23T12:00:00.123Z");
    clock_text(253402300799999, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    clock_text(253402300800000, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    clock_text(UINT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void test_every_day_agrees_with_the_library(void **state)
{
    (void)state;
    uint64_t day = 86400000;
    for (uint64_t ms = 0; ms < 253402300800000; ms += day) {
        assert_text(ms);
        assert_text(ms + day - 1);
    }
}

static void test_milliseconds_of_a_day(void **state)
{
    (void)state;
    for (uint64_t ms = 951782400000; ms < 951782400000 + 2 * 86400000; ms += 997) /* 2000-02-29 */
        assert_text(ms);
}

static void test_clocks(void **state)
{
    (void)state;
    struct timespec ts;
    uint64_t last = clock_boot_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_boot_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_boot_ms() >= last / 1000000);
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t before = (uint64_t)ts.tv_sec * 1000;
    uint64_t wall = clock_wall_ms();
    clock_gettime(CLOCK_REALTIME, &ts);
    assert_true(before <= wall && wall <= (uint64_t)ts.tv_sec * 1000 + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_every_day_agrees_with_the_library),
        cmocka_unit_test(test_milliseconds_of_a_day),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
