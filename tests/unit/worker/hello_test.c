/* hello: every way a connection in clear text can begin, in every piece; deadlines, the ceiling,
 * draining. */
#include "tests/unit/worker/hello_harness.h"

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
