/* publish - from what a publisher wrote to what the writer is asked, and from its answer to what
 * the publisher is told. REST and WebSocket share it; it knows neither. Worker.
 */
#ifndef WORKER_PUBLISH_H
#define WORKER_PUBLISH_H

#include "shm/session.h"
#include "worker/auth.h"
#include "worker/envelope.h"

/* Whose message it is. Idempotency keys are kept apart by kind and name (rule 16). Borrowed. */
struct publisher {
    struct str kind, name;
    struct str shown; /* what readers are told: API key or subject; empty: anonymous */
    struct str trace; /* traceparent; empty */
};
struct publisher publisher_key(const struct conf_api_key *key, struct str trace);
/* Sessions of one subject share their keys: a client that comes back by another session repeats
 * what it said. An anonymous one has its own. */
struct publisher publisher_session(const struct session *s, struct str trace);

/* The command item of an envelope with its target and name; of APPEND_SESSION the caller sets
 * ret->session. ns: of a topic, else NULL: where it keeps nothing, every message is ephemeral
 * (ret->flags). *digest is made when the first key needs it and belongs to the caller. Views point
 * where the envelope's do. 0, -ENOMEM. */
int publish_item(const struct publisher *by, const struct envelope *e,
                 const struct conf_namespace *ns, struct digest **digest,
                 struct command_append_item *ret);

/* Whether the caller may publish to this topic: TOKEN_MISSING, FORBIDDEN, TOPIC_UNKNOWN, or OK with
 * its namespace. claims: of the session that a session's token stands for (session.claims), else
 * ignored. Keys are judged before the topic is: those that may not publish are told no more. */
enum code publish_check_topic(const struct conf *conf, const struct principal *p, struct str claims,
                              struct str topic, const struct conf_namespace **ret);

/* Whether a message of this event may go to a topic of ns (NULL: a mailbox). Where there is
 * presence, `presence` is what the server says: nobody else could be told from it. */
#define PUBLISH_EVENT_RESERVED "event: presence is the server's in a namespace with presence"
bool publish_check_event(const struct conf_namespace *ns, struct str event);

/* The completion of an APPEND of one item to a mailbox or a topic: its code, with *ret filled when
 * it is OK; INTERNAL when it makes no sense. */
enum code publish_result_read(struct unpack *body, struct append_result *ret);
/* "topic:<name>", for answers; name: at most ENVELOPE_NAME_MAX bytes. */
#define PUBLISH_STREAM_MAX (sizeof("topic:") + ENVELOPE_NAME_MAX)
struct str publish_stream(struct str topic, char memory[PUBLISH_STREAM_MAX]);
/* HTTP status of one result: 201, 200 (duplicate), 202 (ephemeral), or the code's. */
int publish_status(enum code code, bool duplicate, bool ephemeral);
/* The members of a REST 201, without braces: "seq", "cursor", "stream", "durability", "duplicate";
 * of an ephemeral "seq":null alone. stream: "mailbox" or publish_stream. */
void publish_members(struct buf *b, const struct conf *conf, uint64_t epoch, struct str stream,
                     const struct append_result *r, bool ephemeral);
/* Appends {"session":...,"status":...,...}, as items of a batch are answered; session NULL: without
 * it. */
void publish_result(struct buf *b, const uint8_t *session, const struct append_result *r,
                    bool ephemeral);

#endif
