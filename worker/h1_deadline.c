/* h1_deadline - one coarse timer per connection, for the nearest of its deadlines.
 *
 * The timer is only moved when a deadline comes nearer; when it fires early, it is set again for
 * what is then the nearest. A keep-alive connection that serves request after request never touches
 * it.
 */
#include <poll.h>

#include "common/log.h"

#include "worker/h1_priv.h"
#include "worker/worker.h"

enum due { DUE_NONE, DUE_HEAD, DUE_BODY, DUE_IDLE, DUE_WRITE, DUE_LINGER, DUE_PROBE };

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

static struct deadline nearest(const struct h1 *c, uint64_t now)
{
    const struct conf *conf = c->server->worker->conf;
    struct deadline d = {DUE_NONE, 0};
    if (c->lingering)
        consider(&d, DUE_LINGER, c->linger_since, H1_LINGER_MS);
    if (c->written < c->placed)
        consider(&d, DUE_WRITE, c->write_since, conf->write_timeout);
    bool in_body = c->reading == H1_READ_LENGTH || c->reading == H1_READ_CHUNKS;
    if (in_body && c->body_since)
        consider(&d, DUE_BODY, c->body_since, conf->body_timeout);
    if (c->reading == H1_READ_HEAD && c->head_since && c->read_armed)
        consider(&d, DUE_HEAD, c->head_since, conf->head_timeout);
    else if (c->reading == H1_READ_HEAD && !c->head_since && !c->first)
        consider(&d, DUE_IDLE, c->idle_since, conf->idle_timeout);
    if (d.what == DUE_NONE && !c->read_armed && c->first)
        consider(&d, DUE_PROBE, now, H1_PROBE_MS);
    return d;
}

/* A connection that is not read (its pipeline is full, or the peer has closed its side) does not
 * tell by itself that its peer is gone. */
static void probe(struct h1 *c)
{
    struct pollfd p = {.fd = c->wire.fd, .events = POLLRDHUP};
    if (poll(&p, 1, 0) <= 0)
        return;
    bool waits = c->unplaced && c->unplaced->ex.parked;
    if ((p.revents & (POLLERR | POLLHUP | POLLNVAL)) || waits)
        c->failed = true;
}

static void count_closed(struct h1 *c, enum metric m)
{
    metric_add(c->server->worker->metrics, m, 1);
}

static void act(struct h1 *c, enum due what)
{
    switch (what) {
    case DUE_NONE:
        break;
    case DUE_HEAD:
        if (c->in.len == 0 && !c->blank) {
            count_closed(c, METRIC_CLOSED_TIMEOUT);
            c->failed = true;
        } else {
            h1_refuse(c, H1_HEAD_TIMEOUT, (const char *)c->in.data, c->in.len);
            buf_free(&c->in);
        }
        break;
    case DUE_BODY:
        h1_body_fault(c, H1_BODY_TIMEOUT);
        break;
    case DUE_IDLE:
        count_closed(c, METRIC_CLOSED_TIMEOUT);
        c->failed = true;
        break;
    case DUE_WRITE:
        count_closed(c, METRIC_CLOSED_SLOW);
        c->failed = true;
        break;
    case DUE_LINGER:
        c->failed = true;
        break;
    case DUE_PROBE:
        probe(c);
        break;
    }
}

static void on_due(void *arg)
{
    struct h1 *c = arg;
    uint64_t now = h1_now(c);
    struct deadline d = nearest(c, now);
    /* The probe has no fixed time: that the timer fired for it is its time. */
    if (d.what == DUE_PROBE || (d.what != DUE_NONE && d.at_ms <= now)) {
        c->busy = true;
        act(c, d.what);
    }
    h1_settle(c);
}

void h1_watch(struct h1 *c)
{
    struct deadline d = nearest(c, h1_now(c));
    if (d.what == DUE_NONE)
        return;
    if (wheel_is_set(&c->timer) && c->timer.due_ms <= d.at_ms)
        return;
    wheel_set(&c->server->wheel, &c->timer, d.at_ms, on_due, c);
}
