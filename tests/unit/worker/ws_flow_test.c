/* ws: what goes out: packets, peers that do not read, and the clock: pings, silence, patience. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker/ws_harness.h"
#include "worker/ws_priv.h"

static char payload[100000];

/* A frame of n bytes of payload; valid until the next call. */
static struct str frame_of(size_t n)
{
    static struct buf b = {.max = 1 << 20};
    buf_reset(&b);
    size_t begin = ws_frame_begin(&b);
    buf_append(&b, payload, n);
    return ws_frame_end(&b, begin, WS_BINARY);
}

static void small_buffers(struct client *c)
{
    int bytes = 8192;
    setsockopt(c->ws->wire.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* --- packets --- */

static void test_a_turn_is_one_packet(void **state)
{
    (void)state;
    struct client *c = connect_client(0, true);
    for (int i = 0; i < 16; i++)
        assert_int_equal(ws_write(c->ws, frame_of(100)), 0);
    assert_int_equal(ws_backlog(c->ws), 16 * 102);
    turn_unread();
    assert_int_equal(ws_backlog(c->ws), 0);
    /* One record: OpenSSL hands out one at a time. */
    static char bytes[20000];
    assert_int_equal(SSL_read(c->p.ssl, bytes, sizeof(bytes)), 16 * 102);
}

static void test_a_full_packet_does_not_wait(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ws_write(c->ws, frame_of(4000)), 0);
    assert_int_equal(ws_backlog(c->ws), 0);
    assert_int_equal(ws_write(c->ws, frame_of(50)), 0);
    assert_int_equal(ws_write(c->ws, frame_of(50000)), 0); /* large, but not before the small one */
    turn();
    for (int i = 0; i < 5; i++)
        expect_frame(c, FIN | WS_BINARY, payload, 4000);
    expect_frame(c, FIN | WS_BINARY, payload, 50);
    expect_frame(c, FIN | WS_BINARY, payload, 50000);
}

/* Idle connections hold no output buffer, and the pool is bounded. */
static void test_buffers_go_back(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false), *d = connect_client(1, true);
    ws_write(c->ws, frame_of(100));
    ws_write(d->ws, frame_of(100));
    assert_non_null(c->ws->out);
    turn();
    assert_null(c->ws->out);
    assert_null(d->ws->out);
    assert_true(W.w.ws->pooled > 0 && W.w.ws->pooled <= WS_POOL);
}

/* --- peers that do not read --- */

/* Until it says that it is full; returns the bytes written. */
static size_t fill(struct client *c, size_t n)
{
    size_t all = 0;
    int r = 0;
    for (int i = 0; r == 0; i++) {
        assert_true(i < 100000);
        struct str f = frame_of(n);
        r = ws_write(c->ws, f);
        all += f.n;
        turn_unread();
    }
    assert_int_equal(r, -EAGAIN);
    return all;
}

static void test_a_peer_that_does_not_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {10, 1000, 30000};
    for (int tls = 0; tls < 2; tls++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct client *c = connect_client(0, tls);
            small_buffers(c);
            size_t all = fill(c, sizes[i]);
            assert_false(ws_has_room(c->ws));
            /* What the kernel did not take of one frame, and the one that was refused room. */
            assert_true(ws_backlog(c->ws) <= 2 * (sizes[i] + WS_FRAME_HEAD));
            assert_true(c->ws->out->data.cap <= 4 * (sizes[i] + WS_FRAME_HEAD) + 2 * WS_PACKET);
            send_raw(c, "\x81\x80\0\0\0\0", 6); /* while it does not read, it is not read */
            turn_unread();
            assert_int_equal(c->messages, 0);
            assert_int_equal(c->rooms, 0);
            turn(); /* now it reads */
            assert_int_equal(c->rooms, 1);
            assert_int_equal(c->messages, 1);
            assert_true(ws_has_room(c->ws));
            assert_int_equal(ws_backlog(c->ws), 0);
            size_t frames = 0;
            struct str got;
            for (unsigned first = next_frame(c, &got); first; first = next_frame(c, &got)) {
                all -= first == (FIN | WS_BINARY) ? got.n + (got.n < 126 ? 2 : 4) : 0;
                frames++;
            }
            assert_int_equal(all, 0); /* every byte came, and whole */
            assert_true(frames > 1);
            close_client(c);
            turn();
        }
    }
}

