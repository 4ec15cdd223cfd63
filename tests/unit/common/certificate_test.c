/* certificate: what is read, what is refused and whose fault it is, names, age. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "tests/unit/certificate_maker.h"
#include "tests/unit/failmalloc.h"

static struct made a, b;

static int up(void **state)
{
    (void)state;
    a = make_certificate((struct maker_order){.names = "DNS:a.test,DNS:*.w.test,IP:127.0.0.1"});
    b = make_certificate((struct maker_order){.common = "b.test"});
    return 0;
}

static int down(void **state)
{
    (void)state;
    made_free(&a);
    made_free(&b);
    return 0;
}

static char *joined(const char *x, const char *y)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%s%s", x, y) > 0);
    return text;
}

static void refused(const char *chain, const char *key, enum certificate_fault fault,
                    const char *why)
{
    struct certificate *c = (void *)&c;
    char got[CERTIFICATE_WHY];
    assert_int_equal(certificate_read(str_of(chain), str_of(key), &c, got), fault);
    assert_ptr_equal(c, &c);
    if (!strstr(got, why))
        fail_msg("\"%s\" does not say \"%s\"", got, why);
}

static void test_reads_a_chain(void **state)
{
    (void)state;
    char *chain = joined(a.chain, b.chain);
    struct certificate *c = NULL;
    char why[CERTIFICATE_WHY];
    assert_int_equal(certificate_read(str_of(chain), str_of(a.key), &c, why), CERTIFICATE_FINE);
    assert_int_equal(sk_X509_num(c->chain), 1);
    certificate_free(c);
    free(chain);
    /* Key and certificate may lie in one file. */
    chain = joined(a.key, a.chain);
    assert_int_equal(certificate_read(str_of(chain), str_of(chain), &c, why), CERTIFICATE_FINE);
    assert_int_equal(sk_X509_num(c->chain), 0);
    certificate_free(c);
    free(chain);
    certificate_free(NULL);
}

static void test_refuses(void **state)
{
    (void)state;
    static const char garbage[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    char *broken_tail = joined(a.chain, garbage);
    refused("", a.key, CERTIFICATE_BAD_CHAIN, "holds no certificate in PEM");
    refused("hello", a.key, CERTIFICATE_BAD_CHAIN, "holds no certificate in PEM");
    refused(garbage, a.key, CERTIFICATE_BAD_CHAIN, "holds no certificate in PEM");
    refused(a.key, a.key, CERTIFICATE_BAD_CHAIN, "holds no certificate in PEM");
    refused(broken_tail, a.key, CERTIFICATE_BAD_CHAIN, "holds something after");
    refused(a.chain, "", CERTIFICATE_BAD_KEY, "holds no private key in PEM");
    refused(a.chain, a.chain, CERTIFICATE_BAD_KEY, "holds no private key in PEM");
    refused(a.chain, b.key, CERTIFICATE_BAD_KEY, "is not the key of the certificate");
    free(broken_tail);
}

static void test_refuses_weak_keys(void **state)
{
    (void)state;
    struct made weak = make_certificate((struct maker_order){.rsa_bits = 1024});
    refused(weak.chain, weak.key, CERTIFICATE_BAD_CHAIN,
            "is not accepted by OpenSSL (ee key too small)");
    made_free(&weak);
    struct made fine = make_certificate((struct maker_order){.rsa_bits = 2048});
    certificate_free(made_read(&fine));
    made_free(&fine);
}

/* Nobody is there to type it, and nobody is asked. */
static void test_refuses_passphrases(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *text = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(text, key, EVP_aes_128_cbc(), NULL, 0, NULL,
                                              (void *)(uintptr_t) "secret"),
                     1);
    char *pem = maker_text(text);
    refused(a.chain, pem, CERTIFICATE_BAD_KEY, "is protected by a passphrase");
    free(pem);
    EVP_PKEY_free(key);
}

static void test_longest_chain(void **state)
{
    (void)state;
    char *chain = strdup(a.chain);
    struct certificate *c = NULL;
    char why[CERTIFICATE_WHY];
    for (int i = 0; i < CERTIFICATE_CHAIN_MAX; i++) {
        char *longer = joined(chain, b.chain);
        free(chain);
        chain = longer;
    }
    assert_int_equal(certificate_read(str_of(chain), str_of(a.key), &c, why), CERTIFICATE_FINE);
    assert_int_equal(sk_X509_num(c->chain), CERTIFICATE_CHAIN_MAX);
    certificate_free(c);
    char *longer = joined(chain, b.chain);
    refused(longer, a.key, CERTIFICATE_BAD_CHAIN, "more than 16 certificates");
    free(longer);
    free(chain);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool exact, wildcard;
    } rows[] = {
        {"a.test", true, true},      {"A.TEST", true, true},   {"x.w.test", false, true},
        {"X.W.Test", false, true},   {"w.test", false, false}, {"x.y.w.test", false, false},
        {"b.test", false, false},    {"", false, false},       {".a.test", false, false},
        {".w.test", false, false},   {"*.w.test", true, true}, {"a.test.", false, false},
        {"127.0.0.1", false, false}, {"test", false, false},
    };
    struct certificate *c = made_read(&a), *none = made_read(&b);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str host = str_of(rows[i].host);
        if (certificate_is_for(c, host, false) != rows[i].exact ||
            certificate_is_for(c, host, true) != rows[i].wildcard)
            fail_msg("%s: %d %d", rows[i].host, certificate_is_for(c, host, false),
                     certificate_is_for(c, host, true));
    }
    /* The subject's common name is no name any more. */
    assert_false(certificate_is_for(none, STR("b.test"), true));
    certificate_free(c);
    certificate_free(none);
}

static void test_age(void **state)
{
    (void)state;
    uint64_t now = clock_wall_ms() / 1000;
    struct made m = make_certificate((struct maker_order){.from = -100, .to = 100});
    struct certificate *c = made_read(&m);
    assert_int_equal(certificate_age(c, now), 0);
    assert_int_equal(certificate_age(c, now - 200), -1);
    assert_int_equal(certificate_age(c, now + 200), 1);
    certificate_free(c);
    made_free(&m);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct certificate *c = (void *)&c;
    char why[CERTIFICATE_WHY];
    failmalloc_arm(1);
    enum certificate_fault f = certificate_read(str_of(a.chain), str_of(a.key), &c, why);
    assert_true(failmalloc_disarm());
    assert_int_equal(f, CERTIFICATE_BAD_CHAIN);
    assert_string_equal(why, "");
    assert_ptr_equal(c, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_chain),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_weak_keys),
        cmocka_unit_test(test_refuses_passphrases),
        cmocka_unit_test(test_longest_chain),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, up, down);
}
