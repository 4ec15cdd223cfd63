/* worker - the role: map what was inherited, wait for the writer, serve until told to leave.
 *
 * One turn of the loop: make all progress there is (completions, feed, answers), say that we sleep,
 * look once more, then block for events. So a busy worker finds its completions without any bell,
 * and a sleeping one cannot miss a ring. Draining: no more accepts, parked polls end, what is in
 * flight is answered, idle connections close; the process leaves when no connection is left, or at
 * a deadline shortly before the supervisor's.
 */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/log.h"

#include "worker/accept.h"
#include "worker/hello.h"
#include "worker/protocol.h"
#include "worker/rate.h"
#include "worker/route.h"
#include "worker/worker.h"

#define TICK_MS 100          /* heartbeat, deadlines, timeouts of commands */
#define ORPHAN_DRAIN_MS 2000 /* to finish in when the supervisor is gone */
#define READERS_MORE 16      /* readers of the store besides workers: the command, verify, ... */

struct loop { /* what only this file needs of a worker */
    struct worker w;
    struct event *bell, *tick, *term, *life;
    bool serving;
    uint64_t leave_ms; /* boot clock, when draining: the latest to leave */
    bool done;
    int status;
};

/* --- starting --- */

static void raise_descriptor_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &l) < 0)
        log_event(LOG_WARN, "descriptor_limit", LOG_E(-errno));
}

static int map_heritage(struct worker *w)
{
    const struct heritage *h = &w->heritage;
    const struct conf *conf = w->conf;
    int r = board_map(h->board_fd, &w->board);
    if (r < 0)
        return r;
    w->seat = &w->board->seat[h->slot];
    w->metrics = &w->seat->metrics;
    metric_zero_gauges(w->metrics);
    log_panic_text(w->seat->panic, sizeof(w->seat->panic));
    seat_beat(w->seat);
    if (h->slot >= w->board->slots)
        return -EPROTO;
    w->bell = (struct bell){h->bell_fd[h->slot], &w->seat->asleep};
    w->writer_bell = (struct bell){h->bell_fd[BOARD_WRITER], &w->board->seat[BOARD_WRITER].asleep};
    w->supervisor_bell =
        (struct bell){h->bell_fd[BOARD_SUPERVISOR], &w->board->seat[BOARD_SUPERVISOR].asleep};
    r = rings_map(h->rings_fd, w->board->slots, conf->shm_inbox, conf->shm_reply, &w->rings);
    return r < 0 ? r : feed_map(h->feed_fd, conf->shm_feed, false, &w->feed);
}

static int open_store(struct worker *w)
{
    const struct conf *conf = w->conf;
    struct store_options o = {
        .path = conf->store_path,
        .map_size = conf->store_map_size,
        .memory = conf->store_durability == CONF_MEMORY,
        .mode = STORE_READER,
        .max_readers = BOARD_SLOTS + READERS_MORE,
        .seat = w->seat,
    };
    return store_open(&o, &w->store);
}

static int open_route(struct worker *w)
{
    struct route_parts parts = {
        .conf = w->conf,
        .board = w->board,
        .seat = w->seat,
        .slot = w->heritage.slot,
        .generation = w->heritage.generation,
        .inbox = &w->rings.inbox[w->heritage.slot],
        .reply = &w->rings.reply[w->heritage.slot],
        .feed = &w->feed,
        .writer_bell = &w->writer_bell,
        .store = w->store,
    };
    return route_open(&parts, &w->route);
}

/* As far as it goes now: the store and the feed are the writer's to make. 0, -EAGAIN later, or why
 * this worker cannot serve. */
static int try_to_serve(struct loop *l)
{
    struct worker *w = &l->w;
    if (!atomic_load(&w->board->writer_ready))
        return -EAGAIN;
    int r = w->store ? 0 : open_store(w);
    if (r == 0 && !w->rate)
        r = rate_open(&w->rate);
    if (r == 0)
        r = open_route(w);
    if (r == 0)
        r = protocol_open(w, NULL, NULL);
    if (r == 0)
        r = hello_open(w, NULL, NULL, &w->hello);
    if (r == 0)
        r = acceptor_open(w, &w->acceptor);
    if (r < 0)
        return r;
    l->serving = true;
    atomic_store(&w->seat->state, SEAT_RUNNING);
    log_event(LOG_INFO, "worker_serves", LOG_U("connections", acceptor_limit(w)));
    bell_ring_always(&w->supervisor_bell);
    return 0;
}

static size_t connections(const struct worker *w)
{
    return protocol_connections(w) + (w->hello ? hello_connections(w->hello) : 0);
}

static void leave(struct loop *l, int status)
{
    l->done = true;
    l->status = status;
}

static void start_serving(struct loop *l)
{
    if (l->serving || l->w.draining)
        return;
    int r = try_to_serve(l);
    if (r == 0 || r == -EAGAIN)
        return;
    log_event(LOG_ERROR, "worker_cannot_serve", LOG_E(r));
    leave(l, 1);
}

/* --- leaving --- */

