/* writer - the role: open everything, recover, then one batch after another until told to leave.
 *
 * It leaves on SIGTERM (the supervisor sends it when the workers are gone) or when the supervisor
 * is gone; either way it first applies what lies in the rings. It never talks to the network and
 * parses nothing but ring records.
 */
#include "shm/writer/writer.h"

#include "shm/writer/writer_priv.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDLE_MS 200 /* longest sleep: heartbeat and sweep go on */
#define LOCK_RETRY_MS 20
#define LOOK_EVERY 16   /* batches between two looks at signals while there is work */
#define ORPHAN_MS 10000 /* how long a writer without supervisor waits for its workers to finish */

/* Two writers are impossible: the lock is held before the environment is opened (rule 11). A dying
 * predecessor, or one of an older server, may still hold it. Returns the fd, or -errno. */
static int take_writer_lock(struct writer *w)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/writer.lock", w->conf->state_dir) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    bool told = false;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            int err = -errno;
            close(fd);
            return err;
        }
        if (!told)
            log_event(LOG_INFO, "writer_lock_waits", LOG_Z("path", path));
        told = true;
        seat_beat(w->seat);
        struct pollfd life = {.fd = w->heritage->life_fd, .events = POLLIN};
        if (poll(&life, 1, LOCK_RETRY_MS) > 0) {
            close(fd);
            return -ECANCELED; /* the supervisor is gone and there is nothing to finish */
        }
    }
    return fd;
}

static int open_store(struct writer *w)
{
    const char *path = w->conf->store_path;
    struct store_options o = {
        .path = path,
        .map_size = w->conf->store_map_size,
        .memory = w->conf->store_durability == CONF_MEMORY,
        .mode = STORE_WRITER,
        .max_readers = BOARD_SLOTS + 16,
        .seat = w->seat,
    };
    int err = store_open(&o, &w->store);
    if (err)
        log_event(LOG_ERROR, "store_open_failed", LOG_Z("path", path), LOG_E(err));
    return err;
}

static int open_memory(struct writer *w)
{
    const struct heritage *h = w->heritage;
    const struct conf *c = w->conf;
    int err = board_map(h->board_fd, &w->board);
    if (err)
        return err;
    w->seat = &w->board->seat[BOARD_WRITER];
    w->metrics = &w->seat->metrics;
    metric_zero_gauges(w->metrics);
    log_panic_text(w->seat->panic, sizeof(w->seat->panic));
    err = rings_map(h->rings_fd, w->board->slots, c->shm_inbox, c->shm_reply, &w->rings);
    if (!err)
        err = feed_map(h->feed_fd, c->shm_feed, true, &w->feed);
    if (err)
        return err;
    w->bell = (struct bell){h->bell_fd[BOARD_WRITER], &w->seat->asleep};
    w->supervisor_bell =
        (struct bell){h->bell_fd[BOARD_SUPERVISOR], &w->board->seat[BOARD_SUPERVISOR].asleep};
    for (uint32_t i = 0; i < w->rings.slots; i++)
        w->worker_bell[i] = (struct bell){h->bell_fd[i], &w->board->seat[i].asleep};
    buf_init(&w->scratch, w->rings.inbox[0].size);
    buf_init(&w->completion, w->rings.reply[0].size / 2);
    return 0;
}

static int signals_fd(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -errno;
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Without a supervisor: workers answer what they can and leave; then nothing comes any more. */
static bool workers_gone(const struct writer *w)
{
    for (uint32_t i = 0; i < w->rings.slots; i++) {
        pid_t pid = atomic_load(&w->board->seat[i].pid);
        if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM))
            return false;
    }
    return true;
}

static int finish(struct writer *w, bool orphan)
{
    uint64_t until = clock_boot_ms() + ORPHAN_MS;
    for (;;) {
        seat_beat(w->seat);
        storetime_turn(w);
        int took = batch_run(w);
        if (took < 0)
            return took;
        if (took > 0)
            continue;
        if (!orphan || workers_gone(w) || clock_boot_ms() >= until)
            return 0;
        poll(NULL, 0, LOCK_RETRY_MS);
    }
}

/* What is due goes on at once, in portions; else until something is. */
static int wait_ms(struct writer *w)
{
    return sweep_waits(w) ? 0 : presence_wait_ms(w, IDLE_MS);
}

static int loop(struct writer *w, int sig_fd)
{
    struct pollfd fds[] = {
        {.fd = w->bell.fd, .events = POLLIN},
        {.fd = w->heritage->life_fd, .events = POLLIN},
        {.fd = sig_fd, .events = POLLIN},
    };
    unsigned busy = 0;
    for (;;) {
        seat_beat(w->seat);
        storetime_turn(w);
        int took = batch_run(w);
        if (took < 0)
            return took;
        bool sleeps = took == 0;
        if (sleeps) {
            bell_sleep(&w->bell);
            took = batch_run(w); /* what came before we said that we sleep */
            if (took < 0)
                return took;
        }
        /* While there is work, signals are looked for now and then only. */
        if (took > 0 && ++busy % LOOK_EVERY) {
            if (sleeps)
                bell_awake(&w->bell);
            continue;
        }
        int n = poll(fds, 3, took == 0 ? wait_ms(w) : 0);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && fds[0].revents)
            bell_wake(&w->bell);
        else
            bell_awake(&w->bell);
        if (n > 0 && fds[2].revents) {
            log_event(LOG_INFO, "writer_leaves", LOG_Z("why", "told"));
            return finish(w, false);
        }
        if (n > 0 && fds[1].revents) {
            log_event(LOG_WARN, "writer_leaves", LOG_Z("why", "supervisor gone"));
            return finish(w, true);
        }
    }
}

int writer_main(const struct heritage *h, struct conf *conf)
{
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return 1;
    w->conf = conf;
    w->heritage = h;
    int lock = -1;
    int sig_fd = signals_fd();
    int err = sig_fd < 0 ? sig_fd : open_memory(w);
    if (!err) {
        seat_beat(w->seat);
        lock = take_writer_lock(w);
        err = lock < 0 ? lock : 0;
    }
    if (!err)
        err = open_store(w);
    if (!err)
        err = writer_recover(w);
    if (!err) {
        atomic_store(&w->seat->state, SEAT_RUNNING);
        atomic_store(&w->board->writer_ready, 1);
        bell_ring_always(&w->supervisor_bell);
        for (uint32_t i = 0; i < w->rings.slots; i++)
            bell_ring_always(&w->worker_bell[i]);
        err = loop(w, sig_fd);
    }
    if (err) {
        log_event(LOG_ERROR, "writer_failed", LOG_E(err));
        if (w->seat)
            snprintf(w->seat->panic, sizeof(w->seat->panic), "%s", strerror(-err));
    }
    presence_close(w);
    if (w->dedup)
        dedup_close(w->dedup);
    if (w->store)
        store_close(w->store);
    if (w->board) {
        buf_free(&w->scratch);
        buf_free(&w->completion);
    }
    if (w->rings.map)
        rings_unmap(&w->rings);
    if (w->feed.control)
        feed_unmap(&w->feed);
    if (lock >= 0)
        close(lock);
    free(w);
    return err ? 1 : 0;
}
