/* datum: the same answers from JSON and from MessagePack. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/datum.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

struct both { /* one JSON text, in both encodings */
    struct buf bytes, scratch;
    struct datum d[ENCODINGS];
};

static void both_open(struct both *b, const char *json)
{
    struct json_value v;
    buf_init(&b->bytes, 10000);
    buf_init(&b->scratch, 10000);
    assert_int_equal(buf_reserve(&b->scratch, 1000), 0);
    assert_int_equal(json_check(str_of(json), &v), 0);
    assert_int_equal(mp_from_json(v, &b->bytes), 0);
    assert_int_equal(datum_check(ENCODING_JSON, str_of(json), &b->d[ENCODING_JSON]), 0);
    assert_int_equal(datum_check(ENCODING_MSGPACK, buf_str(&b->bytes), &b->d[ENCODING_MSGPACK]), 0);
}

static void both_close(struct both *b)
{
    buf_free(&b->bytes);
    buf_free(&b->scratch);
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        struct str want;
    } rows[] = {
        {"\"\"", STR("")},
        {"\"plain\"", STR("plain")},
        {"\"a\\u0000\\u00e4\\n\"", STR("a\0\xc3\xa4\n")},
    };
    static const char *const no_text[] = {"1", "null", "true", "[\"a\"]", "{\"a\":\"b\"}"};
    struct both b;
    struct str s;
    for (size_t i = 0; i < ROWS(rows); i++) {
        both_open(&b, rows[i].json);
        for (int e = 0; e < ENCODINGS; e++) {
            assert_true(datum_is_string(&b.d[e]));
            assert_int_equal(datum_text(&b.d[e], &b.scratch, &s), 0);
            assert_true(str_eq(s, rows[i].want));
        }
        both_close(&b);
    }
    for (size_t i = 0; i < ROWS(no_text); i++) {
        both_open(&b, no_text[i]);
        for (int e = 0; e < ENCODINGS; e++) {
            s = STR("kept");
            assert_false(datum_is_string(&b.d[e]));
            assert_int_equal(datum_text(&b.d[e], &b.scratch, &s), -EINVAL);
            assert_true(str_is(s, "kept"));
        }
        both_close(&b);
    }
    struct datum bin;
    assert_int_equal(datum_check(ENCODING_MSGPACK, STR("\xc4\x01z"), &bin), 0);
    assert_int_equal(datum_text(&bin, NULL, &s), -EINVAL);
}

static void test_text_past_the_ceiling(void **state)
{
    (void)state;
    struct buf small;
    struct datum d;
    struct str s;
    buf_init(&small, 2);
    assert_int_equal(datum_check(ENCODING_JSON, STR("\"ab\\n\""), &d), 0);
    assert_int_equal(datum_text(&d, &small, &s), -EMSGSIZE);
    buf_free(&small);
}

static void test_bool(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int rc;
        bool want;
    } rows[] = {{"true", 0, true}, {"false", 0, false},      {"null", -EINVAL, 0},
                {"1", -EINVAL, 0}, {"\"true\"", -EINVAL, 0}, {"[]", -EINVAL, 0}};
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct both b;
        both_open(&b, rows[i].json);
        for (int e = 0; e < ENCODINGS; e++) {
            bool v = !rows[i].want;
            assert_int_equal(datum_bool(&b.d[e], &v), rows[i].rc);
            assert_true(v == (rows[i].rc ? !rows[i].want : rows[i].want));
        }
        both_close(&b);
    }
}

static void test_duration(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int rc;
        uint64_t want;
    } rows[] = {
        {"0", 0, 0},
        {"5", 0, 5000},
        {"\"500ms\"", 0, 500},
        {"\"2h\"", 0, 7200000},
        {"18446744073709551", 0, UINT64_C(18446744073709551000)},
        {"18446744073709552", -ERANGE, 0},
        {"-1", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"null", -EINVAL, 0},
        {"true", -EINVAL, 0},
        {"\"soon\"", -EINVAL, 0},
        {"\"\"", -EINVAL, 0},
        {"{}", -EINVAL, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct both b;
        both_open(&b, rows[i].json);
        for (int e = 0; e < ENCODINGS; e++) {
            uint64_t ms = 77;
            int rc = datum_duration(&b.d[e], &ms);
            if (rc != rows[i].rc)
                fail_msg("%s in encoding %d: %d", rows[i].json, e, rc);
            assert_true(ms == (rc ? 77 : rows[i].want));
        }
        both_close(&b);
    }
}

