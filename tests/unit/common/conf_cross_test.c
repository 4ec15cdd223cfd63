/* conf_cross_test - what must hold between settings, and the files of secrets. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/common/conf_helper.h"

#define SECRET "secret = \"0123456789abcdef0123456789abcdef\""
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_listen(void **state)
{
    (void)state;
    REPORTS("", "0: listen: is missing; allowed: at least one");
    REPORTS("listen \"[::1]:80\" { }\nlisten \"[0:0::1]:80\" { }\n"
            "listen \"unix:a\" { }\nlisten \"unix:/etc/r/a\" { }\n"
            "listen \"*:80\" { }\nlisten \"*:80\" { }\nlisten \"*:81\" { }",
            "2: listen \"[0:0::1]:80\": stands twice, first in line 1",
            "4: listen \"unix:/etc/r/a\": stands twice, first in line 3",
            "6: listen \"*:80\": stands twice, first in line 5");
    struct loaded l = load("listen \"unix:a\" { }");
    assert_string_equal(l.conf->listens[0].address, "unix:/etc/r/a");
    assert_int_equal(l.conf->listens[0].line, 1);
    assert_false(l.conf->listens[0].tls);
    unload(&l);
    /* 107 bytes from the root, and one more */
    for (size_t extra = 0; extra < 2; extra++) {
        char text[256] = "listen \"unix:";
        memset(text + strlen(text), 'x', 107 - strlen("/etc/r/") + extra);
        strcat(text, "\" { }");
        l = load(text);
        assert_int_equal(l.rc, extra ? -EINVAL : 0);
        if (extra)
            assert_non_null(strstr(l.report, "has a path of more than 107 bytes from the root\n"));
        unload(&l);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    expect_good(LISTEN "limits { request = 8M message = 8M }");
    REPORTS(LISTEN "limits { request = 8388609 }",
            "2: limits.request = \"8388609\": is too large; allowed: at most 8M, half of "
            "shm.inbox");
    REPORTS(LISTEN "shm { inbox = 4M }",
            "2: limits.request = \"4M\": is too large; allowed: at most 2M, half of shm.inbox");
    /* 5M of ring are 8M, which is enough */
    expect_good(LISTEN "shm { inbox = 5M }");
    REPORTS(LISTEN "limits {\nrequest = 4K }",
            "3: limits.message = \"256K\": is too large; allowed: at most 4K, which is "
            "limits.request");
    REPORTS(LISTEN "limits { message = 5K\nrequest = 4K }",
            "2: limits.message = \"5K\": is too large; allowed: at most 4K, which is "
            "limits.request");
    REPORTS(LISTEN "limits {\nbodies = 1M }",
            "3: limits.request = \"4M\": is too large; allowed: at most 1M, which is "
            "limits.bodies");
    /* a side that was refused is not compared */
    REPORTS(LISTEN "shm { inbox = 1 }\nlimits { request = 64M }",
            "2: shm.inbox = \"1\": is below the least; allowed: a number of bytes, or with K, M, "
            "G, T, 64K to 1G");
}

static void test_ttl(void **state)
{
    (void)state;
    expect_good(LISTEN "session { ttl = 1d max_ttl = 1d }");
    REPORTS(LISTEN "session { max_ttl = 1d\nttl = 25h }",
            "3: session.ttl = \"25h\": is too large; allowed: at most 1d, which is "
            "session.max_ttl");
}

static void test_store(void **state)
{
    (void)state;
    REPORTS(LISTEN "store { map_size = 1G\ndurability = memory }",
            "3: store.path = \"\": is empty while store.durability is memory; allowed: a directory "
            "on tmpfs");
    REPORTS(LISTEN "store { durability = memory\npath = \"\" }",
            "3: store.path = \"\": is empty while store.durability is memory; allowed: a directory "
            "on tmpfs");
    expect_good(LISTEN "store { durability = memory path = /dev/shm/x }");
    struct loaded l = load(LISTEN "state_dir = s");
    assert_string_equal(l.conf->store_path, "/etc/r/s/store");
    unload(&l);
    l = load(LISTEN "store { path = p }");
    assert_string_equal(l.conf->store_path, "/etc/r/p");
    unload(&l);
}

