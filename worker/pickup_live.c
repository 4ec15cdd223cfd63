/* pickup_live - what a live pick-up takes from the feed, messages and control records in order.
 *
 * The feed is believed only as far as the chain of each stream is unbroken for this very pick-up;
 * anything odd sends it back to the store (rule 7). What is not for it (except, expired) it passes
 * over and remembers, so that the next one says skipped without a look at the store.
 *
 * Control records (rule 5) change the list of a live pick-up only; every read lists anew. That read
 * may have been of a transaction that the feed has not come to. A record before the pick-up's
 * cursor is old news then. One behind it may be too, where the list is of a batch that is still to
 * be published; it does no harm: the subscription it adds or takes away has handed out nothing yet,
 * and the records that follow bring the list to where it was.
 */
#include "worker/route_priv.h"

/* Where it stands in the order of seqs. An ephemeral comes behind all that was walked so far. */
static uint64_t place_of_message(const struct subscription *s, const struct message *m)
{
    return m->flags & MESSAGE_EPHEMERAL ? s->pickup->route->walked + 1 : m->seq;
}

/* Whether it is not for this one, or no longer: expired is expired at once. */
static bool passes_over(const struct pickup *p, const struct message *m)
{
    if (m->expires_ms && m->expires_ms <= route_now_ms(p->route))
        return true;
    return m->except.n && message_excepts(m, p->session);
}

static void count_missed(struct pickup *p, const struct message *m)
{
    if (m->flags & MESSAGE_EPHEMERAL)
        metric_add(route_metrics(p->route), METRIC_EPHEMERAL_MISSED, 1);
    else if (p->state == PICKUP_STOPPED && m->seq > p->cursor)
        p->missed = true;
}

/* -> enum pickup_take, or < 0: it could not be made. */
static int hand_out(struct subscription *s, struct feed_message *f, bool skipped)
{
    struct pickup *p = s->pickup;
    const struct message *m = &f->m;
    struct message says;
    if (skipped && !(m->flags & MESSAGE_SKIPPED)) {
        says = *m;
        says.flags |= MESSAGE_SKIPPED;
        m = &says;
    }
    struct str *object = &f->object[p->form][skipped];
    if (!object->p) {
        int err = pickup_object(p, m, f->stream, object);
        if (err)
            return err;
    }
    return p->ops->on_message(p->arg, s->topic ? s->topic->entry.stream : p->mailbox.entry.stream,
                              m, *object);
}

static void take(struct subscription *s, struct feed_message *f)
{
    struct pickup *p = s->pickup;
    const struct message *m = &f->m;
    bool ephemeral = m->flags & MESSAGE_EPHEMERAL;
    bool skipped = (m->flags & MESSAGE_SKIPPED) || (!ephemeral && s->chain.over);
    int taken = hand_out(s, f, skipped);
    if (taken < 0) {
        pickup_behind(p);
        return;
    }
    if (taken != PICKUP_TAKEN) {
        p->cursor = pickup_cursor(p);
        p->state = PICKUP_STOPPED;
    }
    if (taken == PICKUP_REFUSED) {
        count_missed(p, m);
    } else {
        metric_add(route_metrics(p->route), METRIC_DELIVERED_FEED, 1);
        if (!ephemeral) {
            p->cursor = m->seq;
            s->chain.last = m->seq;
            s->chain.over = false;
        }
    }
    p->handed = true;
    pickup_queue(p);
}

void pickup_feed(struct subscription *s, struct feed_message *f)
{
    struct pickup *p = s->pickup;
    const struct message *m = &f->m;
    bool ephemeral = m->flags & MESSAGE_EPHEMERAL;
    if (p->stopped || p->ending)
        return;
    if (p->state != PICKUP_LIVE) {
        if (!passes_over(p, m))
            count_missed(p, m);
        return;
    }
    uint64_t at = place_of_message(s, m);
    if (at <= s->chain.begin)
        return;
    if (at <= p->cursor) {
        /* It was read already; but what the store does not hold is missed by who read past it. */
        if (ephemeral && !passes_over(p, m))
            count_missed(p, m);
        return;
    }
    if (!ephemeral && !chain_holds(&s->chain, m)) {
        pickup_behind(p);
        return;
    }
    if (!passes_over(p, m)) {
        take(s, f);
    } else if (!ephemeral) {
        s->chain.last = m->seq;
        s->chain.over = true;
    }
}

/* Whether this record is for its list at all. A page that is ahead of the feed was of a transaction
 * that had all records before its cursor. */
static bool is_news(const struct pickup *p)
{
    return p->state == PICKUP_LIVE && !p->stopped && p->cursor <= p->route->walked;
}

/* Where in its list the subscription to this topic stands, or would stand. */
static struct topic_subscription **place_of(struct pickup *p, uint64_t stream)
{
    struct topic_subscription **at = &p->topics;
    while (*at && topic_stream(*at) < stream)
        at = &(*at)->next;
    return at;
}

static bool stands(struct topic_subscription *const *at, uint64_t stream)
{
    return *at && topic_stream(*at) == stream;
}

void pickup_subscribed(struct pickup *p, const struct feed_subscribe *c)
{
    struct topic_subscription **at = place_of(p, c->topic);
    if (!is_news(p) || stands(at, c->topic))
        return;
    struct topic_subscription *s = topic_subscribe(p, c->topic, c->name, c->join);
    if (!s) {
        pickup_behind(p);
        return;
    }
    s->next = *at;
    *at = s;
}

void pickup_unsubscribed(struct pickup *p, const struct feed_subscribe *c)
{
    struct topic_subscription **at = place_of(p, c->topic);
    if (!is_news(p) || !stands(at, c->topic))
        return;
    struct topic_subscription *s = *at;
    *at = s->next;
    topic_unsubscribe(s);
}

/* The connection of c has taken the session. Who is still to take it does so later, and knows a
 * higher generation then. */
void pickup_fenced(struct pickup *p, const struct feed_fence *c)
{
    if (p->stopped || p->ending || !p->transport)
        return;
    if (p->connection == c->connection) {
        p->generation = c->generation;
        return;
    }
    if (p->generation >= c->generation || (p->connection && !p->generation))
        return;
    metric_add(route_metrics(p->route), METRIC_SUPERSEDED, 1);
    pickup_ending(p, CODE_SUPERSEDED);
}

void pickup_lapped(struct pickup *p)
{
    p->recheck = true;
    if (p->state == PICKUP_LIVE)
        pickup_behind(p);
}
