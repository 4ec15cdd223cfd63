/* accept - connections in: bursts, the connection limit, and life at the descriptor limit.
 *
 * Accepting is level-triggered, so what a burst leaves is found in the next turn, after the
 * connections that are already here. A process without descriptors would otherwise spin: the
 * listening socket stays readable, and nobody can take what makes it so.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#include "worker/accept.h"
#include "worker/hello.h"
#include "worker/last_word.h"
#include "worker/protocol.h"
#include "worker/worker.h"

#define REMOTE_TEXT (INET6_ADDRSTRLEN + 8) /* "[address]:port" and NUL */

struct listening {
    struct acceptor *acceptor;
    struct event *readable;
    size_t index; /* into conf->listens */
};

struct acceptor {
    struct worker *worker;
    size_t limit;
    int reserve_fd; /* given up to take a connection when there is no descriptor left; -1: spent */
    struct event *resume;
    int nlistens;
    struct listening listening[HERITAGE_LISTENS];
};

static void remote_text(const struct sockaddr_storage *from, char ret[REMOTE_TEXT])
{
    char ip[INET6_ADDRSTRLEN];
    snprintf(ret, REMOTE_TEXT, "unix:");
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        if (inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip)))
            snprintf(ret, REMOTE_TEXT, "%s:%u", ip, ntohs(in->sin_port));
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)from;
        if (inet_ntop(AF_INET6, &in->sin6_addr, ip, sizeof(ip)))
            snprintf(ret, REMOTE_TEXT, "[%s]:%u", ip, ntohs(in->sin6_port));
    }
}

static void refuse(struct acceptor *a, int fd, size_t listen)
{
    struct worker *w = a->worker;
    metric_add(w->metrics, METRIC_REFUSED_LIMIT, 1);
    log_event(LOG_DEBUG, "connection_refused", LOG_Z("reason", "limit"));
    if (listen < w->conf->nlistens && w->conf->listens[listen].tls)
        close(fd); /* no handshake for so little */
    else
        last_word(w, fd, CODE_UNAVAILABLE, "limits.connections is reached");
}

static void take(struct acceptor *a, int fd, size_t listen, const struct sockaddr_storage *from)
{
    struct worker *w = a->worker;
    metric_add(w->metrics, METRIC_ACCEPTED, 1);
    if (protocol_connections(w) + hello_connections(w->hello) >= a->limit) {
        refuse(a, fd, listen);
        return;
    }
    char remote[REMOTE_TEXT];
    remote_text(from, remote);
    int r = hello_accept(w->hello, fd, listen, remote); /* counts its failures */
    if (r < 0)
        log_event(LOG_WARN, "connection_dropped", LOG_E(r));
}

static void listen_again(struct acceptor *a)
{
    for (int i = 0; i < a->nlistens; i++) {
        if (event_add(a->listening[i].readable, NULL) < 0)
            log_event(LOG_ERROR, "listen_event_failed", LOG_I("listen", i));
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct acceptor *a = arg;
    if (a->reserve_fd < 0)
        a->reserve_fd = fcntl(a->worker->bell.fd, F_DUPFD_CLOEXEC, 0);
    listen_again(a);
}

/* No descriptor, or no kernel memory. */
static void pause_accepting(struct acceptor *a, int listen_fd, int error)
{
    metric_add(a->worker->metrics, METRIC_REFUSED_FDS, 1);
    log_event(LOG_WARN, "accept_paused", LOG_E(-error), LOG_U("ms", ACCEPT_PAUSE_MS));
    if (a->reserve_fd >= 0 && (error == EMFILE || error == ENFILE)) {
        close(a->reserve_fd);
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        /* Not opened from a path: a worker opens no files after start. */
        a->reserve_fd = fcntl(a->worker->bell.fd, F_DUPFD_CLOEXEC, 0);
    }
    for (int i = 0; i < a->nlistens; i++)
        event_del(a->listening[i].readable);
    struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
    if (event_add(a->resume, &pause) < 0)
        listen_again(a);
}

static void on_listening(evutil_socket_t listen_fd, short what, void *arg)
{
    (void)what;
    struct listening *l = arg;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof(from);
        int fd = accept4(listen_fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(l->acceptor, fd, l->index, &from);
            continue;
        }
        /* Errors of the connection that just died are not ours (accept(2)): the next one. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(l->acceptor, listen_fd, errno);
        if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO && errno != EPERM)
            return;
    }
}

size_t acceptor_limit(const struct worker *w)
{
    uint64_t workers = w->heritage.nworkers ? w->heritage.nworkers : 1;
    return (size_t)((w->conf->connections + workers - 1) / workers);
}

/* Connections inherit it all from the socket that listens (tcp(7) of Linux). One that does not know
 * an option, as in a Unix domain, works without it. */
static void tune(int fd, const struct conf *conf)
{
    /* Answers are written whole: waiting to fill a segment only costs time. */
    int one = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
        log_event(LOG_DEBUG, "nodelay_failed", LOG_E(-errno));
    /* A peer that is gone without a word acknowledges nothing, not even a stream's signs of life,
     * which the kernel takes for as long as it has room. */
    unsigned patience_ms = (unsigned)conf->write_timeout;
    if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms)) < 0)
        log_event(LOG_DEBUG, "user_timeout_failed", LOG_E(-errno));
}

int acceptor_open(struct worker *w, struct acceptor **ret)
{
    struct acceptor *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->worker = w;
    a->limit = acceptor_limit(w);
    a->reserve_fd = fcntl(w->bell.fd, F_DUPFD_CLOEXEC, 0);
    int err = a->reserve_fd < 0 ? -errno : 0;
    a->resume = evtimer_new(w->base, on_resume, a);
    if (!a->resume)
        err = -ENOMEM;
    for (int i = 0; i < w->heritage.nlistens; i++) {
        int fd = w->heritage.listen_fd[i];
        struct listening *l = &a->listening[a->nlistens];
        l->acceptor = a;
        l->index = (size_t)w->heritage.listen_index[i];
        l->readable = event_new(w->base, fd, EV_READ | EV_PERSIST, on_listening, l);
        if (!l->readable) {
            err = -ENOMEM;
            close(fd);
            continue;
        }
        a->nlistens++;
        tune(fd, w->conf);
        if (event_add(l->readable, NULL) < 0)
            err = -ENOMEM;
    }
    w->heritage.nlistens = 0; /* they are the acceptor's now */
    if (err) {
        acceptor_close(a);
        return err;
    }
    *ret = a;
    return 0;
}

void acceptor_close(struct acceptor *a)
{
    if (!a)
        return;
    for (int i = 0; i < a->nlistens; i++) {
        int fd = event_get_fd(a->listening[i].readable);
        event_free(a->listening[i].readable);
        close(fd);
    }
    if (a->resume)
        event_free(a->resume);
    if (a->reserve_fd >= 0)
        close(a->reserve_fd);
    free(a);
}
