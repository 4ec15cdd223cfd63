/* start - see start.h. The order is: what may be refused (locks, keys, addresses) before what only
 * costs memory, and everything before the first role, which inherits it.
 */
#include "server/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/version.h"
#include "shm/feed.h"
#include "shm/ring.h"

#include "server/lock.h"
#include "server/signals.h"
#include "server/supervisor.h"
#include "server/tickets.h"

#define PID_FILE "restanted.pid"
#define LOCK_FILE "lock"
#define LOG_MODE 0640

static int failed(const char *what, int err)
{
    log_event(LOG_ERROR, "start_failed", LOG_Z("at", what), LOG_E(err));
    return err;
}

/* Descriptors 0 to 3 are taken, so that none of ours ever gets one of these numbers: roles have
 * their standard streams and the heritage there. */
static int low_fds_reserve(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return -errno;
    } while (fd <= HERITAGE_FD);
    (void)close(fd);
    return 0;
}

static void fd_limit_raise(const struct supervisor *s)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < s->conf->connections / s->nworkers)
        log_event(LOG_WARN, "few_descriptors", LOG_U("per_process", limit.rlim_max),
                  LOG_U("connections", s->conf->connections), LOG_U("workers", s->nworkers));
}

static int path_join(const char *dir, const char *name, char ret[PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/%s", dir, name);

    return n > 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int lock_in(const char *dir, mode_t mode, const char *name, int *ret_fd)
{
    char path[PATH_MAX];
    pid_t holder = 0;
    int rc = path_join(dir, name, path);

    if (rc == 0)
        rc = lock_directory(dir, mode);
    if (rc == 0)
        rc = lock_take(path, ret_fd, &holder);
    if (rc == -EALREADY)
        log_event(LOG_ERROR, "already_running", LOG_Z("lock", path), LOG_I("holder", holder));
    else if (rc)
        log_event(LOG_ERROR, "lock_failed", LOG_Z("directory", dir), LOG_E(rc));
    return rc;
}

static int log_open(struct supervisor *s)
{
    const char *file = s->conf->log_file;

    if (file[0] != 0) {
        s->log_fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, LOG_MODE);
        if (s->log_fd < 0) {
            s->log_fd = STDERR_FILENO;
            return failed(file, -errno);
        }
    }
    log_init((enum log_level)s->conf->log_level, s->log_fd, "supervisor", -1);
    return 0;
}

/* The bytes that were validated, for every role: they cannot change any more. */
static int config_share(struct str text)
{
    int rc = 0;
    int fd = memfd_create("restante-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    for (size_t done = 0; rc == 0 && done < text.n;) {
        ssize_t n = write(fd, text.p + done, text.n - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            rc = -errno;
    }
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        rc = -errno;
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

static int memory_make(struct supervisor *s)
{
    s->board_fd = board_create(s->nworkers, &s->board);
    if (s->board_fd < 0)
        return failed("board", s->board_fd);
    s->rings_fd = rings_create(s->nworkers, s->conf->shm_inbox, s->conf->shm_reply);
    if (s->rings_fd < 0)
        return failed("rings", s->rings_fd);
    s->feed_fd = feed_create(s->conf->shm_feed);
    if (s->feed_fd < 0)
        return failed("feed", s->feed_fd);
    s->feed_read_fd = feed_read_only(s->feed_fd);
    return s->feed_read_fd < 0 ? failed("feed", s->feed_read_fd) : 0;
}

static int bells_make(struct supervisor *s)
{
    for (uint32_t i = 0; i < BOARD_SEATS; i++) {
        if (i >= s->nworkers && i != BOARD_WRITER && i != BOARD_SUPERVISOR)
            continue;
        s->bell_fd[i] = bell_create();
        if (s->bell_fd[i] < 0)
            return failed("bells", s->bell_fd[i]);
    }
    s->bell = (struct bell){s->bell_fd[BOARD_SUPERVISOR], &s->seat->asleep};
    s->writer_bell = (struct bell){s->bell_fd[BOARD_WRITER], &s->board->seat[BOARD_WRITER].asleep};
    return pipe2(s->life_fd, O_CLOEXEC) ? failed("life pipe", -errno) : 0;
}

static void child_make(struct supervisor *s, enum role role, uint32_t slot)
{
    struct child *c = &s->children[s->nchildren++];

    *c = (struct child){.role = role, .slot = slot, .wanted = true};
    if (role == ROLE_WRITER)
        (void)snprintf(c->name, sizeof(c->name), "writer");
    else
        (void)snprintf(c->name, sizeof(c->name), "worker %u", slot);
}

static void children_make(struct supervisor *s)
{
    child_make(s, ROLE_WRITER, BOARD_WRITER);
    for (uint32_t i = 0; i < s->nworkers; i++)
        child_make(s, ROLE_WORKER, i);
}

void start_init(struct supervisor *s, struct conf *conf, const char *config_path)
{
    memset(s, 0, sizeof(*s));
    s->pid = getpid();
    s->conf = conf;
    s->config_path = config_path;
    s->nworkers = (uint32_t)conf->workers;
    s->state_lock = s->run_lock = s->signal_fd = -1;
    s->board_fd = s->rings_fd = s->feed_fd = s->feed_read_fd = s->config_fd = -1;
    s->life_fd[0] = s->life_fd[1] = -1;
    s->log_fd = STDERR_FILENO;
    for (size_t i = 0; i < BOARD_SEATS; i++)
        s->bell_fd[i] = -1;
    admin_init(&s->admin);
}

int start_all(struct supervisor *s, struct str text)
{
    char listen[LISTEN_TEXT];
    int rc = low_fds_reserve();

    if (rc)
        return failed("descriptors", rc);
    fd_limit_raise(s);
    rc = log_open(s);
    if (rc == 0)
        rc = lock_in(s->conf->state_dir, 0700, LOCK_FILE, &s->state_lock);
    if (rc == 0)
        rc = lock_in(s->conf->run_dir, 0755, PID_FILE, &s->run_lock);
    if (rc)
        return rc;
    rc = keys_load(s->conf->state_dir, &s->keys);
    if (rc)
        return failed(KEYS_FILE, rc);
    rc = listen_open(s->conf, s->nworkers, &s->listens); /* logs the address that failed */
    if (rc == 0)
        rc = memory_make(s);
    if (rc)
        return rc;
    s->seat = &s->board->seat[BOARD_SUPERVISOR];
    board_keys_set(s->board, &s->keys);
    rc = bells_make(s);
    if (rc)
        return rc;
    s->config_fd = config_share(text);
    if (s->config_fd < 0)
        return failed("configuration", s->config_fd);
    rc = admin_open(&s->admin, s->conf->run_dir);
    if (rc)
        return failed(ADMIN_SOCKET, rc);
    s->signal_fd = signals_open();
    if (s->signal_fd < 0)
        return failed("signals", s->signal_fd);

    s->now_ms = clock_boot_ms();
    tickets_start(s);
    atomic_store(&s->seat->generation, 1);
    atomic_store(&s->seat->pid, s->pid);
    atomic_store(&s->seat->started_ms, s->now_ms);
    atomic_store(&s->seat->state, SEAT_RUNNING);
    children_make(s);
    log_event(LOG_INFO, "server_started", LOG_Z("version", RESTANTE_VERSION),
              LOG_Z("config", s->config_path), LOG_U("workers", s->nworkers),
              LOG_Z("state_dir", s->conf->state_dir), LOG_Z("run_dir", s->conf->run_dir));
    for (size_t i = 0; i < s->listens.n; i++)
        log_event(LOG_INFO, "listening", LOG_Z("address", listen_text(&s->listens.of[i], listen)));
    return 0;
}

void start_undo(struct supervisor *s)
{
    const int fds[] = {s->signal_fd, s->board_fd,   s->rings_fd,   s->feed_fd,  s->feed_read_fd,
                       s->config_fd, s->life_fd[0], s->life_fd[1], s->run_lock, s->state_lock};
    char path[PATH_MAX];

    admin_close(&s->admin);
    board_unmap(s->board);
    listen_close(&s->listens);
    for (size_t i = 0; i < BOARD_SEATS; i++) {
        if (s->bell_fd[i] >= 0)
            (void)close(s->bell_fd[i]);
    }
    if (s->run_lock >= 0 && path_join(s->conf->run_dir, PID_FILE, path) == 0)
        (void)unlink(path); /* before its lock goes */
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    explicit_bzero(&s->keys, sizeof(s->keys));
}
