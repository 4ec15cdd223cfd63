/* tls: versions, ciphers, ALPN, certificates by name, and every way a handshake can fail. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/worker/tls_peer.h"

static const char *const names[] = {
    "DNS:first.test,DNS:*.many.test",
    "DNS:second.test,DNS:exact.many.test",
    "DNS:*.many.test,DNS:*.other.test",
};

static struct conf_listen conf;
static struct board *board;
static int board_fd;
static struct tls *tls;

static int up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    log_init(LOG_ERROR, 2, "test", -1);
    peer_listen(&conf, names, 3);
    board_fd = board_create(1, &board);
    peer_tickets(board, 100);
    return tls_open(&conf, board, 3600, &tls);
}

static int down(void **state)
{
    (void)state;
    tls_close(tls);
    tls_close(NULL);
    peer_unlisten(&conf);
    board_unmap(board);
    close(board_fd);
    return 0;
}

/* --- what is agreed on --- */

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        int version;
        enum metric metric;
    } rows[] = {{TLS1_2_VERSION, METRIC_TLS12_FULL}, {TLS1_3_VERSION, METRIC_TLS13_FULL}};
    for (size_t i = 0; i < 2; i++) {
        struct peer p = peer_open(&(struct peer_wishes){.version = rows[i].version});
        struct ssl_st *s = tls_begin(tls, p.server);
        enum tls_fault f;
        assert_int_equal(peer_shake(&p, s, &f), TLS_DONE);
        assert_int_equal(tls_metric(s), rows[i].metric);
        assert_int_equal(tls_protocol(s), PROTOCOL_HTTP1);
        tls_end(s);
        peer_close(&p);
    }
}

static void test_tls12_ciphers_are_forward_secret_and_aead(void **state)
{
    (void)state;
    STACK_OF(SSL_CIPHER) * all;
    SSL *s = tls_begin(tls, -1);
    size_t n12 = 0;
    all = SSL_get_ciphers(s);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);
        assert_true(SSL_CIPHER_is_aead(c));
        if (strcmp(SSL_CIPHER_get_version(c), "TLSv1.3") == 0)
            continue;
        n12++;
        assert_int_equal(SSL_CIPHER_get_kx_nid(c), NID_kx_ecdhe);
        assert_int_not_equal(SSL_CIPHER_get_auth_nid(c), NID_auth_null);
    }
    assert_true(n12 >= 4);
    tls_end(s);
}

static void test_alpn(void **state)
{
    (void)state;
    static const struct {
        const char *offered;
        enum protocol p;
    } rows[] = {
        {"\x08http/1.1", PROTOCOL_HTTP1},
        {"\x03h2c\x08http/1.1", PROTOCOL_HTTP1},
        {"\x08http/1.0\x08http/1.1\x03xyz", PROTOCOL_HTTP1},
        {"\x02h2", PROTOCOL_HTTP2},
        {"\x08http/1.1\x02h2", PROTOCOL_HTTP2},
        {NULL, PROTOCOL_HTTP1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!protocol_spoken(rows[i].p))
            continue;
        struct peer p = peer_open(&(struct peer_wishes){.alpn = rows[i].offered});
        struct ssl_st *s = tls_begin(tls, p.server);
        enum tls_fault f;
        assert_int_equal(peer_shake(&p, s, &f), TLS_DONE);
        assert_int_equal(tls_protocol(s), rows[i].p);
        const unsigned char *got;
        unsigned n;
        SSL_get0_alpn_selected(p.ssl, &got, &n);
        assert_int_equal(n, rows[i].offered ? strlen(protocol_name(rows[i].p)) : 0);
        tls_end(s);
        peer_close(&p);
    }
}

static void test_certificate_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        size_t index;
    } rows[] = {
        {"first.test", 0},
        {"second.test", 1},
        {"SECOND.test", 1},
        {"a.many.test", 0},
        {"exact.many.test", 1},
        {"x.other.test", 2},
        {"other.test", 0},
        {"a.b.other.test", 0},
        {"unknown.test", 0},
        {"x", 0},
        {NULL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer p = peer_open(&(struct peer_wishes){.host = rows[i].host});
        struct ssl_st *s = tls_begin(tls, p.server);
        enum tls_fault f;
        assert_int_equal(peer_shake(&p, s, &f), TLS_DONE);
        X509 *shown = SSL_get1_peer_certificate(p.ssl);
        if (X509_cmp(shown, conf.certificates[rows[i].index]->leaf) != 0)
            fail_msg("%s: not certificate %zu", rows[i].host, rows[i].index);
        X509_free(shown);
        tls_end(s);
        peer_close(&p);
    }
}

