/* storetime - the one clock of the store (rule 13).
 *
 * Store time = boot clock + an offset on the board, so that readers need one load and a dead writer
 * leaves the clock running. At server start it is the later of the stored and the wall time; from
 * then on only deltas of the boot clock count, and the offset is slewed towards the wall: forwards
 * by at most a second a second, backwards by a tenth of that, so that no reader sees time turn back
 * by more than a few milliseconds. A bigger difference is said once and closed slowly.
 */
#include "shm/writer/writer_priv.h"

#include "common/clock.h"
#include "common/log.h"

#define JUMP_MS 2000
#define BACKWARDS_PART 10

void storetime_start(struct writer *w)
{
    struct board *b = w->board;
    uint64_t boot = clock_boot_ms();
    if (atomic_load(&b->start_ms) == 0) {
        uint64_t wall = clock_wall_ms();
        uint64_t start = wall > w->meta.time_ms ? wall : w->meta.time_ms;
        atomic_store(&b->clock_offset_ms, (int64_t)start - (int64_t)boot);
        atomic_store(&b->start_ms, start);
    }
    w->slewed_boot_ms = boot;
    w->boot_ms = boot;
    w->now_ms = board_now_ms(b);
    if (w->now_ms < w->meta.time_ms)
        w->now_ms = w->meta.time_ms;
}

void storetime_turn(struct writer *w)
{
    uint64_t boot = clock_boot_ms();
    int64_t elapsed = (int64_t)(boot - w->slewed_boot_ms);
    w->boot_ms = boot;
    if (elapsed >= 100) {
        int64_t offset = atomic_load(&w->board->clock_offset_ms);
        int64_t wanted = (int64_t)clock_wall_ms() - (int64_t)boot;
        int64_t off_by = wanted - offset;
        bool jump = off_by > JUMP_MS || off_by < -JUMP_MS;
        if (jump && !w->jump_logged) {
            metric_add(w->metrics, METRIC_CLOCK_JUMPS, 1);
            log_event(LOG_WARN, "clock_jump", LOG_I("wall_minus_store_ms", off_by));
        }
        w->jump_logged = jump;
        int64_t most = elapsed, least = -elapsed / BACKWARDS_PART;
        if (off_by > most)
            off_by = most;
        if (off_by < least)
            off_by = least;
        atomic_store(&w->board->clock_offset_ms, offset + off_by);
        w->slewed_boot_ms = boot;
    }
    uint64_t now = board_now_ms(w->board);
    if (now > w->now_ms)
        w->now_ms = now;
}
