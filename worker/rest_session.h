/* rest_session - what opening a session and looking at one share. Worker; private to the REST
 * handlers. */
#ifndef WORKER_REST_SESSION_H
#define WORKER_REST_SESSION_H

#include "worker/envelope.h"
#include "worker/rest_priv.h"

#define SESSION_TTL_MIN_MS 1000

/* Answers with the session that an OPEN made or found, as the store has it, and a token. */
void session_show_opened(struct exchange *ex, const struct completion_session *c);
/* "token":"<a fresh one>" */
void session_token_member(struct exchange *ex, struct buf *b, const uint8_t id[SESSION_ID_SIZE]);
/* "presence":[...]: where it is tracked, and what it shows there. 0, or < 0 for the transaction. */
int session_presence_member(struct exchange *ex, struct txn *t, const struct session *s,
                            struct buf *b);
/* A ttl in a body: 1 s to session.max_ttl; absent or null leaves *ret_ms. False: answered. */
bool session_ttl(struct exchange *ex, struct json_value v, uint64_t *ret_ms);

#endif
