/* hello: every way a connection can begin, in every piece; deadlines, the ceiling, draining.
 *
 * The protocols are the test's: what they are handed is kept. The clock is the test's too.
 */
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

static int up(void **state)
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

static int down(void **state)
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

static int listen_up(void **state)
{
    (void)state;
    peer_listen(&listens[TLS], names, 1);
    return 0;
}

static int listen_down(void **state)
{
    (void)state;
    peer_unlisten(&listens[TLS]);
    return 0;
}

static void turn(void)
{
    event_base_loop(w.base, EVLOOP_NONBLOCK);
}

/* --- clients --- */

static int dial(size_t listen)
{
    struct peer p;
    peer_pair(&p);
    assert_int_equal(hello_accept(w.hello, p.server, listen, "test:1"), 0);
    return p.fd;
}

static void say(int fd, const char *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
    turn();
}

/* What the server has sent until it closed; NULL: it has not closed. */
static const char *last_words(int fd)
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
static void expect_taken(enum protocol p, const char *said, size_t n)
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

/* --- first bytes in clear text --- */

static const char h2[] = WIRE_PREFACE "settings";

static void test_preface_whole_and_in_two(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(h2) - 1; cut++) {
        int fd = dial(CLEAR);
        if (cut)
            say(fd, h2, cut);
        assert_int_equal(P.n, cut >= WIRE_PREFACE_LEN);
        say(fd, h2 + cut, sizeof(h2) - 1 - cut);
        expect_taken(PROTOCOL_HTTP2, h2, sizeof(h2) - 1);
        close(fd);
    }
}

/* Nothing of it stays in the socket while more is awaited, so the loop sleeps. */
static void test_preface_byte_by_byte_keeps_nobody_awake(void **state)
{
    (void)state;
    struct peer p;
    peer_pair(&p);
    assert_int_equal(hello_accept(w.hello, p.server, CLEAR, "test:1"), 0);
    for (size_t i = 0; i < WIRE_PREFACE_LEN; i++) {
        struct pollfd ready = {.fd = p.server, .events = POLLIN};
        assert_int_equal(P.n, 0);
        assert_int_equal(poll(&ready, 1, 0), 0);
        say(p.fd, h2 + i, 1);
    }
    expect_taken(PROTOCOL_HTTP2, h2, WIRE_PREFACE_LEN);
    close(p.fd);
}

static void test_almost_the_preface(void **state)
{
    (void)state;
    for (size_t same = 0; same < WIRE_PREFACE_LEN; same++) {
        for (size_t cut = 0; cut <= same; cut++) {
            char said[WIRE_PREFACE_LEN + 1];
            memcpy(said, WIRE_PREFACE, sizeof(said));
            said[same] ^= 0x20;
            int fd = dial(CLEAR);
            if (cut)
                say(fd, said, cut);
            say(fd, said + cut, WIRE_PREFACE_LEN - cut);
            expect_taken(PROTOCOL_HTTP1, said, WIRE_PREFACE_LEN);
            close(fd);
        }
    }
}

static void test_http1_at_its_first_byte(void **state)
{
    (void)state;
    int fd = dial(CLEAR);
    say(fd, "G", 1);
    expect_taken(PROTOCOL_HTTP1, "G", 1);
    close(fd);
}

static void test_preface_where_http2_is_not_spoken(void **state)
{
    (void)state;
    P.http2 = false;
    int fd = dial(CLEAR);
    say(fd, h2, 3);
    expect_taken(PROTOCOL_HTTP1, h2, 3);
    close(fd);
}

static void test_what_was_sent_before_accept_counts(void **state)
{
    (void)state;
    struct peer p;
    peer_pair(&p);
    assert_int_equal(send(p.fd, "GET", 3, 0), 3);
    assert_int_equal(hello_accept(w.hello, p.server, CLEAR, "test:1"), 0);
    expect_taken(PROTOCOL_HTTP1, "GET", 3); /* without a turn of the loop */
    close(p.fd);
}

static void test_tls_on_a_clear_listener(void **state)
{
    (void)state;
    int fd = dial(CLEAR);
    say(fd, "\x16\x03\x01\x00\xa5\x01", 6);
    assert_string_equal(last_words(fd), "");
    assert_int_equal(metrics->v[METRIC_CLOSED_PROTOCOL], 1);
    close(fd);
    /* Only at the beginning: behind a part of the preface it is HTTP/1's to refuse. */
    fd = dial(CLEAR);
    say(fd, "PRI\x16", 3);
    say(fd, "\x16", 1);
    expect_taken(PROTOCOL_HTTP1, "PRI\x16", 4);
    close(fd);
}

