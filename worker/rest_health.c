/* rest_health - what operators and their machines ask: alive, ready, numbers, status, rotation. */
#include "worker/rest_priv.h"

#include "common/clock.h"

#include <stdlib.h>

#define WRITER_SILENT_MS 15000 /* a writer that beats at all beats oftener */
#define ROTATE_LOOK_MS 50
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void health_body(struct exchange *ex)
{
    buf_append_z(&ex->out_body, "{\"status\":\"ok\"}");
    exchange_answer(ex, 200, JSON_TYPE);
}

static const char *why_not_ready(const struct worker *w)
{
    const struct board *b = w->board;
    uint64_t beat = atomic_load(&b->seat[BOARD_WRITER].beat_ms);
    if (w->draining || atomic_load(&b->draining))
        return "draining";
    if (!atomic_load(&b->writer_ready))
        return "the writer has not started yet";
    if (clock_boot_ms() > beat + WRITER_SILENT_MS)
        return "the writer is silent";
    return NULL;
}

void ready_body(struct exchange *ex)
{
    const char *why = why_not_ready(ex->worker);
    if (why) {
        exchange_problem(ex, CODE_UNAVAILABLE, 0, "%s", why);
        return;
    }
    buf_append_z(&ex->out_body, "{\"status\":\"ready\"}");
    exchange_answer(ex, 200, JSON_TYPE);
}

void metrics_body(struct exchange *ex)
{
    const struct metric_block *blocks[BOARD_SEATS];
    for (size_t i = 0; i < BOARD_SEATS; i++)
        blocks[i] = &ex->worker->board->seat[i].metrics;
    int err = metric_text(blocks, BOARD_SEATS, &ex->out_body);
    if (err)
        rest_no_memory(ex);
    else
        exchange_answer(ex, 200, METRICS_TYPE);
}

void admin_head(struct exchange *ex)
{
    rest_is_key(ex, principal_may(&ex->principal, "admin", str_make(NULL, 0)));
}

void status_body(struct exchange *ex)
{
    if (board_status_json(ex->worker->board, &ex->out_body) != 0)
        rest_no_memory(ex);
    else
        exchange_answer(ex, 200, JSON_TYPE);
}

/* --- rotation of the session-token keys: the supervisor does it, we see it done --- */

struct rotation {
    struct rest_ask ask; /* no command: the owner of the state */
    struct wheel_timer timer;
    uint64_t wanted;
    uint64_t until_ms; /* boot clock */
};

static void release(struct rest_ask *ask)
{
    struct rotation *r = (struct rotation *)ask;
    wheel_cancel(&r->timer);
    free(r);
}

static void on_look(void *arg)
{
    struct rotation *r = arg;
    struct exchange *ex = r->ask.ex;
    if (atomic_load(&ex->worker->board->rotate_done) >= r->wanted) {
        rest_release(&r->ask);
        exchange_answer(ex, 204, NULL);
    } else if (clock_boot_ms() >= r->until_ms) {
        rest_release(&r->ask);
        exchange_problem_with(ex, CODE_UNAVAILABLE, 0, STR(",\"outcome\":\"unknown\""),
                              "the supervisor has not rotated the keys yet");
    } else {
        route_timer(ex->worker->route, &r->timer, ROTATE_LOOK_MS, on_look, r);
    }
}

void rotate_body(struct exchange *ex)
{
    struct worker *w = ex->worker;
    struct rotation *r = calloc(1, sizeof(*r));
    if (!r) {
        rest_no_memory(ex);
        return;
    }
    r->ask.release = release;
    rest_wait(ex, &r->ask);
    r->until_ms = clock_boot_ms() + w->conf->publish_timeout;
    r->wanted = atomic_fetch_add(&w->board->rotate_wanted, 1) + 1;
    bell_ring_always(&w->supervisor_bell);
    route_timer(w->route, &r->timer, ROTATE_LOOK_MS, on_look, r);
}
