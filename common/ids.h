/* ids - random names, base64url, hex, cursors.
 *
 * Session ids are 16 random bytes, 22 characters of base64url without padding (RFC 4648 section 5).
 * A cursor is `<epoch: 16 hex digits>.<seq: decimal without leading zeros>`; clients treat it as
 * opaque. Any process.
 */
#ifndef COMMON_IDS_H
#define COMMON_IDS_H

#include "common/str.h"

#include <stdint.h>

#define SESSION_ID_SIZE 16
#define SESSION_ID_TEXT 23 /* 22 and NUL */
#define CURSOR_TEXT 38     /* 16 + 1 + 20 and NUL */

void ids_random(void *ret, size_t n); /* getrandom; aborts when the kernel has none to give */
uint64_t ids_random_u64(void);

/* Writes ceil(n*4/3) characters and a NUL; returns the length without it. */
size_t b64url_encode(const void *data, size_t n, char *ret);
/* Strict: no padding, no other characters, no stray bits. Returns the number of bytes, or -EINVAL;
 * -EMSGSIZE when more than max. Here and below, ret is untouched on failure. */
int b64url_decode(struct str s, void *ret, size_t max);
/* Standard alphabet with padding (for data_b64). Same results; encode writes 4*ceil(n/3) + NUL. */
size_t b64_encode(const void *data, size_t n, char *ret);
int b64_decode(struct str s, void *ret, size_t max);

int hex_value(char digit);                              /* 0..15, either case; -1: not a digit */
void hex_encode(const void *data, size_t n, char *ret); /* lower case, 2n + NUL */
int hex_decode(struct str s, void *ret, size_t n);      /* exactly n bytes; 0 or -EINVAL */

void session_id_text(const uint8_t id[SESSION_ID_SIZE], char ret[SESSION_ID_TEXT]);
int session_id_parse(struct str s, uint8_t ret[SESSION_ID_SIZE]); /* 0 or -EINVAL */

size_t cursor_text(uint64_t epoch, uint64_t seq, char ret[CURSOR_TEXT]); /* length without NUL */
int cursor_parse(struct str s, uint64_t *ret_epoch, uint64_t *ret_seq);  /* 0 or -EINVAL */

/* Decimal without sign, leading zeros or overflow. 0 or -EINVAL. */
int u64_parse(struct str s, uint64_t *ret);
#define U64_TEXT 21                              /* 20 digits and NUL */
size_t u64_text(uint64_t v, char ret[U64_TEXT]); /* length without NUL */

#endif
