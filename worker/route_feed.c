/* route_feed - walking the feed, and who is subscribed to which stream (rules 4 and 5).
 *
 * Each record is decoded once and its object made at most once a target and encoding, when
 * the first live pick-up wants it. Nothing is answered during the walk: pick-ups only take, and
 * report when their turn comes after it.
 */
#include "worker/route_priv.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define RECORDS_A_TURN 4096 /* feed records walked before the network is served */
#define BUCKETS_FIRST 64

static struct subscription **bucket_of(const struct subscriptions *t, uint64_t stream)
{
    /* Stream ids are dense: one multiplication spreads them (Knuth's multiplicative hashing). */
    uint64_t h = stream * UINT64_C(0x9e3779b97f4a7c15);
    return &t->bucket[(h >> 32) & (t->nbuckets - 1)];
}

static void grow(struct subscriptions *t)
{
    struct subscriptions bigger = {.nbuckets = t->nbuckets * 2, .count = t->count};
    bigger.bucket = calloc(bigger.nbuckets, sizeof(*bigger.bucket));
    if (!bigger.bucket)
        return; /* longer chains, that is all */
    for (size_t i = 0; i < t->nbuckets; i++) {
        while (t->bucket[i]) {
            struct subscription *s = t->bucket[i];
            t->bucket[i] = s->next;
            struct subscription **to = bucket_of(&bigger, s->stream);
            s->next = *to;
            *to = s;
        }
    }
    free(t->bucket);
    *t = bigger;
}

int subscriptions_open(struct route *r)
{
    struct subscriptions *t = &r->subscriptions;
    t->bucket = calloc(BUCKETS_FIRST, sizeof(*t->bucket));
    if (!t->bucket)
        return -ENOMEM;
    t->nbuckets = BUCKETS_FIRST;
    return 0;
}

void subscriptions_close(struct route *r)
{
    free(r->subscriptions.bucket);
    r->subscriptions = (struct subscriptions){0};
}

void subscribe(struct route *r, struct subscription *s)
{
    struct subscriptions *t = &r->subscriptions;
    if (t->count >= t->nbuckets)
        grow(t);
    struct subscription **bucket = bucket_of(t, s->stream);
    s->next = *bucket;
    *bucket = s;
    t->count++;
}

void unsubscribe(struct route *r, struct subscription *s)
{
    struct subscriptions *t = &r->subscriptions;
    struct subscription **at = bucket_of(t, s->stream);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    t->count--;
}

/* There is a hole in the feed: up to `seq` the store must be read. */
static void lap(struct route *r, uint64_t seq)
{
    metric_add(route_metrics(r), METRIC_FEED_LAPPED, 1);
    struct pickup *p;
    TAILQ_FOREACH(p, &r->all, all)
    pickup_lapped(p);
    if (seq > r->passed)
        r->passed = seq;
    if (seq > r->walked)
        r->walked = seq;
}

static bool deliver(struct route *r)
{
    struct feed_message f;
    const unsigned char *targets;
    uint32_t n;
    if (feed_message_decode(buf_str(&r->record), &f.m, &targets, &n) != 0)
        return false;
    uint16_t flags = f.m.flags;
    for (uint32_t i = 0; i < n; i++) {
        struct feed_target t;
        memcpy(&t, targets + i * sizeof(t), sizeof(t));
        f.m.seq = t.seq;
        f.m.prev = t.prev;
        f.m.flags = (uint16_t)(flags | (t.flags & MESSAGE_SKIPPED));
        memset(f.object, 0, sizeof(f.object));
        for (struct subscription *s = *bucket_of(&r->subscriptions, t.stream); s; s = s->next)
            if (s->stream == t.stream)
                pickup_feed(s, &f);
    }
    return true;
}

static bool control(struct route *r)
{
    struct unpack u = unpack_from(r->record.data, r->record.len);
    struct feed_session_end end;
    if (unpack_u8(&u) != FEED_SESSION_END || feed_session_end_decode(&u, &end) != 0)
        return false;
    for (struct subscription *s = *bucket_of(&r->subscriptions, end.stream); s; s = s->next)
        if (s->stream == end.stream)
            pickup_ending(s->pickup, CODE_SESSION_UNKNOWN);
    return true;
}

static void walk_record(struct route *r, const struct feed_record *record)
{
    bool good = true;
    switch ((enum feed_type)record->type) {
    case FEED_MESSAGE:
        good = deliver(r);
        break;
    case FEED_CONTROL:
        good = control(r);
        break;
    case FEED_LAP:
        lap(r, record->seq);
        break;
    case FEED_COMMIT:
    case FEED_PAD:
        break;
    }
    if (!good) {
        /* Whatever it was to say, the store says it too. */
        log_event(LOG_ERROR, "feed_record_bad", LOG_U("type", record->type),
                  LOG_U("seq", record->seq));
        lap(r, r->passed);
    }
    if (record->seq > r->walked)
        r->walked = record->seq;
    if (record->type == FEED_COMMIT)
        r->passed = r->walked;
}

/* Nobody here listens: what is on the feed is passed without looking at it, as a new worker does
 * (rule 4). Whoever comes later reads from the store first. */
bool feed_pass_over(struct route *r)
{
    struct feed_reader head;
    if (r->subscriptions.count || feed_start(r->parts.feed, &head) != 0)
        return false;
    r->reader = head;
    if (head.seq > r->passed)
        r->passed = head.seq;
    if (head.seq > r->walked)
        r->walked = head.seq;
    return true;
}

bool feed_proceed(struct route *r)
{
    if (feed_pass_over(r))
        return false;
    for (int i = 0; i < RECORDS_A_TURN; i++) {
        struct feed_record record;
        int got = feed_next(r->parts.feed, &r->reader, &record, &r->record);
        if (got == 1) {
            walk_record(r, &record);
        } else if (got == -EOVERFLOW) {
            lap(r, r->reader.seq);
        } else {
            if (got < 0) /* no memory for one record: it is there for the next turn too */
                log_event(LOG_ERROR, "feed_read_failed", LOG_E(got));
            return false;
        }
    }
    return true;
}
