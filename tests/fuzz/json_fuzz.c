/* json_fuzz - the JSON scanner against a plain reading of RFC 8259, against cJSON, and itself.
 *
 * What holds for any bytes: json_check says what a reader written straight from the grammar says;
 * what it accepts survives json_compact, with the same members in the same order, and is accepted
 * by cJSON; what cJSON prints is accepted; iterators visit only values that stand as documents on
 * their own; and walking or decoding bytes that were never checked stays inside them.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "common/json.h"

#include "tests/fuzz/hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CJSON_NUMBER 62 /* characters of a number that cJSON 1.7 reads */

/* --- the grammar of RFC 8259, one function a rule; a failure is kept and ends everything --- */

struct reader {
    const uint8_t *p, *end;
    int rc;
    bool long_number;
};

static bool at(const struct reader *r, const char *set)
{
    return r->rc == 0 && r->p < r->end && *r->p && strchr(set, *r->p);
}

static bool take(struct reader *r, const char *set)
{
    if (!at(r, set))
        return false;
    r->p++;
    return true;
}

static void need(struct reader *r, const char *set)
{
    if (!take(r, set) && r->rc == 0)
        r->rc = -EINVAL;
}

static void spaces(struct reader *r)
{
    while (take(r, " \t\n\r"))
        ;
}

static void digits(struct reader *r)
{
    need(r, "0123456789");
    while (take(r, "0123456789"))
        ;
}

static unsigned hex4(struct reader *r)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        char digit[2] = {r->p < r->end ? (char)*r->p : 0, 0};
        need(r, "0123456789abcdefABCDEF");
        v = v * 16 + (unsigned)strtoul(digit, NULL, 16);
    }
    return v;
}

