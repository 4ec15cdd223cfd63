/* auth - who is calling: credential to principal, and what a principal may do.
 *
 * Pure but for the board's session keys; the session itself is looked up by the handler. Worker.
 */
#ifndef WORKER_AUTH_H
#define WORKER_AUTH_H

#include "common/code.h"
#include "common/conf.h"
#include "common/token.h"

enum principal_kind { PRINCIPAL_NONE, PRINCIPAL_KEY, PRINCIPAL_SESSION, PRINCIPAL_BOOTSTRAP };

struct principal {
    enum principal_kind kind;
    const struct conf_api_key *key;   /* PRINCIPAL_KEY; borrowed from the configuration */
    uint8_t session[SESSION_ID_SIZE]; /* PRINCIPAL_SESSION */
    uint32_t signer;                  /* PRINCIPAL_SESSION: the key that signed its token */
    struct token_claims claims;       /* PRINCIPAL_BOOTSTRAP; owned: principal_free */
};

/* header: the Authorization value, or empty; query: access_token, or empty (the header wins).
 * CODE_OK with NONE when both are empty; TOKEN_MALFORMED for a scheme other than Bearer, for no
 * credential after it, for more than TOKEN_MAX; else the verifier's code. An API key of the
 * configuration is one whatever it looks like. ret is untouched on failure. */
enum code principal_of(const struct conf *conf, const struct session_keys *keys, struct str header,
                       struct str query, uint64_t wall_ms, struct principal *ret);
void principal_free(struct principal *p);

/* CODE_OK, TOKEN_MISSING (NONE) or FORBIDDEN. session: may use this session as its own token may.
 */
enum code principal_may_session(const struct principal *p, const uint8_t session[SESSION_ID_SIZE]);
enum code principal_may_send(const struct principal *p); /* mailboxes: API key with send:* */
enum code principal_may(const struct principal *p, const char *scope, struct str name);

/* Topics. ns: the namespace of the topic. claims: JSON array of the patterns that a session may
 * join (session.claims), or empty. Whoever acts for a session by a scope (sessions:*) may do what
 * the session may: then hand in a principal of the session. */

/* CODE_OK or FORBIDDEN. Whether the caller may act for the session was judged before. */
enum code principal_may_join(const struct principal *p, const struct conf_namespace *ns,
                             struct str claims, struct str topic);
/* CODE_OK, TOKEN_MISSING, FORBIDDEN. */
enum code principal_may_publish(const struct principal *p, const struct conf_namespace *ns,
                                struct str claims, struct str topic);

#endif
