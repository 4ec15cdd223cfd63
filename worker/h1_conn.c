/* h1_conn - the life of a connection: from accept to the one place where it is freed.
 *
 * Whatever happens (bytes, room for bytes, an answer from elsewhere, a deadline) ends in h1_settle:
 * place, send, take in what waited, until nothing moves; then the events are armed for what is
 * missing, or the connection is closed. In the usual case - a request in, an answer out - no event
 * and no timer changes, so a request costs one read and one write of its wire.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

#include "worker/h1_priv.h"
#include "worker/worker.h"

static void parked(struct exchange *ex)
{
    /* If the peer is known to have closed its side, this ends the request: look again. */
    h1_wake(ex->connection);
}

const struct exchange_transport h1_transport = {
    .proto = "HTTP/1.1",
    .answer = h1_answer,
    .stream_begin = h1_stream_begin,
    .stream_write = h1_stream_write,
    .stream_end = h1_stream_end,
    .stream_backlog = h1_stream_backlog,
    .parked = parked,
    .may_upgrade = h1_may_upgrade,
    .hand_over = h1_hand_over,
};

/* --- requests end --- */

static void free_request(struct h1 *c, struct h1_request *rq)
{
    if (c->body_of == rq)
        c->body_of = NULL;
    exchange_free(&rq->ex);
    free(rq);
    c->nrequests--;
}

void h1_pop(struct h1 *c)
{
    struct h1_request *rq = c->first;
    c->first = rq->next;
    if (!c->first) {
        c->last = NULL;
        c->idle_since = h1_now(c);
    }
    exchange_sent(&rq->ex);
    free_request(c, rq);
}

static void drop_list(struct h1 *c, struct h1_request *rq)
{
    while (rq) {
        struct h1_request *next = rq->next;
        exchange_gone(&rq->ex);
        free_request(c, rq);
        rq = next;
    }
}

void h1_drop_after(struct h1 *c, struct h1_request *rq)
{
    struct h1_request *behind = rq->next;
    rq->next = NULL;
    c->last = rq;
    drop_list(c, behind);
}

/* --- the lists --- */

static void unlink_dirty(struct h1 *c)
{
    if (!c->dirty_prev)
        return;
    *c->dirty_prev = c->dirty_next;
    if (c->dirty_next)
        c->dirty_next->dirty_prev = c->dirty_prev;
    c->dirty_prev = NULL;
}

static void link_into(struct h1 **head, struct h1 *c)
{
    unlink_dirty(c);
    c->dirty_next = *head;
    if (c->dirty_next)
        c->dirty_next->dirty_prev = &c->dirty_next;
    c->dirty_prev = head;
    *head = c;
}

void h1_wake(struct h1 *c)
{
    if (c->busy)
        c->again = true;
    else
        link_into(&c->server->dirty, c);
}

/* --- settling --- */

static void disarm(struct h1 *c)
{
    if (c->read_armed)
        event_del(&c->readable);
    if (c->write_armed)
        event_del(&c->writable);
}

/* All but the wire, its events and the memory. */
static void retire(struct h1 *c)
{
    struct h1_server *s = c->server;
    unlink_dirty(c);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    wheel_cancel(&c->timer);
    buf_free(&c->in);
    buf_free(&c->out);
    s->count--;
    metric_sub(s->worker->metrics, METRIC_CONNECTIONS, 1);
}

static void destroy(struct h1 *c)
{
    c->busy = true;
    struct h1_request *rest = c->first;
    c->first = c->last = c->unplaced = c->large = NULL;
    drop_list(c, rest);
    retire(c);
    disarm(c);
    wire_close(&c->wire);
    free(c);
}

/* The request that takes the wire is the only one left, and all before it is out. */
static bool may_leave(const struct h1 *c)
{
    return c->leaving && c->first->ex.on_wire && c->written == c->placed;
}

static void leave(struct h1 *c)
{
    struct h1_request *rq = c->first;
    c->first = c->last = c->unplaced = NULL;
    retire(c);
    /* Who gets it listens to it before we cease to: so epoll hears of no change. Should it be
     * closed by then, there is nothing left to take away. */
    exchange_handed(&rq->ex, c->wire);
    disarm(c);
    free_request(c, rq);
    free(c);
}

static bool is_idle(const struct h1 *c)
{
    return !c->first && c->reading == H1_READ_HEAD && !c->head_since && c->in.len == 0;
}

/* The peer has closed its side and the next answer would wait for an event, or never end. */
static bool peer_left(const struct h1 *c)
{
    const struct h1_request *rq = c->unplaced;
    if (!c->eof || !rq || c->written != c->placed)
        return false;
    return rq->ex.parked || (rq->stream && !rq->stream_ended);
}

/* Nothing is left to be done on this connection. */
static bool is_finished(const struct h1 *c)
{
    if (c->first || c->written != c->placed)
        return false;
    return c->reading == H1_READ_DROP || (c->server->draining && is_idle(c));
}

static void take_waiting(struct h1 *c)
{
    if (c->in.len == 0)
        return;
    size_t used = h1_feed(c, (const char *)c->in.data, c->in.len);
    if (used == 0)
        return;
    if (used >= c->in.len) {
        buf_free(&c->in);
    } else {
        buf_consume(&c->in, used);
    }
    c->again = true;
}

static void arm(struct event *e, bool *armed, bool wanted)
{
    if (*armed == wanted)
        return;
    int r = wanted ? event_add(e, NULL) : event_del(e);
    *armed = wanted && r == 0;
}

