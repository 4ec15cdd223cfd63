/* spawn: what a role is born with, and that it is born again. */
#include "fake_server.h"

static const char two_workers[] = "listen \"127.0.0.1:0\" { } workers = 2";

static void cmdline_of(pid_t pid, char *ret, size_t size)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    char *text = fake_read(path);
    snprintf(ret, size, "%s", text);
    free(text);
}

static void assert_note(const struct fake_server *s, const char *line)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/lib/notes", s->dir);
    char *text = fake_read(path);
    if (!strstr(text, line))
        print_error("not in the notes: %s\n%s\n", line, text);
    assert_non_null(strstr(text, line));
    free(text);
}

static void test_only_the_named_descriptors_are_open(void **state)
{
    struct fake_server s;
    int stranger = open("/dev/null", O_RDONLY); /* inherited by the supervisor, not close-on-exec */

    (void)state;
    fake_start(&s, two_workers);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    assert_note(&s, "writer strangers none\n");
    assert_note(&s, "worker 0 strangers none\n");
    assert_note(&s, "worker 1 strangers none\n");
    close(stranger);
    fake_remove(&s);
}

static void test_titles(void **state)
{
    struct fake_server s;
    char title[64];

    (void)state;
    fake_start(&s, two_workers);
    cmdline_of(fake_pid_of(&s, "writer", 1), title, sizeof(title));
    assert_string_equal(title, "restanted: writer");
    cmdline_of(fake_pid_of(&s, "worker 0", 1), title, sizeof(title));
    assert_string_equal(title, "restanted: worker 0");
    cmdline_of(fake_pid_of(&s, "worker 1", 1), title, sizeof(title));
    assert_string_equal(title, "restanted: worker 1");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_killed_roles_have_successors_of_the_next_generation(void **state)
{
    struct fake_server s;

    (void)state;
    fake_start(&s, two_workers);
    kill(fake_pid_of(&s, "worker 1", 1), SIGKILL);
    const char *line = FAKE_WAIT(&s, 2, "\"role_started\"", "\"who\":\"worker 1\"");
    assert_int_equal(fake_number(line, "generation"), 2);
    line = FAKE_WAIT(&s, 1, "\"role_ended\"", "\"who\":\"worker 1\"");
    assert_non_null(strstr(line, "\"signal\":\"KILL\""));
    kill(fake_pid_of(&s, "writer", 1), SIGKILL);
    line = FAKE_WAIT(&s, 2, "\"role_started\"", "\"who\":\"writer\"");
    assert_int_equal(fake_number(line, "generation"), 2);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

static void test_workers_wait_for_the_first_writer(void **state)
{
    struct fake_server s;

    (void)state;
    fake_start(&s, two_workers);
    char *log = fake_read(s.log);
    const char *writer = strstr(log, "\"who\":\"writer\"");
    const char *worker = strstr(log, "\"who\":\"worker");
    assert_non_null(writer);
    assert_non_null(worker);
    assert_true(writer < worker);
    free(log);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

/* Rule 11: roles see that the supervisor is gone. */
static void test_roles_leave_with_the_supervisor(void **state)
{
    struct fake_server s;

    (void)state;
    fake_start(&s, two_workers);
    pid_t pids[] = {fake_pid_of(&s, "writer", 1), fake_pid_of(&s, "worker 0", 1),
                    fake_pid_of(&s, "worker 1", 1)};
    kill(s.pid, SIGKILL);
    assert_int_equal(fake_end(&s), 128 + SIGKILL);
    for (size_t i = 0; i < 3; i++)
        assert_true(fake_gone(pids[i]));
    fake_fork(&s, two_workers); /* nothing that was left stands in the way */
    FAKE_WAIT(&s, 2, "\"server_ready\"");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_named_descriptors_are_open),
        cmocka_unit_test(test_titles),
        cmocka_unit_test(test_killed_roles_have_successors_of_the_next_generation),
        cmocka_unit_test(test_workers_wait_for_the_first_writer),
        cmocka_unit_test(test_roles_leave_with_the_supervisor),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
