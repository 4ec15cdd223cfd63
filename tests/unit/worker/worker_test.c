/* worker: the role as a process, with a real writer, over real shared memory: it waits for the
 * writer, serves, drains when told, and leaves when the supervisor is gone. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "shm/ring.h"
#include "shm/writer/writer.h"
#include "worker/worker.h"

static struct {
    char dir[32];
    struct conf *conf;
    struct heritage h;
    struct board *board;
    int life[2]; /* the supervisor's pipe */
    uint16_t port;
    pid_t worker, writer;
} T;

static int make_conf(void)
{
    char text[1024];
    struct buf report;
    snprintf(text, sizeof(text),
             "listen \"127.0.0.1:0\" { }\nstate_dir = \"%s\"\nrun_dir = \"%s\"\nworkers = 1\n"
             "store { map_size = \"16M\" }\n"
             "limits { request = \"32K\" message = \"16K\" }\n"
             "shm { inbox = \"64K\" reply = \"64K\" feed = \"64K\" }\n"
             "server { drain = \"10s\" }\n",
             T.dir, T.dir);
    buf_init(&report, 4096);
    int r = conf_load(str_of(text), "/tmp/test.conf", &T.conf, &report);
    if (r < 0)
        print_error("%.*s", (int)report.len, (const char *)report.data);
    buf_free(&report);
    return r;
}

static int listen_somewhere(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    T.port = ntohs(a.sin_port);
    return fd;
}

static int up(void **state)
{
    (void)state;
    memset(&T, 0, sizeof(T));
    log_init(LOG_ERROR, 2, "test", -1);
    strcpy(T.dir, "/tmp/restante-worker-XXXXXX");
    if (!mkdtemp(T.dir) || make_conf() < 0 || pipe2(T.life, O_CLOEXEC) < 0)
        return -1;
    struct heritage *h = &T.h;
    h->role = ROLE_WORKER;
    h->generation = 1;
    h->nworkers = 1;
    h->board_fd = board_create(1, &T.board);
    h->rings_fd = rings_create(1, T.conf->shm_inbox, T.conf->shm_reply);
    h->feed_fd = feed_create(T.conf->shm_feed);
    h->config_fd = h->log_fd = 2;
    h->life_fd = T.life[0];
    for (int i = 0; i < BOARD_SEATS; i++)
        h->bell_fd[i] = -1;
    h->bell_fd[0] = bell_create();
    h->bell_fd[BOARD_WRITER] = bell_create();
    h->bell_fd[BOARD_SUPERVISOR] = bell_create();
    h->listen_fd[0] = listen_somewhere();
    h->nlistens = 1;
    atomic_store(&T.board->seat[0].generation, 1);
    atomic_store(&T.board->seat[0].state, SEAT_STARTING);
    return h->board_fd < 0 || h->rings_fd < 0 || h->feed_fd < 0;
}

static pid_t start(int (*role)(const struct heritage *h, struct conf *conf), uint32_t slot)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(T.life[1]);
        T.h.slot = slot;
        _exit(role(&T.h, T.conf));
    }
    assert_true(pid > 0);
    if (slot < BOARD_SLOTS)
        atomic_store(&T.board->seat[slot].pid, pid);
    return pid;
}

