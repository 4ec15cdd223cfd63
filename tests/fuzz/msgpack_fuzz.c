/* msgpack_fuzz - the MessagePack reader against a plain reading of its specification, against
 * msgpack-c's unpacker, and itself.
 *
 * What holds for any bytes: mp_check says what a reader written straight from the specification
 * says; msgpack-c reads what is accepted as the same tree; it becomes JSON that json_check accepts,
 * and back and forth again nothing changes any more; what json_check accepts becomes MessagePack
 * that msgpack-c reads to its end; and walking or converting bytes that were never checked stays
 * inside them.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <msgpack.h>

#include "common/msgpack.h"

#include "tests/fuzz/hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIBRARY_DEPTH 30 /* msgpack-c 4.0 stops two levels later */
#define BUFFER_MAX (1u << 24)

/* --- the specification, read plainly; the first thing that is wrong is kept and ends it --- */

struct reader {
    const uint8_t *p, *end;
    int rc;
    int deepest;
};

static uint64_t number(struct reader *r, unsigned width)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < width && r->rc == 0; i++) {
        if (r->p == r->end)
            r->rc = -EINVAL;
        else
            n = n * 256 + *r->p++;
    }
    return n;
}

static void bytes(struct reader *r, uint64_t n, bool text)
{
    if (r->rc)
        return;
    if (n > (uint64_t)(r->end - r->p)) {
        r->rc = -EINVAL;
        return;
    }
    if (text && !utf8_valid(str_make(r->p, (size_t)n)))
        r->rc = -EILSEQ;
    r->p += n;
}

static void value(struct reader *r, int depth, bool key);

static void container(struct reader *r, int depth, uint64_t n, bool map)
{
    if (r->rc)
        return;
    if ((map ? 2 * n : n) > (uint64_t)(r->end - r->p)) {
        r->rc = -EINVAL;
        return;
    }
    if (depth == MP_DEPTH) {
        r->rc = -E2BIG;
        return;
    }
    if (depth + 1 > r->deepest)
        r->deepest = depth + 1;
    for (uint64_t i = 0; i < n && r->rc == 0; i++) {
        if (map)
            value(r, depth + 1, true);
        if (r->rc == 0)
            value(r, depth + 1, false);
    }
}

static void floating(struct reader *r, unsigned width)
{
    uint64_t n = number(r, width);
    uint64_t exponent = width == 4 ? 0x7f800000u : 0x7ff0000000000000u;
    if (r->rc == 0 && (n & exponent) == exponent)
        r->rc = -EDOM;
}

static bool is_text(uint8_t c)
{
    return (c >= 0xa0 && c <= 0xbf) || (c >= 0xd9 && c <= 0xdb);
}

/* A key that is whole, but no string. What is no MessagePack at all is that first. */
static void judge_key(struct reader *r, uint8_t c)
{
    if (r->rc == 0 && !is_text(c))
        r->rc = -ENOKEY;
}

static void value(struct reader *r, int depth, bool key)
{
    if (r->p == r->end) {
        r->rc = -EINVAL;
        return;
    }
    uint8_t c = *r->p++;
    uint64_t n;
    if (key && (c >= 0x80 && c <= 0x9f)) {
        n = c < 0x90 ? 2 * (c & 15u) : c & 15u;
        r->rc = n > (uint64_t)(r->end - r->p) ? -EINVAL : -ENOKEY;
    } else if (key && c >= 0xdc && c <= 0xdf) {
        n = number(r, c & 1 ? 4 : 2) * (c >= 0xde ? 2 : 1);
        if (r->rc == 0)
            r->rc = n > (uint64_t)(r->end - r->p) ? -EINVAL : -ENOKEY;
    } else if (key && (c == 0xca || c == 0xcb)) {
        number(r, c == 0xca ? 4 : 8);
    } else if (c <= 0x7f || c >= 0xe0) {
    } else if (c <= 0x8f) {
        container(r, depth, c & 15, true);
    } else if (c <= 0x9f) {
        container(r, depth, c & 15, false);
    } else if (c <= 0xbf) {
        bytes(r, c & 31, true);
    } else if (c == 0xc1) {
        r->rc = -EINVAL;
    } else if (c <= 0xc3) {
    } else if (c <= 0xc6) {
        n = number(r, 1u << (c - 0xc4));
        bytes(r, n, false);
    } else if (c <= 0xc9 || (c >= 0xd4 && c <= 0xd8)) {
        r->rc = -ENOTSUP;
    } else if (c <= 0xcb) {
        floating(r, c == 0xca ? 4 : 8);
    } else if (c <= 0xcf) {
        number(r, 1u << (c - 0xcc));
    } else if (c <= 0xd3) {
        number(r, 1u << (c - 0xd0));
    } else if (c <= 0xdb) {
        n = number(r, 1u << (c - 0xd9));
        bytes(r, n, true);
    } else {
        n = number(r, c & 1 ? 4 : 2);
        container(r, depth, n, c >= 0xde);
    }
    if (key)
        judge_key(r, c);
}

static int by_the_book(struct str text, int *ret_depth)
{
    struct reader r = {.p = (const uint8_t *)text.p, .end = (const uint8_t *)text.p + text.n};
    value(&r, 0, false);
    *ret_depth = r.deepest;
    return r.rc ? r.rc : r.p == r.end ? 0 : -EINVAL;
}

/* --- the same tree as msgpack-c reads --- */

