/* token_claims - the claims set of a bootstrap token: form first, then time.
 *
 * Private to token_*.c. Nothing here knows about keys: the caller has judged the signature, or made
 * the claims itself. Pure.
 */
#ifndef COMMON_TOKEN_CLAIMS_H
#define COMMON_TOKEN_CLAIMS_H

#include "common/json.h"
#include "common/token.h"

#define TOKEN_HEADER_MAX 16  /* members of a header, which anyone may send */
#define TOKEN_CLAIMS_MAX 128 /* members of a claims set */

/* A JSON object of at most max (up to TOKEN_CLAIMS_MAX) members in which no name stands twice
 * (RFC 7515 section 4, RFC 7519 section 4). */
bool token_object(struct str text, size_t max, struct json_value *ret);

/* CODE_OK and *ret, TOKEN_MALFORMED, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID or INTERNAL (no memory). */
enum code token_claims_read(struct str text, uint64_t wall_ms, uint64_t max_age_ms,
                            struct token_claims *ret);

#endif
