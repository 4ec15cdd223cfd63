/* pickup - one cursor: catches up from the store, lives on the feed, goes back when it must.
 *
 * The one delivery engine of every transport. A pick-up is subscribed before its first read, so
 * nothing falls between the two: what a page did not show is on the feed, what the feed shows again
 * is at or below the cursor. It is live once a page has brought it to the feed position. From then
 * on the feed is believed only as far as the prev chain is unbroken for this very pick-up; anything
 * odd, and any hole in the feed, sends it back to the store, which is the truth (rules 4 and 7).
 *
 * Here: its life and its turns. What it reads is pickup_read.c, what it hears is pickup_live.c.
 */
#include "worker/route_priv.h"

#include "common/log.h"
#include "worker/socket_frame.h"

#include <errno.h>
#include <stdlib.h>

#define TURNS_A_TURN 256 /* pick-ups served before the network is */

_Static_assert(sizeof(struct pickup) <= 248, "one waits for each parked long-poll");

void pickup_queue(struct pickup *p)
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
    while (p->topics) {
        struct topic_subscription *s = p->topics;
        p->topics = s->next;
        topic_unsubscribe(s);
    }
    stream_table_remove(&r->mailboxes, &p->mailbox.entry);
    TAILQ_REMOVE(&r->all, p, all);
    r->npickups--;
    free(p);
}

static int object_json(const struct message *m, struct str stream, uint64_t epoch, struct buf *out,
                       struct str *ret)
{
    buf_reset(out);
    int err = message_json(m, stream, epoch, out);
    *ret = buf_str(out);
    return err;
}

static int object_msgpack(const struct message *m, struct str stream, uint64_t epoch,
                          struct buf *out, struct str *ret)
{
    buf_reset(out);
    int err = message_msgpack(m, stream, epoch, out);
    *ret = buf_str(out);
    return err;
}

int pickup_object(struct pickup *p, const struct message *m, struct str stream, struct str *ret)
{
    static int (*const makers[FORMS])(const struct message *m, struct str stream, uint64_t epoch,
                                      struct buf *out, struct str *ret) = {
        [FORM_JSON] = object_json,
        [FORM_MSGPACK] = object_msgpack,
        [FORM_SOCKET_JSON] = socket_message_json,
        [FORM_SOCKET_MSGPACK] = socket_message_msgpack,
    };
    struct route *r = p->route;
    struct str object;
    bool skipped = m->flags & MESSAGE_SKIPPED;
    int err = makers[p->form](m, stream, route_epoch(r), &r->object[p->form][skipped], &object);
    if (!err)
        *ret = object;
    return err;
}

void pickup_end(struct pickup *p, enum code why)
{
    p->ops->on_end(p->arg, why, pickup_cursor(p));
    p->stopped = true;
}

void pickup_tell(struct pickup *p, bool more)
{
    p->handed = false;
    if (p->state == PICKUP_LIVE)
        p->went_live = true;
    p->ops->on_pause(p->arg, pickup_cursor(p), more);
}

/* Whatever is due for one pick-up. It may be gone afterwards. */
static void take_turn(struct pickup *p)
{
    unqueue_turn(p);
    p->busy = true;
    if (p->handed)
        pickup_tell(p, p->missed);
    if (!p->stopped && p->ending)
        pickup_end(p, (enum code)p->ending);
    if (!p->stopped && p->state == PICKUP_BEHIND)
        pickup_catch_up(p);
    p->busy = false;
    if (p->stopped)
        release(p);
    else if (p->state == PICKUP_LIVE && p->transport)
        touch_park(p);
}

void pickup_behind(struct pickup *p)
{
    p->cursor = pickup_cursor(p);
    p->state = PICKUP_BEHIND;
    pickup_queue(p);
}

void pickup_ending(struct pickup *p, enum code why)
{
    /* It takes nothing any more, so its cursor must not move with the feed either. */
    p->cursor = pickup_cursor(p);
    p->state = PICKUP_STOPPED;
    p->ending = (uint8_t)why;
    pickup_queue(p);
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
    p->page_limit = (uint16_t)start->page_limit;
    p->page_bytes = start->page_bytes < UINT32_MAX ? (uint32_t)start->page_bytes : UINT32_MAX;
    p->transport = start->transport;
    p->remote = start->remote;
    p->lease_ms = start->lease_ms < UINT32_MAX ? (uint32_t)start->lease_ms : UINT32_MAX;
    p->connection = start->connection;
    p->form = (uint8_t)start->form;
    p->recheck = true; /* the caller's look at its row may have been some time ago */
    p->mailbox.entry.stream = s->stream;
    p->mailbox.s.pickup = p;
    p->mailbox.s.chain.begin = start->cursor > s->acked ? start->cursor : s->acked;
    /* A worker without pick-ups sleeps through the feed: what was said before this one came,
     * ephemerals too, is not for it. */
    feed_pass_over(r);
    stream_table_add(&r->mailboxes, &p->mailbox.entry);
    TAILQ_INSERT_TAIL(&r->all, p, all);
    r->npickups++;
    pickup_queue(p);
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
    pickup_queue(p);
}

void pickup_stop(struct pickup *p)
{
    p->stopped = true;
    if (!p->busy)
        release(p);
}

bool pickup_is_live(const struct pickup *p)
{
    return p->state == PICKUP_LIVE;
}

uint64_t pickup_generation(const struct pickup *p)
{
    return p->connection ? p->generation : 0;
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
