/* msgpack_scan - judging a MessagePack document, and walking one that was judged.
 *
 * msgpack-c reads into a tree: it allocates what a header claims before the bytes are there, and
 * stops at 32 levels. Requests come from strangers and payloads are kept as bytes, so they are read
 * here, in place: one loop without recursion, one counter per level, nothing believed that the
 * bytes at hand could not hold.
 */
#include <errno.h>
#include <math.h>

#include "common/msgpack_token.h"
#include "common/utf8.h"

typedef const unsigned char *at; /* a place in the text */

enum kind { NEVER, SCALAR, UNSIGNED, SIGNED, FLOATING, COUNTED, EXTENSION };

/* The formats 0xc0 to 0xdf: what follows the first byte. */
static const struct format {
    uint8_t kind;
    uint8_t type;  /* enum mp_type */
    uint8_t width; /* bytes of the number behind the first byte */
} formats[32] = {
    {SCALAR, MP_NIL, 0},    {NEVER, 0, 0},           {SCALAR, MP_FALSE, 0},
    {SCALAR, MP_TRUE, 0},   {COUNTED, MP_BIN, 1},    {COUNTED, MP_BIN, 2},
    {COUNTED, MP_BIN, 4},   {EXTENSION, 0, 0},       {EXTENSION, 0, 0},
    {EXTENSION, 0, 0},      {FLOATING, MP_FLOAT, 4}, {FLOATING, MP_FLOAT, 8},
    {UNSIGNED, MP_UINT, 1}, {UNSIGNED, MP_UINT, 2},  {UNSIGNED, MP_UINT, 4},
    {UNSIGNED, MP_UINT, 8}, {SIGNED, MP_INT, 1},     {SIGNED, MP_INT, 2},
    {SIGNED, MP_INT, 4},    {SIGNED, MP_INT, 8},     {EXTENSION, 0, 0},
    {EXTENSION, 0, 0},      {EXTENSION, 0, 0},       {EXTENSION, 0, 0},
    {EXTENSION, 0, 0},      {COUNTED, MP_STR, 1},    {COUNTED, MP_STR, 2},
    {COUNTED, MP_STR, 4},   {COUNTED, MP_ARRAY, 2},  {COUNTED, MP_ARRAY, 4},
    {COUNTED, MP_MAP, 2},   {COUNTED, MP_MAP, 4},
};

static uint64_t big_endian(at p, unsigned width)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < width; i++)
        n = n << 8 | p[i];
    return n;
}

