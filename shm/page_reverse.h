/* page_reverse - what a topic holds before a cursor, newest first: its history, read backwards.
 *
 * Worker process. One call is one read transaction; nothing is held after it. A message is told
 * nothing of what lies between it and its neighbours: who reads backwards follows prev.
 */
#ifndef SHM_PAGE_REVERSE_H
#define SHM_PAGE_REVERSE_H

#include "shm/message.h"
#include "shm/store.h"

struct page_reverse {
    /* in */
    uint64_t stream;
    uint64_t before; /* only what lies below it; 0: from the newest down */
    /* As in page.h: nothing above it has been published. NULL: no bound. */
    const _Atomic uint64_t *published;
    uint64_t age_ms; /* retention by age that readers apply; 0 none */
    size_t limit;    /* messages, at least 1 */
    uint64_t now_ms;
    /* Valid during the call. False: it was not taken, and no more is. */
    bool (*on_message)(void *arg, const struct message *m);
    void *arg;
    /* out */
    uint64_t ret_before; /* the last one handed out or passed over: what lies below goes on */
    bool ret_more;       /* more may lie below ret_before */
    size_t ret_count;
};

/* 0, -ENOENT no such stream, or a store error; on an error the out members are untouched and no
 * message counts. */
int page_reverse(struct txn *t, struct page_reverse *p);

#endif
