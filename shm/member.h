/* member - who is tracked in which topic, and under which key: the presence of sessions.
 *
 * A member is a session that is tracked in a topic; its key is its subject, or the text of its id
 * where it has none. It is tracked until it untracks, unsubscribes or ends; it is here while it has
 * a lease (session.h), and while it has none its row waits for it to come back. A row's
 * subscription says `tracked`, its session counts it, its topic counts those that are tracked and
 * those that are here. All memberships of a session are here, or none (SESSION_AWAY).
 *
 * A ref names one stay of one session under one meta; it is random and never used again. A session
 * is in a topic once: whoever applies a diff lets a join replace what it holds of that session
 * (prev_ref says that it is an update), and a leave take it away.
 *
 * Views point into the store and live like its values. Writer process only, unless marked (R).
 * Results as in stream.h.
 */
#ifndef SHM_MEMBER_H
#define SHM_MEMBER_H

#include "common/buf.h"
#include "common/json.h"

#include "shm/session.h"
#include "shm/topic.h"

#define MEMBER_HASH 16     /* of a key: the order of the list */
#define MEMBER_KEY_MAX 255 /* bytes */
#define MEMBER_REF_TEXT 17 /* 16 hex digits and NUL */

struct member {
    uint64_t topic, mailbox; /* streams */
    uint8_t hash[MEMBER_HASH];
    uint8_t session[SESSION_ID_SIZE];
    uint64_t since_ms, ref; /* of this stay */
    bool here;
    struct str key;  /* 1..MEMBER_KEY_MAX bytes */
    struct str meta; /* compact JSON object, as of member_meta */
};

void member_hash(struct str key, uint8_t ret[MEMBER_HASH]); /* (R) */
/* (R) The key of a session; text is its memory where the session has no subject. */
struct str member_key(const struct session *s, char text[SESSION_ID_TEXT]);

/* (R) One row: 0 or -ENOENT. */
int member_get(struct txn *t, uint64_t topic, const uint8_t hash[MEMBER_HASH], uint64_t mailbox,
               struct member *ret);
/* (R) Rows of a topic, here or not, in the order of (hash, mailbox): the members of one key follow
 * one another. member_first gives the first one whose hash is greater than `after` (NULL: of all),
 * member_next the one after the row that either gave last. -ENOENT: there are no more. */
int member_first(struct txn *t, uint64_t topic, const uint8_t *after, struct member *ret);
int member_next(struct txn *t, uint64_t topic, struct member *ret);

int member_decode(struct row row, struct member *ret); /* (R) 0 or -EUCLEAN */

/* The row, and nothing of what must agree with it. m->hash is set. */
int member_put(struct txn *t, struct member *m);
int member_del(struct txn *t, uint64_t topic, const uint8_t hash[MEMBER_HASH], uint64_t mailbox);

void member_ref_text(uint64_t ref, char text[MEMBER_REF_TEXT]); /* (R) */
/* (R) Appends a member as lists and diffs show it: the members of its meta, then session, since,
 * ref, and prev_ref unless 0. 0 or the buffer's error. */
int member_json(struct buf *b, const struct member *m, uint64_t prev_ref);
/* (R) Appends an object that a client gave as a meta is kept: compact, without members that bear a
 * name of member_json's own. 0 or the buffer's error. */
int member_meta(struct json_value object, struct buf *b);

#endif
