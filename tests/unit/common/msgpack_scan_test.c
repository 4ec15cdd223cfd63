/* msgpack_scan: what is MessagePack that JSON can say, and walking it in place. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/msgpack.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static struct mp_value value(struct str bytes)
{
    struct mp_value v;
    assert_int_equal(mp_check(bytes, &v), 0);
    assert_true(str_eq(v.raw, bytes));
    return v;
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        uint64_t want;
    } unsigned_rows[] = {
        {STR("\x00"), 0},
        {STR("\x7f"), 127},
        {STR("\xcc\x00"), 0},
        {STR("\xcc\xff"), 255},
        {STR("\xcd\x01\x02"), 0x102},
        {STR("\xce\xff\xff\xff\xff"), UINT32_MAX},
        {STR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), UINT64_MAX},
        {STR("\xd0\x7f"), 127},
        {STR("\xd1\x7f\xff"), 32767},
        {STR("\xd2\x7f\xff\xff\xff"), INT32_MAX},
        {STR("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX},
        {STR("\xd3\x00\x00\x00\x00\x00\x00\x00\x00"), 0},
    };
    static const struct {
        struct str bytes;
        int64_t want;
    } signed_rows[] = {
        {STR("\xff"), -1},
        {STR("\xe0"), -32},
        {STR("\xd0\x80"), -128},
        {STR("\xd1\x80\x00"), -32768},
        {STR("\xd2\x80\x00\x00\x00"), INT32_MIN},
        {STR("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN},
        {STR("\xd3\xff\xff\xff\xff\xff\xff\xff\xff"), -1},
    };
    for (size_t i = 0; i < ROWS(unsigned_rows); i++) {
        struct mp_value v = value(unsigned_rows[i].bytes);
        assert_int_equal(v.type, MP_UINT);
        assert_true(v.u == unsigned_rows[i].want);
    }
    for (size_t i = 0; i < ROWS(signed_rows); i++) {
        struct mp_value v = value(signed_rows[i].bytes);
        assert_int_equal(v.type, MP_INT);
        assert_true(v.i == signed_rows[i].want);
    }
}

static void test_scalars(void **state)
{
    (void)state;
    assert_int_equal(value(STR("\xc0")).type, MP_NIL);
    assert_int_equal(value(STR("\xc2")).type, MP_FALSE);
    assert_int_equal(value(STR("\xc3")).type, MP_TRUE);
    struct mp_value v = value(STR("\xca\x3f\x80\x00\x00"));
    assert_int_equal(v.type, MP_FLOAT);
    assert_true(v.number == 1.0);
    v = value(STR("\xcb\xc0\x09\x21\xfb\x54\x44\x2d\x18"));
    assert_true(v.number == -3.141592653589793);
}

static void test_strings_and_bytes(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        enum mp_type type;
        struct str want;
    } rows[] = {
        {STR("\xa0"), MP_STR, STR("")},
        {STR("\xa2\xc3\xbc"), MP_STR, STR("\xc3\xbc")},
        {STR("\xd9\x01z"), MP_STR, STR("z")},
        {STR("\xda\x00\x01z"), MP_STR, STR("z")},
        {STR("\xdb\x00\x00\x00\x01z"), MP_STR, STR("z")},
        {STR("\xc4\x02\x00\xff"), MP_BIN, STR("\x00\xff")},
        {STR("\xc5\x00\x00"), MP_BIN, STR("")},
        {STR("\xc6\x00\x00\x00\x01\x80"), MP_BIN, STR("\x80")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mp_value v = value(rows[i].bytes);
        assert_int_equal(v.type, rows[i].type);
        assert_true(str_eq(v.bytes, rows[i].want));
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        int want;
    } rows[] = {
        /* not MessagePack at all, or cut short, or with something behind it */
        {STR(""), -EINVAL},
        {STR("\xc1"), -EINVAL},
        {STR("\xc0\xc0"), -EINVAL},
        {STR("\x81"), -EINVAL},
        {STR("\x81\xa1k"), -EINVAL},
        {STR("\x92\x01"), -EINVAL},
        {STR("\xa2x"), -EINVAL},
        {STR("\xd9"), -EINVAL},
        {STR("\xda\x00"), -EINVAL},
        {STR("\xc4\x02z"), -EINVAL},
        {STR("\xcf\x00\x00\x00\x00\x00\x00\x00"), -EINVAL},
        {STR("\xcb\x00"), -EINVAL},
        {STR("\x93\x01\xc1\x02"), -EINVAL},
        /* claims that no bytes stand behind */
        {STR("\xdd\xff\xff\xff\xff"), -EINVAL},
        {STR("\xdf\xff\xff\xff\xff"), -EINVAL},
        {STR("\xdf\x80\x00\x00\x00"), -EINVAL},
        {STR("\xdb\xff\xff\xff\xff"), -EINVAL},
        {STR("\xc6\xff\xff\xff\xff"), -EINVAL},
        {STR("\x91\xdd\xff\xff\xff\xff\x01"), -EINVAL},
        {STR("\x81\xa1k\xdf\x00\x00\x00\x02\xa1x\x01\xa1"), -EINVAL},
        /* what JSON has no word for */
        {STR("\xd4\x01\x00"), -ENOTSUP},
        {STR("\xd6\xff\x00\x00\x00\x00"), -ENOTSUP},
        {STR("\xd8"), -ENOTSUP},
        {STR("\xc7\x00\x01"), -ENOTSUP},
        {STR("\xc9\xff\xff\xff\xff\x01"), -ENOTSUP},
        {STR("\x91\xd5\x01\x00\x00"), -ENOTSUP},
        {STR("\x81\x01\x02"), -ENOKEY},
        {STR("\x81\xc0\x02"), -ENOKEY},
        {STR("\x81\xc4\x01k\x02"), -ENOKEY},
        {STR("\x81\x90\x02"), -ENOKEY},
        {STR("\x82\xa1k\x01\xc3\x02"), -ENOKEY},
        {STR("\x81\xa1k\x81\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x01"), -ENOKEY},
        {STR("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"), -EDOM},
        {STR("\xcb\xff\xf8\x00\x00\x00\x00\x00\x00"), -EDOM},
        {STR("\xca\x7f\xc0\x00\x00"), -EDOM},
        {STR("\xca\xff\x80\x00\x00"), -EDOM},
        {STR("\xa1\xff"), -EILSEQ},
        {STR("\xa3\xed\xa0\x80"), -EILSEQ},
        {STR("\x81\xa2\xc0\x80\x01"), -EILSEQ},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mp_value v = {.type = MP_TRUE, .raw = STR("kept")};
        int got = mp_check(rows[i].bytes, &v);
        if (got != rows[i].want)
            fail_msg("row %zu: %d, not %d", i, got, rows[i].want);
        assert_true(str_is(v.raw, "kept"));
        assert_true(mp_error_text(got) && *mp_error_text(got));
    }
}