/* Its exit status; -1 when a signal ended it. */
static int end_of(pid_t *pid)
{
    int status;
    assert_int_equal(waitpid(*pid, &status, 0), *pid);
    *pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int down(void **state)
{
    (void)state;
    if (T.worker > 0) {
        kill(T.worker, SIGKILL);
        end_of(&T.worker);
    }
    if (T.writer > 0) {
        kill(T.writer, SIGTERM);
        end_of(&T.writer);
    }
    int fds[] = {T.h.board_fd,
                 T.h.rings_fd,
                 T.h.feed_fd,
                 T.life[0],
                 T.life[1],
                 T.h.bell_fd[0],
                 T.h.bell_fd[BOARD_WRITER],
                 T.h.bell_fd[BOARD_SUPERVISOR],
                 T.h.listen_fd[0]};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    munmap(T.board, sizeof(*T.board));
    conf_free(T.conf);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", T.dir);
    return system(command);
}

/* The supervisor's bell is rung when a role becomes ready. */
static void until_state(uint32_t seat, uint32_t wanted)
{
    while (atomic_load(&T.board->seat[seat].state) != wanted) {
        struct pollfd p = {.fd = T.h.bell_fd[BOARD_SUPERVISOR], .events = POLLIN};
        poll(&p, 1, 50);
    }
}

static void serve(void)
{
    T.writer = start(writer_main, BOARD_WRITER);
    T.worker = start(worker_main, 0);
    close(T.h.listen_fd[0]);
    T.h.listen_fd[0] = -1;
    until_state(0, SEAT_RUNNING);
}

static int dial(void)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(T.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Up to and with `end`, or up to the end of the connection. */
static const char *hear(int fd, const char *end)
{
    static char got[8192];
    size_t n = 0;
    got[0] = '\0';
    while (!strstr(got, end)) {
        ssize_t r = recv(fd, got + n, sizeof(got) - 1 - n, 0);
        assert_true(r >= 0);
        if (r == 0)
            break;
        n += (size_t)r;
        got[n] = '\0';
    }
    return got;
}

#define HEALTH "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"

static void test_waits_for_the_writer(void **state)
{
    (void)state;
    T.worker = start(worker_main, 0);
    while (atomic_load(&T.board->seat[0].beat_ms) == 0)
        sched_yield();
    int fd = dial(); /* the kernel queues it */
    say(fd, HEALTH);
    assert_int_equal(atomic_load(&T.board->seat[0].state), SEAT_STARTING);
    T.writer = start(writer_main, BOARD_WRITER);
    until_state(0, SEAT_RUNNING);
    assert_non_null(strstr(hear(fd, "\r\n\r\n"), "HTTP/1.1 200 OK\r\n"));
    close(fd);
}

static void test_told_to_leave(void **state)
{
    (void)state;
    serve();
    int idle = dial(), busy = dial();
    say(idle, HEALTH);
    assert_non_null(strstr(hear(idle, "}"), "200 OK"));
    say(busy, "GET /healthz HTTP/1.1\r\n");
    /* The worker has read it once it has answered what was sent later. */
    say(idle, HEALTH);
    hear(idle, "}");
    assert_int_equal(kill(T.worker, SIGTERM), 0);
    assert_string_equal(hear(idle, "}"), ""); /* closed without a word */
    say(busy, "Host: h\r\n\r\n");
    const char *last = hear(busy, "}");
    assert_non_null(strstr(last, "200 OK"));
    assert_non_null(strstr(last, "Connection: close\r\n"));
    close(busy);
    assert_int_equal(end_of(&T.worker), 0);
    assert_int_equal(atomic_load(&T.board->seat[0].state), SEAT_DRAINING);
    assert_int_equal(T.board->seat[0].metrics.v[METRIC_CONNECTIONS], 0);
    close(idle);
}

static void test_ignores_sigint(void **state)
{
    (void)state;
    serve();
    assert_int_equal(kill(T.worker, SIGINT), 0);
    assert_int_equal(kill(T.worker, SIGHUP), 0);
    int fd = dial();
    say(fd, HEALTH);
    assert_non_null(strstr(hear(fd, "}"), "200 OK"));
    close(fd);
}

static void test_supervisor_gone(void **state)
{
    (void)state;
    serve();
    close(T.life[1]);
    T.life[1] = -1;
    assert_int_equal(end_of(&T.worker), 0);
    assert_int_equal(end_of(&T.writer), 0);
}

static void test_told_before_it_serves(void **state)
{
    (void)state;
    T.worker = start(worker_main, 0);
    while (atomic_load(&T.board->seat[0].beat_ms) == 0)
        sched_yield();
    close(T.life[1]);
    T.life[1] = -1;
    assert_int_equal(end_of(&T.worker), 0);
}

static void test_foreign_memory_is_refused(void **state)
{
    (void)state;
    log_init(LOG_ERROR + 1, 2, "test", -1);
    T.board->layout++;
    T.worker = start(worker_main, 0);
    assert_int_equal(end_of(&T.worker), 1);
}

int main(void)
{
#define T_(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T_(test_waits_for_the_writer),  T_(test_told_to_leave),
        T_(test_ignores_sigint),        T_(test_supervisor_gone),
        T_(test_told_before_it_serves), T_(test_foreign_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
