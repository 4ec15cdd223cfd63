/* fake_server - a whole supervisor in a process of its own, with roles that only pretend.
 *
 * Included by the tests of server/ that need processes, each of which is also the program that the
 * supervisor executes: its main hands `--role` to fake_role(). A fake role beats, serves its
 * listening sockets by writing its slot, and leaves on SIGTERM; FAKE_WORKER_<slot> and FAKE_WRITER
 * in the environment make it misbehave (see misbehave). What happens is read from the server's log.
 */
#ifndef TESTS_UNIT_SERVER_FAKE_SERVER_H
#define TESTS_UNIT_SERVER_FAKE_SERVER_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/role.h"
#include "server/supervisor.h"

#define FAKE_PATIENCE_MS 30000
#define FAKE_LOG_MAX (1024 * 1024)
#define FAKE_UNUSED __attribute__((unused))

/* ---- the roles ---- */

struct fake {
    const struct heritage *h;
    const struct conf *conf;
    struct board *board;
    struct board_seat *seat;
    const char *mode;
    char name[24];
    uint32_t mourned[BOARD_WORKERS];
};

/* One line into a file of the state directory; short appends do not mix. */
static void fake_note(const struct conf *conf, const char *file, const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", conf->state_dir, file);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static bool fake_inherited(const struct heritage *h, int fd)
{
    const int named[] = {h->board_fd, h->rings_fd, h->feed_fd, h->config_fd, h->life_fd, h->log_fd};

    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (named[i] == fd)
            return true;
    }
    for (int i = 0; i < BOARD_SEATS; i++) {
        if (h->bell_fd[i] == fd)
            return true;
    }
    for (int i = 0; i < h->nlistens; i++) {
        if (h->listen_fd[i] == fd)
            return true;
    }
    return fd <= STDERR_FILENO;
}

/* "none" or the descriptors that nobody named. The log's own is close-on-exec, so made after it. */
static void fake_strangers(const struct fake *f)
{
    char text[256] = "";
    DIR *d = opendir("/proc/self/fd");

    must(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] == '.' || fd == dirfd(d) || fake_inherited(f->h, fd) ||
            (fcntl(fd, F_GETFD) & FD_CLOEXEC))
            continue;
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "%d ", fd);
    }
    closedir(d);
    char line[320];
    snprintf(line, sizeof(line), "%s strangers %s\n", f->name, text[0] ? text : "none");
    fake_note(f->conf, "notes", line);
}

static void fake_ring_supervisor(const struct fake *f)
{
    struct bell bell = {f->h->bell_fd[BOARD_SUPERVISOR], &f->board->seat[BOARD_SUPERVISOR].asleep};

    bell_ring(&bell);
}

/*   crash       fails at once, with last words          exit        leaves at once with status 3
 *   txn         (first life) hangs in a transaction     deaf        does not leave on SIGTERM
 *   condemned   (first life) is condemned on the board  slow        leaves only after half a second
 *   rotate      wants new session-token keys
 */
static void misbehave(struct fake *f)
{
    bool first = f->h->generation == 1;

    if (strcmp(f->mode, "crash") == 0)
        log_panic("fake", 1, "the fake was told to crash");
    if (strcmp(f->mode, "exit") == 0)
        exit(3);
    atomic_store(&f->seat->state, SEAT_RUNNING);
    if (strcmp(f->mode, "txn") == 0 && first)
        seat_txn_begin(f->seat);
    if (strcmp(f->mode, "condemned") == 0 && first)
        atomic_store(&f->seat->condemned, f->h->generation);
    if (strcmp(f->mode, "rotate") == 0) {
        atomic_fetch_add(&f->board->rotate_wanted, 1);
        fake_ring_supervisor(f);
    }
}

static void fake_serve(const struct fake *f, int fd)
{
    char slot = (char)('0' + f->h->slot);
    int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (c < 0)
        return;
    (void)send(c, &slot, 1, MSG_NOSIGNAL);
    close(c);
}

/* The writer's part of rule 9: a bell rang, and the board says whose death it was for. */
static void fake_mourn(struct fake *f)
{
    char line[64];

    for (uint32_t i = 0; i < f->h->nworkers && f->h->role == ROLE_WRITER; i++) {
        uint32_t dead = atomic_load(&f->board->seat[i].dead_generation);
        if (dead == f->mourned[i])
            continue;
        f->mourned[i] = dead;
        snprintf(line, sizeof(line), "worker %u of generation %u mourned\n", i, dead);
        fake_note(f->conf, "notes", line);
    }
}

