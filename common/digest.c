/* digest - SHA-256 and HMAC-SHA-256 by OpenSSL, and comparison in constant time.
 *
 * HMAC is written out over one context: OpenSSL's own one-shot looks its parts up by name on each
 * call and costs twice as much, and a session token is checked on every request.
 */
#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "common/digest.h"
#include "common/log.h"

#define BLOCK_SIZE 64 /* of SHA-256 */

struct digest {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

static int open_digest(struct digest *d)
{
    d->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    d->ctx = EVP_MD_CTX_new();
    return d->md && d->ctx ? 0 : -ENOMEM;
}

static void close_digest(struct digest *d)
{
    EVP_MD_CTX_free(d->ctx);
    EVP_MD_free(d->md);
}

int digest_new(struct digest **ret)
{
    struct digest *d = malloc(sizeof(*d));
    if (!d)
        return -ENOMEM;
    int rc = open_digest(d);
    if (rc < 0) {
        digest_free(d);
        return rc;
    }
    *ret = d;
    return 0;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    close_digest(d);
    free(d);
}

void digest_begin(struct digest *d)
{
    must(EVP_DigestInit_ex2(d->ctx, d->md, NULL) == 1);
}

void digest_add(struct digest *d, const void *p, size_t n)
{
    must(EVP_DigestUpdate(d->ctx, p, n) == 1);
}

void digest_add_str(struct digest *d, struct str s)
{
    uint64_t n = htole64(s.n);
    digest_add(d, &n, sizeof(n));
    digest_add(d, s.p, s.n);
}

void digest_end(struct digest *d, uint8_t ret[DIGEST_SIZE])
{
    must(EVP_DigestFinal_ex(d->ctx, ret, NULL) == 1);
}

void sha256(const void *p, size_t n, uint8_t ret[DIGEST_SIZE])
{
    must(EVP_Digest(p, n, ret, NULL, EVP_sha256(), NULL) == 1);
}

void hmac_sha256(struct str key, struct str data, uint8_t ret[DIGEST_SIZE])
{
    uint8_t block[BLOCK_SIZE] = {0}, pad[BLOCK_SIZE], inner[DIGEST_SIZE];
    struct digest d;

    if (key.n > BLOCK_SIZE)
        sha256(key.p, key.n, block);
    else if (key.n)
        memcpy(block, key.p, key.n);
    must(open_digest(&d) == 0);
    for (size_t i = 0; i < BLOCK_SIZE; i++)
        pad[i] = block[i] ^ 0x36;
    digest_begin(&d);
    digest_add(&d, pad, BLOCK_SIZE);
    digest_add(&d, data.p, data.n);
    digest_end(&d, inner);
    for (size_t i = 0; i < BLOCK_SIZE; i++)
        pad[i] = block[i] ^ 0x5c;
    digest_begin(&d);
    digest_add(&d, pad, BLOCK_SIZE);
    digest_add(&d, inner, sizeof(inner));
    digest_end(&d, ret);
    close_digest(&d);
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(pad, sizeof(pad));
}

bool digest_eq(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}