static void drain(struct loop *l, const char *why, uint64_t patience_ms)
{
    struct worker *w = &l->w;
    uint64_t leave_ms = clock_boot_ms() + patience_ms;
    if (w->draining) {
        l->leave_ms = leave_ms < l->leave_ms ? leave_ms : l->leave_ms;
        return;
    }
    w->draining = true;
    l->leave_ms = leave_ms;
    atomic_store(&w->seat->state, SEAT_DRAINING);
    log_event(LOG_INFO, "worker_drains", LOG_Z("why", why), LOG_U("patience_ms", patience_ms),
              LOG_U("connections", connections(w)));
    if (!l->serving) {
        leave(l, 0);
        return;
    }
    acceptor_close(w->acceptor);
    w->acceptor = NULL;
    hello_drain(w->hello);
    protocol_drain(w);
    route_drain(w->route);
}

static void look_whether_done(struct loop *l)
{
    if (!l->w.draining || l->done)
        return;
    size_t left = connections(&l->w);
    bool late = clock_boot_ms() >= l->leave_ms;
    if (left && !late)
        return;
    log_event(late && left ? LOG_WARN : LOG_INFO, "worker_leaves", LOG_U("connections_cut", left));
    leave(l, 0);
}

/* --- events --- */

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    /* Edge-triggered, so a ring needs no read: the counter is never looked at. That we are awake is
     * said by the loop. */
    start_serving(arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *l = arg;
    seat_beat(l->w.seat);
    start_serving(l);
    if (!l->serving)
        return;
    route_tick(l->w.route);
    hello_tick(l->w.hello);
    protocol_tick(&l->w);
}

static void on_term(evutil_socket_t signo, short what, void *arg)
{
    (void)signo;
    (void)what;
    struct loop *l = arg;
    /* A tenth before the supervisor's deadline, so that it is us who end it, in order. */
    drain(l, "told", l->w.conf->server_drain - l->w.conf->server_drain / 10);
}

static void on_life(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *l = arg;
    event_del(l->life);
    drain(l, "supervisor gone", ORPHAN_DRAIN_MS);
}

static int open_events(struct loop *l)
{
    struct worker *w = &l->w;
    struct event_config *config = event_config_new();
    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        w->base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    if (!w->base)
        return -ENOMEM;
    l->bell = event_new(w->base, w->bell.fd, EV_READ | EV_PERSIST | EV_ET, on_bell, l);
    l->tick = event_new(w->base, -1, EV_PERSIST, on_tick, l);
    l->term = evsignal_new(w->base, SIGTERM, on_term, l);
    l->life = event_new(w->base, w->heritage.life_fd, EV_READ | EV_PERSIST, on_life, l);
    struct timeval every = {.tv_usec = TICK_MS * 1000};
    if (!l->bell || !l->tick || !l->term || !l->life || event_add(l->bell, NULL) < 0 ||
        event_add(l->tick, &every) < 0 || event_add(l->term, NULL) < 0 ||
        event_add(l->life, NULL) < 0)
        return -ENOMEM;
    return 0;
}

/* --- the loop --- */

/* True when there is more to do at once, after the network had its turn. */
static bool proceed(struct loop *l)
{
    if (!l->serving)
        return false;
    bool more = route_proceed(l->w.route);
    more |= protocol_proceed(&l->w);
    more |= route_due(l->w.route); /* what the network had no room for, and has now */
    route_ring(l->w.route);
    return more;
}

static int run(struct loop *l)
{
    while (!l->done) {
        seat_beat(l->w.seat);
        proceed(l);
        look_whether_done(l);
        if (l->done)
            break;
        if (l->serving && route_pickups(l->w.route) == 0)
            bell_sleep_deaf(&l->w.bell);
        else
            bell_sleep(&l->w.bell);
        bool more = proceed(l); /* what came before we said that we sleep */
        if (event_base_loop(l->w.base, more ? EVLOOP_NONBLOCK : EVLOOP_ONCE) < 0)
            return -EIO;
        bell_awake(&l->w.bell);
    }
    return 0;
}

static void close_all(struct loop *l)
{
    struct worker *w = &l->w;
    acceptor_close(w->acceptor);
    hello_close(w->hello);
    protocol_close(w); /* before route: exchanges that end here let go of their calls */
    if (w->route)
        route_close(w->route);
    rate_close(w->rate);
    if (w->store)
        store_close(w->store);
    struct event *events[] = {l->bell, l->tick, l->term, l->life};
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i])
            event_free(events[i]);
    }
    if (w->base)
        event_base_free(w->base);
    if (w->feed.control)
        feed_unmap(&w->feed);
    if (w->rings.map)
        rings_unmap(&w->rings);
}

/* Bodies of batches come and go by the hundred a second: out of mmap each would be faulted in, and
 * zeroed, anew. What a burst has grown goes back once this much lies free. An allocator that is not
 * glibc's (a sanitizer's) knows nothing of this and needs nothing of it. */
static void keep_memory(void)
{
    if (mallopt(M_MMAP_THRESHOLD, 16 << 20) != 1 || mallopt(M_TRIM_THRESHOLD, 32 << 20) != 1)
        log_event(LOG_DEBUG, "allocator_unknown");
}

int worker_main(const struct heritage *h, struct conf *conf)
{
    keep_memory();
    struct loop l = {.w = {.conf = conf, .heritage = *h}};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* a terminal sends it to everyone; the supervisor decides */
    signal(SIGHUP, SIG_IGN);
    raise_descriptor_limit();
    int r = map_heritage(&l.w);
    if (r == 0)
        r = open_events(&l);
    if (r == 0) {
        start_serving(&l);
        r = run(&l);
    }
    if (r < 0) {
        log_event(LOG_ERROR, "worker_failed", LOG_E(r));
        l.status = 1;
    }
    close_all(&l);
    return l.status;
}
