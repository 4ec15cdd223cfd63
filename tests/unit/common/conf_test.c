/* conf_test - loading as a whole, reading files, and the questions asked of a configuration. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/common/conf_helper.h"
#include "tests/unit/failmalloc.h"

#define OTHER "ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_defaults(void **state)
{
    struct loaded l = load(LISTEN);
    const struct conf *c = l.conf;

    (void)state;
    assert_int_equal(l.rc, 0);
    assert_string_equal(c->state_dir, "/etc/r/var/lib");
    assert_string_equal(c->run_dir, "/etc/r/var/run");
    assert_string_equal(c->store_path, "/etc/r/var/lib/store");
    assert_string_equal(c->log_file, "");
    assert_int_equal(c->store_durability, CONF_DISK);
    assert_int_equal(c->mailbox_overflow, CONF_REFUSE);
    assert_int_equal(c->session_ttl, 600000);
    assert_int_equal(c->limit_message, 256 * 1024);
    assert_int_equal(c->shm_inbox, 16 << 20);
    assert_int_equal(c->nlistens, 1);
    assert_string_equal(c->listens[0].address, "127.0.0.1:8080");
    assert_int_equal(c->nphoenix_mounts, 2);
    assert_string_equal(c->phoenix_mounts[1], "/realtime/v1");
    unload(&l);
}

/* Every section and type at once: the configuration that the documentation shows. */
static const char full[] =
    "listen \"127.0.0.1:8080\" { }\nlisten \"unix:r.sock\" { }\n"
    "state_dir = \"lib\" run_dir = \"run\" workers = 2\n"
    "store { durability = \"disk\" path = \"\" map_size = \"64G\" }\n"
    "publish { dedup_window = \"10m\" timeout = \"5s\" }\n"
    "token_key \"main\" { secret = \"at least 32 bytes, as it says here\" }\n"
    "api_key \"backend\" { sha256 = \"" SHA "\"\n"
    "  scopes = { \"sessions:*\", \"send:*\", \"publish:chat:*\", \"read:*\", \"admin\" } }\n"
    "api_key \"small\" { sha256 = \"" OTHER "\" scopes = { \"read:news\" } }\n"
    "session { ttl = \"10m\" anonymous = true mailbox_overflow = \"drop_oldest\" }\n"
    "namespace \"chat:*\" { history = 1000 presence = true publish = \"client\" join = \"claim\"\n"
    "                     ttl = \"1h\" on_push = \"ack\" }\n"
    "namespace \"chat:room:*\" { }\nnamespace \"chat:lobby\" { history = 0 latest = true }\n"
    "limits { message = \"256K\" connections = 15000 }\n"
    "cors { origins = { \"http://a\" } }\n"
    "phoenix { mounts = { \"/socket\" } window = \"10s\" check_origin = { } }\n"
    "server { drain = \"20s\" }\nlog { level = \"warn\" }\n";

static void test_full(void **state)
{
    struct loaded l = load(full);
    const struct conf *c = l.conf;

    (void)state;
    if (l.rc)
        fail_msg("%s", l.report);
    assert_int_equal(c->workers, 2);
    assert_string_equal(c->listens[1].address, "unix:/etc/r/r.sock");
    assert_int_equal(c->listens[1].line, 2);
    assert_string_equal(c->token_keys[0].kid, "main");
    assert_int_equal(c->token_keys[0].algorithm, CONF_HS256);
    assert_int_equal(c->token_keys[0].secret_len, 34);
    assert_int_equal(c->api_keys[0].sha256[0], 1);
    assert_int_equal(c->api_keys[0].nscopes, 5);
    assert_true(c->anonymous);
    assert_int_equal(c->mailbox_overflow, CONF_DROP_OLDEST);
    assert_int_equal(c->log_level, 2);
    assert_string_equal(c->cors_origins[0], "http://a");

    const struct conf_namespace *n = conf_namespace_of(c, STR("chat:1"));
    assert_string_equal(n->pattern, "chat:*");
    assert_true(n->presence && n->client_publish && n->join_claim && !n->latest);
    assert_int_equal(n->on_push, 3);
    assert_int_equal(n->ttl_ms, 3600000);
    n = conf_namespace_of(c, STR("chat:room:1"));
    assert_string_equal(n->pattern, "chat:room:*");
    assert_int_equal(n->history, 1000);
    assert_int_equal(n->bytes, 16 << 20);
    assert_false(n->presence || n->client_publish || n->join_claim);
    n = conf_namespace_of(c, STR("chat:lobby"));
    assert_int_equal(n->history, 0);
    assert_true(n->latest);
    assert_null(conf_namespace_of(c, STR("news")));
    unload(&l);
}

