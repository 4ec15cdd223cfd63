/* watch - is a role hung? (A dead one is reap's business.)
 *
 * The judgement is pure: what the supervisor sees of a role goes in, a verdict comes out. Times are
 * milliseconds of the boot clock; 0 is "not".
 */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include "shm/heritage.h"

#include <stdint.h>

#define WATCH_STOPPED_MS 2000    /* stopped by a signal, whatever it was doing */
#define WATCH_WORKER_TXN_MS 2000 /* inside one read transaction */
#define WATCH_WRITER_TXN_MS 5000 /* inside one write transaction, fsync not counted */
#define WATCH_BEAT_MS 10000      /* age of the heartbeat */
#define WATCH_SYNC_BEAT_MS 60000 /* age of the heartbeat inside fsync */
#define WATCH_AWAY_MS 1000       /* the supervisor itself overslept by this much: see resumed_ms */

/* CONDEMNED is the writer's verdict, by the board: the worker put garbage into its ring (rule 3).
 */
enum watch_verdict { WATCH_WELL, WATCH_STOPPED, WATCH_TXN, WATCH_BEAT, WATCH_CONDEMNED };

struct watch_view {
    enum role role;
    uint64_t started_ms; /* when this process was started; notes older than it are not its own */
    uint64_t resumed_ms; /* when the supervisor came back after an absence (SIGSTOP, suspend, a
                            starved machine): nobody is judged by what happened before */
    uint64_t stopped_ms; /* since when it is stopped (WUNTRACED) */
    uint64_t beat_ms;    /* the seat's, as are the next two */
    uint64_t txn_since_ms;
    uint64_t sync_since_ms;
    uint64_t sync_seen_ms; /* when the supervisor last saw it inside fsync */
};

/* WELL, STOPPED, TXN or BEAT. *ret_age_ms: how long it has been so (only when not WELL). */
enum watch_verdict watch_judge(const struct watch_view *v, uint64_t now_ms, uint64_t *ret_age_ms);
const char *watch_reason(enum watch_verdict v); /* static; for the log */

struct supervisor;
/* Supervisor, each turn: SIGKILL for the hung and the condemned. Their end arrives as SIGCHLD. */
void watch_proceed(struct supervisor *s);

#endif
