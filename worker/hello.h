/* hello - a connection from accept until it is known what it speaks; then a protocol has it.
 *
 * On a listener in clear text the first bytes tell: WIRE_PREFACE is HTTP/2 by prior knowledge (RFC
 * 9113 section 3.3), a TLS record (0x16) is closed, anything else is HTTP/1, which answers for
 * itself. On a TLS listener a connection is handshaken first and ALPN tells (RFC 7301; none is
 * HTTP/1.1); clear text gets a 400 and is closed.
 *
 * A peer that says nothing, or says it slowly, costs no time and little memory: deadlines are
 * absolute (from accept: limits.head_timeout for first bytes, limits.handshake_timeout for TLS),
 * and at most limits.undecided per cent of this worker's connections (HELLO_LEAST, if that is more)
 * are here; past that the one that has waited longest goes, so that silent peers cannot keep others
 * out. Worker process.
 */
#ifndef WORKER_HELLO_H
#define WORKER_HELLO_H

#include <stddef.h>
#include <stdint.h>

#define HELLO_LEAST 16 /* connections that may always be here */

struct worker;
struct hello;

/* now_ms: boot clock; NULL: the real one. Needs w->conf with its certificates, w->board with its
 * ticket keys, w->base. 0, -ENOMEM, or -EINVAL of tls_open. */
int hello_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct hello **ret);
void hello_close(struct hello *s); /* and every connection that is here; NULL is fine */

/* Takes a connected, non-blocking descriptor; whatever happens, it is closed by somebody. listen:
 * index into conf->listens. remote: text for logs, copied. 0 or -ENOMEM. */
int hello_accept(struct hello *s, int fd, size_t listen, const char *remote);

void hello_tick(struct hello *s); /* deadlines; about every WHEEL_STEP_MS */
/* From now on: who has said nothing yet is closed, the others may go on to their protocol. */
void hello_drain(struct hello *s);
size_t hello_connections(const struct hello *s);

#endif