static void test_token_keys(void **state)
{
    (void)state;
    expect_good(LISTEN "token_key \"a\" { " SECRET " }\ntoken_key \"b\" { " SECRET " }");
    REPORTS(LISTEN "token_key \"a\" { }",
            "2: token_key \"a\": has no secret; allowed: exactly one of secret, secret_file");
    REPORTS(LISTEN "token_key \"a\" { " SECRET "\nsecret_file = x }",
            "3: token_key \"a\".secret_file: stands beside secret; allowed: exactly one of secret, "
            "secret_file");
    REPORTS(LISTEN "token_key \"a\" { algorithm = EdDSA " SECRET " }",
            "2: token_key \"a\".algorithm = \"EdDSA\": is not one of the choices; allowed: HS256");
    REPORTS(LISTEN "token_key \"a\" { secret = \"0123456789abcdef0123456789abcde\" }",
            "2: token_key \"a\".secret = \"***\": is too short; allowed: at least 32 bytes");
}

static void test_api_keys(void **state)
{
    (void)state;
    expect_good(LISTEN "api_key \"a\" { sha256 = " SHA " scopes = { admin } }");
    REPORTS(LISTEN "api_key \"a\" { }\napi_key \"b\" { sha256 = x scopes = { } }\n"
                   "api_key \"c\" { sha256 = " SHA " scopes = { x } }\n"
                   "api_key \"d\" { sha256 = " SHA " scopes = { admin } }",
            "2: api_key \"a\".sha256: is missing; allowed: 64 hexadecimal digits",
            "2: api_key \"a\".scopes: is missing; allowed: sessions:*, send:*, publish:<pattern>, "
            "read:<pattern>, admin",
            "3: api_key \"b\".sha256 = \"x\": is not a SHA-256; allowed: 64 hexadecimal digits",
            "3: api_key \"b\".scopes: is empty; allowed: sessions:*, send:*, publish:<pattern>, "
            "read:<pattern>, admin",
            "4: api_key \"c\".scopes = \"x\": is not a scope; allowed: sessions:*, send:*, "
            "publish:<pattern>, read:<pattern>, admin",
            "5: api_key \"d\".sha256: is the same key as in line 4");
}

static char dir[] = "/tmp/conf_cross_test.XXXXXX";

static void put_file(const char *name, const void *data, size_t n)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), n);
    close(fd);
}

/* One token_key whose secret_file is `name`, in a configuration that stands in dir. */
static struct loaded load_with(const char *name)
{
    char text[256], path[128];

    snprintf(text, sizeof(text), LISTEN "token_key \"a\" { secret_file = %s }", name);
    snprintf(path, sizeof(path), "%s/r.conf", dir);
    return load_n(text, strlen(text), path);
}

static void refused(const char *name, const char *what)
{
    struct loaded l = load_with(name);

    assert_int_equal(l.rc, -EINVAL);
    assert_int_equal(lines_of(l.report), 1);
    if (!strstr(l.report, what))
        fail_msg("%s", l.report);
    unload(&l);
}

static void test_secret_files(void **state)
{
    static const char secret[] = "0123456789abcdef\0"
                                 "123456789abcdef\r\n";
    static char large[4097];
    char path[128];
    struct loaded l;

    (void)state;
    assert_non_null(mkdtemp(dir));
    put_file("good", secret, 34);
    l = load_with("good");
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.conf->token_keys[0].secret_len, 32);
    assert_memory_equal(l.conf->token_keys[0].secret, secret, 32);
    snprintf(path, sizeof(path), "%s/good", dir);
    assert_string_equal(l.conf->token_keys[0].secret_file, path);
    unload(&l);
    /* one line end only is taken off */
    put_file("good", "0123456789abcdef0123456789abcdef\n\n", 34);
    l = load_with("good");
    assert_int_equal(l.conf->token_keys[0].secret_len, 33);
    unload(&l);
    memset(large, 'x', sizeof(large));
    put_file("good", large, 4096);
    l = load_with("good");
    assert_int_equal(l.conf->token_keys[0].secret_len, 4096);
    unload(&l);

    put_file("large", large, 4097);
    refused("large", "is larger than 4096 bytes");
    put_file("short", "0123456789abcdef0123456789abcde\n", 32);
    refused("short", "is too short; allowed: at least 32 bytes in the file");
    put_file("empty", "", 0);
    refused("empty", "is too short");
    refused("none", "cannot be read: No such file or directory");
    refused(".", "is not a regular file");
    snprintf(path, sizeof(path), "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused("fifo", "is not a regular file"); /* and nobody waits for a writer */
    static const char *const names[] = {"good", "large", "short", "empty", "fifo"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_ttl),          cmocka_unit_test(test_store),
        cmocka_unit_test(test_token_keys),   cmocka_unit_test(test_api_keys),
        cmocka_unit_test(test_secret_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
