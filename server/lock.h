/* lock - one server per directory.
 *
 * A lock is an open file with flock(2) on it and the holder's pid in it; it ends with the process,
 * however that ends. Roles do not inherit it. Supervisor only.
 */
#ifndef SERVER_LOCK_H
#define SERVER_LOCK_H

#include <sys/types.h>

/* Makes the directory (mode as given) and its missing parents (0755). 0; -ENOTDIR; -EPERM when it
 * exists and others may write to it; -errno. */
int lock_directory(const char *path, mode_t mode);

/* 0 and the descriptor (owned by the caller, close-on-exec); -EALREADY when another process holds
 * it: then *ret_holder is its pid, or 0 when it has not written it yet; -errno. The file is made
 * 0644 where it is missing. */
int lock_take(const char *path, int *ret_fd, pid_t *ret_holder);

#endif