static double floating(uint64_t bits, unsigned width)
{
    if (width == sizeof(float)) {
        uint32_t half = (uint32_t)bits;
        float f;
        memcpy(&f, &half, sizeof(f));
        return (double)f;
    }
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

static void set_integer(struct mp_value *v, int64_t i)
{
    v->type = i < 0 ? MP_INT : MP_UINT;
    if (i < 0)
        v->i = i;
    else
        v->u = (uint64_t)i;
}

/* Of a string, bin, array or map with its count: takes what belongs to it. */
static int counted(enum mp_type type, uint64_t n, at p, at end, struct mp_value *v, at *ret)
{
    size_t rest = (size_t)(end - p);
    v->type = type;
    if (mp_is_container(type)) {
        v->u = n;
        v->bytes = str_make(p, rest);
        *ret = p;
        return mp_values_of(v) <= rest ? 0 : -EINVAL; /* a value is a byte at least */
    }
    if (n > rest)
        return -EINVAL;
    v->bytes = str_make(p, (size_t)n);
    *ret = p + n;
    return 0;
}

int mp_token(at p, at end, struct mp_value *v, at *ret)
{
    unsigned char c = *p++;
    v->bytes = str_make(NULL, 0);
    *ret = p;
    if (c < 0x80 || c >= 0xe0) {
        set_integer(v, (int8_t)c);
        return 0;
    }
    if (c < 0x90)
        return counted(MP_MAP, c & 15, p, end, v, ret);
    if (c < 0xa0)
        return counted(MP_ARRAY, c & 15, p, end, v, ret);
    if (c < 0xc0)
        return counted(MP_STR, c & 31, p, end, v, ret);

    const struct format *f = &formats[c - 0xc0];
    if (f->kind == EXTENSION)
        return -ENOTSUP;
    if (f->kind == NEVER || end - p < f->width)
        return -EINVAL;
    uint64_t n = big_endian(p, f->width);
    unsigned unused = 64 - 8u * f->width;
    p += f->width;
    *ret = p;
    v->type = (enum mp_type)f->type;
    if (f->kind == COUNTED)
        return counted(v->type, n, p, end, v, ret);
    if (f->kind == UNSIGNED)
        v->u = n;
    else if (f->kind == SIGNED)
        set_integer(v, (int64_t)(n << unused) >> unused);
    else if (f->kind == FLOATING)
        v->number = floating(n, f->width);
    return 0;
}

/* What JSON could not say. */
static int judge(const struct mp_value *v, bool key)
{
    if (key && v->type != MP_STR)
        return -ENOKEY;
    if (v->type == MP_STR && !utf8_valid(v->bytes))
        return -EILSEQ;
    if (v->type == MP_FLOAT && !isfinite(v->number))
        return -EDOM;
    return 0;
}

/* Past a value that was checked; p < end. Always moves on. */
static at past_value(at p, at end, struct mp_value *ret)
{
    at from = p;
    uint64_t left = 0;
    int err = mp_token(p, end, ret, &p);
    if (!err && mp_is_container(ret->type))
        left = mp_values_of(ret);
    while (!err && left > 0 && p < end) {
        struct mp_value v;
        err = mp_token(p, end, &v, &p);
        left--;
        if (!err && mp_is_container(v.type))
            left += mp_values_of(&v);
    }
    if (err)
        p = end;
    ret->raw = str_make(from, (size_t)(p - from));
    if (mp_is_container(ret->type) && ret->bytes.p)
        ret->bytes.n = (size_t)((const char *)p - ret->bytes.p);
    return p;
}

int mp_check(struct str text, struct mp_value *ret)
{
    uint64_t left[MP_DEPTH]; /* values still to come on each level; of a map, keys count too */
    uint64_t maps = 0;       /* bit 0: the innermost container is a map */
    unsigned depth = 0;
    at p = (at)text.p;
    at end = text.n ? p + text.n : p;
    struct mp_value v, root = {.type = MP_NIL};

    do {
        if (p == end)
            return -EINVAL;
        bool first = p == (at)text.p;
        /* cppcheck-suppress uninitvar ; written when depth grew */
        bool key = depth > 0 && (maps & 1) && left[depth - 1] % 2 == 0;
        int err = mp_token(p, end, &v, &p);
        if (!err)
            err = judge(&v, key);
        if (err)
            return err;
        if (first)
            root = v;
        if (mp_is_container(v.type)) {
            if (depth == MP_DEPTH)
                return -E2BIG;
            if (v.u > 0) {
                left[depth++] = mp_values_of(&v);
                maps = maps << 1 | (v.type == MP_MAP);
                continue;
            }
        }
        while (depth > 0 && --left[depth - 1] == 0) {
            depth--;
            maps >>= 1;
        }
    } while (depth > 0);
    if (p != end)
        return -EINVAL;
    root.raw = text;
    if (ret)
        *ret = root;
    return 0;
}

const char *mp_error_text(int err)
{
    switch (err) {
    case -E2BIG:
        return "MessagePack nested too deep";
    case -ENOTSUP:
        return "MessagePack extension types are not accepted";
    case -ENOKEY:
        return "a MessagePack map key is not a string";
    case -EDOM:
        return "a MessagePack float is not finite";
    case -EILSEQ:
        return "a MessagePack string is not UTF-8";
    default:
        return "not MessagePack";
    }
}

void mp_iter_begin(struct mp_iter *it, struct mp_value container)
{
    bool has = mp_is_container(container.type);
    it->p = has ? container.bytes.p : NULL;
    it->end = has && container.bytes.n ? it->p + container.bytes.n : it->p;
    it->left = has ? container.u : 0;
}

bool mp_next_item(struct mp_iter *it, struct mp_value *ret)
{
    if (it->left == 0 || it->p == it->end)
        return false;
    it->left--;
    it->p = (const char *)past_value((at)it->p, (at)it->end, ret);
    return true;
}

bool mp_next_member(struct mp_iter *it, struct str *ret_key, struct mp_value *ret)
{
    struct mp_value key;
    if (it->left == 0 || it->p == it->end)
        return false;
    at p = past_value((at)it->p, (at)it->end, &key);
    it->p = (const char *)p;
    if (it->p == it->end || key.type != MP_STR)
        return false;
    it->left--;
    it->p = (const char *)past_value(p, (at)it->end, ret);
    *ret_key = key.bytes;
    return true;
}

int mp_pick(struct mp_value v, const char *const *names, size_t n, struct mp_value *values)
{
    struct mp_iter it;
    struct mp_value member;
    struct str name;

    if (v.type != MP_MAP || !v.raw.p)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        values[i] = (struct mp_value){.type = MP_NIL};
    mp_iter_begin(&it, v);
    while (mp_next_member(&it, &name, &member)) {
        size_t i = 0;
        while (i < n && !str_is(name, names[i]))
            i++;
        if (i == n)
            continue;
        if (values[i].raw.p)
            return -EEXIST;
        values[i] = member;
    }
    return 0;
}
