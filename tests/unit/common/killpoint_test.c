/* killpoint: dies at the n-th pass of its point, in its role, once; in the build that has them. */
#ifndef RESTANTE_KILLPOINTS
#define RESTANTE_KILLPOINTS
#endif
/* The archive of an ordinary build holds this file compiled to nothing. */
#include "common/killpoint.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#define ALIVE 42

/* Passes point "a" `a` times and "b" `b` times in a child of that role. Returns the signal that
 * ended it, or 0. */
static int pass(const char *role, int a, int b)
{
    const struct rlimit no_core = {0, 0};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        log_init(LOG_ERROR, null, role, 0);
        for (int i = 0; i < a; i++)
            KILLPOINT("a");
        for (int i = 0; i < b; i++)
            KILLPOINT("b");
        _exit(ALIVE);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    assert_int_equal(WEXITSTATUS(status), ALIVE);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    unsetenv("RESTANTE_KILL");
    unsetenv("RESTANTE_KILL_ONCE");
    return 0;
}

static void test_nothing_is_armed(void **state)
{
    (void)state;
    assert_int_equal(pass("writer", 3, 3), 0);
    setenv("RESTANTE_KILL", "", 1);
    assert_int_equal(pass("writer", 3, 3), 0);
}

static void test_the_nth_pass_of_that_point_in_that_role(void **state)
{
    (void)state;
    setenv("RESTANTE_KILL", "writer:a:3", 1);
    assert_int_equal(pass("writer", 2, 9), 0);
    assert_int_equal(pass("writer", 3, 0), SIGKILL);
    assert_int_equal(pass("worker", 9, 9), 0);
    setenv("RESTANTE_KILL", "writer:b:1", 1);
    assert_int_equal(pass("writer", 9, 0), 0);
    assert_int_equal(pass("writer", 9, 1), SIGKILL);
}

static void test_once(void **state)
{
    (void)state;
    char dir[] = "/tmp/restante-killpoint-XXXXXX", mark[64];
    assert_non_null(mkdtemp(dir));
    snprintf(mark, sizeof(mark), "%s/mark", dir);
    setenv("RESTANTE_KILL", "writer:a:2", 1);
    setenv("RESTANTE_KILL_ONCE", mark, 1);
    assert_int_equal(pass("writer", 1, 0), 0);
    assert_int_not_equal(access(mark, F_OK), 0);
    assert_int_equal(pass("writer", 2, 0), SIGKILL);
    assert_int_equal(access(mark, F_OK), 0);
    assert_int_equal(pass("writer", 9, 0), 0);
    unlink(mark);
    assert_int_equal(pass("writer", 9, 0), SIGKILL);
    unlink(mark);
    rmdir(dir);
    assert_int_equal(pass("writer", 2, 0), SIGABRT); /* the mark cannot be made */
}

static void test_a_mistake_in_the_text_aborts(void **state)
{
    (void)state;
    static const char *const bad[] = {"writer",     "writer:a",     "writer:a:", "writer:a:0",
                                      "writer:a:x", "writer:a:1:2", ":"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setenv("RESTANTE_KILL", bad[i], 1);
        assert_int_equal(pass("writer", 1, 0), SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_is_armed, setup),
        cmocka_unit_test_setup(test_the_nth_pass_of_that_point_in_that_role, setup),
        cmocka_unit_test_setup(test_once, setup),
        cmocka_unit_test_setup(test_a_mistake_in_the_text_aborts, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