static void test_peer_leaves(void **state)
{
    (void)state;
    static const size_t listeners[] = {CLEAR, CLEAR, TLS, TLS};
    static const char *const said[] = {"", "PRI", "", "\x16\x03"};
    for (size_t i = 0; i < 4; i++) {
        int fd = dial(listeners[i]);
        if (said[i][0])
            say(fd, said[i], strlen(said[i]));
        assert_int_equal(hello_connections(w.hello), 1);
        close(fd);
        turn();
        assert_int_equal(hello_connections(w.hello), 0);
    }
    assert_int_equal(metrics->v[METRIC_TLS_FAILED_GONE], 1);
}

/* --- TLS --- */

static void expect_tls(enum protocol p, const char *version, struct peer *peer)
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

static struct peer dial_tls(const struct peer_wishes *wishes)
{
    struct peer p = peer_open(wishes);
    assert_int_equal(hello_accept(w.hello, p.server, TLS, "test:1"), 0);
    p.server = -1;
    return p;
}

static void test_handshake(void **state)
{
    (void)state;
    static const struct {
        struct peer_wishes wishes;
        enum protocol p;
        const char *version;
        enum metric metric;
    } rows[] = {
        {{.version = TLS1_3_VERSION, .alpn = "\x02h2\x08http/1.1"},
         PROTOCOL_HTTP2,
         "TLSv1.3",
         METRIC_TLS13_FULL},
        {{.version = TLS1_2_VERSION, .alpn = "\x02h2"},
         PROTOCOL_HTTP2,
         "TLSv1.2",
         METRIC_TLS12_FULL},
        {{.version = TLS1_3_VERSION, .alpn = "\x08http/1.1"},
         PROTOCOL_HTTP1,
         "TLSv1.3",
         METRIC_TLS13_FULL},
        {{.version = TLS1_2_VERSION}, PROTOCOL_HTTP1, "TLSv1.2", METRIC_TLS12_FULL},
    };
    for (size_t i = 0; i < 4; i++) {
        struct peer p = dial_tls(&rows[i].wishes);
        uint64_t before = metrics->v[rows[i].metric];
        for (int k = 0; k < 4; k++) {
            SSL_do_handshake(p.ssl);
            turn();
        }
        assert_int_equal(metrics->v[rows[i].metric], before + 1);
        expect_tls(rows[i].p, rows[i].version, &p);
        peer_close(&p);
    }
}

/* The client's bytes come one by one, with the loop asleep between them, and its request in the
 * same breath as the end of its handshake. */
static void test_handshake_byte_by_byte(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct peer p = dial_tls(&(struct peer_wishes){.version = versions[i]});
        int mine[2];
        char bytes[4096], got[64];
        bool asked = false;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, mine), 0);
        SSL_set_wfd(p.ssl, mine[0]);
        for (int k = 0; k < 6 && P.n == 0; k++) {
            if (SSL_do_handshake(p.ssl) == 1 && !asked) {
                assert_int_equal(SSL_write(p.ssl, "GET", 3), 3);
                asked = true;
            }
            ssize_t n = read(mine[1], bytes, sizeof(bytes));
            for (ssize_t at = 0; at < n; at++) {
                assert_int_equal(send(p.fd, bytes + at, 1, 0), 1);
                if (P.n == 0)
                    turn();
            }
        }
        assert_int_equal(P.n, 1);
        if (!asked) {
            SSL_do_handshake(p.ssl);
            SSL_set_wfd(p.ssl, p.fd);
            assert_int_equal(SSL_write(p.ssl, "GET", 3), 3);
        }
        assert_int_equal(wire_read(&P.wire, got, sizeof(got)), 3);
        wire_close(&P.wire);
        P.n = 0;
        close(mine[0]);
        close(mine[1]);
        peer_close(&p);
    }
}

static void test_clear_text_on_a_tls_listener(void **state)
{
    (void)state;
    int fd = dial(TLS);
    say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27);
    const char *said = last_words(fd);
    assert_non_null(said);
    assert_memory_equal(said, "HTTP/1.1 400 ", 13);
    assert_non_null(strstr(said, "Content-Type: application/problem+json\r\n"));
    assert_non_null(strstr(said, "\"code\":\"bad_request\""));
    assert_non_null(strstr(said, "https"));
    assert_null(strstr(said, "Retry-After"));
    assert_int_equal(metrics->v[METRIC_TLS_FAILED_CLEAR], 1);
    assert_int_equal(P.n, 0);
    close(fd);
}