static void test_every_error_has_its_own_text(void **state)
{
    (void)state;
    static const int errors[] = {-EINVAL, -E2BIG, -ENOTSUP, -ENOKEY, -EDOM, -EILSEQ};
    for (size_t i = 0; i < ROWS(errors); i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(mp_error_text(errors[i]), mp_error_text(errors[k]));
}

static int nest(unsigned depth, const char *open, size_t open_n, struct str inner)
{
    struct buf b;
    buf_init(&b, 1000);
    for (unsigned i = 0; i < depth; i++)
        buf_append(&b, open, open_n);
    buf_append_str(&b, inner);
    int rc = mp_check(buf_str(&b), NULL);
    buf_free(&b);
    return rc;
}

static void test_depth(void **state)
{
    (void)state;
    assert_int_equal(nest(MP_DEPTH, "\x91", 1, STR("\xc0")), 0);
    assert_int_equal(nest(MP_DEPTH + 1, "\x91", 1, STR("\xc0")), -E2BIG);
    assert_int_equal(nest(MP_DEPTH - 1, "\x91", 1, STR("\x90")), 0);
    assert_int_equal(nest(MP_DEPTH, "\x91", 1, STR("\x90")), -E2BIG);
    assert_int_equal(nest(MP_DEPTH, "\x81\xa1k", 3, STR("\x01")), 0);
    assert_int_equal(nest(MP_DEPTH + 1, "\x81\xa1k", 3, STR("\x01")), -E2BIG);
}

/* The same document cut at each byte is refused, and so is what follows it. */
static void test_every_prefix_is_refused(void **state)
{
    (void)state;
    static const struct str whole =
        STR("\x84\xa1"
            "a\x93\x01\xcd\x01\x00\xc0\xa1"
            "b\xd9\x02zz\xa1"
            "c\xc4\x01z\xd9\x01"
            "d\xdf\x00\x00\x00\x01\xa0\xcb\x00\x00\x00\x00\x00\x00\x00\x00");
    assert_int_equal(mp_check(whole, NULL), 0);
    for (size_t n = 0; n < whole.n; n++) {
        /* in memory of its own, so that a read past it is seen */
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, whole.p, n);
        char *tight = realloc(copy, n ? n : 1);
        assert_non_null(tight);
        assert_int_equal(mp_check(str_make(tight, n), NULL), -EINVAL);
        free(tight);
    }
}

