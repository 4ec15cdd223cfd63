/* conf_report_test - the order of a report, its ceilings, and how it quotes. */
#include "common/conf_report.h"
#include "tests/unit/common/conf_helper.h"

static void add(struct conf_report *r, int line, const char *what)
{
    conf_report_add(r, &(struct conf_mistake){.line = line, .what = what});
}

static void test_order(void **state)
{
    struct conf_report r;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    conf_report_init(&r, "f");
    assert_false(conf_report_refuses(&r));
    conf_report_syntax(&r, 2, "no %s", "sense");
    add(&r, 9, "i");
    add(&r, 3, "c1");
    conf_report_add(
        &r, &(struct conf_mistake){
                .line = 3, .name = "n", .value = "v", .what = "c2", .allowed = "x", .near = "y"});
    conf_report_add(&r, &(struct conf_mistake){.name = "n", .value = "", .what = "a"});
    assert_true(conf_report_refuses(&r));
    assert_int_equal(conf_report_write(&r, &out), 0);
    buf_append_c(&out, 0);
    assert_string_equal((char *)out.data, "f:0: n = \"\": a\n"
                                          "f:3: c1\n"
                                          "f:3: n = \"v\": c2; allowed: x; did you mean \"y\"?\n"
                                          "f:9: i\n"
                                          "f:2: syntax error: no sense\n");
    conf_report_free(&r);
    buf_free(&out);
}

/* CONF_REPORT_MAX mistakes are kept, the rest is counted; a syntax error is kept in any case. */
static void test_ceiling(void **state)
{
    struct conf_report r;
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    conf_report_init(&r, "f");
    for (int i = 0; i < CONF_REPORT_MAX + 7; i++)
        add(&r, i + 1, "w");
    conf_report_syntax(&r, 2000, "s");
    assert_int_equal(conf_report_write(&r, &out), 0);
    buf_append_c(&out, 0);
    assert_int_equal(lines_of((char *)out.data), CONF_REPORT_MAX + 2);
    assert_non_null(strstr((char *)out.data, "f:1000: w\nf:2000: syntax error: s\n"
                                             "f:0: 7 more mistakes are not shown\n"));
    conf_report_free(&r);
    buf_free(&out);
}

/* A report that does not fit ends with a whole line. */
static void test_no_room(void **state)
{
    struct conf_report r;
    struct buf out;

    (void)state;
    buf_init(&out, 20);
    conf_report_init(&r, "f");
    for (int i = 1; i < 9; i++)
        add(&r, i, "w");
    assert_int_equal(conf_report_write(&r, &out), -EMSGSIZE);
    assert_true(str_eq(buf_str(&out), STR("f:1: w\nf:2: w\n")));
    conf_report_free(&r);
    buf_free(&out);
}

static void test_quote(void **state)
{
    char text[CONF_QUOTE_MAX + 3];
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    conf_report_quote(&b, STR("a\n\x1b[1m\x7f\xc3\xa4"));
    assert_true(str_eq(buf_str(&b), STR("\"a\\x0a\\x1b[1m\\x7f\xc3\xa4\"")));
    buf_reset(&b);
    conf_report_quote(&b, STR("\xc3\xff"));
    assert_true(str_eq(buf_str(&b), STR("\"\\xc3\\xff\"")));
    /* cut, but not inside a character */
    memset(text, 'x', sizeof(text));
    memcpy(text + CONF_QUOTE_MAX - 1, "\xc3\xa4", 2);
    buf_reset(&b);
    conf_report_quote(&b, str_make(text, sizeof(text)));
    assert_int_equal(b.len, 1 + CONF_QUOTE_MAX - 1 + 4);
    buf_reset(&b);
    conf_report_quote(&b, str_make(NULL, 0));
    assert_true(str_eq(buf_str(&b), STR("\"\"")));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
