/* cursor - whether what a client calls its cursor is one of ours. Worker.
 */
#ifndef WORKER_CURSOR_H
#define WORKER_CURSOR_H

#include "worker/route.h"

struct cursor_reset {
    const char *reason;      /* "epoch", "ahead"; static */
    uint64_t oldest, newest; /* seqs: where to go on from, and the store's last */
};

/* 0 with *ret_seq: ours, and not ahead; 1 with *ret_reset: of another history, or ahead of this one
 * (CURSOR_RESET); -EINVAL: no cursor at all; else a store error. */
int cursor_judge(struct route *route, const struct session *s, struct str text, uint64_t *ret_seq,
                 struct cursor_reset *ret_reset);
/* Appends "reason":...,"oldest":...,"newest":... */
void cursor_reset_members(struct buf *b, uint64_t epoch, const struct cursor_reset *reset);
/* Appends "name":"<cursor>". */
void cursor_member(struct buf *b, const char *name, uint64_t epoch, uint64_t seq);

#endif
