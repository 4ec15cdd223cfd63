/* lock - see lock.h. The file's presence says nothing, only the flock does, so nothing is ever
 * stale after a crash. Between open and flock the file may be removed by a server that is leaving
 * (it removes its pid file); the lock is worth something only on the file that the path names.
 */
#include "server/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ids.h"

static int parents_make(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);

    if (n == 0)
        return -ENOENT;
    if (n >= sizeof(part))
        return -ENAMETOOLONG;
    memcpy(part, path, n + 1);
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/')
            continue;
        part[i] = 0;
        if (mkdir(part, 0755) && errno != EEXIST)
            return -errno;
        part[i] = '/';
    }
    return 0;
}

static pid_t holder_read(int fd)
{
    char text[24];
    uint64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof(text), 0);

    while (n > 0 && text[n - 1] == '\n')
        n--;
    if (n <= 0 || u64_parse(str_make(text, (size_t)n), &pid) || pid > INT_MAX)
        return 0;
    return (pid_t)pid;
}

static int holder_write(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0))
        return -errno;
    ssize_t done = pwrite(fd, text, (size_t)n, 0);
    if (done < 0)
        return -errno;
    return done == n ? 0 : -ENOSPC;
}

/* Is fd still the file that path names? */
static bool is_current(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int lock_directory(const char *path, mode_t mode)
{
    struct stat st;
    int rc = parents_make(path);

    if (rc)
        return rc;
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) ? -errno : 0; /* whatever the umask says */
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st))
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return st.st_mode & S_IWOTH ? -EPERM : 0;
}

int lock_take(const char *path, int *ret_fd, pid_t *ret_holder)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        int rc = 0;

        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB)) {
            rc = errno == EWOULDBLOCK ? -EALREADY : -errno;
            if (rc == -EALREADY)
                *ret_holder = holder_read(fd);
        } else if (!is_current(fd, path)) {
            (void)close(fd);
            continue;
        } else {
            rc = holder_write(fd);
        }
        if (rc) {
            (void)close(fd);
            return rc;
        }
        *ret_fd = fd;
        return 0;
    }
}
