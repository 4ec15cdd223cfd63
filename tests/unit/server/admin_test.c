/* admin: one line, one answer, closed; and every bound of it. */
#include "fake_server.h"

#define LISTEN "listen \"127.0.0.1:0\" { } workers = 2"

static int admin_connect(const struct fake_server *s)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s/run/%s", s->dir, ADMIN_SOCKET);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    return fd;
}

/* What comes until the server closes. */
static void admin_answer(int fd, char *ret, size_t size)
{
    size_t n = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, FAKE_PATIENCE_MS), 1);
        ssize_t got = recv(fd, ret + n, size - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    ret[n] = 0;
    close(fd);
}

static void admin_ask(const struct fake_server *s, const char *text, char *ret, size_t size)
{
    int fd = admin_connect(s);

    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    admin_answer(fd, ret, size);
}

static void test_status(void **state)
{
    struct fake_server s;
    char answer[8192], wanted[64];

    (void)state;
    fake_start(&s, LISTEN);
    admin_ask(&s, "status\n", answer, sizeof(answer));
    assert_int_equal(answer[0], '{');
    assert_string_equal(answer + strlen(answer) - 2, "}\n");
    snprintf(wanted, sizeof(wanted), "\"supervisor\":{\"pid\":%d", s.pid);
    assert_non_null(strstr(answer, wanted));
    snprintf(wanted, sizeof(wanted), "\"pid\":%d", fake_pid_of(&s, "worker 1", 1));
    assert_non_null(strstr(answer, wanted));
    snprintf(wanted, sizeof(wanted), "\"pid\":%d", fake_pid_of(&s, "writer", 1));
    assert_non_null(strstr(answer, wanted));
    admin_ask(&s, "status\r\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"workers\""));
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_rotate(void **state)
{
    struct fake_server s;
    struct session_keys before, after;
    char answer[256], dir[96], wanted[64];

    (void)state;
    fake_start(&s, LISTEN);
    snprintf(dir, sizeof(dir), "%s/lib", s.dir);
    assert_int_equal(keys_load(dir, &before), 0);
    admin_ask(&s, "rotate\n", answer, sizeof(answer));
    assert_int_equal(keys_load(dir, &after), 0);
    snprintf(wanted, sizeof(wanted), "{\"rotated\":true,\"key\":%u}\n", after.key[0].id);
    assert_string_equal(answer, wanted);
    assert_memory_equal(&after.key[1], &before.key[0], sizeof(before.key[0]));
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_a_rotation_that_fails_is_told(void **state)
{
    struct fake_server s;
    char answer[256], path[128];

    (void)state;
    fake_start(&s, LISTEN);
    snprintf(path, sizeof(path), "%s/lib/%s.new", s.dir, KEYS_FILE);
    assert_int_equal(mkdir(path, 0700), 0);
    admin_ask(&s, "rotate\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"error\""));
    FAKE_WAIT(&s, 1, "\"rotate_failed\"");
    rmdir(path);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_what_is_no_command(void **state)
{
    static const char *const lines[] = {"\n", "STATUS\n", "status \n", "statusrotate\n", "{}\n"};
    struct fake_server s;
    char answer[256], longer[ADMIN_LINE + 2];

    (void)state;
    fake_start(&s, LISTEN);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        admin_ask(&s, lines[i], answer, sizeof(answer));
        assert_string_equal(
            answer, "{\"error\":\"unknown command\",\"commands\":[\"status\",\"rotate\"]}\n");
    }
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = 0;
    admin_ask(&s, longer, answer, sizeof(answer));
    assert_non_null(strstr(answer, "too long"));
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_a_line_may_come_in_pieces(void **state)
{
    struct fake_server s;
    char answer[8192];

    (void)state;
    fake_start(&s, LISTEN);
    int fd = admin_connect(&s);
    for (const char *p = "status\n"; *p; p++)
        assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
    admin_answer(fd, answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"supervisor\""));
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

/* Connections that say nothing take all places, until their time is over. */
static void test_silent_connections_are_closed_and_others_wait(void **state)
{
    struct fake_server s;
    int silent[ADMIN_CONNECTIONS];
    char answer[8192];

    (void)state;
    fake_start(&s, LISTEN);
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++)
        silent[i] = admin_connect(&s);
    admin_ask(&s, "status\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"supervisor\""));
    for (size_t i = 0; i < ADMIN_CONNECTIONS; i++) {
        admin_answer(silent[i], answer, sizeof(answer));
        assert_string_equal(answer, "");
    }
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_clients_that_leave_early_harm_nobody(void **state)
{
    struct fake_server s;
    char answer[8192];

    (void)state;
    fake_start(&s, LISTEN);
    for (int i = 0; i < 3 * ADMIN_CONNECTIONS; i++) {
        int fd = admin_connect(&s);
        if (i % 2)
            assert_int_equal(send(fd, "status\n", 7, MSG_NOSIGNAL), 7);
        close(fd);
    }
    admin_ask(&s, "status\n", answer, sizeof(answer));
    assert_non_null(strstr(answer, "\"supervisor\""));
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_only_the_owner_may_connect(void **state)
{
    struct fake_server s;
    struct stat st;
    char path[128];

    (void)state;
    fake_start(&s, LISTEN);
    snprintf(path, sizeof(path), "%s/run/%s", s.dir, ADMIN_SOCKET);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    assert_int_equal(stat(path, &st), -1);
    fake_remove(&s);
}

static void test_a_path_longer_than_a_socket_address(void **state)
{
    struct admin a;
    char dir[200] = "/tmp/restante-admin-XXXXXX", path[256];
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    size_t base = strlen(dir);
    dir[base] = '/';
    memset(dir + base + 1, 'x', sizeof(dir) - base - 2);
    dir[sizeof(dir) - 1] = 0;
    assert_int_equal(mkdir(dir, 0700), 0);
    snprintf(path, sizeof(path), "%s/%s", dir, ADMIN_SOCKET);
    admin_init(&a);
    for (int i = 0; i < 2; i++) { /* the second time it replaces what is there */
        if (i == 1)
            assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
        assert_int_equal(admin_open(&a, dir), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISSOCK(st.st_mode));
        admin_close(&a);
        assert_int_equal(stat(path, &st), -1);
    }
    assert_int_equal(admin_open(&a, "/nonexistent/restante"), -ENOENT);
    rmdir(dir);
    dir[base] = 0;
    assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_rotate),
        cmocka_unit_test(test_a_rotation_that_fails_is_told),
        cmocka_unit_test(test_what_is_no_command),
        cmocka_unit_test(test_a_line_may_come_in_pieces),
        cmocka_unit_test(test_silent_connections_are_closed_and_others_wait),
        cmocka_unit_test(test_clients_that_leave_early_harm_nobody),
        cmocka_unit_test(test_only_the_owner_may_connect),
        cmocka_unit_test(test_a_path_longer_than_a_socket_address),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
