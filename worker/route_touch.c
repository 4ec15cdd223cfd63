/* route_touch - liveness of sessions, coalesced (rule 8).
 *
 * What a session's use means to the store is small and frequent: slide the ttl, note what was
 * delivered, renew the lease of a connection. Here it is gathered by session and told at most every
 * ttl/8, once a second, at half a lease. The long-polls of a session share one lease, which just
 * ends; a stream has its own, and gives it back. An entry lives only while it has something to
 * remember, so idle sessions cost nothing. A crash loses what was not told yet: it under-reports,
 * never the other way round.
 */
#include "worker/route_priv.h"

#include <errno.h>
#include <stdlib.h>

#define REPORT_MS 1000 /* at most one report of delivery a session in this time */
#define TTL_PARTS 8    /* the ttl is slid when this part of it is used */
#define BUCKETS_FIRST 64

static void on_timer(void *arg);

static struct touch **bucket_of(const struct touches *t, const uint8_t id[SESSION_ID_SIZE])
{
    uint64_t h; /* ids are random: any eight bytes will do */
    memcpy(&h, id, sizeof(h));
    return &t->bucket[h & (t->nbuckets - 1)];
}

static struct touch *find(const struct touches *all, const uint8_t id[SESSION_ID_SIZE])
{
    struct touch *t = *bucket_of(all, id);
    while (t && memcmp(t->session, id, SESSION_ID_SIZE) != 0)
        t = t->next;
    return t;
}

static void resize(struct touches *all, size_t nbuckets)
{
    struct touches other = {.nbuckets = nbuckets, .count = all->count};
    other.bucket = calloc(nbuckets, sizeof(*other.bucket));
    if (!other.bucket)
        return; /* longer chains, that is all */
    for (size_t i = 0; i < all->nbuckets; i++) {
        while (all->bucket[i]) {
            struct touch *t = all->bucket[i];
            all->bucket[i] = t->next;
            struct touch **to = bucket_of(&other, t->session);
            t->next = *to;
            *to = t;
        }
    }
    free(all->bucket);
    *all = other;
}

static struct touch *find_or_make(struct route *r, const uint8_t id[SESSION_ID_SIZE])
{
    struct touches *all = &r->touches;
    struct touch *t = find(all, id);
    if (t)
        return t;
    t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    if (all->count >= all->nbuckets)
        resize(all, all->nbuckets * 2);
    memcpy(t->session, id, SESSION_ID_SIZE);
    t->route = r;
    LIST_INIT(&t->parked);
    struct touch **bucket = bucket_of(all, id);
    t->next = *bucket;
    *bucket = t;
    all->count++;
    return t;
}

static void drop(struct touch *t)
{
    struct touches *all = &t->route->touches;
    struct touch **at = bucket_of(all, t->session);
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    all->count--;
    wheel_cancel(&t->timer);
    free(t);
    if (all->nbuckets > BUCKETS_FIRST && all->count < all->nbuckets / 8)
        resize(all, all->nbuckets / 2);
}

static ssize_t encode_touch(void *arg, struct pack *p)
{
    command_touch_encode(p, arg);
    return 0;
}

static ssize_t encode_attach(void *arg, struct pack *p)
{
    command_attach_encode(p, arg);
    return 0;
}

/* Slides the ttl, and reports what was delivered. What the ring had no room for is tried again. */
static void tell(struct touch *t, uint64_t now)
{
    struct command_touch c = {.delivered = t->pending};
    memcpy(c.session, t->session, SESSION_ID_SIZE);
    if (route_notify(t->route, COMMAND_TOUCH, COMMAND_TOUCH_SIZE, encode_touch, &c) != 0)
        return;
    t->touched_ms = now;
    if (t->pending) {
        t->reported = t->pending;
        t->reported_ms = now;
        t->pending = 0;
    }
}

/* As much of it as a command carries. */
static struct str remote_of(const struct pickup *p)
{
    return str_make(p->remote, strnlen(p->remote, COMMAND_REMOTE_MAX));
}

/* A lease for this one, or for the long-polls of the session; it slides the ttl too. */
static void lease(struct touch *t, struct pickup *p, uint64_t now)
{
    struct command_attach c = {
        .connection = p->connection ? p->connection : COMMAND_POLL_CONNECTION,
        .transport = str_of(p->transport),
        .remote = remote_of(p),
        .lease_ms = p->lease_ms,
        /* Until one has gone through: the ring keeps it, whoever dies. */
        .takes = p->connection && !p->leased_ms,
    };
    memcpy(c.session, t->session, SESSION_ID_SIZE);
    if (route_notify(t->route, COMMAND_ATTACH, command_attach_size(&c), encode_attach, &c) != 0)
        return;
    if (p->connection) {
        p->leased_ms = now;
    } else {
        t->leased_ms = now;
        t->lease_ms = p->lease_ms;
    }
    t->touched_ms = now;
}

static ssize_t encode_detach(void *arg, struct pack *p)
{
    command_ack_encode(p, arg);
    return 0;
}

/* One that is lost ends with its lease. */
static void give_back(const struct pickup *p)
{
    struct command_ack c = {.seq = p->connection};
    memcpy(c.session, p->session, SESSION_ID_SIZE);
    route_notify(p->route, COMMAND_DETACH, COMMAND_ACK_SIZE, encode_detach, &c);
}

static bool ttl_due(const struct touch *t, uint64_t now)
{
    return now >= t->touched_ms + t->ttl_ms / TTL_PARTS;
}

static bool report_due(const struct touch *t, uint64_t now)
{
    return t->pending && (!t->reported_ms || now >= t->reported_ms + REPORT_MS);
}

