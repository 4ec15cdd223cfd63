/* utf8 - what is UTF-8 (RFC 3629) and what is not.
 *
 * The grammar of RFC 3629 section 4 by its rows: the lead byte gives the length and the range of
 * the second byte, which is what keeps overlong forms, surrogates and too large values out.
 */
#include "common/utf8.h"

size_t utf8_sequence(const unsigned char *p, const unsigned char *end)
{
    unsigned char lead = p[0];
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    size_t n;

    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    if (lead < 0xe0) {
        n = 2;
    } else if (lead < 0xf0) {
        n = 3;
        if (lead == 0xe0)
            low = 0xa0;
        if (lead == 0xed)
            high = 0x9f;
    } else {
        n = 4;
        if (lead == 0xf0)
            low = 0x90;
        if (lead == 0xf4)
            high = 0x8f;
    }
    if ((size_t)(end - p) < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool utf8_valid(struct str s)
{
    if (s.n == 0)
        return true;
    const unsigned char *p = (const unsigned char *)s.p;
    const unsigned char *end = p + s.n;
    while (p < end) {
        uint64_t word;
        if (end - p >= (ptrdiff_t)sizeof(word)) {
            memcpy(&word, p, sizeof(word));
            if (!(word & 0x8080808080808080u)) {
                p += sizeof(word);
                continue;
            }
        }
        size_t n = utf8_sequence(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

size_t utf8_encode(uint32_t point, unsigned char ret[4])
{
    if (point < 0x80) {
        ret[0] = (unsigned char)point;
        return 1;
    }
    if (point < 0x800) {
        ret[0] = (unsigned char)(0xc0 | point >> 6);
        ret[1] = (unsigned char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        ret[0] = (unsigned char)(0xe0 | point >> 12);
        ret[1] = (unsigned char)(0x80 | (point >> 6 & 0x3f));
        ret[2] = (unsigned char)(0x80 | (point & 0x3f));
        return 3;
    }
    ret[0] = (unsigned char)(0xf0 | point >> 18);
    ret[1] = (unsigned char)(0x80 | (point >> 12 & 0x3f));
    ret[2] = (unsigned char)(0x80 | (point >> 6 & 0x3f));
    ret[3] = (unsigned char)(0x80 | (point & 0x3f));
    return 4;
}
