/* conf_tls: certificates as the configuration names them: pairs, faults by file, warnings. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/certificate_maker.h"
#include "tests/unit/common/conf_helper.h"
#include "tests/unit/failmalloc.h"

static char dir[] = "/tmp/conf_tls_test.XXXXXX";
static char path[64];

static void put(const char *name, const char *text, size_t n)
{
    char file[128];
    snprintf(file, sizeof(file), "%s/%s", dir, name);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    close(fd);
}

static void put_pair(const char *name, struct maker_order o)
{
    char file[64];
    struct made m = make_certificate(o);
    snprintf(file, sizeof(file), "%s.crt", name);
    put(file, m.chain, strlen(m.chain));
    snprintf(file, sizeof(file), "%s.key", name);
    put(file, m.key, strlen(m.key));
    made_free(&m);
}

static int up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/test.conf", dir);
    put_pair("a", (struct maker_order){.names = "DNS:a.test"});
    put_pair("b", (struct maker_order){.names = "DNS:b.test"});
    put_pair("old", (struct maker_order){.from = -2 * DAY, .to = -DAY});
    put_pair("new", (struct maker_order){.from = DAY, .to = 2 * DAY});
    put("none", "", 0);
    return 0;
}

static int down(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* A listener with tls { section }; the lines of the report, the file's name and line left out. */
static void reports(const char *section, int rc, const char *expected)
{
    char text[1024], got[4096];
    struct buf report, cut;
    struct conf *c = NULL;
    snprintf(text, sizeof(text), "listen \"*:443\" { tls { %s } }", section);
    buf_init(&report, 1 << 16);
    assert_int_equal(conf_load(str_of(text), path, &c, &report), rc);
    assert_int_equal(buf_append_c(&report, '\0'), 0);
    buf_fixed(&cut, got, sizeof(got));
    char begin[96];
    snprintf(begin, sizeof(begin), "%s:1: listen \"*:443\".tls.", path);
    for (char *p = (char *)report.data; *p; p += strcspn(p, "\n") + 1) {
        if (strncmp(p, begin, strlen(begin)) != 0)
            fail_msg("%s", p);
        buf_append(&cut, p + strlen(begin), strcspn(p, "\n") + 1 - strlen(begin));
    }
    buf_append_c(&cut, '\0');
    /* Where the directory stands in a value is of no interest. */
    for (char *at = strstr(got, dir); at; at = strstr(got, dir))
        memmove(at, at + strlen(dir) + 1, strlen(at + strlen(dir) + 1) + 1);
    if (strcmp(got, expected) != 0)
        fail_msg("%s\nreports\n%s", text, got);
    conf_free(c);
    buf_free(&report);
}

static struct loaded load_here(const char *text)
{
    return load_n(text, strlen(text), path);
}

static void test_one(void **state)
{
    (void)state;
    struct loaded l = load_here("listen \"*:443\" { tls { certificate = a.crt key = \"a.key\" } }\n"
                                "listen \"*:80\" { }");
    assert_int_equal(l.rc, 0);
    const struct conf_listen *tls = &l.conf->listens[0], *clear = &l.conf->listens[1];
    assert_true(tls->tls);
    assert_int_equal(tls->ncertificates, 1);
    assert_true(certificate_is_for(tls->certificates[0], STR("a.test"), false));
    char file[128];
    snprintf(file, sizeof(file), "%s/a.crt", dir);
    assert_string_equal(tls->certificate[0], file);
    assert_false(clear->tls);
    assert_int_equal(clear->ncertificates, 0);
    unload(&l);
}

static void test_several(void **state)
{
    (void)state;
    struct loaded l = load_here("listen \"*:443\" { tls { certificate = { a.crt, b.crt, a.crt }"
                                " key = { a.key, b.key, a.key } } }");
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.conf->listens[0].ncertificates, 3);
    assert_true(certificate_is_for(l.conf->listens[0].certificates[1], STR("b.test"), false));

    struct buf shown;
    buf_init(&shown, 1 << 16);
    assert_int_equal(conf_show(l.conf, &shown), 0);
    struct loaded again = load_n((char *)shown.data, shown.len, "/elsewhere/x.conf");
    assert_int_equal(again.rc, 0);
    assert_int_equal(again.conf->listens[0].ncertificates, 3);
    unload(&again);
    unload(&l);
    buf_free(&shown);
}

