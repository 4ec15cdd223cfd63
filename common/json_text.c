/* json_text - between JSON text and plain values: strings, numbers, durations, compacting, quoting.
 *
 * All of it works by runs: whole stretches that need no change are copied at once.
 */
#include <errno.h>

#include "common/ids.h"
#include "common/json.h"
#include "common/json_bytes.h"
#include "common/units.h"

#define SECOND_MS 1000
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define DURATION_TEXT 32           /* more than any text of units.h that does not overflow */

typedef const unsigned char *at;

/* What each escape letter stands for; 0 = none. */
static const char escape_byte[128] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};
/* The other way, for control characters that have a short form. */
static const char escape_letter[0x20] = {
    ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
};

/* Decodes the escape whose backslash is at p into ret[0..*ret_n); returns what follows, or NULL. */
static at unescape(at p, at end, unsigned char ret[4], size_t *ret_n)
{
    if (end - p < 2)
        return NULL;
    unsigned char c = p[1];
    if (c != 'u') {
        if (c >= sizeof(escape_byte) || !escape_byte[c])
            return NULL;
        ret[0] = (unsigned char)escape_byte[c];
        *ret_n = 1;
        return p + 2;
    }
    int32_t point = bytes_hex4(p + 2, end);
    if (point < 0)
        return NULL;
    p += 6;
    if (point >= 0xd800 && point <= 0xdfff) {
        if (point > 0xdbff || end - p < 2 || p[0] != '\\' || p[1] != 'u')
            return NULL;
        int32_t low = bytes_hex4(p + 2, end);
        if (low < 0xdc00 || low > 0xdfff)
            return NULL;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }
    *ret_n = utf8_encode((uint32_t)point, ret);
    return p;
}

/* A control character, a quote or a backslash as its escape. */
static void quote_byte(struct buf *b, unsigned char c)
{
    char text[6] = {'\\', 'u', '0', '0', 0, 0};

    if (c >= 0x20) {
        text[1] = (char)c;
        buf_append(b, text, 2);
    } else if (escape_letter[c]) {
        text[1] = escape_letter[c];
        buf_append(b, text, 2);
    } else {
        text[4] = (char)('0' + (c >> 4));
        text[5] = "0123456789abcdef"[c & 15];
        buf_append(b, text, 6);
    }
}

bool json_key_is(struct str raw_key, const char *name)
{
    size_t rest = strlen(name);

    if (raw_key.n == 0 || !memchr(raw_key.p, '\\', raw_key.n))
        return str_eq(raw_key, str_make(name, rest));
    at p = (at)raw_key.p;
    at end = p + raw_key.n;
    while (p < end) {
        unsigned char bytes[4] = {*p};
        size_t n = 1;
        p = *p == '\\' ? unescape(p, end, bytes, &n) : p + 1;
        if (!p || n > rest || memcmp(bytes, name, n) != 0)
            return false;
        name += n;
        rest -= n;
    }
    return rest == 0;
}

int json_string(struct json_value v, struct buf *b)
{
    size_t was = b->len;

    if (v.type != JSON_STRING || v.raw.n < 2 || v.raw.p[0] != '"' || v.raw.p[v.raw.n - 1] != '"')
        return -EINVAL;
    at p = (at)v.raw.p + 1;
    at end = (at)v.raw.p + v.raw.n - 1;
    while (p < end) {
        at run = p;
        unsigned char bytes[4];
        size_t n;
        p = memchr(p, '\\', (size_t)(end - p));
        if (!p)
            p = end;
        buf_append(b, run, (size_t)(p - run));
        if (p == end)
            break;
        p = unescape(p, end, bytes, &n);
        if (!p) {
            b->len = was;
            return -EINVAL;
        }
        buf_append(b, bytes, n);
    }
    if (b->error)
        b->len = was;
    return b->error;
}

int json_u64(struct json_value v, uint64_t *ret)
{
    if (v.type != JSON_NUMBER || v.raw.n == 0)
        return -EINVAL;
    for (size_t i = 0; i < v.raw.n; i++)
        if (v.raw.p[i] < '0' || v.raw.p[i] > '9')
            return -EINVAL;
    return u64_parse(v.raw, ret) < 0 ? -ERANGE : 0;
}

int json_duration(struct json_value v, uint64_t *ret_ms)
{
    if (v.type == JSON_NUMBER) {
        uint64_t seconds;
        int rc = json_u64(v, &seconds);
        if (rc < 0)
            return rc;
        if (seconds > UINT64_MAX / SECOND_MS)
            return -ERANGE;
        *ret_ms = seconds * SECOND_MS;
        return 0;
    }
    char memory[DURATION_TEXT];
    struct buf text;
    buf_fixed(&text, memory, sizeof(memory));
    if (json_string(v, &text) < 0)
        return -EINVAL;
    return duration_parse(buf_str(&text), ret_ms);
}

int json_compact(struct json_value v, struct buf *b)
{
    if (v.type != JSON_OBJECT && v.type != JSON_ARRAY)
        return buf_append_str(b, v.raw);
    at p = (at)v.raw.p;
    at end = p + v.raw.n;
    at run = p;
    while (p < end) {
        if (*p == '"') {
            p = bytes_past_string(p + 1, end);
        } else if (byte_is_space(*p)) {
            buf_append(b, run, (size_t)(p - run));
            while (p < end && byte_is_space(*p))
                p++;
            run = p;
        } else {
            p++;
        }
    }
    return buf_append(b, run, (size_t)(end - run));
}

int json_quote(struct buf *b, struct str s)
{
    if (s.n == 0)
        return buf_append_z(b, "\"\"");
    at p = (at)s.p;
    at end = p + s.n;
    buf_append_c(b, '"');
    while (p < end) {
        at run = p;
        size_t n = 1;
        while (p < end && n > 0) {
            p = bytes_plain(p, end);
            if (p == end || *p < 0x80)
                break;
            n = utf8_sequence(p, end);
            p += n;
        }
        buf_append(b, run, (size_t)(p - run));
        if (p == end)
            break;
        if (*p < 0x80)
            quote_byte(b, *p);
        else
            buf_append_z(b, REPLACEMENT);
        p++;
    }
    return buf_append_c(b, '"');
}
