/* token_claims - see token_claims.h.
 *
 * Claims are read in place by the scanner that keeps bytes, so attributes keep their numbers as
 * they were signed, and a string with a NUL inside is seen whole and refused.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/token_claims.h"

#define TEXT_MAX 255                /* bytes of a subject, topic pattern or jti */
#define TOPICS_MAX 1000             /* of one token */
#define NUMBER_MAX 63               /* characters of a time */
#define DATE_MAX_S 253402300799.0   /* the last second of the year 9999 */
#define DATE_MAX_MS 253402300799999 /* and its last millisecond */

enum claim { SUB, EXP, NBF, IAT, JTI, TOPICS, ATTRIBUTES, CLAIMS };

static const char *const names[CLAIMS] = {"sub", "exp",    "nbf",       "iat",
                                          "jti", "topics", "attributes"};

void token_claims_free(struct token_claims *c)
{
    for (size_t i = 0; i < c->ntopics; i++)
        free(c->topics[i]);
    free(c->topics);
    free(c->subject);
    free(c->attributes);
    free(c->jti);
    *c = (struct token_claims){0};
}

/* Two keys are the same when they are so after their escapes are decoded. A raw key is shorter than
 * the text it came from, and so is what it decodes to. */
static bool same_key(struct str a, struct str b)
{
    char x[TOKEN_MAX], y[TOKEN_MAX];
    struct buf p, q;

    if (!memchr(a.p, '\\', a.n) && !memchr(b.p, '\\', b.n))
        return str_eq(a, b);
    buf_fixed(&p, x, sizeof(x));
    buf_fixed(&q, y, sizeof(y));
    /* The quotes stand around a raw key. */
    int rc = json_string((struct json_value){JSON_STRING, {a.p - 1, a.n + 2}}, &p);
    if (rc == 0)
        rc = json_string((struct json_value){JSON_STRING, {b.p - 1, b.n + 2}}, &q);
    return rc < 0 || str_eq(buf_str(&p), buf_str(&q));
}

bool token_object(struct str text, size_t max, struct json_value *ret)
{
    struct str keys[TOKEN_CLAIMS_MAX];
    struct json_value object, member;
    struct json_iter it;
    size_t n = 0;

    must(max <= TOKEN_CLAIMS_MAX);
    if (json_check(text, &object) || object.type != JSON_OBJECT)
        return false;
    json_iter_begin(&it, object);
    for (struct str key; json_next_member(&it, &key, &member); n++) {
        if (n == max)
            return false;
        for (size_t i = 0; i < n; i++)
            if (same_key(keys[i], key))
                return false;
        keys[n] = key;
    }
    *ret = object;
    return true;
}

/* Control characters are C0, DEL and C1 (U+0080..U+009F). */
static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)
            return true;
    }
    return false;
}

/* A string of 1..TEXT_MAX bytes. */
static enum code read_text(struct json_value v, char **ret)
{
    char text[TEXT_MAX + 1];
    struct buf b;

    buf_fixed(&b, text, sizeof(text));
    if (json_string(v, &b) || b.len == 0 || has_control(buf_str(&b)))
        return CODE_TOKEN_MALFORMED;
    *ret = strndup(text, b.len);
    return *ret ? CODE_OK : CODE_INTERNAL;
}

static enum code read_topics(struct json_value v, struct token_claims *c)
{
    struct json_iter it;
    struct json_value item;
    size_t n = 0;

    if (v.type != JSON_ARRAY)
        return CODE_TOKEN_MALFORMED;
    json_iter_begin(&it, v);
    while (json_next_item(&it, &item))
        n++;
    if (n > TOPICS_MAX)
        return CODE_TOKEN_MALFORMED;
    c->topics = calloc(n ? n : 1, sizeof(c->topics[0])); /* none of them is not no claim */
    if (!c->topics)
        return CODE_INTERNAL;
    json_iter_begin(&it, v);
    while (json_next_item(&it, &item)) {
        enum code code = read_text(item, &c->topics[c->ntopics]);
        if (code)
            return code;
        c->ntopics++;
    }
    return CODE_OK;
}

