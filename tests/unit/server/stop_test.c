/* stop: workers first, then the writer; deadlines; the second request; ends of every kind. */
#include "fake_server.h"

#define LISTEN "listen \"127.0.0.1:0\" { } "

static const char *notes_of(const struct fake_server *s, char ret[1024])
{
    char path[96];

    snprintf(path, sizeof(path), "%s/lib/notes", s->dir);
    char *text = fake_read(path);
    snprintf(ret, 1024, "%s", text);
    free(text);
    return ret;
}

static void test_workers_leave_before_the_writer(void **state)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGQUIT};
    char notes[1024];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct fake_server s;
        setenv("FAKE_WORKER_1", "slow", 1);
        fake_start(&s, LISTEN "workers = 2");
        unsetenv("FAKE_WORKER_1");
        kill(s.pid, signals[i]);
        assert_int_equal(fake_end(&s), EXIT_OK);
        const char *w0 = strstr(notes_of(&s, notes), "worker 0 left");
        const char *w1 = strstr(notes, "worker 1 left");
        const char *writer = strstr(notes, "writer left");
        assert_true(w0 && w1 && writer && w0 < writer && w1 < writer);
        FAKE_WAIT(&s, 1, "\"stopped\"", "\"exit\":0");
        fake_remove(&s); /* pid file and admin socket are gone */
    }
}

static void test_a_worker_past_the_deadline_is_killed(void **state)
{
    struct fake_server s;
    char notes[1024];

    (void)state;
    setenv("FAKE_WORKER_0", "deaf", 1);
    fake_start(&s, LISTEN "workers = 2 server { drain = \"300ms\" }");
    unsetenv("FAKE_WORKER_0");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    FAKE_WAIT(&s, 1, "\"drain_overdue\"", "\"phase\":\"workers\"");
    FAKE_WAIT(&s, 1, "\"role_ended\"", "\"who\":\"worker 0\"", "\"signal\":\"KILL\"");
    assert_non_null(strstr(notes_of(&s, notes), "writer left"));
    assert_null(strstr(notes, "worker 0 left"));
    fake_remove(&s);
}

static void test_the_second_request_is_fast_but_the_writer_leaves_orderly(void **state)
{
    struct fake_server s;
    char notes[1024];

    (void)state;
    setenv("FAKE_WORKER_0", "deaf", 1);
    fake_start(&s, LISTEN "workers = 1 server { drain = \"10m\" }");
    unsetenv("FAKE_WORKER_0");
    kill(s.pid, SIGINT);
    FAKE_WAIT(&s, 1, "\"draining\"");
    kill(s.pid, SIGINT);
    assert_int_equal(fake_end(&s), EXIT_OK);
    assert_non_null(strstr(notes_of(&s, notes), "writer left"));
    FAKE_WAIT(&s, 1, "\"draining\"", "\"phase\":\"writer\"", "\"fast\":true");
    fake_remove(&s);
}

/* The rings must be emptied: a writer that dies while it is asked to leave has a successor. */
static void test_a_writer_killed_during_the_drain_is_replaced(void **state)
{
    struct fake_server s;
    char notes[1024];

    (void)state;
    setenv("FAKE_WORKER_0", "deaf", 1);
    fake_start(&s, LISTEN "workers = 1 server { drain = \"10m\" }");
    unsetenv("FAKE_WORKER_0");
    kill(s.pid, SIGTERM);
    FAKE_WAIT(&s, 1, "\"draining\"", "\"phase\":\"workers\"");
    kill(fake_pid_of(&s, "writer", 1), SIGKILL);
    pid_t successor = fake_pid_of(&s, "writer", 2);
    assert_true(successor > 0);
    kill(s.pid, SIGTERM);
    assert_int_equal(fake_end(&s), EXIT_OK);
    assert_non_null(strstr(notes_of(&s, notes), "writer left"));
    fake_remove(&s);
}

static void test_no_worker_is_replaced_during_the_drain(void **state)
{
    struct fake_server s;

    (void)state;
    setenv("FAKE_WORKER_0", "deaf", 1);
    fake_start(&s, LISTEN "workers = 2 server { drain = \"10m\" }");
    unsetenv("FAKE_WORKER_0");
    kill(s.pid, SIGTERM);
    FAKE_WAIT(&s, 1, "\"role_ended\"", "\"who\":\"worker 1\"");
    kill(fake_pid_of(&s, "worker 0", 1), SIGKILL);
    assert_int_equal(fake_end(&s), EXIT_OK);
    assert_string_equal(FAKE_FIND(&s, 3, "\"role_started\"", "\"who\":\"worker"), "");
    fake_remove(&s);
}

static void test_unused_signals_do_not_kill_the_server(void **state)
{
    static const int signals[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE};
    struct fake_server s;

    (void)state;
    fake_start(&s, LISTEN "workers = 1");
    pid_t worker = fake_pid_of(&s, "worker 0", 1);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        kill(s.pid, signals[i]);
        kill(worker, signals[i]);
    }
    kill(worker, SIGINT); /* a terminal sends it to all of the group */
    FAKE_WAIT(&s, 1, "\"signal_ignored\"");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    assert_string_equal(FAKE_FIND(&s, 2, "\"role_started\"", "\"who\":\"worker 0\""), "");
    fake_remove(&s);
}

static void test_a_stop_before_the_writer_is_ready_ends_at_once(void **state)
{
    struct fake_server s;

    (void)state;
    setenv("FAKE_WRITER", "exit", 1);
    fake_dir(&s);
    fake_fork(&s, LISTEN "workers = 1");
    unsetenv("FAKE_WRITER");
    FAKE_WAIT(&s, 1, "\"role_started\"");
    kill(s.pid, SIGTERM);
    int status = fake_end(&s); /* the third failed start may have come first */
    assert_true(status == EXIT_OK || *FAKE_FIND(&s, 1, "\"role_hopeless\""));
    fake_remove(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_leave_before_the_writer),
        cmocka_unit_test(test_a_worker_past_the_deadline_is_killed),
        cmocka_unit_test(test_the_second_request_is_fast_but_the_writer_leaves_orderly),
        cmocka_unit_test(test_a_writer_killed_during_the_drain_is_replaced),
        cmocka_unit_test(test_no_worker_is_replaced_during_the_drain),
        cmocka_unit_test(test_unused_signals_do_not_kill_the_server),
        cmocka_unit_test(test_a_stop_before_the_writer_is_ready_ends_at_once),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