static void test_pairs(void **state)
{
    (void)state;
    reports("", -EINVAL, "certificate: is missing\n");
    reports("certificate = a.crt", -EINVAL, "key: is missing\n");
    reports("key = a.key", -EINVAL, "certificate: is missing\n");
    reports("certificate = { } key = { }", -EINVAL, "certificate: is empty\n");
    reports("certificate = a.crt key = { }", -EINVAL, "key: is empty\n");
    reports("certificate = { a.crt, b.crt } key = { a.key }", -EINVAL,
            "key: names 1 files for 2 certificates\n");
    reports("certificate = \"\" key = a.key", -EINVAL,
            "certificate = \"\": is empty; allowed: a path, or a list of paths\n");
    char many[1024];
    struct buf b;
    buf_fixed(&b, many, sizeof(many));
    buf_append_z(&b, "certificate = {");
    for (int i = 0; i <= CONF_CERTIFICATES_MAX; i++)
        buf_append_z(&b, i ? ",x" : "x");
    buf_append_z(&b, "} key = a.key");
    buf_append_c(&b, '\0');
    reports(many, -EINVAL, "certificate: names more than 100 certificates\n");
}

static void test_faults_name_the_file(void **state)
{
    (void)state;
    reports("certificate = a.crt key = b.key", -EINVAL,
            "key = \"b.key\": is not the key of the certificate\n");
    reports("certificate = { a.crt, b.crt } key = { b.key, a.key }", -EINVAL,
            "key = \"b.key\": is not the key of the certificate\n"
            "key = \"a.key\": is not the key of the certificate\n");
    reports("certificate = none key = a.key", -EINVAL,
            "certificate = \"none\": holds no certificate in PEM (no start line)\n");
    reports("certificate = gone key = away", -EINVAL,
            "certificate = \"gone\": cannot be read: No such file or directory\n"
            "key = \"away\": cannot be read: No such file or directory\n");
    reports("certificate = a.crt key = \".\"", -EINVAL, "key = \".\": is not a regular file\n");
}

static void test_largest_file(void **state)
{
    (void)state;
    struct made m = make_certificate((struct maker_order){0});
    char *text = calloc(1, CERTIFICATE_FILE_MAX + 1);
    assert_non_null(text);
    memset(text, '\n', CERTIFICATE_FILE_MAX + 1);
    memcpy(text, m.chain, strlen(m.chain));
    put("large.crt", text, CERTIFICATE_FILE_MAX);
    put("larger.crt", text, CERTIFICATE_FILE_MAX + 1);
    put("large.key", m.key, strlen(m.key));
    reports("certificate = large.crt key = large.key", 0, "");
    reports("certificate = larger.crt key = large.key", -EINVAL,
            "certificate = \"larger.crt\": is larger than 262144 bytes\n");
    free(text);
    made_free(&m);
}

/* A server must be able to start with it, or nobody could replace it in time. */
static void test_age_is_a_warning(void **state)
{
    (void)state;
    reports("certificate = old.crt key = old.key", 0,
            "certificate = \"old.crt\": warning: has expired\n");
    reports("certificate = { new.crt, a.crt } key = { new.key, b.key }", -EINVAL,
            "certificate = \"new.crt\": warning: is not valid yet\n"
            "key = \"b.key\": is not the key of the certificate\n");
}

static void test_a_second_section(void **state)
{
    (void)state;
    struct loaded l = load_here("listen \"*:443\" { tls { certificate = a.crt key = a.key }\n"
                                "tls { certificate = b.crt key = b.key } }");
    assert_int_equal(l.rc, -EINVAL);
    assert_int_equal(lines_of(l.report), 1);
    assert_non_null(
        strstr(l.report, "test.conf:2: listen \"*:443\".tls: stands twice, first in line 1"));
    unload(&l);
}

static int try_load(void *arg)
{
    struct conf *c = NULL;
    struct buf report;
    buf_init(&report, 1 << 16);
    int rc = conf_load(str_of(arg), path, &c, &report);
    conf_free(c);
    buf_free(&report);
    return rc;
}

static void test_without_memory(void **state)
{
    (void)state;
    char text[] = "listen \"*:443\" { tls { certificate = { a.crt, old.crt }"
                  " key = { a.key, old.key } } }";
    assert_true(failmalloc_each(try_load, text) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_faults_name_the_file),
        cmocka_unit_test(test_largest_file),
        cmocka_unit_test(test_age_is_a_warning),
        cmocka_unit_test(test_a_second_section),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, up, down);
}
