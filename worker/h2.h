/* h2 - HTTP/2 connections (RFC 9113, RFC 7541) over exchange.h, by nghttp2.
 *
 * One h2_server per worker, on the worker's event base; it owns its connections and their wires.
 * Promises to peers:
 * - Up to limits.streams requests are in flight at once; each is answered when it is ready. What
 *   many streams have to say leaves in one write, and their bodies take turns.
 * - A window of zero, of a stream or of the connection, holds that one only. What we take in is
 *   bounded by the windows we open: a request body by H2_STREAM_WINDOW, the connection by
 *   H2_CONNECTION_WINDOW.
 * - A fault in a request (h1_fault_table.h, or RFC 9113's own) costs its stream; a fault in the
 *   connection, or abuse (h2_limits.h), ends it with GOAWAY.
 * - A peer that closes its sending side, or resets a stream, gets no more answers: it is gone.
 * - Deadlines are absolute: head_timeout for the preface and for a header section, body_timeout for
 *   a body, idle_timeout without any stream; write_timeout while output waits and the peer takes
 *   none of it: neither from the kernel nor, by its windows, from us. With streams, a silent
 *   peer is asked by PING every limits.ping and closed when it does not answer within another.
 * - Draining is GOAWAY in two steps (RFC 9113 6.8): streams that were begun are answered.
 * Neither server push nor RFC 8441 is offered. Worker process; nothing here blocks.
 */
#ifndef WORKER_H2_H
#define WORKER_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/wire.h"

#define H2_STREAM_WINDOW (64u << 10)    /* bytes of a request's body that may be under way */
#define H2_CONNECTION_WINDOW (1u << 20) /* and of all requests of a connection together */
#define H2_OUT_HIGH (64u << 10)         /* bytes of output beyond which nothing more is made */
#define H2_STREAM_HIGH (64u << 10)      /* bytes of a stream beyond which its writer waits */
#define H2_READ_SIZE (64u << 10)        /* bytes of one read; one buffer per worker */
#define H2_LINGER_MS 2000               /* how long a closing connection is still read */
#define H2_DROP_MAX (256u << 10)        /* bytes read and dropped meanwhile */
#define H2_NOTICE_MS 1000               /* longest wait between the two GOAWAYs of a drain */

struct worker;
struct h2_server;

/* now_ms: boot clock; NULL: the real one. 0 or -ENOMEM. */
int h2_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct h2_server **ret);
void h2_close(struct h2_server *s); /* every connection ends; open requests end as gone */

/* Takes a wire and reads it at once, the client's preface first; it is closed with the connection,
 * and on failure too. remote: text for logs, copied. 0 or -ENOMEM. */
int h2_accept(struct h2_server *s, struct wire wire, const char *remote);

/* Writes what was answered outside of a connection's own events, and reads what wires hold. Once
 * per turn of the loop, after everything that may answer and before sleeping. True: there is more
 * to read, call again instead of sleeping. */
bool h2_proceed(struct h2_server *s);
void h2_tick(struct h2_server *s); /* deadlines; about every WHEEL_STEP_MS */

/* From now on: idle connections close, others after the answers to what they have sent. */
void h2_drain(struct h2_server *s);
size_t h2_connections(const struct h2_server *s);

#endif
