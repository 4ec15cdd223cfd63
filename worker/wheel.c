/* wheel - slots of a tenth of a second, walked once as they go by.
 *
 * A timer further away than one round stays in its slot and is passed over until its round comes.
 * What is due is first moved to a list of its own, so that the callbacks may do as they like with
 * every timer, those about to fire included.
 */
#include "worker/wheel.h"

#include <stddef.h>

static struct wheel_timer **slot_of(struct wheel *w, uint64_t ms)
{
    return &w->slot[ms / WHEEL_STEP_MS & (WHEEL_SLOTS - 1)];
}

static void link_timer(struct wheel_timer **head, struct wheel_timer *t)
{
    t->next = *head;
    if (t->next)
        t->next->prev = &t->next;
    t->prev = head;
    *head = t;
}

static void collect_due(struct wheel_timer **slot, uint64_t now_ms, struct wheel_timer **due)
{
    struct wheel_timer *next;
    for (struct wheel_timer *t = *slot; t; t = next) {
        next = t->next;
        if (t->due_ms > now_ms)
            continue;
        wheel_cancel(t);
        link_timer(due, t);
    }
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    *w = (struct wheel){.now_ms = now_ms};
}

void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_ms, void (*fire)(void *arg),
               void *arg)
{
    wheel_cancel(t);
    t->due_ms = due_ms;
    t->fire = fire;
    t->arg = arg;
    link_timer(slot_of(w, due_ms > w->now_ms ? due_ms : w->now_ms), t);
}

void wheel_cancel(struct wheel_timer *t)
{
    if (!t->prev)
        return;
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->next = NULL;
    t->prev = NULL;
}

void wheel_turn(struct wheel *w, uint64_t now_ms)
{
    if (now_ms < w->now_ms)
        return;
    uint64_t first = w->now_ms / WHEEL_STEP_MS, steps = now_ms / WHEEL_STEP_MS - first;
    if (steps >= WHEEL_SLOTS)
        steps = WHEEL_SLOTS - 1;

    /* The slot of the last turn again: its later part was not due then. */
    struct wheel_timer *due = NULL;
    for (uint64_t i = 0; i <= steps; i++)
        collect_due(&w->slot[(first + i) & (WHEEL_SLOTS - 1)], now_ms, &due);
    w->now_ms = now_ms;

    while (due) {
        struct wheel_timer *t = due;
        wheel_cancel(t);
        t->fire(t->arg);
    }
}
