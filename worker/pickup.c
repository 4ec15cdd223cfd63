/* pickup - one cursor: catches up from the store, lives on the feed, goes back when it must.
 *
 * The one delivery engine of every transport. A pick-up is subscribed before its first read, so
 * nothing falls between the two: what a page did not show is on the feed, what the feed shows again
 * is at or below the cursor. It is live once a page has brought it to the feed position. From then
 * on the feed is believed only as far as the prev chain is unbroken for this very pick-up; anything
 * odd, and any hole in the feed, sends it back to the store, which is the truth (rules 4 and 7).
 */
#include "worker/route_priv.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define TURNS_A_TURN 256 /* pick-ups served before the network is */

/* One store read on behalf of a pick-up. */
struct pass {
    struct pickup *p;
    struct page page;
    uint64_t cursor, seen; /* as they were before it */
    size_t count;          /* messages handed out in it */
    bool truncated;        /* on_truncated was called in it */
    bool stopped;          /* on_message wants no more */
    int err;
    struct page_lost lost[1];
};

static void queue_turn(struct pickup *p)
{
    if (p->queued)
        return;
    p->queued = true;
    TAILQ_INSERT_TAIL(&p->route->turns, p, turn);
}

static void unqueue_turn(struct pickup *p)
{
    if (!p->queued)
        return;
    p->queued = false;
    TAILQ_REMOVE(&p->route->turns, p, turn);
}

static void release(struct pickup *p)
{
    struct route *r = p->route;
    unqueue_turn(p);
    touch_unpark(p);
    unsubscribe(r, &p->mailbox);
    TAILQ_REMOVE(&r->all, p, all);
    r->npickups--;
    free(p);
}

/* Rule 7 for what this pick-up handed out. */
static bool chain_holds(const struct subscription *s, const struct message *m)
{
    if (m->flags & MESSAGE_SKIPPED)
        return true;
    return s->seen ? m->prev == s->seen : m->prev <= s->begin;
}

static int make_object(struct pickup *p, const struct message *m, struct str *ret)
{
    static int (*const makers[FORMS])(const struct message *m, struct str stream, uint64_t epoch,
                                      struct buf *out) = {
        [FORM_JSON] = message_json,
        [FORM_MSGPACK] = message_msgpack,
    };
    struct route *r = p->route;
    struct buf *b = &r->object[p->encoding];
    buf_reset(b);
    int err = makers[p->encoding](m, STR("mailbox"), route_epoch(r), b);
    if (!err)
        *ret = buf_str(b);
    return err;
}

static void tell_truncated(struct pass *pass)
{
    struct pickup *p = pass->p;
    if (pass->truncated || pass->page.nlost == 0)
        return;
    pass->truncated = true;
    const struct pickup_lost lost = {STR("mailbox"), pass->lost[0].from, pass->lost[0].to};
    p->ops->on_truncated(p->arg, &lost, 1);
}

static bool on_page_message(void *arg, uint64_t stream, const struct message *stored)
{
    struct pass *pass = arg;
    struct pickup *p = pass->p;
    struct message m = *stored;
    tell_truncated(pass);
    /* The page judges what lies above its cursor. What lies below, and was not handed out when the
     * cursor went by, was gone before it could be. */
    if (m.prev <= pass->cursor && !chain_holds(&p->mailbox, &m))
        m.flags |= MESSAGE_SKIPPED;
    struct str object;
    pass->err = make_object(p, &m, &object);
    if (pass->err)
        return false;
    enum pickup_take take = p->ops->on_message(p->arg, stream, &m, object);
    pass->stopped = take != PICKUP_TAKEN;
    if (take == PICKUP_REFUSED) {
        p->missed = true;
        return false;
    }
    p->cursor = m.seq;
    p->mailbox.seen = m.seq;
    pass->count++;
    return take == PICKUP_TAKEN;
}

/* Nothing of an unfinished read counts. */
static void undo(struct pass *pass)
{
    struct pickup *p = pass->p;
    if (pass->count || pass->truncated)
        p->ops->on_undo(p->arg);
    p->cursor = pass->cursor;
    p->mailbox.seen = pass->seen;
    p->missed = false;
    pass->count = 0;
    pass->truncated = false;
    pass->stopped = false;
    pass->err = 0;
}

