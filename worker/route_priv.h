/* route_priv - the insides of the router, shared by its files.
 *
 *   route.c        open, close, the turn, reading
 *   route_call.c   commands and completions (rule 3)
 *   route_feed.c   walking the feed (rules 4 and 5)
 *   route_topic.c  the topics that somebody here is subscribed to
 *   pickup.c       one cursor: its life and its turns
 *   pickup_read.c  what it gets from the store
 *   pickup_live.c  what it gets from the feed
 *   route_touch.c  liveness of sessions, coalesced (rule 8)
 */
#ifndef WORKER_ROUTE_PRIV_H
#define WORKER_ROUTE_PRIV_H

#include "shm/bell.h"
#include "shm/board.h"
#include "shm/feed.h"
#include "shm/message.h"
#include "shm/ring.h"
#include "worker/route.h"
#include "worker/stream_table.h"

#include <sys/queue.h>

/* --- route_call.c --- */

struct route_call {
    struct route_call *next; /* spare list */
    uint64_t id;
    uint64_t deadline_ms;
    uint64_t reserved;  /* bytes of the reply ring */
    route_done_f *done; /* NULL: nobody waits any more, the completion is still to come */
    void *arg;
};

struct calls {
    struct route_call **open; /* by id & (cap - 1) */
    size_t cap;
    uint64_t first, next; /* ids: none below first is open; next is the next one given */
    uint64_t timed;       /* ids below were judged by the clock already */
    struct route_call *spare;
    uint64_t reserved, reserve_max;
    uint64_t inbox_head, reply_pos;
    bool ring_due; /* commands were published since the writer's bell was rung */
};

int calls_open(struct route *r);
void calls_close(struct route *r);
bool calls_proceed(struct route *r); /* true: more completions wait */
void calls_tick(struct route *r);

/* --- streams: who is subscribed to what (rules 4 and 7) --- */

/* What a pick-up has had of one stream. */
struct chain {
    uint64_t begin; /* nothing at or below it is shown: start cursor, join cursor, ack, or told to
                       be lost */
    uint64_t last : 63; /* seq of the last message handed out or passed over; 0 none yet */
    uint64_t over : 1;  /* that one was passed over: the next one says skipped */
};

struct subscription { /* one stream of one pick-up */
    struct pickup *pickup;
    struct route_topic *topic; /* NULL: its mailbox */
    struct chain chain;
};

struct mailbox_subscription { /* each pick-up has one, in route->mailboxes */
    struct stream_entry entry;
    struct subscription s;
};

struct topic_subscription {
    struct subscription s;
    LIST_ENTRY(topic_subscription) reader; /* in topic->readers */
    struct topic_subscription *next;       /* in pickup->topics, unless fresh */
    uint64_t join;                         /* its join cursor: which subscription it is */
    struct chain saved;                    /* as it was before the read in hand */
    bool fresh;                            /* made by the read in hand */
    bool kept;                             /* the read in hand found it in the store too */
};

/* A topic that some pick-up of this worker is subscribed to; goes with the last of them. */
struct route_topic {
    struct stream_entry entry; /* in route->topics */
    uint64_t age_ms;           /* retention by age; 0 none */
    LIST_HEAD(, topic_subscription) readers;
    uint16_t n;
    char text[]; /* "topic:<name>", n bytes */
};

static inline uint64_t topic_stream(const struct topic_subscription *s)
{
    return s->s.topic->entry.stream;
}

/* "mailbox" or "topic:<name>" */
static inline struct str stream_text(const struct route_topic *topic)
{
    return topic ? str_make(topic->text, topic->n) : STR("mailbox");
}

/* Whether m comes right behind what the pick-up has had of its stream. */
static inline bool chain_holds(const struct chain *c, const struct message *m)
{
    if (m->flags & MESSAGE_SKIPPED)
        return true;
    return c->last ? m->prev == c->last : m->prev <= c->begin;
}

/* --- route_topic.c --- */

struct route_topic *topic_known(const struct route *r, uint64_t stream); /* or NULL */
/* A reader of that topic from here on, not on the pick-up's list yet. name: needed where the topic
 * is not known here. NULL: no memory. */
struct topic_subscription *topic_subscribe(struct pickup *p, uint64_t stream, struct str name,
                                           uint64_t join);
void topic_unsubscribe(struct topic_subscription *s); /* frees; it is on no list of a pick-up */

/* --- route_feed.c --- */

/* One feed message on its way to many: its object is made once a form, and once more for those to
 * whom it says skipped, when the first one wants it. */
struct feed_message {
    struct message m;
    struct str stream;           /* as text */
    struct str object[FORMS][2]; /* by form and MESSAGE_SKIPPED; p NULL: not made yet */
};

bool feed_pass_over(struct route *r); /* if nobody listens: true */
bool feed_proceed(struct route *r);   /* true: more records wait */

/* --- pickup.c: life and turns --- */

enum pickup_state {
    PICKUP_BEHIND,  /* reads from the store when its turn comes */
    PICKUP_LIVE,    /* has all up to the feed position; takes from the feed */
    PICKUP_STOPPED, /* no room; waits for pickup_resume */
};

