/* json_text: strings, numbers and durations out of JSON; compacting and quoting into it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json.h"
#include "tests/unit/failmalloc.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static struct json_value value(const char *text)
{
    struct json_value v;
    if (json_check(str_of(text), &v) != 0)
        fail_msg("not JSON: %s", text);
    return v;
}

static void assert_string(const char *json, struct str want)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_append_c(&b, '>');
    assert_int_equal(json_string(value(json), &b), 0);
    assert_int_equal(b.len, want.n + 1);
    assert_memory_equal(b.data + 1, want.p, want.n);
    buf_free(&b);
}

static void test_string(void **state)
{
    (void)state;
    assert_string("\"\"", STR(""));
    assert_string("\"plain\"", STR("plain"));
    assert_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", STR("\"\\/\b\f\n\r\t"));
    assert_string("\"a\\u0000b\"", STR("a\0b"));
    assert_string("\"\\u0041\\u00e9\\u20AC\\uffff\"", STR("A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf"));
    assert_string("\"\\ud83d\\udcee\"", STR("\xf0\x9f\x93\xae"));
    assert_string("\"\\uD800\\uDC00\\udbff\\udfff\"", STR("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
    assert_string("\"gr\xc3\xbc\xc3\x9f\\\\n\"", STR("gr\xc3\xbc\xc3\x9f\\n"));
}

static void test_string_refuses(void **state)
{
    (void)state;
    static const char *const no_string[] = {"1", "null", "[\"a\"]", "{}"};
    /* Not what json_check would let through, but it must not step outside either. */
    static const char *const garbage[] = {
        "\"",          "",        "\"\\\"",         "\"\\u12\"",
        "\"\\ud800\"", "\"\\q\"", "\"\\udc00\"",    "\"\\ud800\\n\"",
        "\"abc",       "abc\"",   "\"\\ud800\\u\"", "\"\\\x80\""};
    struct buf b;
    buf_init(&b, 100);
    buf_append_z(&b, "kept");
    for (size_t i = 0; i < ROWS(no_string); i++)
        assert_int_equal(json_string(value(no_string[i]), &b), -EINVAL);
    for (size_t i = 0; i < ROWS(garbage); i++) {
        struct json_value v = {.type = JSON_STRING, .raw = str_of(garbage[i])};
        assert_int_equal(json_string(v, &b), -EINVAL);
    }
    assert_int_equal(b.error, 0);
    assert_int_equal(b.len, 4);
    assert_int_equal(json_string(value("\"x\\ty\""), &b), 0);
    assert_int_equal(b.len, 7);
    buf_free(&b);
}

static void test_string_ceiling_counts_decoded_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    assert_int_equal(json_string(value("\"\\u0061\\u0062\\u0063\\u0064\""), &b), 0);
    assert_int_equal(b.len, 4);
    buf_reset(&b);
    buf_append_c(&b, 'x');
    assert_int_equal(json_string(value("\"ab\\u0063\\u0064\""), &b), -EMSGSIZE);
    assert_int_equal(b.len, 1);
    buf_free(&b);
}

static void test_key(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *name;
        bool is;
    } rows[] = {
        {"", "", true},
        {"a", "", false},
        {"", "a", false},
        {"data", "data", true},
        {"data", "dat", false},
        {"dat", "data", false},
        {"d\\u0061ta", "data", true},
        {"\\u0064\\u0061\\u0074\\u0061", "data", true},
        {"d\\u0061t", "data", false},
        {"d\\u0061taa", "data", false},
        {"d\\u0041ta", "data", false},
        {"\\u00e9", "\xc3\xa9", true},
        {"\\u00e9", "\xc3", false},
        {"\\ud83d\\udcee", "\xf0\x9f\x93\xae", true},
        {"a\\/b", "a/b", true},
        {"data\\u0000", "data", false},
        {"\\u0000", "", false},
        {"\\", "\\", false},
        {"\\u12", "a", false},
        {"a\\q", "aq", false},
    };
    for (size_t i = 0; i < ROWS(rows); i++)
        assert_int_equal(json_key_is(str_of(rows[i].raw), rows[i].name), rows[i].is);
    assert_true(json_key_is(str_make(NULL, 0), ""));
}