static int read_pass(void *arg, struct txn *t)
{
    struct pass *pass = arg;
    struct pickup *p = pass->p;
    struct route *r = p->route;
    undo(pass);
    if (p->recheck) {
        struct session s;
        int err = route_session_in(r, t, p->session, &s);
        if (err)
            return err;
        if (s.acked > p->acked)
            p->acked = s.acked;
    }
    const struct page_source source = {
        .stream = p->mailbox.stream,
        .join = p->acked,
        .age_ms = r->parts.conf->mailbox_age,
    };
    pass->page = (struct page){
        .cursor = p->cursor,
        .published = &r->parts.board->last_seq,
        .sources = &source,
        .nsources = 1,
        .limit = p->page_limit,
        .max_bytes = p->page_bytes,
        .now_ms = route_now_ms(r),
        .on_message = on_page_message,
        .arg = pass,
        .lost = pass->lost,
    };
    int err = r->ops->page(t, &pass->page);
    pass->page.sources = NULL;
    return err ? err : pass->err;
}

static void end(struct pickup *p, enum code why)
{
    p->ops->on_end(p->arg, why, pickup_cursor(p));
    p->stopped = true;
}

static void tell_pause(struct pickup *p, bool more)
{
    p->handed = false;
    if (p->state == PICKUP_LIVE)
        p->went_live = true;
    p->ops->on_pause(p->arg, pickup_cursor(p), more);
}

/* One read from the store. */
static void catch_up(struct pickup *p)
{
    struct route *r = p->route;
    struct pass pass = {.p = p, .cursor = p->cursor, .seen = p->mailbox.seen};
    int err = route_read(r, read_pass, &pass);
    if (err) {
        undo(&pass);
        if (err != -ENOENT)
            log_event(LOG_ERROR, "pickup_read_failed", LOG_E(err));
        end(p, err == -ENOENT ? CODE_SESSION_UNKNOWN : CODE_UNAVAILABLE);
        return;
    }
    tell_truncated(&pass);
    metric_add(route_metrics(r), METRIC_DELIVERED_STORE, pass.count);
    p->recheck = false;
    if (!p->missed && pass.page.ret_cursor > p->cursor)
        p->cursor = pass.page.ret_cursor;

    bool more = pass.page.ret_more || p->missed;
    if (pass.stopped)
        p->state = PICKUP_STOPPED;
    else if (!more && p->cursor >= r->passed)
        p->state = PICKUP_LIVE;
    else
        queue_turn(p);
    if (pass.count || pass.truncated || pass.stopped || (p->state == PICKUP_LIVE && !p->went_live))
        tell_pause(p, more);
}

/* Whatever is due for one pick-up. It may be gone afterwards. */
static void take_turn(struct pickup *p)
{
    unqueue_turn(p);
    p->busy = true;
    if (p->handed)
        tell_pause(p, p->missed);
    if (!p->stopped && p->ending)
        end(p, (enum code)p->ending);
    if (!p->stopped && p->state == PICKUP_BEHIND)
        catch_up(p);
    p->busy = false;
    if (p->stopped)
        release(p);
    else if (p->state == PICKUP_LIVE && p->transport)
        touch_park(p);
}

static void behind(struct pickup *p)
{
    p->cursor = pickup_cursor(p);
    p->state = PICKUP_BEHIND;
    queue_turn(p);
}

/* Whether the live pick-up is offered this message at all. */
static bool wanted(const struct subscription *s, const struct message *m)
{
    const struct pickup *p = s->pickup;
    if (m->flags & MESSAGE_EPHEMERAL)
        return p->cursor <= p->route->walked; /* else it came before what was handed out */
    if (m->seq <= p->cursor || m->seq <= s->begin)
        return false;
    /* Expired is expired at once; the next one of its stream then goes by way of the store. */
    return !m->expires_ms || m->expires_ms > route_now_ms(p->route);
}

static void count_missed(struct pickup *p, const struct message *m)
{
    if (m->flags & MESSAGE_EPHEMERAL)
        metric_add(route_metrics(p->route), METRIC_EPHEMERAL_MISSED, 1);
    else if (p->state == PICKUP_STOPPED && m->seq > p->cursor)
        p->missed = true;
}

