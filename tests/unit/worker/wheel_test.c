/* wheel_test - timers fire once, at or after their time, whatever the callbacks do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/wheel.h"

static struct wheel W;

struct probe {
    struct wheel_timer timer;
    unsigned fired;
    uint64_t at_ms;
    struct probe *cancels;
    bool again;
};

static void on_fire(void *arg)
{
    struct probe *p = arg;
    p->fired++;
    p->at_ms = W.now_ms;
    if (p->cancels)
        wheel_cancel(&p->cancels->timer);
    if (p->again)
        wheel_set(&W, &p->timer, 0, on_fire, p);
}

static void fires_at_or_after_its_time(void **state)
{
    (void)state;
    wheel_init(&W, 1000);
    struct probe p = {.fired = 0};
    wheel_set(&W, &p.timer, 1250, on_fire, &p);
    assert_true(wheel_is_set(&p.timer));
    wheel_turn(&W, 1249);
    assert_int_equal(p.fired, 0);
    wheel_turn(&W, 1250);
    assert_int_equal(p.fired, 1);
    assert_false(wheel_is_set(&p.timer));
    wheel_turn(&W, 100000);
    assert_int_equal(p.fired, 1);
}

static void each_of_many_fires_in_its_round(void **state)
{
    (void)state;
    enum { N = 3000 };
    wheel_init(&W, 0);
    struct probe *p = calloc(N, sizeof(*p));
    for (unsigned i = 0; i < N; i++)
        wheel_set(&W, &p[i].timer, i * 37, on_fire, &p[i]);
    for (uint64_t now = 0; now < N * 37 + 100; now += 70)
        wheel_turn(&W, now);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(p[i].fired, 1);
        assert_true(p[i].at_ms >= i * 37 && p[i].at_ms < i * 37 + 70);
    }
    free(p);
}

static void a_long_pause_misses_nothing(void **state)
{
    (void)state;
    wheel_init(&W, 0);
    struct probe p[3] = {{.fired = 0}};
    wheel_set(&W, &p[0].timer, 150, on_fire, &p[0]);
    wheel_set(&W, &p[1].timer, WHEEL_SLOTS * WHEEL_STEP_MS * 3, on_fire, &p[1]);
    wheel_set(&W, &p[2].timer, UINT64_MAX, on_fire, &p[2]);
    wheel_turn(&W, (uint64_t)WHEEL_SLOTS * WHEEL_STEP_MS * 10);
    assert_int_equal(p[0].fired, 1);
    assert_int_equal(p[1].fired, 1);
    assert_int_equal(p[2].fired, 0);
    wheel_cancel(&p[2].timer);
}

static void callbacks_may_cancel_and_set(void **state)
{
    (void)state;
    wheel_init(&W, 0);
    struct probe p[2] = {{.fired = 0}};
    p[0].cancels = &p[1];
    p[1].cancels = &p[0];
    wheel_set(&W, &p[0].timer, 100, on_fire, &p[0]);
    wheel_set(&W, &p[1].timer, 100, on_fire, &p[1]);
    wheel_turn(&W, 200);
    assert_int_equal(p[0].fired + p[1].fired, 1); /* whichever was first cancelled the other */

    struct probe again = {.again = true};
    wheel_set(&W, &again.timer, 0, on_fire, &again);
    wheel_turn(&W, 300);
    assert_int_equal(again.fired, 1); /* what is set for the past waits for the next turn */
    wheel_turn(&W, 300);
    assert_int_equal(again.fired, 2);
    wheel_cancel(&again.timer);
    wheel_cancel(&again.timer);
    wheel_turn(&W, 1000);
    assert_int_equal(again.fired, 2);
}

static void time_never_goes_back(void **state)
{
    (void)state;
    wheel_init(&W, 5000);
    struct probe p = {.fired = 0};
    wheel_set(&W, &p.timer, 4000, on_fire, &p);
    wheel_turn(&W, 4500);
    assert_int_equal(p.fired, 0);
    wheel_turn(&W, 5000);
    assert_int_equal(p.fired, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_at_or_after_its_time),
        cmocka_unit_test(each_of_many_fires_in_its_round),
        cmocka_unit_test(a_long_pause_misses_nothing),
        cmocka_unit_test(callbacks_may_cancel_and_set),
        cmocka_unit_test(time_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
