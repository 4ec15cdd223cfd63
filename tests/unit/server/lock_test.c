/* lock: directories, holders, and files that vanish. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/str.h"
#include "server/lock.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/restante-lock-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static const char *in(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void test_a_directory_is_made_with_its_parents_and_mode(void **state)
{
    struct stat st;

    (void)state;
    mode_t was = umask(0777);
    int rc = lock_directory(in("a"), 0700);
    umask(was);
    assert_int_equal(rc, 0);
    assert_int_equal(lock_directory(in("a/b/c"), 0700), 0);
    assert_int_equal(stat(in("a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(lock_directory(in("a/b/c"), 0700), 0); /* it may exist */
    assert_int_equal(stat(in("a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777 & 022, 0);
    rmdir(in("a/b/c"));
    rmdir(in("a/b"));
    rmdir(in("a"));
}

static void test_unfit_directories_are_refused(void **state)
{
    char deep[5000];

    (void)state;
    mkdir(in("open"), 0700);
    chmod(in("open"), 0777);
    assert_int_equal(lock_directory(in("open"), 0700), -EPERM);
    rmdir(in("open"));
    close(open(in("file"), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(lock_directory(in("file"), 0700), -ENOTDIR);
    assert_int_equal(lock_directory(in("file/below"), 0700), -ENOTDIR);
    unlink(in("file"));
    assert_int_equal(lock_directory("", 0700), -ENOENT);
    memset(deep, 'x', sizeof(deep));
    deep[0] = '/';
    deep[sizeof(deep) - 1] = 0;
    assert_int_equal(lock_directory(deep, 0700), -ENAMETOOLONG);
}

static void test_a_second_holder_is_refused_and_told_who_holds(void **state)
{
    int ready[2], done[2], fd = -1;
    pid_t holder = 0;
    char c;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(done[1]);
        int rc = lock_take(in("lock"), &fd, &holder);
        if (rc || write(ready[1], "x", 1) != 1 || read(done[0], &c, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(done[0]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(lock_take(in("lock"), &fd, &holder), -EALREADY);
    assert_int_equal(holder, pid);
    assert_int_equal(fd, -1);
    close(done[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(lock_take(in("lock"), &fd, &holder), 0); /* its end was the end of the lock */
    close(fd);
    close(ready[0]);
    close(ready[1]);
    unlink(in("lock"));
}

static void test_the_pid_replaces_whatever_was_in_the_file(void **state)
{
    char text[64] = "", wanted[32];
    pid_t holder;
    int fd;

    (void)state;
    fd = open(in("lock"), O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "999999999999999999999999999\nrubbish\n", 36), 36);
    close(fd);
    assert_int_equal(lock_take(in("lock"), &fd, &holder), 0);
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    snprintf(wanted, sizeof(wanted), "%ld\n", (long)getpid());
    assert_string_equal(text, wanted);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    unlink(in("lock"));
}

static void test_a_holder_that_wrote_no_sane_pid_is_unknown(void **state)
{
    static const char *const texts[] = {"", "0x12\n", "-1\n", "99999999999\n", "12 34\n", "\n\n"};
    int a, b;
    pid_t holder;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        holder = 77;
        assert_int_equal(lock_take(in("lock"), &a, &holder), 0);
        assert_int_equal(ftruncate(a, 0), 0);
        assert_true(pwrite(a, texts[i], strlen(texts[i]), 0) >= 0);
        assert_int_equal(lock_take(in("lock"), &b, &holder), -EALREADY);
        assert_int_equal(holder, 0);
        close(a);
    }
    unlink(in("lock"));
}

static void test_a_lock_on_a_removed_file_is_worth_nothing(void **state)
{
    int a, b;
    pid_t holder;

    (void)state;
    assert_int_equal(lock_take(in("lock"), &a, &holder), 0);
    unlink(in("lock"));
    assert_int_equal(lock_take(in("lock"), &b, &holder), 0); /* another file */
    close(a);
    close(b);
    unlink(in("lock"));
}

static void test_what_cannot_be_opened(void **state)
{
    int fd;
    pid_t holder;

    (void)state;
    assert_int_equal(lock_take(in("missing/lock"), &fd, &holder), -ENOENT);
    assert_int_equal(symlink("/etc/passwd", in("lock")), 0);
    assert_int_equal(lock_take(in("lock"), &fd, &holder), -ELOOP);
    unlink(in("lock"));
    mkdir(in("lock"), 0700);
    assert_int_equal(lock_take(in("lock"), &fd, &holder), -EISDIR);
    rmdir(in("lock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_directory_is_made_with_its_parents_and_mode),
        cmocka_unit_test(test_unfit_directories_are_refused),
        cmocka_unit_test(test_a_second_holder_is_refused_and_told_who_holds),
        cmocka_unit_test(test_the_pid_replaces_whatever_was_in_the_file),
        cmocka_unit_test(test_a_holder_that_wrote_no_sane_pid_is_unknown),
        cmocka_unit_test(test_a_lock_on_a_removed_file_is_worth_nothing),
        cmocka_unit_test(test_what_cannot_be_opened),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
