/* title: written over the arguments, and into the environment where it is longer. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "server/title.h"

/* Everything of /proc/<pid>/cmdline up to the first NUL, as ps shows it. */
static void cmdline(pid_t pid, char *ret, size_t size)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, ret, size - 1);
    close(fd);
    assert_true(n >= 0);
    ret[n] = 0;
}

/* This program again, with the arguments given; it sets its title, says so, and waits. */
static void assert_title(char *const argv[], char *const env[], const char *wanted)
{
    int ready[2], done[2];
    char c, got[256];

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ready[1], 10);
        dup2(done[0], 11);
        close(ready[1]);
        close(done[1]);
        execve("/proc/self/exe", argv, env);
        _exit(1);
    }
    close(ready[1]);
    close(done[0]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    cmdline(pid, got, sizeof(got));
    close(done[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]);
    assert_string_equal(got, wanted);
}

static int child_main(int argc, char **argv)
{
    struct title t;
    char c, name[16] = "";

    title_take(argc, argv, &t);
    const char *value = getenv("KEPT");
    bool kept = value && strcmp(value, "still here") == 0;
    title_set(&t, "restanted: supervisor");
    value = getenv("KEPT"); /* the environment has moved out of the way */
    kept = kept && value && strcmp(value, "still here") == 0;
    int fd = open("/proc/self/comm", O_RDONLY);
    if (fd < 0 || read(fd, name, sizeof(name) - 1) <= 0 || strcmp(name, "restanted\n") != 0)
        return 2;
    if (write(10, "x", 1) != 1 || read(11, &c, 1) != 0)
        return 3;
    return kept || getenv("BARE") ? 0 : 4;
}

static char kept[] = "KEPT=still here", more[] = "MORE=0123456789012345678901234567890123456789";
static char bare[] = "BARE=";

static void test_shorter_than_the_arguments(void **state)
{
    char *const argv[] = {"title-child", "--config", "/a/rather/long/path/restante.conf", NULL};
    char *const env[] = {kept, NULL};

    (void)state;
    assert_title(argv, env, "restanted: supervisor");
}

static void test_longer_than_the_arguments(void **state)
{
    char *const argv[] = {"title-child", NULL};
    char *const env[] = {kept, more, NULL};

    (void)state;
    assert_title(argv, env, "restanted: supervisor");
}

static void test_longer_than_all_there_is_is_cut(void **state)
{
    char *const argv[] = {"title-child", NULL};
    char *const env[] = {bare, NULL};

    (void)state;
    assert_title(argv, env, "restanted: superv");
}

/* Without memory for a copy the environment stays where it is, and only argv is overwritten. */
static void test_no_memory_for_the_environment(void **state)
{
    char area[] = "name\0-x\0A=1\0B=2";
    char *argv[] = {area, area + 5, NULL}, *env[] = {area + 8, area + 12, NULL};
    char **was = environ;
    struct title t;

    (void)state;
    for (unsigned long n = 1; n <= 3; n++) { /* the array and two strings */
        environ = env;
        failmalloc_arm(n);
        title_take(2, argv, &t);
        assert_true(failmalloc_disarm());
        assert_ptr_equal(environ, env);
        assert_int_equal(t.size, 8);
    }
    title_take(2, argv, &t);
    assert_int_equal(t.size, sizeof(area));
    assert_string_equal(environ[1], "B=2");
    assert_ptr_not_equal(environ[1], area + 12);
    for (int i = 0; environ[i]; i++)
        free(environ[i]);
    free(environ);
    environ = was;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shorter_than_the_arguments),
        cmocka_unit_test(test_longer_than_the_arguments),
        cmocka_unit_test(test_longer_than_all_there_is_is_cut),
        cmocka_unit_test(test_no_memory_for_the_environment),
    };

    if (strcmp(argv[0], "title-child") == 0)
        return child_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