struct touch;

struct pickup { /* many wait at once: 248 bytes, what malloc has in a chunk of 256 */
    struct route *route;
    const struct pickup_ops *ops;
    void *arg;
    TAILQ_ENTRY(pickup) all;
    TAILQ_ENTRY(pickup) turn;  /* in route->turns while queued */
    LIST_ENTRY(pickup) parked; /* in touch->parked while touch is set */
    struct touch *touch;
    struct mailbox_subscription mailbox;
    struct topic_subscription *topics; /* a list, by stream */
    uint8_t session[SESSION_ID_SIZE];
    uint64_t acked;
    uint64_t ttl_ms, slid_ms; /* slid: boot clock, when its row says that it was used */
    uint64_t cursor;
    const char *transport, *remote;
    uint64_t connection, leased_ms; /* an attachment of its own, and when it was made; 0 none */
    uint64_t generation; /* rule 15: its own, or for one without a connection of its own that of the
                            session when it came; 0 not known */
    uint32_t page_bytes;
    uint32_t lease_ms;
    uint16_t page_limit;
    uint8_t form;   /* enum pickup_form */
    uint8_t state;  /* enum pickup_state */
    uint8_t ending; /* enum code: on_end is due */
    bool busy;      /* inside a callback or a pass: freed by whoever is there */
    bool stopped;   /* pickup_stop was called */
    bool queued;    /* on route->turns */
    bool handed;    /* something was handed out since the last on_pause */
    bool missed;    /* something lies behind where it stopped */
    bool recheck;   /* control records may have been missed: does it still have its session? */
    bool went_live; /* on_pause was called for it */
};

TAILQ_HEAD(pickup_list, pickup);

void pickup_queue(struct pickup *p);  /* its turn will come */
void pickup_behind(struct pickup *p); /* from live back to the store */
void pickup_end(struct pickup *p, enum code why);
void pickup_ending(struct pickup *p, enum code why); /* pickup_end when its turn comes */
void pickup_tell(struct pickup *p, bool more);       /* on_pause */
/* m in the form that p wants. 0 or the buffer's error. */
int pickup_object(struct pickup *p, const struct message *m, struct str stream, struct str *ret);
bool pickups_proceed(struct route *r); /* true: more turns wait */

/* --- pickup_read.c: from the store --- */

struct pass_room; /* scratch memory of one read */

int pass_room_open(struct route *r); /* 0, -ENOMEM */
void pass_room_close(struct route *r);
void pickup_catch_up(struct pickup *p); /* one read */

/* --- pickup_live.c: from the feed, in its order --- */

void pickup_feed(struct subscription *s, struct feed_message *f);
void pickup_subscribed(struct pickup *p, const struct feed_subscribe *c);
void pickup_unsubscribed(struct pickup *p, const struct feed_subscribe *c);
void pickup_fenced(struct pickup *p, const struct feed_fence *c);
void pickup_lapped(struct pickup *p); /* the feed has a hole: back to the store */

/* --- route_touch.c --- */

struct touch { /* what this worker knows of one session's liveness; goes when it means nothing */
    struct touch *next; /* hash chain */
    uint8_t session[SESSION_ID_SIZE];
    struct wheel_timer timer;
    LIST_HEAD(, pickup) parked;
    struct route *route;
    uint64_t ttl_ms;
    uint64_t touched_ms;          /* boot clock: the ttl was slid; 0: by the session's row */
    uint64_t reported;            /* delivered seq that the writer was told */
    uint64_t reported_ms;         /* boot clock */
    uint64_t pending;             /* delivered seq still to be told; 0 none */
    uint64_t leased_ms, lease_ms; /* boot clock when the lease began; its length; 0 none */
};

struct touches {
    struct touch **bucket;
    size_t nbuckets, count;
};

int touches_open(struct route *r); /* 0, -ENOMEM */
void touches_close(struct route *r);
void touch_park(struct pickup *p);   /* it waits now: lease and ttl are kept up */
void touch_unpark(struct pickup *p); /* also when it does not wait */
uint64_t touch_slid_ms(const struct route *r, const struct session *s);

/* --- all --- */

struct route {
    struct route_parts parts;
    const struct route_store_ops *ops;
    struct wheel wheel;
    struct calls calls;
    struct touches touches;

    struct stream_table mailboxes; /* of struct mailbox_subscription */
    struct stream_table topics;    /* of struct route_topic */
    struct feed_reader reader;
    uint64_t passed; /* every record of the feed with a seq up to it was offered to the live ones */
    uint64_t walked; /* the highest seq seen on the feed: >= passed inside a batch */
    struct buf record;           /* the body of the feed record in hand */
    struct buf object[FORMS][2]; /* of the message in hand; the second one says skipped */
    struct pass_room *room;

    struct pickup_list all;   /* every pick-up */
    struct pickup_list turns; /* those that have something to do */
    size_t npickups;
    bool draining;
};

static inline struct metric_block *route_metrics(const struct route *r)
{
    return &r->parts.seat->metrics;
}

#endif
