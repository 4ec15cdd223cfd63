/* supervisor - see supervisor.h: the loop. A turn lets every policy make progress, in an order that
 * matters and is written beside each call; then it sleeps until a signal, its bell, the admin
 * socket or the nearest deadline. There is no event library here: this process must be simple
 * enough to be read in one go.
 */
#include "server/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#include "server/signals.h"
#include "server/start.h"
#include "server/tickets.h"

/* Once, when every worker serves for the first time. */
static void announce(struct supervisor *s)
{
    if (s->announced || s->stop.phase != STOP_NOT)
        return;
    for (uint32_t i = 0; i < s->nworkers; i++) {
        if (child_state(s, supervisor_worker(s, i)) != SEAT_RUNNING)
            return;
    }
    s->announced = true;
    log_event(LOG_INFO, "server_ready",
              LOG_U("after_ms", s->now_ms - atomic_load(&s->seat->started_ms)));
}

static void clock_turn(struct supervisor *s)
{
    uint64_t now = clock_boot_ms();
    uint64_t slept = now - s->now_ms;

    s->now_ms = now;
    seat_beat(s->seat);
    if (slept <= SUPERVISOR_TICK_MS + WATCH_AWAY_MS)
        return;
    s->resumed_ms = now;
    log_event(LOG_WARN, "supervisor_was_away", LOG_U("for_ms", slept));
}

static void signals_turn(struct supervisor *s)
{
    struct signals got = signals_read(s->signal_fd);

    reap_proceed(s); /* this first: who has left by itself needs no signal */
    if (got.what & SIGNALS_IGNORED)
        log_event(LOG_INFO, "signal_ignored", LOG_Z("signal", signals_name(got.ignored)));
    for (unsigned i = 0; i < got.stops; i++) /* then this: workers that are gone are not asked */
        stop_request(s, signals_name(got.stop_signal));
}

static void turn(struct supervisor *s)
{
    clock_turn(s);   /* everything below goes by this turn's time */
    signals_turn(s); /* deaths, then requests to stop */
    watch_proceed(s);
    stop_proceed(s);  /* after deaths: the last one out decides the phase */
    spawn_proceed(s); /* after stop: it says who is still wanted */
    announce(s);
    steer_proceed(s); /* after birth and death: to those who serve now */
    keys_proceed(s);
    tickets_proceed(s);
    admin_proceed(s); /* last: it shows what the turn has made of the board */
}

static bool any_starting(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->nchildren; i++) {
        if (s->children[i].pid > 0 && child_state(s, &s->children[i]) == SEAT_STARTING)
            return true;
    }
    return false;
}

static int patience_ms(struct supervisor *s)
{
    uint64_t due = s->now_ms + (any_starting(s) ? SUPERVISOR_EAGER_MS : SUPERVISOR_TICK_MS);
    const uint64_t others[] = {spawn_due_ms(s), admin_due_ms(&s->admin),
                               s->stop.phase == STOP_NOT ? UINT64_MAX : s->stop.deadline_ms};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        due = others[i] < due ? others[i] : due;
    return due > s->now_ms ? (int)(due - s->now_ms) : 0;
}

static void wait_turn(struct supervisor *s)
{
    struct pollfd fds[2 + 1 + ADMIN_CONNECTIONS] = {
        {.fd = s->signal_fd, .events = POLLIN},
        {.fd = s->bell.fd, .events = POLLIN},
    };
    size_t n = 2 + admin_poll(&s->admin, fds + 2);

    bell_sleep(&s->bell);
    int ms = patience_ms(s);
    if (atomic_load(&s->board->rotate_wanted) != atomic_load(&s->board->rotate_done) &&
        s->now_ms >= s->rotate_again_ms)
        ms = 0;
    (void)poll(fds, n, ms);
    bell_wake(&s->bell);
}

int supervisor_main(struct conf *conf, struct str text, const char *config_path)
{
    struct supervisor *s = calloc(1, sizeof(*s));
    int status = EXIT_FAILED;

    log_init((enum log_level)conf->log_level, STDERR_FILENO, "supervisor", -1);
    if (!s) {
        log_event(LOG_ERROR, "start_failed", LOG_E(-ENOMEM));
        return EXIT_FAILED;
    }
    start_init(s, conf, config_path);
    if (start_all(s, text) == 0) {
        while (s->stop.phase != STOP_DONE) {
            turn(s);
            if (s->stop.phase != STOP_DONE)
                wait_turn(s);
        }
        status = s->stop.failed ? EXIT_FAILED : EXIT_OK;
        log_event(LOG_INFO, "stopped", LOG_I("exit", status),
                  LOG_U("took_ms", s->now_ms - s->stop.began_ms));
    }
    start_undo(s);
    free(s);
    return status;
}

struct child *supervisor_writer(struct supervisor *s)
{
    return &s->children[0];
}

struct child *supervisor_worker(struct supervisor *s, uint32_t slot)
{
    return &s->children[1 + slot];
}

struct board_seat *child_seat(const struct supervisor *s, const struct child *c)
{
    return &s->board->seat[c->slot];
}

enum seat_state child_state(const struct supervisor *s, const struct child *c)
{
    return (enum seat_state)atomic_load(&child_seat(s, c)->state);
}

void child_signal(const struct child *c, int signo)
{
    if (c->pid > 0)
        (void)kill(c->pid, signo);
}
