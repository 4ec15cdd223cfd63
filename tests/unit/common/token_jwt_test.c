/* token_jwt_test - every way a bootstrap token can be wrong has its own row and its own code. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/digest.h"
#include "common/ids.h"
#include "common/token.h"
#include "tests/unit/failmalloc.h"

#define NOW_S 1700000000ull
#define NOW_MS (NOW_S * 1000)
#define MAX_AGE_MS 300000ull

static unsigned char secret_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static unsigned char secret_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
static struct conf_token_key two_keys[] = {
    {.kid = (char[]){"a"}, .secret = secret_a, .secret_len = 32},
    {.kid = (char[]){"b"}, .secret = secret_b, .secret_len = 32},
};

static size_t put(char *at, const void *data, size_t n)
{
    return b64url_encode(data, n, at);
}

/* A token of any header and claims, rightly signed. */
static void sign(const char *header, const char *claims, const unsigned char *secret, char *ret)
{
    uint8_t mac[DIGEST_SIZE];
    size_t n = put(ret, header, strlen(header));

    ret[n++] = '.';
    n += put(ret + n, claims, strlen(claims));
    hmac_sha256(str_make(secret, 32), str_make(ret, n), mac);
    ret[n++] = '.';
    put(ret + n, mac, sizeof(mac));
}

static enum code verify(size_t nkeys, const char *token, struct token_claims *ret)
{
    return token_jwt_verify(two_keys, nkeys, str_of(token), NOW_MS, MAX_AGE_MS, ret);
}

/* The code; what a good token gave is freed. On failure the result must be untouched. */
static enum code code_of(size_t nkeys, const char *token)
{
    struct token_claims claims = {.subject = (char *)secret_a, .exp_ms = 7};
    enum code code = verify(nkeys, token, &claims);

    if (code == CODE_OK) {
        token_claims_free(&claims);
    } else {
        assert_ptr_equal(claims.subject, secret_a);
        assert_int_equal(claims.exp_ms, 7);
    }
    return code;
}

#define HS256 "{\"alg\":\"HS256\"}"
#define GOOD "{\"sub\":\"u\",\"exp\":1700000100}"

