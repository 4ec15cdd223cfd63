/* query: percent-decoding once and exactly, parameters found, absent, twice, malformed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "worker/exchange.h"

static int decode(const char *text, bool plus, char *ret, size_t size)
{
    struct buf b;
    buf_init(&b, size - 1);
    int r = percent_decode(str_of(text), plus, &b);
    if (b.len)
        memcpy(ret, b.data, b.len);
    ret[b.len] = '\0';
    buf_free(&b);
    return r;
}

static void test_decodes_once(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool plus;
        int result;
        const char *out;
    } rows[] = {
        {"", false, 0, ""},
        {"plain", false, 0, "plain"},
        {"a%20b", false, 0, "a b"},
        {"a+b", false, 0, "a+b"},
        {"a+b%2B+", true, 0, "a b+ "},
        {"%252F", false, 0, "%2F"},
        {"%c3%A9", false, 0, "\xc3\xa9"},
        {"%0d%0a", false, 0, "\r\n"},
        {"%", false, -EINVAL, NULL},
        {"a%2", false, -EINVAL, NULL},
        {"%g0", false, -EINVAL, NULL},
        {"%0g", false, -EINVAL, NULL},
        {"%%20", false, -EINVAL, NULL},
        {"%u0041", false, -EINVAL, NULL},
        {"a%00b", false, -EINVAL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64];
        assert_int_equal(decode(rows[i].in, rows[i].plus, out, sizeof(out)), rows[i].result);
        if (rows[i].out)
            assert_string_equal(out, rows[i].out);
    }
}

static void test_keeps_to_the_ceiling(void **state)
{
    (void)state;
    char out[5];
    assert_int_equal(decode("12345", false, out, sizeof(out)), -EMSGSIZE);
    assert_int_equal(decode("1234", false, out, sizeof(out)), 0);
}

static int query(const char *text, const char *name, char *ret)
{
    struct exchange ex = {.query = str_of(text)};
    struct buf b;
    buf_init(&b, 100);
    int r = exchange_query(&ex, name, &b);
    if (b.len)
        memcpy(ret, b.data, b.len);
    ret[b.len] = '\0';
    buf_free(&b);
    return r;
}

static void test_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int result;
        const char *value;
    } rows[] = {
        {"", 0, ""},
        {"wait=5", 1, "5"},
        {"a=1&wait=5&b=2", 1, "5"},
        {"wait", 1, ""},
        {"wait=", 1, ""},
        {"wait=a=b", 1, "a=b"},
        {"w%61it=5", 1, "5"},
        {"wait=a%26b+c", 1, "a&b c"},
        {"Wait=5", 0, ""},
        {"waits=5&xwait=6", 0, ""},
        {"&&wait=5&", 1, "5"},
        {"wait=5&wait=5", -EINVAL, NULL},
        {"wait=5&w%61it=6", -EINVAL, NULL},
        {"wait=%", -EINVAL, NULL},
        {"%zz=1&wait=5", -EINVAL, NULL},
        {"a=%zz&wait=5", 1, "5"}, /* what nobody asks for is not judged */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[128];
        int r = query(rows[i].query, "wait", value);
        if (r != rows[i].result)
            print_error("row %zu: %s\n", i, rows[i].query);
        assert_int_equal(r, rows[i].result);
        if (rows[i].value)
            assert_string_equal(value, rows[i].value);
    }
}

static int run_without_memory(void *arg)
{
    (void)arg;
    char value[128];
    int r = query("w%61it=a%20b", "wait", value);
    return r < 0 ? r : 0;
}

static void test_every_allocation_failure(void **state)
{
    (void)state;
    assert_true(failmalloc_each(run_without_memory, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes_once),
        cmocka_unit_test(test_keeps_to_the_ceiling),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
