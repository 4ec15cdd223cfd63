/* certificate - see certificate.h. The verdict is OpenSSL's own: a context is made and thrown away,
 * so key sizes, curves and the match of key and certificate are judged as they will be later.
 */
#include "common/certificate.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* In place of OpenSSL's own, which would ask at a terminal. */
static int no_passphrase(char *buf, int size, int writing, void *asked)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static void say(char why[CERTIFICATE_WHY], const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(why, CERTIFICATE_WHY, "%s%s%s%s", what, reason ? " (" : "", reason ? reason : "",
             reason ? ")" : "");
    ERR_clear_error();
}

static enum certificate_fault read_chain(BIO *text, struct certificate *c,
                                         char why[CERTIFICATE_WHY])
{
    bool asked = false;
    c->leaf = PEM_read_bio_X509(text, NULL, no_passphrase, &asked);
    if (!c->leaf) {
        say(why, "holds no certificate in PEM");
        return CERTIFICATE_BAD_CHAIN;
    }
    c->chain = sk_X509_new_null();
    X509 *next = c->chain ? PEM_read_bio_X509(text, NULL, no_passphrase, &asked) : NULL;
    while (next) {
        if (sk_X509_num(c->chain) == CERTIFICATE_CHAIN_MAX) {
            X509_free(next);
            snprintf(why, CERTIFICATE_WHY, "holds more than %d certificates behind the first",
                     CERTIFICATE_CHAIN_MAX);
            return CERTIFICATE_BAD_CHAIN;
        }
        if (sk_X509_push(c->chain, next) <= 0) {
            X509_free(next);
            return CERTIFICATE_BAD_CHAIN;
        }
        next = PEM_read_bio_X509(text, NULL, no_passphrase, &asked);
    }
    unsigned long end = ERR_peek_last_error(); /* of a text that ends well: no further line */
    if (!c->chain || ERR_GET_REASON(end) != PEM_R_NO_START_LINE) {
        say(why, "holds something after its first certificate that is none");
        return CERTIFICATE_BAD_CHAIN;
    }
    ERR_clear_error();
    return CERTIFICATE_FINE;
}

static enum certificate_fault read_key(BIO *text, struct certificate *c, char why[CERTIFICATE_WHY])
{
    bool asked = false;
    c->key = PEM_read_bio_PrivateKey(text, NULL, no_passphrase, &asked);
    if (c->key)
        return CERTIFICATE_FINE;
    if (asked)
        ERR_clear_error();
    say(why, asked ? "is protected by a passphrase" : "holds no private key in PEM");
    return CERTIFICATE_BAD_KEY;
}

static enum certificate_fault try_to_serve(const struct certificate *c, char why[CERTIFICATE_WHY])
{
    enum certificate_fault fault = CERTIFICATE_FINE;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        say(why, "cannot be judged");
        return CERTIFICATE_BAD_CHAIN;
    }
    if (X509_check_private_key(c->leaf, c->key) != 1) {
        ERR_clear_error();
        say(why, "is not the key of the certificate");
        fault = CERTIFICATE_BAD_KEY;
    } else if (SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) != 1) {
        say(why, "is not accepted by OpenSSL");
        fault = CERTIFICATE_BAD_CHAIN;
    }
    SSL_CTX_free(ctx);
    return fault;
}

enum certificate_fault certificate_read(struct str chain, struct str key, struct certificate **ret,
                                        char why[CERTIFICATE_WHY])
{
    enum certificate_fault fault = CERTIFICATE_BAD_CHAIN;
    struct certificate *c = calloc(1, sizeof(*c));
    BIO *chain_text = chain.n <= INT_MAX ? BIO_new_mem_buf(chain.p, (int)chain.n) : NULL;
    BIO *key_text = key.n <= INT_MAX ? BIO_new_mem_buf(key.p, (int)key.n) : NULL;

    why[0] = '\0';
    ERR_clear_error();
    if (c && chain_text && key_text)
        fault = read_chain(chain_text, c, why);
    if (fault == CERTIFICATE_FINE)
        fault = read_key(key_text, c, why);
    if (fault == CERTIFICATE_FINE)
        fault = try_to_serve(c, why);
    BIO_free(chain_text);
    BIO_free(key_text);
    if (fault == CERTIFICATE_FINE)
        *ret = c;
    else
        certificate_free(c);
    return fault;
}

void certificate_free(struct certificate *c)
{
    if (!c)
        return;
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    free(c);
}

bool certificate_is_for(const struct certificate *c, struct str host, bool wildcards)
{
    unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    if (!wildcards)
        flags |= X509_CHECK_FLAG_NO_WILDCARDS;
    /* OpenSSL takes a length of 0 for "measure it", and a leading dot for "any name below". */
    if (host.n == 0 || host.p[0] == '.')
        return false;
    return X509_check_host(c->leaf, host.p, host.n, flags, NULL) == 1;
}

int certificate_age(const struct certificate *c, uint64_t now_s)
{
    time_t now = (time_t)now_s;
    if (X509_cmp_time(X509_get0_notBefore(c->leaf), &now) > 0)
        return -1;
    return X509_cmp_time(X509_get0_notAfter(c->leaf), &now) < 0 ? 1 : 0;
}
