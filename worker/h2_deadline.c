/* h2_deadline - one coarse timer per connection, for the nearest of its deadlines.
 *
 * As in h1_deadline.c the timer only moves when a deadline comes nearer. Of many streams the lists
 * are in order of time, so the first is the nearest.
 */
#include <nghttp2/nghttp2.h>

#include "common/log.h"

#include "worker/h2_priv.h"
#include "worker/worker.h"

enum due {
    DUE_NONE,
    DUE_HEAD,
    DUE_BODY,
    DUE_IDLE,
    DUE_WRITE,   /* the kernel takes nothing */
    DUE_CONTENT, /* windows let nothing through */
    DUE_PING,
    DUE_PONG,
    DUE_NOTICE,
    DUE_LINGER,
};

struct deadline {
    enum due what;
    uint64_t at_ms;
};

static void consider(struct deadline *d, enum due what, uint64_t since, uint64_t timeout)
{
    if (d->what != DUE_NONE && d->at_ms <= since + timeout)
        return;
    *d = (struct deadline){what, since + timeout};
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static struct deadline nearest(const struct h2 *c)
{
    const struct conf *conf = c->server->worker->conf;
    struct deadline d = {DUE_NONE, 0};
    if (c->lingering) {
        consider(&d, DUE_LINGER, c->linger_since, H2_LINGER_MS);
        return d;
    }
    if (c->written < c->placed)
        consider(&d, DUE_WRITE, c->write_since, conf->write_timeout);
    if (c->ending)
        return d;
    if (c->head_since)
        consider(&d, DUE_HEAD, c->head_since, conf->head_timeout);
    if (!TAILQ_EMPTY(&c->receiving))
        consider(&d, DUE_BODY, TAILQ_FIRST(&c->receiving)->since, conf->body_timeout);
    if (!TAILQ_EMPTY(&c->sending))
        consider(&d, DUE_CONTENT, TAILQ_FIRST(&c->sending)->since, conf->write_timeout);
    if (c->noticed && !c->noticed_back)
        consider(&d, DUE_NOTICE, c->notice_since, H2_NOTICE_MS);
    if (c->nstreams == 0 && !c->head_since)
        consider(&d, DUE_IDLE, c->idle_since, conf->idle_timeout);
    if (c->nstreams > 0 && c->pinged)
        consider(&d, DUE_PONG, c->ping_since, conf->ping);
    else if (c->nstreams > 0)
        consider(&d, DUE_PING, later(c->heard_since, later(c->data_since, c->write_since)),
                 conf->ping);
    return d;
}

static void closed(struct h2 *c, enum metric why, uint32_t error)
{
    metric_add(c->server->worker->metrics, why, 1);
    h2_end(c, error);
}

/* The stream that has waited longest for its peer to take some of its content. */
static void content_is_late(struct h2 *c, uint64_t now)
{
    struct h2_stream *rq = TAILQ_FIRST(&c->sending);
    uint64_t timeout = c->server->worker->conf->write_timeout;
    bool shut = nghttp2_session_get_remote_window_size(c->session) <= 0;
    bool own = nghttp2_session_get_stream_remote_window_size(c->session, rq->id) <= 0;
    if (shut && c->data_since + timeout <= now) {
        closed(c, METRIC_CLOSED_SLOW, NGHTTP2_NO_ERROR); /* it takes nothing at all */
    } else if (own && !shut) {
        if (nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, rq->id, NGHTTP2_CANCEL) != 0)
            c->failed = true;
        h2_gone(c, rq);
    } else {
        h2_move(c, rq, H2_SENDING); /* others were served; the peer is not late */
    }
}

static void ask(struct h2 *c, uint64_t now)
{
    c->pinged = true;
    c->ping_since = now;
    if (nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL) != 0)
        c->failed = true;
}

static void act(struct h2 *c, enum due what, uint64_t now)
{
    switch (what) {
    case DUE_NONE:
        break;
    case DUE_HEAD:
        closed(c, METRIC_CLOSED_TIMEOUT, NGHTTP2_ENHANCE_YOUR_CALM);
        break;
    case DUE_BODY:
        h1_fault_answer(&TAILQ_FIRST(&c->receiving)->ex, H1_BODY_TIMEOUT);
        break;
    case DUE_IDLE:
        closed(c, METRIC_CLOSED_TIMEOUT, NGHTTP2_NO_ERROR);
        break;
    case DUE_WRITE:
        metric_add(c->server->worker->metrics, METRIC_CLOSED_SLOW, 1);
        c->failed = true;
        break;
    case DUE_CONTENT:
        content_is_late(c, now);
        break;
    case DUE_PING:
        ask(c, now);
        break;
    case DUE_PONG:
        metric_add(c->server->worker->metrics, METRIC_CLOSED_TIMEOUT, 1);
        c->failed = true;
        break;
    case DUE_NOTICE:
        c->noticed_back = true;
        break;
    case DUE_LINGER:
        c->failed = true;
        break;
    }
}

static void on_due(void *arg)
{
    struct h2 *c = arg;
    uint64_t now = h2_now(c);
    c->busy = true;
    for (;;) {
        struct deadline d = nearest(c);
        if (d.what == DUE_NONE || d.at_ms > now || c->failed)
            break;
        act(c, d.what, now);
    }
    h2_settle(c);
}

void h2_watch(struct h2 *c)
{
    struct deadline d = nearest(c);
    if (d.what == DUE_NONE)
        return;
    if (wheel_is_set(&c->timer) && c->timer.due_ms <= d.at_ms)
        return;
    wheel_set(&c->server->wheel, &c->timer, d.at_ms, on_due, c);
}
