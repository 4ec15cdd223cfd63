/* conf_check_test - names, duplicates, titles: found, all of them, each in its line. */
#include "tests/unit/common/conf_helper.h"

static void test_ten_mistakes(void **state)
{
    (void)state;
    REPORTS("listen \"127.0.0.1:99999\" { }\n"
            "worker = 2\n"
            "state_dir = { \"a\" }\n"
            "store { durability = disc }\n"
            "session { ttl = 10x\n"
            "          anonymous = yes }\n"
            "session { exclusive = true }\n"
            "limits { message = 1\n"
            "         message = 2K }\n"
            "log = info\n",
            "1: listen \"127.0.0.1:99999\": is not an address to listen at; allowed: "
            "\"127.0.0.1:8080\", \"[::1]:8080\", \"*:8080\", \"unix:/path\"",
            "2: worker: unknown setting; did you mean \"workers\"?",
            "3: state_dir: is one value, not a list; allowed: a path",
            "4: store.durability = \"disc\": is not one of the choices; allowed: disk, memory; did "
            "you mean \"disk\"?",
            "5: session.ttl = \"10x\": is not a duration; allowed: a whole number of ms, s, m, h, "
            "d, or of seconds, 1s to 365d",
            "6: session.anonymous = \"yes\": is not one of the choices; allowed: true, false",
            "7: session: stands twice, first in line 5",
            "8: limits.message = \"1\": is below the least; allowed: a number of bytes, or with K, "
            "M, G, T, 1K to 16M",
            "9: limits.message: is set twice, first in line 8",
            "10: log: is a section, not a setting; allowed: log { ... }");
}

static void test_names(void **state)
{
    (void)state;
    REPORTS(LISTEN "sesion { ttl = x bogus { } }\n"
                   "session { tll = 1 }\n"
                   "ttl = 1\n"
                   "session2 { }\n"
                   "workers { }\n"
                   "listen = \"*:1\"\n"
                   "zzzzzzzz = 1",
            "2: sesion: unknown section; did you mean \"session\"?",
            "3: session.tll: unknown setting; did you mean \"ttl\"?",
            "4: ttl: unknown setting; did you mean \"session.ttl\"?",
            "5: session2: unknown section; did you mean \"session\"?",
            "6: workers: is a setting, not a section; allowed: workers = ...",
            "7: listen: is a section, not a setting; allowed: listen \"<address>\" { ... }",
            "8: zzzzzzzz: unknown setting");
    REPORTS(LISTEN "session { limits { } }", "2: session.limits: unknown section");
    REPORTS(LISTEN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1",
            "2: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: unknown "
            "setting");
    /* a mistyped name may stand before a secret, so its value is not repeated */
    REPORTS(LISTEN "token_key \"a\" { secert = \"do not show me\" secret_file = /dev/null }",
            "2: token_key \"a\".secert: unknown setting; did you mean \"secret\"?",
            "2: token_key \"a\".secret_file = \"/dev/null\": is not a regular file");
}

static void test_titles(void **state)
{
    (void)state;
    REPORTS(LISTEN "listen { }\n"
                   "store \"x\" { }\n"
                   "namespace \"\" { }\n"
                   "namespace \"a*b\" { }\n"
                   "namespace \"a\\tb\" { }\n"
                   "namespace \"a\" { }\nnamespace \"a\" { }\n"
                   "listen \"localhost:80\" { }",
            "2: listen: has no title; allowed: listen \"<address>\" { ... }",
            "3: store \"x\": takes no title",
            "4: namespace \"\": has an empty title; allowed: a topic, or a prefix and *",
            "5: namespace \"a*b\": has a * that is not at its end; allowed: a topic, or a prefix "
            "and *",
            "6: namespace \"a\\x09b\": has a control character in its title; allowed: a topic, or "
            "a prefix and *",
            "8: namespace \"a\": stands twice, first in line 7",
            "9: listen \"localhost:80\": is not an address to listen at; allowed: "
            "\"127.0.0.1:8080\", \"[::1]:8080\", \"*:8080\", \"unix:/path\"");
    REPORTS(LISTEN "namespace \"a\xff\" { }",
            "2: namespace \"a\\xff\": is not UTF-8; allowed: a topic, or a prefix and *");
}

