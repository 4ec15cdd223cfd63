/* ws_out - frames onto the wire: gathered during a turn, then one write for all of them.
 *
 * Idle connections hold no memory for output: a buffer is taken from the pool with the first frame
 * and goes back with the last byte. What the kernel does not take stays, and is all that stays:
 * from then on there is no room, so what a peer that does not read costs is bounded by one turn.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"

#include "worker/exchange.h"
#include "worker/worker.h"
#include "worker/ws_priv.h"

#define DIRECT                                                                                     \
    4096 /* frames from here on are written at once, without a copy, where nothing waits */

static size_t waiting(const struct ws *c)
{
    return c->out ? c->out->data.len - c->out->sent : 0;
}

size_t ws_backlog(const struct ws *c)
{
    return waiting(c);
}

bool ws_blocked(const struct ws *c)
{
    return c->out && c->out->blocked;
}

bool ws_has_room(const struct ws *c)
{
    return !ws_blocked(c) && waiting(c) < WS_OUT_MAX;
}

/* --- the pool --- */

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct ws *c = arg;
    c->out->blocked = false;
    ws_settle(c);
}

static size_t weight(const struct ws_out *o)
{
    return sizeof(*o) + o->data.cap;
}

static struct ws_out *take_out(struct ws *c)
{
    struct ws_server *s = c->server;
    struct ws_out *o = s->pool;
    if (c->out)
        return c->out;
    if (o) {
        s->pool = o->next;
        s->pooled -= weight(o);
    } else {
        o = calloc(1, sizeof(*o));
        if (!o)
            return NULL;
        buf_init(&o->data, EXCHANGE_ANSWER_MAX);
    }
    event_assign(&o->writable, s->worker->base, c->wire.fd, EV_WRITE, on_writable, c);
    o->progress_ms = ws_now(c);
    c->out = o;
    return o;
}

void ws_out_free(struct ws *c)
{
    struct ws_server *s = c->server;
    struct ws_out *o = c->out;
    if (!o)
        return;
    c->out = NULL;
    if (o->blocked)
        event_del(&o->writable);
    o->blocked = false;
    o->sent = 0;
    if (s->pooled + weight(o) > WS_POOL || o->data.cap > 2 * WS_PACKET) {
        buf_free(&o->data);
        free(o);
        return;
    }
    buf_reset(&o->data);
    o->next = s->pool;
    s->pool = o;
    s->pooled += weight(o);
}

void ws_out_pool_free(struct ws_server *s)
{
    while (s->pool) {
        struct ws_out *o = s->pool;
        s->pool = o->next;
        buf_free(&o->data);
        free(o);
    }
}

/* --- writing --- */

/* Bytes taken; 0 none now, or the connection is broken. */
static size_t write_some(struct ws *c, const void *p, size_t n)
{
    struct iovec part = {(void *)(uintptr_t)p, n};
    ssize_t done = wire_write(&c->wire, &part, 1);
    if (done < 0) {
        if (done != -EAGAIN)
            ws_fail(c, METRIC_SOCKET_CLOSED_LOST);
        return 0;
    }
    metric_add(c->server->worker->metrics, METRIC_BYTES_OUT, (uint64_t)done);
    return (size_t)done;
}

static void block(struct ws *c)
{
    struct ws_out *o = c->out;
    if (event_add(&o->writable, NULL) < 0)
        ws_fail(c, METRIC_SOCKET_CLOSED_OVERLOAD);
    else
        o->blocked = true;
    /* A peer that always leaves a rest must not make the buffer grow. */
    buf_consume(&o->data, o->sent);
    o->sent = 0;
}

void ws_out_flush(struct ws *c)
{
    struct ws_out *o = c->out;
    if (!o || o->blocked)
        return;
    while (c->phase != WS_DONE && o->sent < o->data.len) {
        size_t done = write_some(c, o->data.data + o->sent, o->data.len - o->sent);
        o->sent += done;
        if (done)
            o->progress_ms = ws_now(c);
        else if (c->phase != WS_DONE) {
            block(c);
            return;
        }
    }
    ws_out_free(c);
}

int ws_out_append(struct ws *c, struct str bytes)
{
    struct ws_out *o = take_out(c);
    if (!o)
        return -ENOMEM;
    int err = buf_append_str(&o->data, bytes);
    if (err) {
        o->data.error = 0; /* what is whole still goes out */
        return -ENOMEM;
    }
    ws_soon(c);
    return 0;
}

int ws_write(struct ws *c, struct str frames)
{
    if (c->phase != WS_ALIVE)
        return 0;
    bool direct = frames.n >= DIRECT && !c->out;
    size_t done = direct ? write_some(c, frames.p, frames.n) : 0;
    if (done == frames.n || c->phase == WS_DONE)
        return 0;
    int err = ws_out_append(c, str_make(frames.p + done, frames.n - done));
    if (err && direct) {
        ws_fail(c, METRIC_SOCKET_CLOSED_OVERLOAD); /* half a frame, or half a record, is out */
        return 0;
    }
    if (err)
        return err;
    if (direct || waiting(c) >= WS_PACKET)
        ws_out_flush(c);
    c->full = c->phase == WS_ALIVE && !ws_has_room(c);
    return c->full ? -EAGAIN : 0;
}
