/* listen - see listen.h. SO_REUSEPORT has a price: a second server of the same user would bind the
 * same port without an error and take half of the connections. So each address is first bound
 * without it, once, to see whether it is free.
 */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"

#define LISTEN_BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */
#define LISTEN_MODE 0666    /* of a unix socket: like a port; its directory says who gets there */

union place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static socklen_t place_of(const struct address *a, union place *ret)
{
    memset(ret, 0, sizeof(*ret));
    switch (a->kind) {
    case ADDRESS_IPV4:
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(a->port);
        memcpy(&ret->v4.sin_addr, a->ip, sizeof(ret->v4.sin_addr));
        return sizeof(ret->v4);
    case ADDRESS_IPV6:
    case ADDRESS_ANY: /* in6addr_any is all zeros, as a->ip is */
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(a->port);
        memcpy(&ret->v6.sin6_addr, a->ip, sizeof(ret->v6.sin6_addr));
        return sizeof(ret->v6);
    case ADDRESS_UNIX:
        break;
    }
    ret->local.sun_family = AF_UNIX;
    memcpy(ret->local.sun_path, a->path.p, a->path.n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + a->path.n + 1);
}

static int option_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

/* A bound socket, not listening yet. */
static int tcp_bind(const struct address *a, bool share)
{
    union place p;
    socklen_t len = place_of(a, &p);
    int fd = socket(p.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int rc = option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && share)
        rc = option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && p.any.sa_family == AF_INET6)
        rc = option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, a->kind == ADDRESS_IPV6);
    if (rc == 0 && bind(fd, &p.any, len))
        rc = -errno;
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

static int tcp_probe(const struct address *a)
{
    int fd = tcp_bind(a, false);

    if (fd < 0)
        return fd;
    int rc = listen(fd, 1) ? -errno : 0; /* with SO_REUSEADDR, bind alone does not always tell */
    (void)close(fd);
    return rc;
}

/* The port that the kernel chose for port 0; the other sockets of the listener take the same. */
static int port_learn(int fd, struct address *a)
{
    union place p;
    socklen_t len = sizeof(p);

    if (getsockname(fd, &p.any, &len))
        return -errno;
    a->port = ntohs(p.any.sa_family == AF_INET ? p.v4.sin_port : p.v6.sin6_port);
    return 0;
}

static int tcp_open(struct listener *l, uint32_t nworkers)
{
    int rc = tcp_probe(&l->address);

    if (rc == -EAFNOSUPPORT && l->address.kind == ADDRESS_ANY) {
        l->address.kind = ADDRESS_IPV4; /* 0.0.0.0: a machine without IPv6 */
        rc = tcp_probe(&l->address);
    }
    while (rc == 0 && l->nfds < nworkers) {
        int fd = tcp_bind(&l->address, true);
        if (fd < 0)
            return fd;
        l->fd[l->nfds++] = fd;
        if (l->address.port == 0)
            rc = port_learn(fd, &l->address);
        if (rc == 0 && listen(fd, LISTEN_BACKLOG))
            rc = -errno;
    }
    return rc;
}

/* Removes the socket file that a server left when it was killed; one that is answered, or that is
 * no socket, stays. */
static int stale_remove(const union place *p, socklen_t len)
{
    struct stat st;

    if (lstat(p->local.sun_path, &st))
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = connect(fd, &p->any, len) ? -errno : 0;
    (void)close(fd);
    if (rc != -ECONNREFUSED)
        return -EADDRINUSE; /* answered, or its queue is full (EAGAIN) */
    return unlink(p->local.sun_path) ? -errno : 0;
}

static int local_open(struct listener *l)
{
    union place p;
    socklen_t len = place_of(&l->address, &p);
    struct stat st;
    int rc = stale_remove(&p, len);

    if (rc)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    l->fd[l->nfds++] = fd;
    if (bind(fd, &p.any, len) || lstat(p.local.sun_path, &st))
        return -errno;
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    if (chmod(p.local.sun_path, LISTEN_MODE) || listen(fd, LISTEN_BACKLOG))
        return -errno;
    return 0;
}

/* The path goes first: as long as our socket is open, no other file can have its inode number. */
static void local_remove(const struct listener *l)
{
    union place p;
    struct stat st;

    place_of(&l->address, &p);
    if (lstat(p.local.sun_path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        (void)unlink(p.local.sun_path);
}

static void listener_close(struct listener *l)
{
    if (l->address.kind == ADDRESS_UNIX && l->ino != 0)
        local_remove(l);
    for (uint32_t i = 0; i < l->nfds; i++)
        (void)close(l->fd[i]);
}

int listen_open(const struct conf *conf, uint32_t nworkers, struct listens *ret)
{
    struct listens ls = {0};

    must(nworkers >= 1 && nworkers <= BOARD_WORKERS);
    if (conf->nlistens > HERITAGE_LISTENS) {
        log_event(LOG_ERROR, "listen_failed", LOG_U("listens", conf->nlistens),
                  LOG_U("allowed", HERITAGE_LISTENS), LOG_E(-E2BIG));
        return -E2BIG;
    }
    for (size_t i = 0; i < conf->nlistens; i++) {
        struct listener *l = &ls.of[ls.n++];
        l->written = conf->listens[i].address;
        int rc = address_parse(str_of(l->written), &l->address);
        if (rc == 0)
            rc = l->address.kind == ADDRESS_UNIX ? local_open(l) : tcp_open(l, nworkers);
        if (rc == 0)
            continue;
        log_event(LOG_ERROR, "listen_failed", LOG_Z("address", l->written), LOG_E(rc));
        listen_close(&ls);
        return rc;
    }
    *ret = ls;
    return 0;
}

void listen_close(struct listens *l)
{
    for (size_t i = 0; i < l->n; i++)
        listener_close(&l->of[i]);
    l->n = 0;
}

int listen_fd_of(const struct listener *l, uint32_t slot)
{
    return l->address.kind == ADDRESS_UNIX ? l->fd[0] : l->fd[slot];
}

const char *listen_text(const struct listener *l, char ret[LISTEN_TEXT])
{
    char ip[INET6_ADDRSTRLEN];

    switch (l->address.kind) {
    case ADDRESS_UNIX:
        return l->written;
    case ADDRESS_ANY:
        (void)snprintf(ret, LISTEN_TEXT, "*:%u", l->address.port);
        return ret;
    case ADDRESS_IPV4:
        (void)snprintf(ret, LISTEN_TEXT, "%s:%u", inet_ntop(AF_INET, l->address.ip, ip, sizeof(ip)),
                       l->address.port);
        return ret;
    case ADDRESS_IPV6:
        break;
    }
    (void)snprintf(ret, LISTEN_TEXT, "[%s]:%u", inet_ntop(AF_INET6, l->address.ip, ip, sizeof(ip)),
                   l->address.port);
    return ret;
}
