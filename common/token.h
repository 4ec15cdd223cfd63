/* token - bootstrap tokens (JWT, RFC 7519) and session tokens (ours, opaque).
 *
 * Pure: the time is a parameter, keys come from the configuration or the board. Leeway is 5 s.
 * Any process; workers verify, the command mints.
 */
#ifndef COMMON_TOKEN_H
#define COMMON_TOKEN_H

#include "common/code.h"
#include "common/conf.h"
#include "common/ids.h"

#define TOKEN_LEEWAY_MS 5000
#define TOKEN_MAX 8192 /* characters of a credential */

struct token_claims {
    char *subject;    /* owned; UTF-8, 1..255 bytes, no control characters */
    char **topics;    /* owned; patterns it may join; NULL = none was claimed */
    size_t ntopics;   /* at most 1000 */
    char *attributes; /* owned; compact JSON object text, or NULL */
    char *jti;        /* owned, or NULL */
    uint64_t exp_ms;
};

void token_claims_free(struct token_claims *c);

/* CODE_OK and *ret (to be freed), or TOKEN_MALFORMED (not a JWT; sub or exp missing or of a wrong
 * type; header or claims no JSON; alg other than the key's, `none` included; a crit header),
 * TOKEN_UNKNOWN_KEY (no such kid; no kid and several keys), TOKEN_BAD_SIGNATURE, TOKEN_EXPIRED
 * (exp, or iat older than max_age_ms), TOKEN_NOT_YET_VALID (nbf or iat in the future), or INTERNAL
 * when there is no memory. The signature is judged before any claim is believed. Names that stand
 * twice are refused. Of the claims, sub, exp, nbf, iat, jti, topics and attributes are looked at;
 * others, iss and aud included, are not. Times are numbers of seconds, fractions allowed (RFC 7519
 * NumericDate). */
enum code token_jwt_verify(const struct conf_token_key *keys, size_t nkeys, struct str token,
                           uint64_t wall_ms, uint64_t max_age_ms, struct token_claims *ret);

/* Mints an HS256 token with iat = now and exp = now + max_age_ms. topics: JSON array text or empty;
 * attributes: JSON object text or empty. Appends to out. 0; -EINVAL when the other side would not
 * accept it; -EMSGSIZE past TOKEN_MAX or out->max; -ENOMEM. */
int token_jwt_mint(const struct conf_token_key *key, struct str subject, struct str topics,
                   struct str attributes, uint64_t wall_ms, uint64_t max_age_ms, struct buf *out);

/* Session tokens: "rs1." base64url(key id 4, session id 16, wall seconds 8, mac 16). The mac is
 * HMAC-SHA-256 over the rest, cut to 16 bytes. Two keys at a time: rotation makes a new [0] and
 * keeps the old one as [1]. */
#define SESSION_TOKEN_TEXT 64 /* with NUL */
struct session_key {
    uint32_t id; /* 0: none */
    uint8_t secret[32];
};
struct session_keys {
    struct session_key key[2]; /* [0] signs; both verify */
};

void session_token_mint(const struct session_keys *keys, const uint8_t id[SESSION_ID_SIZE],
                        uint64_t wall_ms, char ret[SESSION_TOKEN_TEXT]);
/* CODE_OK, TOKEN_MALFORMED, TOKEN_UNKNOWN_KEY (signed by a key rotated out), TOKEN_BAD_SIGNATURE.
 */
enum code session_token_verify(const struct session_keys *keys, struct str token,
                               uint8_t ret_id[SESSION_ID_SIZE]);
/* Of a token that was verified: the id of the key that signed it; and whether such a key is still
 * there. For connections that outlive a rotation. */
uint32_t session_token_signer(struct str token);
bool session_keys_have(const struct session_keys *keys, uint32_t id);

/* What a credential looks like, before it is verified. */
enum token_kind { TOKEN_JWT, TOKEN_SESSION, TOKEN_OPAQUE };
enum token_kind token_kind_of(struct str credential);

#endif
