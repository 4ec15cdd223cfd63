/* conf_sample_test - the sample is complete, loads to the defaults, and is the file in etc/. */
#include <fcntl.h>
#include <unistd.h>

#include "common/conf_setting.h"
#include "common/conf_value.h"
#include "tests/unit/common/conf_helper.h"

static char *sample(void)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    assert_int_equal(conf_sample(&b), 0);
    buf_append_c(&b, 0);
    return (char *)b.data; /* freed by the caller */
}

/* Takes "# " off every line that has it. */
static void uncomment(char *text)
{
    char *to = text;

    for (char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        size_t skip = strncmp(line, "# ", 2) == 0 ? 2 : 0;
        n += line[n] == '\n';
        memmove(to, line + skip, n - skip);
        to += n - skip;
        line += n;
    }
    *to = 0;
}

static void test_checked_in(void **state)
{
    char *text = sample();
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    if (conf_read_file("etc/restante.conf.sample", &b) != 0 || !str_eq(buf_str(&b), str_of(text)))
        fail_msg("etc/restante.conf.sample is not what conf_sample writes: make it anew with "
                 "CONF_SAMPLE_WRITE=1 and this test");
    buf_free(&b);
    free(text);
}

static void test_every_setting(void **state)
{
    char *text = sample();
    char line[128];

    (void)state;
    for (size_t i = 0; i < CONF_SETTINGS; i++) {
        const struct conf_setting *s = &conf_settings[i];
        snprintf(line, sizeof(line), " %s = ", s->name);
        if (!strstr(text, line))
            fail_msg("%s.%s is missing", s->section, s->name);
    }
    free(text);
}

/* As it stands it only lacks a listener; without its comment marks it is the defaults. */
static void test_loads(void **state)
{
    char dir[] = "/tmp/conf_sample_test.XXXXXX", path[64], key[64];
    char *text = sample();
    struct loaded l;

    (void)state;
    REPORTS(text, "0: listen: is missing; allowed: at least one");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/restante.conf", dir);
    snprintf(key, sizeof(key), "%s/token.key", dir);
    int fd = open(key, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "0123456789abcdef0123456789abcdef", 32), 32);
    close(fd);

    uncomment(text);
    l = load_n(text, strlen(text), path);
    if (l.rc)
        fail_msg("%s", l.report);
    struct loaded bare = load_n(LISTEN, strlen(LISTEN), path);
    struct buf a, b;
    buf_init(&a, 65536);
    buf_init(&b, 65536);
    for (size_t i = 0; i < CONF_SETTINGS; i++)
        if (conf_settings[i].owner == CONF_OWNER_conf) {
            conf_value_show(&conf_settings[i], l.conf, &a);
            conf_value_show(&conf_settings[i], bare.conf, &b);
        }
    assert_true(a.len > 200 && str_eq(buf_str(&a), buf_str(&b)));
    assert_int_equal(l.conf->nlistens, 1);
    assert_int_equal(l.conf->ntoken_keys, 1);
    assert_int_equal(l.conf->napi_keys, 1);
    assert_int_equal(l.conf->nnamespaces, 1);
    buf_free(&a);
    buf_free(&b);
    unload(&l);
    unload(&bare);
    free(text);
    unlink(key);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checked_in),
        cmocka_unit_test(test_every_setting),
        cmocka_unit_test(test_loads),
    };
    if (getenv("CONF_SAMPLE_WRITE")) {
        char *text = sample();
        FILE *f = fopen("etc/restante.conf.sample", "w");
        if (!f || fputs(text, f) == EOF || fclose(f))
            return 1;
        free(text);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
