/* json_scan - judging a JSON document, and walking one that was judged.
 *
 * The check is one loop without recursion: the nesting is one bit per level (array or object) in
 * one word, so depth costs no stack. The walk skips values by their brackets and quotes alone.
 */
#include <errno.h>

#include "common/json.h"
#include "common/json_bytes.h"

typedef const unsigned char *at; /* a place in the text; NULL: not JSON */

_Static_assert(JSON_DEPTH <= 64, "one bit of a word per level");

static at space(at p, at end)
{
    while (p < end && byte_is_space(*p))
        p++;
    return p;
}

static at literal(at p, at end, const char *word, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

static at digits(at p, at end)
{
    at start = p;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > start ? p : NULL;
}

static at number(at p, at end)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0')
        p++;
    else
        p = digits(p, end);
    if (p && p < end && *p == '.')
        p = digits(p + 1, end);
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = digits(p, end);
    }
    return p;
}

/* The escape whose backslash is at p: past it. Surrogates come in pairs, high then low. */
static at escape(at p, at end)
{
    if (end - p < 2)
        return NULL;
    if (p[1] != 'u')
        return strchr("\"\\/bfnrt", p[1]) && p[1] ? p + 2 : NULL;
    int32_t unit = bytes_hex4(p + 2, end);
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return NULL;
    p += 6;
    if (unit < 0xd800 || unit > 0xdbff)
        return p;
    if (end - p < 2 || p[0] != '\\' || p[1] != 'u')
        return NULL;
    int32_t low = bytes_hex4(p + 2, end);
    return low >= 0xdc00 && low <= 0xdfff ? p + 6 : NULL;
}

/* A string whose opening quote is behind p: past its closing quote. */
static at string(at p, at end)
{
    for (;;) {
        p = bytes_plain(p, end);
        if (p == end || *p < 0x20)
            return NULL;
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            p = escape(p, end);
            if (!p)
                return NULL;
        } else {
            size_t n = utf8_sequence(p, end);
            if (n == 0)
                return NULL;
            p += n;
        }
    }
}

/* From the place where a member's key must stand to the place after its colon. */
static at key(at p, at end)
{
    p = space(p, end);
    if (p == end || *p != '"')
        return NULL;
    p = string(p + 1, end);
    if (!p)
        return NULL;
    p = space(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

static at scalar(at p, at end)
{
    switch (*p) {
    case '"':
        return string(p + 1, end);
    case 'n':
        return literal(p, end, "null", 4);
    case 't':
        return literal(p, end, "true", 4);
    case 'f':
        return literal(p, end, "false", 5);
    default:
        return number(p, end);
    }
}

/* One value of any kind at p: 0 and the place after it, -EINVAL, -E2BIG. */
static int value(at p, at end, at *ret)
{
    uint64_t objects = 0; /* bit 0: the innermost container is an object */
    unsigned depth = 0;

    for (;;) {
        p = space(p, end);
        if (p == end)
            return -EINVAL;
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (depth == JSON_DEPTH)
                return -E2BIG;
            depth++;
            objects = objects << 1 | object;
            p = space(p + 1, end);
            if (p == end)
                return -EINVAL;
            if (*p != (object ? '}' : ']')) {
                if (object)
                    p = key(p, end);
                if (!p)
                    return -EINVAL;
                continue;
            }
            p++;
            depth--;
            objects >>= 1;
        } else {
            p = scalar(p, end);
            if (!p)
                return -EINVAL;
        }
        for (;;) { /* after a value: the end, a comma, or brackets that close */
            if (depth == 0) {
                *ret = p;
                return 0;
            }
            p = space(p, end);
            if (p == end)
                return -EINVAL;
            bool object = objects & 1;
            if (*p == ',') {
                p = object ? key(p + 1, end) : p + 1;
                if (!p)
                    return -EINVAL;
                break;
            }
            if (*p != (object ? '}' : ']'))
                return -EINVAL;
            p++;
            depth--;
            objects >>= 1;
        }
    }
}

static enum json_type type_of(unsigned char first)
{
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 'n':
        return JSON_NULL;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    default:
        return JSON_NUMBER;
    }
}

