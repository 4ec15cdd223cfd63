/* admin - the admin socket, run_dir/admin.sock (0600): one line in, one JSON line out, closed.
 *
 *   status   the board's status document
 *   rotate   new session-token key, {"rotated":true,"key":<id>}
 *
 * Anything else: {"error":"...","commands":["status","rotate"]}. Only the server's own user and
 * root are answered (SO_PEERCRED). Bounded in everything: ADMIN_CONNECTIONS at a time (more wait in
 * the kernel's queue), ADMIN_LINE bytes in, ADMIN_ANSWER bytes out, ADMIN_MS each. Supervisor only.
 */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "common/buf.h"

#include <poll.h>
#include <stdint.h>

#define ADMIN_SOCKET "admin.sock"
#define ADMIN_CONNECTIONS 8
#define ADMIN_LINE 64
#define ADMIN_ANSWER (256 * 1024)
#define ADMIN_MS 5000

struct admin_connection {
    int fd; /* -1: free */
    uint64_t deadline_ms;
    char line[ADMIN_LINE];
    size_t line_len;
    struct buf answer; /* empty until the line is complete */
    size_t sent;
};

struct admin {
    int listen_fd; /* -1: not open */
    int dir_fd;    /* run_dir */
    struct admin_connection connection[ADMIN_CONNECTIONS];
};

struct supervisor;

void admin_init(struct admin *a); /* nothing open */
/* Binds the socket in run_dir, replacing what a killed server left (the caller holds the lock of
 * run_dir). The path may be longer than a socket address: then it is bound through /proc/self/fd.
 * 0 or -errno. */
int admin_open(struct admin *a, const char *run_dir);
void admin_close(struct admin *a); /* and removes the socket */

/* What poll is to wait for: at most 1 + ADMIN_CONNECTIONS entries. */
size_t admin_poll(const struct admin *a, struct pollfd *ret);
/* Each turn: accepts, reads, answers, closes; nothing blocks. */
void admin_proceed(struct supervisor *s);
/* When the next connection is overdue, in boot ms; UINT64_MAX: none. */
uint64_t admin_due_ms(const struct admin *a);

#endif
