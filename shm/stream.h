/* stream - mailboxes and topics: an ordered log with a head record, bounded by count, bytes, age.
 *
 * The head (seq 0 of the stream) stays when the log is emptied, so `last` and with it the prev
 * chain never restart. `floor` is the highest seq that is logically gone as a whole (acked, trimmed
 * or emptied): entries at or below it may still lie there until reclaimed, and no reader shows
 * them. `trimmed` is the highest seq that retention (count, bytes, age) took, never ack, ttl or
 * collapse.
 *
 * Writer process only, inside its transaction, unless marked (R). Results: 0, a positive enum code
 * (refused, nothing changed), or a negative error of store.h (abort the transaction). now_ms is
 * store time. `budget` counts the deletes still allowed in this transaction (rule 6); what is left
 * over is put on the expiry queue as EXPIRE_RECLAIM and goes on in later transactions.
 */
#ifndef SHM_STREAM_H
#define SHM_STREAM_H

#include "common/code.h"
#include "shm/message.h"
#include "shm/store.h"

enum stream_kind { STREAM_MAILBOX = 1, STREAM_TOPIC = 2 };

struct stream_head {
    uint64_t last;            /* newest seq ever appended; 0 none */
    uint64_t trimmed;         /* see above */
    uint64_t floor;           /* see above; >= trimmed */
    uint64_t count;           /* messages above floor (expired ones too, until they are swept) */
    uint64_t bytes;           /* their payload bytes */
    uint64_t receipt_lost;    /* highest seq whose receipt header has aged out */
    uint64_t last_expires_ms; /* of the message `last`; 0 none */
    uint32_t receipts;        /* rows in DB_RECEIPT */
    uint32_t with_ttl;        /* messages above floor that carry a ttl */
    uint8_t kind;             /* enum stream_kind */
    uint8_t last_gone;        /* `last` was removed by ttl or collapse */
    uint8_t receipts_queued;  /* an EXPIRE_RECEIPTS row exists */
    uint8_t reclaim_queued;   /* an EXPIRE_RECLAIM row exists */
};

struct stream_limits {
    uint64_t messages, bytes; /* 0: no bound */
    uint64_t age_ms;          /* 0: no bound */
    bool refuse;              /* full: MAILBOX_FULL instead of trimming */
    bool receipts;            /* mailboxes: what goes unacked leaves a receipt */
    uint64_t receipts_ms;
};

/* A new stream id and an empty head. */
int stream_create(struct txn *t, enum stream_kind kind, uint64_t *ret_id);
int stream_head(struct txn *t, uint64_t stream, struct stream_head *ret); /* (R) 0, -ENOENT, ... */
int stream_head_put(struct txn *t, uint64_t stream, const struct stream_head *h);

/* Appends m with seq m->seq (the store's next). Sets m->prev and MESSAGE_SKIPPED in m->flags.
 * Replaces an older message of the same collapse key, trims lazily (cap + cap/8 when cap >= 256,
 * else exactly), queues the ttl. MAILBOX_FULL when l->refuse and full (expired ones do not count).
 */
int stream_append(struct txn *t, uint64_t stream, struct message *m, const struct stream_limits *l,
                  uint64_t now_ms, unsigned *budget);
/* Everything at or below seq has been taken by the client. *ret_removed: messages that went. */
int stream_ack(struct txn *t, uint64_t stream, uint64_t seq, unsigned *budget,
               uint64_t *ret_removed);
/* Empties it (topic DELETE): as ack, but up to `last`. */
int stream_empty(struct txn *t, uint64_t stream, unsigned *budget);
/* The whole stream goes, its head and receipts too; unfinished work is queued. */
int stream_drop(struct txn *t, uint64_t stream, unsigned *budget);

/* The expiry queue's work on streams (expiry.h kinds). */
int stream_expire_message(struct txn *t, uint64_t stream, uint64_t seq, uint64_t now_ms,
                          const struct stream_limits *l, bool *ret_removed);
int stream_reclaim(struct txn *t, uint64_t stream,
                   unsigned *budget); /* requeues itself if needed */
int stream_expire_receipts(struct txn *t, uint64_t stream, uint64_t now_ms,
                           const struct stream_limits *l, unsigned *budget);

/* Whether m is still to be shown: above the floor, not past its ttl, not past age_ms. (R) */
bool stream_visible(const struct stream_head *h, const struct message *m, uint64_t now_ms,
                    uint64_t age_ms);

/* Receipts (mailboxes). (R) */
enum receipt_state {
    RECEIPT_STORED,
    RECEIPT_DELIVERED,
    RECEIPT_ACKED,
    RECEIPT_EXPIRED,
    RECEIPT_TRIMMED,
    RECEIPT_REPLACED,
    RECEIPT_UNKNOWN,
};
const char *receipt_state_text(enum receipt_state s); /* "stored", ... */
struct receipt {
    enum receipt_state state;
    uint64_t time_ms;                /* when it was published; 0 unknown */
    uint64_t delivered_ms, acked_ms; /* 0 unknown: never a guess */
};
struct session;
int stream_receipt(struct txn *t, const struct session *s, uint64_t seq, uint64_t now_ms,
                   uint64_t age_ms, struct receipt *ret);

#endif