static struct json_value value_of(at from, at to)
{
    return (struct json_value){.type = type_of(*from), .raw = str_make(from, (size_t)(to - from))};
}

/* Past a container that was checked: its brackets balance. */
static at past_container(at p, at end)
{
    size_t depth = 0;

    while (p < end) {
        unsigned char c = *p++;
        if (c == '"') {
            p = bytes_past_string(p, end);
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
            if (depth == 0)
                return p;
        }
    }
    return end;
}

/* Past a value that was checked; p < end. Always moves on. */
static at past_value(at p, at end)
{
    if (*p == '"')
        return bytes_past_string(p + 1, end);
    if (*p == '{' || *p == '[')
        return past_container(p, end);
    do
        p++;
    while (p < end && *p != ',' && *p != '}' && *p != ']' && !byte_is_space(*p));
    return p;
}

/* To the next element's first byte; NULL at the end of the container. */
static at next_element(struct json_iter *it)
{
    at end = (at)it->end;
    at p = space((at)it->p, end);

    if (!it->first && p < end && *p == ',')
        p = space(p + 1, end);
    it->first = false;
    it->p = (const char *)p;
    return p < end ? p : NULL;
}

/* Most of the names a key is held against differ in their first letter. */
static bool plain_key_is(struct str key, const char *name)
{
    if (key.n == 0 || key.p[0] != name[0])
        return key.n == 0 && name[0] == '\0';
    return strncmp(key.p, name, key.n) == 0 && strlen(name) == key.n;
}

int json_check(struct str text, struct json_value *ret)
{
    if (text.n == 0)
        return -EINVAL;
    at end = (at)text.p + text.n;
    at from = space((at)text.p, end), to;
    int rc = value(from, end, &to);
    if (rc < 0)
        return rc;
    if (space(to, end) != end)
        return -EINVAL;
    if (ret)
        *ret = value_of(from, to);
    return 0;
}

void json_iter_begin(struct json_iter *it, struct json_value container)
{
    bool has =
        container.raw.n >= 2 && (container.type == JSON_OBJECT || container.type == JSON_ARRAY);
    it->p = has ? container.raw.p + 1 : NULL;
    it->end = has ? container.raw.p + container.raw.n - 1 : NULL;
    it->first = true;
}

bool json_next_member(struct json_iter *it, struct str *ret_key, struct json_value *ret)
{
    at end = (at)it->end;
    at p = next_element(it);

    if (!p || *p != '"')
        return false;
    at name = p + 1;
    at colon = bytes_past_string(name, end);
    at name_end = colon > name ? colon - 1 : name;
    at from = space(colon, end);
    if (from == end || *from != ':')
        return false;
    from = space(from + 1, end);
    if (from == end)
        return false;
    at to = past_value(from, end);
    it->p = (const char *)to;
    *ret_key = str_make(name, (size_t)(name_end - name));
    *ret = value_of(from, to);
    return true;
}

bool json_next_item(struct json_iter *it, struct json_value *ret)
{
    at p = next_element(it);

    if (!p)
        return false;
    at to = past_value(p, (at)it->end);
    it->p = (const char *)to;
    *ret = value_of(p, to);
    return true;
}

int json_pick(struct json_value v, const char *const *names, size_t n, struct json_value *values)
{
    struct json_iter it;
    struct json_value member;
    struct str name;

    if (v.type != JSON_OBJECT || v.raw.n == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        values[i] = (struct json_value){.type = JSON_NULL};
    json_iter_begin(&it, v);
    while (json_next_member(&it, &name, &member)) {
        bool escaped = name.n && memchr(name.p, '\\', name.n);
        size_t i = 0;
        while (i < n && !(escaped ? json_key_is(name, names[i]) : plain_key_is(name, names[i])))
            i++;
        if (i == n)
            continue;
        if (values[i].raw.p)
            return -EEXIST;
        values[i] = member;
    }
    return 0;
}
