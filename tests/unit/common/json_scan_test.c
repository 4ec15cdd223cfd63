/* json_scan: what is JSON and what is not, and that walking stays inside any text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/json.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* On memory of exactly its size, so that a sanitizer sees a step outside. */
static int check(struct str text, struct json_value *ret)
{
    char *copy = malloc(text.n + 1);
    assert_non_null(copy);
    if (text.n)
        memcpy(copy, text.p, text.n);
    char *exact = realloc(copy, text.n ? text.n : 1);
    assert_non_null(exact);
    int rc = json_check(str_make(exact, text.n), NULL);
    free(exact);
    assert_int_equal(json_check(text, ret), rc);
    return rc;
}

static void test_accepts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_type type;
        const char *raw;
    } good[] = {
        {"null", JSON_NULL, "null"},
        {"true", JSON_TRUE, "true"},
        {" false ", JSON_FALSE, "false"},
        {"0", JSON_NUMBER, "0"},
        {"-0", JSON_NUMBER, "-0"},
        {"9007199254740993", JSON_NUMBER, "9007199254740993"},
        {"-12.50e+10", JSON_NUMBER, "-12.50e+10"},
        {"1E5", JSON_NUMBER, "1E5"},
        {"1e-5\n", JSON_NUMBER, "1e-5"},
        {"0.0", JSON_NUMBER, "0.0"},
        {"123456789012345678901234567890123456789012345678901234567890123456789.5", JSON_NUMBER,
         "123456789012345678901234567890123456789012345678901234567890123456789.5"},
        {"\"\"", JSON_STRING, "\"\""},
        {"\t\"a b\"\r\n", JSON_STRING, "\"a b\""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", JSON_STRING, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""},
        {"\"\\u0000\\u001f\\uFFFF\\ud7ff\\uE000\"", JSON_STRING,
         "\"\\u0000\\u001f\\uFFFF\\ud7ff\\uE000\""},
        {"\"\\ud83d\\udcee\\uD800\\uDC00\\udbff\\udfff\"", JSON_STRING,
         "\"\\ud83d\\udcee\\uD800\\uDC00\\udbff\\udfff\""},
        {"\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xae \x7f\"", JSON_STRING,
         "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xae \x7f\""},
        {"[]", JSON_ARRAY, "[]"},
        {" [ ] ", JSON_ARRAY, "[ ]"},
        {"{}", JSON_OBJECT, "{}"},
        {"{ }", JSON_OBJECT, "{ }"},
        {"[1,[2,{\"a\":[]}],\"x\"]", JSON_ARRAY, "[1,[2,{\"a\":[]}],\"x\"]"},
        {"{\"\":0,\"\":1}", JSON_OBJECT, "{\"\":0,\"\":1}"},
        {"{\"a\" : { \"b\" : [ true , null ] } }", JSON_OBJECT,
         "{\"a\" : { \"b\" : [ true , null ] } }"},
    };
    for (size_t i = 0; i < ROWS(good); i++) {
        struct json_value v;
        if (check(str_of(good[i].text), &v) != 0)
            fail_msg("refused: %s", good[i].text);
        assert_int_equal(v.type, good[i].type);
        assert_true(str_is(v.raw, good[i].raw));
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "\n",
        "nul",
        "nulll",
        "True",
        "NULL",
        "tru",
        "fals",
        "n",
        "undefined",
        "NaN",
        "Infinity",
        "-Infinity",
        "'a'",
        "a",
        "\xef\xbb\xbf{}",
        "\x0c[]",
        "\xc2\xa0[]",
        "//x\n1",
        "/**/1",
        "1 2",
        "{}{}",
        "[]]",
        "[] x",
        "\"a\" \"b\"",
        /* numbers */
        "-",
        "+1",
        "01",
        "-01",
        "00",
        "1.",
        ".5",
        "-.5",
        "1.e5",
        "1e",
        "1e+",
        "1E-",
        "0x10",
        "1_0",
        "1,5",
        "--1",
        "1-",
        "1e5.5",
        "0e",
        "1.2.3",
        "\xd9\xa1",
        /* strings */
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\",
        "\"\\a\"",
        "\"\\x41\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u123",
        "\"\\U0041\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x01\"",
        "\"\x1f\"",
        "\"\\\n\"",
        "\"\\'\"",
        "\"\\0\"",
        "\"\\u00\\u0041\"",
        /* surrogates */
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\udbff\"",
        "\"\\ud800\\u\"",
        "\"\\ud800\\",
        "\"\\ud800",
        "\"\\ud800\\udc0\"",
        /* UTF-8 */
        "\"\x80\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xc3",
        "\"\xc0\xaf\"",
        "\"\xe2\x82\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf0\x80\x80\x80\"",
        "\"\xfe\"",
        /* arrays */
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[,]",
        "[1,,2]",
        "[1 2]",
        "[1}",
        "[\"a\":1]",
        "[[]",
        "[1;2]",
        "[\x0c]",
        /* objects */
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{,\"a\":1}",
        "{\"a\"}",
        "{\"a\",1}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{a:1}",
        "{1:1}",
        "{null:1}",
        "{[]:1}",
        "{'a':1}",
        "{\"a\":1]",
        "{\"a\":1 \"b\":2}",
        "{\"a\":}",
        "{\"a\":1,,\"b\":2}",
        "{\"a:1}",
        "{\"\\ud800\":1}",
        "{\"a\\q\":1}",
        "{{}:1}",
    };
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct json_value v = {.type = JSON_TRUE, .raw = STR("untouched")};
        if (check(str_of(bad[i]), &v) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_true(v.type == JSON_TRUE && str_is(v.raw, "untouched"));
    }
    assert_int_equal(check(STR("1\0"), NULL), -EINVAL);
    assert_int_equal(check(STR("\0"), NULL), -EINVAL);
    assert_int_equal(check(STR("\"\0\""), NULL), -EINVAL);
    assert_int_equal(check(STR("\"\\\0\""), NULL), -EINVAL);
    assert_int_equal(check(str_make(NULL, 0), NULL), -EINVAL);
}

/* Every single byte in the middle of a string, at every place of a word. */
static void test_every_byte_in_a_string(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        for (size_t before = 0; before < 10; before++) {
            char text[32] = "\"";
            memset(text + 1, 'a', 22);
            text[1 + before] = (char)c;
            text[22] = '"';
            bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            if ((check(str_make(text, 23), NULL) == 0) != plain)
                fail_msg("byte %d at %zu", c, before);
        }
    }
}

