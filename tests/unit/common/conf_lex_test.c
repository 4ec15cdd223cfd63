/* conf_lex_test - words, strings, comments, and what is wrong with them. */
#include "tests/unit/common/conf_helper.h"

/* The path that `log { file = ... }` gets, which shows a string as it was read. */
static void reads(const char *written, const char *meant)
{
    char text[256];

    snprintf(text, sizeof(text), LISTEN "log { file = %s }", written);
    struct loaded l = load(text);
    if (l.rc)
        fail_msg("%s", l.report);
    assert_string_equal(l.conf->log_file, meant);
    unload(&l);
}

static void test_strings(void **state)
{
    (void)state;
    reads("\"/a b\"", "/a b");
    reads("'/a \"b\" \\n ${x} $'", "/a \"b\" \\n ${x} $");
    reads("\"/\\\"\\\\\"", "/\"\\");
    reads("\"/\\${x}$y\"", "/${x}$y");
    reads("/a-b_c.d+e/f:0", "/a-b_c.d+e/f:0");
    reads("/a//b", "/a//b");
    reads("/a/* c */", "/a");
    reads("/a#c\n", "/a");
    reads("\"/\xc3\xa4\"", "/\xc3\xa4");
    reads("\"\"", "");
    reads("''", "");
}

static void test_wrong_strings(void **state)
{
    static const char nul[] = LISTEN "log { file = \"a\0b\" }";
    struct loaded l;

    (void)state;
    REPORTS(
        LISTEN "log { file = \"a${HOME}\"\nlevel = \"a\\qb\" }",
        "2: log.file = \"a${HOME}\": contains ${, and nothing is expanded here: write \\${, or "
        "single quotes",
        "3: log.level = \"a\\qb\": contains an unknown escape: \\\" \\\\ \\n \\t \\$ are known");
    REPORTS(LISTEN "log { file = \"a\xff\" }", "2: log.file = \"a\\xff\": is not UTF-8");
    REPORTS(LISTEN "log { file = \"a\\tb\" }",
            "2: log.file = \"a\\x09b\": contains a control character; allowed: a path, or empty");
    l = load_n(nul, sizeof(nul) - 1, PATH);
    assert_string_equal(l.report, PATH ":2: log.file = \"a\": contains a NUL byte\n");
    unload(&l);
}

/* Lines are counted through everything that may hold one. */
static void test_lines(void **state)
{
    (void)state;
    REPORTS("\xef\xbb\xbf# a\n// b\n/* c\n\n d */ bad1 = 1\r\n\tbad2 = 2\n" LISTEN "/**/bad3 = 3",
            "5: bad1: unknown setting", "6: bad2: unknown setting", "8: bad3: unknown setting");
    REPORTS(LISTEN "workers\n=\n\n0",
            "5: workers = \"0\": is below the least; allowed: auto, or a whole number, 1 to 64");
}

static void test_syntax(void **state)
{
    static const char nul[] = LISTEN "a\0b";
    struct loaded l;

    (void)state;
    REPORTS("log { file = \"a\n\" }", "1: syntax error: a string is not closed on its line");
    REPORTS("log { file = 'a", "1: syntax error: a string is not closed on its line");
    REPORTS("log { file = \"a\\\"", "1: syntax error: a string is not closed on its line");
    REPORTS("log { file = \"a\\", "1: syntax error: a string is not closed on its line");
    REPORTS("log { file = \"a\\\n\"", "1: syntax error: a string is not closed on its line");
    REPORTS("\n/* a\nb", "2: syntax error: a comment that begins with /* is not closed");
    REPORTS("\n/*/", "2: syntax error: a comment that begins with /* is not closed");
    REPORTS("workers = 2;", "1: syntax error: a name, a value or one of { } = , is expected, not "
                            "\";\"");
    REPORTS("\xc3\xa4 = 1", "1: syntax error: a name, a value or one of { } = , is expected, not "
                            "\"\xc3\xa4\"");
    REPORTS("\xff = 1", "1: syntax error: a name, a value or one of { } = , is expected, not "
                        "\"\\xff\"");
    l = load_n(nul, sizeof(nul) - 1, PATH);
    assert_string_equal(l.report, PATH ":2: syntax error: a name, a value or one of { } = , is "
                                       "expected, not \"\\x00\"\n");
    unload(&l);
}

/* A string that may be a secret is not repeated in a message. */
static void test_secrecy(void **state)
{
    (void)state;
    REPORTS("token_key \"a\" { secret \"my secret\" }",
            "1: syntax error: { after the title is expected, not \"}\"");
    REPORTS("token_key \"a\" { secret = x \"my secret\" }",
            "1: token_key \"a\".secret = \"***\": is too short; allowed: at least 32 bytes",
            "1: syntax error: a name is expected, not a string");
}

static void test_ceiling(void **state)
{
    static char text[8192];
    char *p;
    struct loaded l;

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        p = stpcpy(text, LISTEN "token_key \"a\" { secret = \"");
        memset(p, 's', 4096 + (size_t)extra);
        strcpy(p + 4096 + extra, "\" }");
        l = load(text);
        if (extra)
            assert_string_equal(l.report, PATH ":2: token_key \"a\".secret = \"***\": is longer "
                                               "than 4096 bytes\n");
        else
            assert_int_equal(l.conf->token_keys[0].secret_len, 4096);
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings), cmocka_unit_test(test_wrong_strings),
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_secrecy), cmocka_unit_test(test_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
