/* board_status - the board as the status document: what `restante status --json` prints.
 *
 * By hand into a buf: the shape is fixed, the numbers are u64 and must stay exact.
 */
#include "shm/board.h"

#include "common/clock.h"
#include "common/version.h"

#include <inttypes.h>

const char *seat_state_text(uint32_t state)
{
    static const char *const text[] = {
        [SEAT_EMPTY] = "empty",       [SEAT_STARTING] = "starting", [SEAT_RUNNING] = "running",
        [SEAT_DRAINING] = "draining", [SEAT_DEAD] = "dead",
    };
    return state < sizeof(text) / sizeof(text[0]) ? text[state] : "unknown";
}

static uint64_t value(const struct board_seat *s, enum metric m)
{
    return atomic_load_explicit(&s->metrics.v[m], memory_order_relaxed);
}

/* The members that writer and workers share, without braces. */
static void append_seat(struct buf *out, const struct board_seat *s, uint64_t now_ms)
{
    uint64_t started = atomic_load(&s->started_ms);
    uint64_t uptime = started && now_ms > started ? (now_ms - started) / 1000 : 0;
    buf_printf(out,
               "\"pid\":%" PRId32 ",\"state\":\"%s\",\"generation\":%" PRIu32
               ",\"respawns\":%" PRIu32 ",\"uptime\":%" PRIu64,
               atomic_load(&s->pid), seat_state_text(atomic_load(&s->state)),
               atomic_load(&s->generation), atomic_load(&s->respawns), uptime);
}

static void append_workers(struct buf *out, const struct board *b, uint64_t now_ms)
{
    const char *comma = "";
    for (uint32_t i = 0; i < b->slots && i < BOARD_SLOTS; i++) {
        const struct board_seat *s = &b->seat[i];
        if (atomic_load(&s->state) == SEAT_EMPTY)
            continue;
        buf_printf(out, "%s{\"slot\":%" PRIu32 ",", comma, i);
        append_seat(out, s, now_ms);
        buf_printf(out, ",\"connections\":%" PRIu64 ",\"parked\":%" PRIu64 "}",
                   value(s, METRIC_CONNECTIONS), value(s, METRIC_POLLS_PARKED));
        comma = ",";
    }
}

static void append_store(struct buf *out, const struct board_seat *writer)
{
    uint64_t used = value(writer, METRIC_STORE_USED), limit = value(writer, METRIC_STORE_LIMIT);
    /* Before the first writer has measured, nothing is full. */
    bool full = limit > 0 && board_store_full(used, limit);
    buf_printf(out,
               "{\"used\":%" PRIu64 ",\"limit\":%" PRIu64 ",\"file\":%" PRIu64
               ",\"sessions\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"full\":%s}",
               used, limit, value(writer, METRIC_STORE_FILE), value(writer, METRIC_SESSIONS),
               value(writer, METRIC_MESSAGES_STORED), full ? "true" : "false");
}

int board_status_json(const struct board *b, struct buf *out)
{
    const struct board_seat *writer = &b->seat[BOARD_WRITER];
    uint64_t now_ms = clock_boot_ms();

    buf_printf(out, "{\"version\":\"%s\",\"supervisor\":{\"pid\":%" PRId32 "},\"writer\":{",
               RESTANTE_VERSION, atomic_load(&b->seat[BOARD_SUPERVISOR].pid));
    append_seat(out, writer, now_ms);
    buf_printf(out, ",\"ready\":%s},\"workers\":[",
               atomic_load(&b->writer_ready) ? "true" : "false");
    append_workers(out, b, now_ms);
    buf_printf(out, "],\"epoch\":\"%016" PRIx64 "\",\"last_seq\":%" PRIu64 ",\"store\":",
               atomic_load(&b->epoch), atomic_load(&b->last_seq));
    append_store(out, writer);
    return buf_printf(out, ",\"draining\":%s}", atomic_load(&b->draining) ? "true" : "false");
}