static void test_failed_handshake(void **state)
{
    (void)state;
    struct peer p = dial_tls(&(struct peer_wishes){.alpn = "\x03xyz"});
    SSL_do_handshake(p.ssl);
    turn();
    assert_int_equal(SSL_do_handshake(p.ssl), -1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    assert_int_equal(metrics->v[METRIC_TLS_FAILED_ALPN], 1);
    assert_int_equal(hello_connections(w.hello), 0);
    peer_close(&p);
}

/* --- time --- */

/* Absolute: what trickles in does not put it off. */
static void test_deadlines(void **state)
{
    (void)state;
    static const struct {
        size_t listen;
        const char *said;
        uint64_t patience;
    } rows[] = {
        {CLEAR, WIRE_PREFACE, 10000},
        {TLS, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03xxxxxxxxxxxxxxxxxxxx", 5000},
    };
    for (size_t i = 0; i < 2; i++) {
        int fd = dial(rows[i].listen);
        for (uint64_t at = 500; at < rows[i].patience; at += 500) {
            say(fd, rows[i].said + at / 500 - 1, 1);
            now_ms += 500;
            hello_tick(w.hello);
            assert_int_equal(hello_connections(w.hello), 1);
        }
        now_ms += 600;
        hello_tick(w.hello);
        assert_int_equal(hello_connections(w.hello), 0);
        assert_string_equal(last_words(fd), "");
        assert_int_equal(metrics->v[METRIC_CLOSED_TIMEOUT], i + 1);
        close(fd);
    }
    assert_int_equal(metrics->v[METRIC_TLS_FAILED_TIMEOUT], 1);
}

/* --- how many --- */

static void test_the_oldest_goes(void **state)
{
    (void)state;
    size_t most = CONNECTIONS * conf.undecided / 100;
    int fds[CONNECTIONS];
    for (size_t i = 0; i < most; i++)
        fds[i] = dial(CLEAR);
    assert_int_equal(hello_connections(w.hello), most);
    assert_null(last_words(fds[0]));
    /* One that has said what it speaks is no longer counted, wherever it stands. */
    say(fds[1], "G", 1);
    expect_taken(PROTOCOL_HTTP1, "G", 1);
    int late = dial(CLEAR);
    assert_int_equal(metrics->v[METRIC_REFUSED_UNDECIDED], 0);

    int later = dial(TLS);
    const char *said = last_words(fds[0]);
    assert_non_null(said);
    assert_memory_equal(said, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(said, "limits.undecided"));
    assert_non_null(strstr(said, "Retry-After: 1\r\n"));
    assert_int_equal(metrics->v[METRIC_REFUSED_UNDECIDED], 1);
    assert_int_equal(hello_connections(w.hello), most);
    assert_null(last_words(fds[2]));
    /* The newcomers are served. */
    say(late, "G", 1);
    expect_taken(PROTOCOL_HTTP1, "G", 1);
    close(late);
    close(later);
    for (size_t i = 0; i < most; i++)
        close(fds[i]);
}

/* Nobody may have had a look at what the oldest has said. */
static void test_the_oldest_is_looked_at_before_it_goes(void **state)
{
    (void)state;
    size_t most = CONNECTIONS * conf.undecided / 100;
    int fds[CONNECTIONS];
    for (size_t i = 0; i < most; i++)
        fds[i] = dial(CLEAR);
    assert_int_equal(send(fds[0], "G", 1, 0), 1);
    fds[most] = dial(CLEAR);
    expect_taken(PROTOCOL_HTTP1, "G", 1);
    assert_int_equal(metrics->v[METRIC_REFUSED_UNDECIDED], 0);
    for (size_t i = 0; i <= most; i++)
        close(fds[i]);
}

/* Nothing is said to one that expects TLS. */
static void test_the_oldest_of_tls_goes(void **state)
{
    (void)state;
    size_t most = CONNECTIONS * conf.undecided / 100;
    int fds[CONNECTIONS];
    for (size_t i = 0; i <= most; i++)
        fds[i] = dial(TLS);
    assert_string_equal(last_words(fds[0]), "");
    assert_int_equal(metrics->v[METRIC_REFUSED_UNDECIDED], 1);
    for (size_t i = 0; i <= most; i++)
        close(fds[i]);
}

static void test_a_few_may_always_be_here(void **state)
{
    (void)state;
    int fds[HELLO_LEAST];
    hello_close(w.hello);
    conf.connections = 4;
    assert_int_equal(hello_open(&w, test_now, NULL, &w.hello), 0);
    for (size_t i = 0; i < HELLO_LEAST; i++)
        fds[i] = dial(CLEAR);
    assert_int_equal(metrics->v[METRIC_REFUSED_UNDECIDED], 0);
    for (size_t i = 0; i < HELLO_LEAST; i++)
        close(fds[i]);
}

/* --- the end --- */

static void test_drain(void **state)
{
    (void)state;
    int silent = dial(CLEAR), silent_tls = dial(TLS), begun = dial(CLEAR), said = dial(CLEAR);
    struct peer p = dial_tls(&(struct peer_wishes){.version = TLS1_3_VERSION});
    say(begun, "PRI", 3);
    SSL_do_handshake(p.ssl);
    turn();
    assert_int_equal(send(said, "GET", 3, 0), 3); /* and no turn: it is found by draining */
    hello_drain(w.hello);
    assert_string_equal(last_words(silent), "");
    assert_string_equal(last_words(silent_tls), "");
    expect_taken(PROTOCOL_HTTP1, "GET", 3);
    /* Those in the middle may come to their end. */
    SSL_do_handshake(p.ssl);
    turn();
    expect_tls(PROTOCOL_HTTP1, "TLSv1.3", &p);
    say(begun, WIRE_PREFACE + 3, WIRE_PREFACE_LEN - 3);
    expect_taken(PROTOCOL_HTTP2, WIRE_PREFACE, WIRE_PREFACE_LEN);
    assert_int_equal(hello_connections(w.hello), 0);
    close(silent);
    close(silent_tls);
    close(begun);
    close(said);
    peer_close(&p);
}

static void test_closing_closes_all(void **state)
{
    (void)state;
    int fd = dial(CLEAR);
    struct peer p = dial_tls(&(struct peer_wishes){0});
    SSL_do_handshake(p.ssl);
    turn();
    hello_close(w.hello);
    w.hello = NULL;
    assert_string_equal(last_words(fd), "");
    assert_int_equal(metrics->v[METRIC_CONNECTIONS], 0);
    close(fd);
    peer_close(&p);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct peer p;
    peer_pair(&p);
    failmalloc_arm(1);
    int r = hello_accept(w.hello, p.server, CLEAR, "test:1");
    assert_true(failmalloc_disarm());
    assert_int_equal(r, -ENOMEM);
    assert_string_equal(last_words(p.fd), "");
    assert_int_equal(metrics->v[METRIC_REFUSED_FDS], 1);
    close(p.fd);

    P.full = true;
    int fd = dial(CLEAR);
    say(fd, "G", 1);
    assert_string_equal(last_words(fd), "");
    assert_int_equal(metrics->v[METRIC_REFUSED_FDS], 2);
    P.n = 0;
    close(fd);

    struct hello *s = (void *)&s;
    failmalloc_arm(1);
    r = hello_open(&w, test_now, NULL, &s);
    assert_true(failmalloc_disarm());
    assert_int_equal(r, -ENOMEM);
    failmalloc_arm(2);
    r = hello_open(&w, test_now, NULL, &s);
    assert_true(failmalloc_disarm());
    assert_int_equal(r, -ENOMEM);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(test_preface_whole_and_in_two),
        T(test_preface_byte_by_byte_keeps_nobody_awake),
        T(test_almost_the_preface),
        T(test_http1_at_its_first_byte),
        T(test_preface_where_http2_is_not_spoken),
        T(test_what_was_sent_before_accept_counts),
        T(test_tls_on_a_clear_listener),
        T(test_peer_leaves),
        T(test_handshake),
        T(test_handshake_byte_by_byte),
        T(test_clear_text_on_a_tls_listener),
        T(test_failed_handshake),
        T(test_deadlines),
        T(test_the_oldest_goes),
        T(test_the_oldest_is_looked_at_before_it_goes),
        T(test_the_oldest_of_tls_goes),
        T(test_a_few_may_always_be_here),
        T(test_drain),
        T(test_closing_closes_all),
        T(test_without_memory),
    };
    return cmocka_run_group_tests(tests, listen_up, listen_down);
}