static void test_rfc7515_a1(void **state)
{
    /* RFC 7515 appendix A.1: its claims have no sub, which is judged only after the signature. */
    static const char token[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    static const char k[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    unsigned char secret[64];
    struct conf_token_key key = {.kid = (char[]){"k"}, .secret = secret, .secret_len = 64};
    struct token_claims claims;
    char other[sizeof(token)];

    (void)state;
    assert_int_equal(b64url_decode(str_of(k), secret, sizeof(secret)), 64);
    assert_int_equal(token_jwt_verify(&key, 1, str_of(token), 0, MAX_AGE_MS, &claims),
                     CODE_TOKEN_MALFORMED);
    memcpy(other, token, sizeof(token));
    other[sizeof(other) - 5] ^= 1;
    assert_int_equal(token_jwt_verify(&key, 1, str_of(other), 0, MAX_AGE_MS, &claims),
                     CODE_TOKEN_BAD_SIGNATURE);
    secret[0] ^= 1;
    assert_int_equal(token_jwt_verify(&key, 1, str_of(token), 0, MAX_AGE_MS, &claims),
                     CODE_TOKEN_BAD_SIGNATURE);
}

static void test_headers(void **state)
{
    static const struct {
        const char *header;
        size_t nkeys;
        enum code code;
    } rows[] = {
        {HS256, 1, CODE_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"x\":[1,{}]}", 1, CODE_OK},
        {" { \"alg\" : \"HS\\u003256\" } ", 1, CODE_OK},
        {"{\"alg\":\"HS256\",\"kid\":\"a\"}", 1, CODE_OK},
        {"{\"alg\":\"HS256\",\"kid\":\"a\"}", 2, CODE_OK},
        {"{\"alg\":\"HS256\",\"kid\":\"b\"}", 1, CODE_TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"b\"}", 2, CODE_TOKEN_BAD_SIGNATURE},
        {"{\"alg\":\"HS256\",\"kid\":\"A\"}", 2, CODE_TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", 1, CODE_TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"a\\u0000\"}", 1, CODE_TOKEN_UNKNOWN_KEY},
        {HS256, 2, CODE_TOKEN_UNKNOWN_KEY},
        {HS256, 0, CODE_TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":1}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":null}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"none\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"none\",\"kid\":\"zz\"}", 2, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"RS256\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS512\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS384\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"hs256\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\\u0000\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":256}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":[\"HS256\"]}", 1, CODE_TOKEN_MALFORMED},
        {"{\"ALG\":\"HS256\"}", 1, CODE_TOKEN_MALFORMED},
        {"{}", 1, CODE_TOKEN_MALFORMED},
        {"[]", 1, CODE_TOKEN_MALFORMED},
        {"\"HS256\"", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\"", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\"}x", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":[]}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":null}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"x\":1,\"x\":1}", 1, CODE_TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":"
         "0,"
         "\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":0,\"o\":0}",
         1, CODE_OK},
        {"{\"alg\":\"HS256\",\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":"
         "0,"
         "\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":0,\"o\":0,\"p\":0}",
         1, CODE_TOKEN_MALFORMED},
    };
    char token[TOKEN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sign(rows[i].header, GOOD, secret_a, token);
        if (code_of(rows[i].nkeys, token) != rows[i].code)
            fail_msg("%s, %zu keys: not %s", rows[i].header, rows[i].nkeys,
                     code_text(rows[i].code));
    }
}

static void test_claims(void **state)
{
    static const struct {
        const char *claims;
        enum code code;
    } rows[] = {
        {GOOD, CODE_OK},
        /* times: the leeway is 5 s, both ends of it */
        {"{\"sub\":\"u\",\"exp\":1699999995}", CODE_TOKEN_EXPIRED},
        {"{\"sub\":\"u\",\"exp\":1699999995.002}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1699999996}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1.7e9}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":17E+8}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":0}", CODE_TOKEN_EXPIRED},
        {"{\"sub\":\"u\",\"exp\":-1}", CODE_TOKEN_EXPIRED},
        {"{\"sub\":\"u\",\"exp\":-1e300}", CODE_TOKEN_EXPIRED},
        {"{\"sub\":\"u\",\"exp\":1e300}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":18446744073709551616}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1e999}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":"
         "1700000100.000000000000000000000000000000000000000000000000000000}",
         CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":\"1700000100\"}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":null}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":true}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":[1700000100]}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\"}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":1700000005}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":1700000005.1}", CODE_TOKEN_NOT_YET_VALID},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":1700000006}", CODE_TOKEN_NOT_YET_VALID},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":-5}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"nbf\":\"0\"}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1700000005}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1700000006}", CODE_TOKEN_NOT_YET_VALID},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1699999695}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1699999694.9}", CODE_TOKEN_EXPIRED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"iat\":1699999694}", CODE_TOKEN_EXPIRED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"iat\":-1e300}", CODE_TOKEN_EXPIRED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"iat\":{}}", CODE_TOKEN_MALFORMED},
        /* subject */
        {"{\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":5,\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":null,\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":[\"u\"],\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"a\\u0000b\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"a\\nb\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"a\\u007f\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"a\\u0085\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"a\\u00a0 \\ud83d\\ude00\",\"exp\":1700000100}", CODE_OK},
        {"{\"sub\":\"\\ud83d\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"\xff\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"Sub\":\"u\",\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        /* the others */
        {"{\"sub\":\"u\",\"exp\":1700000100,\"jti\":\"x\",\"iss\":1,\"aud\":[]}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"jti\":1}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"topics\":[]}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"topics\":\"chat:*\"}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"topics\":{}}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"topics\":null}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"topics\":[\"a\",1]}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"topics\":[\"a\",\"\"]}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"topics\":[\"a\\t\"]}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"attributes\":{}}", CODE_OK},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"attributes\":[]}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"attributes\":null}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"attributes\":\"{}\"}", CODE_TOKEN_MALFORMED},
        /* form */
        {"{\"sub\":\"u\",\"exp\":1700000100,\"exp\":1700000100}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"\\u0073ub\":\"v\"}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,\"role\":1,\"role\":2}", CODE_TOKEN_MALFORMED},
        {"[\"sub\",\"exp\"]", CODE_TOKEN_MALFORMED},
        {"1", CODE_TOKEN_MALFORMED},
        {"", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1700000100,}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":01700000100}", CODE_TOKEN_MALFORMED},
        /* an expired token that is also malformed is malformed */
        {"{\"sub\":\"u\",\"exp\":1,\"topics\":1}", CODE_TOKEN_MALFORMED},
        {"{\"sub\":\"u\",\"exp\":1,\"nbf\":1800000000}", CODE_TOKEN_EXPIRED},
    };
    char token[TOKEN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sign(HS256, rows[i].claims, secret_a, token);
        enum code code = code_of(1, token);
        if (code != rows[i].code)
            fail_msg("%s: %s, not %s", rows[i].claims, code_text(code), code_text(rows[i].code));
    }
}