static void nest(char *text, unsigned depth, const char *open, const char *inner, const char *close)
{
    *text = '\0';
    for (unsigned i = 0; i < depth; i++)
        strcat(text, open);
    strcat(text, inner);
    for (unsigned i = 0; i < depth; i++)
        strcat(text, close);
}

static void test_depth(void **state)
{
    (void)state;
    static char text[1 << 16];
    static const char *const inner[] = {"1", "[]", "{}"};
    static const unsigned own[] = {0, 1, 1};
    for (int i = 0; i < 3; i++) {
        const char *in = inner[i];
        nest(text, JSON_DEPTH - own[i], "[", in, "]");
        assert_int_equal(check(str_of(text), NULL), 0);
        nest(text, JSON_DEPTH - own[i], "{\"a\":", in, "}");
        assert_int_equal(check(str_of(text), NULL), 0);
        nest(text, JSON_DEPTH / 2 - own[i], "[{\"a\":0, \"b\":", in, "}]");
        assert_int_equal(check(str_of(text), NULL), 0);
        nest(text, JSON_DEPTH - own[i] + 1, "[", in, "]");
        assert_int_equal(check(str_of(text), NULL), -E2BIG);
        nest(text, JSON_DEPTH - own[i] + 1, "{\"a\":", in, "}");
        assert_int_equal(check(str_of(text), NULL), -E2BIG);
        nest(text, 10000, "[", in, "");
        assert_int_equal(check(str_of(text), NULL), -E2BIG);
    }
    /* Every level remembers what it is. */
    nest(text, JSON_DEPTH / 2, "[{\"a\":", "1", "}]");
    for (char *p = strchr(text, '1') + 1; *p; p++) {
        *p = *p == '}' ? ']' : '}';
        assert_int_equal(check(str_of(text), NULL), -EINVAL);
        *p = *p == '}' ? ']' : '}';
    }
    assert_int_equal(check(str_of(text), NULL), 0);
}

static const char document[] = " { \"a\" : 1 , \"b\\\"]\" : [ true , \"}\\\\\" , {\"x\":[]} ] ,"
                               "\"\":\"\\u005d\",\"a\":{ },\"n\":-1.5e3 } ";

static void test_walks_members(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum json_type type;
        const char *raw;
    } want[] = {
        {"a", JSON_NUMBER, "1"},
        {"b\\\"]", JSON_ARRAY, "[ true , \"}\\\\\" , {\"x\":[]} ]"},
        {"", JSON_STRING, "\"\\u005d\""},
        {"a", JSON_OBJECT, "{ }"},
        {"n", JSON_NUMBER, "-1.5e3"},
    };
    struct json_value v, member;
    struct json_iter it;
    struct str key;
    assert_int_equal(json_check(str_of(document), &v), 0);
    json_iter_begin(&it, v);
    for (size_t i = 0; i < ROWS(want); i++) {
        assert_true(json_next_member(&it, &key, &member));
        assert_true(str_is(key, want[i].key));
        assert_int_equal(member.type, want[i].type);
        assert_true(str_is(member.raw, want[i].raw));
    }
    assert_false(json_next_member(&it, &key, &member));
    assert_false(json_next_member(&it, &key, &member));
}

