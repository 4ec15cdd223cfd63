/* backoff: waiting doubles, steadiness forgives, hopelessness is counted. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/backoff.h"

static const struct life steady = {.uptime_ms = 60000, .served = true, .own_fault = true};
static const struct life killed_early = {.uptime_ms = 50, .served = true, .own_fault = false};
static const struct life failed_start = {.uptime_ms = 5, .served = false, .own_fault = true};
static const struct life killed_start = {.uptime_ms = 5, .served = false, .own_fault = false};

static void test_the_first_death_costs_nothing(void **state)
{
    struct backoff b = {0};

    (void)state;
    assert_int_equal(backoff_after(&b, &steady), 0);
    assert_int_equal(backoff_after(&b, &steady), 0);
    assert_int_equal(backoff_after(&b, &killed_early), 0);
}

static void test_short_lives_double_the_wait_up_to_the_ceiling(void **state)
{
    static const uint64_t waits[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
    struct backoff b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
        assert_int_equal(backoff_after(&b, &killed_early), waits[i]);
}

static void test_a_steady_life_forgives(void **state)
{
    struct backoff b = {0};

    (void)state;
    for (int i = 0; i < 5; i++)
        backoff_after(&b, &killed_early);
    assert_int_equal(backoff_after(&b, &steady), 0);
    assert_int_equal(backoff_after(&b, &killed_early), 0);
    assert_int_equal(backoff_after(&b, &killed_early), BACKOFF_FIRST_MS);
}

static void test_a_life_is_steady_from_the_limit_on_and_only_when_it_served(void **state)
{
    struct backoff b = {.deaths = 4};
    struct life l = {.uptime_ms = BACKOFF_STEADY_MS - 1, .served = true};

    (void)state;
    assert_true(backoff_after(&b, &l) > 0);
    l.uptime_ms = BACKOFF_STEADY_MS;
    l.served = false;
    assert_true(backoff_after(&b, &l) > 0);
    l.served = true;
    assert_int_equal(backoff_after(&b, &l), 0);
}

static void test_failed_starts_in_a_row_are_hopeless(void **state)
{
    struct backoff b = {0};

    (void)state;
    for (int i = 1; i <= BACKOFF_GIVE_UP; i++) {
        assert_false(backoff_hopeless(&b, true));
        backoff_after(&b, &failed_start);
        assert_int_equal(backoff_hopeless(&b, false), i >= BACKOFF_GIVE_UP_FIRST);
    }
    assert_true(backoff_hopeless(&b, true));
}

static void test_kills_from_outside_are_no_failure_but_do_not_excuse_one(void **state)
{
    struct backoff b = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        backoff_after(&b, &killed_start);
    assert_false(backoff_hopeless(&b, false));
    backoff_after(&b, &failed_start);
    backoff_after(&b, &failed_start);
    backoff_after(&b, &killed_start);
    backoff_after(&b, &failed_start);
    assert_true(backoff_hopeless(&b, false));
}

static void test_serving_ends_a_row_of_failures(void **state)
{
    struct backoff b = {0};

    (void)state;
    for (int i = 0; i < BACKOFF_GIVE_UP - 1; i++)
        backoff_after(&b, &failed_start);
    backoff_after(&b, &killed_early);
    backoff_after(&b, &failed_start);
    assert_false(backoff_hopeless(&b, true));
}

static void test_counters_stay_at_their_ceiling(void **state)
{
    struct backoff b = {.deaths = UINT32_MAX, .failed = UINT32_MAX};

    (void)state;
    assert_int_equal(backoff_after(&b, &failed_start), BACKOFF_MAX_MS);
    assert_int_equal(b.deaths, UINT32_MAX);
    assert_true(backoff_hopeless(&b, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_death_costs_nothing),
        cmocka_unit_test(test_short_lives_double_the_wait_up_to_the_ceiling),
        cmocka_unit_test(test_a_steady_life_forgives),
        cmocka_unit_test(test_a_life_is_steady_from_the_limit_on_and_only_when_it_served),
        cmocka_unit_test(test_failed_starts_in_a_row_are_hopeless),
        cmocka_unit_test(test_kills_from_outside_are_no_failure_but_do_not_excuse_one),
        cmocka_unit_test(test_serving_ends_a_row_of_failures),
        cmocka_unit_test(test_counters_stay_at_their_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