/* {"sub":"uuu...","exp":...} with a part repeated n times. */
static void repeat(char *ret, const char *before, const char *part, size_t n, const char *after)
{
    char *p = stpcpy(ret, before);

    for (size_t i = 0; i < n; i++)
        p = stpcpy(p, part);
    strcpy(p, after);
}

static void test_ceilings(void **state)
{
    static const struct {
        const char *before, *part;
        size_t most;
        const char *after;
    } rows[] = {
        {"{\"exp\":1700000100,\"sub\":\"", "u", 255, "\"}"},
        {"{\"exp\":1700000100,\"sub\":\"", "\\u0075", 255, "\"}"},
        {"{\"exp\":1700000100,\"sub\":\"u\",\"jti\":\"", "u", 255, "\"}"},
        {"{\"exp\":1700000100,\"sub\":\"u\",\"topics\":[\"", "t", 255, "\"]}"},
        {"{\"exp\":1700000100,\"sub\":\"u\",\"topics\":[\"t\"", ",\"t\"", 999, "]}"},
    };
    char claims[TOKEN_MAX], token[2 * TOKEN_MAX], *p;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        repeat(claims, rows[i].before, rows[i].part, rows[i].most, rows[i].after);
        sign(HS256, claims, secret_a, token);
        assert_int_equal(code_of(1, token), CODE_OK);
        repeat(claims, rows[i].before, rows[i].part, rows[i].most + 1, rows[i].after);
        sign(HS256, claims, secret_a, token);
        assert_int_equal(code_of(1, token), CODE_TOKEN_MALFORMED);
    }
    /* members: 128 of them, two taken by sub and exp */
    for (int extra = 0; extra < 2; extra++) {
        p = stpcpy(claims, "{\"sub\":\"u\",\"exp\":1700000100");
        for (int i = 0; i < 126 + extra; i++)
            p += sprintf(p, ",\"c%d\":0", i);
        strcpy(p, "}");
        sign(HS256, claims, secret_a, token);
        assert_int_equal(code_of(1, token), extra ? CODE_TOKEN_MALFORMED : CODE_OK);
    }
    /* depth: the attributes object is at 2, 62 arrays inside it reach 64 */
    for (int extra = 0; extra < 2; extra++) {
        p = stpcpy(claims, "{\"sub\":\"u\",\"exp\":1700000100,\"attributes\":{\"a\":");
        memset(p, '[', (size_t)(62 + extra));
        p += 62 + extra;
        memset(p, ']', (size_t)(62 + extra));
        p += 62 + extra;
        strcpy(p, "}}");
        sign(HS256, claims, secret_a, token);
        assert_int_equal(code_of(1, token), extra ? CODE_TOKEN_MALFORMED : CODE_OK);
    }
    /* the whole: the longest that fits, and the next */
    for (size_t n = 6000; n < 6200; n++) {
        repeat(claims, "{\"sub\":\"u\",\"exp\":1700000100,\"x\":\"", "x", n, "\"}");
        sign(HS256, claims, secret_a, token);
        assert_int_equal(code_of(1, token),
                         strlen(token) <= TOKEN_MAX ? CODE_OK : CODE_TOKEN_MALFORMED);
    }
    assert_true(strlen(token) > TOKEN_MAX);
}

