/* accept: real listening sockets on loopback: addresses, the limit, running out of descriptors. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/worker/h1_harness.h"
#include "worker/accept.h"
#include "worker/hello.h"

static struct sockaddr_in where;
static char remote_seen[128];

static void listen_on(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    H.w.heritage.listen_fd[H.w.heritage.nlistens++] = fd;
}

static int up(void **state)
{
    if (harness_up(state) < 0)
        return -1;
    close_client();
    turn();
    H.w.bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    H.w.heritage.nworkers = 2;
    H.conf.undecided = 100;
    if (hello_open(&H.w, harness_now, NULL, &H.w.hello) < 0)
        return -1;
    where = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    listen_on((const struct sockaddr *)&where, sizeof(where));
    socklen_t len = sizeof(where);
    return getsockname(H.w.heritage.listen_fd[0], (struct sockaddr *)&where, &len);
}

static int down(void **state)
{
    acceptor_close(H.w.acceptor);
    hello_close(H.w.hello);
    close(H.w.bell.fd);
    return harness_down(state);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&where, sizeof(where)), 0);
    return fd;
}

static void until(enum metric m, uint64_t at_least)
{
    while (H.metrics->v[m] < at_least) {
        event_base_loop(H.w.base, EVLOOP_ONCE);
        h1_proceed(H.w.h1);
    }
}

/* One request over fd; what came until the server closed, or the answer was complete. */
static const char *ask(int fd, const char *text)
{
    static char got[4096];
    size_t n = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    for (;;) {
        event_base_loop(H.w.base, EVLOOP_NONBLOCK);
        h1_proceed(H.w.h1);
        ssize_t r = recv(fd, got + n, sizeof(got) - 1 - n, 0);
        if (r > 0)
            n += (size_t)r;
        got[n] = '\0';
        if (r == 0 || strstr(got, "\r\n\r\n"))
            return got;
        assert_true(r > 0 || errno == EAGAIN);
    }
}

static void test_accepts_a_burst(void **state)
{
    (void)state;
    int fds[20];
    assert_int_equal(acceptor_open(&H.w, &H.w.acceptor), 0);
    for (int i = 0; i < 20; i++)
        fds[i] = dial();
    until(METRIC_ACCEPTED, 20);
    assert_int_equal(hello_connections(H.w.hello), 20);
    assert_non_null(strstr(ask(fds[7], GET("/now")), "HTTP/1.1 200 OK"));
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    turn();
    assert_int_equal(h1_connections(H.w.h1) + hello_connections(H.w.hello), 0);
}

static void test_limit_is_a_workers_share(void **state)
{
    (void)state;
    H.conf.connections = 5; /* of two workers: 3 each */
    assert_int_equal(acceptor_limit(&H.w), 3);
    assert_int_equal(acceptor_open(&H.w, &H.w.acceptor), 0);
    int fds[5];
    for (int i = 0; i < 5; i++)
        fds[i] = dial();
    until(METRIC_ACCEPTED, 5);
    assert_int_equal(hello_connections(H.w.hello), 3);
    assert_int_equal(H.metrics->v[METRIC_REFUSED_LIMIT], 2);
    char got[2048] = "";
    ssize_t n = recv(fds[4], got, sizeof(got) - 1, MSG_WAITALL);
    assert_true(n > 0);
    assert_memory_equal(got, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(got, "Retry-After: 1\r\n"));
    assert_non_null(strstr(got, "X-Request-Id: "));
    assert_non_null(strstr(got, "\"code\":\"unavailable\""));
    char length[64];
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
             strlen(strstr(got, "\r\n\r\n") + 4));
    assert_non_null(strstr(got, length));
    /* One leaves, one may come. */
    close(fds[0]);
    turn();
    close(fds[4]);
    fds[4] = dial();
    until(METRIC_ACCEPTED, 6);
    assert_non_null(strstr(ask(fds[4], GET("/now")), "HTTP/1.1 200 OK"));
    for (int i = 1; i < 5; i++)
        close(fds[i]);
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    assert_int_equal(acceptor_open(&H.w, &H.w.acceptor), 0);
    int first = dial(), second = dial();
    struct rlimit was, tight;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    int top = dup(0); /* the lowest free descriptor: none at or above it may be opened */
    close(top);
    tight = (struct rlimit){(rlim_t)top, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    until(METRIC_REFUSED_FDS, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    /* The one that waited longest was told; the other is accepted once there is room again. */
    char byte;
    assert_int_equal(recv(first, &byte, 1, 0), 0);
    assert_int_equal(h1_connections(H.w.h1) + hello_connections(H.w.hello), 0);
    until(METRIC_ACCEPTED, 1);
    assert_non_null(strstr(ask(second, GET("/now")), "HTTP/1.1 200 OK"));
    close(first);
    close(second);
}

static void note_remote(struct exchange *ex)
{
    snprintf(remote_seen, sizeof(remote_seen), "%s", ex->remote);
}

static void test_remote_addresses(void **state)
{
    (void)state;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "restante-accept-%d", (int)getpid());
    listen_on((const struct sockaddr *)&six, sizeof(six));
    listen_on((const struct sockaddr *)&un, sizeof(un));
    socklen_t six_len = sizeof(six);
    getsockname(H.w.heritage.listen_fd[1], (struct sockaddr *)&six, &six_len);
    assert_int_equal(acceptor_open(&H.w, &H.w.acceptor), 0);

    const struct {
        const struct sockaddr *address;
        socklen_t len;
        const char *begins;
    } rows[] = {
        {(const struct sockaddr *)&where, sizeof(where), "127.0.0.1:"},
        {(const struct sockaddr *)&six, sizeof(six), "[::1]:"},
        {(const struct sockaddr *)&un, sizeof(un), "unix:"},
    };
    for (size_t i = 0; i < 3; i++) {
        int fd = socket(rows[i].address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, rows[i].address, rows[i].len), 0);
        assert_int_equal(send(fd, GET("/later"), strlen(GET("/later")), 0),
                         (ssize_t)strlen(GET("/later")));
        while (H.nheld <= i) {
            event_base_loop(H.w.base, EVLOOP_ONCE);
            h1_proceed(H.w.h1);
        }
        note_remote(H.held[i]);
        assert_memory_equal(remote_seen, rows[i].begins, strlen(rows[i].begins));
        close(fd);
    }
}

static void test_closing_stops_listening(void **state)
{
    (void)state;
    assert_int_equal(acceptor_open(&H.w, &H.w.acceptor), 0);
    acceptor_close(H.w.acceptor);
    H.w.acceptor = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&where, sizeof(where)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, option, &value, &len), 0);
    return value;
}

/* What a connection needs to know it has from the socket that listens. */
static void test_connections_are_tuned(void **state)
{
    (void)state;
    int listening = H.w.heritage.listen_fd[0];
    assert_int_equal(acceptor_open(&H.w, &H.w.acceptor), 0);
    int client = dial();
    int fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(option_of(fd, TCP_NODELAY), 1);
    assert_int_equal(option_of(fd, TCP_USER_TIMEOUT), H.conf.write_timeout);
    close(fd);
    close(client);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(test_accepts_a_burst),  T(test_limit_is_a_workers_share), T(test_out_of_descriptors),
        T(test_remote_addresses), T(test_closing_stops_listening),  T(test_connections_are_tuned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