static int fake_loop(struct fake *f, int sig)
{
    struct bell bell = {f->h->bell_fd[f->h->slot], &f->seat->asleep};
    struct pollfd p[3 + HERITAGE_LISTENS] = {{.fd = sig, .events = POLLIN},
                                             {.fd = f->h->life_fd, .events = POLLIN},
                                             {.fd = bell.fd, .events = POLLIN}};

    for (int i = 0; i < f->h->nlistens; i++)
        p[3 + i] = (struct pollfd){.fd = f->h->listen_fd[i], .events = POLLIN};
    for (;;) {
        seat_beat(f->seat);
        bell_sleep(&bell);
        poll(p, 3 + (nfds_t)f->h->nlistens, 50);
        bell_wake(&bell);
        if (p[2].revents)
            fake_mourn(f);
        if (p[1].revents || (p[0].revents && strcmp(f->mode, "deaf") != 0))
            return 0;
        for (int i = 0; i < f->h->nlistens; i++) {
            if (p[3 + i].revents)
                fake_serve(f, p[3 + i].fd);
        }
    }
}

static int fake_main(struct fake *f)
{
    char line[64];
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    must(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int sig = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    must(sig >= 0 && board_map(f->h->board_fd, &f->board) == 0);
    f->seat = &f->board->seat[f->h->slot];
    log_panic_text(f->seat->panic, sizeof(f->seat->panic));
    if (!f->mode)
        f->mode = "";
    fake_strangers(f);
    misbehave(f);
    if (f->h->role == ROLE_WRITER) {
        atomic_store(&f->board->writer_ready, 1);
        fake_ring_supervisor(f);
    }
    int rc = fake_loop(f, sig);
    if (strcmp(f->mode, "slow") == 0)
        poll(NULL, 0, 500);
    snprintf(line, sizeof(line), "%s left\n", f->name);
    fake_note(f->conf, "notes", line);
    return rc;
}

static int fake_worker(const struct heritage *h, struct conf *conf)
{
    struct fake f = {.h = h, .conf = conf};
    char name[32];

    snprintf(f.name, sizeof(f.name), "worker %u", h->slot);
    snprintf(name, sizeof(name), "FAKE_WORKER_%u", h->slot);
    f.mode = getenv(name);
    return fake_main(&f);
}

static int fake_writer(const struct heritage *h, struct conf *conf)
{
    struct fake f = {.h = h, .conf = conf, .name = "writer", .mode = getenv("FAKE_WRITER")};

    return fake_main(&f);
}

static bool fake_is_role(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--role") == 0;
}

static int fake_role(int argc, char **argv)
{
    static const struct role_entry roles[] = {{ROLE_WRITER, "writer", false, fake_writer},
                                              {ROLE_WORKER, "worker", true, fake_worker}};
    struct title title;

    title_take(argc, argv, &title);
    return role_run(roles, 2, &title);
}

/* ---- the server ---- */

struct fake_server {
    pid_t pid; /* 0: ended and waited for */
    char dir[64];
    char log[96];
};

static void fake_dir(struct fake_server *s)
{
    memset(s, 0, sizeof(*s));
    snprintf(s->dir, sizeof(s->dir), "/tmp/restante-fake-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->log, sizeof(s->log), "%s/log", s->dir);
}

static int fake_supervise(const struct fake_server *s, const char *settings)
{
    char path[96], text[2048];
    struct buf report;
    struct conf *conf;

    snprintf(path, sizeof(path), "%s/restante.conf", s->dir);
    snprintf(text, sizeof(text), "state_dir = \"lib\" run_dir = \"run\"\n%s\n", settings);
    buf_init(&report, sizeof(text) * 4);
    if (conf_load(str_of(text), path, &conf, &report)) {
        fprintf(stderr, "%.*s\n", (int)report.len, (const char *)report.data);
        return EXIT_CONFIG;
    }
    int status = supervisor_main(conf, str_of(text), path);
    conf_free(conf);
    buf_free(&report);
    return status;
}

/* In the child: the log, and nothing of it outlives a test that failed. */
static void fake_child(const struct fake_server *s)
{
    int fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL))
        _exit(99);
    close(fd);
}

/* Forks the supervisor; settings is the configuration less its directories. */
static void fake_fork(struct fake_server *s, const char *settings)
{
    fflush(NULL); /* what is buffered would be written twice */
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        fake_child(s);
        exit(fake_supervise(s, settings));
    }
}

