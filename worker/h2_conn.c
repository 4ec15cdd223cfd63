/* h2_conn - the life of a connection: from accept to the one place where it is freed.
 *
 * Whatever happens (bytes, room for bytes, an answer from elsewhere, a deadline) ends in h2_settle:
 * nghttp2 is told what is ready, makes frames, and they are sent, until nothing moves; then the
 * events are armed for what is missing, or the connection is closed. In the usual case - requests
 * in, answers out - no event and no timer changes, so a turn costs one read and one write of its
 * wire, however many streams have their part in it.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

#include "worker/h2_priv.h"
#include "worker/worker.h"

#define OUT_MAX (1u << 20) /* H2_OUT_HIGH, and what one more call of nghttp2 may add */

/* --- the lists --- */

static void unlink_dirty(struct h2 *c)
{
    if (!c->dirty_prev)
        return;
    *c->dirty_prev = c->dirty_next;
    if (c->dirty_next)
        c->dirty_next->dirty_prev = c->dirty_prev;
    c->dirty_prev = NULL;
}

static void link_into(struct h2 **head, struct h2 *c)
{
    unlink_dirty(c);
    c->dirty_next = *head;
    if (c->dirty_next)
        c->dirty_next->dirty_prev = &c->dirty_next;
    c->dirty_prev = head;
    *head = c;
}

void h2_wake(struct h2 *c)
{
    if (c->busy)
        c->again = true;
    else
        link_into(&c->server->dirty, c);
}

/* --- ends --- */

static void destroy(struct h2 *c)
{
    struct h2_server *s = c->server;
    c->busy = true;
    h2_cut(c);
    h2_session_close(c);
    unlink_dirty(c);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    wheel_cancel(&c->timer);
    if (c->read_armed)
        event_del(&c->readable);
    if (c->write_armed)
        event_del(&c->writable);
    wire_close(&c->wire);
    buf_free(&c->out);
    s->count--;
    metric_sub(s->worker->metrics, METRIC_CONNECTIONS, 1);
    free(c);
}

void h2_end(struct h2 *c, uint32_t error)
{
    if (c->ending)
        return;
    c->ending = true;
    if (nghttp2_session_terminate_session(c->session, error) != 0)
        c->failed = true;
}

/* Nothing is left to be done on this connection. */
static bool is_over(const struct h2 *c)
{
    return c->written == c->placed && !nghttp2_session_want_read(c->session) &&
           !nghttp2_session_want_write(c->session);
}

/* --- draining --- */

/* RFC 9113 6.8: first that no more requests should come, then, when those on their way are here,
 * which was the last. The PING's answer tells that they are. */
static void give_notice(struct h2 *c)
{
    c->noticed = true;
    c->notice_since = h2_now(c);
    if (nghttp2_submit_shutdown_notice(c->session) != 0 ||
        nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL) != 0)
        c->failed = true;
}

