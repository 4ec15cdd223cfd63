/* ids: one text for one value, in both directions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/ids.h"

struct pair {
    const char *bytes;
    const char *url;
    const char *standard;
};

/* RFC 4648 section 10, and bytes that use the last two letters. */
static const struct pair pairs[] = {
    {"", "", ""},
    {"f", "Zg", "Zg=="},
    {"fo", "Zm8", "Zm8="},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg", "Zm9vYg=="},
    {"fooba", "Zm9vYmE", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "-_-_", "+/+/"},
};
#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static void test_base64_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        const struct pair *p = &pairs[i];
        char text[32];
        unsigned char bytes[32];
        size_t n = strlen(p->bytes);
        assert_int_equal(b64url_encode(p->bytes, n, text), strlen(p->url));
        assert_string_equal(text, p->url);
        assert_int_equal(b64_encode(p->bytes, n, text), strlen(p->standard));
        assert_string_equal(text, p->standard);
        assert_int_equal(b64url_decode(str_of(p->url), bytes, n), n);
        assert_memory_equal(bytes, p->bytes, n);
        assert_int_equal(b64_decode(str_of(p->standard), bytes, n), n);
        assert_memory_equal(bytes, p->bytes, n);
        if (n > 0) {
            assert_int_equal(b64url_decode(str_of(p->url), bytes, n - 1), -EMSGSIZE);
            assert_int_equal(b64_decode(str_of(p->standard), bytes, n - 1), -EMSGSIZE);
        }
    }
}

static void test_base64_every_length_and_byte(void **state)
{
    (void)state;
    unsigned char bytes[256], back[256];
    char text[400];
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)(i * 7);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        size_t len = b64url_encode(bytes, n, text);
        assert_int_equal(len, (n * 4 + 2) / 3);
        assert_int_equal(text[len], '\0');
        assert_int_equal(b64url_decode(str_make(text, len), back, sizeof(back)), n);
        assert_memory_equal(back, bytes, n);
        len = b64_encode(bytes, n, text);
        assert_int_equal(len, (n + 2) / 3 * 4);
        assert_int_equal(b64_decode(str_make(text, len), back, sizeof(back)), n);
        assert_memory_equal(back, bytes, n);
    }
}

static void test_base64_refuses_second_spellings(void **state)
{
    (void)state;
    static const char *const bad_url[] = {
        "Z",     "Zh",    "Zm9",    "Zg==",    "Zm8=", "Zm9v=", "+/+/",
        "Zm9vY", "Zm 9v", "Zm9v\n", "Zm9\x80", "====", "="};
    static const char *const bad_standard[] = {
        "Zg",   "Zg=",  "Zh==",     "Zm9=",   "Z===",     "====",
        "-_-_", "=Zg=", "Zg==Zg==", "Zm9vYg", "Zm9v====", "Zm\n9v"};
    unsigned char bytes[16];
    memset(bytes, 0x5a, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
        assert_int_equal(b64url_decode(str_of(bad_url[i]), bytes, sizeof(bytes)), -EINVAL);
    for (size_t i = 0; i < sizeof(bad_standard) / sizeof(bad_standard[0]); i++)
        assert_int_equal(b64_decode(str_of(bad_standard[i]), bytes, sizeof(bytes)), -EINVAL);
    assert_int_equal(b64url_decode(STR("Zm\0v"), bytes, sizeof(bytes)), -EINVAL);
    for (size_t i = 0; i < sizeof(bytes); i++)
        assert_int_equal(bytes[i], 0x5a);
}

static void test_base64_alphabets_are_exact(void **state)
{
    (void)state;
    int url = 0, standard = 0;
    for (int c = 0; c < 256; c++) {
        char text[4] = {'A', 'A', 'A', (char)c};
        unsigned char bytes[3];
        url += b64url_decode(str_make(text, 4), bytes, 3) == 3;
        standard += b64_decode(str_make(text, 4), bytes, 3) == 3;
    }
    assert_int_equal(url, 64);
    assert_int_equal(standard, 64);
}

static void test_hex_value(void **state)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *at = c ? strchr(digits, c) : NULL;
        int v = at ? (int)(at - digits) : -1;
        assert_int_equal(hex_value((char)c), v > 15 ? v - 6 : v);
    }
}

static void test_hex(void **state)
{
    (void)state;
    char text[9];
    unsigned char bytes[4] = {1, 2, 3, 4};
    hex_encode("\x00\x9f\xff\x10", 4, text);
    assert_string_equal(text, "009fff10");
    assert_int_equal(hex_decode(STR("009fff"), bytes, 4), -EINVAL);
    assert_int_equal(hex_decode(STR("009fff100"), bytes, 4), -EINVAL);
    assert_int_equal(hex_decode(STR("009fff1g"), bytes, 4), -EINVAL);
    assert_int_equal(hex_decode(STR("009fff1 "), bytes, 4), -EINVAL);
    assert_memory_equal(bytes, "\x01\x02\x03\x04", 4);
    assert_int_equal(hex_decode(STR("009FfF10"), bytes, 4), 0);
    assert_memory_equal(bytes, "\x00\x9f\xff\x10", 4);
    assert_int_equal(hex_decode(STR(""), bytes, 0), 0);
}

