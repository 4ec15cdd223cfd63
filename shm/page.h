/* page - pick up what a session has after a cursor, from the store (rules 4 and 7).
 *
 * Worker process (and `restante verify`). One call is one read transaction; nothing is held after
 * it. Messages of several streams come merged in seq order.
 */
#ifndef SHM_PAGE_H
#define SHM_PAGE_H

#include "shm/message.h"
#include "shm/store.h"

#define PAGE_SOURCES 128

struct page_source {
    uint64_t stream;
    uint64_t join;   /* join cursor; for a mailbox the session's ack: nothing at or below it */
    uint64_t age_ms; /* retention by age that readers apply; 0 none */
};

struct page_lost {             /* retention took (from..to] of a stream unseen */
    uint64_t stream, from, to; /* from: the first seq that may be missing */
};

struct page {
    /* in */
    uint64_t cursor; /* everything at or below it is had */
    uint64_t high;   /* 0: fix it now as last_seq; else take only seq <= high (a later part) */
    const struct page_source *sources;
    size_t nsources;
    size_t limit;     /* messages */
    size_t max_bytes; /* payload bytes; at least one message always fits */
    uint64_t now_ms;
    /* The message is valid during the call only. MESSAGE_SKIPPED is set in m->flags as rule 7
     * wants. Returns true to go on, false to stop after this one. */
    bool (*on_message)(void *arg, uint64_t stream, const struct message *m);
    void *arg;
    /* out */
    uint64_t ret_cursor; /* the last message handed out, or high when all was read */
    bool ret_more;       /* more lies between ret_cursor and high */
    size_t ret_count;
    struct page_lost lost[PAGE_SOURCES];
    size_t nlost;
};

/* 0 or a store error; on an error the out members are untouched and no message counts. */
int page_read(struct txn *t, struct page *p);

#endif
