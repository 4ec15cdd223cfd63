/* negotiate_test - media ranges and their qualities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/negotiate.h"

static void one_line(void **state)
{
    (void)state;
    static const struct {
        const char *accept, *type;
        unsigned quality;
    } rows[] = {
        {"application/json", "application/json", 1000},
        {"APPLICATION/Json", "application/json", 1000},
        {"application/json", "application/msgpack", 0},
        {"application/*", "application/msgpack", 1000},
        {"*/*", "application/msgpack", 1000},
        {"text/*", "application/msgpack", 0},
        {"*/*;q=0.5", "a/b", 500},
        {"a/b;q=0.001", "a/b", 1},
        {"a/b;q=0.25", "a/b", 250},
        {"a/b;q=0", "a/b", 0},
        {"a/b;q=0.", "a/b", 0},
        {"a/b;q=0.000", "a/b", 0},
        {"a/b;q=1", "a/b", 1000},
        {"a/b;q=1.000", "a/b", 1000},
        {"a/b;Q=0.5", "a/b", 500},
        {"a/b ; q=0.5 ", "a/b", 500},
        {"a/b;level=1;q=0.5;ext=x", "a/b", 500},
        {"a/b;quality=0.5", "a/b", 1000},
        /* no quality at all counts as none given */
        {"a/b;q=", "a/b", 1000},
        {"a/b;q=2", "a/b", 1000},
        {"a/b;q=1.5", "a/b", 1000},
        {"a/b;q=0.0001", "a/b", 1000},
        {"a/b;q=.5", "a/b", 1000},
        {"a/b;q=0,5", "a/b", 0},
        {"a/b;q=-1", "a/b", 1000},
        {"a/b;q=x", "a/b", 1000},
        {"a/b;q=0x", "a/b", 1000},
        {"a/b;q=0.x", "a/b", 1000},
        /* the most exact range counts, wherever it stands */
        {"*/*, a/*;q=0.5, a/b;q=0.2", "a/b", 200},
        {"a/b;q=0.2, a/*;q=0.5, */*", "a/b", 200},
        {"a/b;q=0, */*", "a/b", 0},
        {"*/*;q=0.1, a/*;q=0", "a/b", 0},
        {"a/*;q=0, a/b", "a/b", 1000},
        /* of equal ones the better */
        {"a/b;q=0.2, a/b;q=0.3, a/b;q=0.1", "a/b", 300},
        /* lists with holes, and what is no range */
        {",, a/b ,", "a/b", 1000},
        {"", "a/b", 0},
        {";q=1", "a/b", 0},
        {"a", "a/b", 0},
        {"a/", "a/b", 0},
        {"a/bc", "a/b", 0},
        {"*", "a/b", 0},
        {"*/b", "a/b", 0},
        {"a/b*", "a/b", 0},
        {"a b", "a/b", 0},
        {"\"", "a/b", 0},
        /* separators in quotes are none */
        {"x/y;p=\"a/b, a/b\"", "a/b", 0},
        {"a/b;p=\";q=0\";q=0.5", "a/b", 500},
        {"a/b;p=\"\\\",\";q=0.5", "a/b", 500},
        {"a/b;p=\"open, a/b;q=0.5", "a/b", 1000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct accept verdict = {.quality = 0};
        /* in memory of its own, so that a read past it is seen */
        size_t n = strlen(rows[i].accept);
        char *tight = malloc(n ? n : 1);
        assert_non_null(tight);
        memcpy(tight, rows[i].accept, n);
        negotiate(str_make(tight, n), rows[i].type, &verdict);
        free(tight);
        if (verdict.quality != rows[i].quality)
            fail_msg("%s: %u, not %u", rows[i].accept, verdict.quality, rows[i].quality);
    }
}

static void several_lines(void **state)
{
    (void)state;
    struct accept verdict = {.quality = 0};
    negotiate(STR("*/*;q=0.9"), "a/b", &verdict);
    assert_int_equal(verdict.quality, 900);
    negotiate(STR("a/b;q=0.2"), "a/b", &verdict);
    assert_int_equal(verdict.quality, 200);
    negotiate(STR("a/*"), "a/b", &verdict);
    assert_int_equal(verdict.quality, 200);
    negotiate(STR("a/b;q=0.4"), "a/b", &verdict);
    assert_int_equal(verdict.quality, 400);
    assert_int_equal(verdict.exactness, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line),
        cmocka_unit_test(several_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
