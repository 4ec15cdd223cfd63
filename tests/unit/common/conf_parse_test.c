/* conf_parse_test - the grammar: what it takes, where it stops, and what it counts. */
#include "common/conf_tree.h"
#include "tests/unit/common/conf_helper.h"

static void test_grammar(void **state)
{
    (void)state;
    expect_good(LISTEN);
    expect_good("workers=2 " LISTEN "run_dir=x state_dir=y");
    expect_good(LISTEN "cors{origins={}}");
    expect_good(LISTEN "cors { origins = { \"http://a\", 'http://b' , http://c, } }");
    expect_good(LISTEN "log\n{\nlevel\n=\ninfo\n}\n");
    expect_good("listen \"unix:/a{b}=c,#d\" { }");
}

/* A syntax error is the last line; the mistakes before it are there, those after it are not. */
static void test_syntax_errors(void **state)
{
    (void)state;
    REPORTS("bogus = 1\nworkers = 0\nsession { ttl = x\n} }\nbogus = 2",
            "1: bogus: unknown setting",
            "2: workers = \"0\": is below the least; allowed: auto, or a whole number, 1 to 64",
            "3: session.ttl = \"x\": is not a duration; allowed: a whole number of ms, s, m, h, d, "
            "or of seconds, 1s to 365d",
            "4: syntax error: a name is expected, not \"}\"");
    REPORTS("session {\n ttl = x\n",
            "2: session.ttl = \"x\": is not a duration; allowed: a whole number of ms, s, m, h, d, "
            "or of seconds, 1s to 365d",
            "3: syntax error: the section of line 1 is not closed");
    REPORTS("workers", "1: syntax error: =, { or a title in quotes after the name is expected, not "
                       "the end of the file");
    REPORTS("workers 2", "1: syntax error: =, { or a title in quotes after the name is expected, "
                         "not \"2\"");
    REPORTS("workers =", "1: syntax error: a value is expected, not the end of the file");
    REPORTS("workers = }", "1: syntax error: a value is expected, not \"}\"");
    REPORTS("workers = , 2", "1: syntax error: a value is expected, not \",\"");
    REPORTS("workers = 1 = 2", "1: syntax error: a name is expected, not \"=\"");
    REPORTS("listen \"a\" = 2", "1: syntax error: { after the title is expected, not \"=\"");
    REPORTS("listen \"a\" \"b\" { }",
            "1: syntax error: { after the title is expected, not a string");
    REPORTS("\"workers\" = 2", "1: syntax error: a name is expected, not a string");
    REPORTS("{ }", "1: syntax error: a name is expected, not \"{\"");
    REPORTS("cors { origins = {\n", "2: syntax error: a value or } is expected, not the end of the "
                                    "file");
    REPORTS("cors { origins = { , } }", "1: syntax error: a value or } is expected, not \",\"");
    REPORTS("cors { origins = { a b } }", "1: syntax error: a comma or } is expected, not \"b\"");
    REPORTS("cors { origins = { a,, b } }", "1: syntax error: a comma or } is expected, not \",\"");
    REPORTS("cors { origins = { { a } } }", "1: syntax error: a value or } is expected, not \"{\"");
}

/* A section that a syntax error cut short is not blamed for what may stand behind the error. */
static void test_cut_section(void **state)
{
    (void)state;
    REPORTS("api_key \"a\" {\n;", "2: syntax error: a name, a value or one of { } = , is expected, "
                                  "not \";\"");
    REPORTS("token_key \"a\" {\n \"", "2: syntax error: a string is not closed on its line");
    REPORTS("api_key \"a\" {\n}\n;",
            "1: api_key \"a\".sha256: is missing; allowed: 64 hexadecimal digits",
            "1: api_key \"a\".scopes: is missing; allowed: sessions:*, send:*, publish:<pattern>, "
            "read:<pattern>, admin",
            "3: syntax error: a name, a value or one of { } = , is expected, not \";\"");
}

static void test_depth(void **state)
{
    char text[256];
    size_t n = 0;

    (void)state;
    for (int i = 0; i < CONF_DEPTH_MAX; i++)
        n += (size_t)sprintf(text + n, "a { ");
    strcpy(text + n, "} } } } } } } }" LISTEN);
    REPORTS(text, "1: a: unknown section");
    strcpy(text + n, "a { } } } } } } } } }" LISTEN);
    REPORTS(text, "1: a: unknown section", "1: syntax error: sections stand more than 8 deep");
}

/* Values of a list, and statements of a file: as many as there may be, and one more. */
static void test_list_length(void **state)
{
    static char text[64 * 1024];
    struct loaded l;

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char *p = stpcpy(text, LISTEN "cors { origins = { ");
        for (int i = 0; i < CONF_LIST_MAX + extra; i++)
            p += sprintf(p, "http://h%d, ", i);
        strcpy(p, "} }");
        l = load(text);
        if (extra)
            assert_string_equal(l.report, PATH ":2: cors.origins: has more than 1000 values\n");
        else
            assert_int_equal(l.conf->ncors_origins, CONF_LIST_MAX);
        unload(&l);
    }
}

static void test_statements(void **state)
{
    static char text[256 * 1024];

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char *p = stpcpy(text, LISTEN "bogus {\n");
        for (int i = 2; i < CONF_STATEMENTS_MAX + extra; i++)
            p = stpcpy(p, "a = 1\n");
        strcpy(p, "}\n");
        if (extra)
            REPORTS(text, "2: bogus: unknown section",
                    "20001: syntax error: the file has more than 20000 statements");
        else
            REPORTS(text, "2: bogus: unknown section");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),     cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_cut_section), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_list_length), cmocka_unit_test(test_statements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