static void test_room_is_told_once(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    turn();
    assert_int_equal(c->rooms, 0);
    small_buffers(c);
    fill(c, 1000);
    assert_int_equal(ws_write(c->ws, frame_of(10)), -EAGAIN); /* taken all the same */
    turn();
    assert_int_equal(c->rooms, 1);
    turn();
    assert_int_equal(c->rooms, 1);
}

/* Pings without reading the pongs: what they cost us is bounded. */
static void test_a_flood_of_pings(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    small_buffers(c);
    unsigned char ping[140];
    size_t n = make_frame(FIN | WS_PING, payload, 125, ping), sent = 0;
    for (int i = 0; i < 100000; i++) {
        if (send(c->fd, ping, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)n)
            break;
        turn_unread();
        sent++;
        assert_true(ws_backlog(c->ws) <= 2 * WS_READ_SIZE);
    }
    assert_true(sent > 10 && sent < 100000); /* it was not read any more */
    assert_int_equal(c->closed, 0);
    turn();
    struct str got;
    size_t pongs = 0;
    while (next_frame(c, &got) == (FIN | WS_PONG))
        pongs++;
    assert_true(pongs >= sent);
}

static void test_a_peer_that_takes_nothing_is_closed(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct client *c = connect_client(0, tls);
        small_buffers(c);
        fill(c, 1000);
        W.now_ms += W.conf.server_heartbeat * 5 / 2 - 1;
        ws_tick(W.w.ws);
        turn_unread();
        assert_int_equal(c->closed, 0);
        W.now_ms += WHEEL_STEP_MS;
        ws_tick(W.w.ws);
        turn_unread();
        assert_int_equal(c->closed, 1);
        assert_int_equal(c->why, METRIC_SOCKET_CLOSED_SILENT);
        close_client(c);
    }
}