static void test_form(void **state)
{
    char token[TOKEN_MAX], other[TOKEN_MAX + 8];
    static const char *const wrong[] = {
        "",         ".",       "..",           "...",          "a",
        "a.b",      "a.b.",    "a..c",         ".b.c",         "a.b.c.",
        "e30.e30.", "e30.e30", "e30.e30.\xff", "e30=.e30.e30", "e30.e30.e 0"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (code_of(1, wrong[i]) != CODE_TOKEN_MALFORMED)
            fail_msg("\"%s\"", wrong[i]);
    assert_int_equal(code_of(1, "e30.e30.e30"), CODE_TOKEN_MALFORMED);

    sign(HS256, GOOD, secret_a, token);
    size_t n = strlen(token);
    assert_int_equal(code_of(1, token), CODE_OK);

    /* one bit anywhere, each of the six that a character carries */
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 6 && token[i] != '.'; bit++) {
            memcpy(other, token, n + 1);
            other[i] = alphabet[(size_t)(strchr(alphabet, token[i]) - alphabet) ^ (1u << bit)];
            enum code code = code_of(1, other);
            if (code != CODE_TOKEN_BAD_SIGNATURE && code != CODE_TOKEN_MALFORMED)
                fail_msg("character %zu, bit %d: %s", i, bit, code_text(code));
        }

    /* a signature cut short, or with more behind it */
    memcpy(other, token, n + 1);
    other[n - 3] = 0;
    assert_int_not_equal(code_of(1, other), CODE_OK);
    snprintf(other, sizeof(other), "%sAAAA", token);
    assert_int_not_equal(code_of(1, other), CODE_OK);
    snprintf(other, sizeof(other), "%s=", token);
    assert_int_equal(code_of(1, other), CODE_TOKEN_MALFORMED);
    snprintf(other, sizeof(other), "%s\n", token);
    assert_int_equal(code_of(1, other), CODE_TOKEN_MALFORMED);
    /* the claims of a bad signature are not even read */
    sign(HS256, "no JSON", secret_b, token);
    assert_int_equal(code_of(1, token), CODE_TOKEN_BAD_SIGNATURE);
    sign(HS256, "no JSON", secret_a, token);
    assert_int_equal(code_of(1, token), CODE_TOKEN_MALFORMED);
}

static void test_result(void **state)
{
    struct token_claims c;
    char token[TOKEN_MAX];

    (void)state;
    sign("{\"alg\":\"HS256\",\"kid\":\"b\"}",
         "{ \"sub\" : \"al\\u0069ce\", \"exp\" : 1700000100.5, \"jti\" : \"j1\","
         " \"topics\" : [ \"chat:*\", \"news\" ],"
         " \"attributes\" : { \"n\" : 9007199254740993, \"s\" : \"a b\" } }",
         secret_b, token);
    assert_int_equal(verify(2, token, &c), CODE_OK);
    assert_string_equal(c.subject, "alice");
    assert_string_equal(c.jti, "j1");
    assert_int_equal(c.exp_ms, 1700000100500);
    assert_int_equal(c.ntopics, 2);
    assert_string_equal(c.topics[0], "chat:*");
    assert_string_equal(c.topics[1], "news");
    assert_string_equal(c.attributes, "{\"n\":9007199254740993,\"s\":\"a b\"}");
    token_claims_free(&c);
    assert_null(c.subject);
    token_claims_free(&c);

    sign(HS256, GOOD, secret_a, token);
    assert_int_equal(verify(1, token, &c), CODE_OK);
    assert_null(c.topics);
    assert_null(c.attributes);
    assert_null(c.jti);
    token_claims_free(&c);

    sign(HS256, "{\"sub\":\"u\",\"exp\":1e300,\"topics\":[]}", secret_a, token);
    assert_int_equal(verify(1, token, &c), CODE_OK);
    assert_non_null(c.topics); /* claims to join nothing, which is not the same as no claim */
    assert_int_equal(c.ntopics, 0);
    assert_int_equal(c.exp_ms, 253402300799000);
    token_claims_free(&c);
}

