/* tls_ticket: a ticket of one worker resumes at another, until the keys have moved on. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/worker/tls_peer.h"

static const char *const names[] = {"DNS:a.test", "DNS:b.test"};

static struct conf_listen conf;
static struct board *board;
static int board_fd;
static struct tls *one, *other; /* two workers of one server */

static int up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    log_init(LOG_ERROR, 2, "test", -1);
    peer_listen(&conf, names, 2);
    board_fd = board_create(1, &board);
    peer_tickets(board, 100);
    return tls_open(&conf, board, 7200, &one) || tls_open(&conf, board, 7200, &other);
}

static int down(void **state)
{
    (void)state;
    tls_close(one);
    tls_close(other);
    peer_unlisten(&conf);
    board_unmap(board);
    close(board_fd);
    return 0;
}

/* One connection to a worker; the session it leaves with, and whether it was resumed. */
static SSL_SESSION *visit(struct tls *worker, struct peer_wishes w, bool *ret_resumed)
{
    struct peer p = peer_open(&w);
    struct ssl_st *s = tls_begin(worker, p.server);
    enum tls_fault f;
    assert_int_equal(peer_shake(&p, s, &f), TLS_DONE);
    *ret_resumed = tls_metric(s) == METRIC_TLS13_RESUMED || tls_metric(s) == METRIC_TLS12_RESUMED;
    assert_int_equal(SSL_session_reused(p.ssl), *ret_resumed);
    SSL_SESSION *left = SSL_get1_session(p.ssl);
    SSL_set_shutdown(p.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    tls_end(s);
    peer_close(&p);
    return left;
}

static bool resumes(struct tls *worker, struct peer_wishes w)
{
    bool resumed;
    SSL_SESSION_free(visit(worker, w, &resumed));
    return resumed;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void test_another_worker_resumes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bool resumed;
        struct peer_wishes w = {.version = versions[i], .host = "a.test"};
        SSL_SESSION *s = visit(one, w, &resumed);
        assert_false(resumed);
        assert_int_equal(SSL_SESSION_has_ticket(s), 1);
        w.session = s;
        assert_true(resumes(other, w));
        assert_true(resumes(one, w));
        SSL_SESSION_free(s);
    }
}

/* Rotation keeps what was sealed for two more periods, and such a ticket is replaced when used. */
static void test_rotation(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bool resumed;
        struct peer_wishes w = {.version = versions[i], .host = "a.test"};
        peer_tickets(board, 10);
        SSL_SESSION *first = visit(one, w, &resumed);
        w.session = first;
        peer_tickets(board, 11);
        assert_true(resumes(other, w));
        peer_tickets(board, 12);
        SSL_SESSION *second = visit(other, w, &resumed);
        assert_true(resumed);
        peer_tickets(board, 13);
        assert_false(resumes(one, w));
        w.session = second; /* sealed anew by key 12 */
        assert_true(resumes(one, w));
        peer_tickets(board, 14);
        assert_true(resumes(one, w));
        peer_tickets(board, 15);
        assert_false(resumes(one, w));
        SSL_SESSION_free(first);
        SSL_SESSION_free(second);
    }
}

/* The certificate of a name is chosen inside the handshake, after the ticket was looked at. */
static void test_every_name_resumes(void **state)
{
    (void)state;
    static const char *const hosts[] = {"a.test", "b.test", "unknown.test", NULL};
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < 4; i++) {
            bool resumed;
            struct peer_wishes w = {.version = versions[v], .host = hosts[i]};
            SSL_SESSION *s = visit(one, w, &resumed);
            w.session = s;
            assert_true(resumes(other, w));
            SSL_SESSION_free(s);
        }
    }
}

static void test_a_forged_ticket_is_a_full_handshake(void **state)
{
    (void)state;
    bool resumed;
    struct peer_wishes w = {.version = TLS1_2_VERSION};
    SSL_SESSION *s = visit(one, w, &resumed);
    const unsigned char *ticket;
    size_t n;
    SSL_SESSION_get0_ticket(s, &ticket, &n);
    assert_true(n > 64);
    unsigned char *der = NULL;
    int len = i2d_SSL_SESSION(s, &der);
    assert_true(len > 0);
    unsigned char *at = memmem(der, (size_t)len, ticket, n);
    assert_non_null(at);
    at[n / 2] ^= 1;
    const unsigned char *from = der;
    SSL_SESSION *forged = d2i_SSL_SESSION(NULL, &from, len);
    w.session = forged;
    assert_false(resumes(one, w));
    SSL_SESSION_free(forged);
    SSL_SESSION_free(s);
    OPENSSL_free(der);
}

static void test_lifetime(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bool resumed;
        SSL_SESSION *s = visit(one, (struct peer_wishes){.version = versions[i]}, &resumed);
        assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(s), 7200);
        SSL_SESSION_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_another_worker_resumes, up, down),
        cmocka_unit_test_setup_teardown(test_rotation, up, down),
        cmocka_unit_test_setup_teardown(test_every_name_resumes, up, down),
        cmocka_unit_test_setup_teardown(test_a_forged_ticket_is_a_full_handshake, up, down),
        cmocka_unit_test_setup_teardown(test_lifetime, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