static void test_u64(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int rc;
        uint64_t want;
    } rows[] = {
        {"0", 0, 0},
        {"9007199254740993", 0, UINT64_C(9007199254740993)},
        {"18446744073709551615", 0, UINT64_MAX},
        {"-1", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
        {"\"1\"", -EINVAL, 0},
        {"true", -EINVAL, 0},
        {"[]", -EINVAL, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct both b;
        both_open(&b, rows[i].json);
        for (int e = 0; e < ENCODINGS; e++) {
            uint64_t v = 77;
            assert_int_equal(datum_u64(&b.d[e], &v), rows[i].rc);
            assert_true(v == (rows[i].rc ? 77 : rows[i].want));
        }
        both_close(&b);
    }
}

static void test_pick(void **state)
{
    (void)state;
    static const char *const names[] = {"null", "none", "list", "text"};
    struct both b;
    both_open(&b, "{\"text\":\"a\",\"other\":{\"list\":1},\"null\":null,\"list\":[1,\"two\",[]]}");
    for (int e = 0; e < ENCODINGS; e++) {
        struct datum v[ROWS(names)], item;
        struct datum_iter it;
        struct str s;
        assert_int_equal(datum_pick(&b.d[e], names, ROWS(names), v), 0);
        assert_true(datum_raw(&v[0]).p && !datum_given(&v[0]));
        assert_true(!datum_raw(&v[1]).p && !datum_given(&v[1]));
        assert_true(datum_given(&v[2]) && datum_is_list(&v[2]));
        assert_true(datum_given(&v[3]) && !datum_is_list(&v[3]));
        datum_iter_begin(&it, &v[2]);
        assert_true(datum_next_item(&it, &item));
        assert_true(datum_next_item(&it, &item));
        assert_int_equal(datum_text(&item, &b.scratch, &s), 0);
        assert_true(str_is(s, "two"));
        assert_true(datum_next_item(&it, &item));
        assert_true(datum_is_list(&item));
        assert_false(datum_next_item(&it, &item));
        assert_int_equal(datum_pick(&v[2], names, 1, v), -EINVAL);
    }
    both_close(&b);
    both_open(&b, "{\"text\":1,\"text\":1}");
    for (int e = 0; e < ENCODINGS; e++) {
        struct datum v[ROWS(names)];
        assert_int_equal(datum_pick(&b.d[e], names, ROWS(names), v), -EEXIST);
        assert_int_equal(datum_pick(&b.d[e], names, 3, v), 0);
    }
    both_close(&b);
}

static void test_check(void **state)
{
    (void)state;
    struct datum d = {.encoding = ENCODINGS};
    assert_int_equal(datum_check(ENCODING_JSON, STR("{"), &d), -EINVAL);
    assert_int_equal(datum_check(ENCODING_MSGPACK, STR("\x81"), &d), -EINVAL);
    assert_int_equal(datum_check(ENCODING_MSGPACK, STR("\xd4\x01\x01"), &d), -ENOTSUP);
    assert_int_equal(d.encoding, ENCODINGS);
    assert_string_equal(datum_error_text(ENCODING_MSGPACK, -ENOTSUP), mp_error_text(-ENOTSUP));
    assert_string_not_equal(datum_error_text(ENCODING_JSON, -EINVAL),
                            datum_error_text(ENCODING_JSON, -E2BIG));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),  cmocka_unit_test(test_text_past_the_ceiling),
        cmocka_unit_test(test_bool),  cmocka_unit_test(test_duration),
        cmocka_unit_test(test_u64),   cmocka_unit_test(test_pick),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