static void same(const struct mp_value *v, const msgpack_object *o)
{
    struct mp_iter it;
    struct mp_value item;
    struct str key;
    uint32_t i = 0;
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        HOLD(v->type == MP_NIL);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        HOLD(v->type == (o->via.boolean ? MP_TRUE : MP_FALSE));
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        HOLD(v->type == MP_UINT && v->u == o->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        HOLD(v->type == MP_INT && v->i == o->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        HOLD(v->type == MP_FLOAT && v->number == o->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        HOLD(v->type == MP_STR && str_eq(v->bytes, str_make(o->via.str.ptr, o->via.str.size)));
        break;
    case MSGPACK_OBJECT_BIN:
        HOLD(v->type == MP_BIN && str_eq(v->bytes, str_make(o->via.bin.ptr, o->via.bin.size)));
        break;
    case MSGPACK_OBJECT_ARRAY:
        HOLD(v->type == MP_ARRAY && v->u == o->via.array.size);
        mp_iter_begin(&it, *v);
        while (mp_next_item(&it, &item))
            same(&item, &o->via.array.ptr[i++]);
        HOLD(i == o->via.array.size);
        break;
    case MSGPACK_OBJECT_MAP:
        HOLD(v->type == MP_MAP && v->u == o->via.map.size);
        mp_iter_begin(&it, *v);
        while (mp_next_member(&it, &key, &item)) {
            const msgpack_object *k = &o->via.map.ptr[i].key;
            HOLD(k->type == MSGPACK_OBJECT_STR);
            HOLD(str_eq(key, str_make(k->via.str.ptr, k->via.str.size)));
            same(&item, &o->via.map.ptr[i++].val);
        }
        HOLD(i == o->via.map.size);
        break;
    case MSGPACK_OBJECT_EXT:
        HOLD(!"an extension type was accepted");
    }
}

static void against_library(struct str text, const struct mp_value *v)
{
    msgpack_unpacked read;
    size_t off = 0;
    msgpack_unpacked_init(&read);
    HOLD(msgpack_unpack_next(&read, text.p, text.n, &off) == MSGPACK_UNPACK_SUCCESS);
    HOLD(off == text.n);
    if (v)
        same(v, &read.data);
    msgpack_unpacked_destroy(&read);
}

/* --- there and back --- */

static void to_json(struct str text, struct buf *json)
{
    struct mp_value v;
    HOLD(mp_check(text, &v) == 0);
    buf_reset(json);
    HOLD(mp_to_json(v, json) == 0);
    HOLD(json->len <= MP_JSON_GROWTH * text.n);
}

static void from_json(struct str text, struct buf *b)
{
    struct json_value v;
    HOLD(json_check(text, &v) == 0);
    buf_reset(b);
    HOLD(mp_from_json(v, b) == 0);
}

static void there_and_back(struct str text, const struct mp_value *v)
{
    struct buf json, bytes, again;
    buf_init(&json, BUFFER_MAX);
    buf_init(&bytes, BUFFER_MAX);
    buf_init(&again, BUFFER_MAX);
    HOLD(mp_to_json(*v, &json) == 0);
    HOLD(json.len <= MP_JSON_GROWTH * text.n);
    /* Only bytes have changed, into text, and headers into the shortest: from here on it is stable.
     */
    from_json(buf_str(&json), &bytes);
    to_json(buf_str(&bytes), &again);
    HOLD(str_eq(buf_str(&json), buf_str(&again)));
    from_json(buf_str(&again), &json);
    HOLD(str_eq(buf_str(&json), buf_str(&bytes)));
    buf_free(&json);
    buf_free(&bytes);
    buf_free(&again);
}

/* Numbers that became infinite are all that JSON can bring and a publisher may not. */
static void as_json(struct str text, const struct json_value *v)
{
    struct buf bytes;
    int depth;
    buf_init(&bytes, BUFFER_MAX);
    HOLD(mp_from_json(*v, &bytes) == 0);
    int err = by_the_book(buf_str(&bytes), &depth);
    HOLD(err == 0 || err == -EDOM);
    HOLD(mp_check(buf_str(&bytes), NULL) == err);
    if (err == 0 && depth <= LIBRARY_DEPTH)
        against_library(buf_str(&bytes), NULL);
    (void)text;
    buf_free(&bytes);
}

static void unchecked(struct str text)
{
    struct buf b;
    struct mp_iter it;
    struct mp_value v;
    struct str key;
    buf_init(&b, BUFFER_MAX);
    mp_to_json((struct mp_value){.type = MP_ARRAY, .raw = text, .bytes = text, .u = 1000}, &b);
    buf_reset(&b);
    mp_from_json((struct json_value){.type = JSON_ARRAY, .raw = text}, &b);
    buf_free(&b);
    const struct mp_value forged = {.type = MP_MAP, .raw = text, .bytes = text, .u = 1000};
    mp_iter_begin(&it, forged);
    while (mp_next_member(&it, &key, &v)) {
        HOLD(v.raw.p >= text.p && v.raw.p + v.raw.n <= text.p + text.n);
        HOLD(v.raw.n > 0);
    }
    mp_iter_begin(&it, forged);
    while (mp_next_item(&it, &v))
        HOLD(v.raw.n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(data, size);
    struct mp_value v;
    struct json_value j;
    int depth, rc = mp_check(text, &v);
    HOLD(rc == by_the_book(text, &depth));
    if (rc == 0) {
        if (depth <= LIBRARY_DEPTH)
            against_library(text, &v);
        there_and_back(text, &v);
    }
    if (json_check(text, &j) == 0)
        as_json(text, &j);
    unchecked(text);
    return 0;
}
