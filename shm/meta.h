/* meta - the store's own facts: schema, epoch, sequence, batch, ring positions, writer, time.
 *
 * One row "state", rewritten by every commit, so that a batch and its ring positions are one
 * (rules 1 and 2). Writer process; readers may read it.
 */
#ifndef SHM_META_H
#define SHM_META_H

#include "shm/store.h"

#define META_SCHEMA 2

struct meta {
    uint64_t schema;
    uint64_t epoch;
    uint64_t last_seq;
    uint64_t last_stream; /* ids of streams handed out so far: set by meta_get, kept by
                             stream_create in a row of its own, ignored by meta_put */
    uint64_t batch;       /* n of rule 1 */
    uint64_t writer;      /* random id of the writer that committed */
    uint64_t time_ms;     /* store time of the commit */
    uint64_t ring_set;    /* the rings that the positions are of */
    uint32_t slots;
    uint64_t inbox_pos[BOARD_SLOTS]; /* consumed up to here */
};

int meta_get(struct txn *t, struct meta *ret); /* 0, -ENOENT in a new store, -EUCLEAN */
int meta_put(struct txn *t, const struct meta *m);
/* One member, without decoding the rest. As meta_get; a new store's last seq is 0. (Readers too.)
 */
int meta_schema(struct txn *t, uint64_t *ret);
int meta_writer(struct txn *t, uint64_t *ret);
int meta_last_seq(struct txn *t, uint64_t *ret);
int meta_time(struct txn *t, uint64_t *ret_ms);        /* 0 in a new store */
int meta_next_stream(struct txn *t, uint64_t *ret_id); /* counts the row of last_stream up */

#endif
