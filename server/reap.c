/* reap - see reap.h. Of a dead worker the writer is told (slot, generation) on the board, and
 * nothing else is touched: its rings and its leases are the writer's to settle (rule 9). A role
 * that cannot start, again and again, takes the server down with a last word, since a server that
 * looks alive and serves nobody helps no one.
 */
#include "server/reap.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/log.h"

#include "server/signals.h"
#include "server/supervisor.h"

static struct child *child_of(struct supervisor *s, pid_t pid)
{
    for (uint32_t i = 0; i < s->nchildren; i++) {
        if (s->children[i].pid == pid)
            return &s->children[i];
    }
    return NULL;
}

static void on_stopped(struct supervisor *s, struct child *c, int signo)
{
    if (c->stopped_ms == 0)
        c->stopped_ms = s->now_ms;
    log_event(LOG_WARN, "role_stopped", LOG_Z("who", c->name), LOG_I("who_pid", c->pid),
              LOG_Z("signal", signals_name(signo)));
}

static void on_continued(struct child *c)
{
    c->stopped_ms = 0;
    log_event(LOG_INFO, "role_continued", LOG_Z("who", c->name), LOG_I("who_pid", c->pid));
}

static void obituary(struct supervisor *s, const struct child *c, int status,
                     const struct life *life)
{
    struct board_seat *seat = child_seat(s, c);
    struct str panic = {seat->panic, strnlen(seat->panic, sizeof(seat->panic))};
    bool expected = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    enum log_level level = expected ? LOG_INFO : LOG_WARN;

    if (WIFSIGNALED(status))
        log_event(level, "role_ended", LOG_Z("who", c->name), LOG_I("who_pid", c->pid),
                  LOG_U("generation", c->generation),
                  LOG_Z("signal", signals_name(WTERMSIG(status))), LOG_B("hung", c->hung),
                  LOG_U("uptime_ms", life->uptime_ms), LOG_S("panic", panic));
    else
        log_event(level, "role_ended", LOG_Z("who", c->name), LOG_I("who_pid", c->pid),
                  LOG_U("generation", c->generation), LOG_I("exit", WEXITSTATUS(status)),
                  LOG_U("uptime_ms", life->uptime_ms), LOG_S("panic", panic));
}

static bool by_own_fault(const struct child *c, int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status) != 0;
    return c->hung || (WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM);
}

static void on_ended(struct supervisor *s, struct child *c, int status)
{
    struct board_seat *seat = child_seat(s, c);
    enum seat_state state = child_state(s, c);
    struct life life = {
        .uptime_ms = s->now_ms - c->started_ms,
        .served = state == SEAT_RUNNING || state == SEAT_DRAINING,
        .own_fault = by_own_fault(c, status),
    };

    obituary(s, c, status, &life);
    seat->panic[0] = 0; /* its author is dead, its successor has not begun */
    c->pid = 0;
    atomic_store(&seat->pid, 0);
    atomic_store(&seat->state, SEAT_DEAD);
    atomic_store(&seat->dead_generation, c->generation);
    if (c->role == ROLE_WORKER)
        bell_ring(&s->writer_bell);

    uint64_t delay = backoff_after(&c->backoff, &life);
    c->due_ms = s->now_ms + delay;
    stop_on_ended(s, c, status);
    if (!c->wanted)
        return;
    if (backoff_hopeless(&c->backoff, s->announced)) {
        c->wanted = false;
        log_event(LOG_ERROR, "role_hopeless", LOG_Z("who", c->name),
                  LOG_U("failed_starts", c->backoff.failed),
                  LOG_Z("outcome", "the server stops; the reason is in the lines above"));
        stop_failed(s);
    } else if (delay > 0) {
        log_event(LOG_WARN, "role_backoff", LOG_Z("who", c->name), LOG_U("wait_ms", delay),
                  LOG_U("deaths", c->backoff.deaths));
    }
}

void reap_proceed(struct supervisor *s)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED);
        if (pid <= 0)
            return;
        struct child *c = child_of(s, pid);
        if (!c)
            continue;
        if (WIFSTOPPED(status))
            on_stopped(s, c, WSTOPSIG(status));
        else if (WIFCONTINUED(status))
            on_continued(c);
        else
            on_ended(s, c, status);
    }
}
