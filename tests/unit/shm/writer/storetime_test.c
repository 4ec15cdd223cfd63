/* Store time (rule 13) on clocks of the test's: when it starts, who goes on from it, and how it is
 * slewed to a wall clock that jumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "shm/board.h"

static uint64_t boot_ms, wall_ms;

static uint64_t fake_boot_ms(void)
{
    return boot_ms;
}

static uint64_t fake_wall_ms(void)
{
    return wall_ms;
}

static uint64_t fake_now_ms(const struct board *b);

#define clock_boot_ms fake_boot_ms
#define clock_wall_ms fake_wall_ms
#define board_now_ms fake_now_ms
#include "shm/writer/storetime.c"

static uint64_t fake_now_ms(const struct board *b)
{
    return boot_ms + (uint64_t)atomic_load(&b->clock_offset_ms);
}

#define NOON 1764072000000ull

struct fixture {
    struct board *board;
    struct metric_block *metrics;
    struct writer *w;
};

static void new_writer(struct fixture *f, uint64_t stored_ms)
{
    free(f->w);
    f->w = calloc(1, sizeof(*f->w));
    assert_non_null(f->w);
    f->w->board = f->board;
    f->w->metrics = f->metrics;
    f->w->meta.time_ms = stored_ms;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    log_init(LOG_ERROR, 2, "test", -1);
    boot_ms = 50000;
    wall_ms = NOON;
    f->board = aligned_alloc(64, sizeof(*f->board));
    f->metrics = aligned_alloc(64, sizeof(*f->metrics));
    if (!f->board || !f->metrics)
        return -1;
    memset(f->board, 0, sizeof(*f->board));
    memset(f->metrics, 0, sizeof(*f->metrics));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    free(f->w);
    free(f->board);
    free(f->metrics);
    free(f);
    return 0;
}

/* Time passes on the boot clock, in turns; the wall clock keeps its own pace. */
static void pass(struct fixture *f, uint64_t ms, int64_t wall_per_turn)
{
    for (uint64_t i = 0; i < ms / 100; i++) {
        boot_ms += 100;
        wall_ms += (uint64_t)wall_per_turn;
        storetime_turn(f->w);
    }
}

static void a_server_starts_at_the_later_of_stored_and_wall(void **state)
{
    struct fixture *f = *state;
    new_writer(f, NOON - 1000);
    storetime_start(f->w);
    assert_int_equal(f->w->now_ms, NOON);
    assert_int_equal(f->board->start_ms, NOON);

    memset(f->board, 0, sizeof(*f->board));
    new_writer(f, NOON + 5000); /* the wall was put back while the server was down */
    storetime_start(f->w);
    assert_int_equal(f->w->now_ms, NOON + 5000);
    assert_int_equal(f->board->start_ms, NOON + 5000);
}

/* The clock on the board runs while there is no writer, whatever the wall does meanwhile. */
static void a_respawned_writer_goes_on_from_the_board(void **state)
{
    struct fixture *f = *state;
    new_writer(f, 0);
    storetime_start(f->w);
    boot_ms += 700;
    wall_ms += 3600000;
    new_writer(f, NOON);
    storetime_start(f->w);
    assert_int_equal(f->w->now_ms, NOON + 700);
    assert_int_equal(f->board->start_ms, NOON);

    /* Never behind what is stored. */
    new_writer(f, NOON + 900);
    storetime_start(f->w);
    assert_int_equal(f->w->now_ms, NOON + 900);
}

static void a_forward_jump_is_closed_by_a_second_a_second(void **state)
{
    struct fixture *f = *state;
    new_writer(f, 0);
    storetime_start(f->w);
    wall_ms += 3600000;
    uint64_t began = f->w->now_ms;
    pass(f, 60000, 100);
    assert_int_equal(f->w->now_ms - began, 120000);
    assert_int_equal(f->metrics->v[METRIC_CLOCK_JUMPS], 1); /* said once */
    pass(f, 3600000 - 60000, 100);
    assert_int_equal(f->w->now_ms, wall_ms);
    pass(f, 1000, 100);
    assert_int_equal(f->w->now_ms, wall_ms);
    assert_int_equal(f->metrics->v[METRIC_CLOCK_JUMPS], 1);
}

static void a_backward_jump_never_turns_time_back(void **state)
{
    struct fixture *f = *state;
    new_writer(f, 0);
    storetime_start(f->w);
    wall_ms -= 3600000;
    uint64_t last = f->w->now_ms, began = last;
    for (int i = 0; i < 600; i++) {
        pass(f, 100, 100);
        assert_true(f->w->now_ms >= last);
        /* Nor do readers, who have the board alone, see more than a few milliseconds of it. */
        assert_true(board_now_ms(f->board) + 10 >= last);
        last = f->w->now_ms;
    }
    assert_true(last - began >= 54000 && last - began < 60000);
    assert_int_equal(f->metrics->v[METRIC_CLOCK_JUMPS], 1);
}

static void a_turn_too_short_changes_nothing(void **state)
{
    struct fixture *f = *state;
    new_writer(f, 0);
    storetime_start(f->w);
    wall_ms += 1000;
    int64_t offset = atomic_load(&f->board->clock_offset_ms);
    boot_ms += 99;
    storetime_turn(f->w);
    assert_int_equal(atomic_load(&f->board->clock_offset_ms), offset);
    assert_int_equal(f->w->now_ms, NOON + 99);
    boot_ms += 1;
    storetime_turn(f->w);
    assert_int_equal(atomic_load(&f->board->clock_offset_ms), offset + 100);
    assert_int_equal(f->metrics->v[METRIC_CLOCK_JUMPS], 0); /* under two seconds is no jump */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_starts_at_the_later_of_stored_and_wall, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_respawned_writer_goes_on_from_the_board, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_forward_jump_is_closed_by_a_second_a_second, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_backward_jump_never_turns_time_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_turn_too_short_changes_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
