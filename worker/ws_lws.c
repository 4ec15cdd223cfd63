/* ws_lws - libwebsockets as a reader of frames: the only file that knows it.
 *
 * The road is one socketpair. One end is ours; of the other each connection has a duplicate, which
 * is the descriptor libwebsockets knows it by. To feed a connection, its bytes are sent into our
 * end and libwebsockets is told that the connection's descriptor is readable; it finds exactly
 * them, and what it answers (the 101, pongs) comes out at our end. All this happens within one
 * call, and the road is empty before and after it: that is made sure of, because what one
 * connection left behind would reach another. So a connection costs one more descriptor and no
 * socket buffer, and nothing ever waits inside libwebsockets.
 *
 * Its timers never run: there is none that matters to a connection whose handshake is done in one
 * call, whose deadlines are ours, and which its validity checks are switched off for. A second's
 * sweep over ten thousand connections is so not made cheaper but left out.
 *
 * When it ends a connection by itself (no memory, a fault of its own), it shuts its descriptor
 * down, and with it the road: then a new one is made, and connections move to it when they are fed
 * next. We end connections as if the peer had hung up, which shuts nothing down.
 */
#include <libwebsockets.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#include "worker/accept.h"
#include "worker/worker.h"
#include "worker/ws_priv.h"

#define PIECE 512 /* bytes in which it hands payload up; a buffer of this size per connection */
#define ONE_READ (PIECE + LWS_PRE) /* bytes of one recv of it */
#define SERVICE_BUF 2048           /* its scratch, one per worker; the 101 is made in it */
#define ANSWER_MAX 2048            /* bytes it answers in one call: the 101, a pong */
#define REQUEST_MAX 256
#define DESCRIPTORS_MORE 1024 /* that a worker may have besides those of its connections */
#define PROTOCOL_NAME "restante"

struct ws_lws {
    struct lws_context *context;
    struct lws_vhost *vhost;
    int ours, theirs;                     /* the road's ends; -1: there is none */
    uint32_t road;                        /* its number */
    rlim_t places;                        /* descriptors from here on are too high for it */
    unsigned frames;                      /* of data that were handed up in the present feed */
    const struct ws_handshake *handshake; /* of the connection that is being adopted */
};

/* --- the road --- */

static void road_close(struct ws_lws *l)
{
    if (l->ours >= 0)
        close(l->ours);
    if (l->theirs >= 0)
        close(l->theirs);
    l->ours = l->theirs = -1;
}

static int road_open(struct ws_lws *l)
{
    int pair[2];
    road_close(l);
    l->road++;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    l->ours = pair[0];
    l->theirs = pair[1];
    return 0;
}

/* The connection's descriptor leads to the present road. */
static int road_join(struct ws *c)
{
    struct ws_lws *l = c->server->lws;
    if (c->road == l->road && l->ours >= 0)
        return 0;
    int err = l->ours < 0 ? road_open(l) : 0;
    if (err)
        return err;
    if (dup3(l->theirs, c->lws_fd, O_CLOEXEC) < 0)
        return -errno;
    c->road = l->road;
    return 0;
}

/* Bytes that libwebsockets has not read yet. */
static int road_left(const struct ws_lws *l)
{
    int n = 0;
    return ioctl(l->theirs, FIONREAD, &n) < 0 ? -errno : n;
}

/* What it answered goes to the peer. */
static int road_answers(struct ws *c)
{
    char bytes[ANSWER_MAX];
    ssize_t n = recv(c->server->lws->ours, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n > 0)
        return ws_out_append(c, str_make(bytes, (size_t)n));
    return n < 0 && errno == EAGAIN ? 0 : -EPIPE;
}

/* --- what it calls --- */

static void add_lines(const struct ws_handshake *h, struct lws_process_html_args *a)
{
    char lines[512];
    int n = snprintf(lines, sizeof(lines), "Server: restante\r\nX-Request-Id: %s\r\n%s%s%s",
                     h->request_id, h->protocol ? "Sec-WebSocket-Protocol: " : "",
                     h->protocol ? h->protocol : "", h->protocol ? "\r\n" : "");
    must(n > 0 && (size_t)n < sizeof(lines) && n < a->max_len);
    memcpy(a->p, lines, (size_t)n);
    a->p += n;
}

