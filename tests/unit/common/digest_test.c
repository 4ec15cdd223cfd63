/* digest: published vectors, reuse, unambiguous joints. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "common/digest.h"
#include "common/ids.h"
#include "tests/unit/failmalloc.h"

static void assert_digest(const uint8_t got[DIGEST_SIZE], const char *want)
{
    char text[2 * DIGEST_SIZE + 1];
    hex_encode(got, DIGEST_SIZE, text);
    assert_string_equal(text, want);
}

/* FIPS 180-2, appendix B. */
static void test_sha256(void **state)
{
    (void)state;
    uint8_t out[DIGEST_SIZE];
    sha256("abc", 3, out);
    assert_digest(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256(NULL, 0, out);
    assert_digest(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231: cases 1, 2, 3, 6 (a key longer than a block), 7. */
static void test_hmac(void **state)
{
    (void)state;
    char key[131], data[50];
    uint8_t out[DIGEST_SIZE];
    memset(key, 0x0b, 20);
    hmac_sha256(str_make(key, 20), STR("Hi There"), out);
    assert_digest(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
    assert_digest(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(data, 0xdd, sizeof(data));
    hmac_sha256(str_make(key, 20), str_make(data, 50), out);
    assert_digest(out, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    hmac_sha256(str_make(key, 131), STR("Test Using Larger Than Block-Size Key - Hash Key First"),
                out);
    assert_digest(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_sha256(
        str_make(key, 131),
        STR("This is a test using a larger than block-size key and a larger than block-size "
            "data. The key needs to be hashed before being used by the HMAC algorithm."),
        out);
    assert_digest(out, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    hmac_sha256(str_make(NULL, 0), str_make(NULL, 0), out);
    assert_digest(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_incremental_and_reused(void **state)
{
    (void)state;
    struct digest *d;
    uint8_t out[DIGEST_SIZE];
    assert_int_equal(digest_new(&d), 0);
    for (int turn = 0; turn < 3; turn++) {
        digest_begin(d);
        digest_add(d, "a", 1);
        digest_add(d, NULL, 0);
        digest_add(d, "bc", 2);
        digest_end(d, out);
        assert_digest(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    digest_begin(d); /* one that is not finished leaves nothing behind */
    digest_add(d, "x", 1);
    digest_begin(d);
    digest_add(d, "abc", 3);
    digest_end(d, out);
    assert_digest(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_free(d);
    digest_free(NULL);
}

static void join(struct digest *d, const char *a, const char *b, uint8_t out[DIGEST_SIZE])
{
    digest_begin(d);
    digest_add_str(d, str_of(a));
    digest_add_str(d, str_of(b));
    digest_end(d, out);
}

static void test_joints_are_unambiguous(void **state)
{
    (void)state;
    struct digest *d;
    uint8_t one[DIGEST_SIZE], two[DIGEST_SIZE];
    assert_int_equal(digest_new(&d), 0);
    join(d, "ab", "c", one);
    join(d, "a", "bc", two);
    assert_false(digest_eq(one, two, DIGEST_SIZE));
    join(d, "abc", "", one);
    join(d, "", "abc", two);
    assert_false(digest_eq(one, two, DIGEST_SIZE));
    join(d, "ab", "c", one);
    join(d, "ab", "c", two);
    assert_true(digest_eq(one, two, DIGEST_SIZE));
    digest_free(d);
}

static void test_eq(void **state)
{
    (void)state;
    uint8_t a[DIGEST_SIZE] = {0}, b[DIGEST_SIZE] = {0};
    assert_true(digest_eq(a, b, DIGEST_SIZE));
    for (int bit = 0; bit < 8 * DIGEST_SIZE; bit++) {
        b[bit / 8] = (uint8_t)(1 << bit % 8);
        assert_false(digest_eq(a, b, DIGEST_SIZE));
        b[bit / 8] = 0;
    }
    assert_true(digest_eq(a, "x", 0));
}

/* OpenSSL's own allocations pass through here, so that they can fail too. */
static void *lend(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(n);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return realloc(p, n);
}

static void give_back(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* OpenSSL does without some of its allocations, so a failure need not be ours; but some are. */
static void test_no_memory(void **state)
{
    (void)state;
    int refused = 0;
    sha256("", 0, (uint8_t[DIGEST_SIZE]){0}); /* what OpenSSL sets up once is there */
    for (unsigned long n = 1;; n++) {
        struct digest *d = NULL;
        failmalloc_arm(n);
        int rc = digest_new(&d);
        if (!failmalloc_disarm()) {
            assert_int_equal(rc, 0);
            digest_free(d);
            break;
        }
        assert_true(rc == 0 || (rc == -ENOMEM && !d));
        refused += rc != 0;
        digest_free(d);
    }
    assert_in_range(refused, 2, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_incremental_and_reused),
        cmocka_unit_test(test_joints_are_unambiguous),
        cmocka_unit_test(test_eq),
        cmocka_unit_test(test_no_memory),
    };
    if (CRYPTO_set_mem_functions(lend, resize, give_back) != 1)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