/* --- what fails --- */

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        struct peer_wishes wishes;
        enum tls_fault fault;
        const char *text;
    } rows[] = {
        {{.version = TLS1_1_VERSION}, TLS_VERSION, "version"},
        {{.version = TLS1_2_VERSION, .ciphers = "AES128-SHA"}, TLS_CIPHER, "cipher"},
        {{.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA"}, TLS_CIPHER, "cipher"},
        {{.alpn = "\x03xyz"}, TLS_ALPN, "alpn"},
        {{.version = TLS1_2_VERSION, .alpn = "\x04http"}, TLS_ALPN, "alpn"},
        {{.distrusts = true}, TLS_ALERT, "alert"},
        {{.version = TLS1_2_VERSION, .distrusts = true}, TLS_ALERT, "alert"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer p = peer_open(&rows[i].wishes);
        struct ssl_st *s = tls_begin(tls, p.server);
        enum tls_fault f = TLS_FAULTS;
        assert_int_equal(peer_shake(&p, s, &f), TLS_FAILED);
        if (f != rows[i].fault)
            fail_msg("row %zu: %s", i, tls_fault_text(f));
        assert_string_equal(tls_fault_text(f), rows[i].text);
        tls_end(s);
        peer_close(&p);
    }
}

static void test_garbage(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        enum tls_fault fault;
    } rows[] = {
        {"\x16GET / HTTP/1.1\r\n\r\n", 20, TLS_GARBAGE},
        {"\x16\x03\x01\xff\xff\x01\x00\x00\x00", 9, TLS_GARBAGE},
        {"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", 10, TLS_GARBAGE},
        {"\x16\x03\x01\x00\x00", 5, TLS_GONE}, /* nothing, and the end */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer p = peer_open(&(struct peer_wishes){0});
        struct ssl_st *s = tls_begin(tls, p.server);
        assert_int_equal(write(p.fd, rows[i].bytes, rows[i].n), (ssize_t)rows[i].n);
        shutdown(p.fd, SHUT_WR);
        enum tls_fault f = TLS_FAULTS;
        assert_int_equal(tls_shake(s, &f), TLS_FAILED);
        if (f != rows[i].fault)
            fail_msg("row %zu: %s", i, tls_fault_text(f));
        assert_int_equal(ERR_peek_error(), 0); /* nothing is left for the next connection */
        tls_end(s);
        peer_close(&p);
    }
}

static void test_peer_leaves_in_the_middle(void **state)
{
    (void)state;
    struct peer p = peer_open(&(struct peer_wishes){0});
    struct ssl_st *s = tls_begin(tls, p.server);
    enum tls_fault f = TLS_FAULTS;
    assert_int_equal(tls_shake(s, &f), TLS_WANT_READ);
    SSL_do_handshake(p.ssl);
    assert_int_equal(tls_shake(s, &f), TLS_WANT_READ);
    close(p.fd);
    p.fd = -1;
    assert_int_equal(tls_shake(s, &f), TLS_FAILED);
    assert_int_equal(f, TLS_GONE);
    tls_end(s);
    peer_close(&p);
}

/* A connection that is gone before the answer is written is no reason to die. */
static void test_nobody_reads_the_answer(void **state)
{
    (void)state;
    struct peer p = peer_open(&(struct peer_wishes){0});
    struct ssl_st *s = tls_begin(tls, p.server);
    enum tls_fault f = TLS_FAULTS;
    SSL_do_handshake(p.ssl);
    close(p.fd);
    p.fd = -1;
    assert_int_equal(tls_shake(s, &f), TLS_FAILED);
    assert_int_equal(f, TLS_GONE);
    tls_end(s);
    peer_close(&p);
}

static void test_no_renegotiation(void **state)
{
    (void)state;
    struct peer p = peer_open(&(struct peer_wishes){.version = TLS1_2_VERSION});
    struct ssl_st *s = tls_begin(tls, p.server);
    enum tls_fault f;
    assert_int_equal(peer_shake(&p, s, &f), TLS_DONE);
    assert_int_equal(SSL_renegotiate(p.ssl), 1);
    SSL_do_handshake(p.ssl);
    char byte;
    assert_int_equal(SSL_read(s, &byte, 1), -1);
    SSL_do_handshake(p.ssl);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    tls_end(s);
    peer_close(&p);
}

static void test_no_early_data(void **state)
{
    (void)state;
    struct ssl_st *s = tls_begin(tls, -1);
    assert_int_equal(SSL_get_max_early_data(s), 0);
    tls_end(s);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct tls *t = (void *)&t;
    failmalloc_arm(1);
    int r = tls_open(&conf, board, 3600, &t);
    assert_true(failmalloc_disarm());
    assert_int_equal(r, -ENOMEM);
    assert_ptr_equal(t, &t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_tls12_ciphers_are_forward_secret_and_aead),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_certificate_by_name),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_peer_leaves_in_the_middle),
        cmocka_unit_test(test_nobody_reads_the_answer),
        cmocka_unit_test(test_no_renegotiation),
        cmocka_unit_test(test_no_early_data),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, up, down);
}