static void test_mint(void **state)
{
    struct token_claims c;
    struct buf b;

    (void)state;
    buf_init(&b, TOKEN_MAX);
    assert_int_equal(token_jwt_mint(&two_keys[1], STR("alice \"q\""), STR("[\"chat:*\"]"),
                                    STR("{\"a\":1}"), NOW_MS + 999, 1500, &b),
                     0);
    assert_int_equal(token_jwt_verify(two_keys, 2, buf_str(&b), NOW_MS, MAX_AGE_MS, &c), CODE_OK);
    assert_string_equal(c.subject, "alice \"q\"");
    assert_int_equal(c.ntopics, 1);
    assert_string_equal(c.attributes, "{\"a\":1}");
    assert_int_equal(c.exp_ms, NOW_MS + 3000); /* up to the next whole second */
    token_claims_free(&c);
    assert_int_equal(token_jwt_verify(two_keys, 2, buf_str(&b), NOW_MS + 8000, MAX_AGE_MS, &c),
                     CODE_TOKEN_EXPIRED);
    buf_reset(&b);

    static const struct {
        const char *subject, *topics, *attributes;
        int rc;
    } rows[] = {
        {"u", "", "", 0},          {"", "", "", -EINVAL},
        {"a\nb", "", "", -EINVAL}, {"\xff", "", "", -EINVAL},
        {"u", "{}", "", -EINVAL},  {"u", "[1]", "", -EINVAL},
        {"u", "[", "", -EINVAL},   {"u", "[],\"sub\":\"root\"", "", -EINVAL},
        {"u", "", "[]", -EINVAL},  {"u", "", "{},\"jti\":\"x\"", -EINVAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_reset(&b);
        int rc = token_jwt_mint(&two_keys[0], str_of(rows[i].subject), str_of(rows[i].topics),
                                str_of(rows[i].attributes), NOW_MS, 1000, &b);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %d", i, rc);
        assert_true((b.len > 0) == (rc == 0));
    }

    char large[TOKEN_MAX];
    repeat(large, "{\"a\":\"", "x", TOKEN_MAX - 100, "\"}");
    buf_reset(&b);
    assert_int_equal(token_jwt_mint(&two_keys[0], STR("u"), STR(""), str_of(large), NOW_MS, 1, &b),
                     -EMSGSIZE);
    repeat(large, "{\"a\":\"", "x", 6000, "\"}");
    assert_int_equal(token_jwt_mint(&two_keys[0], STR("u"), STR(""), str_of(large), NOW_MS, 1, &b),
                     0);
    buf_free(&b);
    buf_init(&b, 20);
    assert_int_equal(token_jwt_mint(&two_keys[0], STR("u"), STR(""), STR(""), NOW_MS, 1, &b),
                     -EMSGSIZE);
    buf_free(&b);
}

/* Each allocation fails once: the caller is told so, and nothing leaks. */
static int verify_once(void *token)
{
    struct token_claims c;
    enum code code = verify(1, token, &c);

    if (code == CODE_OK)
        token_claims_free(&c);
    return code == CODE_OK ? 0 : code == CODE_INTERNAL ? -ENOMEM : -EINVAL;
}

static int mint_once(void *arg)
{
    struct buf b;

    (void)arg;
    buf_init(&b, TOKEN_MAX);
    int rc = token_jwt_mint(&two_keys[0], STR("u"), STR("[\"a\"]"), STR("{}"), NOW_MS, 1000, &b);
    buf_free(&b);
    return rc;
}

static void test_no_memory(void **state)
{
    char token[TOKEN_MAX];

    (void)state;
    sign(HS256,
         "{\"sub\":\"u\",\"exp\":1700000100,\"jti\":\"j\",\"topics\":[\"a\",\"b\"],"
         "\"attributes\":{}}",
         secret_a, token);
    assert_int_equal(failmalloc_each(verify_once, token), 6);
    assert_true(failmalloc_each(mint_once, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc7515_a1), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_claims),     cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_form),       cmocka_unit_test(test_result),
        cmocka_unit_test(test_mint),       cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
