/* conf_near_test - which words are near to which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/conf_near.h"

static void test_near(void **state)
{
    static const struct {
        const char *word, *near;
    } rows[] = {
        {"worker", "workers"},     /* dropped */
        {"workerss", "workers"},   /* added */
        {"workars", "workers"},    /* changed */
        {"wokrers", "workers"},    /* swapped */
        {"WORKERS", "workers"},    /* case */
        {"stat_dir", "state_dir"}, /* the nearer of two */
        {"run_dri", "run_dir"},
        {"wrkr", ""}, /* more than a third away */
        {"tl", "ttl"},
        {"xyz", ""},
        {"", ""},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""},
    };
    static const char *const known[] = {"workers", "state_dir", "run_dir", "ttl"};
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf_near n;
        conf_near_begin(&n, str_of(rows[i].word));
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            conf_near_try(&n, str_of(known[k]));
        assert_string_equal(conf_near_text(&n, text, sizeof(text)), rows[i].near);
    }
}

/* The longest words that are compared, and results that do not fit. */
static void test_ceilings(void **state)
{
    char word[64], text[4];
    struct conf_near n;

    (void)state;
    memset(word, 'a', sizeof(word));
    conf_near_begin(&n, str_make(word, 63));
    conf_near_try(&n, str_make(word, 64));
    assert_int_equal(n.best.n, 0);
    conf_near_try(&n, str_make(word, 62));
    assert_int_equal(n.best.n, 62);
    conf_near_try(&n, str_make(word, 63));
    assert_int_equal(n.best.n, 63);
    assert_string_equal(conf_near_text(&n, text, sizeof(text)), "aaa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near),
        cmocka_unit_test(test_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