/* One that takes a little now and then lives, though its own words are not read meanwhile. */
static void test_a_slow_peer_lives(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    small_buffers(c);
    fill(c, 30000);
    static char bytes[40000];
    for (int i = 0; i < 20; i++) {
        W.now_ms += W.conf.server_heartbeat * 2;
        ws_tick(W.w.ws);
        turn_unread();
        assert_true(recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
        turn_unread();
        if (ws_has_room(c->ws))
            fill(c, 30000);
        assert_int_equal(c->closed, 0);
    }
}

static void test_ending_one_that_does_not_read(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    small_buffers(c);
    fill(c, 1000);
    ws_end(c->ws, WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
    W.now_ms += WS_LINGER_MS - 1;
    ws_tick(W.w.ws);
    turn_unread();
    assert_int_equal(c->closed, 0);
    W.now_ms += WHEEL_STEP_MS;
    ws_tick(W.w.ws);
    turn_unread();
    assert_int_equal(c->closed, 1);
    assert_int_equal(c->why, METRIC_SOCKET_CLOSED_DRAIN);
}

static void test_ending_one_that_reads_late(void **state)
{
    (void)state;
    struct client *c = connect_client(0, true);
    small_buffers(c);
    fill(c, 1000);
    ws_end(c->ws, WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
    turn();
    struct str got;
    unsigned last = 0;
    for (unsigned first = next_frame(c, &got); first; first = next_frame(c, &got))
        last = first;
    assert_int_equal(last, FIN | WS_CLOSE); /* all before it, and it */
    assert_int_equal(c->rooms, 0);
    send_close(c, WS_RESTARTING);
    expect_closed(c, METRIC_SOCKET_CLOSED_DRAIN);
}

/* --- the clock --- */

static void test_pings_at_each_heartbeat(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct client *c = connect_client(0, tls);
        for (int i = 0; i < HEARTBEAT_MS / WHEEL_STEP_MS && c->got.len == 0; i++)
            pass_ms(WHEEL_STEP_MS);
        expect_frame(c, FIN | WS_PING, NULL, 0); /* the first one at the latest after a heartbeat */
        for (int i = 0; i < 5; i++) {
            pass_ms(HEARTBEAT_MS - WHEEL_STEP_MS);
            assert_int_equal(c->got.len, 0);
            pass_ms(2 * WHEEL_STEP_MS);
            expect_frame(c, FIN | WS_PING, NULL, 0);
            W.now_ms -= WHEEL_STEP_MS;
            send_frame(c, FIN | WS_PONG, NULL, 0);
        }
        assert_int_equal(c->closed, 0);
        assert_true(c->alives >= 4 && c->alives <= 5); /* a pong is a word */
        close_client(c);
        turn();
    }
}

static void test_first_pings_are_spread(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        connect_client(i, false);
    size_t pings = 0;
    for (int i = 0; i <= HEARTBEAT_MS / WHEEL_STEP_MS; i++) {
        pass_ms(WHEEL_STEP_MS);
        size_t now = 0;
        for (size_t k = 0; k < 3; k++)
            now += W.c[k].got.len / 2;
        assert_true(now <= pings + 1);
        pings = now;
    }
    assert_int_equal(pings, 3);
}

static void test_silence(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    pass_ms(HEARTBEAT_MS);
    pass_ms(HEARTBEAT_MS);
    expect_frame(c, FIN | WS_PING, NULL, 0);
    expect_frame(c, FIN | WS_PING, NULL, 0);
    pass_ms(HEARTBEAT_MS / 2 - 1);
    assert_int_equal(c->got.len, 0);
    pass_ms(WHEEL_STEP_MS);
    expect_close(c, WS_GOING_AWAY);
    assert_int_equal(c->closed, 0);
    pass_ms(WS_LINGER_MS);
    expect_closed(c, METRIC_SOCKET_CLOSED_SILENT);
    assert_int_equal(c->alives, 0);
}

/* Any bytes are a word, part of a frame too. */
static void test_words(void **state)
{
    (void)state;
    struct client *c = connect_client(0, true);
    for (int i = 0; i < 10; i++) {
        pass_ms(2 * HEARTBEAT_MS);
        send_raw(c, i ? "x" : "\x81\xfe\x01\0\1\2\3\4", i ? 1 : 8);
        turn();
        assert_int_equal(c->closed, 0);
    }
    assert_int_equal(c->alives, 10);
    assert_int_equal(c->messages, 0);
}

/* While the application pauses it, nobody could hear it. */
static void test_a_paused_one_is_not_silent(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    ws_pause(c->ws, true);
    turn();
    for (int i = 0; i < 5; i++)
        pass_ms(HEARTBEAT_MS);
    assert_int_equal(c->closed, 0);
    ws_pause(c->ws, false);
    turn();
    pass_ms(HEARTBEAT_MS);
    pass_ms(HEARTBEAT_MS);
    assert_int_equal(c->ws->phase, WS_ALIVE);
    pass_ms(HEARTBEAT_MS);
    pass_ms(WS_LINGER_MS);
    assert_int_equal(c->closed, 1);
}

static void test_the_peer_does_not_answer_our_close(void **state)
{
    (void)state;
    struct client *c = connect_client(0, true);
    ws_end(c->ws, WS_REVOKED, METRIC_SOCKET_CLOSED_REVOKED);
    turn();
    pass_ms(WS_LINGER_MS - 1);
    assert_int_equal(c->closed, 0);
    pass_ms(WHEEL_STEP_MS);
    expect_close(c, WS_REVOKED);
    expect_closed(c, METRIC_SOCKET_CLOSED_REVOKED);
}

#define WS_TEST(f) cmocka_unit_test_setup_teardown(f, ws_up, ws_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WS_TEST(test_a_turn_is_one_packet),
        WS_TEST(test_a_full_packet_does_not_wait),
        WS_TEST(test_buffers_go_back),
        WS_TEST(test_a_peer_that_does_not_read),
        WS_TEST(test_room_is_told_once),
        WS_TEST(test_a_flood_of_pings),
        WS_TEST(test_a_peer_that_takes_nothing_is_closed),
        WS_TEST(test_a_slow_peer_lives),
        WS_TEST(test_ending_one_that_does_not_read),
        WS_TEST(test_ending_one_that_reads_late),
        WS_TEST(test_pings_at_each_heartbeat),
        WS_TEST(test_first_pings_are_spread),
        WS_TEST(test_silence),
        WS_TEST(test_words),
        WS_TEST(test_a_paused_one_is_not_silent),
        WS_TEST(test_the_peer_does_not_answer_our_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
