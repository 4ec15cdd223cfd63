/* options: what is taken, what is refused and in which words. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/options.h"

#define ARGS 6

static void test_taken(void **state)
{
    static const struct {
        char *argv[ARGS];
        enum verb verb;
        const char *config;
    } rows[] = {
        {{"restanted", "--config", "a.conf"}, VERB_RUN, "a.conf"},
        {{"restanted", "--config=a.conf"}, VERB_RUN, "a.conf"},
        {{"restanted", "--config=a=b"}, VERB_RUN, "a=b"},
        {{"restanted", "--config", "--odd"}, VERB_RUN, "--odd"},
        {{"restanted", "--config", "a", "--check-config"}, VERB_CHECK, "a"},
        {{"restanted", "--check-config", "--config", "a"}, VERB_CHECK, "a"},
        {{"restanted", "--show-config", "--config", "a"}, VERB_SHOW, "a"},
        {{"restanted", "--sample-config"}, VERB_SAMPLE, NULL},
        {{"restanted", "--version"}, VERB_VERSION, NULL},
        {{"restanted", "--help"}, VERB_HELP, NULL},
        {{"restanted", "-h", "-h"}, VERB_HELP, NULL},
        {{"restanted", "--role"}, VERB_ROLE, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct options o;
        struct buf why;
        int argc = 0;
        while (rows[i].argv[argc])
            argc++;
        buf_init(&why, 1024);
        assert_int_equal(options_parse(argc, rows[i].argv, &o, &why), 0);
        assert_int_equal(o.verb, rows[i].verb);
        if (rows[i].config)
            assert_string_equal(o.config, rows[i].config);
        else
            assert_null(o.config);
        assert_int_equal(why.len, 0);
        buf_free(&why);
    }
}

static void test_refused(void **state)
{
    static const struct {
        char *argv[ARGS];
        const char *why;
    } rows[] = {
        {{"restanted"}, "--config FILE is needed"},
        {{"restanted", "--check-config"}, "--config FILE is needed"},
        {{"restanted", "--config"}, "--config: needs a file"},
        {{"restanted", "--config="}, "--config: needs a file"},
        {{"restanted", "--config", "a", "--config", "b"}, "given twice"},
        {{"restanted", "--config", "a", "--confiG"}, "--confiG: no such option"},
        {{"restanted", "--version=1"}, "no such option"},
        {{"restanted", "a.conf"}, "a.conf: no such option"},
        {{"restanted", ""}, "no such option"},
        {{"restanted", "--config", "a", "--check-config", "--show-config"}, "only one of these"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct options o = {.config = "untouched"};
        struct buf why;
        int argc = 0;
        while (rows[i].argv[argc])
            argc++;
        buf_init(&why, 1024);
        assert_int_equal(options_parse(argc, rows[i].argv, &o, &why), -EINVAL);
        assert_string_equal(o.config, "untouched");
        assert_non_null(memmem(why.data, why.len, rows[i].why, strlen(rows[i].why)));
        assert_int_equal(why.data[why.len - 1], '\n');
        buf_free(&why);
    }
}

static void test_help_names_everything_but_the_internal(void **state)
{
    static const char *const words[] = {"--config FILE",
                                        "--check-config",
                                        "--show-config",
                                        "--sample-config",
                                        "--version",
                                        "Exit status",
                                        "78",
                                        "SIGTERM"};
    struct buf help;

    (void)state;
    buf_init(&help, 8192);
    assert_int_equal(options_help(&help), 0);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_non_null(memmem(help.data, help.len, words[i], strlen(words[i])));
    assert_null(memmem(help.data, help.len, "--role", 6));
    buf_free(&help);
    buf_init(&help, 100);
    assert_int_equal(options_help(&help), -EMSGSIZE);
    buf_free(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_help_names_everything_but_the_internal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
