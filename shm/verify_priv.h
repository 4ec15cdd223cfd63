/* verify_priv - what the files of verify share. */
#ifndef SHM_VERIFY_PRIV_H
#define SHM_VERIFY_PRIV_H

#include "common/buf.h"
#include "common/ids.h"

#include "shm/expiry.h"
#include "shm/meta.h"
#include "shm/store.h"
#include "shm/verify.h"

/* Keys of one size, sorted before they are asked for. */
struct keyset {
    unsigned char *data;
    size_t width, n, cap;
    bool sorted;
};
int keyset_add(struct keyset *s, const void *key); /* 0 or -ENOMEM */
bool keyset_has(struct keyset *s, const void *key);
size_t keyset_count(struct keyset *s, const void *key); /* how often it occurs */
/* The number of keys that occur more than once; *ret_key one of them. */
size_t keyset_repeated(struct keyset *s, unsigned char *ret_key);
void keyset_free(struct keyset *s);

struct verify {
    struct txn *txn;
    struct buf *report;
    uint64_t violations;
    struct meta meta;
    struct keyset reclaims;    /* streams in the expiry queue as EXPIRE_RECLAIM */
    struct keyset sessions;    /* session ids in it as EXPIRE_SESSION */
    struct keyset mailboxes;   /* streams of sessions */
    struct keyset subscribed;  /* topics, once for each subscription */
    struct keyset seqs;        /* of all messages */
    struct keyset tracked;     /* topics, once for each member */
    struct keyset here;        /* likewise, of members that are here */
    struct keyset memberships; /* mailboxes, once for each member */
    uint64_t streams, mailbox_heads, messages, receipts, session_rows, names, queued, keys;
    uint64_t topics, topics_due;  /* rows of topics; those whose row is in the expiry queue */
    uint64_t topics_queued;       /* rows of the expiry queue as EXPIRE_TOPIC */
    uint64_t dirty, dirty_queued; /* topics with unannounced changes; rows as EXPIRE_PRESENCE */
    uint64_t members, tracking;   /* rows of members; subscriptions that say that there is one */
};

void violation(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A row that something else led to and that is malformed is a violation, not the end of the walk:
 * -EUCLEAN becomes -ENOENT, everything else stays. */
int verify_soft(struct verify *v, uint64_t stream, uint64_t seq, int rc);
/* Whether the expiry queue has exactly this row. 1, 0 or a store error. */
int verify_queued(struct verify *v, uint64_t due_ms, enum expiry_kind kind, struct str id);
bool verify_dropped(struct verify *v, uint64_t stream); /* its rest waits to be reclaimed */

int verify_streams(struct verify *v);  /* verify_stream.c: log, tallies, jobs */
int verify_beside(struct verify *v);   /* verify_beside.c: receipts, collapse, ttl rows */
int verify_sessions(struct verify *v); /* verify_session.c: sessions and what leads to them */
int verify_topics(struct verify *v); /* verify_topic.c: topics and subscriptions; mailboxes first */
/* verify_member.c, in this order: members, before topics; what is left to compare, after them. */
int verify_members(struct verify *v);
int verify_tracked(struct verify *v);
/* verify_topic.c: that the stream, which calls itself a topic, is one. */
int verify_topic_of(struct verify *v, uint64_t stream);

#endif
