/* accept - connections in: bursts, the connection limit, and life at the descriptor limit.
 *
 * The listening sockets are the supervisor's (SO_REUSEPORT, one per worker): closing them here
 * loses nothing that the kernel has queued. A worker holds limits.connections divided by the
 * workers, rounded up; a connection beyond that gets a 503 and is closed, counted as refused by
 * limit. Without a free descriptor the oldest waiting connection is taken with a reserve descriptor
 * and closed, so that its peer knows, and accepting pauses for ACCEPT_PAUSE_MS. Worker process.
 */
#ifndef WORKER_ACCEPT_H
#define WORKER_ACCEPT_H

#include <stddef.h>

#define ACCEPT_BURST 64     /* connections taken before others have their turn */
#define ACCEPT_PAUSE_MS 100 /* rest after running out of descriptors or memory */

struct worker;
struct acceptor;

/* Listens on w->heritage.listen_fd, which it owns from here on; needs w->base, w->hello and the
 * protocols. 0 or -errno. */
int acceptor_open(struct worker *w, struct acceptor **ret);
void acceptor_close(struct acceptor *a); /* and the descriptors; a may be NULL */

/* Most connections this worker holds. */
size_t acceptor_limit(const struct worker *w);

#endif