static int on_event(struct lws *lws, enum lws_callback_reasons reason, void *user, void *in,
                    size_t n)
{
    (void)user;
    struct ws *c;
    switch (reason) {
    case LWS_CALLBACK_ADD_HEADERS:
        c = lws_get_opaque_user_data(lws);
        add_lines(c->server->lws->handshake, in);
        break;
    case LWS_CALLBACK_ESTABLISHED:
        c = lws_get_opaque_user_data(lws);
        c->established = true;
        break;
    case LWS_CALLBACK_RECEIVE:
        c = lws_get_opaque_user_data(lws);
        c->server->lws->frames += lws_remaining_packet_payload(lws) == 0;
        ws_on_payload(c, lws_frame_is_binary(lws), str_make(in, n), lws_is_final_fragment(lws));
        break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        c = lws_get_opaque_user_data(lws);
        ws_on_peer_close(c, str_make(in, n));
        break;
    case LWS_CALLBACK_WSI_DESTROY:
        c = lws_get_opaque_user_data(lws);
        if (c)
            c->lws = NULL;
        break;
    default:
        break;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = PROTOCOL_NAME, .callback = on_event, .rx_buffer_size = PIECE},
    {.name = NULL},
};

static void on_log(int level, const char *line)
{
    (void)level;
    size_t n = strlen(line);
    while (n && line[n - 1] == '\n')
        n--;
    log_event(LOG_DEBUG, "libwebsockets", LOG_S("text", str_make(line, n)));
}

/* --- feeding --- */

/* True while it reads for c and wants to go on. */
static bool service(struct ws *c, short what)
{
    struct lws_pollfd p = {.fd = c->lws_fd, .events = LWS_POLLIN | LWS_POLLOUT, .revents = what};
    return lws_service_fd_tsi(c->server->lws->context, &p, 0) == 0 && c->lws;
}

void ws_lws_drop(struct ws *c)
{
    if (c->lws)
        service(c, LWS_POLLHUP);
    must(!c->lws);
}

/* All n bytes of the road. Where they end with a frame of data, the last frame handed up proves it
 * empty; so does the answer to the request, which takes its last byte; else the kernel is asked. */
static int travel(struct ws *c, size_t n, const struct ws_run *run)
{
    struct ws_lws *l = c->server->lws;
    l->frames = 0;
    for (size_t at = 0; at < n; at += ONE_READ) {
        if (!service(c, LWS_POLLIN))
            return -EPROTO;
    }
    if (run ? run->whole && l->frames == run->frames : c->established)
        return 0;
    int left = road_left(l);
    for (int before = INT_MAX; left > 0 && left < before; left = road_left(l)) {
        before = left;
        if (!service(c, LWS_POLLIN))
            return -EPROTO;
    }
    return left > 0 ? -EPROTO : left;
}

static int pong(struct ws *c)
{
    return service(c, LWS_POLLOUT) ? road_answers(c) : -EPROTO;
}

/* Of one that wants to end: the code it would tell. */
static unsigned code_of(struct lws *lws)
{
    const unsigned char *p = lws_get_close_payload(lws);
    return lws_get_close_length(lws) >= 2 ? (unsigned)p[0] << 8 | p[1] : WS_PROTOCOL_ERROR;
}

int ws_lws_feed(struct ws *c, const unsigned char *p, size_t n, const struct ws_run *run,
                unsigned *ret_code)
{
    struct ws_lws *l = c->server->lws;
    int err = road_join(c);
    ssize_t sent = err ? err : send(l->ours, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!err && sent != (ssize_t)n)
        err = sent < 0 ? -errno : -ENOBUFS;
    *ret_code = WS_OVERLOADED;
    if (err) {
        road_close(l); /* half of it may be on the road */
    } else {
        err = travel(c, n, run);
        if (!err && run && run->seen == WS_SEEN_PING)
            err = pong(c);
        if (!err)
            return 0;
        if (err == -EPROTO)
            *ret_code = c->lws ? code_of(c->lws) : WS_PROTOCOL_ERROR;
        road_close(l);
    }
    ws_lws_drop(c);
    return err;
}