static void test_walks_items(void **state)
{
    (void)state;
    static const char *const want[] = {"[]", "\"],[\\\"\"", "null", "{\"a\":[1,2]}", "-0", "[[3]]"};
    struct json_value v, item;
    struct json_iter it;
    assert_int_equal(json_check(STR("[[] ,\"],[\\\"\",\nnull, {\"a\":[1,2]},-0\t,[[3]] ]"), &v), 0);
    json_iter_begin(&it, v);
    for (size_t i = 0; i < ROWS(want); i++) {
        assert_true(json_next_item(&it, &item));
        assert_true(str_is(item.raw, want[i]));
    }
    assert_false(json_next_item(&it, &item));
}

static void test_nothing_to_walk(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "{ }", "1", "\"[1]\"", "null", "12"};
    for (size_t i = 0; i < ROWS(texts); i++) {
        struct json_value v, x;
        struct json_iter it;
        struct str key;
        assert_int_equal(json_check(str_of(texts[i]), &v), 0);
        json_iter_begin(&it, v);
        assert_false(json_next_item(&it, &x));
        json_iter_begin(&it, v);
        assert_false(json_next_member(&it, &key, &x));
    }
    struct json_iter it;
    struct json_value x;
    json_iter_begin(&it, (struct json_value){.type = JSON_ARRAY});
    assert_false(json_next_item(&it, &x));
}

/* Each cut of a text is walked as if it had been checked, on memory of exactly its size. */
static void walk(struct str text, enum json_type type, unsigned depth)
{
    struct json_value v = {.type = type, .raw = text}, x;
    struct json_iter it;
    struct str key;
    size_t steps = 0;
    json_iter_begin(&it, v);
    while (type == JSON_OBJECT ? json_next_member(&it, &key, &x) : json_next_item(&it, &x)) {
        assert_true(x.raw.p >= text.p && x.raw.n > 0);
        assert_true(x.raw.p + x.raw.n <= text.p + text.n);
        assert_true(++steps <= text.n);
        if (depth < 4)
            walk(x.raw, x.type, depth + 1);
    }
}

static void test_walks_inside_any_text(void **state)
{
    (void)state;
    static const char *const texts[] = {document, "[[1 2]],}",    "[,,]",  "{\"a\"1,:}",
                                        "[\"\\",  "{\"a\":[[[",   "[}]{]", "{\"\\\"",
                                        "[1,2",   "{\"a\" \"b\"}"};
    for (size_t i = 0; i < ROWS(texts); i++) {
        size_t n = strlen(texts[i]);
        for (size_t from = 0; from < n; from++) {
            for (size_t len = 1; len <= n - from; len++) {
                char *copy = malloc(len);
                assert_non_null(copy);
                memcpy(copy, texts[i] + from, len);
                walk(str_make(copy, len), JSON_OBJECT, 0);
                walk(str_make(copy, len), JSON_ARRAY, 0);
                free(copy);
            }
        }
    }
}

static void test_pick(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "missing", "a", "\xc3\xa9"};
    struct json_value v, got[4];
    assert_int_equal(
        json_check(STR("{\"x\":1,\"x\":2,\"\\u0061\":{\"b\":3},\"b\":[4],\"\\u00e9\":5,\"\":6}"),
                   &v),
        0);
    assert_int_equal(json_pick(v, names, 4, got), 0);
    assert_true(str_is(got[0].raw, "[4]"));
    assert_int_equal(got[0].type, JSON_ARRAY);
    assert_null(got[1].raw.p);
    assert_true(str_is(got[2].raw, "{\"b\":3}"));
    assert_true(str_is(got[3].raw, "5"));
    assert_int_equal(json_check(STR("{}"), &v), 0);
    assert_int_equal(json_pick(v, names, 4, got), 0);
    for (int i = 0; i < 4; i++)
        assert_null(got[i].raw.p);
    assert_int_equal(json_pick(v, NULL, 0, NULL), 0);
}

static void test_pick_refuses(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "", "abc"};
    static const char *const twice[] = {"{\"a\":1,\"a\":1}", "{\"a\":null,\"b\":0,\"\\u0061\":2}",
                                        "{\"\":1,\"a\":2,\"\":3}",
                                        "{\"\\u0061bc\":1,\"a\\u0062c\":1}"};
    static const char *const no_object[] = {"[]", "1", "\"a\"", "null"};
    struct json_value v, got[3];
    for (size_t i = 0; i < ROWS(twice); i++) {
        assert_int_equal(json_check(str_of(twice[i]), &v), 0);
        assert_int_equal(json_pick(v, names, 3, got), -EEXIST);
    }
    for (size_t i = 0; i < ROWS(no_object); i++) {
        assert_int_equal(json_check(str_of(no_object[i]), &v), 0);
        assert_int_equal(json_pick(v, names, 3, got), -EINVAL);
    }
    assert_int_equal(json_check(STR("{\"ab\":1,\"ab\":2,\"A\":1,\"A\":2}"), &v), 0);
    assert_int_equal(json_pick(v, names, 3, got), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_every_byte_in_a_string),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_walks_members),
        cmocka_unit_test(test_walks_items),
        cmocka_unit_test(test_nothing_to_walk),
        cmocka_unit_test(test_walks_inside_any_text),
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_pick_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
