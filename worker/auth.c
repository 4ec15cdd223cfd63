/* auth - credential to principal.
 *
 * A configured API key wins over what a credential looks like, so that keys of any shape work;
 * all keys are compared, in constant time each, so that the time says nothing about them.
 */
#include "worker/auth.h"

#include "common/digest.h"
#include "common/json.h"
#include "common/pattern.h"

#include <strings.h>

#define BEARER "Bearer"

/* RFC 6750 section 2.1; the scheme is compared without case (RFC 9110 section 11.1). */
static enum code bearer_of(struct str header, struct str *ret)
{
    size_t n = sizeof(BEARER) - 1;
    if (header.n <= n || strncasecmp(header.p, BEARER, n) != 0 || header.p[n] != ' ')
        return CODE_TOKEN_MALFORMED;
    while (n < header.n && header.p[n] == ' ')
        n++;
    *ret = str_make(header.p + n, header.n - n);
    return ret->n ? CODE_OK : CODE_TOKEN_MALFORMED;
}

static const struct conf_api_key *key_of(const struct conf *conf, struct str credential)
{
    const struct conf_api_key *found = NULL;
    uint8_t hash[DIGEST_SIZE];
    sha256(credential.p, credential.n, hash);
    for (size_t i = 0; i < conf->napi_keys; i++)
        if (digest_eq(hash, conf->api_keys[i].sha256, DIGEST_SIZE) && !found)
            found = &conf->api_keys[i];
    return found;
}

static enum code verify(const struct conf *conf, const struct session_keys *keys,
                        struct str credential, uint64_t wall_ms, struct principal *p)
{
    p->key = key_of(conf, credential);
    if (p->key) {
        p->kind = PRINCIPAL_KEY;
        return CODE_OK;
    }
    switch (token_kind_of(credential)) {
    case TOKEN_SESSION:
        p->kind = PRINCIPAL_SESSION;
        p->signer = session_token_signer(credential);
        return session_token_verify(keys, credential, p->session);
    case TOKEN_JWT:
        p->kind = PRINCIPAL_BOOTSTRAP;
        return token_jwt_verify(conf->token_keys, conf->ntoken_keys, credential, wall_ms,
                                conf->token_max_age, &p->claims);
    case TOKEN_OPAQUE:
        break;
    }
    return CODE_TOKEN_UNKNOWN_KEY;
}

enum code principal_of(const struct conf *conf, const struct session_keys *keys, struct str header,
                       struct str query, uint64_t wall_ms, struct principal *ret)
{
    struct principal p = {.kind = PRINCIPAL_NONE};
    struct str credential = query;
    enum code code = CODE_OK;
    if (header.n)
        code = bearer_of(header, &credential);
    if (code == CODE_OK && credential.n > TOKEN_MAX)
        code = CODE_TOKEN_MALFORMED;
    if (code == CODE_OK && credential.n)
        code = verify(conf, keys, credential, wall_ms, &p);
    if (code == CODE_OK)
        *ret = p;
    return code;
}

void principal_free(struct principal *p)
{
    if (p->kind == PRINCIPAL_BOOTSTRAP)
        token_claims_free(&p->claims);
    *p = (struct principal){.kind = PRINCIPAL_NONE};
}

enum code principal_may_session(const struct principal *p, const uint8_t session[SESSION_ID_SIZE])
{
    if (p->kind == PRINCIPAL_SESSION)
        return memcmp(p->session, session, SESSION_ID_SIZE) == 0 ? CODE_OK : CODE_FORBIDDEN;
    return principal_may(p, "sessions", STR("*"));
}

enum code principal_may_send(const struct principal *p)
{
    return principal_may(p, "send", STR("*"));
}

enum code principal_may(const struct principal *p, const char *scope, struct str name)
{
    if (p->kind == PRINCIPAL_NONE)
        return CODE_TOKEN_MISSING;
    if (p->kind == PRINCIPAL_KEY && conf_key_allows(p->key, scope, name))
        return CODE_OK;
    return CODE_FORBIDDEN;
}

#define CLAIM_MAX 512 /* bytes: no longer pattern names a topic */

static bool claims_cover(struct str claims, struct str topic)
{
    struct json_value list, item;
    struct json_iter it;
    if (!claims.n || json_check(claims, &list) != 0)
        return false;
    json_iter_begin(&it, list);
    while (json_next_item(&it, &item)) {
        char memory[CLAIM_MAX];
        struct buf pattern;
        buf_fixed(&pattern, memory, sizeof(memory));
        if (json_string(item, &pattern) == 0 && pattern_matches(buf_str(&pattern), topic))
            return true;
    }
    return false;
}

enum code principal_may_join(const struct principal *p, const struct conf_namespace *ns,
                             struct str claims, struct str topic)
{
    if (!ns->join_claim || claims_cover(claims, topic))
        return CODE_OK;
    bool reads = p->kind == PRINCIPAL_KEY && conf_key_allows(p->key, "read", topic);
    return reads ? CODE_OK : CODE_FORBIDDEN;
}

enum code principal_may_publish(const struct principal *p, const struct conf_namespace *ns,
                                struct str claims, struct str topic)
{
    if (p->kind != PRINCIPAL_SESSION)
        return principal_may(p, "publish", topic);
    return ns->client_publish ? principal_may_join(p, ns, claims, topic) : CODE_FORBIDDEN;
}
