/* reap: obituaries, back-off in a crash loop, and the end of a server that cannot start. */
#include "fake_server.h"

#define LISTEN "listen \"127.0.0.1:0\" { } "

static void test_last_words_are_in_the_obituary(void **state)
{
    struct fake_server s;

    (void)state;
    setenv("FAKE_WORKER_0", "crash", 1);
    fake_dir(&s);
    fake_fork(&s, LISTEN "workers = 1");
    unsetenv("FAKE_WORKER_0");
    const char *line = FAKE_WAIT(&s, 1, "\"role_ended\"", "\"who\":\"worker 0\"");
    assert_non_null(strstr(line, "the fake was told to crash"));
    assert_non_null(strstr(line, "\"signal\":\"ABRT\""));
    assert_int_equal(fake_end(&s), EXIT_FAILED);
    fake_remove(&s);
}

static void test_a_writer_that_cannot_start_ends_the_server(void **state)
{
    struct fake_server s;

    (void)state;
    setenv("FAKE_WRITER", "exit", 1);
    fake_dir(&s);
    fake_fork(&s, LISTEN "workers = 1");
    unsetenv("FAKE_WRITER");
    assert_int_equal(fake_end(&s), EXIT_FAILED);
    const char *line = FAKE_WAIT(&s, 1, "\"role_hopeless\"", "\"who\":\"writer\"");
    assert_int_equal(fake_number(line, "failed_starts"), BACKOFF_GIVE_UP_FIRST);
    line = FAKE_WAIT(&s, BACKOFF_GIVE_UP_FIRST, "\"role_ended\"", "\"exit\":3");
    assert_int_equal(fake_number(line, "generation"), BACKOFF_GIVE_UP_FIRST);
    fake_remove(&s);
}

static void test_kills_in_a_row_are_backed_off_but_not_given_up(void **state)
{
    struct fake_server s;

    (void)state;
    fake_start(&s, LISTEN "workers = 2");
    for (int i = 1; i <= 4; i++)
        kill(fake_pid_of(&s, "worker 1", i), SIGKILL);
    assert_int_equal(fake_number(FAKE_WAIT(&s, 1, "\"role_backoff\""), "wait_ms"),
                     BACKOFF_FIRST_MS);
    fake_pid_of(&s, "worker 1", 5);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

/* Rule 9: slot and generation on the board, and the writer's bell. */
static void test_the_writer_is_told_of_a_dead_worker(void **state)
{
    struct fake_server s;
    uint64_t end = clock_boot_ms() + FAKE_PATIENCE_MS;
    char path[96];
    bool told = false;

    (void)state;
    fake_start(&s, LISTEN "workers = 2");
    kill(fake_pid_of(&s, "worker 1", 1), SIGKILL);
    snprintf(path, sizeof(path), "%s/lib/notes", s.dir);
    while (!told && clock_boot_ms() < end) {
        char *text = fake_read(path);
        told = strstr(text, "worker 1 of generation 1 mourned\n");
        free(text);
        poll(NULL, 0, 5);
    }
    assert_true(told);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

/* A shell that became the server by exec hands on its children. */
static void supervise_with_stranger(struct fake_server *s)
{
    fflush(NULL);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid > 0)
        return;
    fake_child(s);
    pid_t stranger = fork();
    if (stranger == 0)
        _exit(7);
    dprintf(STDERR_FILENO, "{\"stranger\":%d}\n", stranger);
    exit(fake_supervise(s, LISTEN "workers = 1"));
}

static void test_children_of_someone_else_are_reaped(void **state)
{
    struct fake_server s;
    char path[32];
    uint64_t end = clock_boot_ms() + FAKE_PATIENCE_MS;

    (void)state;
    fake_dir(&s);
    supervise_with_stranger(&s);
    snprintf(path, sizeof(path), "/proc/%d",
             (int)fake_number(FAKE_WAIT(&s, 1, "\"stranger\""), "stranger"));
    FAKE_WAIT(&s, 1, "\"server_ready\"");
    while (access(path, F_OK) == 0 && clock_boot_ms() < end)
        poll(NULL, 0, 5);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    assert_string_equal(FAKE_FIND(&s, 1, "\"exit\":7"), "");
    fake_remove(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_words_are_in_the_obituary),
        cmocka_unit_test(test_a_writer_that_cannot_start_ends_the_server),
        cmocka_unit_test(test_kills_in_a_row_are_backed_off_but_not_given_up),
        cmocka_unit_test(test_the_writer_is_told_of_a_dead_worker),
        cmocka_unit_test(test_children_of_someone_else_are_reaped),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
