/* utf8 - what is UTF-8 (RFC 3629) and what is not. Pure; any process. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include "common/str.h"

#include <stdint.h>

/* Bytes of the well-formed sequence at p (p < end): 1..4, or 0 when none begins there. */
size_t utf8_sequence(const unsigned char *p, const unsigned char *end);
bool utf8_valid(struct str s); /* no surrogates, no overlong forms, <= U+10FFFF */
/* Writes the code point (no surrogate, <= U+10FFFF) and returns its length, 1..4. */
size_t utf8_encode(uint32_t point, unsigned char ret[4]);

#endif
