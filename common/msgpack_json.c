/* msgpack_json - MessagePack to JSON and JSON to MessagePack, both in one pass without recursion.
 *
 * The way to JSON counts down what each level still holds. The way back meets the closing bracket
 * before it knows how many items there were: a byte is left free for the header, and where the
 * header turns out longer, what follows it is moved. A byte is moved at most once a level.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ids.h"
#include "common/json_bytes.h"
#include "common/msgpack_token.h"

typedef const unsigned char *at;

#define DOUBLE_TEXT 32
#define DOUBLE_DIGITS 17 /* enough to tell any two apart */
#define DOUBLE_SHORT 15  /* what any of them can hold */

/* --- to JSON --- */

/* The fewest digits, from 15 on, that read back as the same number; never as an integer. */
static void put_number(struct buf *b, double number)
{
    char text[DOUBLE_TEXT];
    int digits = DOUBLE_SHORT;
    if (!isfinite(number)) { /* never in a document that was checked */
        buf_append_z(b, "null");
        return;
    }
    do
        snprintf(text, sizeof(text), "%.*g", digits, number);
    while (digits++ < DOUBLE_DIGITS && strtod(text, NULL) != number);
    buf_append_z(b, text);
    if (!strpbrk(text, ".e"))
        buf_append_z(b, ".0");
}

static void put_integer(struct buf *b, int64_t i)
{
    buf_append_c(b, '-');
    buf_append_u64(b, -(uint64_t)i);
}

static void put_base64(struct buf *b, struct str bytes)
{
    size_t n = (bytes.n + 2) / 3 * 4;
    buf_append_c(b, '"');
    if (!b->error && buf_reserve(b, n + 1) == 0)
        b->len += b64_encode(bytes.p, bytes.n, (char *)b->data + b->len);
    buf_append_c(b, '"');
}

static void put_scalar(struct buf *b, const struct mp_value *v)
{
    switch (v->type) {
    case MP_NIL:
    case MP_ARRAY: /* not scalars */
    case MP_MAP:
        buf_append_z(b, "null");
        break;
    case MP_FALSE:
        buf_append_z(b, "false");
        break;
    case MP_TRUE:
        buf_append_z(b, "true");
        break;
    case MP_UINT:
        buf_append_u64(b, v->u);
        break;
    case MP_INT:
        put_integer(b, v->i);
        break;
    case MP_FLOAT:
        put_number(b, v->number);
        break;
    case MP_STR:
        json_quote(b, v->bytes);
        break;
    case MP_BIN:
        put_base64(b, v->bytes);
        break;
    }
}

static void put_bracket(struct buf *b, bool map, bool closing)
{
    buf_append_c(b, "[]{}"[2 * map + closing]);
}

int mp_to_json(struct mp_value v, struct buf *b)
{
    uint64_t left[MP_DEPTH]; /* as in mp_check */
    uint64_t maps = 0;
    unsigned depth = 0;
    bool first = true; /* nothing stands before it in its container */
    at p = (at)v.raw.p;
    at end = v.raw.n ? p + v.raw.n : p;

    while (p < end && !b->error) {
        struct mp_value t;
        if (mp_token(p, end, &t, &p) != 0)
            return -EINVAL;
        if (!first)
            buf_append_c(b, (maps & 1) && left[depth - 1] % 2 ? ':' : ',');
        first = false;
        if (!mp_is_container(t.type)) {
            put_scalar(b, &t);
        } else {
            bool map = t.type == MP_MAP;
            put_bracket(b, map, false);
            if (t.u > 0) {
                if (depth == MP_DEPTH)
                    return -E2BIG;
                left[depth++] = mp_values_of(&t);
                maps = maps << 1 | map;
                first = true;
                continue;
            }
            put_bracket(b, map, true);
        }
        while (depth > 0 && --left[depth - 1] == 0) {
            put_bracket(b, maps & 1, true);
            depth--;
            maps >>= 1;
        }
        if (depth == 0)
            break;
    }
    return b->error;
}

/* --- from JSON --- */

/* Its length is known when it is decoded. */
static void put_escaped(struct buf *b, struct str raw)
{
    const struct json_value v = {.type = JSON_STRING, .raw = raw};
    size_t from = b->len;
    buf_append_c(b, 0);
    if (json_string(v, b) == 0)
        mp_put_header(b, from, MP_STR, b->len - from - 1);
}

/* raw: with its quotes. */
static void put_text(struct buf *b, struct str raw)
{
    if (raw.n < 2)
        mp_put_nil(b);
    else if (!memchr(raw.p, '\\', raw.n))
        mp_put_str(b, str_make(raw.p + 1, raw.n - 2));
    else
        put_escaped(b, raw);
}

/* Read behind the buffer's end, where there is room for the NUL that strtod needs. */
static void put_double(struct buf *b, struct str text)
{
    if (buf_reserve(b, text.n) != 0)
        return;
    char *copy = (char *)b->data + b->len;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    mp_put_double(b, strtod(copy, NULL));
}

static void put_json_number(struct buf *b, struct str text)
{
    uint64_t n;
    bool negative = text.p[0] == '-';
    struct str digits = negative ? str_make(text.p + 1, text.n - 1) : text;
    if (u64_parse(digits, &n) != 0)
        put_double(b, text); /* a fraction, an exponent, or longer than 64 bits */
    else if (!negative)
        mp_put_u64(b, n);
    else if (n > 0 && n <= (uint64_t)INT64_MAX + 1)
        mp_put_i64(b, (int64_t)-n);
    else
        put_double(b, text);
}

static bool in_number(unsigned char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
}

/* The scalar at p; returns what follows. Always moves on. */
static at put_json_scalar(struct buf *b, at p, at end)
{
    at to = p + 1;
    switch (*p) {
    case '"':
        to = bytes_past_string(p + 1, end);
        put_text(b, str_make(p, (size_t)(to - p)));
        return to;
    case 'n':
        mp_put_nil(b);
        break;
    case 't':
    case 'f':
        mp_put_bool(b, *p == 't');
        break;
    default:
        while (to < end && in_number(*to))
            to++;
        put_json_number(b, str_make(p, (size_t)(to - p)));
        return to;
    }
    while (to < end && *to >= 'a' && *to <= 'z')
        to++;
    return to;
}

struct level {
    size_t at;  /* of its header in the buffer */
    uint64_t n; /* values in it so far; of an object, keys count too */
    bool object;
};

static void put_level(struct buf *b, const struct level *l)
{
    mp_put_header(b, l->at, l->object ? MP_MAP : MP_ARRAY, (size_t)(l->object ? l->n / 2 : l->n));
}

int mp_from_json(struct json_value v, struct buf *b)
{
    struct level levels[JSON_DEPTH + MP_WRAP];
    unsigned depth = 0;
    at p = (at)v.raw.p;
    at end = v.raw.n ? p + v.raw.n : p;

    while (p < end && !b->error) {
        unsigned char c = *p;
        if (byte_is_space(c) || c == ',' || c == ':') {
            p++;
            continue;
        }
        if (c == '{' || c == '[') {
            if (depth == JSON_DEPTH + MP_WRAP)
                return -E2BIG;
            levels[depth++] = (struct level){.at = b->len, .object = c == '{'};
            buf_append_c(b, 0);
            p++;
            continue;
        }
        if ((c == '}' || c == ']') && depth > 0) {
            put_level(b, &levels[--depth]);
            p++;
        } else {
            p = put_json_scalar(b, p, end);
        }
        if (depth == 0)
            break;
        levels[depth - 1].n++;
    }
    return b->error;
}
