/* wire - the bytes of one connection, in clear text or through TLS.
 *
 * A protocol (h1, h2) owns the wire it was handed and closes it; it never asks which kind it is.
 * All calls are non-blocking. Level-triggered events on `fd` tell when to try again, with one
 * exception: TLS may hold bytes that no event will announce (wire_pending). Worker process.
 */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_st; /* OpenSSL's SSL; only wire.c and tls.c look inside */

struct wire {
    int fd;             /* non-blocking socket */
    struct ssl_st *ssl; /* NULL: clear text; else its handshake is complete */
};

/* Bytes read (> 0); 0 the peer has closed its sending side (TLS: close_notify or EOF); -EAGAIN none
 * now; another -errno: the connection is broken (-EPROTO: TLS). */
ssize_t wire_read(struct wire *w, void *p, size_t n);
/* Bytes taken (> 0), fewer than given if the kernel has no room; -EAGAIN; -errno. At most a few
 * parts; TLS joins small ones into one record. */
ssize_t wire_write(struct wire *w, const struct iovec *parts, int n);
/* More can be read without waiting for an event. */
bool wire_pending(const struct wire *w);
/* No more is sent; what comes can still be read. 0 or -errno. */
int wire_shutdown(struct wire *w);
void wire_close(struct wire *w); /* frees and closes; the wire is dead */

#endif
