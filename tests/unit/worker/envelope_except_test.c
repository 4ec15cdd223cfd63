/* envelope_except_test - sessions that a message is not for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/envelope.h"

#define LIMIT 64

#define A "AAAAAAAAAAAAAAAAAAAAAQ"
#define B "AgAAAAAAAAAAAAAAAAAAAA"
#define FIVE "\"" A "\",\"" A "\",\"" A "\",\"" A "\",\"" A "\""

static void some_do_not_get_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int n; /* of ids; -1: refused */
    } rows[] = {
        {"{\"data\":1,\"except\":[]}", 0},
        {"{\"data\":1,\"except\":null}", 0},
        {"{\"data\":1,\"except\":[\"" A "\",\"" B "\"]}", 2},
        {"{\"data\":1,\"except\":[\"\\u0041AAAAAAAAAAAAAAAAAAAAQ\",\"" B "\"]}", 2},
        {"{\"data\":1,\"except\":[" FIVE "," FIVE "," FIVE "]}", 15},
        {"{\"data\":1,\"except\":[" FIVE "," FIVE "," FIVE ",\"" B "\"]}", -1},
        {"{\"data\":1,\"except\":[\"\"]}", -1},
        {"{\"data\":1,\"except\":[\"" A "x\"]}", -1},
        {"{\"data\":1,\"except\":[7]}", -1},
        {"{\"data\":1,\"except\":[null]}", -1},
        {"{\"data\":1,\"except\":\"" A "\"}", -1},
        {"{\"data\":1,\"except\":{}}", -1},
        {"{\"data\":1,\"except\":true}", -1},
        {"{\"data\":1,\"except\":[],\"except\":[]}", -1},
    };
    static const uint8_t a[16] = {[15] = 1}, b[16] = {2};
    struct buf scratch;
    buf_init(&scratch, 4096);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct datum v;
        struct envelope e;
        struct envelope_error error;
        assert_int_equal(datum_check(ENCODING_JSON, str_of(rows[i].text), &v), 0);
        bool taken = envelope_decode(&v, APPEND_TOPIC, LIMIT, &scratch, &e, &error);
        if (taken != (rows[i].n >= 0))
            fail_msg("%s: %s", rows[i].text, taken ? "taken" : error.why);
        if (!taken)
            continue;
        assert_int_equal(e.except.n, rows[i].n * 16);
        assert_int_equal(e.target, APPEND_TOPIC);
        if (rows[i].n)
            assert_memory_equal(e.except.p, a, 16);
        if (rows[i].n == 2)
            assert_memory_equal(e.except.p + 16, b, 16);
        /* Only what goes to a topic. */
        assert_int_equal(envelope_decode(&v, APPEND_SUBJECT, LIMIT, &scratch, &e, &error),
                         strstr(rows[i].text, "null") != NULL);
    }
    buf_free(&scratch);
}

static void items_of_batches(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int n; /* as above */
    } rows[] = {
        {"{\"topic\":\"chat:1\",\"data\":1,\"except\":[\"" A "\"]}", 1},
        {"{\"topic\":\"chat:1\",\"data\":1,\"except\":[\"x\"]}", -1},
        {"{\"session\":\"abc\",\"data\":1,\"except\":[\"" A "\"]}", -1},
        {"{\"session\":\"abc\",\"data\":1,\"except\":null}", 0},
    };
    struct buf scratch;
    buf_init(&scratch, 4096);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct datum v;
        struct envelope e;
        struct envelope_error error;
        assert_int_equal(datum_check(ENCODING_JSON, str_of(rows[i].text), &v), 0);
        assert_int_equal(envelope_decode(&v, 0, LIMIT, &scratch, &e, &error), rows[i].n >= 0);
        if (rows[i].n >= 0)
            assert_int_equal(e.except.n, rows[i].n * 16);
        else
            assert_int_equal(error.code, CODE_BAD_REQUEST);
    }
    buf_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_do_not_get_it),
        cmocka_unit_test(items_of_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
