/* stream_priv - what the files of streams share: entries, tallies, and how an entry goes.
 *
 * Writer process only, inside its transaction, unless marked (R). Results as in store.h.
 */
#ifndef SHM_STREAM_PRIV_H
#define SHM_STREAM_PRIV_H

#include "shm/stream.h"

#define COLLAPSE_HASH 16

/* What must be known of an entry to take it out; owns everything, so it survives writes. */
struct entry {
    uint64_t seq, time_ms, expires_ms, bytes;
    bool collapses;
    uint8_t collapse[COLLAPSE_HASH]; /* of its collapse key */
};

/* stream_entry.c (all but entry_erase are (R)). Decodes a row of DB_LOG: -ENOENT not of this stream
 * or its head, -EUCLEAN. */
int entry_message(struct row row, uint64_t stream, struct message *ret);
/* First entry at or after seq (from 1), in this stream: places the cursor of DB_LOG. */
int entry_first(struct txn *t, uint64_t stream, uint64_t seq, struct entry *ret);
/* The one after, when nothing was written since. */
int entry_next(struct txn *t, uint64_t stream, struct entry *ret);
int entry_get(struct txn *t, uint64_t stream, uint64_t seq, struct entry *ret);
/* What entries in (from, to] add up to. */
struct tally {
    uint64_t count, bytes, with_ttl, next_expires_ms; /* 0: nothing of it expires */
};
int entries_tally(struct txn *t, uint64_t stream, uint64_t from, uint64_t to, struct tally *ret);
void collapse_hash(struct str key, uint8_t ret[COLLAPSE_HASH]);
/* The seq of the entry that bears the collapse key. */
int collapse_find(struct txn *t, uint64_t stream, const uint8_t hash[COLLAPSE_HASH],
                  uint64_t *ret_seq);
int collapse_put(struct txn *t, uint64_t stream, const uint8_t hash[COLLAPSE_HASH], uint64_t seq);
/* The entry's row, its row of the expiry queue, its collapse row. */
int entry_erase(struct txn *t, uint64_t stream, const struct entry *e);
int entry_queue_ttl(struct txn *t, uint64_t stream, uint64_t seq, uint64_t expires_ms);

/* stream_tally.c */
int tally_appended(struct txn *t, uint64_t stream, struct stream_head *h);
int tally_removed(struct txn *t, uint64_t stream, const struct stream_head *h,
                  const struct entry *e);
/* Moves the floor to `upto` (above it, at most `last`): count, bytes, with_ttl follow. */
int tally_floor(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t upto);
/* The run after `after` (at or above the floor): what lies in (from, to]; the open one ends at
 * UINT64_MAX. -ENOENT: there is none. next_expires_ms is a lower bound; 0: nothing expires. */
struct run {
    uint64_t from, to, next_expires_ms;
};
int tally_run(struct txn *t, uint64_t stream, const struct stream_head *h, uint64_t after,
              struct run *ret);
/* Sets the bound of the run that ends at `to`, if it is still there. */
int tally_expiry(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t to,
                 uint64_t next_expires_ms);
int tally_decode(struct str value, struct tally *ret);

/* receipt.c. How things that go are judged. */
enum gone { GONE_NOT, GONE_EXPIRED, GONE_TRIMMED, GONE_REPLACED };
/* Whether e was past its ttl or its age at that time; which of them first. */
enum gone entry_gone(const struct entry *e, uint64_t at_ms, uint64_t age_ms);
struct receipt_rule {
    bool keep;
    uint64_t at_ms; /* when it went */
    uint64_t cap;   /* rows of a stream; 0 no bound */
    uint64_t receipts_ms;
};
struct receipt_rule receipt_rule(const struct stream_limits *l, uint64_t at_ms);
int receipt_leave(struct txn *t, uint64_t stream, struct stream_head *h, const struct entry *e,
                  enum gone why, const struct receipt_rule *rule);
int receipt_decode(struct str value, enum receipt_state *ret_state, uint64_t *ret_time_ms,
                   uint64_t *ret_removed_ms); /* (R) */

/* How an ack judged; kept in DB_RECLAIM until all it covers is deleted. */
struct reclaim_job {
    uint64_t upto; /* key */
    uint64_t at_ms, age_ms, cap, receipts_ms;
    bool receipts;
};
/* (R) The first job at or after seq. 0, -ENOENT. */
int reclaim_job(struct txn *t, uint64_t stream, uint64_t seq, struct reclaim_job *ret);

/* stream_trim.c. Takes an entry above the floor out of the log, the head and the tallies. */
int entry_remove(struct txn *t, uint64_t stream, struct stream_head *h, const struct entry *e,
                 enum gone why, const struct stream_limits *l, uint64_t now_ms);
/* Takes the oldest while they are too many, too large or too old: within the budget, then `extra`
 * more. The newest stays unless it is too old. */
int stream_cut(struct txn *t, uint64_t stream, struct stream_head *h, const struct stream_limits *l,
               uint64_t now_ms, unsigned *budget, unsigned extra);
/* Takes what has expired until `fits` says so; gives up after a bounded walk. */
int stream_make_room(struct txn *t, uint64_t stream, struct stream_head *h,
                     const struct stream_limits *l, uint64_t now_ms,
                     bool (*fits)(const struct stream_head *h, const void *arg), const void *arg);

#endif
