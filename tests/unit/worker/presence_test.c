/* presence_test - what a client says of itself, judged in either encoding. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "worker/presence.h"

static struct {
    struct conf conf;
    struct conf_namespace ns;
    struct buf kept, other;
    struct str presence;
    const char *why;
} T = {.conf = {.presence_meta = 64}, .ns = {.presence = true}};

/* The member `presence` of this object, as JSON or turned into MessagePack. */
static enum code read_as(enum encoding encoding, const char *object)
{
    static const char *const names[] = {"presence"};
    struct json_value json;
    struct datum d, said;
    buf_free(&T.kept);
    buf_free(&T.other);
    buf_init(&T.other, 1 << 20);
    assert_int_equal(json_check(str_of(object), &json), 0);
    assert_int_equal(mp_from_json(json, &T.other), 0);
    struct str text = encoding == ENCODING_JSON ? str_of(object) : buf_str(&T.other);
    assert_int_equal(datum_check(encoding, text, &d), 0);
    assert_int_equal(datum_pick(&d, names, 1, &said), 0);
    return presence_read(&T.conf, &T.ns, &said, &T.kept, &T.presence, &T.why);
}

static void assert_kept(const char *object, const char *presence)
{
    for (int e = 0; e < ENCODINGS; e++) {
        assert_int_equal(read_as((enum encoding)e, object), CODE_OK);
        assert_true(str_is(T.presence, presence));
        assert_null(T.why);
    }
}

static void assert_refused(const char *object, enum code code, const char *why)
{
    for (int e = 0; e < ENCODINGS; e++) {
        assert_int_equal(read_as((enum encoding)e, object), code);
        assert_string_equal(T.why, why);
    }
}

static int end(void **state)
{
    (void)state;
    buf_free(&T.kept);
    buf_free(&T.other);
    T.ns.presence = true;
    T.conf.presence_meta = 64;
    return 0;
}

static void is_kept_compact(void **state)
{
    (void)state;
    assert_kept("{}", "");
    assert_kept("{\"presence\":null}", "null");
    assert_kept("{\"presence\":{}}", "{}");
    assert_kept("{\"presence\": { \"a\" : [ 1 , \"b c\" ] } }", "{\"a\":[1,\"b c\"]}");
    /* What the server says of itself is not the client's to say. */
    assert_kept("{\"presence\":{\"session\":1,\"a\":2,\"since\":3,\"ref\":4,\"prev_ref\":5}}",
                "{\"a\":2}");
    assert_kept("{\"presence\":{\"\\u0072ef\":1,\"__proto__\":{\"x\":1},\"constructor\":2}}",
                "{\"__proto__\":{\"x\":1},\"constructor\":2}");
}

static void is_an_object(void **state)
{
    (void)state;
    static const char *const bad[] = {"7", "true", "\"x\"", "[]", "[{}]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"presence\":%s}", bad[i]);
        assert_refused(text, CODE_BAD_REQUEST, "presence: an object, or null");
    }
    /* Bytes are none either. */
    static const unsigned char bytes[] = {0x81, 0xa8, 'p', 'r', 'e',  's',
                                          'e',  'n',  'c', 'e', 0xc4, 0};
    static const char *const names[] = {"presence"};
    struct datum d, said;
    buf_free(&T.kept);
    assert_int_equal(datum_check(ENCODING_MSGPACK, str_make(bytes, sizeof(bytes)), &d), 0);
    assert_int_equal(datum_pick(&d, names, 1, &said), 0);
    assert_int_equal(presence_read(&T.conf, &T.ns, &said, &T.kept, &T.presence, &T.why),
                     CODE_BAD_REQUEST);
}

static void has_its_size(void **state)
{
    (void)state;
    char text[512], kept[256];
    for (int n = 56; n <= 57; n++) {
        snprintf(kept, sizeof(kept), "{\"a\":\"%0*d\"}", n, 0);
        snprintf(text, sizeof(text), "{\"presence\":%s}", kept);
        if (strlen(kept) <= 64)
            assert_kept(text, kept);
        else
            assert_refused(text, CODE_TOO_LARGE, "presence: more bytes than limits.presence_meta");
    }
    assert_int_equal(strlen(kept), 65);
    /* What is left out does not count. */
    snprintf(text, sizeof(text), "{\"presence\":{\"ref\":\"%0100d\",\"a\":1}}", 0);
    assert_kept(text, "{\"a\":1}");
}

static void has_its_depth(void **state)
{
    (void)state;
    T.conf.presence_meta = 4096;
    for (int n = PRESENCE_DEPTH - 1; n <= PRESENCE_DEPTH; n++) {
        char text[512], kept[256], open[64], close[64];
        memset(open, '[', sizeof(open));
        memset(close, ']', sizeof(close));
        snprintf(kept, sizeof(kept), "{\"a\":%.*s%.*s,\"b\":[],\"c\":\"[\\\"[\"}", n, open, n,
                 close);
        snprintf(text, sizeof(text), "{\"presence\":%s}", kept);
        if (n < PRESENCE_DEPTH)
            assert_kept(text, kept);
        else
            assert_refused(text, CODE_BAD_REQUEST, "presence: nested too deep");
    }
    char brackets[256];
    memset(brackets, '{', sizeof(brackets));
    char text[512], kept[256];
    snprintf(kept, sizeof(kept), "{\"a\":\"%.*s\\\\\",\"b\":\"%.*s\"}", 60, brackets, 60, brackets);
    snprintf(text, sizeof(text), "{\"presence\":%s}", kept);
    assert_kept(text, kept); /* text is no nesting */
}

static void needs_a_namespace_that_has_it(void **state)
{
    (void)state;
    T.ns.presence = false;
    assert_refused("{\"presence\":{}}", CODE_FORBIDDEN, "the topic's namespace has no presence");
    /* Who was tracked before that was so gets out of it. */
    assert_kept("{\"presence\":null}", "null");
    assert_kept("{}", "");
}

static void without_memory(void **state)
{
    (void)state;
    for (int e = 0; e < ENCODINGS; e++) {
        unsigned refused = 0;
        bool failed = true;
        for (unsigned long n = 1; failed; n++) {
            static const char *const names[] = {"presence"};
            struct datum d, said;
            assert_int_equal(read_as((enum encoding)e, "{\"presence\":{\"a\":1}}"), CODE_OK);
            struct str text =
                e == ENCODING_JSON ? STR("{\"presence\":{\"a\":1}}") : buf_str(&T.other);
            assert_int_equal(datum_check((enum encoding)e, text, &d), 0);
            assert_int_equal(datum_pick(&d, names, 1, &said), 0);
            buf_free(&T.kept);
            failmalloc_arm(n);
            enum code code = presence_read(&T.conf, &T.ns, &said, &T.kept, &T.presence, &T.why);
            failed = failmalloc_disarm();
            assert_int_equal(code, failed ? CODE_UNAVAILABLE : CODE_OK);
            refused += failed;
        }
        assert_true(refused >= 1);
    }
}

int main(void)
{
#define U(f) cmocka_unit_test_teardown(f, end)
    const struct CMUnitTest tests[] = {
        U(is_kept_compact),
        U(is_an_object),
        U(has_its_size),
        U(has_its_depth),
        U(needs_a_namespace_that_has_it),
        U(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
