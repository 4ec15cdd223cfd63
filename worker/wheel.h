/* wheel - many timers for little: a hashed timing wheel (Varghese and Lauck, 1987, scheme 6).
 *
 * A timer lives in its owner's struct; setting and cancelling are O(1), a turn costs only what lies
 * in the slots that went by. Resolution is WHEEL_STEP_MS: a timer fires at the first turn at or
 * after its time, never before. The time is a parameter. Worker; one loop, no locks.
 */
#ifndef WORKER_WHEEL_H
#define WORKER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_SLOTS 256 /* a power of two */
#define WHEEL_STEP_MS 100

struct wheel_timer {                  /* zero it before its first use */
    struct wheel_timer *next, **prev; /* linkage; prev NULL: not set */
    uint64_t due_ms;
    void (*fire)(void *arg);
    void *arg;
};

struct wheel {
    struct wheel_timer *slot[WHEEL_SLOTS];
    uint64_t now_ms; /* of the last turn */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Sets t, anew if it was set. A time in the past fires at the next turn. */
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_ms, void (*fire)(void *arg),
               void *arg);
void wheel_cancel(struct wheel_timer *t); /* also when it is not set */
static inline bool wheel_is_set(const struct wheel_timer *t)
{
    return t->prev != 0;
}
/* Fires all that is due. fire may set and cancel any timer, its own too; what it sets for now or
 * the past fires at the next turn. */
void wheel_turn(struct wheel *w, uint64_t now_ms);

#endif
