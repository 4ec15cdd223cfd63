/* rate_test - buckets fill by the clock, and each is one session's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "worker/rate.h"

#include <errno.h>

static struct rate *r;
static uint64_t wait_ms;

static int setup(void **state)
{
    (void)state;
    return rate_open(&r);
}

static int teardown(void **state)
{
    (void)state;
    rate_close(r);
    return 0;
}

static const uint8_t *session(uint32_t set, uint32_t i)
{
    static uint8_t id[SESSION_ID_SIZE];
    memcpy(id, &set, 4);
    memcpy(id + 4, &i, 4);
    return id;
}

static bool take(uint32_t i, uint64_t n, uint64_t per_second, uint64_t now_ms)
{
    return rate_take(r, session(7, i), n, per_second, now_ms, &wait_ms);
}

static void as_many_at_once_as_in_a_second(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_true(take(0, 1, 10, 5000));
    assert_false(take(0, 1, 10, 5000));
    assert_int_equal(wait_ms, 100);
    assert_false(take(0, 3, 10, 5050));
    assert_int_equal(wait_ms, 250);
    assert_true(take(0, 1, 10, 5100));
    assert_false(take(0, 1, 10, 5100));
    /* Nothing is saved up beyond a second's. */
    for (int i = 0; i < 10; i++)
        assert_true(take(0, 1, 10, 1000000));
    assert_false(take(0, 1, 10, 1000000));
}

/* What was refused is not taken: who asks again and again gets it in time. */
static void asking_costs_nothing(void **state)
{
    (void)state;
    assert_true(take(0, 3, 3, 1));
    uint64_t now = 1;
    for (unsigned asked = 0; !take(0, 1, 3, now); asked++) {
        assert_true(asked < 1000);
        now++;
    }
    assert_int_equal(now, 335);
}

static void more_than_a_second_has_is_a_whole_bucket(void **state)
{
    (void)state;
    assert_true(take(0, 100, 10, 1));
    assert_false(take(0, 100, 10, 1));
    assert_int_equal(wait_ms, 1000);
    assert_true(take(0, 100, 10, 1001));
}

static void a_lower_rate_holds_at_once(void **state)
{
    (void)state;
    assert_true(take(0, 1, 1000, 1));
    assert_true(take(0, 2, 2, 1));
    assert_false(take(0, 1, 2, 1));
    assert_true(take(0, 1, 1000, 1 + 1));
}

static void each_has_its_own(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_true(take(i, 1, 1, 1));
    for (uint32_t i = 0; i < 4; i++)
        assert_false(take(i, 1, 1, 1));
}

/* Others of its set do not free who is in a hurry, as long as it comes back. */
static void the_least_lately_used_gives_way(void **state)
{
    (void)state;
    assert_true(take(0, 1, 1, 1));
    for (uint32_t i = 1; i < 100; i++) {
        assert_true(take(i, 1, 1, 1 + i));
        assert_false(take(0, 1, 1, 1 + i));
    }
    assert_true(take(1, 1, 1, 101)); /* that one was forgotten */
}

static void no_memory(void **state)
{
    (void)state;
    struct rate *none = NULL;
    failmalloc_arm(1);
    assert_int_equal(rate_open(&none), -ENOMEM);
    assert_true(failmalloc_disarm());
    assert_null(none);
    rate_close(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(as_many_at_once_as_in_a_second),
        T(asking_costs_nothing),
        T(more_than_a_second_has_is_a_whole_bucket),
        T(a_lower_rate_holds_at_once),
        T(each_has_its_own),
        T(the_least_lately_used_gives_way),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