static void test_u64(void **state)
{
    (void)state;
    static const char *const bad[] = {"-1", "-0", "1.0", "1e3", "0.5", "\"1\"", "null", "[1]"};
    uint64_t v = 77;
    for (size_t i = 0; i < ROWS(bad); i++)
        assert_int_equal(json_u64(value(bad[i]), &v), -EINVAL);
    assert_int_equal(json_u64(value("18446744073709551616"), &v), -ERANGE);
    assert_int_equal(json_u64(value("100000000000000000000000"), &v), -ERANGE);
    assert_int_equal(json_u64((struct json_value){.type = JSON_NUMBER}, &v), -EINVAL);
    assert_true(v == 77);
    assert_int_equal(json_u64(value("0"), &v), 0);
    assert_true(v == 0);
    assert_int_equal(json_u64(value("9007199254740993"), &v), 0);
    assert_true(v == 9007199254740993);
    assert_int_equal(json_u64(value("18446744073709551615"), &v), 0);
    assert_true(v == UINT64_MAX);
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint64_t ms;
    } rows[] = {
        {"0", 0, 0},
        {"30", 0, 30000},
        {"\"500ms\"", 0, 500},
        {"\"10m\"", 0, 600000},
        {"\"7d\"", 0, 604800000},
        {"\"30\"", 0, 30000},
        {"\"\\u0031h\"", 0, 3600000},
        {"-1", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"true", -EINVAL, 0},
        {"\"\"", -EINVAL, 0},
        {"\"1x\"", -EINVAL, 0},
        {"\"-1s\"", -EINVAL, 0},
        {"\"1s\\u0000\"", -EINVAL, 0},
        {"\"1                                                  s\"", -EINVAL, 0},
        {"18446744073709551", 0, 18446744073709551000u},
        {"18446744073709552", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"\"18446744073709551616d\"", -ERANGE, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t ms = 0;
        assert_int_equal(json_duration(value(rows[i].text), &ms), rows[i].rc);
        assert_true(ms == rows[i].ms);
    }
}

static void test_compact(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"1", "1"},
        {" \" a  b \" ", "\" a  b \""},
        {"[]", "[]"},
        {"[ ]", "[]"},
        {" { } ", "{}"},
        {"{ \"b\" : 9007199254740993 ,\r\n\t\"a\" : [ 1.0 , 1e2 , \" x \\\" [ ] \" , { } ] }",
         "{\"b\":9007199254740993,\"a\":[1.0,1e2,\" x \\\" [ ] \",{}]}"},
        {"{\"b\":1,\"a\":2,\"a\":3}", "{\"b\":1,\"a\":2,\"a\":3}"},
        {"[\"\\\\\" , \"\\\\\\\"  \" ]", "[\"\\\\\",\"\\\\\\\"  \"]"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf b;
        buf_init(&b, strlen(rows[i].want)); /* exactly: what is removed needs no room */
        assert_int_equal(json_compact(value(rows[i].text), &b), 0);
        assert_int_equal(b.len, strlen(rows[i].want));
        assert_memory_equal(b.data, rows[i].want, b.len);
        buf_free(&b);
        buf_init(&b, strlen(rows[i].want) - 1);
        assert_int_equal(json_compact(value(rows[i].text), &b), -EMSGSIZE);
        buf_free(&b);
    }
}

static void assert_quoted(struct str s, const char *want)
{
    struct buf b, back;
    buf_init(&b, 1000);
    buf_init(&back, 1000);
    assert_int_equal(json_quote(&b, s), 0);
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.data, want, b.len);
    struct json_value v;
    assert_int_equal(json_check(buf_str(&b), &v), 0);
    assert_int_equal(json_string(v, &back), 0);
    if (utf8_valid(s))
        assert_true(str_eq(buf_str(&back), s));
    buf_free(&b);
    buf_free(&back);
}

