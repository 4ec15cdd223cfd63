/* session - rows of sessions, their subjects and names, and their attachments.
 *
 * Views point into the store and live like its values. Writer process only, unless marked (R).
 * Results as in stream.h.
 */
#ifndef SHM_SESSION_H
#define SHM_SESSION_H

#include "common/code.h"
#include "common/ids.h"
#include "shm/store.h"

struct session {
    uint8_t id[SESSION_ID_SIZE];
    uint64_t stream;                         /* its mailbox */
    uint64_t created_ms, expires_ms, ttl_ms; /* expires = last use + ttl; readers add ttl/8 */
    uint64_t start_seq;  /* the store's last seq when it was made: its first cursor */
    uint64_t acked;      /* seq; 0 none yet */
    uint64_t acked_prev; /* the ack before it: what lies between was acked at acked_ms */
    uint64_t acked_ms;
    uint64_t delivered, delivered_prev, delivered_ms;
    uint64_t generation;   /* fencing (rule 15) */
    uint64_t tracked;      /* topics that it is tracked in (member.h) */
    uint32_t flags;        /* SESSION_ANONYMOUS, SESSION_AWAY */
    struct str subject;    /* empty: anonymous */
    struct str name;       /* empty: unnamed */
    struct str attributes; /* compact JSON object */
    struct str claims;     /* JSON array of patterns, or empty */
};
#define SESSION_ANONYMOUS 1u
#define SESSION_AWAY                                                                               \
    2u /* it is tracked, and its last lease is over: it has left all its topics                    \
        */

/* (R) 0, -ENOENT (also when it is past its ttl: see session_expired), or a store error. */
int session_get(struct txn *t, const uint8_t id[SESSION_ID_SIZE], struct session *ret);
int session_put(struct txn *t, const struct session *s);
/* (R) Rule 13: expired at expires + ttl/8 (renewals come at most every ttl/8), but never earlier
 * than server start + min(ttl, 10 m). */
bool session_expired(const struct session *s, uint64_t now_ms, uint64_t start_ms);
uint64_t session_due(const struct session *s, uint64_t start_ms); /* (R) when that will be */

/* Makes row, subject row, name row, mailbox and expiry row (due at expires + ttl/8). s->stream is
 * set. -EEXIST: the id is taken. */
int session_create(struct txn *t, struct session *s);
/* Removes all of that, the attachments and the subscriptions at once; the mailbox is dropped within
 * the budget. A row of the expiry queue that was put later than by session_create stays: it finds
 * nothing. topic_idle_ms: as of subscribed_del; *ret_topics: topics that went with it. */
int session_remove(struct txn *t, const struct session *s, uint64_t now_ms, uint64_t topic_idle_ms,
                   unsigned *budget, uint64_t *ret_topics);
int session_by_name(struct txn *t, struct str subject, struct str name,
                    uint8_t ret[SESSION_ID_SIZE]); /* (R) 0 or -ENOENT */

void subject_hash(struct str subject, uint8_t ret[16]); /* (R) */
/* (R) Sessions of a subject in id order after `after` (NULL: from the first), expired ones
 * included; at most max. Returns their number or < 0. */
int subject_sessions(struct txn *t, struct str subject, const uint8_t *after,
                     uint8_t (*ret)[SESSION_ID_SIZE], size_t max);

struct attachment {
    uint64_t connection;
    uint32_t slot, slot_generation;
    uint64_t since_ms, lease_ms; /* store time; the lease ends at lease_ms */
    uint64_t run;                /* the server's start_ms on the board when it was put */
    uint64_t generation; /* of the session when this connection took it; 0: it took nothing */
    struct str transport, remote;
};
int attachment_put(struct txn *t, const uint8_t session[SESSION_ID_SIZE],
                   const struct attachment *a);
/* (R) One attachment; 0 or -ENOENT. */
int attachment_get(struct txn *t, const uint8_t session[SESSION_ID_SIZE], uint64_t connection,
                   struct attachment *ret);
int attachment_del(struct txn *t, const uint8_t session[SESSION_ID_SIZE], uint64_t connection);
/* (R) Attachments of a session, its ghost not among them, at most max. Their number or < 0. */
int attachment_list(struct txn *t, const uint8_t session[SESSION_ID_SIZE], struct attachment *ret,
                    size_t max);
/* A ghost is a lease without a connection: it holds the place of one that has gone, or of one that
 * is still to come. A session has one at most, and only if it is tracked somewhere. */
#define ATTACHMENT_GHOST 0 /* as a connection; no connection is called so */

/* A server that starts finds the leases of the one before it: they end at start + grace, whatever
 * they say, so that everyone has that long to come back and nobody stays for longer. */
struct attachment_run {
    uint64_t start_ms; /* the board's */
    uint64_t grace_ms;
};
/* (R) When this one's lease ends. */
uint64_t attachment_end(const struct attachment *a, const struct attachment_run *run);
/* (R) When the last of a session's leases ends, its ghost's too; 0: it has none. 0 or < 0. */
int attachment_last_end(struct txn *t, const uint8_t session[SESSION_ID_SIZE],
                        const struct attachment_run *run, uint64_t *ret_ms);
/* Rule 9: cuts the leases of (slot, generation <= dead) to until_ms (now + grace) and queues their
 * expiry then, resuming after *key (16+8 bytes, zero to begin), at most `budget` rows. *ret_done
 * when the end was reached. */
int attachment_worker_died(struct txn *t, uint32_t slot, uint32_t dead, uint64_t until_ms,
                           unsigned char key[24], unsigned *budget, bool *ret_done);
/* Likewise those of other runs: they become this one's, with the end that they have in it. */
int attachment_server_died(struct txn *t, const struct attachment_run *run, unsigned char key[24],
                           unsigned *budget, bool *ret_done);

#endif
