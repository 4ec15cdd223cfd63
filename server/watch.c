/* watch - rule 12: a hung or stopped role gets SIGKILL, because every process here may be killed at
 * any instruction, while a stopped one could hold up the store for ever. Workers in a read
 * transaction make the file grow; the writer in a transaction keeps all publishers waiting.
 */
#include <signal.h>

#include "common/clock.h"
#include "common/log.h"

#include "server/supervisor.h"

static uint64_t age_since(uint64_t base, uint64_t now)
{
    return now > base ? now - base : 0; /* the role may have written after we read the clock */
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

enum watch_verdict watch_judge(const struct watch_view *v, uint64_t now_ms, uint64_t *ret_age_ms)
{
    bool writer = v->role == ROLE_WRITER;
    bool syncing = writer && v->sync_since_ms > 0 && v->sync_since_ms >= v->started_ms;
    uint64_t floor = later(v->started_ms, v->resumed_ms);
    uint64_t beat = age_since(later(floor, v->beat_ms), now_ms);

    if (v->stopped_ms > 0) {
        uint64_t stopped = age_since(later(floor, v->stopped_ms), now_ms);
        if (stopped > WATCH_STOPPED_MS) {
            *ret_age_ms = stopped;
            return WATCH_STOPPED;
        }
    }
    if (syncing) {
        if (beat <= WATCH_SYNC_BEAT_MS)
            return WATCH_WELL;
        *ret_age_ms = beat;
        return WATCH_BEAT;
    }
    if (v->txn_since_ms > 0 && v->txn_since_ms >= v->started_ms) {
        uint64_t base = later(floor, later(v->txn_since_ms, v->sync_seen_ms));
        uint64_t txn = age_since(base, now_ms);
        if (txn > (writer ? WATCH_WRITER_TXN_MS : WATCH_WORKER_TXN_MS)) {
            *ret_age_ms = txn;
            return WATCH_TXN;
        }
    }
    beat = age_since(later(later(floor, v->beat_ms), v->sync_seen_ms), now_ms);
    if (beat > WATCH_BEAT_MS) {
        *ret_age_ms = beat;
        return WATCH_BEAT;
    }
    return WATCH_WELL;
}

const char *watch_reason(enum watch_verdict v)
{
    static const char *const text[] = {
        [WATCH_WELL] = "well",
        [WATCH_STOPPED] = "stopped by a signal",
        [WATCH_TXN] = "too long in a transaction",
        [WATCH_BEAT] = "no heartbeat",
        [WATCH_CONDEMNED] = "garbage in its ring",
    };
    return text[v];
}

static void put_down(struct supervisor *s, struct child *c, enum watch_verdict v, uint64_t age)
{
    log_event(LOG_ERROR, v == WATCH_CONDEMNED ? "role_condemned" : "role_hung",
              LOG_Z("who", c->name), LOG_I("who_pid", c->pid), LOG_Z("reason", watch_reason(v)),
              LOG_U("for_ms", age));
    if (v != WATCH_CONDEMNED)
        metric_add(&s->seat->metrics, METRIC_HUNG_KILLED, 1);
    c->hung = true;
    child_signal(c, SIGKILL);
}

static void watch_child(struct supervisor *s, struct child *c)
{
    const struct board_seat *seat = child_seat(s, c);
    uint64_t age = 0;
    struct watch_view v = {
        .role = c->role,
        .started_ms = c->started_ms,
        .resumed_ms = s->resumed_ms,
        .stopped_ms = c->stopped_ms,
        .beat_ms = atomic_load(&seat->beat_ms),
        .txn_since_ms = atomic_load(&seat->txn_since_ms),
        .sync_since_ms = atomic_load(&seat->sync_since_ms),
    };

    if (v.sync_since_ms >= c->started_ms && v.sync_since_ms > 0)
        c->sync_seen_ms = s->now_ms;
    v.sync_seen_ms = c->sync_seen_ms;

    enum watch_verdict verdict = watch_judge(&v, s->now_ms, &age);
    if (atomic_load(&seat->condemned) == c->generation)
        verdict = WATCH_CONDEMNED;
    if (verdict != WATCH_WELL)
        put_down(s, c, verdict, age);
}

void watch_proceed(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->nchildren; i++) {
        struct child *c = &s->children[i];
        if (c->pid > 0 && !c->hung)
            watch_child(s, c);
    }
}