/* When the lease must be renewed; 0: there is none. */
static uint64_t lease_at(const struct touch *t, const struct pickup *p)
{
    uint64_t since = p->connection ? p->leased_ms : t->leased_ms;
    return since ? since + (p->connection ? p->lease_ms : t->lease_ms) / 2 : 0;
}

static bool lease_due(const struct touch *t, const struct pickup *p, uint64_t now)
{
    return now >= lease_at(t, p);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Until when an entry that waits for nothing is worth keeping: the store knows what it says. */
static uint64_t useful_until(const struct touch *t)
{
    uint64_t end = later(t->touched_ms, t->reported_ms) + REPORT_MS;
    return t->lease_ms ? later(end, t->leased_ms + t->lease_ms) : end;
}

static void schedule(struct touch *t, uint64_t now)
{
    uint64_t due = UINT64_MAX;
    if (t->pending)
        due = t->reported_ms + REPORT_MS;
    if (!LIST_EMPTY(&t->parked))
        due = earlier(due, t->touched_ms + t->ttl_ms / TTL_PARTS);
    const struct pickup *p;
    LIST_FOREACH(p, &t->parked, parked)
    due = earlier(due, lease_at(t, p));
    if (due == UINT64_MAX)
        due = useful_until(t);
    wheel_set(&t->route->wheel, &t->timer, later(due, now + WHEEL_STEP_MS), on_timer, t);
}

/* For one that came: nothing is due later than before. Many may have one session, so it is not
 * looked at all of them. */
static void schedule_by(struct touch *t, uint64_t due, uint64_t now)
{
    due = later(due, now + WHEEL_STEP_MS);
    if (!wheel_is_set(&t->timer) || due < t->timer.due_ms)
        wheel_set(&t->route->wheel, &t->timer, due, on_timer, t);
}

static void on_timer(void *arg)
{
    struct touch *t = arg;
    uint64_t now = route_boot_ms(t->route);
    struct pickup *p = LIST_FIRST(&t->parked);
    if (!p && !t->pending && now >= useful_until(t)) {
        drop(t);
        return;
    }
    bool any = p != NULL;
    LIST_FOREACH(p, &t->parked, parked)
    {
        if (lease_due(t, p, now))
            lease(t, p, now);
    }
    if (report_due(t, now) || (any && ttl_due(t, now)))
        tell(t, now);
    schedule(t, now);
}

/* When, by the boot clock, the session's row says that its ttl was slid last. */
static uint64_t slid_ms(const struct route *r, const struct session *s, uint64_t now)
{
    uint64_t store = route_now_ms(r);
    uint64_t left = s->expires_ms > store ? s->expires_ms - store : 0;
    uint64_t used = s->ttl_ms > left ? s->ttl_ms - left : 0;
    return now > used ? now - used : 0;
}

int touches_open(struct route *r)
{
    r->touches.bucket = calloc(BUCKETS_FIRST, sizeof(*r->touches.bucket));
    if (!r->touches.bucket)
        return -ENOMEM;
    r->touches.nbuckets = BUCKETS_FIRST;
    return 0;
}

void touches_close(struct route *r)
{
    struct touches *all = &r->touches;
    for (size_t i = 0; i < all->nbuckets; i++) {
        while (all->bucket[i]) {
            struct touch *t = all->bucket[i];
            all->bucket[i] = t->next;
            free(t);
        }
    }
    free(all->bucket);
    *all = (struct touches){0};
}

uint64_t route_delivered(const struct route *r, const struct session *s)
{
    const struct touch *t = find(&r->touches, s->id);
    return t ? later(s->delivered, later(t->reported, t->pending)) : s->delivered;
}

void route_touch(struct route *r, const struct session *s, uint64_t delivered)
{
    uint64_t now = route_boot_ms(r), slid = slid_ms(r, s, now);
    struct touch *t = find(&r->touches, s->id);
    uint64_t known = route_delivered(r, s);
    if (t) {
        t->touched_ms = later(t->touched_ms, slid);
        t->ttl_ms = s->ttl_ms;
    }
    bool news = delivered > known;
    if (!news && now < (t ? t->touched_ms : slid) + s->ttl_ms / TTL_PARTS)
        return;
    if (!t) {
        t = find_or_make(r, s->id);
        if (!t)
            return; /* the next use of the session tries again */
        t->touched_ms = slid;
        t->ttl_ms = s->ttl_ms;
    }
    if (news)
        t->pending = delivered;
    if (report_due(t, now) || ttl_due(t, now))
        tell(t, now);
    schedule(t, now);
}

uint64_t touch_slid_ms(const struct route *r, const struct session *s)
{
    return slid_ms(r, s, route_boot_ms(r));
}

void touch_park(struct pickup *p)
{
    if (p->touch)
        return;
    struct touch *t = find_or_make(p->route, p->session);
    if (!t)
        return; /* its wait ends, and it comes again */
    uint64_t now = route_boot_ms(p->route);
    t->touched_ms = later(t->touched_ms, p->slid_ms);
    t->ttl_ms = p->ttl_ms;
    p->touch = t;
    LIST_INSERT_HEAD(&t->parked, p, parked);
    if (lease_due(t, p, now))
        lease(t, p, now);
    schedule_by(t, earlier(t->touched_ms + t->ttl_ms / TTL_PARTS, lease_at(t, p)), now);
}

void touch_unpark(struct pickup *p)
{
    struct touch *t = p->touch;
    if (!t)
        return;
    p->touch = NULL;
    LIST_REMOVE(p, parked);
    if (p->connection && p->leased_ms)
        give_back(p);
    if (LIST_EMPTY(&t->parked)) /* else the timer finds nothing due for this one */
        schedule(t, route_boot_ms(p->route));
}
