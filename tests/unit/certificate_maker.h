/* certificate_maker - certificates for tests, made on the spot: self-signed, of any age and key. */
#ifndef TESTS_UNIT_CERTIFICATE_MAKER_H
#define TESTS_UNIT_CERTIFICATE_MAKER_H

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/certificate.h"

#define MAKER_UNUSED __attribute__((unused))
#define DAY 86400

struct maker_order {
    const char *names;  /* "DNS:a.test,DNS:*.b.test"; NULL: no subject alternative names */
    const char *common; /* the subject's name; NULL: "test" */
    int rsa_bits;       /* 0: a P-256 key */
    long from, to;      /* seconds from now; both 0: a day around now */
};

struct made {
    char *chain, *key; /* PEM */
};

static inline char *maker_text(BIO *b)
{
    char *data;
    long n = BIO_get_mem_data(b, &data);
    char *text = malloc((size_t)n + 1);
    if (!text)
        abort();
    memcpy(text, data, (size_t)n);
    text[n] = '\0';
    BIO_free(b);
    return text;
}

MAKER_UNUSED static struct made make_certificate(struct maker_order o)
{
    EVP_PKEY *key = o.rsa_bits ? EVP_RSA_gen((unsigned)o.rsa_bits) : EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509V3_CTX v3;
    const char *common = o.common ? o.common : "test";
    bool day = o.from == 0 && o.to == 0;
    if (!key || !x)
        abort();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), day ? -DAY : o.from);
    X509_gmtime_adj(X509_getm_notAfter(x), day ? DAY : o.to);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)common, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    if (o.names) {
        X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, o.names);
        if (!e || X509_add_ext(x, e, -1) != 1)
            abort();
        X509_EXTENSION_free(e);
    }
    if (!X509_sign(x, key, EVP_sha256()))
        abort();
    struct made m;
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, x);
    m.chain = maker_text(b);
    b = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
    m.key = maker_text(b);
    X509_free(x);
    EVP_PKEY_free(key);
    return m;
}

MAKER_UNUSED static void made_free(struct made *m)
{
    free(m->chain);
    free(m->key);
}

MAKER_UNUSED static struct certificate *made_read(const struct made *m)
{
    struct certificate *c = NULL;
    char why[CERTIFICATE_WHY];
    if (certificate_read(str_of(m->chain), str_of(m->key), &c, why) != CERTIFICATE_FINE) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return c;
}

/* A certificate ready for use. */
MAKER_UNUSED static struct certificate *certificate_for(const char *names)
{
    struct made m = make_certificate((struct maker_order){.names = names});
    struct certificate *c = made_read(&m);
    made_free(&m);
    return c;
}

#endif
