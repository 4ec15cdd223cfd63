/* wire: the same bytes in clear text and through TLS: pieces, ends, and what no event announces. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/worker/tls_peer.h"
#include "worker/wire.h"

#define LARGE (1 << 20)

static const char *const names[] = {"DNS:a.test"};
static struct conf_listen conf;
static struct board *board;
static int board_fd;
static struct tls *tls;
static unsigned char pattern[LARGE];

static int up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    log_init(LOG_ERROR, 2, "test", -1);
    peer_listen(&conf, names, 1);
    board_fd = board_create(1, &board);
    for (size_t i = 0; i < LARGE; i++)
        pattern[i] = (unsigned char)(i * 31 + i / 256 + i / 65536);
    return tls_open(&conf, board, 3600, &tls);
}

static int down(void **state)
{
    (void)state;
    tls_close(tls);
    peer_unlisten(&conf);
    board_unmap(board);
    close(board_fd);
    return 0;
}

/* --- one road and a client on its other end, of either kind --- */

struct road {
    struct wire wire;
    struct peer peer; /* ssl NULL: clear text */
};

static void road_open(struct road *r, int version)
{
    memset(r, 0, sizeof(*r));
    if (!version) {
        peer_pair(&r->peer);
        r->wire = wire_clear(r->peer.server);
        r->peer.server = -1;
        return;
    }
    r->peer = peer_open(&(struct peer_wishes){.version = version});
    struct ssl_st *s = tls_begin(tls, r->peer.server);
    enum tls_fault f;
    assert_int_equal(peer_shake(&r->peer, s, &f), TLS_DONE);
    r->wire = wire_tls(r->peer.server, s);
    r->peer.server = -1;
}

static void road_close(struct road *r)
{
    if (r->wire.fd >= 0)
        wire_close(&r->wire);
    peer_close(&r->peer);
}

static void say(struct road *r, const void *p, size_t n)
{
    if (r->peer.ssl)
        assert_int_equal(SSL_write(r->peer.ssl, p, (int)n), n);
    else
        assert_int_equal(send(r->peer.fd, p, n, 0), (ssize_t)n);
}

/* What the client can read now. */
static size_t hear(struct road *r, void *p, size_t n)
{
    size_t have = 0;
    while (have < n) {
        ssize_t got = r->peer.ssl ? SSL_read(r->peer.ssl, (char *)p + have, (int)(n - have))
                                  : recv(r->peer.fd, (char *)p + have, n - have, 0);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    return have;
}

static bool readable(const struct wire *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static const int kinds[] = {0, TLS1_2_VERSION, TLS1_3_VERSION};
#define EACH_KIND(i) for (size_t i = 0; i < 3; i++)

/* --- reading --- */

static void test_nothing_then_something(void **state)
{
    (void)state;
    char got[100];
    EACH_KIND(i)
    {
        struct road r;
        road_open(&r, kinds[i]);
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), -EAGAIN);
        assert_false(wire_pending(&r.wire));
        say(&r, "hello", 5);
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 5);
        assert_memory_equal(got, "hello", 5);
        assert_false(wire_pending(&r.wire));
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), -EAGAIN);
        road_close(&r);
    }
}

static void test_version(void **state)
{
    (void)state;
    static const char *const texts[] = {NULL, "TLSv1.2", "TLSv1.3"};
    EACH_KIND(i)
    {
        struct road r;
        road_open(&r, kinds[i]);
        if (texts[i])
            assert_string_equal(wire_version(&r.wire), texts[i]);
        else
            assert_null(wire_version(&r.wire));
        road_close(&r);
    }
}

/* Whoever reads while wire_pending says so, and else only when the socket is readable, gets all. */
static void test_no_byte_waits_for_an_event_that_never_comes(void **state)
{
    (void)state;
    static const size_t buffers[] = {24, 100, 16384, 20000, 65536};
    static unsigned char got[65536];
    EACH_KIND(i)
    {
        for (size_t b = 0; b < sizeof(buffers) / sizeof(buffers[0]); b++) {
            struct road r;
            road_open(&r, kinds[i]);
            say(&r, pattern, 1000);
            say(&r, pattern + 1000, 39000);
            size_t have = 0;
            while (wire_pending(&r.wire) || readable(&r.wire)) {
                ssize_t n = wire_read(&r.wire, got, buffers[b]);
                if (n == -EAGAIN)
                    continue; /* at most once: a part of a record */
                assert_true(n > 0);
                assert_memory_equal(got, pattern + have, n);
                have += (size_t)n;
            }
            assert_int_equal(have, 40000);
            road_close(&r);
        }
    }
}