/* What is inside a section that is wrong itself is judged all the same. */
static void test_inside(void **state)
{
    (void)state;
    REPORTS(LISTEN "namespace { history = x }\nstore { }\nstore { map_size = x }",
            "2: namespace: has no title; allowed: namespace \"<pattern>\" { ... }",
            "2: namespace.history = \"x\": is not a whole number; allowed: a whole number, 0 to "
            "10000000",
            "4: store: stands twice, first in line 3",
            "4: store.map_size = \"x\": is not a size; allowed: a number of bytes, or with K, M, "
            "G, T, 16M to 16T");
}

static void test_lists(void **state)
{
    (void)state;
    REPORTS(LISTEN "cors { origins = x }\n"
                   "phoenix { mounts = { \"/a\",\n\"/a\", b } }",
            "2: cors.origins: is a list; allowed: { \"value\", \"value\" }",
            "4: phoenix.mounts = \"/a\": stands in the list twice",
            "4: phoenix.mounts = \"b\": is not a path to mount at; allowed: a path that begins "
            "with / and does not end with it");
    struct loaded l = load(LISTEN "phoenix { mounts = { \"/a\" } }");
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.conf->nphoenix_mounts, 1);
    assert_string_equal(l.conf->phoenix_mounts[0], "/a");
    unload(&l);
    l = load(LISTEN "phoenix { mounts = { } }");
    assert_int_equal(l.conf->nphoenix_mounts, 0);
    unload(&l);
}

static void test_tls(void **state)
{
    (void)state;
    REPORTS("listen \"*:443\" {\n tls { cert = c.pem }\n tls { } }",
            "2: listen \"*:443\".tls.cert: unknown setting",
            "2: listen \"*:443\".tls.certificate: is missing",
            "3: listen \"*:443\".tls: stands twice, first in line 2",
            "3: listen \"*:443\".tls.certificate: is missing");
}

/* Sections with a title: as many as there may be, and more, of which one line speaks. */
static void test_most(void **state)
{
    static const struct {
        int most;
        const char *form; /* %d twice: a title and something of its own */
        const char *line;
    } rows[] = {
        {64, "listen \"127.0.0.1:%d\" { } # %d\n",
         "65: listen \"127.0.0.1:65\": is one more than the 64 that there may be"},
        {1000, "namespace \"n%d\" { history = %d }\n",
         "1002: namespace \"n1001\": is one more than the 1000 that there may be"},
        {1000, "api_key \"k%d\" { sha256 = %064d scopes = { admin } }\n",
         "1002: api_key \"k1001\": is one more than the 1000 that there may be"},
        {64, "token_key \"t%d\" { secret = \"01234567890123456789012345678901%d\" }\n",
         "66: token_key \"t65\": is one more than the 64 that there may be"},
    };
    static char text[512 * 1024];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *p = stpcpy(text, i ? LISTEN : "");
        for (int n = 1; n <= rows[i].most; n++)
            p += sprintf(p, rows[i].form, n, n);
        expect_good(text);
        for (int n = rows[i].most + 1; n < rows[i].most + 4; n++)
            p += sprintf(p, rows[i].form, n, n);
        REPORTS(text, rows[i].line);
    }
}

static void test_title_length(void **state)
{
    char text[512];

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char *p = stpcpy(text, LISTEN "namespace \"");
        memset(p, 'n', 255 + (size_t)extra);
        strcpy(p + 255 + extra, "\" { }");
        struct loaded l = load(text);
        assert_int_equal(l.rc, extra ? -EINVAL : 0);
        if (extra)
            assert_non_null(strstr(l.report, "has a title of more than 255 bytes"));
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_mistakes), cmocka_unit_test(test_names),
        cmocka_unit_test(test_titles),       cmocka_unit_test(test_inside),
        cmocka_unit_test(test_lists),        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_most),         cmocka_unit_test(test_title_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
