/* wire - one connection's bytes: the socket itself, or OpenSSL over it.
 *
 * TLS writes are joined into records of up to 16 KiB, so that a head and its body leave in one
 * packet. Renegotiation is off and TLS 1.3 key updates are answered by OpenSSL inside the next
 * call, so reading waits for readability only and writing for room only.
 */
#include "worker/wire.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

#define RECORD_MAX 16384 /* plain bytes of one TLS record */

static ssize_t tls_result(struct wire *w, int n)
{
    int err = errno;
    switch (SSL_get_error(w->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return err ? -err : -EPROTO; /* none: a connection that was broken before */
    default:
        return -EPROTO;
    }
}

static int at_most_int(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

struct wire wire_clear(int fd)
{
    return (struct wire){.fd = fd};
}

struct wire wire_tls(int fd, struct ssl_st *ssl)
{
    return (struct wire){.fd = fd, .ssl = ssl, .again = SSL_has_pending(ssl)};
}

/* --- reading --- */

static ssize_t clear_read(struct wire *w, char *p, size_t n)
{
    size_t early = w->early;
    must(early <= n);
    memcpy(p, WIRE_PREFACE, early);
    w->early = 0;
    ssize_t got = recv(w->fd, p + early, n - early, MSG_DONTWAIT);
    if (got >= 0)
        return got + (ssize_t)early;
    if (early) /* a broken socket stays readable: the failure is met again */
        return (ssize_t)early;
    return errno == EINTR ? -EAGAIN : -errno;
}

/* Record after record, until the buffer is full or OpenSSL holds nothing: so one recv(2) serves
 * several records, and the usual single one costs no second recv(2). What OpenSSL holds may be less
 * than a record; only a read that says so tells. */
static ssize_t tls_read(struct wire *w, char *p, size_t n)
{
    size_t have = 0;
    do {
        ERR_clear_error();
        errno = 0;
        int got = SSL_read(w->ssl, p + have, at_most_int(n - have));
        if (got <= 0) {
            ssize_t why = tls_result(w, got);
            w->again = have && why != -EAGAIN; /* the same end is met by the next call */
            return have ? (ssize_t)have : why;
        }
        have += (size_t)got;
        w->again = SSL_has_pending(w->ssl);
    } while (w->again && have < n);
    return (ssize_t)have;
}

ssize_t wire_read(struct wire *w, void *p, size_t n)
{
    return w->ssl ? tls_read(w, p, n) : clear_read(w, p, n);
}

bool wire_pending(const struct wire *w)
{
    return w->again || w->early;
}

/* --- writing --- */

static ssize_t tls_write_one(struct wire *w, const void *p, size_t n)
{
    ERR_clear_error();
    errno = 0;
    int done = SSL_write(w->ssl, p, at_most_int(n));
    if (done > 0)
        return done;
    ssize_t err = tls_result(w, done);
    return err == 0 ? -EPIPE : err;
}

static ssize_t tls_write(struct wire *w, const struct iovec *parts, int n)
{
    char joined[RECORD_MAX];
    ssize_t all = 0;
    for (int i = 0; i < n;) {
        const void *p = parts[i].iov_base;
        size_t len = parts[i].iov_len;
        if (len < RECORD_MAX && i + 1 < n) {
            /* The first record takes what fits of the parts behind it as well. */
            len = 0;
            for (int k = i; k < n && len < RECORD_MAX; k++) {
                size_t room = RECORD_MAX - len;
                size_t take = parts[k].iov_len < room ? parts[k].iov_len : room;
                memcpy(joined + len, parts[k].iov_base, take);
                len += take;
            }
            p = joined;
        }
        if (len == 0)
            return all;
        ssize_t done = tls_write_one(w, p, len);
        if (done < 0)
            return all ? all : done;
        all += done;
        if ((size_t)done < len || p == joined)
            return all; /* the caller comes again with the rest */
        i++;
    }
    return all;
}

ssize_t wire_write(struct wire *w, const struct iovec *parts, int n)
{
    if (w->ssl)
        return tls_write(w, parts, n);
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)n};
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    /* One part needs no vector, which the kernel would copy and check. */
    ssize_t done = n == 1 ? send(w->fd, parts[0].iov_base, parts[0].iov_len, flags)
                          : sendmsg(w->fd, &m, flags);
    if (done >= 0)
        return done;
    return errno == EINTR ? -EAGAIN : -errno;
}

const char *wire_version(const struct wire *w)
{
    return w->ssl ? SSL_get_version(w->ssl) : NULL;
}

/* --- the end --- */

int wire_shutdown(struct wire *w)
{
    if (w->ssl) {
        ERR_clear_error();
        int done = SSL_shutdown(w->ssl);
        if (done < 0 && tls_result(w, done) == -EPROTO)
            return -EPROTO;
    }
    return shutdown(w->fd, SHUT_WR) < 0 ? -errno : 0;
}

void wire_close(struct wire *w)
{
    if (w->ssl) {
        /* One try at close_notify: a peer that knows the end from a cut keeps its session ticket.
         */
        ERR_clear_error();
        SSL_shutdown(w->ssl);
        SSL_free(w->ssl);
        w->ssl = NULL;
    }
    close(w->fd);
    w->fd = -1;
}
