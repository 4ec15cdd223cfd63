/* json_bytes - finding the bytes that matter, eight at a time. Private to json_*.c.
 *
 * A word is loaded little-endian; a hit is the high bit of its byte. Only the lowest hit of a word
 * is exact (a subtraction may borrow into the bytes above a hit), and only that one is used.
 */
#ifndef COMMON_JSON_BYTES_H
#define COMMON_JSON_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BYTES_ONES 0x0101010101010101u
#define BYTES_HIGH 0x8080808080808080u

static inline uint64_t bytes_load(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return le64toh(word);
}

static inline uint64_t bytes_equal(uint64_t word, unsigned char c)
{
    uint64_t x = word ^ (BYTES_ONES * c);
    return (x - BYTES_ONES) & ~x & BYTES_HIGH;
}

static inline bool byte_is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The first byte that ends a run of plain text in a string: a quote, a backslash, a control
 * character or one of a multi-byte sequence; or end. */
static inline const unsigned char *bytes_plain(const unsigned char *p, const unsigned char *end)
{
    while (end - p >= 8) {
        uint64_t w = bytes_load(p);
        uint64_t hit = bytes_equal(w, '"') | bytes_equal(w, '\\') |
                       ((w - BYTES_ONES * 0x20) & ~w & BYTES_HIGH) | (w & BYTES_HIGH);
        if (hit)
            return p + __builtin_ctzll(hit) / 8;
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20 && *p < 0x80)
        p++;
    return p;
}

/* The first quote or backslash; or end. */
static inline const unsigned char *bytes_quoted(const unsigned char *p, const unsigned char *end)
{
    while (end - p >= 8) {
        uint64_t w = bytes_load(p);
        uint64_t hit = bytes_equal(w, '"') | bytes_equal(w, '\\');
        if (hit)
            return p + __builtin_ctzll(hit) / 8;
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* Past the closing quote of a string whose opening quote is behind p; end when there is none. */
static inline const unsigned char *bytes_past_string(const unsigned char *p,
                                                     const unsigned char *end)
{
    for (;;) {
        p = bytes_quoted(p, end);
        if (p == end)
            return end;
        if (*p == '"')
            return p + 1;
        if (end - p < 2)
            return end;
        p += 2;
    }
}

/* Four hex digits at p, or -1. */
static inline int32_t bytes_hex4(const unsigned char *p, const unsigned char *end)
{
    int32_t v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (low - 'a' + 10);
        else
            return -1;
    }
    return v;
}

#endif