static void say_last(struct h2 *c)
{
    c->last_said = true;
    int32_t last = nghttp2_session_get_last_proc_stream_id(c->session);
    if (nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
        c->failed = true;
}

/* --- settling --- */

static void arm(struct event *e, bool *armed, bool wanted)
{
    if (*armed == wanted)
        return;
    int r = wanted ? event_add(e, NULL) : event_del(e);
    *armed = wanted && r == 0;
}

static void arm_events(struct h2 *c)
{
    bool read = !c->eof && (h2_unsent(c) <= H2_OUT_HIGH || c->lingering);
    if (read && !c->read_armed && c->head_since)
        c->head_since = h2_now(c); /* while nobody read, the peer was not late */
    arm(&c->readable, &c->read_armed, read);
    bool write = c->written < c->placed;
    if (write && !c->write_armed)
        c->write_since = h2_now(c);
    arm(&c->writable, &c->write_armed, write);
    if (read != c->read_armed || write != c->write_armed)
        c->failed = true; /* no memory: a connection that cannot be served */
}

static void progress(struct h2 *c)
{
    if (c->ending)
        h2_gone_all(c);
    h2_windows(c);
    h2_submit(c);
    if (c->noticed_back && !c->last_said && !c->ending)
        say_last(c);
    h2_make(c);
    h2_flush(c);
    /* What was held back for the kernel's sake has its turn. */
    if (c->written == c->placed && nghttp2_session_want_write(c->session))
        c->again = true;
    if ((c->ending && !TAILQ_EMPTY(&c->streams)) || h2_windows(c))
        c->again = true;
}

static void linger(struct h2 *c)
{
    c->lingering = true;
    c->linger_since = h2_now(c);
    h2_gone_all(c);
    if (wire_shutdown(&c->wire) < 0)
        c->failed = true;
}

void h2_settle(struct h2 *c)
{
    unlink_dirty(c);
    c->busy = true;
    do {
        c->again = false;
        if (!c->lingering && !c->failed)
            progress(c);
    } while (c->again && !c->failed);
    if (!c->failed && !c->eof && !c->lingering && is_over(c))
        linger(c);
    if (!c->failed && !c->eof)
        arm_events(c);
    if (c->failed || c->eof) {
        destroy(c);
        return;
    }
    c->busy = false;
    h2_watch(c);
    if (c->read_armed && wire_pending(&c->wire))
        link_into(&c->server->unread, c);
}

/* --- events --- */

static void drop(struct h2 *c, size_t n)
{
    c->dropped += n;
    if (c->dropped > H2_DROP_MAX)
        c->failed = true;
}

static void read_some(struct h2 *c)
{
    struct h2_server *s = c->server;
    ssize_t n = wire_read(&c->wire, s->scratch, sizeof(s->scratch));
    c->busy = true;
    if (n <= 0) {
        c->eof = n == 0;
        c->failed = n < 0 && n != -EAGAIN;
        return;
    }
    metric_add(s->worker->metrics, METRIC_BYTES_IN, (uint64_t)n);
    c->heard_since = h2_now(c);
    c->pinged = false;
    if (c->lingering)
        drop(c, (size_t)n);
    else
        h2_session_feed(c, s->scratch, (size_t)n);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct h2 *c = arg;
    read_some(c);
    h2_settle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    h2_settle(arg);
}

/* One read for each connection that has bytes waiting inside its wire, so that one of them cannot
 * keep the others waiting. */
static void read_unread(struct h2_server *s)
{
    struct h2 *now = s->unread;
    s->unread = NULL;
    if (now)
        now->dirty_prev = &now;
    while (now) {
        struct h2 *c = now;
        read_some(c);
        h2_settle(c); /* unlinks it; its wire may put it on s->unread again */
    }
}

bool h2_proceed(struct h2_server *s)
{
    read_unread(s);
    while (s->dirty)
        h2_settle(s->dirty);
    return s->unread != NULL;
}

/* --- the server --- */

static uint64_t boot_ms(void *arg)
{
    (void)arg;
    return clock_boot_ms();
}

int h2_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct h2_server **ret)
{
    struct h2_server *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->worker = w;
    s->now_ms = now_ms ? now_ms : boot_ms;
    s->now_arg = now_arg;
    buf_init(&s->spare, OUT_MAX);
    buf_init(&s->head, 2 * EXCHANGE_HEAD_MAX);
    wheel_init(&s->wheel, s->now_ms(s->now_arg));
    int r = h2_session_setup(s);
    if (r < 0) {
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void h2_close(struct h2_server *s)
{
    if (!s)
        return;
    while (s->all)
        destroy(s->all);
    nghttp2_session_callbacks_del(s->callbacks);
    h2_block_free(s->spare_block);
    buf_free(&s->spare);
    buf_free(&s->head);
    free(s);
}

static struct h2 *new_connection(struct h2_server *s, struct wire wire, const char *remote)
{
    size_t n = strlen(remote) + 1;
    struct h2 *c = calloc(1, sizeof(*c) + n);
    if (!c)
        return NULL;
    memcpy(c->remote, remote, n);
    c->server = s;
    c->wire = wire;
    TAILQ_INIT(&c->streams);
    TAILQ_INIT(&c->finishing);
    TAILQ_INIT(&c->ready);
    TAILQ_INIT(&c->receiving);
    TAILQ_INIT(&c->sending);
    buf_init(&c->out, OUT_MAX);
    event_assign(&c->readable, s->worker->base, wire.fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, s->worker->base, wire.fd, EV_WRITE | EV_PERSIST, on_writable, c);
    const struct conf *conf = s->worker->conf;
    uint64_t now = h2_now(c);
    c->head_since = c->idle_since = c->heard_since = c->data_since = now;
    h2_limits_init(&c->limits, conf->resets, conf->control, now);
    if (h2_session_open(c) == 0)
        return c;
    free(c);
    return NULL;
}

int h2_accept(struct h2_server *s, struct wire wire, const char *remote)
{
    struct h2 *c = new_connection(s, wire, remote);
    if (!c) {
        wire_close(&wire);
        return -ENOMEM;
    }
    c->next = s->all;
    if (c->next)
        c->next->prev = &c->next;
    c->prev = &s->all;
    s->all = c;
    s->count++;
    metric_add(s->worker->metrics, METRIC_CONNECTIONS, 1);
    if (s->draining)
        give_notice(c);
    read_some(c);
    h2_settle(c);
    return 0;
}

void h2_tick(struct h2_server *s)
{
    wheel_turn(&s->wheel, s->now_ms(s->now_arg));
}

void h2_drain(struct h2_server *s)
{
    s->draining = true;
    struct h2 *next;
    for (struct h2 *c = s->all; c; c = next) {
        next = c->next;
        c->busy = true;
        if (!c->ending && !c->noticed)
            give_notice(c);
        h2_settle(c);
    }
}

size_t h2_connections(const struct h2_server *s)
{
    return s->count;
}
