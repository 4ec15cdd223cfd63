/* digest - SHA-256 and HMAC-SHA-256 (RFC 2104) by OpenSSL, and comparison in constant time.
 *
 * An incremental digest is for the hot path (a publish): its context is made once and reused. The
 * one-shots take theirs anew and abort when there is no memory for it (200 bytes). Any process.
 */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "common/str.h"

#include <stdint.h>

#define DIGEST_SIZE 32

struct digest; /* an incremental SHA-256; one reusable context per owner */

int digest_new(struct digest **ret); /* 0 or -ENOMEM */
void digest_free(struct digest *d);  /* NULL is allowed */
void digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *p, size_t n);
/* Length first, so that joints are unambiguous. */
void digest_add_str(struct digest *d, struct str s);
void digest_end(struct digest *d, uint8_t ret[DIGEST_SIZE]);

void sha256(const void *p, size_t n, uint8_t ret[DIGEST_SIZE]);
void hmac_sha256(struct str key, struct str data, uint8_t ret[DIGEST_SIZE]);
bool digest_eq(const void *a, const void *b, size_t n); /* constant time */

#endif