static void test_walk(void **state)
{
    (void)state;
    struct mp_value root = value(STR("\x83\xa1"
                                     "a\x92\x81\xa1x\x01\x02\xa1"
                                     "b\x80\xa1"
                                     "a\xa1z"));
    struct mp_iter it, inner;
    struct mp_value v, item;
    struct str key;
    mp_iter_begin(&it, root);
    assert_true(mp_next_member(&it, &key, &v));
    assert_true(str_is(key, "a"));
    assert_true(str_eq(v.raw, STR("\x92\x81\xa1x\x01\x02")));
    mp_iter_begin(&inner, v);
    assert_true(mp_next_item(&inner, &item));
    assert_true(str_eq(item.raw, STR("\x81\xa1x\x01")));
    assert_true(mp_next_item(&inner, &item));
    assert_true(item.type == MP_UINT && item.u == 2);
    assert_false(mp_next_item(&inner, &item));
    assert_true(mp_next_member(&it, &key, &v));
    assert_true(str_is(key, "b") && v.type == MP_MAP && v.u == 0);
    mp_iter_begin(&inner, v);
    assert_false(mp_next_member(&inner, &key, &item));
    assert_true(mp_next_member(&it, &key, &v));
    assert_true(str_is(key, "a") && str_is(v.bytes, "z"));
    assert_false(mp_next_member(&it, &key, &v));
    mp_iter_begin(&it, v); /* a scalar has none */
    assert_false(mp_next_item(&it, &v));
}

static void test_pick(void **state)
{
    (void)state;
    static const char *const names[] = {"two", "none", "one"};
    struct mp_value v[3];
    struct mp_value map = value(STR("\x84\xa3one\x01\xa1x\x05\xa3two\xc0\xa1x\x06"));
    assert_int_equal(mp_pick(map, names, 3, v), 0);
    assert_true(v[0].raw.p && v[0].type == MP_NIL);
    assert_null(v[1].raw.p);
    assert_true(v[2].type == MP_UINT && v[2].u == 1);
    assert_int_equal(mp_pick(value(STR("\x82\xa3one\x01\xa3one\x01")), names, 3, v), -EEXIST);
    assert_int_equal(mp_pick(value(STR("\x92\xa3one\x01")), names, 3, v), -EINVAL);
    assert_int_equal(mp_pick(value(STR("\x01")), names, 3, v), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_strings_and_bytes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_every_error_has_its_own_text),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_pick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