void pickup_feed(struct subscription *s, struct feed_message *f)
{
    struct pickup *p = s->pickup;
    const struct message *m = &f->m;
    bool ephemeral = (m->flags & MESSAGE_EPHEMERAL) != 0;
    if (p->stopped || p->ending)
        return;
    if (p->state != PICKUP_LIVE) {
        count_missed(p, m);
        return;
    }
    if (!wanted(s, m))
        return;
    if (!ephemeral && !chain_holds(s, m)) {
        behind(p);
        return;
    }
    struct str *object = &f->object[p->encoding];
    if (!object->p && make_object(p, m, object) != 0) {
        behind(p);
        return;
    }
    enum pickup_take take = p->ops->on_message(p->arg, s->stream, m, *object);
    if (take != PICKUP_TAKEN) {
        p->cursor = pickup_cursor(p);
        p->state = PICKUP_STOPPED;
    }
    if (take == PICKUP_REFUSED) {
        count_missed(p, m);
    } else {
        metric_add(route_metrics(p->route), METRIC_DELIVERED_FEED, 1);
        if (!ephemeral) {
            p->cursor = m->seq;
            s->seen = m->seq;
        }
    }
    p->handed = true;
    queue_turn(p);
}

void pickup_lapped(struct pickup *p)
{
    p->recheck = true;
    if (p->state == PICKUP_LIVE)
        behind(p);
}

void pickup_ending(struct pickup *p, enum code why)
{
    /* It takes nothing any more, so its cursor must not move with the feed either. */
    p->cursor = pickup_cursor(p);
    p->state = PICKUP_STOPPED;
    p->ending = (uint8_t)why;
    queue_turn(p);
}

bool pickups_proceed(struct route *r)
{
    /* Those that are there now: one that is queued again waits for the next turn. */
    struct pickup *last = TAILQ_LAST(&r->turns, pickup_list), *p;
    for (int i = 0; i < TURNS_A_TURN && last; i++) {
        p = TAILQ_FIRST(&r->turns);
        if (!p)
            break;
        if (p == last)
            last = NULL;
        take_turn(p);
    }
    return !TAILQ_EMPTY(&r->turns);
}

int pickup_start(struct route *r, const struct pickup_start *start, const struct pickup_ops *ops,
                 void *arg, struct pickup **ret)
{
    const struct session *s = start->session;
    struct pickup *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->route = r;
    p->ops = ops;
    p->arg = arg;
    memcpy(p->session, s->id, SESSION_ID_SIZE);
    p->acked = s->acked;
    p->ttl_ms = s->ttl_ms;
    p->slid_ms = touch_slid_ms(r, s);
    p->cursor = start->cursor;
    p->page_limit = start->page_limit;
    p->page_bytes = start->page_bytes;
    p->transport = start->transport;
    p->remote = start->remote;
    p->lease_ms = start->lease_ms;
    p->connection = start->connection;
    p->encoding = (uint8_t)start->form;
    p->mailbox = (struct subscription){
        .stream = s->stream,
        .pickup = p,
        .begin = start->cursor > s->acked ? start->cursor : s->acked,
    };
    /* A worker without pick-ups sleeps through the feed: what was said before this one came,
     * ephemerals too, is not for it. */
    feed_pass_over(r);
    subscribe(r, &p->mailbox);
    TAILQ_INSERT_TAIL(&r->all, p, all);
    r->npickups++;
    queue_turn(p);
    if (p->connection)
        touch_park(p);
    if (r->draining)
        pickup_ending(p, CODE_UNAVAILABLE);
    *ret = p;
    return 0;
}

void pickup_proceed(struct pickup *p)
{
    must(!p->busy);
    take_turn(p);
}

void pickup_resume(struct pickup *p)
{
    if (p->state != PICKUP_STOPPED)
        return;
    p->missed = false;
    p->state = PICKUP_BEHIND;
    queue_turn(p);
}

void pickup_stop(struct pickup *p)
{
    p->stopped = true;
    if (!p->busy)
        release(p);
}

uint64_t pickup_generation(const struct pickup *p)
{
    (void)p;
    return 0;
}

uint64_t pickup_cursor(const struct pickup *p)
{
    return p->state == PICKUP_LIVE && p->route->passed > p->cursor ? p->route->passed : p->cursor;
}

size_t route_pickups(const struct route *r)
{
    return r->npickups;
}

bool route_due(const struct route *r)
{
    return !TAILQ_EMPTY(&r->turns);
}

void route_drain(struct route *r)
{
    r->draining = true;
    struct pickup *p;
    TAILQ_FOREACH(p, &r->all, all)
    pickup_ending(p, CODE_UNAVAILABLE);
}
