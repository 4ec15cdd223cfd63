/* ids - random names, base64, hex, cursors, decimal numbers as text.
 *
 * Everything a peer sends through here is judged strictly: one text for one value, so that an id or
 * a cursor can be compared as text and nothing has two spellings. Decoders look at all of their
 * input before they write, so that a refused text leaves the result alone.
 */
#include <errno.h>
#include <limits.h>
#include <sys/random.h>

#include "common/ids.h"
#include "common/log.h"

struct base64 {
    const char *alphabet;
    const uint8_t *value; /* of a character, plus 1; 0 = not of the alphabet */
    bool padded;
};

/* clang-format off */
#define BASE64_VALUES(c62, c63) \
    ['A'] =  1, ['B'] =  2, ['C'] =  3, ['D'] =  4, ['E'] =  5, ['F'] =  6, ['G'] =  7, ['H'] =  8, \
    ['I'] =  9, ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, \
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, \
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, \
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, \
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, \
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, \
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, [c62] = 63, [c63] = 64
/* clang-format on */

static const uint8_t standard_value[256] = {BASE64_VALUES('+', '/')};
static const uint8_t url_value[256] = {BASE64_VALUES('-', '_')};

#define BASE64_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const struct base64 standard = {BASE64_DIGITS "+/", standard_value, true};
static const struct base64 url = {BASE64_DIGITS "-_", url_value, false};

static const char hex_digits[] = "0123456789abcdef";

static size_t encode(const struct base64 *b, const unsigned char *p, size_t n, char *ret)
{
    const char *a = b->alphabet;
    char *out = ret;

    for (; n >= 3; n -= 3, p += 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *out++ = a[v >> 18];
        *out++ = a[v >> 12 & 63];
        *out++ = a[v >> 6 & 63];
        *out++ = a[v & 63];
    }
    if (n) {
        uint32_t v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
        *out++ = a[v >> 18];
        *out++ = a[v >> 12 & 63];
        if (n == 2)
            *out++ = a[v >> 6 & 63];
        else if (b->padded)
            *out++ = '=';
        if (b->padded)
            *out++ = '=';
    }
    *out = '\0';
    return (size_t)(out - ret);
}

static int decode(const struct base64 *b, struct str s, unsigned char *out, size_t max)
{
    const unsigned char *p = (const unsigned char *)s.p;
    const uint8_t *value = b->value;
    size_t n = s.n;

    if (b->padded) {
        if (n % 4)
            return -EINVAL;
        for (int pads = 0; n && pads < 2 && p[n - 1] == '='; pads++)
            n--;
    }
    size_t rest = n % 4; /* 2 characters for 1 byte, 3 for 2 */
    if (rest == 1)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (!value[p[i]])
            return -EINVAL;
    if ((rest == 2 && (value[p[n - 1]] - 1) & 15) || (rest == 3 && (value[p[n - 1]] - 1) & 3))
        return -EINVAL; /* stray bits: a second spelling of the same bytes */
    size_t bytes = n / 4 * 3 + (rest ? rest - 1 : 0);
    if (bytes > max || bytes > INT_MAX)
        return -EMSGSIZE;
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t v = (uint32_t)(value[p[0]] - 1) << 18 | (uint32_t)(value[p[1]] - 1) << 12 |
                     (uint32_t)(value[p[2]] - 1) << 6 | (uint32_t)(value[p[3]] - 1);
        *out++ = (unsigned char)(v >> 16);
        *out++ = (unsigned char)(v >> 8);
        *out++ = (unsigned char)v;
    }
    if (rest)
        *out++ = (unsigned char)((value[p[0]] - 1) << 2 | (value[p[1]] - 1) >> 4);
    if (rest == 3)
        *out++ = (unsigned char)((value[p[1]] - 1) << 4 | (value[p[2]] - 1) >> 2);
    return (int)bytes;
}

void ids_random(void *ret, size_t n)
{
    unsigned char *p = ret;

    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        must(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

uint64_t ids_random_u64(void)
{
    uint64_t v;
    ids_random(&v, sizeof(v));
    return v;
}

size_t b64url_encode(const void *data, size_t n, char *ret)
{
    return encode(&url, data, n, ret);
}

int b64url_decode(struct str s, void *ret, size_t max)
{
    return decode(&url, s, ret, max);
}

size_t b64_encode(const void *data, size_t n, char *ret)
{
    return encode(&standard, data, n, ret);
}

int b64_decode(struct str s, void *ret, size_t max)
{
    return decode(&standard, s, ret, max);
}

int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void hex_encode(const void *data, size_t n, char *ret)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++) {
        *ret++ = hex_digits[p[i] >> 4];
        *ret++ = hex_digits[p[i] & 15];
    }
    *ret = '\0';
}

int hex_decode(struct str s, void *ret, size_t n)
{
    unsigned char *out = ret;

    if (s.n / 2 != n || s.n % 2)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++)
        if (hex_value(s.p[i]) < 0)
            return -EINVAL;
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)(hex_value(s.p[2 * i]) << 4 | hex_value(s.p[2 * i + 1]));
    return 0;
}

void session_id_text(const uint8_t id[SESSION_ID_SIZE], char ret[SESSION_ID_TEXT])
{
    b64url_encode(id, SESSION_ID_SIZE, ret);
}

int session_id_parse(struct str s, uint8_t ret[SESSION_ID_SIZE])
{
    if (s.n != SESSION_ID_TEXT - 1)
        return -EINVAL;
    return b64url_decode(s, ret, SESSION_ID_SIZE) == SESSION_ID_SIZE ? 0 : -EINVAL;
}

size_t cursor_text(uint64_t epoch, uint64_t seq, char ret[CURSOR_TEXT])
{
    for (int i = 0; i < 16; i++)
        ret[i] = hex_digits[epoch >> (60 - 4 * i) & 15];
    ret[16] = '.';
    return 17 + u64_text(seq, ret + 17);
}

int cursor_parse(struct str s, uint64_t *ret_epoch, uint64_t *ret_seq)
{
    uint64_t epoch = 0, seq;

    if (s.n < 18 || s.p[16] != '.')
        return -EINVAL;
    for (int i = 0; i < 16; i++) {
        int v = hex_value(s.p[i]);
        if (v < 0 || (s.p[i] >= 'A' && s.p[i] <= 'F'))
            return -EINVAL;
        epoch = epoch << 4 | (uint64_t)v;
    }
    int rc = u64_parse(str_make(s.p + 17, s.n - 17), &seq);
    if (rc < 0)
        return rc;
    *ret_epoch = epoch;
    *ret_seq = seq;
    return 0;
}

int u64_parse(struct str s, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.n == 0 || s.n > U64_TEXT - 1 || (s.n > 1 && s.p[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return -EINVAL;
        v = v * 10 + digit;
    }
    *ret = v;
    return 0;
}

size_t u64_text(uint64_t v, char ret[U64_TEXT])
{
    char digits[U64_TEXT];
    char *p = digits + sizeof(digits);

    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    size_t n = (size_t)(digits + sizeof(digits) - p);
    memcpy(ret, p, n);
    ret[n] = '\0';
    return n;
}
