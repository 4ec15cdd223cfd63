/* spawn - see spawn.h. exec, not fork alone: the store must not cross a fork, and a worker that
 * faces the internet should not carry a copy of the supervisor's memory (keys, configuration).
 * /proc/self/exe is the very file this process was started from, even when a newer one has been
 * installed over its path: supervisor and roles share memory and must be of one build.
 */
#include "server/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"

#include "server/signals.h"
#include "server/supervisor.h"

#define SPAWN_TITLE (sizeof("restanted: ") + CHILD_NAME)
#define SPAWN_EXEC_FAILED 127

static void listens_hand_on(const struct supervisor *s, const struct child *c, struct heritage *h)
{
    if (c->role != ROLE_WORKER)
        return;
    for (size_t i = 0; i < s->listens.n; i++) {
        h->listen_fd[h->nlistens] = listen_fd_of(&s->listens.of[i], c->slot);
        h->listen_index[h->nlistens++] = (int32_t)i;
    }
}

static void heritage_fill(const struct supervisor *s, const struct child *c, struct heritage *h)
{
    memset(h, 0, sizeof(*h));
    h->layout = board_layout();
    h->role = c->role;
    h->slot = c->slot;
    h->generation = c->generation;
    h->nworkers = s->nworkers;
    h->board_fd = s->board_fd;
    h->rings_fd = s->rings_fd;
    h->feed_fd = c->role == ROLE_WRITER ? s->feed_fd : s->feed_read_fd;
    h->config_fd = s->config_fd;
    h->life_fd = s->life_fd[0];
    h->log_fd = s->log_fd;
    for (size_t i = 0; i < BOARD_SEATS; i++)
        h->bell_fd[i] = s->bell_fd[i];
    listens_hand_on(s, c, h);
    must(strlen(s->config_path) < sizeof(h->config_path));
    memcpy(h->config_path, s->config_path, strlen(s->config_path) + 1);
}

static void keep_open(int fd)
{
    if (fd > STDERR_FILENO)
        (void)fcntl(fd, F_SETFD, 0);
}

/* Everything above the heritage is marked to be closed by exec, then what it names is not. */
static int descriptors_prune(const struct heritage *h, int heritage_fd)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(heritage_fd, HERITAGE_FD) < 0 ||
        close_range(HERITAGE_FD + 1, UINT32_MAX, CLOSE_RANGE_CLOEXEC))
        return -errno;
    keep_open(h->board_fd);
    keep_open(h->rings_fd);
    keep_open(h->feed_fd);
    keep_open(h->config_fd);
    keep_open(h->life_fd);
    keep_open(h->log_fd);
    for (size_t i = 0; i < BOARD_SEATS; i++)
        keep_open(h->bell_fd[i]);
    for (int i = 0; i < h->nlistens; i++)
        keep_open(h->listen_fd[i]);
    return 0;
}

static void child_exec(pid_t supervisor, const struct heritage *h, int heritage_fd, char *title)
    __attribute__((noreturn));

static void child_exec(pid_t supervisor, const struct heritage *h, int heritage_fd, char *title)
{
    char role[] = "--role";
    char *const argv[] = {title, role, NULL};

    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != supervisor)
        _exit(EXIT_FAILED); /* it died before the line above */
    int rc = descriptors_prune(h, heritage_fd);
    if (rc == 0) {
        signals_for_role();
        (void)execv("/proc/self/exe", argv);
        rc = -errno;
    }
    log_event(LOG_ERROR, "exec_failed", LOG_Z("title", title), LOG_E(rc));
    _exit(SPAWN_EXEC_FAILED);
}

static void seat_prepare(struct supervisor *s, struct child *c)
{
    struct board_seat *seat = child_seat(s, c);

    if (c->generation > 0) {
        atomic_fetch_add(&seat->respawns, 1);
        metric_add(&s->seat->metrics,
                   c->role == ROLE_WRITER ? METRIC_RESPAWNS_WRITER : METRIC_RESPAWNS_WORKER, 1);
    }
    c->generation = atomic_load(&seat->generation) + 1;
    atomic_store(&seat->generation, c->generation); /* rule 3: before the successor starts */
    atomic_store(&seat->started_ms, s->now_ms);
    atomic_store(&seat->state, SEAT_STARTING);
    c->started_ms = s->now_ms;
    c->stopped_ms = 0;
    c->sync_seen_ms = 0;
    c->hung = false;
    c->told = false;
}

static int spawn_child(struct supervisor *s, struct child *c)
{
    struct heritage h;
    char title[SPAWN_TITLE];

    seat_prepare(s, c);
    heritage_fill(s, c, &h);
    int fd = heritage_pack(&h);
    if (fd < 0)
        return fd;
    (void)snprintf(title, sizeof(title), "restanted: %s", c->name);

    pid_t pid = fork();
    if (pid == 0)
        child_exec(s->pid, &h, fd, title);
    int rc = pid < 0 ? -errno : 0;
    (void)close(fd);
    if (rc)
        return rc;
    c->pid = pid;
    atomic_store(&child_seat(s, c)->pid, pid);
    log_event(LOG_INFO, "role_started", LOG_Z("who", c->name), LOG_I("who_pid", pid),
              LOG_U("generation", c->generation));
    return 0;
}

static bool may_start(const struct supervisor *s, const struct child *c)
{
    if (!c->wanted || c->pid > 0)
        return false;
    return c->role == ROLE_WRITER || atomic_load(&s->board->writer_ready) != 0;
}

void spawn_proceed(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->nchildren; i++) {
        struct child *c = &s->children[i];
        if (!may_start(s, c) || c->due_ms > s->now_ms)
            continue;
        int rc = spawn_child(s, c);
        if (rc == 0)
            continue;
        atomic_store(&child_seat(s, c)->state, SEAT_DEAD);
        c->due_ms = s->now_ms + SPAWN_RETRY_MS;
        log_event(LOG_ERROR, "spawn_failed", LOG_Z("who", c->name), LOG_E(rc));
    }
}

uint64_t spawn_due_ms(const struct supervisor *s)
{
    uint64_t due = UINT64_MAX;

    for (uint32_t i = 0; i < s->nchildren; i++) {
        const struct child *c = &s->children[i];
        if (may_start(s, c) && c->due_ms < due)
            due = c->due_ms;
    }
    return due;
}
