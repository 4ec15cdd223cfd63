/* stop - see stop.h. A role is told to leave once it is up, not while it is starting: until its
 * handlers are there, SIGTERM would just kill it. For a worker that is no loss (nobody is connected
 * to it); for the writer it would mean starting over, since the rings must be emptied.
 */
#include "server/stop.h"

#include <signal.h>
#include <sys/wait.h>

#include "common/log.h"

#include "server/supervisor.h"

static const char *phase_text(enum stop_phase p)
{
    static const char *const text[] = {"not", "workers", "writer", "done"};
    return text[p];
}

static void workers_signal(struct supervisor *s, int signo)
{
    for (uint32_t i = 0; i < s->nworkers; i++)
        child_signal(supervisor_worker(s, i), signo);
}

static bool workers_left(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->nworkers; i++) {
        if (supervisor_worker(s, i)->pid > 0)
            return false;
    }
    return true;
}

static void enter(struct supervisor *s, enum stop_phase phase, uint64_t patience_ms)
{
    s->stop.phase = phase;
    s->stop.deadline_ms = s->now_ms + patience_ms;
    log_event(LOG_INFO, "draining", LOG_Z("phase", phase_text(phase)),
              LOG_U("patience_ms", patience_ms), LOG_B("fast", s->stop.fast));
}

static void begin(struct supervisor *s)
{
    s->stop.began_ms = s->now_ms;
    atomic_store(&s->board->draining, 1);
    atomic_store(&s->seat->state, SEAT_DRAINING);
    for (uint32_t i = 0; i < s->nworkers; i++)
        supervisor_worker(s, i)->wanted = false;
    enter(s, STOP_WORKERS, s->conf->server_drain);
    workers_signal(s, SIGTERM);
}

static void deadline_passed(struct supervisor *s)
{
    if (s->stop.phase == STOP_WORKERS) {
        log_event(LOG_WARN, "drain_overdue", LOG_Z("phase", "workers"));
        workers_signal(s, SIGKILL);
    } else {
        log_event(LOG_ERROR, "drain_overdue", LOG_Z("phase", "writer"));
        s->stop.failed = true;
        supervisor_writer(s)->wanted = false;
        child_signal(supervisor_writer(s), SIGKILL);
    }
    s->stop.deadline_ms = UINT64_MAX;
}

static void writer_proceed(struct supervisor *s)
{
    struct child *w = supervisor_writer(s);
    /* Then no command can be in any ring, and it may be waiting for a lock. */
    bool never_ready = atomic_load(&s->board->writer_ready) == 0;

    if (never_ready)
        w->wanted = false;
    if (w->pid == 0 && !w->wanted) {
        s->stop.phase = STOP_DONE;
    } else if (w->pid > 0 && !w->told && (never_ready || child_state(s, w) != SEAT_STARTING)) {
        w->told = true;
        child_signal(w, never_ready ? SIGKILL : SIGTERM);
    }
}

void stop_request(struct supervisor *s, const char *reason)
{
    log_event(LOG_INFO, "stop_requested", LOG_Z("by", reason),
              LOG_B("again", s->stop.phase != STOP_NOT));
    if (s->stop.phase == STOP_NOT) {
        begin(s);
    } else if (s->stop.phase == STOP_WORKERS) {
        s->stop.fast = true;
        workers_signal(s, SIGKILL);
    }
}

void stop_failed(struct supervisor *s)
{
    s->stop.failed = true;
    if (s->stop.phase == STOP_NOT)
        begin(s);
}

void stop_on_ended(struct supervisor *s, struct child *c, int status)
{
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    if (s->stop.phase == STOP_NOT)
        return;
    if (c->role == ROLE_WORKER || (s->stop.phase == STOP_WRITER && orderly))
        c->wanted = false;
}

void stop_proceed(struct supervisor *s)
{
    if (s->stop.phase == STOP_NOT || s->stop.phase == STOP_DONE)
        return;
    if (s->now_ms >= s->stop.deadline_ms)
        deadline_passed(s);
    if (s->stop.phase == STOP_WORKERS && workers_left(s)) {
        enter(s, STOP_WRITER,
              s->conf->server_drain > STOP_WRITER_MS ? s->conf->server_drain : STOP_WRITER_MS);
    }
    if (s->stop.phase == STOP_WRITER)
        writer_proceed(s);
}