static void test_quote(void **state)
{
    (void)state;
    assert_quoted(STR(""), "\"\"");
    assert_quoted(str_make(NULL, 0), "\"\"");
    assert_quoted(STR("plain"), "\"plain\"");
    assert_quoted(STR("\"\\/"), "\"\\\"\\\\/\"");
    assert_quoted(STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    assert_quoted(STR("\0\x01\x0b\x1f\x7f"), "\"\\u0000\\u0001\\u000b\\u001f\x7f\"");
    assert_quoted(STR("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xae"),
                  "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xae\"");
    assert_quoted(STR("a\xff"
                      "b\xc3"),
                  "\"a\xef\xbf\xbd"
                  "b\xef\xbf\xbd\"");
    assert_quoted(STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_quoted(STR("\xc3\xa9\xc3\""), "\"\xc3\xa9\xef\xbf\xbd\\\"\"");
    assert_quoted(STR("0123456789\n0123456789\"0123456789\xc3\xa9"
                      "0123456789"),
                  "\"0123456789\\n0123456789\\\"0123456789\xc3\xa9"
                  "0123456789\"");
}

static void test_quote_every_byte_and_pair(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        char text[20] = "0123456x";
        size_t at = pair % 9;
        text[at] = (char)(pair >> 8);
        text[at + 1] = (char)pair;
        buf_reset(&b);
        assert_int_equal(json_quote(&b, str_make(text, 11)), 0);
        if (json_check(buf_str(&b), NULL) != 0)
            fail_msg("pair %04x", pair);
    }
    buf_free(&b);
}

static void test_quote_ceiling(void **state)
{
    (void)state;
    struct buf b;
    for (size_t max = 0; max < 15; max++) {
        buf_init(&b, max);
        assert_int_equal(json_quote(&b, STR("ab\x01\xff\"")), -EMSGSIZE);
        buf_free(&b);
    }
    buf_init(&b, 15);
    assert_int_equal(json_quote(&b, STR("ab\x01\xff\"")), 0);
    buf_free(&b);
}

static int make(void *arg)
{
    struct buf b;
    (void)arg;
    buf_init(&b, 1 << 20);
    struct json_value v = value("[ 1 , \"\\u0041\\n\" , { \"a\" : [ ] } ]");
    for (int i = 0; i < 200; i++) {
        json_compact(v, &b);
        json_quote(&b, STR("a\n\xff"));
        json_string(value("\"x\\ty\""), &b);
    }
    int rc = b.error;
    buf_free(&b);
    return rc;
}

static void test_every_allocation_failure(void **state)
{
    (void)state;
    assert_in_range(failmalloc_each(make, NULL), 5, 20);
}

static int decode(void *arg)
{
    struct buf b;
    (void)arg;
    buf_init(&b, 1 << 20);
    size_t was = b.len;
    int rc = json_string(value("\"01234567890123456789012345678901234567890123456789\\n"
                               "01234567890123456789012345678901234567890123456789\""),
                         &b);
    if (rc < 0)
        assert_int_equal(b.len, was);
    buf_free(&b);
    return rc;
}

static void test_string_without_memory_appends_nothing(void **state)
{
    (void)state;
    assert_int_equal(failmalloc_each(decode, NULL), 2);
}

static void test_reading_needs_no_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b"};
    struct json_value got[2];
    uint64_t ms;
    failmalloc_arm(1);
    struct json_value v = value("{\"\\u0061\":\"10m\",\"b\":[1,2,{}]}");
    assert_int_equal(json_pick(v, names, 2, got), 0);
    assert_int_equal(json_duration(got[0], &ms), 0);
    assert_false(failmalloc_disarm());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_string_refuses),
        cmocka_unit_test(test_string_ceiling_counts_decoded_bytes),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_quote),
        cmocka_unit_test(test_quote_every_byte_and_pair),
        cmocka_unit_test(test_quote_ceiling),
        cmocka_unit_test(test_every_allocation_failure),
        cmocka_unit_test(test_string_without_memory_appends_nothing),
        cmocka_unit_test(test_reading_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
