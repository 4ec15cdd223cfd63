/* hello_harness - a hello over socketpairs, with protocols that only keep what they are handed.
 *
 * It defines what protocol.h promises, so that the linker takes these instead of protocol.c. The
 * clock is the test's. Listener 0 is in clear text, listener 1 speaks TLS.
 */
#ifndef TESTS_UNIT_WORKER_HELLO_HARNESS_H
#define TESTS_UNIT_WORKER_HELLO_HARNESS_H

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/worker/tls_peer.h"
#include "worker/accept.h"
#include "worker/hello.h"
#include "worker/worker.h"

#define CLEAR 0 /* listeners */
#define TLS 1
#define CONNECTIONS 400

/* --- protocols that only take --- */

static struct {
    size_t n;
    enum protocol protocol;
    struct wire wire;
    char remote[32];
    bool http2; /* is it spoken? */
    bool full;  /* refuses what it is handed */
} P;

bool protocol_spoken(enum protocol p)
{
    return p == PROTOCOL_HTTP1 || P.http2;
}

const char *protocol_name(enum protocol p)
{
    return p == PROTOCOL_HTTP1 ? "http/1.1" : "h2";
}

size_t protocol_connections(const struct worker *worker)
{
    (void)worker;
    return P.n;
}

int protocol_accept(struct worker *worker, enum protocol p, struct wire wire, const char *remote)
{
    (void)worker;
    assert_int_equal(P.n, 0);
    P.n++;
    P.protocol = p;
    P.wire = wire;
    snprintf(P.remote, sizeof(P.remote), "%s", remote);
    if (!P.full)
        return 0;
    wire_close(&P.wire);
    return -ENOMEM;
}

/* --- the server --- */

static const char *const names[] = {"DNS:a.test"};
static struct conf_listen listens[2];
static struct conf conf;
static struct metric_block *metrics;
static struct worker w;
static int board_fd;
static uint64_t now_ms;

static uint64_t test_now(void *arg)
{
    (void)arg;
    return now_ms;
}

MAKER_UNUSED static int up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    log_init(LOG_ERROR, 2, "test", -1);
    memset(&P, 0, sizeof(P));
    P.http2 = true;
    P.wire.fd = -1;
    now_ms = 1000;
    conf = (struct conf){.listens = listens,
                         .nlistens = 2,
                         .connections = CONNECTIONS,
                         .undecided = 25,
                         .head_timeout = 10000,
                         .handshake_timeout = 5000,
                         .ticket_rotation = 3600000};
    metrics = aligned_alloc(64, sizeof(*metrics));
    memset(metrics, 0, sizeof(*metrics));
    w = (struct worker){.conf = &conf, .metrics = metrics, .heritage = {.nworkers = 1}};
    w.base = event_base_new();
    board_fd = board_create(1, &w.board);
    peer_tickets(w.board, 100);
    return hello_open(&w, test_now, NULL, &w.hello);
}

MAKER_UNUSED static int down(void **state)
{
    (void)state;
    hello_close(w.hello);
    hello_close(NULL);
    if (P.wire.fd >= 0)
        wire_close(&P.wire);
    uint64_t left = metrics->v[METRIC_CONNECTIONS];
    event_base_free(w.base);
    board_unmap(w.board);
    close(board_fd);
    free(metrics);
    return left != 0;
}

MAKER_UNUSED static int listen_up(void **state)
{
    (void)state;
    peer_listen(&listens[TLS], names, 1);
    return 0;
}

MAKER_UNUSED static int listen_down(void **state)
{
    (void)state;
    peer_unlisten(&listens[TLS]);
    return 0;
}

MAKER_UNUSED static void turn(void)
{
    event_base_loop(w.base, EVLOOP_NONBLOCK);
}

/* --- clients --- */

MAKER_UNUSED static int dial(size_t listen)
{
    struct peer p;
    peer_pair(&p);
    assert_int_equal(hello_accept(w.hello, p.server, listen, "test:1"), 0);
    return p.fd;
}

MAKER_UNUSED static void say(int fd, const char *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
    turn();
}

/* What the server has sent until it closed; NULL: it has not closed. */
MAKER_UNUSED static const char *last_words(int fd)
{
    static char got[2048];
    size_t n = 0;
    ssize_t r;
    do {
        r = recv(fd, got + n, sizeof(got) - 1 - n, MSG_DONTWAIT);
        n += r > 0 ? (size_t)r : 0;
    } while (r > 0);
    got[n] = '\0';
    return r == 0 || errno == ECONNRESET ? got : NULL;
}

/* Handed on as p, and the wire gives exactly what was said. */
MAKER_UNUSED static void expect_taken(enum protocol p, const char *said, size_t n)
{
    char got[256];
    assert_int_equal(P.n, 1);
    assert_int_equal(P.protocol, p);
    assert_string_equal(P.remote, "test:1");
    size_t have = 0;
    while (have < n) {
        ssize_t r = wire_read(&P.wire, got + have, sizeof(got) - have);
        assert_true(r > 0);
        have += (size_t)r;
    }
    assert_int_equal(have, n);
    assert_memory_equal(got, said, n);
    wire_close(&P.wire);
    P.n = 0;
}

MAKER_UNUSED static void expect_tls(enum protocol p, const char *version, struct peer *peer)
{
    char got[64];
    assert_int_equal(P.n, 1);
    assert_int_equal(P.protocol, p);
    assert_string_equal(wire_version(&P.wire), version);
    assert_int_equal(SSL_write(peer->ssl, "hello", 5), 5);
    assert_int_equal(wire_read(&P.wire, got, sizeof(got)), 5);
    wire_close(&P.wire);
    P.n = 0;
}

MAKER_UNUSED static struct peer dial_tls(const struct peer_wishes *wishes)
{
    struct peer p = peer_open(wishes);
    assert_int_equal(hello_accept(w.hello, p.server, TLS, "test:1"), 0);
    p.server = -1;
    return p;
}

#endif
