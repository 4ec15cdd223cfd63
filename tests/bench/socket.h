/* socket - WebSockets as the load programs hold them: a handshake, TLS where it is wanted, and
 * frames that are counted, not looked at.
 */
#ifndef TESTS_BENCH_SOCKET_H
#define TESTS_BENCH_SOCKET_H

#include "tests/bench/bench.h"

#include <openssl/ssl.h>

#define SOCKET_READ (256 * 1024)

struct socket {
    int fd;
    SSL *tls; /* NULL: clear */
    uint8_t head[4];
    unsigned head_len, head_want;
    uint64_t left;   /* payload bytes of the frame that is arriving */
    uint64_t frames; /* text and binary ones, whole */
    bool data;       /* the frame that is arriving is one */
};

static inline SSL_CTX *socket_tls(void)
{
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    if (!c)
        die("SSL_CTX_new");
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    return c;
}

/* Bytes, 0 when there are none now; ends the program when the connection is gone. */
static inline size_t socket_read(struct socket *s, void *to, size_t n)
{
    if (s->tls) {
        int got = SSL_read(s->tls, to, (int)n);
        if (got > 0)
            return (size_t)got;
        int why = SSL_get_error(s->tls, got);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
            return 0;
        die("SSL_read");
    }
    ssize_t got = recv(s->fd, to, n, 0);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got == 0)
        errno = ECONNRESET;
    if (got <= 0)
        die("recv");
    return (size_t)got;
}

static inline void socket_write(struct socket *s, const void *from, size_t n)
{
    ssize_t put = s->tls ? SSL_write(s->tls, from, (int)n) : send(s->fd, from, n, MSG_NOSIGNAL);
    if (put != (ssize_t)n)
        die("write");
}

/* Counts the frames of n bytes as a server sends them: never masked, of less than 64 KiB. Returns
 * how many data frames became whole. */
static inline uint64_t socket_feed(struct socket *s, const uint8_t *p, size_t n)
{
    uint64_t before = s->frames;
    for (const uint8_t *end = p + n; p < end;) {
        if (s->left) {
            uint64_t take = s->left < (uint64_t)(end - p) ? s->left : (uint64_t)(end - p);
            s->left -= take;
            p += take;
            s->frames += s->left == 0 && s->data;
            continue;
        }
        if (s->head_len == 0)
            s->head_want = 2;
        s->head[s->head_len++] = *p++;
        if (s->head_len == 2 && (s->head[1] & 0x7f) == 126)
            s->head_want = 4;
        if (s->head_len < s->head_want)
            continue;
        unsigned opcode = s->head[0] & 0x0f, length = s->head[1] & 0x7f;
        if (length == 127 || opcode == 8)
            die("a frame that is too large, or a close");
        s->left = length == 126 ? (uint64_t)(s->head[2] << 8 | s->head[3]) : length;
        s->data = opcode == 1 || opcode == 2;
        s->frames += s->left == 0 && s->data;
        s->head_len = 0;
    }
    return s->frames - before;
}

/* Upgrades a blocking connection and waits for the first frame, hello, which is not counted. query:
 * session=... and what else is wanted. */
static inline void socket_upgrade(struct socket *s, int fd, SSL_CTX *tls, const char *query,
                                  const char *key, const char *protocol)
{
    char in[8192], text[1024];
    *s = (struct socket){.fd = fd};
    if (tls) {
        s->tls = SSL_new(tls);
        if (!s->tls || SSL_set_fd(s->tls, s->fd) != 1 || SSL_connect(s->tls) != 1)
            die("SSL_connect");
    }
    int n = snprintf(text, sizeof(text),
                     "GET /v1/socket?%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Protocol: %s\r\nAuthorization: Bearer %s\r\n\r\n",
                     query, protocol, key);
    socket_write(s, text, (size_t)n);
    size_t len = 0;
    char *end = NULL;
    while (!end) {
        if (len == sizeof(in) - 1)
            die("an answer's head is too long");
        len += socket_read(s, in + len, sizeof(in) - 1 - len);
        in[len] = '\0';
        end = strstr(in, "\r\n\r\n");
    }
    if (strncmp(in, "HTTP/1.1 101", 12) != 0)
        die(in);
    socket_feed(s, (uint8_t *)end + 4, (size_t)(in + len - end - 4));
    while (s->frames == 0)
        socket_feed(s, (uint8_t *)in, socket_read(s, in, sizeof(in)));
    s->frames = 0;
}

#endif
