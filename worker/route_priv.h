/* route_priv - the insides of the router, shared by its files.
 *
 *   route.c        open, close, the turn, reading
 *   route_call.c   commands and completions (rule 3)
 *   route_feed.c   walking the feed; who is subscribed to which stream (rules 4 and 5)
 *   pickup.c       one cursor: store, feed, store again
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

/* --- route_feed.c --- */

struct subscription { /* one stream of one pick-up */
    struct subscription *next;
    uint64_t stream;
    struct pickup *pickup;
    uint64_t begin; /* nothing at or below it is shown: start cursor, join cursor or ack */
    uint64_t seen;  /* seq of the last message handed out; 0 none yet */
};

struct subscriptions {
    struct subscription **bucket;
    size_t nbuckets, count;
};

/* One feed message on its way to many: its object is made once an encoding, when the first one
 * wants it. */
struct feed_message {
    struct message m;
    struct str object[FORMS]; /* p NULL: not made yet */
};

int subscriptions_open(struct route *r); /* 0, -ENOMEM */
void subscriptions_close(struct route *r);
void subscribe(struct route *r, struct subscription *s);
void unsubscribe(struct route *r, struct subscription *s);
bool feed_pass_over(struct route *r); /* if nobody listens: true */
bool feed_proceed(struct route *r);   /* true: more records wait */

/* --- pickup.c --- */

enum pickup_state {
    PICKUP_BEHIND,  /* reads from the store when its turn comes */
    PICKUP_LIVE,    /* has all up to the feed position; takes from the feed */
    PICKUP_STOPPED, /* no room; waits for pickup_resume */
};

struct touch;

struct pickup {
    struct route *route;
    const struct pickup_ops *ops;
    void *arg;
    TAILQ_ENTRY(pickup) all;
    TAILQ_ENTRY(pickup) turn;  /* in route->turns while queued */
    LIST_ENTRY(pickup) parked; /* in touch->parked while touch is set */
    struct touch *touch;
    struct subscription mailbox;
    uint8_t session[SESSION_ID_SIZE];
    uint64_t acked;
    uint64_t ttl_ms, slid_ms; /* slid: boot clock, when its row says that it was used */
    uint64_t cursor;
    size_t page_limit, page_bytes;
    const char *transport, *remote;
    uint64_t lease_ms;
    uint64_t connection, leased_ms; /* an attachment of its own, and when it was made; 0 none */
    uint8_t encoding;               /* enum encoding */
    uint8_t state;                  /* enum pickup_state */
    uint8_t ending;                 /* enum code: on_end is due */
    uint8_t busy;                   /* inside a callback or a pass: freed by whoever is there */
    bool stopped;                   /* pickup_stop was called */
    bool queued;                    /* on route->turns */
    bool handed;                    /* something was handed out since the last on_pause */
    bool refused;                   /* the page's last message was not taken */
    bool missed;                    /* something lies behind where it stopped */
    bool recheck;   /* control records may have been missed: is the session still there? */
    bool went_live; /* on_pause was called for it */
};

TAILQ_HEAD(pickup_list, pickup);

/* A message of the feed for this subscription. */
void pickup_feed(struct subscription *s, struct feed_message *f);
void pickup_lapped(struct pickup *p); /* the feed has a hole: back to the store */
void pickup_ending(struct pickup *p, enum code why);
bool pickups_proceed(struct route *r); /* true: more turns wait */

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

    struct subscriptions subscriptions;
    struct feed_reader reader;
    uint64_t passed; /* every record of the feed with a seq up to it was offered to the live ones */
    uint64_t walked; /* the highest seq seen on the feed: >= passed inside a batch */
    struct buf record;        /* the body of the feed record in hand */
    struct buf object[FORMS]; /* of the message in hand */

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