/* --- adopting --- */

int ws_lws_adopt(struct ws *c, const struct ws_handshake *handshake)
{
    struct ws_lws *l = c->server->lws;
    char request[REQUEST_MAX];
    int n = snprintf(request, sizeof(request),
                     "GET / HTTP/1.1\r\nHost: restante\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: %.*s\r\n\r\n",
                     (int)handshake->key.n, handshake->key.p);
    must(n > 0 && (size_t)n < sizeof(request));
    int err = l->ours < 0 ? road_open(l) : 0;
    if (err)
        return err;
    c->lws_fd = fcntl(l->theirs, F_DUPFD_CLOEXEC, 0);
    if (c->lws_fd < 0)
        return -errno;
    if ((rlim_t)c->lws_fd >= l->places) { /* it would refuse it, and yet write to its place */
        close(c->lws_fd);
        return -EMFILE;
    }
    c->road = l->road;
    lws_adopt_desc_t adoption = {
        .vh = l->vhost,
        .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP,
        .fd.sockfd = c->lws_fd,
        .opaque = c,
    };
    c->lws = lws_adopt_descriptor_vhost_via_info(&adoption);
    if (!c->lws) {
        road_close(l);
        return -ENOMEM;
    }
    unsigned code;
    l->handshake = handshake;
    err = ws_lws_feed(c, (const unsigned char *)request, (size_t)n, NULL, &code);
    l->handshake = NULL;
    if (!err && c->established)
        err = road_answers(c);
    else if (!err || err == -EPROTO)
        err = -ENOMEM; /* the request is ours: memory is all it can lack */
    if (err)
        ws_lws_drop(c);
    return err;
}

/* --- opening and closing --- */

/* It looks each new connection up in all of a table with an entry for every descriptor that the
 * limit allows (an assertion that Debian's build has): at half a million of them that is most of
 * what a connection costs. So it sees no more than this worker can have open. Descriptors are given
 * out from the lowest, so all of them have a place in the table. */
static int create_context(struct ws_lws *l, const struct worker *w,
                          const struct lws_context_creation_info *info)
{
    struct rlimit all;
    if (getrlimit(RLIMIT_NOFILE, &all) < 0)
        return -errno;
    struct rlimit seen = all;
    rlim_t most = 2 * (rlim_t)acceptor_limit(w) + DESCRIPTORS_MORE;
    if (most < all.rlim_cur)
        seen.rlim_cur = most;
    if (setrlimit(RLIMIT_NOFILE, &seen) < 0)
        return -errno;
    l->places = seen.rlim_cur;
    l->context = lws_create_context(info);
    must(setrlimit(RLIMIT_NOFILE, &all) == 0);
    return l->context ? 0 : -ENOMEM;
}

int ws_lws_open(struct ws_server *s)
{
    static const lws_retry_bo_t no_checks = {0};
    struct ws_lws *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    s->lws = l;
    l->ours = l->theirs = -1;
    lws_set_log_level(log_enabled(LOG_DEBUG) ? LLL_ERR | LLL_WARN : 0, on_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .gid = -1,
        .uid = -1,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME,
        .pt_serv_buf_size = SERVICE_BUF,
        .protocols = protocols,
        .vhost_name = PROTOCOL_NAME,
        .retry_and_idle_policy = &no_checks,
    };
    int err = create_context(l, s->worker, &info);
    if (!err)
        l->vhost = lws_create_vhost(l->context, &info);
    if (!err)
        err = l->vhost ? road_open(l) : -ENOMEM;
    if (err)
        ws_lws_close(s);
    return err;
}

void ws_lws_close(struct ws_server *s)
{
    struct ws_lws *l = s->lws;
    if (!l)
        return;
    if (l->context)
        lws_context_destroy(l->context);
    road_close(l);
    free(l);
    s->lws = NULL;
}
