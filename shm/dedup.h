/* dedup - idempotency keys (rule 16): (stream, hash of publisher and key) -> seq and content hash.
 *
 * Rows lie in time buckets, so that expiry deletes from the front. The buckets that exist are few
 * (the window is cut into four, at least a second each) and the writer keeps their list in memory,
 * read from the store at start, so a changed window needs no migration. Writer process only.
 */
#ifndef SHM_DEDUP_H
#define SHM_DEDUP_H

#include "shm/store.h"

struct dedup; /* owned by the writer */

int dedup_open(struct txn *t, uint64_t window_ms, struct dedup **ret);
void dedup_close(struct dedup *d);
void dedup_window(struct dedup *d, uint64_t window_ms);

/* 0 and the row, when the key was used inside the window; -ENOENT; or a store error. */
int dedup_find(struct dedup *d, struct txn *t, uint64_t stream, const uint8_t key_hash[16],
               uint64_t now_ms, uint64_t *ret_seq, uint8_t ret_content[16]);
int dedup_put(struct dedup *d, struct txn *t, uint64_t stream, const uint8_t key_hash[16],
              uint64_t now_ms, uint64_t seq, const uint8_t content[16]);
/* Deletes what is older than the window, within the budget. */
int dedup_sweep(struct dedup *d, struct txn *t, uint64_t now_ms, unsigned *budget);
/* The list follows the store: call after a transaction was aborted. */
int dedup_reload(struct dedup *d, struct txn *t);

#endif
