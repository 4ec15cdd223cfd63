/* log_redact: no credential of a request target reaches a log, however its name is spelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/log.h"

struct row {
    const char *target, *want;
};

static const struct row rows[] = {
    {"", ""},
    {"/v1/sessions", "/v1/sessions"},
    {"/v1/x?cursor=9f.1&wait=20s", "/v1/x?cursor=9f.1&wait=20s"},
    {"/v1/socket?access_token=SECRET", "/v1/socket?access_token=***"},
    {"/v1/socket?session=a&access_token=SECRET&cursor=1",
     "/v1/socket?session=a&access_token=***&cursor=1"},
    {"/s?token=SECRET", "/s?token=***"},
    {"/s?authToken=SECRET&vsn=2.0.0", "/s?authToken=***&vsn=2.0.0"},
    {"/s?apikey=SECRET&sid=SECRET", "/s?apikey=***&sid=***"},
    {"/s?token=SECRET&token=SECRET", "/s?token=***&token=***"},
    {"/s?token=", "/s?token=***"},
    {"/s?token", "/s?token"},
    {"/s?token&a=b", "/s?token&a=b"},
    /* spelled otherwise */
    {"/s?access%5Ftoken=SECRET", "/s?access%5Ftoken=***"},
    {"/s?access%5ftoken=SECRET", "/s?access%5ftoken=***"},
    {"/s?%61%63%63%65%73%73_%74oken=SECRET", "/s?%61%63%63%65%73%73_%74oken=***"},
    {"/s?%74%6F%6B%65%6E=SECRET", "/s?%74%6F%6B%65%6E=***"},
    {"/s?ACCESS_TOKEN=SECRET", "/s?ACCESS_TOKEN=***"},
    {"/s?AuthTOKEN=SECRET", "/s?AuthTOKEN=***"},
    {"/s?access_token%3DSECRET", "/s?access_token%3D***"},
    /* in places where a client put it by mistake */
    {"/s?a=b?access_token=SECRET", "/s?a=b?access_token=***"},
    {"/s%3Faccess_token=SECRET", "/s%3Faccess_token=***"},
    {"/s?a=b%26token=SECRET", "/s?a=b%26token=***"},
    {"/s?a=b;token=SECRET", "/s?a=b;token=***"},
    {"/s#access_token=SECRET", "/s#access_token=***"},
    {"/s&token=SECRET", "/s&token=***"},
    /* a value that contains what could end it */
    {"/s?token=SEC;RET", "/s?token=***"},
    {"/s?token=SEC?RET#SECRET", "/s?token=***"},
    {"/s?token=SEC%26RET=SECRET", "/s?token=***"},
    {"/s?token==SECRET=&a=b", "/s?token=***&a=b"},
    /* not a credential */
    {"/s?mytoken=1&tokens=2&token_=3&access_tokens=4",
     "/s?mytoken=1&tokens=2&token_=3&access_tokens=4"},
    {"/token=1", "/token=1"},
    /* encodings that are none */
    {"/s?%", "/s?%"},
    {"/s?%7", "/s?%7"},
    {"/s?%zz=1&tok%en=2&%", "/s?%zz=1&tok%en=2&%"},
    {"/s?toke%6", "/s?toke%6"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[200];
        assert_ptr_equal(log_redact_target(str_of(rows[i].target), out, sizeof(out)), out);
        assert_string_equal(out, rows[i].want);
    }
}

/* Cut anywhere, on both sides, it is a prefix of the whole and never shows a credential. */
static void test_every_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = strlen(rows[i].want);
        for (size_t size = 1; size <= n + 1; size++) {
            char *out = malloc(size);
            assert_non_null(out);
            log_redact_target(str_of(rows[i].target), out, size);
            assert_int_equal(strlen(out), size - 1);
            assert_memory_equal(out, rows[i].want, size - 1);
            free(out);
        }
        for (size_t len = 0; len < strlen(rows[i].target); len++) {
            char out[200];
            char *copy = malloc(len + 1);
            assert_non_null(copy);
            memcpy(copy, rows[i].target, len);
            log_redact_target(str_make(copy, len), out, sizeof(out));
            assert_null(strstr(out, "SEC"));
            free(copy);
        }
    }
}

static void test_nul_and_high_bytes(void **state)
{
    (void)state;
    char out[64];
    log_redact_target(STR("/a\xff?\0token=S&token=SECRET"), out, sizeof(out));
    assert_memory_equal(out, "/a\xff?\0token=S&token=***", 23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_nul_and_high_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
