/* route_feed - walking the feed (rules 4 and 5).
 *
 * Each record is decoded once and its object made at most once a target and form (twice where some
 * are told that it follows on something skipped), when the first live pick-up wants it. Nothing is
 * answered during the walk: pick-ups only take, and report when their turn comes after it; none
 * comes or goes meanwhile.
 */
#include "worker/route_priv.h"

#include "common/log.h"

#include <errno.h>

#define RECORDS_A_TURN 4096 /* feed records walked before the network is served */
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

/* To everybody here who is subscribed to that stream. */
static void to_target(struct route *r, struct feed_message *f, const struct feed_target *t)
{
    if (t->flags & FEED_TARGET_TOPIC) {
        struct route_topic *topic = topic_known(r, t->stream);
        struct topic_subscription *s;
        if (!topic)
            return;
        f->stream = stream_text(topic);
        LIST_FOREACH(s, &topic->readers, reader)
        pickup_feed(&s->s, f);
        return;
    }
    f->stream = stream_text(NULL);
    struct stream_entry *e = stream_table_first(&r->mailboxes, t->stream);
    for (; e; e = stream_table_next(e))
        pickup_feed(&((struct mailbox_subscription *)e)->s, f);
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
        to_target(r, &f, &t);
    }
    return true;
}

struct control { /* one control record */
    uint64_t mailbox;
    enum feed_control type;
    struct feed_session_end end;
    struct feed_subscribe subscribe;
    struct feed_fence fence;
};

static int decode_control(struct unpack *u, struct control *ret)
{
    int err = -EBADMSG;
    ret->type = unpack_u8(u);
    switch (ret->type) {
    case FEED_SESSION_END:
        err = feed_session_end_decode(u, &ret->end);
        ret->mailbox = ret->end.stream;
        break;
    case FEED_SUBSCRIBE:
        err = feed_subscribe_decode(u, &ret->subscribe);
        ret->mailbox = ret->subscribe.mailbox;
        break;
    case FEED_UNSUBSCRIBE:
        err = feed_unsubscribe_decode(u, &ret->subscribe);
        ret->mailbox = ret->subscribe.mailbox;
        break;
    case FEED_FENCE:
        err = feed_fence_decode(u, &ret->fence);
        ret->mailbox = ret->fence.mailbox;
        break;
    }
    return err;
}

static void control_one(struct pickup *p, const struct control *c)
{
    switch (c->type) {
    case FEED_SESSION_END:
        pickup_ending(p, CODE_SESSION_UNKNOWN);
        break;
    case FEED_SUBSCRIBE:
        pickup_subscribed(p, &c->subscribe);
        break;
    case FEED_UNSUBSCRIBE:
        pickup_unsubscribed(p, &c->subscribe);
        break;
    case FEED_FENCE:
        pickup_fenced(p, &c->fence);
        break;
    }
}

/* It is about a session: each of its pick-ups here hears it. */
static bool control(struct route *r)
{
    struct unpack u = unpack_from(r->record.data, r->record.len);
    struct control c = {.mailbox = 0};
    if (decode_control(&u, &c) != 0)
        return false;
    struct stream_entry *e = stream_table_first(&r->mailboxes, c.mailbox);
    for (; e; e = stream_table_next(e))
        control_one(((struct mailbox_subscription *)e)->s.pickup, &c);
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
    if (r->mailboxes.count || feed_start(r->parts.feed, &head) != 0)
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
