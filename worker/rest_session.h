/* rest_session - what opening a session and looking at one share. Worker; private to the REST
 * handlers. */
#ifndef WORKER_REST_SESSION_H
#define WORKER_REST_SESSION_H

#include "worker/envelope.h"
#include "worker/rest_priv.h"

#define SESSION_TTL_MIN_MS 1000

struct session_view { /* what the object of a session shows everywhere */
    uint8_t id[SESSION_ID_SIZE];
    uint64_t cursor, expires_ms, ttl_ms;
    struct str subject, name, attributes; /* empty: null, null, {} */
};

struct patch_encoding {
    const struct command_patch *command;
    const struct conf *conf;
};

/* The members, without braces: session, subject, name, epoch, cursor, ttl, expires_at, topics,
 * attributes, urls. */
void session_members(struct exchange *ex, struct buf *b, const struct session_view *s);
/* "token":"<a fresh one>" */
void session_token_member(struct exchange *ex, struct buf *b, const uint8_t id[SESSION_ID_SIZE]);
/* A ttl in a body: 1 s to session.max_ttl; absent or null leaves *ret_ms. False: answered. */
bool session_ttl(struct exchange *ex, struct json_value v, uint64_t *ret_ms);
/* Bytes of the largest completion of OPEN and PATCH. */
size_t session_completion_max(const struct conf *conf);

#endif
