/* rest_health_test - health, readiness, numbers, status, rotation. */
#include "rest_harness.h"

static void healthy_is_healthy(void **state)
{
    (void)state;
    say("GET /healthz", NULL, NULL);
    assert_answer(200, "{\"status\":\"ok\"}");
}

static void ready_needs_a_writer_that_beats(void **state)
{
    (void)state;
    _Atomic uint64_t *beat = &F.board->seat[BOARD_WRITER].beat_ms;
    atomic_store(beat, clock_boot_ms());
    say("GET /readyz", NULL, NULL);
    assert_answer(200, "{\"status\":\"ready\"}");
    uint64_t now = clock_boot_ms();
    atomic_store(beat, now > 16000 ? now - 16000 : 0);
    if (now > 16000) {
        say("GET /readyz", NULL, NULL);
        assert_code(503, "unavailable");
    }
    atomic_store(beat, now);
    atomic_store(&F.board->writer_ready, 0);
    say("GET /readyz", NULL, NULL);
    assert_code(503, "unavailable");
    atomic_store(&F.board->writer_ready, 1);
    atomic_store(&F.board->draining, 1);
    say("GET /readyz", NULL, NULL);
    assert_answer(503, "draining");
    atomic_store(&F.board->draining, 0);
    R.w.draining = true;
    say("GET /readyz", NULL, NULL);
    assert_answer(503, "draining");
    say("GET /healthz", NULL, NULL);
    assert_answer(200, "ok");
}

static void numbers_are_summed(void **state)
{
    (void)state;
    metric_add(&F.board->seat[0].metrics, METRIC_ACCEPTED, 3);
    metric_add(&F.board->seat[BOARD_WRITER].metrics, METRIC_ACCEPTED, 4);
    say("GET /metrics", NULL, NULL);
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(R.ex.out_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(answer(), "restante_accepted_total 7\n"));
}

static void the_status_is_for_admins(void **state)
{
    (void)state;
    say("GET /v1/status", KEY, NULL);
    assert_answer(200, "\"workers\":[");
    say("GET /v1/status", "Authorization: Bearer secret-3", NULL);
    assert_code(403, "forbidden");
    say("GET /v1/status", token_of(0), NULL);
    assert_code(403, "forbidden");
}

static void a_rotation_is_seen_done(void **state)
{
    (void)state;
    atomic_store(&F.board->rotate_wanted, 4);
    atomic_store(&F.board->rotate_done, 4);
    say("POST /v1/rotate", KEY, NULL);
    assert_int_equal(atomic_load(&F.board->rotate_wanted), 5);
    pass_ms(500);
    assert_waits();
    atomic_store(&F.board->rotate_done, 5);
    pass_ms(200);
    assert_int_equal(R.answers, 1);
    assert_int_equal(R.ex.out_status, 204);
    say("POST /v1/rotate", KEY, NULL);
    leave();
    pass_ms(1000);
    F.conf.publish_timeout = 0;
    say("POST /v1/rotate", KEY, NULL);
    pass_ms(200);
    assert_answer(503, "\"outcome\":\"unknown\"");
    say("POST /v1/rotate", "Authorization: Bearer secret-3", NULL);
    assert_code(403, "forbidden");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(healthy_is_healthy),       T(ready_needs_a_writer_that_beats), T(numbers_are_summed),
        T(the_status_is_for_admins), T(a_rotation_is_seen_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
