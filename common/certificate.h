/* certificate - a certificate chain and its private key, from PEM (RFC 5280, RFC 7468).
 *
 * Owner: whoever read it; it keeps nothing of the texts. The reader judges what a TLS server would
 * judge when it begins, so that a configuration is refused before anything depends on it. Any
 * process; no state but OpenSSL's own.
 */
#ifndef COMMON_CERTIFICATE_H
#define COMMON_CERTIFICATE_H

#include "common/str.h"

#include <stdint.h>

#define CERTIFICATE_FILE_MAX (256 * 1024) /* bytes of either text */
#define CERTIFICATE_CHAIN_MAX 16          /* certificates behind the first */
#define CERTIFICATE_WHY 256

struct certificate {
    struct x509_st *leaf;        /* the server's own */
    struct stack_st_X509 *chain; /* what stands behind it in the file; may be empty */
    struct evp_pkey_st *key;
};

/* Whose fault it is that there is no certificate. */
enum certificate_fault { CERTIFICATE_FINE, CERTIFICATE_BAD_CHAIN, CERTIFICATE_BAD_KEY };

/* A certificate that OpenSSL serves with, or the fault, with the reason in why (empty: no memory).
 * A key under a passphrase is refused: nobody could type it. */
enum certificate_fault certificate_read(struct str chain, struct str key, struct certificate **ret,
                                        char why[CERTIFICATE_WHY]);
void certificate_free(struct certificate *c); /* NULL is fine */

/* Is it for host (a DNS name, as SNI has it)? By its subject alternative names only (RFC 9525); a
 * wildcard stands for one whole label. wildcards: whether those count. */
bool certificate_is_for(const struct certificate *c, struct str host, bool wildcards);

/* -1 not valid yet, 0 valid, 1 expired, at now_s (seconds since 1970). */
int certificate_age(const struct certificate *c, uint64_t now_s);

#endif
