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
#include "shm/member.h"
#include "shm/meta.h"
#include "shm/ring.h"
#include "shm/session.h"
#include "shm/store.h"
#include "shm/topic.h"

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

/* Likewise of topics: where one is, and by which namespace's rules. Whoever removes a topic forgets
 * them all, and so does an aborted transaction. Clients choose names, so two may always want one
 * place: then they are looked up again and again, and that is all. */
#define WRITER_TOPIC_MEMOS 1024 /* a power of two */
struct topic_memo {
    uint64_t stream; /* 0: nothing is known */
    const struct conf_namespace *space;
    uint8_t name_len;
    char name[TOPIC_NAME_MAX];
};

/* What changed in the presence of topics and is not announced yet (presence_diff.c). An aborted
 * transaction takes all of it along. */
#define PRESENCE_TOPICS 1024  /* buckets */
#define PRESENCE_CHANGES 4096 /* buckets */
struct presence {
    struct gathered *topic[PRESENCE_TOPICS];
    struct change *change[PRESENCE_CHANGES];
    struct gathered *first, *last; /* in the order in which they are due */
    size_t bytes;                  /* of the changes */
    struct buf meta;               /* of the member being changed */
    struct buf payload;            /* of the diff being made */
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
    uint64_t boot_ms; /* boot clock of this turn */
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
    struct topic_memo topic_memo[WRITER_TOPIC_MEMOS];
    struct presence presence;
    uint32_t first_slot; /* rotates, so that no slot is always last */
    uint64_t next_due_ms;
    uint64_t dedup_due_ms, sample_due_ms;
    struct expiry_row stuck; /* the last row of the queue that failed: it is put off, not tried */
    uint64_t sweep_after_ms; /* after a sweep that failed for want of something: not before this */
    uint32_t buried[BOARD_SLOTS]; /* dead generations whose leases were cut */
    unsigned char burying[BOARD_SLOTS][24];
    bool inherited; /* the leases of earlier runs have become this one's */
    unsigned char inheriting[24];
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
void prepare_subscribe(struct writer *w, const struct feed_subscribe *c);
void prepare_unsubscribe(struct writer *w, const struct feed_subscribe *c);
void prepare_fence(struct writer *w, const struct feed_fence *c);
void prepare_completion(struct writer *w, uint32_t slot, const struct command_header *h,
                        enum code code);
void prepare_note(struct writer *w);         /* closes the feed stretch, writes the note */
void prepare_publish(struct writer *w);      /* moves the heads, rings the bells */
void prepare_finish_noted(struct writer *w); /* recovery: moves the heads that the note names */

/* apply.c: one command. ret_code is what the completion says; w->completion holds its members.
 * 0; -EBADMSG the record is garbage; or a store error: the transaction must be aborted. */
int apply_command(struct writer *w, uint32_t slot, const struct command_header *h,
                  struct unpack *body, enum code *ret_code);
/* The session that a command speaks of, by whose connection of `generation` it came (0: by itself).
 * 1: go on; 0: it is refused, and *ret_code says why; or a store error. */
int command_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t generation,
                    struct session *ret, enum code *ret_code);
int slide_session(struct writer *w, struct session *s); /* it was used: its row is written */
/* Ends it: rows, mailbox, subscriptions, the word to its connections. */
int remove_session(struct writer *w, const struct session *s, enum metric why);
uint64_t session_due_ms(const struct writer *w, const struct session *s);
bool store_full(struct writer *w); /* at its reserve */
int sample_usage(struct writer *w);
struct stream_limits mailbox_limits(struct writer *w);

