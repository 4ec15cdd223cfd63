/* conf_show_test - what is shown loads again and says the same; secrets are not shown. */
#include <fcntl.h>
#include <unistd.h>

#include "common/conf_setting.h"
#include "common/conf_value.h"
#include "tests/unit/common/conf_helper.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *show(const struct conf *c)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    assert_int_equal(conf_show(c, &b), 0);
    buf_append_c(&b, 0);
    assert_int_equal(b.error, 0);
    return (char *)b.data; /* freed by the caller */
}

/* Shows, loads what was shown as another file elsewhere, shows again: the same, twice over. */
static void round_trip(const char *text)
{
    struct loaded first = load(text);
    if (first.rc)
        fail_msg("%s", first.report);
    char *a = show(first.conf);
    struct loaded second = load_n(a, strlen(a), "/other/place.conf");
    if (second.rc)
        fail_msg("%s\n%s", second.report, a);
    char *b = show(second.conf);
    /* the comment that stands for a hidden key is all that is lost */
    char *hidden = strstr(a, "# token_key");
    if (hidden) {
        char *end = strchr(hidden, '\n') + 1;
        memmove(hidden, end, strlen(end) + 1);
    }
    assert_string_equal(a, b);
    free(a);
    free(b);
    unload(&first);
    unload(&second);
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(LISTEN);
    round_trip("listen \"[::1]:0\" { }\nlisten \"unix:a b\" { }\nlisten \"*:1\" { }\n"
               "state_dir = 's \"q\" \\ ${x} $'\nrun_dir = \"\xc3\xa4\"\nworkers = 64\n"
               "store { durability = memory path = p map_size = 16777217 }\n"
               "publish { dedup_window = 1001ms timeout = 59999ms }\n"
               "token_key \"t\" { secret = \"" SECRET "\" }\n"
               "api_key \"k \\\\ \\\" 'x' \\${y}\" { sha256 = " SHA
               " scopes = { admin, \"publish:a b\", \"read:\\${\" } }\n"
               "session { ttl = 90m exclusive = true mailbox_overflow = drop_oldest }\n"
               "namespace \"*\" { }\n"
               "namespace \"a:*\" { history = 0 bytes = 1K ttl = 1s presence = true "
               "publish = client join = claim latest = true on_push = deny }\n"
               "limits { message = 1025 }\nshm { inbox = 9M feed = 4G }\n"
               "cors { origins = { \"*\", \"http://a\" } }\n"
               "phoenix { mounts = { } window = 1s check_origin = { \"//a\" } }\n"
               "log { level = debug file = l }");
}

static void test_secrets(void **state)
{
    char path[] = "/tmp/conf_show_test.XXXXXX", text[512];
    int fd = mkstemp(path);
    char *shown;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, SECRET, 32), 32);
    close(fd);
    snprintf(text, sizeof(text),
             LISTEN "token_key \"in\" { secret = \"%s\" }\ntoken_key \"out\" { secret_file = %s }",
             SECRET, path);
    struct loaded l = load(text);
    assert_int_equal(l.rc, 0);
    shown = show(l.conf);
    assert_null(strstr(shown, SECRET));
    assert_non_null(
        strstr(shown, "\n# token_key \"in\" { algorithm = \"HS256\" secret = \"***\" }\n"));
    unload(&l);
    l = load(shown);
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.conf->ntoken_keys, 1);
    assert_string_equal(l.conf->token_keys[0].kid, "out");
    assert_string_equal((char *)l.conf->token_keys[0].secret, SECRET);
    unload(&l);
    free(shown);
    unlink(path);
}

/* A value that no other setting has, in every setting of the table: each is shown. */
static void test_every_setting(void **state)
{
    struct loaded l = load(LISTEN "api_key \"k\" { sha256 = " SHA " scopes = { admin } }\n"
                                  "namespace \"n\" { }");
    char *shown = show(l.conf);
    char line[128];

    (void)state;
    for (size_t i = 0; i < CONF_SETTINGS; i++) {
        const struct conf_setting *s = &conf_settings[i];
        if (s->owner == CONF_OWNER_conf_listen || s->owner == CONF_OWNER_conf_token_key)
            continue;
        snprintf(line, sizeof(line), "%s%s = ", *s->section ? "    " : "", s->name);
        if (!strstr(shown, line))
            fail_msg("%s.%s is not shown", s->section, s->name);
    }
    free(shown);
    unload(&l);
}

static void test_no_room(void **state)
{
    struct loaded l = load(LISTEN);
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(conf_show(l.conf, &b), -EMSGSIZE);
    buf_free(&b);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_every_setting),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
