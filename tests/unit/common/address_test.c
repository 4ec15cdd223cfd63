/* address_test - the forms of a listening address. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/address.h"

static void test_good(void **state)
{
    struct address a;

    (void)state;
    assert_int_equal(address_parse(STR("127.0.0.1:8080"), &a), 0);
    assert_int_equal(a.kind, ADDRESS_IPV4);
    assert_int_equal(a.port, 8080);
    assert_memory_equal(a.ip, "\x7f\0\0\1", 4);
    assert_int_equal(address_parse(STR("[::1]:0"), &a), 0);
    assert_int_equal(a.kind, ADDRESS_IPV6);
    assert_int_equal(a.port, 0);
    assert_int_equal(a.ip[15], 1);
    assert_int_equal(address_parse(STR("*:65535"), &a), 0);
    assert_int_equal(a.kind, ADDRESS_ANY);
    assert_int_equal(a.port, 65535);
    assert_int_equal(address_parse(STR("unix:/run/a:b"), &a), 0);
    assert_int_equal(a.kind, ADDRESS_UNIX);
    assert_true(str_is(a.path, "/run/a:b"));
}

static void test_bad(void **state)
{
    static const char *const rows[] = {
        "",
        ":",
        "8080",
        ":8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:a",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1:65536",
        "1.2.3.4:08",
        "1.2.3.4: 80",
        "1.2.3.4:99999",
        "1.2.3.4:100000",
        "localhost:8080",
        "1.2.3:80",
        "1.2.3.4.5:1",
        "256.1.1.1:80",
        "01.2.3.4:80",
        "::1:8080",
        "[::1]",
        "[::1:80",
        "[]:80",
        "[1.2.3.4]:80",
        "[fe80::1%eth0]:80",
        "[[::1]]:80",
        "**:80",
        "unix:",
        "unix",
        "UNIX:/a",
        " *:80",
        "*:80 ",
        "http://a:80",
        "[0:0:0:0:0:0:0:0:1]:80",
    };
    struct address a = {.port = 7};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (address_parse(str_of(rows[i]), &a) != -EINVAL)
            fail_msg("\"%s\" was accepted", rows[i]);
    assert_int_equal(address_parse(str_make("1.2.3.4\0:80", 11), &a), -EINVAL);
    assert_int_equal(address_parse(str_make("unix:/a\0b", 9), &a), -EINVAL);
    assert_int_equal(address_parse(str_make(NULL, 0), &a), -EINVAL);
    assert_int_equal(a.port, 7);
}

static void test_unix_length(void **state)
{
    char text[5 + ADDRESS_UNIX_MAX + 2];
    struct address a;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:", 5);
    assert_int_equal(address_parse(str_make(text, 5 + ADDRESS_UNIX_MAX), &a), 0);
    assert_int_equal(address_parse(str_make(text, 5 + ADDRESS_UNIX_MAX + 1), &a), -EINVAL);
}

static void test_eq(void **state)
{
    static const struct {
        const char *a, *b;
        bool eq;
    } rows[] = {
        {"[::1]:80", "[0:0:0:0:0:0:0:1]:80", true},
        {"[::1]:80", "[::2]:80", false},
        {"1.2.3.4:80", "1.2.3.4:81", false},
        {"*:80", "0.0.0.0:80", false},
        {"unix:/a", "unix:/a", true},
        {"unix:/a", "unix:/b", false},
    };
    struct address a, b;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(address_parse(str_of(rows[i].a), &a), 0);
        assert_int_equal(address_parse(str_of(rows[i].b), &b), 0);
        assert_true(address_eq(&a, &b) == rows[i].eq);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_unix_length),
        cmocka_unit_test(test_eq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