/* apply_session.c, apply_attach.c, apply_append.c, apply_topic.c: as apply_command. */
int apply_open(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_patch(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_end(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_touch(struct writer *w, struct unpack *body);
int apply_attach(struct writer *w, uint32_t slot, const struct command_header *h,
                 struct unpack *body, enum code *ret_code);
int apply_detach(struct writer *w, struct unpack *body);
int apply_ack(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_append(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_subscribe(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_unsubscribe(struct writer *w, struct unpack *body, enum code *ret_code);
int apply_empty(struct writer *w, struct unpack *body, enum code *ret_code);

/* apply_topic.c. Topics to subscribe to, each once. */
#define SESSION_TOPICS_MAX 1000 /* session.max_topics is no more */
struct join {
    struct str name[SESSION_TOPICS_MAX];
    size_t n;
};
/* Reads a list of names, each behind its u8 length, as command_open has it. 0; -EBADMSG; -E2BIG:
 * more than any session may have. */
int join_read(struct join *j, struct str list);
/* Judges all of them before anything is changed. mailbox 0: of a session that is still to be made.
 * 0 and the code, or a store error. */
int join_check(struct writer *w, uint64_t mailbox, const struct join *j, enum code *ret_code);
/* After that: subscribes to those that it is not subscribed to yet. tell: there may be connections
 * that must hear of it. *ret_join: of the last one. */
int join_all(struct writer *w, uint64_t mailbox, const struct join *j, bool tell,
             uint64_t *ret_join);
/* Whether n more topics may be made: CODE_OK, or why not (it is counted). */
enum code topics_have_room(struct writer *w, size_t n);
/* space NULL: the configuration knows none (any more). */
struct stream_limits topic_limits(struct writer *w, const struct conf_namespace *space);

/* presence.c: who is here (member.h). 0 or a store error. */
struct attachment_run writer_run(const struct writer *w);
/* Judges what a subscription says of presence (command_subscribe), before anything is changed; its
 * topic has a namespace. *ret_code is CODE_OK before, and after it unless it is refused. */
int presence_check(struct writer *w, uint64_t mailbox, struct str topic, struct str presence,
                   enum code *ret_code);
/* After that, of a session that is subscribed to the topic. meta must not lie in the store. */
int presence_track(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t topic,
                   struct str meta);
int presence_untrack(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t topic);
int presence_attached(struct writer *w, const uint8_t id[SESSION_ID_SIZE]);
int presence_detached(struct writer *w, const uint8_t id[SESSION_ID_SIZE]);
int presence_lease_over(struct writer *w, const uint8_t id[SESSION_ID_SIZE]);
int presence_end(struct writer *w, const struct session *s); /* before its rows go */

/* presence_diff.c: what is gathered, and announced when its time has come. */
/* A change of the topic is about to be noted. Writes its row. */
int presence_gathers(struct writer *w, struct topic *topic);
/* What m is now; was: its ref before, if it was here, else 0. */
int presence_note(struct writer *w, const struct member *m, uint64_t was);
bool presence_waits(const struct writer *w);            /* something is to be announced now */
int presence_wait_ms(const struct writer *w, int most); /* until that is so; at most most */
int presence_announce(struct writer *w);                /* what is due, in this transaction */
int presence_due(struct writer *w, uint64_t stream);    /* an EXPIRE_PRESENCE row was taken */
void presence_forget(struct writer *w);                 /* the transaction is lost */
void presence_close(struct writer *w);

/* known.c: where sessions and topics are, remembered. */
/* A live session: 0, -ENOENT (unknown or expired), or a store error. */
int live_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE], struct session *ret);
/* Only its mailbox's stream; results as of live_session. */
int live_mailbox(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t *ret_stream);
void forget_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE]);
struct topic_place {
    uint64_t stream;                    /* 0: there is no such topic */
    const struct conf_namespace *space; /* NULL: no namespace is for it */
};
int topic_place(struct writer *w, struct str name, struct topic_place *ret); /* or a store error */
/* A topic that is not there yet, in a namespace, and has room: makes it. */
int topic_make(struct writer *w, struct str name, struct topic_place *at);
/* How long what is idle is remembered: no shorter than the keys of what was published to it. */
uint64_t topic_idle_ms(const struct writer *w);
void topics_gone(struct writer *w, uint64_t n); /* so many were removed: counts them, forgets */
void forget_all(struct writer *w);              /* the transaction is lost */

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
