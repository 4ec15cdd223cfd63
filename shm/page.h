/* page - pick up what a session has after a cursor, from the store (rules 4 and 7).
 *
 * Worker process (and `restante verify`). One call is one read transaction; nothing is held after
 * it. Messages of several streams come merged in seq order.
 */
#ifndef SHM_PAGE_H
#define SHM_PAGE_H

#include "shm/message.h"
#include "shm/store.h"

#define PAGE_SOURCES 1001 /* a mailbox and session.max_topics topics */

struct page_source {
    uint64_t stream;
    uint64_t join;   /* join cursor; for a mailbox the session's ack: nothing at or below it */
    uint64_t age_ms; /* retention by age that readers apply; 0 none */
};

struct page_lost {             /* retention took messages of a stream unseen */
    uint64_t stream, from, to; /* the first and the last seq that may be missing */
};

/* Entries looked at in one call, beyond the limit: a stretch of expired ones that no sweep has
 * reached yet, or of what is for others, must not hold up a worker's loop. */
#define PAGE_WALK 4096

struct page {
    /* in */
    uint64_t cursor; /* everything at or below it is had */
    uint64_t high;   /* 0: fix it now as last_seq; else take only seq <= high (a later part) */
    /* NULL, or the board's last_seq: nothing above it has been published, and in the disk grade a
     * transaction can be seen in the map a moment before it is durable. Bounds high. */
    const _Atomic uint64_t *published;
    const struct page_source *sources;
    size_t nsources;
    const uint8_t *session; /* messages that except it are passed over; NULL: whoever reads */
    size_t limit;           /* messages */
    size_t max_bytes;       /* payload bytes; at least one message always fits */
    uint64_t now_ms;
    /* The message is valid during the call only. MESSAGE_SKIPPED is set in m->flags as rule 7
     * wants. Returns true to go on, false to stop after this one. */
    bool (*on_message)(void *arg, uint64_t stream, const struct message *m);
    void *arg;
    /* out */
    uint64_t ret_high;   /* the high that was used, for later parts */
    uint64_t ret_cursor; /* the last message handed out, or passed over; high when all was read */
    bool ret_more;       /* more may lie between ret_cursor and high */
    size_t ret_count;
    /* in: the caller's room for nsources of them; out: nlost are set, before the first message */
    struct page_lost *lost;
    size_t nlost;
};

/* 0 or a store error; on an error no out member and no message counts. */
int page_read(struct txn *t, struct page *p);

#endif
