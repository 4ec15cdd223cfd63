/* listen - the listening sockets, made once and kept open by the supervisor.
 *
 * Owner: the supervisor, from before the first worker to after the last one. So a connection that
 * the kernel has queued survives the death of the worker it was queued for, and its successor
 * accepts it. TCP: one SO_REUSEPORT socket per worker slot, so that workers do not compete for
 * accepts. Unix: one socket, shared. All are non-blocking and close-on-exec.
 */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include "common/address.h"
#include "common/conf.h"
#include "shm/heritage.h"

#include <sys/types.h>

#define LISTEN_TEXT 64 /* "[<IPv6>]:65535" and NUL */

struct listener {
    const char *written;    /* as configured; borrowed from the conf */
    struct address address; /* path borrowed from the conf; port: the real one, also for ":0" */
    uint32_t nfds;          /* TCP: one per slot, in slot order; unix: 1 */
    int fd[BOARD_WORKERS];
    dev_t dev; /* unix: which file is ours to remove */
    ino_t ino;
};

struct listens {
    size_t n;
    struct listener of[HERITAGE_LISTENS];
};

/* Binds everything. 0; -EADDRINUSE (another server, or a unix path that is answered or is no
 * socket); -E2BIG more than HERITAGE_LISTENS; -errno. What failed is logged, and nothing stays
 * open. */
int listen_open(const struct conf *conf, uint32_t nworkers, struct listens *ret);
void listen_close(struct listens *l);                      /* closes; removes our unix paths */
int listen_fd_of(const struct listener *l, uint32_t slot); /* the one that slot accepts from */
/* "127.0.0.1:8080" with the real port; unix: "unix:/path" as configured. Returns ret or written. */
const char *listen_text(const struct listener *l, char ret[LISTEN_TEXT]);

#endif
