/* writer_priv - what the files of the writer share. Writer process only. */
#ifndef SHM_WRITER_WRITER_PRIV_H
#define SHM_WRITER_WRITER_PRIV_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "shm/bell.h"
#include "shm/command.h"
#include "shm/dedup.h"
#include "shm/expiry.h"
#include "shm/feed.h"
#include "shm/heritage.h"
#include "shm/meta.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "shm/store.h"
#include "shm/stream.h"

#define WRITER_BATCH_MESSAGES 8192 /* most messages of one transaction */
#define WRITER_BATCH_MS 20         /* most time spent applying before it commits */
#define WRITER_DELETES 512         /* most deletes of one transaction (rule 6) */
#define WRITER_SWEEP_ROWS 64       /* most rows of the expiry queue of one transaction */

/* What a batch prepared beyond the published heads (rule 1). */
struct prepared {
    uint64_t feed_head;
    uint64_t feed_bytes;
    bool lap;     /* it does not fit: readers are sent to the store */
    bool on_feed; /* something other than the closing record was prepared */
    uint64_t reply_head[BOARD_SLOTS];
    bool replied[BOARD_SLOTS];
};

/* Where a session's mailbox is, so that publishing to it again need not look at its row. The writer
 * is the only one that changes rows: whoever ends a session or shortens its life forgets it here,
 * and an aborted transaction forgets all. */
#define WRITER_MEMOS 4096 /* a power of two */
struct session_memo {
    uint8_t id[SESSION_ID_SIZE];
    uint64_t stream;
    uint64_t due_ms; /* it lives until then at least; 0: nothing is known */
};

struct writer {
    const struct conf *conf;
    const struct heritage *heritage;
    struct board *board;
    struct board_seat *seat;
    struct metric_block *metrics;
    struct rings rings;
    struct feed feed;
    struct bell bell, supervisor_bell;
    struct bell worker_bell[BOARD_SLOTS];
    struct store *store;
    struct dedup *dedup;

    struct meta meta; /* as committed, or as it will be by the running batch */
    uint64_t now_ms;  /* store time of this turn; never moves back */
    uint64_t slewed_boot_ms;
    bool jump_logged;

    /* the running batch */
    struct txn *txn;
    struct prepared out;
    struct buf scratch;    /* the command being applied, copied out of its ring */
    struct buf completion; /* members of the completion being made */
    unsigned budget;       /* deletes left */
    uint64_t messages;     /* appended in this batch */
    uint64_t appended_bytes;
    struct store_usage usage;     /* as last sampled */
    uint64_t usage_since;         /* bytes appended after that, at the most */
    bool ephemeral;               /* the command just applied stored nothing, by its nature */
    bool changed;                 /* a command was taken, or something swept */
    bool must_commit;             /* and not only ephemerals */
    uint64_t count[METRIC_COUNT]; /* counted when the batch is committed */
    struct stream_gone gone;      /* likewise: what retention, ttl and collapse took */

    struct session_memo memo[WRITER_MEMOS];
    uint32_t first_slot; /* rotates, so that no slot is always last */
    uint64_t next_due_ms;
    uint64_t dedup_due_ms, sample_due_ms;
    struct expiry_row stuck; /* the last row of the queue that failed: it is put off, not tried */
    uint64_t sweep_after_ms; /* after a sweep that failed for want of something: not before this */
    uint32_t buried[BOARD_SLOTS]; /* dead generations whose leases were cut */
    unsigned char burying[BOARD_SLOTS][24];
};

/* storetime.c: rule 13. */
void storetime_start(struct writer *w);
void storetime_turn(struct writer *w);

/* recover.c: rules 1 and 2 at every writer start; the store, rings and feed are open. 0 or < 0. */
int writer_recover(struct writer *w);

/* batch.c. Runs one transaction over what waits in the inboxes and what is due. Returns the number
 * of commands taken (0: nothing waited), or < 0: the store cannot go on and the writer must leave.
 */
int batch_run(struct writer *w);

/* prepare.c */
void prepare_begin(struct writer *w);
void prepare_message(struct writer *w, const struct message *m, const struct feed_target *targets,
                     size_t ntargets);
void prepare_session_end(struct writer *w, const struct session *s);
void prepare_completion(struct writer *w, uint32_t slot, const struct command_header *h,
                        enum code code);
void prepare_note(struct writer *w);         /* closes the feed stretch, writes the note */
void prepare_publish(struct writer *w);      /* moves the heads, rings the bells */
void prepare_finish_noted(struct writer *w); /* recovery: moves the heads that the note names */

/* apply.c: one command. ret_code is what the completion says; w->completion holds its members.
 * 0; -EBADMSG the record is garbage; or a store error: the transaction must be aborted. */
int apply_command(struct writer *w, uint32_t slot, const struct command_header *h,
                  struct unpack *body, enum code *ret_code);
int apply_open(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_patch(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_end(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_append(struct writer *w, struct unpack *body, enum code *ret_code);

/* A live session: 0, -ENOENT (unknown or expired), or a store error. */
int live_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE], struct session *ret);
/* Its failure, in a command that is answered: -ENOENT is the answer, the rest is returned. */
int no_session(int err, enum code *ret_code);
/* Only its mailbox's stream; results as of live_session. */
int live_mailbox(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t *ret_stream);
void forget_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE]);
/* Ends it: rows, mailbox, the word to its connections. */
int remove_session(struct writer *w, const struct session *s, enum metric why);
uint64_t session_due_ms(const struct writer *w, const struct session *s);
bool store_full(struct writer *w); /* at its reserve */
int sample_usage(struct writer *w);
struct stream_limits mailbox_limits(struct writer *w);

/* sweep.c: what is due, in this transaction. 0 or a store error, which aborts it; the next sweep
 * steps over the row that made no sense, or waits when there was another reason. */
int sweep_run(struct writer *w);
int sweep_peek(struct writer *w); /* notes when the queue is due next */
bool sweep_waits(struct writer *w);

static inline void writer_count(struct writer *w, enum metric m, uint64_t n)
{
    w->count[m] += n;
}

#endif
