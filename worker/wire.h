/* wire - the bytes of one connection, in clear text or through TLS.
 *
 * A protocol (h1, h2) owns the wire it was handed and closes it; it never asks which kind it is.
 * All calls are non-blocking. Level-triggered events on `fd` tell when to try again, with one
 * exception: a wire may hold bytes, or the end, that no event will announce (wire_pending). So
 * whoever is handed a wire reads it at once, and whoever begins to read again after a pause asks
 * first. Worker process, which ignores SIGPIPE.
 */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* RFC 9113 section 3.4: what every HTTP/2 connection begins with. */
#define WIRE_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define WIRE_PREFACE_LEN (sizeof(WIRE_PREFACE) - 1)

struct ssl_st; /* OpenSSL's SSL; only wire.c and tls*.c look inside */

struct wire {
    int fd;              /* non-blocking socket */
    bool again;          /* the next read finds something without any event */
    unsigned char early; /* bytes of WIRE_PREFACE that were taken from the socket already */
    struct ssl_st *ssl;  /* NULL: clear text; else its handshake is complete */
};

struct wire wire_clear(int fd);
struct wire wire_tls(int fd, struct ssl_st *ssl); /* handshake complete; owns both */

/* Bytes read (> 0); 0 the peer has closed its sending side (TLS: close_notify or EOF); -EAGAIN none
 * now; another -errno: the connection is broken (-EPROTO: TLS). n: at least WIRE_PREFACE_LEN. */
ssize_t wire_read(struct wire *w, void *p, size_t n);
/* Bytes taken (> 0), fewer than given if the kernel has no room; -EAGAIN; -errno. TLS joins small
 * parts into one record. After -EAGAIN the next call must begin with the same bytes, wherever they
 * lie now, and offer at least as many. */
ssize_t wire_write(struct wire *w, const struct iovec *parts, int n);
/* More can be read without waiting for an event. */
bool wire_pending(const struct wire *w);
/* "TLSv1.3", or NULL in clear text; static. */
const char *wire_version(const struct wire *w);
/* No more is sent; what comes can still be read. 0 or -errno. */
int wire_shutdown(struct wire *w);
void wire_close(struct wire *w); /* frees and closes; the wire is dead */

#endif
