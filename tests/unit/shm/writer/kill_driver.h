/* kill_driver - a writer that dies at any step, in a child, and whoever comes after it.
 *
 * Included by the test program itself: it brings the writer's sources along, with kill points.
 */
#ifndef TESTS_KILL_DRIVER_H
#define TESTS_KILL_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The sources of the writer, with our own kill points in them. */
static void pass(const char *name);
#define KILLPOINT(name) pass(name)
#include "shm/writer/apply.c"
#include "shm/writer/apply_append.c"
#include "shm/writer/apply_attach.c"
#include "shm/writer/apply_session.c"
#include "shm/writer/apply_topic.c"
#include "shm/writer/batch.c"
#include "shm/writer/known.c"
#include "shm/writer/prepare.c"
#include "shm/writer/presence.c"
#include "shm/writer/presence_diff.c"
#include "shm/writer/recover.c"
#include "shm/writer/storetime.c"
#include "shm/writer/sweep.c"

#include "kill_work.h"

#include "common/digest.h"

#define DIED 77

static unsigned passes, die_at;
static bool armed;
static bool disk_fills; /* after the writer's recovery, in its child */
static bool disk_full;
static void (*go_on)(struct writer *); /* after the commands, in its child; NULL: that was all */

static bool full(void)
{
    errno = ENOSPC;
    return disk_full;
}

static void pass(const char *name)
{
    (void)name;
    if (armed && ++passes == die_at)
        _exit(DIED);
}

/* LMDB's writes are steps too: before and after each. */
static ssize_t counted_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (full())
        return -1;
    pass("before pwrite");
    ssize_t done = syscall(SYS_pwrite64, fd, p, n, at);
    pass("after pwrite");
    return done;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return counted_pwrite(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return counted_pwrite(fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    if (full())
        return -1;
    pass("before writev");
    ssize_t done = syscall(SYS_writev, fd, iov, n);
    pass("after writev");
    return done;
}

/* A writer in a child that dies at pass `at` (0: never). The child's exit status. */
static int run_writer(struct rig *r, unsigned at, unsigned *ret_passes)
{
    int report[2];
    assert_int_equal(pipe(report), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        passes = 0;
        die_at = at;
        armed = true;
        struct writer *w = rig_writer(r);
        disk_full = disk_fills;
        rig_run(w);
        if (go_on)
            go_on(w);
        armed = false;
        _exit(write(report[1], &passes, sizeof(passes)) == sizeof(passes) ? 0 : 1);
    }
    close(report[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    unsigned n = 0;
    if (WEXITSTATUS(status) == 0)
        assert_int_equal(read(report[0], &n, sizeof(n)), sizeof(n));
    close(report[0]);
    if (ret_passes && WEXITSTATUS(status) == 0)
        *ret_passes = n;
    return WEXITSTATUS(status);
}

static inline void die_everywhere(bool big, bool twice)
{
    unsigned total = 0, deaths = 0;
    uint8_t digest[DIGEST_SIZE];
    sha256("", 0, digest); /* once here, not in every child: the library is slow to begin */
    for (unsigned at = 0; at == 0 || at <= total; at++) {
        struct rig r;
        struct work w;
        rig_open(&r, NAMESPACE);
        put_commands(&r, &w, big);
        if (at == 0)
            assert_int_equal(run_writer(&r, 0, &total), 0);
        else {
            int status = run_writer(&r, at, NULL);
            assert_int_equal(status, DIED);
            deaths++;
            if (twice) /* and its successor dies in its recovery */
                for (unsigned again = 1; again <= 8; again++)
                    run_writer(&r, again, NULL);
            assert_int_equal(run_writer(&r, 0, NULL), 0);
        }
        check_replies(&r, &w);
        check_seqs(&w);
        check_feed(&r, &w, big);
        check_store(&r, &w);
        rig_close(&r);
    }
    assert_true(deaths > 20);
    print_message("%u deaths\n", deaths);
}

#endif
