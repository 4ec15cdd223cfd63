/* ws_harness - WebSockets over socketpairs, clear and TLS, with a small application.
 *
 * The application echoes each message in a frame of the same kind; its words are in the text:
 * "pause" pauses its own connection, "end" ends it with WS_GOING_AWAY, "quiet..." is not answered.
 * All it is told is noted. The clock is the test's; a turn runs until nothing moves.
 */
#ifndef TESTS_UNIT_WORKER_WS_HARNESS_H
#define TESTS_UNIT_WORKER_WS_HARNESS_H

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

#include "common/log.h"
#include "tests/unit/worker/tls_peer.h"
#include "worker/worker.h"
#include "worker/ws.h"
#include "worker/ws_frame.h"

#define WS_UNUSED __attribute__((unused))
#define WS_CLIENTS 8
#define FIN 0x80
#define HEARTBEAT_MS 10000
#define FRAME_LIMIT 4096

struct client {
    int fd;        /* our end; -1: closed */
    struct peer p; /* TLS */
    bool tls;
    struct buf got; /* all that came, the 101 taken off */
    bool eof;
    /* what the application was told */
    struct ws *ws; /* NULL: before on_open, after on_closed */
    size_t opened, closed, messages, rooms, alives;
    enum metric why;
    struct buf heard; /* messages, a line each */
};

static struct {
    struct worker w;
    struct conf conf;
    struct conf_listen listen;
    struct tls *tls;
    struct board *board;
    int board_fd;
    uint64_t now_ms;
    struct client c[WS_CLIENTS];
} W;

static uint64_t harness_now(void *arg)
{
    (void)arg;
    return W.now_ms;
}

/* --- the application --- */

static void on_open(void *arg, struct ws *ws)
{
    struct client *c = arg;
    c->ws = ws;
    c->opened++;
}

static void say(struct ws *ws, enum ws_opcode opcode, struct str text)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    size_t begin = ws_frame_begin(&b);
    buf_append_str(&b, text);
    ws_write(ws, ws_frame_end(&b, begin, opcode));
    buf_free(&b);
}

static void on_message(void *arg, bool binary, struct str message)
{
    struct client *c = arg;
    c->messages++;
    buf_append_str(&c->heard, message);
    buf_append_c(&c->heard, '\n');
    if (str_is(message, "pause"))
        ws_pause(c->ws, true);
    else if (str_is(message, "end"))
        ws_end(c->ws, WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED);
    if (message.n < 5 || memcmp(message.p, "quiet", 5) != 0)
        say(c->ws, binary ? WS_BINARY : WS_TEXT, message);
}

static void on_room(void *arg)
{
    ((struct client *)arg)->rooms++;
}

static void on_alive(void *arg)
{
    ((struct client *)arg)->alives++;
}

static void on_closed(void *arg, enum metric why)
{
    struct client *c = arg;
    c->ws = NULL;
    c->closed++;
    c->why = why;
}

static const struct ws_ops ws_ops = {on_open, on_message, on_room, on_alive, on_closed};

/* --- the client --- */