static void test_several_records_are_one_read(void **state)
{
    (void)state;
    char got[100];
    EACH_KIND(i)
    {
        struct road r;
        road_open(&r, kinds[i]);
        say(&r, "one", 3);
        say(&r, "two", 3);
        say(&r, "three", 5);
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 11);
        assert_memory_equal(got, "onetwothree", 11);
        road_close(&r);
    }
}

/* A record that has come in part must not look like something to read: the loop would spin. */
static void test_a_part_of_a_record_is_not_pending(void **state)
{
    (void)state;
    for (size_t i = 1; i < 3; i++) {
        struct road r;
        char record[256], got[100];
        road_open(&r, kinds[i]);
        int mine[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, mine), 0);
        SSL_set_wfd(r.peer.ssl, mine[0]);
        say(&r, "hello", 5);
        ssize_t n = read(mine[1], record, sizeof(record));
        assert_true(n > 5);
        for (ssize_t at = 0; at < n; at++) {
            assert_int_equal(wire_read(&r.wire, got, sizeof(got)), -EAGAIN);
            assert_false(wire_pending(&r.wire));
            assert_int_equal(write(r.peer.fd, record + at, 1), 1);
        }
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 5);
        assert_false(wire_pending(&r.wire));
        close(mine[0]);
        close(mine[1]);
        road_close(&r);
    }
}

static void test_early_bytes_come_first(void **state)
{
    (void)state;
    char got[100];
    for (unsigned char early = 0; early < WIRE_PREFACE_LEN; early++) {
        struct road r;
        road_open(&r, 0);
        r.wire.early = early;
        assert_int_equal(wire_pending(&r.wire), early > 0);
        say(&r, WIRE_PREFACE + early, WIRE_PREFACE_LEN - early);
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), WIRE_PREFACE_LEN);
        assert_memory_equal(got, WIRE_PREFACE, WIRE_PREFACE_LEN);
        assert_false(wire_pending(&r.wire));
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), -EAGAIN);
        road_close(&r);
    }
    struct road r; /* and nothing behind them, or the end */
    road_open(&r, 0);
    r.wire.early = 3;
    assert_int_equal(wire_read(&r.wire, got, WIRE_PREFACE_LEN), 3);
    assert_int_equal(wire_read(&r.wire, got, WIRE_PREFACE_LEN), -EAGAIN);
    r.wire.early = 2;
    shutdown(r.peer.fd, SHUT_WR);
    assert_int_equal(wire_read(&r.wire, got, WIRE_PREFACE_LEN), 2);
    assert_int_equal(wire_read(&r.wire, got, WIRE_PREFACE_LEN), 0);
    road_close(&r);
}

/* --- ends --- */

static void test_the_peer_ends(void **state)
{
    (void)state;
    char got[100];
    EACH_KIND(i)
    {
        for (int polite = 0; polite < 2; polite++) {
            struct road r;
            road_open(&r, kinds[i]);
            say(&r, "last", 4);
            if (polite && r.peer.ssl)
                SSL_shutdown(r.peer.ssl); /* close_notify, and the socket stays open */
            else
                shutdown(r.peer.fd, SHUT_WR);
            assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 4);
            assert_true(wire_pending(&r.wire) || readable(&r.wire));
            assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 0);
            assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 0);
            /* Half-closed: our side can still answer. */
            struct iovec part = {(void *)(uintptr_t) "answer", 6};
            assert_int_equal(wire_write(&r.wire, &part, 1), 6);
            assert_int_equal(hear(&r, got, 6), 6);
            road_close(&r);
        }
    }
}

static void test_we_end(void **state)
{
    (void)state;
    char got[100];
    EACH_KIND(i)
    {
        struct road r;
        road_open(&r, kinds[i]);
        assert_int_equal(wire_shutdown(&r.wire), 0);
        assert_int_equal(hear(&r, got, sizeof(got)), 0);
        if (r.peer.ssl) /* it knows the end from a cut */
            assert_int_equal(SSL_get_shutdown(r.peer.ssl) & SSL_RECEIVED_SHUTDOWN,
                             SSL_RECEIVED_SHUTDOWN);
        say(&r, "still", 5);
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 5);
        wire_close(&r.wire);
        assert_int_equal(r.wire.fd, -1);
        road_close(&r);
    }
}

