/* admin - see admin.h. The supervisor must not be delayed or filled up by whoever talks to it, so
 * there is no stdio and no waiting: a fixed set of connections, each a line buffer and an answer.
 */
#include "server/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"

#include "server/supervisor.h"

typedef int admin_verb_f(struct supervisor *s, struct buf *out);

static int on_status(struct supervisor *s, struct buf *out)
{
    return board_status_json(s->board, out);
}

static int on_rotate(struct supervisor *s, struct buf *out)
{
    int rc = keys_rotate_now(s);

    if (rc)
        return buf_printf(out, "{\"error\":\"the new key could not be written\",\"errno\":%d}",
                          -rc);
    return buf_printf(out, "{\"rotated\":true,\"key\":%u}", s->keys.key[0].id);
}

static const struct {
    const char *name;
    admin_verb_f *answer;
} verbs[] = {
    {"status", on_status},
    {"rotate", on_rotate},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void refuse(struct buf *out, const char *why)
{
    buf_printf(out, "{\"error\":\"%s\",\"commands\":[", why);
    for (size_t i = 0; i < VERBS; i++)
        buf_printf(out, "%s\"%s\"", i ? "," : "", verbs[i].name);
    buf_append_z(out, "]}");
}

static void answer_line(struct supervisor *s, struct admin_connection *c, size_t len)
{
    struct str line = str_make(c->line, len);
    size_t i = 0;

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    while (i < VERBS && !str_is(line, verbs[i].name))
        i++;
    int rc = 0;
    if (i < VERBS)
        rc = verbs[i].answer(s, &c->answer);
    else
        refuse(&c->answer, "unknown command");
    if (rc) {
        buf_reset(&c->answer);
        buf_append_z(&c->answer, "{\"error\":\"no answer could be made\"}");
    }
    buf_append_c(&c->answer, '\n');
}

static void connection_close(struct admin_connection *c)
{
    (void)close(c->fd);
    c->fd = -1;
    buf_free(&c->answer);
}

static bool peer_allowed(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
        return false;
    return peer.uid == geteuid() || peer.uid == 0;
}

static struct admin_connection *connection_free_of(struct admin *a)
{
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        if (a->connection[i].fd < 0)
            return &a->connection[i];
    }
    return NULL;
}

static void accept_all(struct supervisor *s)
{
    struct admin *a = &s->admin;

    for (;;) {
        struct admin_connection *c = connection_free_of(a);
        if (!c)
            return;
        int fd = accept4(a->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        if (!peer_allowed(fd)) {
            log_event(LOG_WARN, "admin_refused", LOG_E(-EPERM));
            (void)close(fd);
            continue;
        }
        c->fd = fd;
        c->deadline_ms = s->now_ms + ADMIN_MS;
        c->line_len = 0;
        c->sent = 0;
        buf_init(&c->answer, ADMIN_ANSWER);
    }
}

/* True while the connection is to go on. */
static bool on_readable(struct supervisor *s, struct admin_connection *c)
{
    ssize_t n = recv(c->fd, c->line + c->line_len, sizeof(c->line) - c->line_len, 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false; /* gone without a whole line */
    c->line_len += (size_t)n;
    const char *end = memchr(c->line, '\n', c->line_len);
    if (end) {
        answer_line(s, c, (size_t)(end - c->line));
    } else if (c->line_len == sizeof(c->line)) {
        refuse(&c->answer, "the line is too long");
        buf_append_c(&c->answer, '\n');
    }
    return !c->answer.error;
}

static bool on_writable(struct admin_connection *c)
{
    ssize_t n = send(c->fd, c->answer.data + c->sent, c->answer.len - c->sent, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    c->sent += (size_t)n;
    return c->sent < c->answer.len;
}

static void connection_proceed(struct supervisor *s, struct admin_connection *c)
{
    bool on = s->now_ms < c->deadline_ms;

    if (on && c->answer.len == 0)
        on = on_readable(s, c);
    if (on && c->answer.len > 0)
        on = on_writable(c);
    if (!on)
        connection_close(c);
}

static int socket_bind(const struct admin *a, const char *run_dir)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int n = snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", run_dir, ADMIN_SOCKET);

    if (n < 0 || (size_t)n >= sizeof(un.sun_path))
        (void)snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", a->dir_fd,
                       ADMIN_SOCKET);
    mode_t was = umask(0177); /* 0600 from its first moment */
    int rc = bind(a->listen_fd, (const struct sockaddr *)&un, sizeof(un)) ? -errno : 0;
    (void)umask(was);
    return rc;
}

void admin_init(struct admin *a)
{
    a->listen_fd = -1;
    a->dir_fd = -1;
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++)
        a->connection[i] = (struct admin_connection){.fd = -1};
}

int admin_open(struct admin *a, const char *run_dir)
{
    int rc = 0;

    a->dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->dir_fd < 0)
        return -errno;
    if (unlinkat(a->dir_fd, ADMIN_SOCKET, 0) && errno != ENOENT)
        rc = -errno;
    if (rc == 0) {
        a->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        rc = a->listen_fd < 0 ? -errno : socket_bind(a, run_dir);
    }
    if (rc == 0 && listen(a->listen_fd, ADMIN_CONNECTIONS))
        rc = -errno;
    if (rc)
        admin_close(a);
    return rc;
}

void admin_close(struct admin *a)
{
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        if (a->connection[i].fd >= 0)
            connection_close(&a->connection[i]);
    }
    if (a->listen_fd >= 0) {
        (void)close(a->listen_fd);
        (void)unlinkat(a->dir_fd, ADMIN_SOCKET, 0);
    }
    if (a->dir_fd >= 0)
        (void)close(a->dir_fd);
    admin_init(a);
}

size_t admin_poll(const struct admin *a, struct pollfd *ret)
{
    size_t n = 0;
    bool room = false;

    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        const struct admin_connection *c = &a->connection[i];
        if (c->fd < 0)
            room = true;
        else
            ret[n++] = (struct pollfd){.fd = c->fd, .events = c->answer.len ? POLLOUT : POLLIN};
    }
    if (a->listen_fd >= 0 && room)
        ret[n++] = (struct pollfd){.fd = a->listen_fd, .events = POLLIN};
    return n;
}

void admin_proceed(struct supervisor *s)
{
    struct admin *a = &s->admin;

    if (a->listen_fd < 0)
        return;
    accept_all(s);
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        if (a->connection[i].fd >= 0)
            connection_proceed(s, &a->connection[i]);
    }
}

uint64_t admin_due_ms(const struct admin *a)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        const struct admin_connection *c = &a->connection[i];
        if (c->fd >= 0 && c->deadline_ms < due)
            due = c->deadline_ms;
    }
    return due;
}