static void arm_events(struct h1 *c)
{
    bool read = !c->eof && !c->leaving && (c->reading != H1_READ_HEAD || h1_may_take(c));
    if (read && !c->read_armed && c->head_since)
        c->head_since = h1_now(c); /* while nobody read, the peer was not late */
    arm(&c->readable, &c->read_armed, read);
    bool write = c->written < c->placed;
    if (write && !c->write_armed)
        c->write_since = h1_now(c);
    arm(&c->writable, &c->write_armed, write);
    if (read != c->read_armed || write != c->write_armed)
        c->failed =
            true; /* no memory, or none of the kernel's: a connection that cannot be served */
}

void h1_settle(struct h1 *c)
{
    unlink_dirty(c);
    c->busy = true;
    do {
        c->again = false;
        h1_place(c);
        h1_flush(c);
        if (!c->failed)
            take_waiting(c);
    } while (c->again && !c->failed);
    if (!c->failed && may_leave(c)) {
        leave(c);
        return;
    }
    if (!c->failed && is_finished(c) && c->linger && !c->eof && !c->lingering) {
        c->lingering = true;
        c->linger_since = h1_now(c);
        c->failed = wire_shutdown(&c->wire) < 0;
    }
    if (!c->failed)
        arm_events(c);
    if (c->failed || peer_left(c) || (is_finished(c) && (!c->lingering || c->eof))) {
        destroy(c);
        return;
    }
    c->busy = false;
    h1_watch(c);
    if (c->read_armed && wire_pending(&c->wire))
        link_into(&c->server->unread, c);
}

/* --- events --- */

static void read_some(struct h1 *c)
{
    struct h1_server *s = c->server;
    if (c->leaving)
        return; /* what comes now is not ours */
    ssize_t n = wire_read(&c->wire, s->scratch, sizeof(s->scratch));
    if (n < 0) {
        c->failed = n != -EAGAIN;
        return;
    }
    if (n == 0) {
        c->busy = true;
        h1_on_eof(c);
        return;
    }
    metric_add(s->worker->metrics, METRIC_BYTES_IN, (uint64_t)n);
    c->busy = true;
    if (c->last)
        c->last->websocket = false; /* something came behind it */
    size_t used = c->in.len ? 0 : h1_feed(c, s->scratch, (size_t)n);
    if (used < (size_t)n && buf_append(&c->in, s->scratch + used, (size_t)n - used) < 0)
        c->failed = true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct h1 *c = arg;
    read_some(c);
    h1_settle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    h1_settle(arg);
}

/* One read for each connection that has bytes waiting inside its wire, so that one of them cannot
 * keep the others waiting. */
static void read_unread(struct h1_server *s)
{
    struct h1 *now = s->unread;
    s->unread = NULL;
    if (now)
        now->dirty_prev = &now;
    while (now) {
        struct h1 *c = now;
        read_some(c);
        h1_settle(c); /* unlinks it; its wire may put it on s->unread again */
    }
}

bool h1_proceed(struct h1_server *s)
{
    read_unread(s);
    while (s->dirty)
        h1_settle(s->dirty);
    return s->unread != NULL;
}

/* --- the server --- */

static uint64_t boot_ms(void *arg)
{
    (void)arg;
    return clock_boot_ms();
}

int h1_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct h1_server **ret)
{
    struct h1_server *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->worker = w;
    s->now_ms = now_ms ? now_ms : boot_ms;
    s->now_arg = now_arg;
    buf_init(&s->spare, EXCHANGE_ANSWER_MAX);
    wheel_init(&s->wheel, s->now_ms(s->now_arg));
    *ret = s;
    return 0;
}

void h1_close(struct h1_server *s)
{
    if (!s)
        return;
    while (s->all)
        destroy(s->all);
    buf_free(&s->spare);
    free(s);
}

int h1_accept(struct h1_server *s, struct wire wire, const char *remote)
{
    size_t n = strlen(remote) + 1;
    struct h1 *c = malloc(sizeof(*c) + n);
    if (!c) {
        wire_close(&wire);
        return -ENOMEM;
    }
    memset(c, 0, sizeof(*c));
    memcpy(c->remote, remote, n);
    c->server = s;
    c->wire = wire;
    buf_init(&c->in, s->worker->conf->limit_header + 2 * H1_READ_SIZE);
    buf_init(&c->out, EXCHANGE_ANSWER_MAX);
    event_assign(&c->readable, s->worker->base, wire.fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, s->worker->base, wire.fd, EV_WRITE | EV_PERSIST, on_writable, c);
    c->head_since = c->idle_since = h1_now(c); /* the first header section counts from here */
    c->next = s->all;
    if (c->next)
        c->next->prev = &c->next;
    c->prev = &s->all;
    s->all = c;
    s->count++;
    metric_add(s->worker->metrics, METRIC_CONNECTIONS, 1);
    read_some(c);
    h1_settle(c);
    return 0;
}

void h1_tick(struct h1_server *s)
{
    wheel_turn(&s->wheel, s->now_ms(s->now_arg));
}

void h1_drain(struct h1_server *s)
{
    s->draining = true;
    struct h1 *next;
    for (struct h1 *c = s->all; c; c = next) {
        next = c->next;
        /* What has already arrived on an idle connection is still answered. */
        if (c->read_armed)
            read_some(c);
        if (c->scan.pos == 0 && c->in.len == 0)
            c->head_since = 0;
        h1_settle(c);
    }
}

size_t h1_connections(const struct h1_server *s)
{
    return s->count;
}