static void test_the_peer_is_gone(void **state)
{
    (void)state;
    EACH_KIND(i)
    {
        struct road r;
        road_open(&r, kinds[i]);
        close(r.peer.fd);
        r.peer.fd = -1;
        struct iovec part = {pattern, 1000};
        ssize_t n = wire_write(&r.wire, &part, 1);
        assert_true(n == -EPIPE || n == -ECONNRESET);
        road_close(&r);
    }
}

static void test_garbage_breaks_it(void **state)
{
    (void)state;
    char got[100];
    for (size_t i = 1; i < 3; i++) {
        struct road r;
        road_open(&r, kinds[i]);
        say(&r, "good", 4);
        assert_int_equal(send(r.peer.fd,
                              "\x17\x03\x03\x00\x20"
                              "12345678123456781234567812345678",
                              37, 0),
                         37);
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), 4);
        assert_true(wire_pending(&r.wire));
        assert_int_equal(wire_read(&r.wire, got, sizeof(got)), -EPROTO);
        road_close(&r);
        ERR_clear_error();
    }
}

/* --- writing --- */

static void test_parts_are_one(void **state)
{
    (void)state;
    char got[100];
    struct iovec parts[3] = {{(void *)(uintptr_t) "head ", 5},
                             {(void *)(uintptr_t) "", 0},
                             {(void *)(uintptr_t) "body", 4}};
    EACH_KIND(i)
    {
        struct road r;
        road_open(&r, kinds[i]);
        assert_int_equal(wire_write(&r.wire, parts, 3), 9);
        ssize_t one = r.peer.ssl ? SSL_read(r.peer.ssl, got, sizeof(got))
                                 : recv(r.peer.fd, got, sizeof(got), 0);
        assert_int_equal(one, 9); /* TLS: a single record */
        assert_memory_equal(got, "head body", 9);
        road_close(&r);
    }
}

/* A peer that reads little at a time gets every byte once, in order, also when what is left moves
 * in memory and more is offered after -EAGAIN than before. */
static void test_a_slow_reader(void **state)
{
    (void)state;
    static unsigned char got[LARGE];
    static const size_t first_parts[] = {0, 1, 300, 16383, 16384, 16385, 50000};
    EACH_KIND(i)
    {
        for (size_t f = 0; f < sizeof(first_parts) / sizeof(first_parts[0]); f++) {
            struct road r;
            road_open(&r, kinds[i]);
            size_t written = 0, heard = 0, offered = first_parts[f], blocked = 0;
            while (heard < LARGE) {
                struct iovec parts[2];
                int n = 0;
                size_t split = written < offered ? offered : written;
                unsigned char *copy = malloc(LARGE - written + 1);
                assert_non_null(copy);
                memcpy(copy, pattern + written, LARGE - written);
                if (split > written)
                    parts[n++] = (struct iovec){copy, split - written};
                if (split < LARGE)
                    parts[n++] = (struct iovec){copy + (split - written), LARGE - split};
                ssize_t done = n ? wire_write(&r.wire, parts, n) : -EAGAIN;
                free(copy);
                if (done > 0) {
                    written += (size_t)done;
                    continue;
                }
                assert_int_equal(done, -EAGAIN);
                blocked++;
                heard += hear(&r, got + heard, 3000 < LARGE - heard ? 3000 : LARGE - heard);
            }
            assert_int_equal(written, LARGE);
            assert_true(blocked > 1);
            assert_memory_equal(got, pattern, LARGE);
            road_close(&r);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_then_something),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_no_byte_waits_for_an_event_that_never_comes),
        cmocka_unit_test(test_several_records_are_one_read),
        cmocka_unit_test(test_a_part_of_a_record_is_not_pending),
        cmocka_unit_test(test_early_bytes_come_first),
        cmocka_unit_test(test_the_peer_ends),
        cmocka_unit_test(test_we_end),
        cmocka_unit_test(test_the_peer_is_gone),
        cmocka_unit_test(test_garbage_breaks_it),
        cmocka_unit_test(test_parts_are_one),
        cmocka_unit_test(test_a_slow_reader),
    };
    return cmocka_run_group_tests(tests, up, down);
}