static void character(struct reader *r)
{
    if (take(r, "\\")) {
        if (!take(r, "u")) {
            need(r, "\"\\/bfnrt");
            return;
        }
        unsigned unit = hex4(r);
        if (unit >= 0xdc00 && unit <= 0xdfff)
            r->rc = -EINVAL;
        if (unit < 0xd800 || unit > 0xdbff)
            return;
        need(r, "\\");
        need(r, "u");
        unit = hex4(r);
        if (unit < 0xdc00 || unit > 0xdfff)
            r->rc = -EINVAL;
        return;
    }
    /* UTF-8 by arithmetic: decode, then ask whether this is the one way to write it. */
    uint8_t c = *r->p++;
    int more = c < 0x80 ? 0 : c < 0xc0 ? -1 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf8 ? 3 : -1;
    uint32_t point = more > 0 ? c & (0x3fu >> more) : c;
    static const uint32_t least[] = {0x20, 0x80, 0x800, 0x10000};
    for (int i = 0; i < more; i++) {
        if (r->p == r->end || (*r->p & 0xc0) != 0x80) {
            r->rc = -EINVAL;
            return;
        }
        point = point << 6 | (*r->p++ & 0x3f);
    }
    if (more < 0 || point < least[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        r->rc = -EINVAL;
}

static void string(struct reader *r)
{
    need(r, "\"");
    while (r->rc == 0 && r->p < r->end && *r->p != '"')
        character(r);
    need(r, "\"");
}

static void number(struct reader *r)
{
    const uint8_t *start = r->p;
    take(r, "-");
    if (!take(r, "0"))
        digits(r);
    if (take(r, "."))
        digits(r);
    if (take(r, "eE")) {
        take(r, "+-");
        digits(r);
    }
    if (r->p - start > CJSON_NUMBER)
        r->long_number = true;
}

static void word(struct reader *r, const char *z)
{
    for (; *z; z++)
        need(r, (char[]){*z, 0});
}

static void value(struct reader *r, int depth)
{
    spaces(r);
    if (at(r, "[{")) {
        bool object = *r->p == '{';
        const char *close = object ? "}" : "]";
        if (depth == JSON_DEPTH) {
            r->rc = -E2BIG;
            return;
        }
        r->p++;
        spaces(r);
        if (take(r, close))
            return;
        do {
            if (object) {
                spaces(r);
                string(r);
                spaces(r);
                need(r, ":");
            }
            value(r, depth + 1);
            spaces(r);
        } while (take(r, ","));
        need(r, close);
    } else if (at(r, "\"")) {
        string(r);
    } else if (at(r, "n")) {
        word(r, "null");
    } else if (at(r, "t")) {
        word(r, "true");
    } else if (at(r, "f")) {
        word(r, "false");
    } else {
        number(r);
    }
}

static struct reader read_all(struct str text)
{
    struct reader r = {.p = (const uint8_t *)text.p};
    r.end = text.n ? r.p + text.n : r.p;
    value(&r, 0);
    spaces(&r);
    if (r.rc == 0 && r.p != r.end)
        r.rc = -EINVAL;
    return r;
}

/* --- what must hold --- */

/* Every value that a walk of a checked text hands out is a document of its own, and decodes. */
static size_t walk(struct json_value v)
{
    struct json_value x;
    struct json_iter it;
    struct str key;
    struct buf b;
    size_t n = 1;

    HOLD(json_check(v.raw, &x) == 0 && x.type == v.type && str_eq(x.raw, v.raw));
    buf_init(&b, v.raw.n);
    HOLD(json_string(v, &b) == (v.type == JSON_STRING ? 0 : -EINVAL));
    if (v.type == JSON_STRING) {
        HOLD(utf8_valid(buf_str(&b)));
        struct buf again;
        struct json_value quoted;
        buf_init(&again, 6 * b.len + 2);
        HOLD(json_quote(&again, buf_str(&b)) == 0);
        HOLD(json_check(buf_str(&again), &quoted) == 0);
        struct buf back;
        buf_init(&back, b.len);
        HOLD(json_string(quoted, &back) == 0 && str_eq(buf_str(&b), buf_str(&back)));
        buf_free(&back);
        buf_free(&again);
    }
    json_iter_begin(&it, v);
    if (v.type == JSON_OBJECT) {
        while (json_next_member(&it, &key, &x)) {
            HOLD(key.p[-1] == '"' && key.p[key.n] == '"');
            buf_reset(&b);
            HOLD(json_string((struct json_value){JSON_STRING, str_make(key.p - 1, key.n + 2)},
                             &b) == 0);
            if (b.len == 0 || !memchr(b.data, '\0', b.len)) {
                buf_free(&b);
                buf_init(&b, v.raw.n + 1);
                json_string((struct json_value){JSON_STRING, str_make(key.p - 1, key.n + 2)}, &b);
                buf_append_c(&b, '\0');
                HOLD(json_key_is(key, (const char *)b.data));
            }
            n += walk(x);
        }
    } else {
        while (json_next_item(&it, &x))
            n += walk(x);
    }
    HOLD(it.p == it.end);
    buf_free(&b);
    return n;
}

/* Bytes that were never checked: only that nothing leaves them, and that it ends. */
static void walk_unchecked(struct str text, enum json_type type, int depth)
{
    struct json_value v = {.type = type, .raw = text}, x;
    struct json_iter it;
    struct str key;
    struct buf b;
    uint64_t ignored;

    buf_init(&b, text.n);
    json_string((struct json_value){JSON_STRING, text}, &b);
    buf_reset(&b);
    json_compact(v, &b);
    json_u64((struct json_value){JSON_NUMBER, text}, &ignored);
    json_duration((struct json_value){JSON_STRING, text}, &ignored);
    json_key_is(text, "access_token");
    buf_free(&b);
    json_iter_begin(&it, v);
    for (size_t steps = 0;; steps++) {
        HOLD(steps <= text.n);
        bool more = type == JSON_OBJECT ? json_next_member(&it, &key, &x) : json_next_item(&it, &x);
        if (!more)
            break;
        HOLD(x.raw.n > 0 && x.raw.p > text.p && x.raw.p + x.raw.n <= text.p + text.n);
        if (depth < 3)
            walk_unchecked(x.raw, x.type, depth + 1);
    }
}

static void check_accepted(struct str text, struct json_value v, bool long_number)
{
    struct buf compact;
    struct json_value again;

    size_t values = walk(v);
    buf_init(&compact, text.n);
    HOLD(json_compact(v, &compact) == 0);
    HOLD(json_check(buf_str(&compact), &again) == 0);
    HOLD(str_eq(again.raw, buf_str(&compact)) && again.type == v.type);
    HOLD(walk(again) == values);
    struct buf twice;
    buf_init(&twice, compact.len);
    HOLD(json_compact(again, &twice) == 0 && str_eq(buf_str(&twice), buf_str(&compact)));
    buf_free(&twice);
    buf_free(&compact);
    cJSON *tree = cJSON_ParseWithLength(text.p, text.n);
    HOLD(tree || long_number);
    cJSON_Delete(tree);
}

/* cJSON accepts more than JSON; what it prints of it is JSON again, unless bytes were copied that
 * are not UTF-8, or it nests deeper than we do. */
static void check_printed(struct str text)
{
    cJSON *tree = cJSON_ParseWithLength(text.p, text.n);
    char *printed = tree && utf8_valid(text) ? cJSON_PrintUnformatted(tree) : NULL;
    if (printed) {
        int rc = json_check(str_of(printed), NULL);
        HOLD(rc == 0 || rc == -E2BIG);
    }
    cJSON_free(printed);
    cJSON_Delete(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(data, size);
    struct json_value v;
    struct buf quoted;

    struct reader want = read_all(text);
    int rc = json_check(text, &v);
    HOLD(rc == want.rc);
    if (rc == 0)
        check_accepted(text, v, want.long_number);
    check_printed(text);
    if (size > 0) {
        walk_unchecked(text, JSON_OBJECT, 0);
        walk_unchecked(text, JSON_ARRAY, 0);
    }
    buf_init(&quoted, 6 * size + 2);
    HOLD(json_quote(&quoted, text) == 0);
    HOLD(json_check(buf_str(&quoted), &v) == 0 && v.type == JSON_STRING);
    buf_free(&quoted);
    return 0;
}
