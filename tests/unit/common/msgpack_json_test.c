/* msgpack_json: from one encoding to the other and back, and what is lost on the way. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/msgpack.h"
#include "tests/unit/failmalloc.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

struct row {
    struct str bytes;
    const char *json;
};

/* Equal in both directions. */
static const struct row both[] = {
    {STR("\xc0"), "null"},
    {STR("\xc2"), "false"},
    {STR("\xc3"), "true"},
    {STR("\x00"), "0"},
    {STR("\x7f"), "127"},
    {STR("\xcc\x80"), "128"},
    {STR("\xcf\x00\x20\x00\x00\x00\x00\x00\x01"), "9007199254740993"},
    {STR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615"},
    {STR("\xff"), "-1"},
    {STR("\xe0"), "-32"},
    {STR("\xd0\xdf"), "-33"},
    {STR("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), "-9223372036854775808"},
    {STR("\xd3\xff\xdf\xff\xff\xff\xff\xff\xff"), "-9007199254740993"},
    {STR("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), "1.0"},
    {STR("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"), "-0.0"},
    {STR("\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"), "0.1"},
    {STR("\xcb\x3f\xd5\x55\x55\x55\x55\x55\x55"), "0.3333333333333333"},
    {STR("\xcb\x7f\xef\xff\xff\xff\xff\xff\xff"), "1.7976931348623157e+308"},
    {STR("\xcb\x00\x00\x00\x00\x00\x00\x00\x01"), "4.94065645841247e-324"},
    {STR("\xcb\x44\xb5\x2d\x02\xc7\xe1\x4a\xf6"), "1e+23"},
    {STR("\xa0"), "\"\""},
    {STR("\xa4gr\xc3\xbc"), "\"gr\xc3\xbc\""},
    {STR("\xa5\x00\"\\\n\x1f"), "\"\\u0000\\\"\\\\\\n\\u001f\""},
    {STR("\x90"), "[]"},
    {STR("\x80"), "{}"},
    {STR("\x93\x01\x90\x91\x80"), "[1,[],[{}]]"},
    {STR("\x83\xa1"
         "b\x01\xa1"
         "a\x82\xa1x\xc0\xa0\xc3\xa1"
         "b\x92\x02\x03"),
     "{\"b\":1,\"a\":{\"x\":null,\"\":true},\"b\":[2,3]}"},
    {STR("\x81\xa3"
         "a\"b\xa1\t"),
     "{\"a\\\"b\":\"\\t\"}"},
};

/* Only on the way to JSON: other ways to write the same, and bytes. */
static const struct row to_json[] = {
    {STR("\xd3\x00\x00\x00\x00\x00\x00\x00\x01"), "1"},
    {STR("\xca\x3f\x00\x00\x00"), "0.5"},
    {STR("\xca\x3d\xcc\xcc\xcd"), "0.10000000149011612"}, /* that very number, not its nickname */
    {STR("\xdb\x00\x00\x00\x01z"), "\"z\""},
    {STR("\xdc\x00\x01\x01"), "[1]"},
    {STR("\xdf\x00\x00\x00\x01\xd9\x01k\x01"), "{\"k\":1}"},
    {STR("\xc4\x00"), "\"\""},
    {STR("\xc4\x01\xff"), "\"/w==\""},
    {STR("\x92\xc4\x03\x00\x01\x02\xc4\x02\xfb\xf0"), "[\"AAEC\",\"+/A=\"]"},
};

/* Only from JSON: white space, escapes, numbers that are rounded. */
static const struct row from_json[] = {
    {STR("\x92\x01\x81\xa1k\xc2"), " [ 1 , {\t\"k\" :\r\nfalse } ] "},
    {STR("\xa6\xf0\x9f\x93\xae\xc3\xa9"), "\"\\ud83d\\udcee\\u00E9\""},
    {STR("\x81\xa1k\xa2/\x08"), "{\"\\u006b\":\"\\/\\b\"}"},
    {STR("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"), "-0"},
    {STR("\xcb\x40\x8f\x40\x00\x00\x00\x00\x00"), "1e3"},
    {STR("\xcb\x43\xf0\x00\x00\x00\x00\x00\x00"), "18446744073709551616"},
    {STR("\xcb\xc3\xe0\x00\x00\x00\x00\x00\x00"), "-9223372036854775809"},
    {STR("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), "1e400"},
    {STR("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), "-1e400"},
    {STR("\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), "1e-400"},
};

static void assert_json(struct str bytes, const char *want)
{
    struct buf b;
    struct mp_value v;
    buf_init(&b, 10000);
    assert_int_equal(mp_check(bytes, &v), 0);
    assert_int_equal(mp_to_json(v, &b), 0);
    buf_append_c(&b, '\0');
    assert_string_equal((char *)b.data, want);
    assert_int_equal(json_check(str_of(want), NULL), 0);
    buf_free(&b);
}

static void assert_msgpack(const char *json, struct str want)
{
    struct buf b;
    struct json_value v;
    buf_init(&b, 10000);
    assert_int_equal(json_check(str_of(json), &v), 0);
    assert_int_equal(mp_from_json(v, &b), 0);
    if (!str_eq(buf_str(&b), want))
        fail_msg("%s: %zu bytes, the first %02x", json, b.len, b.data[0]);
    buf_free(&b);
}

static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(both); i++) {
        assert_json(both[i].bytes, both[i].json);
        assert_msgpack(both[i].json, both[i].bytes);
    }
}

static void test_to_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(to_json); i++)
        assert_json(to_json[i].bytes, to_json[i].json);
}

static void test_from_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(from_json); i++)
        assert_msgpack(from_json[i].json, from_json[i].bytes);
}

/* The only infinity there can be came from JSON. */
static void test_no_infinity_in_json(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    const struct mp_value v = {.raw = STR("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00")};
    assert_int_equal(mp_to_json(v, &b), 0);
    assert_true(str_is(buf_str(&b), "null"));
    buf_free(&b);
}

static void test_long_number_is_rounded_once(void **state)
{
    (void)state;
    /* Half way between 1 and the next double, and a last digit that decides. */
    struct buf json;
    buf_init(&json, 10000);
    buf_append_z(&json, "1.00000000000000011102230246251565404236316680908203125");
    for (int i = 0; i < 5000; i++)
        buf_append_c(&json, '0');
    buf_append_z(&json, "1");
    buf_append_c(&json, '\0');
    assert_msgpack((char *)json.data, STR("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x01"));
    buf_free(&json);
}

/* The shortest header for what turned out to be there, with all that follows in its place. */
static void test_header_widths(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        unsigned char array[5], map[5];
        size_t header;
    } rows[] = {
        {15, {0x9f}, {0x8f}, 1},
        {16, {0xdc, 0, 16}, {0xde, 0, 16}, 3},
        {65535, {0xdc, 0xff, 0xff}, {0xde, 0xff, 0xff}, 3},
        {65536, {0xdd, 0, 1, 0, 0}, {0xdf, 0, 1, 0, 0}, 5},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf json, bytes, back;
        struct json_value v;
        struct mp_value m;
        buf_init(&json, 1 << 20);
        buf_init(&bytes, 1 << 20);
        buf_init(&back, 1 << 20);
        buf_append_z(&json, "[[");
        for (size_t k = 0; k < rows[i].n; k++)
            buf_append_z(&json, k ? ",7" : "7");
        buf_append_z(&json, "],{");
        for (size_t k = 0; k < rows[i].n; k++)
            buf_append_z(&json, k ? ",\"\":1" : "\"\":1");
        buf_append_z(&json, "}]");
        assert_int_equal(json_check(buf_str(&json), &v), 0);
        assert_int_equal(mp_from_json(v, &bytes), 0);
        assert_int_equal(bytes.data[0], 0x92);
        assert_memory_equal(bytes.data + 1, rows[i].array, rows[i].header);
        assert_memory_equal(bytes.data + 1 + rows[i].header + rows[i].n, rows[i].map,
                            rows[i].header);
        assert_int_equal(bytes.len, 1 + 2 * rows[i].header + 3 * rows[i].n);
        assert_int_equal(mp_check(buf_str(&bytes), &m), 0);
        assert_int_equal(mp_to_json(m, &back), 0);
        assert_true(str_eq(buf_str(&back), buf_str(&json)));
        buf_free(&json);
        buf_free(&bytes);
        buf_free(&back);
    }
}

static void test_escaped_string_widths(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        unsigned char header[5];
        size_t header_n;
    } rows[] = {
        {31, {0xbf}, 1},
        {32, {0xd9, 32}, 2},
        {255, {0xd9, 255}, 2},
        {256, {0xda, 1, 0}, 3},
        {65536, {0xdb, 0, 1, 0, 0}, 5},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf json, bytes;
        struct json_value v;
        buf_init(&json, 1 << 20);
        buf_init(&bytes, 1 << 20);
        buf_append_c(&json, '"');
        for (size_t k = 0; k < rows[i].n; k++)
            buf_append_z(&json, "\\n");
        buf_append_c(&json, '"');
        assert_int_equal(json_check(buf_str(&json), &v), 0);
        assert_int_equal(mp_from_json(v, &bytes), 0);
        assert_int_equal(bytes.len, rows[i].header_n + rows[i].n);
        assert_memory_equal(bytes.data, rows[i].header, rows[i].header_n);
        assert_int_equal(bytes.data[rows[i].header_n], '\n');
        assert_int_equal(bytes.data[bytes.len - 1], '\n');
        buf_free(&json);
        buf_free(&bytes);
    }
}

static void nested(struct buf *b, unsigned depth)
{
    buf_reset(b);
    for (unsigned i = 0; i < depth; i++)
        buf_append_c(b, '[');
    for (unsigned i = 0; i < depth; i++)
        buf_append_c(b, ']');
}

static void test_depth(void **state)
{
    (void)state;
    struct buf json, bytes;
    struct json_value v = {.type = JSON_ARRAY};
    buf_init(&json, 1000);
    buf_init(&bytes, 1000);
    nested(&json, JSON_DEPTH + MP_WRAP);
    v.raw = buf_str(&json);
    assert_int_equal(mp_from_json(v, &bytes), 0);
    assert_int_equal(bytes.len, JSON_DEPTH + MP_WRAP);
    /* Such an answer is not for publishing again. */
    assert_int_equal(mp_check(buf_str(&bytes), NULL), -E2BIG);
    struct buf back;
    buf_init(&back, 1000);
    assert_int_equal(mp_to_json((struct mp_value){.raw = buf_str(&bytes)}, &back), -E2BIG);
    buf_free(&back);
    nested(&json, JSON_DEPTH + MP_WRAP + 1);
    v.raw = buf_str(&json);
    assert_int_equal(mp_from_json(v, &bytes), -E2BIG);
    buf_free(&json);
    buf_free(&bytes);
}

/* Bytes that nobody checked come to an end, inside themselves. */
static void test_garbage_ends(void **state)
{
    (void)state;
    static const char *const json[] = {"\"",  "\"\\", "]",    "}",   "[",     "[1",
                                       "{\"", "-",    "nul",  "1e",  "[[[",   "\"\\u12\"",
                                       "[\"", "\x80", "{1}}", "t@@", "[\"\\", ","};
    static const struct str bytes[] = {STR("\x91"), STR("\xc1"), STR("\xd4"), STR("\x81\xa1"),
                                       STR("\x92\x01")};
    struct buf b;
    buf_init(&b, 1000);
    for (size_t i = 0; i < ROWS(json); i++) {
        struct str tight = str_make(strdup(json[i]), strlen(json[i]));
        mp_from_json((struct json_value){.type = JSON_ARRAY, .raw = tight}, &b);
        free((void *)tight.p);
    }
    for (size_t i = 0; i < ROWS(bytes); i++)
        mp_to_json((struct mp_value){.type = MP_ARRAY, .raw = bytes[i]}, &b);
    assert_int_equal(b.error, 0);
    buf_free(&b);
}

static void test_ceiling(void **state)
{
    (void)state;
    static const char *const json[] = {"[1,2,3,4,5,6,7,8]", "\"12345678\"", "\"1\\n345678\"",
                                       "[1e9]", "[18446744073709551615]"};
    for (size_t i = 0; i < ROWS(json); i++) {
        struct json_value v;
        assert_int_equal(json_check(str_of(json[i]), &v), 0);
        for (size_t max = 0; max < 9; max++) {
            struct buf b;
            buf_init(&b, max);
            assert_int_equal(mp_from_json(v, &b), -EMSGSIZE);
            assert_true(b.len <= max);
            buf_free(&b);
        }
    }
    struct mp_value m;
    assert_int_equal(mp_check(STR("\x92\xc4\x01\xff\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), &m), 0);
    for (size_t max = 0; max < sizeof("[\"/w==\",1.0]") - 1; max++) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(mp_to_json(m, &b), -EMSGSIZE);
        buf_free(&b);
    }
}

static int convert(void *arg)
{
    struct json_value v;
    struct buf bytes, json;
    (void)arg;
    buf_init(&bytes, 100000);
    buf_init(&json, 100000);
    assert_int_equal(json_check(STR("[\"a\\nb\",1.5,[0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6],{\"k\":"
                                    "\"a text that is a little longer than the others are\"}]"),
                                &v),
                     0);
    int rc = mp_from_json(v, &bytes);
    if (rc == 0) {
        struct mp_value m;
        assert_int_equal(mp_check(buf_str(&bytes), &m), 0);
        rc = mp_to_json(m, &json);
    }
    buf_free(&bytes);
    buf_free(&json);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(failmalloc_each(convert, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_to_json),
        cmocka_unit_test(test_from_json),
        cmocka_unit_test(test_no_infinity_in_json),
        cmocka_unit_test(test_long_number_is_rounded_once),
        cmocka_unit_test(test_header_widths),
        cmocka_unit_test(test_escaped_string_widths),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_garbage_ends),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
