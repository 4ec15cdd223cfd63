/* failing_disk - the disk under a program's LMDB: its steps are counted while it is armed, and from
 * `fail_at` on `fail_times` of them fail. */
#ifndef TESTS_FAILING_DISK_H
#define TESTS_FAILING_DISK_H

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static bool armed;
static unsigned steps, fail_at, fail_times;
static int fail_with;

static bool fails(void)
{
    if (!armed)
        return false;
    steps++;
    if (steps < fail_at || steps >= fail_at + fail_times)
        return false;
    errno = fail_with;
    return true;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at);
int fdatasync(int fd);

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    return fails() ? -1 : syscall(SYS_writev, fd, iov, n);
}

int fdatasync(int fd)
{
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static void arm(unsigned at, unsigned times, int with)
{
    armed = true;
    steps = 0;
    fail_at = at;
    fail_times = times;
    fail_with = with;
}

#endif