static void test_session_id(void **state)
{
    (void)state;
    uint8_t id[SESSION_ID_SIZE], back[SESSION_ID_SIZE];
    char text[SESSION_ID_TEXT];
    for (int i = 0; i < 100; i++) {
        ids_random(id, sizeof(id));
        session_id_text(id, text);
        assert_int_equal(strlen(text), 22);
        assert_int_equal(session_id_parse(str_of(text), back), 0);
        assert_memory_equal(id, back, sizeof(id));
    }
    assert_int_equal(session_id_parse(STR("AAAAAAAAAAAAAAAAAAAAA"), back), -EINVAL);   /* 21 */
    assert_int_equal(session_id_parse(STR("AAAAAAAAAAAAAAAAAAAAAAA"), back), -EINVAL); /* 23 */
    assert_int_equal(session_id_parse(STR("AAAAAAAAAAAAAAAAAAAAAB"), back), -EINVAL);  /* bits */
    assert_int_equal(session_id_parse(STR("AAAAAAAAAAAAAAAAAAAA=="), back), -EINVAL);
    assert_int_equal(session_id_parse(STR(""), back), -EINVAL);
    assert_memory_equal(id, back, sizeof(id));
}

static void test_cursor(void **state)
{
    (void)state;
    char text[CURSOR_TEXT];
    uint64_t epoch = 1, seq = 2;
    assert_int_equal(cursor_text(0x9f86d081884c7d65, 1042, text), 21);
    assert_string_equal(text, "9f86d081884c7d65.1042");
    assert_int_equal(cursor_parse(str_of(text), &epoch, &seq), 0);
    assert_true(epoch == 0x9f86d081884c7d65 && seq == 1042);
    assert_int_equal(cursor_text(UINT64_MAX, UINT64_MAX, text), CURSOR_TEXT - 1);
    assert_int_equal(cursor_parse(str_of(text), &epoch, &seq), 0);
    assert_true(epoch == UINT64_MAX && seq == UINT64_MAX);
    assert_int_equal(cursor_text(0, 0, text), 18);
    assert_string_equal(text, "0000000000000000.0");
}

static void test_cursor_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "9f86d081884c7d65",
        "9f86d081884c7d65.",
        "9f86d081884c7d65.01",
        "9f86d081884c7d65.-1",
        "9f86d081884c7d65.+1",
        "9f86d081884c7d65. 1",
        "9f86d081884c7d65.1 ",
        "9f86d081884c7d65.1.1",
        "9F86d081884c7d65.1",
        "9f86d081884c7d6.1",
        "9f86d081884c7d655.1",
        "9f86d081884c7d6g.1",
        "9f86d081884c7d65.18446744073709551616",
        "9f86d081884c7d65.99999999999999999999",
        "9f86d081884c7d65.100000000000000000000",
        " 9f86d081884c7d65.1",
        "9f86d081884c7d65,1",
    };
    uint64_t epoch = 1, seq = 2;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(cursor_parse(str_of(bad[i]), &epoch, &seq), -EINVAL);
    assert_int_equal(cursor_parse(STR("9f86d081884c7d65.1\0"), &epoch, &seq), -EINVAL);
    assert_true(epoch == 1 && seq == 2);
}

static void test_u64(void **state)
{
    (void)state;
    static const uint64_t values[] = {
        0, 1, 9, 10, 99, 100, 9007199254740993, UINT64_MAX - 1, UINT64_MAX};
    static const char *const bad[] = {"",
                                      "00",
                                      "01",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "18446744073709551616",
                                      "184467440737095516150",
                                      "a"};
    char text[U64_TEXT];
    uint64_t v = 77;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char want[32];
        snprintf(want, sizeof(want), "%llu", (unsigned long long)values[i]);
        assert_int_equal(u64_text(values[i], text), strlen(want));
        assert_string_equal(text, want);
        assert_int_equal(u64_parse(str_of(text), &v), 0);
        assert_true(v == values[i]);
    }
    v = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(u64_parse(str_of(bad[i]), &v), -EINVAL);
    assert_true(v == 77);
}

static void test_random_fills_all_and_differs(void **state)
{
    (void)state;
    unsigned char seen[64] = {0}, bytes[64];
    for (int turn = 0; turn < 64; turn++) {
        ids_random(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        assert_int_not_equal(seen[i], 0);
    assert_true(ids_random_u64() != ids_random_u64());
    ids_random(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_base64_every_length_and_byte),
        cmocka_unit_test(test_base64_refuses_second_spellings),
        cmocka_unit_test(test_base64_alphabets_are_exact),
        cmocka_unit_test(test_hex_value),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_session_id),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_cursor_refuses),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_random_fills_all_and_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
