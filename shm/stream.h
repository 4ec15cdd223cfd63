/* stream - mailboxes and topics: an ordered log with a head record, bounded by count, bytes, age.
 *
 * The head (the last row of the stream) stays when the log is emptied, so `last` and with it the
 * prev chain never restart. `floor` is the highest seq that is logically gone as a whole (acked,
 * trimmed or emptied): entries at or below it may still lie there until reclaimed, and no reader
 * shows them. `trimmed` is the highest seq that retention (count, bytes, age) took, never ack, ttl
 * or collapse.
 *
 * count, bytes and with_ttl speak of the entries above the floor and are exact at every commit, so
 * `count` is what a session has pending. An ack that moves the floor over any number of entries
 * must therefore know how many they were without walking them all: the log is tallied in runs of
 * STREAM_RUN appends, and whole runs are subtracted by one row each (stream_tally.c), so that an
 * ack in a mailbox of ten million costs some 2,400 small rows and one run, at most. What lies below
 * the floor is then deleted within the budget, now or later; how that ack judged (the time at which
 * it came) waits in DB_RECLAIM meanwhile, so that a message whose ttl had passed before its ack is
 * still told to have expired. Trimming never leaves anything behind: it moves the floor only as far
 * as it deletes.
 *
 * Writer process only, inside its transaction, unless marked (R). Results: 0, a positive enum code
 * (refused: nothing changed but that expired messages went), or a negative error of store.h (abort
 * the transaction). now_ms is store time. `budget` counts the deletes still allowed in this
 * transaction (rule 6); what is left over is put on the expiry queue as EXPIRE_RECLAIM and goes on
 * in later transactions.
 */
#ifndef SHM_STREAM_H
#define SHM_STREAM_H

#include "common/code.h"
#include "shm/message.h"
#include "shm/store.h"

enum stream_kind { STREAM_MAILBOX = 1, STREAM_TOPIC = 2 };

#ifndef STREAM_RUN
#define STREAM_RUN 4096 /* appends to a tallied run; tests make it small */
#endif

struct stream_head {
    uint64_t last;            /* newest seq ever appended; 0 none */
    uint64_t trimmed;         /* see above */
    uint64_t floor;           /* see above; >= trimmed */
    uint64_t count;           /* messages above floor (expired ones too, until they are swept) */
    uint64_t bytes;           /* their payload bytes */
    uint64_t last_time_ms;    /* of the message `last` */
    uint64_t last_expires_ms; /* of the message `last`; 0 none */
    uint64_t next_expires_ms; /* nothing after `sealed` expires before it; 0 nothing does */
    uint64_t sealed;          /* newest seq of the newest tallied run; 0 none */
    uint64_t receipt_lost;    /* highest seq whose receipt header is no longer there */
    uint64_t receipt_scan;    /* where stream_expire_receipts goes on; 0 from the first */
    uint64_t receipt_oldest;  /* least removal time of the rows it has kept so far; 0 none */
    uint64_t receipts_due_ms; /* of the EXPIRE_RECEIPTS row; 0 there is none */
    uint64_t age_due_ms;      /* of the EXPIRE_AGE row; 0 there is none */
    uint32_t receipts;        /* rows in DB_RECEIPT */
    uint32_t with_ttl;        /* messages above floor that carry a ttl */
    uint32_t run;             /* appends since `sealed` */
    uint8_t kind;             /* enum stream_kind */
    uint8_t last_gone;        /* `last` was removed by ttl or collapse */
    uint8_t reclaim_queued;   /* an EXPIRE_RECLAIM row exists */
    uint8_t pad;              /* 0 */
};

/* What went, by why; added to as it goes. What an ack takes is its ret_removed. */
struct stream_gone {
    uint64_t trimmed, expired, replaced;
};

struct stream_limits {
    uint64_t messages, bytes; /* 0: no bound */
    uint64_t age_ms;          /* 0: no bound */
    bool refuse;              /* full: MAILBOX_FULL instead of trimming */
    bool receipts;            /* mailboxes: what goes unacked leaves a receipt */
    uint64_t receipts_ms;
    struct stream_gone *gone; /* may be NULL */
};

/* A new stream id and an empty head. */
int stream_create(struct txn *t, enum stream_kind kind, uint64_t *ret_id);
int stream_head(struct txn *t, uint64_t stream, struct stream_head *ret); /* (R) 0, -ENOENT, ... */
int stream_head_put(struct txn *t, uint64_t stream, const struct stream_head *h);

/* Appends m with seq m->seq (the store's next). Sets m->prev and MESSAGE_SKIPPED in m->flags.
 * Replaces an older message of the same collapse key and queues the ttl. Trims: exactly to
 * l->messages when that is below 256, else once it is passed by 1/8; to l->bytes likewise (by 1/8
 * when the log holds 256 messages or more). Trimming takes from the budget, but two messages an
 * append in any case, so that a stream cannot outgrow its bounds under load; the newest always
 * stays. MAILBOX_FULL when l->refuse and full (expired ones do not count). */
int stream_append(struct txn *t, uint64_t stream, struct message *m, const struct stream_limits *l,
                  uint64_t now_ms, unsigned *budget);
/* Everything at or below seq has been taken by the client, but for what was past its ttl or age
 * before now: that leaves its receipt. A seq at or below the floor is a no-op, one past `last` is
 * `last`. *ret_removed: messages that went. -ENOENT no such stream. */
int stream_ack(struct txn *t, uint64_t stream, uint64_t seq, uint64_t now_ms,
               const struct stream_limits *l, unsigned *budget, uint64_t *ret_removed);
/* Empties it (topic DELETE): as ack, but up to `last`. */
int stream_empty(struct txn *t, uint64_t stream, unsigned *budget);
/* The whole stream goes, its head and receipts too; unfinished work is queued. -ENOENT. */
int stream_drop(struct txn *t, uint64_t stream, unsigned *budget);

/* The expiry queue's work on streams (expiry.h kinds), after the row was taken. A stream or message
 * that is no longer there is 0. Each queues itself again where more is to do. */
int stream_expire_message(struct txn *t, uint64_t stream, uint64_t seq, uint64_t now_ms,
                          const struct stream_limits *l, bool *ret_removed);
/* Retention: trims what is too old (and too much), exactly, within the budget. */
int stream_expire_age(struct txn *t, uint64_t stream, uint64_t now_ms,
                      const struct stream_limits *l, unsigned *budget);
int stream_reclaim(struct txn *t, uint64_t stream, unsigned *budget);
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
/* seq must be one that was appended to this mailbox; of another, at or below the ack, nothing can
 * tell that it was not. 0 or a store error. */
int stream_receipt(struct txn *t, const struct session *s, uint64_t seq, uint64_t now_ms,
                   uint64_t age_ms, struct receipt *ret);

#endif