static void test_key_allows(void **state)
{
    static const struct {
        const char *kind, *name;
        bool backend, small;
    } rows[] = {
        {"sessions", "", true, false},
        {"sessions", "abc", true, false},
        {"send", "abc", true, false},
        {"publish", "chat:1", true, false},
        {"publish", "news", false, false},
        {"read", "news", true, true},
        {"read", "new", true, false},
        {"read", "news2", true, false},
        {"admin", "", true, false},
        {"read", "", true, false},
        {"rea", "news", false, false},
        {"rea", ":x", false, false},
        {"", "", false, false},
        {"other", "", false, false},
    };
    struct conf_api_key backend = {.scopes = (char *[]){(char[]){"sessions:*"}, (char[]){"send:*"},
                                                        (char[]){"publish:chat:*"},
                                                        (char[]){"read:*"}, (char[]){"admin"}},
                                   .nscopes = 5};
    struct conf_api_key small = {.scopes = (char *[]){(char[]){"read:news"}}, .nscopes = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (conf_key_allows(&backend, rows[i].kind, str_of(rows[i].name)) != rows[i].backend ||
            conf_key_allows(&small, rows[i].kind, str_of(rows[i].name)) != rows[i].small)
            fail_msg("%s %s", rows[i].kind, rows[i].name);
}

/* Relative paths start at the file, wherever the process is. */
static void test_directories(void **state)
{
    char cwd[PATH_MAX], meant[PATH_MAX + 16];
    struct loaded l;

    (void)state;
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    l = load_n(LISTEN, strlen(LISTEN), "r.conf");
    snprintf(meant, sizeof(meant), "%s/var/lib", cwd);
    assert_string_equal(l.conf->state_dir, meant);
    unload(&l);
    l = load_n(LISTEN, strlen(LISTEN), "sub/r.conf");
    snprintf(meant, sizeof(meant), "%s/sub/var/lib", cwd);
    assert_string_equal(l.conf->state_dir, meant);
    unload(&l);
    l = load_n(LISTEN, strlen(LISTEN), "/r.conf");
    assert_string_equal(l.conf->state_dir, "/var/lib");
    unload(&l);
}

static void test_file_size(void **state)
{
    size_t n = CONF_FILE_MAX + 1;
    char *text = malloc(n);

    (void)state;
    memset(text, '\n', n);
    memcpy(text, LISTEN, strlen(LISTEN));
    struct loaded l = load_n(text, n - 1, PATH);
    assert_int_equal(l.rc, 0);
    unload(&l);
    l = load_n(text, n, PATH);
    assert_string_equal(l.report, PATH ":0: the file is larger than 1 MiB\n");
    unload(&l);
    free(text);
}

static void test_untouched(void **state)
{
    struct conf *c = (struct conf *)0x10;
    struct buf report;

    (void)state;
    buf_init(&report, 4096);
    assert_int_equal(conf_load(STR("x = 1"), PATH, &c, &report), -EINVAL);
    assert_ptr_equal(c, (void *)0x10);
    buf_free(&report);
    buf_init(&report, 3); /* no room for a line is still no configuration */
    assert_int_equal(conf_load(STR("x = 1"), PATH, &c, &report), -EINVAL);
    assert_int_equal(report.len, 0);
    buf_free(&report);
    conf_free(NULL);
}

static void test_read_file(void **state)
{
    char dir[] = "/tmp/conf_test.XXXXXX", path[64];
    struct buf b;
    struct str was;

    (void)state;
    buf_init(&b, 4 * CONF_FILE_MAX);
    buf_append_z(&b, "before ");
    was = buf_str(&b);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/f", dir);
    assert_int_equal(conf_read_file(path, &b), -ENOENT);
    assert_int_equal(conf_read_file(dir, &b), -EISDIR);

    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "after", 5), 5);
    assert_int_equal(conf_read_file(path, &b), 0);
    assert_true(str_is(buf_str(&b), "before after"));
    b.len = was.n;
    assert_int_equal(ftruncate(fd, CONF_FILE_MAX), 0);
    assert_int_equal(conf_read_file(path, &b), 0);
    assert_int_equal(b.len, was.n + CONF_FILE_MAX);
    b.len = was.n;
    assert_int_equal(ftruncate(fd, CONF_FILE_MAX + 1), 0);
    assert_int_equal(conf_read_file(path, &b), -EFBIG);
    assert_int_equal(b.len, was.n);
    buf_free(&b);
    buf_init(&b, 100); /* the buffer's own ceiling comes first */
    assert_int_equal(conf_read_file(path, &b), -EFBIG);
    buf_free(&b);
    close(fd);
    unlink(path);
    rmdir(dir);
}

/* Each allocation fails once; nothing leaks (the sanitizer's to see), nothing is half loaded. */
static int load_once(void *text)
{
    struct conf *c = NULL;
    struct buf report;

    buf_init(&report, 1 << 16);
    int rc = conf_load(str_of(text), PATH, &c, &report);
    assert_true((rc == 0) == (c != NULL));
    conf_free(c);
    buf_free(&report);
    return rc == -EINVAL ? 0 : rc;
}

static void test_no_memory(void **state)
{
    static char bad[] = "listen \"unix:a\" { }\nlisten { }\nnamespace \"a\" { x = 1 history = z }\n"
                        "token_key \"a\" { secret = \"" SHA "\" secret_file = b }\n}";
    char text[sizeof(full)];

    (void)state;
    strcpy(text, full);
    assert_true(failmalloc_each(load_once, text) > 40);
    assert_true(failmalloc_each(load_once, bad) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_full),
        cmocka_unit_test(test_key_allows), cmocka_unit_test(test_directories),
        cmocka_unit_test(test_file_size),  cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_read_file),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
