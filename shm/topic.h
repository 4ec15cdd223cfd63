/* topic - topics by name and by stream, and which sessions are subscribed to which.
 *
 * A topic is a stream with a name. Its row counts its subscribers, so that what nobody is
 * subscribed to, and holds nothing, can go: at once when nothing was ever published to it, else
 * after topics.idle (EXPIRE_TOPIC). A topic that is made again is another stream. Who is tracked in
 * a topic untracks before its subscription goes. Views point into the store and live like its
 * values. Writer process only, unless marked (R). Results as in stream.h.
 */
#ifndef SHM_TOPIC_H
#define SHM_TOPIC_H

#include "shm/stream.h"

#define TOPIC_NAME_MAX 255 /* bytes */

struct topic {
    uint64_t stream;
    uint64_t created_ms;
    uint64_t subscribers; /* sessions */
    uint64_t idle_ms;     /* since when it has had no subscriber; 0: it has */
    uint64_t due_ms;      /* of its row of the expiry queue; 0: there is none */
    /* Presence (member.h). */
    uint64_t version;  /* of the list; rises with each diff, and from a topic to its successor */
    uint64_t members;  /* sessions that are here */
    uint64_t tracked;  /* sessions that are here, or away for the moment */
    uint64_t dirty_ms; /* of its EXPIRE_PRESENCE row: a change is not announced yet; 0: none */
    struct str name;
};

/* (R) 0, -ENOENT, or a store error. */
int topic_find(struct txn *t, struct str name, uint64_t *ret_stream);
int topic_get(struct txn *t, uint64_t stream, struct topic *ret);
/* (R) The first topic whose name has the prefix and is greater than `after` (empty: from the
 * first), in byte order. -ENOENT: there is none. */
int topic_next(struct txn *t, struct str prefix, struct str after, struct topic *ret);

/* A new topic, its stream, and its row of the expiry queue (it has no subscriber yet). name: 1 to
 * TOPIC_NAME_MAX bytes, not there yet. */
int topic_create(struct txn *t, struct str name, uint64_t now_ms, uint64_t idle_ms,
                 uint64_t *ret_stream);
/* Row, name and stream go; nobody may be subscribed. */
int topic_remove(struct txn *t, struct topic *topic, unsigned *budget);
int topic_put(struct txn *t, const struct topic *topic);
/* Presence: something is to be announced, and should the writer die first, the sweep learns of it
 * at due_ms; it was announced. Both write the topic's row. */
int topic_dirty(struct txn *t, struct topic *topic, uint64_t due_ms);
int topic_clean(struct txn *t, struct topic *topic);
/* The work of an EXPIRE_TOPIC row after it was taken: removes the topic if it has had neither
 * subscriber nor message since idle_ms, else queues itself again where that is still to come. Not
 * there: 0. */
int topic_expire(struct txn *t, uint64_t stream, uint64_t now_ms, uint64_t idle_ms,
                 unsigned *budget, bool *ret_removed);

struct subscribed { /* one subscription of a session */
    uint64_t topic; /* stream */
    uint64_t join;  /* seq: messages after it are delivered */
    bool tracked;   /* it is a member there */
};
/* (R) The subscriptions of the session with this mailbox, by topic stream. Their number, at most
 * max; or a store error. */
int subscribed_list(struct txn *t, uint64_t mailbox, struct subscribed *ret, size_t max);
/* (R) 0, -ENOENT, or a store error. */
int subscribed_get(struct txn *t, uint64_t mailbox, uint64_t topic, struct subscribed *ret);
/* Of one that is there. */
int subscribed_track(struct txn *t, uint64_t mailbox, uint64_t topic, bool tracked);
/* -EEXIST: it is subscribed already. */
int subscribed_add(struct txn *t, uint64_t mailbox, uint64_t topic, uint64_t join);
/* -ENOENT: it was not. A topic that nobody is subscribed to any more is removed when nothing was
 * ever published to it (*ret_removed), else queued. */
int subscribed_del(struct txn *t, uint64_t mailbox, uint64_t topic, uint64_t now_ms,
                   uint64_t idle_ms, unsigned *budget, bool *ret_removed);
/* All of a session's, at its end. *ret_removed: topics. */
int subscribed_del_all(struct txn *t, uint64_t mailbox, uint64_t now_ms, uint64_t idle_ms,
                       unsigned *budget, uint64_t *ret_removed);

#endif
