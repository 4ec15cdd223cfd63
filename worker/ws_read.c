/* ws_read - bytes into messages: scanned, read by libwebsockets, joined.
 *
 * What a read of the wire brought is scanned and fed in runs that end where something has to happen
 * before the rest is looked at: a pong for each ping, the peer's close, the application's pause.
 */
#include <errno.h>

#include "common/log.h"
#include "common/utf8.h"

#include "worker/exchange.h"
#include "worker/worker.h"
#include "worker/ws_priv.h"

#define CLOSE_MAX 4999 /* RFC 6455 7.4.2 */

/* --- messages --- */

static void hold(struct ws *c, size_t n)
{
    struct worker *w = c->server->worker;
    w->bodies = w->bodies - c->held + n;
    c->held = n;
    metric_set(w->metrics, METRIC_BODIES_BYTES, w->bodies);
}

void ws_message_free(struct ws *c)
{
    buf_free(&c->message);
    c->fragmented = false;
    if (c->held)
        hold(c, 0);
}

static void deliver(struct ws *c, bool binary, struct str message)
{
    if (!binary && !utf8_valid(message)) {
        ws_finish(c, WS_BAD_UTF8, METRIC_SOCKET_CLOSED_PROTOCOL);
        return;
    }
    c->ops->on_message(c->arg, binary, message);
}

/* Fragments count among the bodies of the worker: many clients that never end theirs are bounded.
 */
static bool join(struct ws *c, struct str bytes)
{
    struct worker *w = c->server->worker;
    size_t spare = c->message.cap - c->message.len;
    bool room = bytes.n <= spare || (w->bodies <= w->conf->limit_bodies &&
                                     bytes.n - spare <= w->conf->limit_bodies - w->bodies);
    c->fragmented = true;
    if (!room)
        metric_add(w->metrics, METRIC_BODIES_REFUSED, 1);
    if (!room || buf_append_str(&c->message, bytes)) {
        ws_finish(c, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
        return false;
    }
    if (c->message.cap != c->held)
        hold(c, c->message.cap);
    return true;
}

void ws_on_payload(struct ws *c, bool binary, struct str bytes, bool last)
{
    if (c->phase != WS_ALIVE)
        return;
    if (last && !c->fragmented) {
        deliver(c, binary, bytes);
        return;
    }
    if (!join(c, bytes) || !last)
        return;
    deliver(c, binary, buf_str(&c->message));
    ws_message_free(c);
}

/* --- the peer's close --- */

/* libwebsockets has made WS_PROTOCOL_ERROR of the codes that mean nothing, but knows no largest. */
void ws_on_peer_close(struct ws *c, struct str payload)
{
    const unsigned char *p = (const unsigned char *)payload.p;
    unsigned code = payload.n >= 2 ? (unsigned)p[0] << 8 | p[1] : 0;
    c->peer_closed = true;
    if (payload.n > 2 && !utf8_valid(str_make(payload.p + 2, payload.n - 2)))
        ws_finish(c, WS_BAD_UTF8, METRIC_SOCKET_CLOSED_PROTOCOL);
    else if (code > CLOSE_MAX || code == WS_PROTOCOL_ERROR)
        ws_finish(c, WS_PROTOCOL_ERROR, METRIC_SOCKET_CLOSED_PROTOCOL);
    else
        ws_finish(c, code, METRIC_SOCKET_CLOSED_PEER);
}

/* --- bytes --- */

/* After our close frame only the peer's is looked for. */
static void skim(struct ws *c, const unsigned char *p, size_t n)
{
    size_t at = 0;
    while (at < n && !c->peer_closed) {
        struct ws_run r = ws_scan(&c->scan, p + at, n - at, UINT64_MAX);
        at += r.used;
        c->peer_closed = r.seen == WS_SEEN_CLOSE;
    }
}

/* One run. Returns the bytes used. */
static size_t run(struct ws *c, const unsigned char *p, size_t n)
{
    struct ws_run r = ws_scan(&c->scan, p, n, c->server->worker->conf->limit_frame);
    bool wrong = r.seen == WS_SEEN_FAULT || r.seen == WS_SEEN_LARGE;
    size_t good = wrong ? r.used - 1 : r.used;
    unsigned code;
    if (good && ws_lws_feed(c, p, good, &r, &code) < 0)
        ws_finish(c, code,
                  code == WS_PROTOCOL_ERROR ? METRIC_SOCKET_CLOSED_PROTOCOL
                                            : METRIC_SOCKET_CLOSED_OVERLOAD);
    else if (r.seen == WS_SEEN_FAULT)
        ws_finish(c, WS_PROTOCOL_ERROR, METRIC_SOCKET_CLOSED_PROTOCOL);
    else if (r.seen == WS_SEEN_LARGE)
        ws_finish(c, WS_TOO_LARGE, METRIC_SOCKET_CLOSED_LARGE);
    return r.used;
}

/* As far as it goes; returns the bytes used. */
static size_t understand(struct ws *c, const unsigned char *p, size_t n)
{
    size_t at = 0;
    while (at < n && c->phase == WS_ALIVE && !c->paused)
        at += run(c, p + at, n - at);
    if (c->phase == WS_ALIVE)
        return at;
    skim(c, p + at, n - at);
    return n;
}

void ws_continue(struct ws *c)
{
    if (c->in.len == 0)
        return;
    size_t used = understand(c, c->in.data, c->in.len);
    if (used == c->in.len)
        buf_free(&c->in);
    else
        buf_consume(&c->in, used);
}

static void heard(struct ws *c)
{
    uint64_t now = ws_now(c);
    c->heard_ms = now;
    if (c->phase != WS_ALIVE || now - c->alive_ms < c->server->worker->conf->server_heartbeat)
        return;
    c->alive_ms = now;
    if (c->ops->on_alive)
        c->ops->on_alive(c->arg);
}

void ws_read(struct ws *c)
{
    struct ws_server *s = c->server;
    ssize_t n = wire_read(&c->wire, s->scratch, sizeof(s->scratch));
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        ws_fail(c, METRIC_SOCKET_CLOSED_LOST);
        return;
    }
    metric_add(s->worker->metrics, METRIC_BYTES_IN, (uint64_t)n);
    heard(c);
    size_t used = understand(c, s->scratch, (size_t)n);
    if (used < (size_t)n && buf_append(&c->in, s->scratch + used, (size_t)n - used) < 0)
        ws_finish(c, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
}
