/* token_jwt - JSON Web Tokens in compact form (RFC 7515, RFC 7519): whose key, is it signed, what
 * does it say; in that order, so that no claim is believed before its signature.
 *
 * The key decides the algorithm and the header must agree: what a header asks for is never done
 * (RFC 8725 section 3.1). Keys inside a token (jwk, jku, x5u) are not looked at.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/token_claims.h"

#define PART_MAX (TOKEN_MAX / 4 * 3) /* bytes that a part can decode to */
#define KID_MAX 255                  /* as long as a title of the configuration may be */

static const char *const algorithms[] = {[CONF_HS256] = "HS256"};
#define ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

enum part { HEADER, CLAIMS, SIGNATURE, PARTS };

/* Three parts between two dots, none of them empty. */
static bool split(struct str token, struct str part[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        const char *dot = token.n ? memchr(token.p, '.', token.n) : NULL;
        if ((dot != NULL) != (i + 1 < PARTS))
            return false;
        part[i] = str_make(token.p, dot ? (size_t)(dot - token.p) : token.n);
        if (part[i].n == 0)
            return false;
        if (dot)
            token = str_make(dot + 1, token.n - part[i].n - 1);
    }
    return true;
}

static bool is_string(struct json_value v, const char *z)
{
    char text[KID_MAX + 1];
    struct buf b;

    buf_fixed(&b, text, sizeof(text));
    return json_string(v, &b) == 0 && str_is(buf_str(&b), z);
}

/* `alg` must name what the key is for; `kid` may be left out when there is no choice. */
static enum code find_key(const struct conf_token_key *keys, size_t nkeys, struct str header,
                          const struct conf_token_key **ret)
{
    static const char *const names[] = {"alg", "kid", "crit"};
    struct json_value object, v[3];
    const struct json_value *alg = &v[0], *kid = &v[1], *crit = &v[2];
    const struct conf_token_key *key = nkeys == 1 ? keys : NULL;
    size_t a = 0;

    if (!token_object(header, TOKEN_HEADER_MAX, &object) || json_pick(object, names, 3, v))
        return CODE_TOKEN_MALFORMED;
    /* crit lists extensions that must be understood (RFC 7515 section 4.1.11); none is. */
    if (crit->raw.p || !alg->raw.p || (kid->raw.p && kid->type != JSON_STRING))
        return CODE_TOKEN_MALFORMED;
    while (a < ALGORITHMS && !is_string(*alg, algorithms[a]))
        a++;
    if (a == ALGORITHMS)
        return CODE_TOKEN_MALFORMED;
    if (kid->raw.p) {
        key = NULL;
        for (size_t i = 0; i < nkeys && !key; i++)
            if (is_string(*kid, keys[i].kid))
                key = &keys[i];
    }
    if (!key)
        return CODE_TOKEN_UNKNOWN_KEY;
    if ((size_t)key->algorithm != a)
        return CODE_TOKEN_MALFORMED;
    *ret = key;
    return CODE_OK;
}

enum code token_jwt_verify(const struct conf_token_key *keys, size_t nkeys, struct str token,
                           uint64_t wall_ms, uint64_t max_age_ms, struct token_claims *ret)
{
    uint8_t text[PART_MAX], mac[DIGEST_SIZE], given[PART_MAX];
    const struct conf_token_key *key;
    struct str part[PARTS];

    if (token.n > TOKEN_MAX || !split(token, part))
        return CODE_TOKEN_MALFORMED;
    int n = b64url_decode(part[HEADER], text, sizeof(text));
    int given_n = b64url_decode(part[SIGNATURE], given, sizeof(given));
    if (n < 0 || given_n < 0)
        return CODE_TOKEN_MALFORMED;
    enum code code = find_key(keys, nkeys, str_make(text, (size_t)n), &key);
    if (code != CODE_OK)
        return code;
    hmac_sha256(str_make(key->secret, key->secret_len),
                str_make(token.p, part[HEADER].n + 1 + part[CLAIMS].n), mac);
    if (given_n != DIGEST_SIZE || !digest_eq(mac, given, DIGEST_SIZE))
        return CODE_TOKEN_BAD_SIGNATURE;
    n = b64url_decode(part[CLAIMS], text, sizeof(text));
    if (n < 0)
        return CODE_TOKEN_MALFORMED;
    return token_claims_read(str_make(text, (size_t)n), wall_ms, max_age_ms, ret);
}

static int append_part(struct buf *out, const void *data, size_t n)
{
    int rc = buf_reserve(out, n * 4 / 3 + 3);

    if (rc == 0)
        out->len += b64url_encode(data, n, (char *)out->data + out->len);
    return rc;
}

/* Writes the claims set and judges it by the rules of the other side: what is minted is accepted.
 */
static int write_claims(struct str subject, struct str topics, struct str attributes,
                        uint64_t wall_ms, uint64_t max_age_ms, struct buf *b)
{
    struct token_claims claims;
    uint64_t iat = wall_ms / 1000, exp = (wall_ms + max_age_ms + 999) / 1000;

    if (!utf8_valid(subject) || (topics.n && json_check(topics, NULL)) ||
        (attributes.n && json_check(attributes, NULL)))
        return -EINVAL;
    buf_append_z(b, "{\"sub\":");
    json_quote(b, subject);
    buf_printf(b, ",\"iat\":%llu,\"exp\":%llu", (unsigned long long)iat, (unsigned long long)exp);
    buf_append_z(b, topics.n ? ",\"topics\":" : "");
    buf_append_str(b, topics);
    buf_append_z(b, attributes.n ? ",\"attributes\":" : "");
    buf_append_str(b, attributes);
    buf_append_c(b, '}');
    if (b->error)
        return b->error;
    enum code code = token_claims_read(buf_str(b), wall_ms, max_age_ms, &claims);
    if (code == CODE_INTERNAL)
        return -ENOMEM;
    if (code != CODE_OK)
        return -EINVAL;
    token_claims_free(&claims);
    return 0;
}

int token_jwt_mint(const struct conf_token_key *key, struct str subject, struct str topics,
                   struct str attributes, uint64_t wall_ms, uint64_t max_age_ms, struct buf *out)
{
    uint8_t mac[DIGEST_SIZE];
    struct buf b, token;
    char header[2 * KID_MAX + 64], claims[PART_MAX], text[TOKEN_MAX + 1];

    must((size_t)key->algorithm < ALGORITHMS);
    buf_fixed(&b, header, sizeof(header));
    buf_printf(&b, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":", algorithms[key->algorithm]);
    json_quote(&b, str_of(key->kid));
    buf_append_c(&b, '}');
    buf_fixed(&token, text, sizeof(text));
    int rc = b.error ? b.error : append_part(&token, header, b.len);
    buf_fixed(&b, claims, sizeof(claims));
    if (rc == 0)
        rc = write_claims(subject, topics, attributes, wall_ms, max_age_ms, &b);
    buf_append_c(&token, '.');
    if (rc == 0)
        rc = append_part(&token, claims, b.len);
    if (rc)
        return rc;
    hmac_sha256(str_make(key->secret, key->secret_len), buf_str(&token), mac);
    buf_append_c(&token, '.');
    rc = append_part(&token, mac, sizeof(mac));
    if (rc == 0)
        rc = token.error;
    return rc ? rc : buf_append_str(out, buf_str(&token));
}
