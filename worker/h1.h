/* h1 - HTTP/1.1 and HTTP/1.0 connections (RFC 9110, RFC 9112) over exchange.h.
 *
 * One h1_server per worker, on the worker's event base; it owns its connections and their wires.
 * Promises to peers:
 * - Pipelined requests are answered strictly in order; up to limits.pipeline of them are in flight,
 *   then the connection is not read until one is answered. A parked request in front does not stop
 *   those behind it from being read and worked on.
 * - A peer that closes its sending side still gets the answers of complete requests that finish by
 *   themselves. A request that waits for an event (exchange_park), and a stream, end as gone.
 * - After a fault (h1_fault_table.h) the problem document is the last answer; what still comes is
 *   read and dropped for a moment, so that the peer can read it, then the connection is closed.
 * - A refused body of at most H1_DISCARD_MAX known bytes is read and dropped, and the connection
 * lives on; before a larger or unknown one it is closed.
 * - Deadlines are absolute: head_timeout from the first byte of a header section (from h1_accept
 * for the first), body_timeout for a body, idle_timeout between requests; write_timeout since the
 * peer last took a byte. An unfinished request is answered 408; idle connections close silently.
 * - Output: reading pauses while more than H1_OUT_HIGH bytes wait for the peer.
 * Worker process; nothing here blocks.
 */
#ifndef WORKER_H1_H
#define WORKER_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/wire.h"

#define H1_DISCARD_MAX                                                                             \
    (64u << 10)                  /* bytes of a refused body that are read to keep a connection     \
                                  */
#define H1_DROP_MAX (256u << 10) /* bytes dropped after the last request */
#define H1_LINGER_MS 2000        /* how long a closing connection is still read */
#define H1_PROBE_MS 1000         /* how often an unread connection is asked whether it lives */
#define H1_OUT_HIGH (64u << 10)  /* bytes of output beyond which nothing more is taken in */
#define H1_COPY_MAX (16u << 10)  /* answers up to here are sent together with their head */
#define H1_READ_SIZE (64u << 10) /* bytes of one read; one buffer per worker */

struct worker;
struct h1_server;

/* now_ms: boot clock; NULL: the real one. 0 or -ENOMEM. */
int h1_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct h1_server **ret);
void h1_close(struct h1_server *s); /* every connection ends; open requests end as gone */

/* Takes a wire and reads it at once; it is closed with the connection, and on failure too. remote:
 * text for logs, copied. 0 or -ENOMEM. */
int h1_accept(struct h1_server *s, struct wire wire, const char *remote);

/* Writes what was answered outside of a connection's own events, and reads what wires hold. Once
 * per turn of the loop, after everything that may answer and before sleeping. True: there is more
 * to read, call again instead of sleeping. */
bool h1_proceed(struct h1_server *s);
void h1_tick(struct h1_server *s); /* deadlines; about every WHEEL_STEP_MS */

/* From now on: idle connections close, others after the answer to what they have sent. */
void h1_drain(struct h1_server *s);
size_t h1_connections(const struct h1_server *s);

#endif
