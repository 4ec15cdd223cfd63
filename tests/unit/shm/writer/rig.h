/* rig - a writer without a supervisor: shared memory, a store in a temporary directory, and the
 * other end of the rings in the test's hands. The writer runs in forked children only, so that the
 * test process never has the store open across a fork, and a child may die where it likes. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "shm/writer/writer_priv.h"

struct rig {
    char dir[64];
    struct conf *conf;
    struct board *board;
    struct rings rings;
    struct feed feed;
    struct heritage heritage;
    int bell_fd[2]; /* of the workers */
    uint64_t inbox_head[2], reply_pos[2];
    uint64_t last_id;
    struct feed_reader reader;
    struct buf body; /* of the feed record last read */
};

/* extra: configuration lines added to the least one. */
void rig_open(struct rig *r, const char *extra);
void rig_close(struct rig *r);
/* New rings, board and feed over the same store: what a server restart is. */
void rig_restart(struct rig *r);

/* In a child: opens the store, recovers. Aborts the child on an error. */
struct writer *rig_writer(struct rig *r);
/* Runs batches until nothing waits. */
void rig_run(struct writer *w);
void rig_stop(struct writer *w);

/* Commands of slot s; the id given to it. */
uint64_t rig_open_session(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE],
                          const char *subject);
uint64_t rig_append(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], const char *key,
                    const char *text, uint16_t flags);
/* One item, as its caller made it, by the connection that head names. Payload and id of item are
 * its content and key for deduplication. */
uint64_t rig_publish(struct rig *r, uint32_t s, const struct command_append *head,
                     const struct command_append_item *item);
uint64_t rig_publish_topic(struct rig *r, uint32_t s, const char *topic, const char *key,
                           const char *text, uint16_t flags);
uint64_t rig_open_as(struct rig *r, uint32_t s, const struct command_open *c);
uint64_t rig_subscribe(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE],
                       const char *topic, uint64_t generation);
/* presence: as in command_subscribe. */
uint64_t rig_track(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], const char *topic,
                   const char *presence);
uint64_t rig_unsubscribe(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE],
                         const char *topic, uint64_t generation);
uint64_t rig_empty(struct rig *r, uint32_t s, const char *topic);
uint64_t rig_ack(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], uint64_t seq);
uint64_t rig_ack_by(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], uint64_t seq,
                    uint64_t generation);
uint64_t rig_attach(struct rig *r, uint32_t s, const struct command_attach *c);
/* Without an answer. */
void rig_detach(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE], uint64_t connection);
uint64_t rig_end(struct rig *r, uint32_t s, const uint8_t id[SESSION_ID_SIZE]);
void rig_garbage(struct rig *r, uint32_t s);

struct rig_reply {
    uint64_t id;
    enum code code;
    enum code item; /* APPEND: of its only item */
    uint64_t seq;
    bool duplicate;
    uint64_t join; /* SUBSCRIBE */
    bool created;  /* OPEN */
};
/* The next completion of slot s; false when there is none. */
bool rig_reply(struct rig *r, uint32_t s, struct rig_reply *ret);

struct rig_fed {
    struct feed_record rec;
    uint8_t control; /* of a FEED_CONTROL: which of these */
    struct feed_subscribe sub;
    struct feed_fence fence;
    struct feed_session_end ended;
    struct message message; /* of a FEED_MESSAGE */
    uint32_t ntargets;
    struct feed_target target; /* the first */
};
/* The next record of the feed; false when there is none. Texts live until the next call. */
bool rig_fed(struct rig *r, struct rig_fed *ret);

#endif
