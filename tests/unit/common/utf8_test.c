/* utf8: every code point, every pair of bytes, and the forms that RFC 3629 forbids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/utf8.h"

static void test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        unsigned char bytes[4];
        if (point == 0xd800)
            point = 0xe000;
        size_t n = utf8_encode(point, bytes);
        assert_int_equal(n, 1 + (point > 0x7f) + (point > 0x7ff) + (point > 0xffff));
        if (utf8_sequence(bytes, bytes + n) != n ||
            (n > 1 && utf8_sequence(bytes, bytes + n - 1) != 0))
            fail_msg("U+%04X", point);
    }
}

static void test_every_surrogate_is_refused(void **state)
{
    (void)state;
    for (uint32_t point = 0xd800; point <= 0xdfff; point++) {
        unsigned char bytes[] = {0xed, (unsigned char)(0x80 | (point >> 6 & 0x3f)),
                                 (unsigned char)(0x80 | (point & 0x3f))};
        assert_int_equal(utf8_sequence(bytes, bytes + 3), 0);
    }
}

/* The count of well-formed sequences of each length is known: no more, no less are accepted. */
static void test_nothing_else_is_accepted(void **state)
{
    (void)state;
    unsigned char bytes[4];
    unsigned long count[5] = {0};
    for (int a = 0; a < 256; a++) {
        bytes[0] = (unsigned char)a;
        count[1] += utf8_sequence(bytes, bytes + 1) == 1;
        for (int b = 0; b < 256; b++) {
            bytes[1] = (unsigned char)b;
            count[2] += utf8_sequence(bytes, bytes + 2) == 2;
            for (int c = 0; c < 256; c++) {
                bytes[2] = (unsigned char)c;
                count[3] += utf8_sequence(bytes, bytes + 3) == 3;
            }
        }
    }
    /* Four bytes: only leads that may begin them, or the loop is long for nothing. */
    for (int a = 0xe8; a < 256; a++)
        for (int b = 0; b < 256; b++)
            for (int c = 0x70; c < 0xd0; c++)
                for (int d = 0x70; d < 0xd0; d++) {
                    unsigned char four[4] = {(unsigned char)a, (unsigned char)b, (unsigned char)c,
                                             (unsigned char)d};
                    count[4] += utf8_sequence(four, four + 4) == 4;
                }
    assert_int_equal(count[1], 0x80);
    assert_int_equal(count[2], 0x800 - 0x80);
    assert_int_equal(count[3], 0x10000 - 0x800 - 0x800);
    assert_int_equal(count[4], 0x110000 - 0x10000);
}

static void test_texts(void **state)
{
    (void)state;
    assert_true(utf8_valid(str_make(NULL, 0)));
    assert_true(utf8_valid(STR("plain ascii that is longer than a word")));
    assert_true(utf8_valid(STR("gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x93\xae")));
    assert_true(utf8_valid(STR("\0")));
    assert_false(utf8_valid(STR("12345678\xff")));
    assert_false(utf8_valid(STR("1234567\xc3")));
    assert_false(utf8_valid(STR("\xc0\x80")));
    assert_false(utf8_valid(STR("\xe0\x80\xaf")));
    assert_false(utf8_valid(STR("\xf0\x80\x80\xaf")));
    assert_false(utf8_valid(STR("\xf4\x90\x80\x80")));
    assert_false(utf8_valid(STR("\xf8\x88\x80\x80\x80")));
    assert_false(utf8_valid(STR("\x80")));
}

/* A bad byte is found wherever it stands relative to the words that are read. */
static void test_every_position(void **state)
{
    (void)state;
    for (size_t n = 1; n < 40; n++) {
        for (size_t at = 0; at < n; at++) {
            char text[40];
            memset(text, 'a', sizeof(text));
            text[at] = (char)0x80;
            assert_false(utf8_valid(str_make(text, n)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_every_surrogate_is_refused),
        cmocka_unit_test(test_nothing_else_is_accepted),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_every_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
