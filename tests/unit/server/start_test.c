/* start: what is refused, what is left behind, and that a second server never gets in. */
#include "fake_server.h"

#define LISTEN "listen \"127.0.0.1:0\" { } workers = 1"

static void test_a_second_server_on_the_directory_is_refused(void **state)
{
    struct fake_server s;

    (void)state;
    fake_start(&s, LISTEN);
    struct fake_server second = s;
    fake_fork(&second, LISTEN);
    assert_int_equal(fake_end(&second), EXIT_FAILED);
    const char *line = FAKE_WAIT(&s, 1, "\"already_running\"");
    assert_int_equal(fake_number(line, "holder"), s.pid);
    assert_string_equal(FAKE_FIND(&s, 2, "\"role_started\"", "\"who\":\"writer\""), "");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_a_second_server_on_the_address_is_refused(void **state)
{
    struct fake_server s, second;
    char settings[128];

    (void)state;
    fake_start(&s, LISTEN);
    const char *line = FAKE_WAIT(&s, 1, "\"listening\"", "127.0.0.1:");
    snprintf(settings, sizeof(settings), "listen \"127.0.0.1:%lu\" { } workers = 1",
             strtoul(strstr(line, "127.0.0.1:") + 10, NULL, 10));
    fake_dir(&second);
    fake_fork(&second, settings);
    assert_int_equal(fake_end(&second), EXIT_FAILED);
    FAKE_WAIT(&second, 1, "\"listen_failed\"", "in use");
    fake_remove(&second);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_the_pid_file_names_the_supervisor_while_it_lives(void **state)
{
    struct fake_server s;
    char path[128];

    (void)state;
    fake_start(&s, LISTEN);
    snprintf(path, sizeof(path), "%s/run/restanted.pid", s.dir);
    char *text = fake_read(path);
    assert_int_equal(strtol(text, NULL, 10), s.pid);
    free(text);
    pid_t pid = s.pid;
    assert_int_equal(fake_stop(&s), EXIT_OK);
    assert_int_equal(access(path, F_OK), -1);
    assert_true(pid > 0);
    fake_remove(&s);
}

static void test_the_state_directory_is_private(void **state)
{
    struct fake_server s;
    struct stat st;
    char path[128];

    (void)state;
    fake_start(&s, LISTEN);
    snprintf(path, sizeof(path), "%s/lib", s.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_damaged_keys_are_not_replaced(void **state)
{
    struct fake_server s;
    char path[128];

    (void)state;
    fake_dir(&s);
    snprintf(path, sizeof(path), "%s/lib", s.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/lib/%s", s.dir, KEYS_FILE);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    fake_fork(&s, LISTEN);
    assert_int_equal(fake_end(&s), EXIT_FAILED);
    FAKE_WAIT(&s, 1, "\"start_failed\"", KEYS_FILE);
    fake_remove(&s);
}

static void test_a_log_file(void **state)
{
    struct fake_server s;

    (void)state;
    fake_dir(&s);
    fake_fork(&s, LISTEN " log { file = \"own.log\" }");
    struct fake_server view = s;
    snprintf(view.log, sizeof(view.log), "%s/own.log", s.dir);
    FAKE_WAIT(&view, 1, "\"server_ready\"");
    FAKE_WAIT(&view, 1, "\"role_started\"", "\"who\":\"worker 0\"");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    FAKE_WAIT(&view, 1, "\"stopped\"");
    unlink(view.log);
    fake_remove(&s);
}

static void test_a_log_file_that_cannot_be_opened(void **state)
{
    struct fake_server s;

    (void)state;
    fake_dir(&s);
    fake_fork(&s, LISTEN " log { file = \"missing/own.log\" }");
    assert_int_equal(fake_end(&s), EXIT_FAILED);
    FAKE_WAIT(&s, 1, "\"start_failed\"", "own.log");
    fake_remove(&s);
}

static void test_closed_standard_streams_are_no_trouble(void **state)
{
    struct fake_server s;

    (void)state;
    fake_dir(&s);
    fflush(NULL);
    s.pid = fork();
    assert_true(s.pid >= 0);
    if (s.pid == 0) {
        char settings[192];
        fake_child(&s);
        close(0);
        close(1);
        close(2);
        snprintf(settings, sizeof(settings), LISTEN " log { file = \"%s\" }", s.log);
        exit(fake_supervise(&s, settings));
    }
    FAKE_WAIT(&s, 1, "\"server_ready\"");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_server_on_the_directory_is_refused),
        cmocka_unit_test(test_a_second_server_on_the_address_is_refused),
        cmocka_unit_test(test_the_pid_file_names_the_supervisor_while_it_lives),
        cmocka_unit_test(test_the_state_directory_is_private),
        cmocka_unit_test(test_damaged_keys_are_not_replaced),
        cmocka_unit_test(test_a_log_file),
        cmocka_unit_test(test_a_log_file_that_cannot_be_opened),
        cmocka_unit_test(test_closed_standard_streams_are_no_trouble),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