static char *fake_read(const char *path) /* to be freed; "" when there is none */
{
    char *text = calloc(1, FAKE_LOG_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;

    assert_non_null(text);
    while (fd >= 0 && n < FAKE_LOG_MAX) {
        ssize_t got = read(fd, text + n, FAKE_LOG_MAX - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    return text;
}

/* The nth line (from 1) of the log that has all of the words (NULL ends them); "" when there is
 * none. In a static buffer. */
static const char *fake_find(const struct fake_server *s, int nth, const char *const *words)
{
    static char line[4096];
    char *text = fake_read(s->log);
    char *save = NULL;

    line[0] = 0;
    for (char *l = strtok_r(text, "\n", &save); l && nth > 0; l = strtok_r(NULL, "\n", &save)) {
        bool all = true;
        for (size_t i = 0; words[i]; i++)
            all = all && strstr(l, words[i]);
        if (all && --nth == 0)
            snprintf(line, sizeof(line), "%s", l);
    }
    free(text);
    return line;
}

static void fake_fail(const struct fake_server *s, const char *what)
{
    char *text = fake_read(s->log);

    print_error("%s; the log:\n%s\n", what, text);
    free(text);
    fail();
}

/* Waits for that line; fails with the log. */
static const char *fake_wait_words(const struct fake_server *s, int nth, const char *const *words)
{
    uint64_t end = clock_boot_ms() + FAKE_PATIENCE_MS;

    for (;;) {
        const char *line = fake_find(s, nth, words);
        if (*line)
            return line;
        if (clock_boot_ms() > end)
            fake_fail(s, words[0]);
        poll(NULL, 0, 5);
    }
}

#define FAKE_WAIT(s, nth, ...) fake_wait_words((s), (nth), (const char *const[]){__VA_ARGS__, NULL})
#define FAKE_FIND(s, nth, ...) fake_find((s), (nth), (const char *const[]){__VA_ARGS__, NULL})

static uint64_t fake_number(const char *line, const char *member)
{
    char key[64];

    snprintf(key, sizeof(key), "\"%s\":", member);
    const char *p = strstr(line, key);
    assert_non_null(p);
    return strtoull(p + strlen(key), NULL, 10);
}

static void FAKE_UNUSED fake_start(struct fake_server *s, const char *settings)
{
    fake_dir(s);
    fake_fork(s, settings);
    FAKE_WAIT(s, 1, "\"server_ready\"");
}

static pid_t FAKE_UNUSED fake_pid_of(const struct fake_server *s, const char *who, int nth)
{
    char word[48];

    snprintf(word, sizeof(word), "\"who\":\"%s\"", who);
    return (pid_t)fake_number(FAKE_WAIT(s, nth, "\"role_started\"", word), "who_pid");
}

/* Waits for the server's end: its exit status, or 128 + signal. */
static int FAKE_UNUSED fake_end(struct fake_server *s)
{
    uint64_t end = clock_boot_ms() + FAKE_PATIENCE_MS;
    int status;

    while (waitpid(s->pid, &status, WNOHANG) == 0) {
        if (clock_boot_ms() > end) {
            kill(s->pid, SIGKILL);
            fake_fail(s, "the server does not end");
        }
        poll(NULL, 0, 5);
    }
    s->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void FAKE_UNUSED fake_remove(struct fake_server *s)
{
    static const char *const files[] = {"lib/lock", "lib/session.keys", "lib/notes", "lib", "run",
                                        "log"};
    char path[128];
    char *text = fake_read(s->log);

    if (strstr(text, "Sanitizer") || strstr(text, "runtime error"))
        fake_fail(s, "a sanitizer complained");
    free(text);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", s->dir, files[i]);
        (void)remove(path);
    }
    assert_int_equal(rmdir(s->dir), 0); /* nothing else was left behind */
}

static int FAKE_UNUSED fake_stop(struct fake_server *s)
{
    kill(s->pid, SIGTERM);
    return fake_end(s);
}

/* True once no process has that pid (a zombie of another parent counts as gone). */
static bool FAKE_UNUSED fake_gone(pid_t pid)
{
    uint64_t end = clock_boot_ms() + FAKE_PATIENCE_MS;
    char path[32], state = 0;

    while (clock_boot_ms() < end) {
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        FILE *f = fopen(path, "re");
        if (!f)
            return true;
        int got = fscanf(f, "%*d (%*[^)]) %c", &state);
        fclose(f);
        if (got == 1 && state == 'Z')
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}

#endif
