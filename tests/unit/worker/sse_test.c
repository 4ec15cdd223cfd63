/* sse: the bytes of an event stream. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/sse.h"

static char text[512];

static const char *event(const char *id, const char *name, struct str data)
{
    struct buf b;
    buf_fixed(&b, text, sizeof(text));
    assert_int_equal(sse_event(&b, str_of(id), str_of(name), data), 0);
    text[b.len] = '\0';
    return text;
}

static void test_event(void **state)
{
    (void)state;
    assert_string_equal(event("9f86d081884c7d65.7", "message", STR("{\"a\":1}")),
                        "id: 9f86d081884c7d65.7\nevent: message\ndata: {\"a\":1}\n\n");
    assert_string_equal(event("", "typing", STR("{}")), "event: typing\ndata: {}\n\n");
    /* One space after the colon is the client's to drop, so a name may begin with one. */
    assert_string_equal(event("", " a: b", STR("x")), "event:  a: b\ndata: x\n\n");
    assert_string_equal(event("", "\xc3\xa4", STR("\xf0\x9f\x93\xae")),
                        "event: \xc3\xa4\ndata: \xf0\x9f\x93\xae\n\n");
}

static void test_data_is_split_at_line_ends(void **state)
{
    (void)state;
    static const struct {
        struct str data;
        const char *lines;
    } rows[] = {
        {{"", 0}, "data: \n"},
        {{"a\nb", 3}, "data: a\ndata: b\n"},
        {{"a\rb", 3}, "data: a\ndata: b\n"},
        {{"a\r\nb", 4}, "data: a\ndata: b\n"},
        {{"a\n\rb", 4}, "data: a\ndata: \ndata: b\n"},
        {{"\n", 1}, "data: \ndata: \n"},
        {{"a\n", 2}, "data: a\ndata: \n"},
        {{"a\r", 2}, "data: a\ndata: \n"},
        {{"a\n\nid: 7\nb", 10}, "data: a\ndata: \ndata: id: 7\ndata: b\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char whole[512] = "event: e\n";
        strcat(whole, rows[i].lines);
        strcat(whole, "\n");
        assert_string_equal(event("", "e", rows[i].data), whole);
    }
}

static void test_retry_and_comment(void **state)
{
    (void)state;
    struct buf b;
    buf_fixed(&b, text, sizeof(text));
    assert_int_equal(sse_retry(&b, 3039), 0);
    assert_int_equal(sse_keepalive(&b), 0);
    assert_int_equal(sse_retry(&b, UINT64_MAX), 0);
    assert_true(str_is(buf_str(&b), "retry: 3039\n\n:\n\nretry: 18446744073709551615\n\n"));
}

static void test_a_full_buffer_says_so(void **state)
{
    (void)state;
    for (size_t size = 1; size < 40; size++) {
        struct buf b;
        buf_fixed(&b, text, size);
        int err = sse_event(&b, STR("1.2"), STR("e"), STR("{}"));
        assert_int_equal(err, size < 28 ? -EMSGSIZE : 0);
        buf_fixed(&b, text, size);
        assert_int_equal(sse_retry(&b, 10), size < 12 ? -EMSGSIZE : 0);
        buf_fixed(&b, text, size);
        assert_int_equal(sse_keepalive(&b), size < 4 ? -EMSGSIZE : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_data_is_split_at_line_ends),
        cmocka_unit_test(test_retry_and_comment),
        cmocka_unit_test(test_a_full_buffer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
