/* heritage - all that a role inherits from the supervisor, in one struct.
 *
 * It travels as a memfd on descriptor HERITAGE_FD across exec; every descriptor not named in it is
 * closed in the child. The receiver owns the descriptors named in it.
 */
#ifndef SHM_HERITAGE_H
#define SHM_HERITAGE_H

#include "shm/board.h"

#include <limits.h>

#define HERITAGE_FD 3
#define HERITAGE_LISTENS 32

enum role { ROLE_SUPERVISOR, ROLE_WORKER, ROLE_WRITER };

struct heritage {
    uint64_t layout; /* board_layout() */
    uint32_t role;
    uint32_t slot; /* worker: its slot; else the seat */
    uint32_t generation;
    uint32_t nworkers;
    int32_t board_fd;
    int32_t rings_fd;
    int32_t feed_fd;   /* read-only for workers */
    int32_t config_fd; /* memfd: the bytes of the configuration that was validated */
    int32_t life_fd;   /* read end of the supervisor's pipe: EOF = the supervisor is gone */
    int32_t bell_fd[BOARD_SEATS]; /* eventfds; -1 unused */
    int32_t nlistens;
    int32_t listen_fd[HERITAGE_LISTENS];    /* worker: its own SO_REUSEPORT sockets */
    int32_t listen_index[HERITAGE_LISTENS]; /* into conf->listens */
    int32_t log_fd;
    char config_path[PATH_MAX];
};

/* Child, after exec: reads it from HERITAGE_FD and closes that. 0, -EPROTO, -errno. */
int heritage_receive(struct heritage *ret);
/* Supervisor: a memfd with the struct. fd or -errno. */
int heritage_pack(const struct heritage *h);

#endif
