/* hello: connections on a TLS listener, up to the protocol that ALPN names. */
#include "tests/unit/worker/hello_harness.h"

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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(test_handshake),
        T(test_handshake_byte_by_byte),
        T(test_clear_text_on_a_tls_listener),
        T(test_failed_handshake),
    };
    return cmocka_run_group_tests(tests, listen_up, listen_down);
}