static ssize_t client_recv(struct client *c, char *p, size_t n)
{
    if (!c->tls)
        return recv(c->fd, p, n, MSG_DONTWAIT);
    ERR_clear_error();
    int got = SSL_read(c->p.ssl, p, (int)n);
    if (got > 0)
        return got;
    return SSL_get_error(c->p.ssl, got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

WS_UNUSED static size_t client_read(struct client *c)
{
    static char bytes[65536];
    size_t all = 0;
    while (c->fd >= 0 && !c->eof) {
        ssize_t n = client_recv(c, bytes, sizeof(bytes));
        if (n == 0)
            c->eof = true;
        if (n <= 0)
            break;
        buf_append(&c->got, bytes, (size_t)n);
        all += (size_t)n;
    }
    return all;
}

/* The server does all it can; no client reads. */
WS_UNUSED static void turn_unread(void)
{
    uint64_t before, after;
    bool more;
    do {
        before = W.w.metrics->v[METRIC_BYTES_IN] + W.w.metrics->v[METRIC_BYTES_OUT];
        event_base_loop(W.w.base, EVLOOP_NONBLOCK);
        more = ws_proceed(W.w.ws);
        after = W.w.metrics->v[METRIC_BYTES_IN] + W.w.metrics->v[METRIC_BYTES_OUT];
    } while (more || before != after);
}

/* Until nothing has moved a few times: parts of a TLS record move without being seen. */
WS_UNUSED static void turn(void)
{
    for (int idle = 0; idle < 4; idle++) {
        turn_unread();
        for (size_t i = 0; i < WS_CLIENTS; i++) {
            if (client_read(&W.c[i]))
                idle = -1;
        }
    }
}

WS_UNUSED static void send_raw(struct client *c, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t done = c->tls ? SSL_write(c->p.ssl, at, (int)n)
                              : send(c->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done <= 0)
            return; /* closed by the server: the test looks at what it said */
        at += done;
        n -= (size_t)done;
        turn_unread();
    }
}

/* A masked frame, its first byte given; the length in as many bytes as it needs. */
WS_UNUSED static size_t make_frame(unsigned first, const void *p, size_t n, unsigned char *ret)
{
    static const unsigned char mask[4] = {0x11, 0x9c, 0x00, 0xe7};
    size_t at = 0;
    ret[at++] = (unsigned char)first;
    if (n < 126) {
        ret[at++] = (unsigned char)(0x80 | n);
    } else if (n <= 65535) {
        ret[at++] = 0x80 | 126;
        ret[at++] = (unsigned char)(n >> 8);
        ret[at++] = (unsigned char)n;
    } else {
        ret[at++] = 0x80 | 127;
        for (int i = 7; i >= 0; i--)
            ret[at++] = (unsigned char)((uint64_t)n >> (8 * i));
    }
    memcpy(ret + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < n; i++)
        ret[at + i] = ((const unsigned char *)p)[i] ^ mask[i & 3];
    return at + n;
}

WS_UNUSED static void send_frame(struct client *c, unsigned first, const void *p, size_t n)
{
    unsigned char *frame = malloc(n + 16);
    if (!frame)
        abort();
    send_raw(c, frame, make_frame(first, p, n, frame));
    free(frame);
    turn();
}

WS_UNUSED static void send_message(struct client *c, const char *text)
{
    send_frame(c, FIN | WS_TEXT, text, strlen(text));
}

/* The next frame that came: its first byte, or 0. The payload is valid until the next call. */
WS_UNUSED static unsigned next_frame(struct client *c, struct str *ret)
{
    static struct buf payload = {.max = 1 << 24};
    const unsigned char *p = c->got.data;
    size_t n = c->got.len, head = 2;
    if (n < 2)
        return 0;
    size_t len = p[1] & 0x7f;
    if (len == 126 && n >= 4) {
        len = (size_t)p[2] << 8 | p[3];
        head = 4;
    } else if (len == 127 && n >= 10) {
        len = 0;
        for (int i = 2; i < 10; i++)
            len = len << 8 | p[i];
        head = 10;
    }
    if (n < head + len)
        return 0;
    unsigned first = p[0];
    buf_free(&payload);
    buf_append(&payload, p + head, len);
    buf_consume(&c->got, head + len);
    *ret = buf_str(&payload);
    return first;
}

WS_UNUSED static void expect_frame(struct client *c, unsigned first, const void *p, size_t n)
{
    struct str got = {0};
    assert_int_equal(next_frame(c, &got), first);
    assert_int_equal(got.n, n);
    if (n)
        assert_memory_equal(got.p, p, n);
}

WS_UNUSED static void expect_text(struct client *c, const char *text)
{
    expect_frame(c, FIN | WS_TEXT, text, strlen(text));
}

/* A close frame with this code comes, and nothing after it. */
WS_UNUSED static void expect_close(struct client *c, unsigned code)
{
    unsigned char bytes[2] = {(unsigned char)(code >> 8), (unsigned char)code};
    expect_frame(c, FIN | WS_CLOSE, bytes, code ? 2 : 0);
    assert_int_equal(c->got.len, 0);
}

WS_UNUSED static void send_close(struct client *c, unsigned code)
{
    unsigned char bytes[2] = {(unsigned char)(code >> 8), (unsigned char)code};
    send_frame(c, FIN | WS_CLOSE, bytes, code ? 2 : 0);
}

WS_UNUSED static void expect_closed(struct client *c, enum metric why)
{
    assert_int_equal(c->closed, 1);
    assert_int_equal(c->why, why);
    assert_true(c->eof);
}

WS_UNUSED static void pass_ms(uint64_t ms)
{
    W.now_ms += ms;
    ws_tick(W.w.ws);
    turn();
}

/* --- connections --- */

static const struct ws_handshake harness_handshake = {
    .key = {"dGhlIHNhbXBsZSBub25jZQ==", 24},
    .protocol = "restante.v1.json",
    .request_id = "id-1",
};

WS_UNUSED static struct client *fresh_client(size_t i)
{
    struct client *c = &W.c[i];
    buf_free(&c->got);
    buf_free(&c->heard); /* it may have been heard after it was closed */
    *c = (struct client){.fd = -1};
    buf_init(&c->got, 1 << 24);
    buf_init(&c->heard, 1 << 24);
    return c;
}

/* Both ends are made; the server's is returned as a wire. */
WS_UNUSED static struct wire client_wire(struct client *c, bool tls)
{
    c->tls = tls;
    if (!tls) {
        peer_pair(&c->p);
        c->fd = c->p.fd;
        int server = c->p.server;
        c->p = (struct peer){.fd = -1, .server = -1};
        return wire_clear(server);
    }
    enum tls_fault f;
    c->p = peer_open(&(struct peer_wishes){.alpn = "\x08http/1.1"});
    c->fd = c->p.fd;
    int server = c->p.server;
    c->p.server = -1;
    struct ssl_st *ssl = tls_begin(W.tls, server);
    if (!ssl || peer_shake(&c->p, ssl, &f) != TLS_DONE)
        abort();
    return wire_tls(server, ssl);
}

WS_UNUSED static int try_connect(struct client *c, bool tls)
{
    struct wire wire = client_wire(c, tls);
    return ws_accept(W.w.ws, wire, "test:1", &harness_handshake, &ws_ops, c);
}

static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\n";

/* Connected, and the 101 is taken off. */
WS_UNUSED static struct client *connect_client(size_t i, bool tls)
{
    struct client *c = fresh_client(i);
    assert_int_equal(try_connect(c, tls), 0);
    turn();
    assert_int_equal(c->opened, 1);
    buf_append_c(&c->got, '\0');
    const char *end = strstr((const char *)c->got.data, "\r\n\r\n");
    assert_non_null(end);
    assert_memory_equal(c->got.data, switching, sizeof(switching) - 1);
    c->got.len--;
    buf_consume(&c->got, (size_t)(end + 4 - (const char *)c->got.data));
    return c;
}

WS_UNUSED static void close_client(struct client *c)
{
    if (c->tls)
        peer_close(&c->p);
    else if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->tls = false;
    buf_free(&c->got);
    buf_free(&c->heard);
}

WS_UNUSED static uint64_t metric_of(enum metric m)
{
    return W.w.metrics->v[m];
}

WS_UNUSED static const char *heard_of(struct client *c)
{
    buf_append_c(&c->heard, '\0');
    c->heard.len--;
    return (const char *)c->heard.data;
}

/* --- the server --- */

WS_UNUSED static int ws_up(void **state)
{
    (void)state;
    static const char *const names[] = {"DNS:test"};
    memset(&W, 0, sizeof(W));
    signal(SIGPIPE, SIG_IGN);
    log_init(LOG_ERROR, 2, "test", -1);
    W.now_ms = 1000000;
    W.conf.limit_frame = FRAME_LIMIT;
    W.conf.limit_bodies = 1 << 20;
    W.conf.server_heartbeat = HEARTBEAT_MS;
    W.w.conf = &W.conf;
    W.w.metrics = aligned_alloc(64, sizeof(*W.w.metrics));
    if (!W.w.metrics)
        return -1;
    memset(W.w.metrics, 0, sizeof(*W.w.metrics));
    for (size_t i = 0; i < WS_CLIENTS; i++)
        fresh_client(i);
    peer_listen(&W.listen, names, 1);
    W.board_fd = board_create(1, &W.board);
    peer_tickets(W.board, 100);
    W.w.base = event_base_new();
    if (!W.w.base || tls_open(&W.listen, W.board, 3600, &W.tls) < 0)
        return -1;
    return ws_open(&W.w, harness_now, NULL, &W.w.ws);
}

WS_UNUSED static int ws_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < WS_CLIENTS; i++)
        close_client(&W.c[i]);
    turn_unread();
    ws_close_all(W.w.ws);
    for (size_t i = 0; i < WS_CLIENTS; i++)
        fresh_client(i);
    event_base_free(W.w.base);
    tls_close(W.tls);
    peer_unlisten(&W.listen);
    board_unmap(W.board);
    close(W.board_fd);
    int left = (int)(metric_of(METRIC_CONNECTIONS) + metric_of(METRIC_SOCKETS) + W.w.bodies);
    free(W.w.metrics);
    return left;
}

#endif