static enum code read_attributes(struct json_value v, struct token_claims *c)
{
    char text[TOKEN_MAX];
    struct buf b;

    if (v.type != JSON_OBJECT)
        return CODE_TOKEN_MALFORMED;
    buf_fixed(&b, text, sizeof(text));
    if (json_compact(v, &b))
        return CODE_TOKEN_MALFORMED;
    c->attributes = strndup(text, b.len);
    return c->attributes ? CODE_OK : CODE_INTERNAL;
}

/* NumericDate of RFC 7519 section 2: seconds, fractions allowed. Times past the year 9999 (either
 * way) are that year. */
static bool read_date(struct json_value v, int64_t *ret_ms)
{
    char text[NUMBER_MAX + 1];

    if (v.type != JSON_NUMBER || v.raw.n > NUMBER_MAX)
        return false;
    memcpy(text, v.raw.p, v.raw.n);
    text[v.raw.n] = 0;
    double s = strtod(text, NULL);
    if (!isfinite(s))
        return false;
    s = fmin(fmax(s, -DATE_MAX_S), DATE_MAX_S);
    *ret_ms = (int64_t)floor(s * 1000.0 + 0.5);
    return true;
}

struct times {
    bool has_nbf, has_iat;
    int64_t exp, nbf, iat; /* milliseconds */
};

static bool read_times(const struct json_value v[CLAIMS], struct times *ret)
{
    struct times t = {.has_nbf = v[NBF].raw.p, .has_iat = v[IAT].raw.p};

    if (!v[EXP].raw.p || !read_date(v[EXP], &t.exp) || (t.has_nbf && !read_date(v[NBF], &t.nbf)) ||
        (t.has_iat && !read_date(v[IAT], &t.iat)))
        return false;
    *ret = t;
    return true;
}

static enum code judge_times(const struct times *t, uint64_t wall_ms, uint64_t max_age_ms)
{
    int64_t now = (int64_t)(wall_ms < DATE_MAX_MS ? wall_ms : DATE_MAX_MS);
    int64_t max_age = (int64_t)(max_age_ms < DATE_MAX_MS ? max_age_ms : DATE_MAX_MS);

    if (now >= t->exp + TOKEN_LEEWAY_MS)
        return CODE_TOKEN_EXPIRED;
    if (t->has_iat && now - t->iat > max_age + TOKEN_LEEWAY_MS)
        return CODE_TOKEN_EXPIRED;
    if ((t->has_iat && t->iat > now + TOKEN_LEEWAY_MS) ||
        (t->has_nbf && t->nbf > now + TOKEN_LEEWAY_MS))
        return CODE_TOKEN_NOT_YET_VALID;
    return CODE_OK;
}

static enum code read_claims(const struct json_value v[CLAIMS], struct token_claims *c)
{
    enum code code = v[SUB].raw.p ? read_text(v[SUB], &c->subject) : CODE_TOKEN_MALFORMED;

    if (code == CODE_OK && v[JTI].raw.p)
        code = read_text(v[JTI], &c->jti);
    if (code == CODE_OK && v[TOPICS].raw.p)
        code = read_topics(v[TOPICS], c);
    if (code == CODE_OK && v[ATTRIBUTES].raw.p)
        code = read_attributes(v[ATTRIBUTES], c);
    return code;
}

enum code token_claims_read(struct str text, uint64_t wall_ms, uint64_t max_age_ms,
                            struct token_claims *ret)
{
    struct token_claims c = {0};
    struct json_value object, v[CLAIMS];
    struct times times;

    if (!token_object(text, TOKEN_CLAIMS_MAX, &object) || json_pick(object, names, CLAIMS, v) ||
        !read_times(v, &times))
        return CODE_TOKEN_MALFORMED;
    enum code code = read_claims(v, &c);
    if (code == CODE_OK)
        code = judge_times(&times, wall_ms, max_age_ms);
    if (code != CODE_OK) {
        token_claims_free(&c);
        return code;
    }
    c.exp_ms = times.exp > 0 ? (uint64_t)times.exp : 0;
    *ret = c;
    return CODE_OK;
}
