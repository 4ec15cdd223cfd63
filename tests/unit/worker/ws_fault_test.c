/* ws: everything that breaks the protocol is closed with its code, counted once, and harms nobody
 * else; and what cannot be served for want of memory or descriptors is refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>
#include <libwebsockets.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/worker/ws_harness.h"
#include "worker/ws_priv.h"

struct fault {
    const char *what;
    unsigned code;
    enum metric why;
    unsigned char bytes[40];
    size_t n;
};
#define FAULT(what, code, why, ...)                                                                \
    {                                                                                              \
        what, code, METRIC_SOCKET_CLOSED_##why, {__VA_ARGS__},                                     \
            sizeof((unsigned char[]){__VA_ARGS__})                                                 \
    }
#define NO_MASK 0, 0, 0, 0 /* a mask of zeros: the payload as it is */

static const struct fault faults[] = {
    FAULT("unmasked", WS_PROTOCOL_ERROR, PROTOCOL, 0x81, 1, 'a'),
    FAULT("unmasked and empty", WS_PROTOCOL_ERROR, PROTOCOL, 0x81, 0),
    FAULT("unmasked close", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 2, 3, 232),
    FAULT("RSV1, as compression would have it", WS_PROTOCOL_ERROR, PROTOCOL, 0xc1, 0x81, NO_MASK,
          'a'),
    FAULT("RSV2", WS_PROTOCOL_ERROR, PROTOCOL, 0xa1, 0x80, NO_MASK),
    FAULT("RSV3", WS_PROTOCOL_ERROR, PROTOCOL, 0x91, 0x80, NO_MASK),
    FAULT("reserved opcode", WS_PROTOCOL_ERROR, PROTOCOL, 0x83, 0x80, NO_MASK),
    FAULT("reserved control", WS_PROTOCOL_ERROR, PROTOCOL, 0x8b, 0x80, NO_MASK),
    FAULT("fragmented ping", WS_PROTOCOL_ERROR, PROTOCOL, 0x09, 0x80, NO_MASK),
    FAULT("long ping", WS_PROTOCOL_ERROR, PROTOCOL, 0x89, 0xfe, 0, 126, NO_MASK),
    FAULT("continuation without a start", WS_PROTOCOL_ERROR, PROTOCOL, 0x80, 0x81, NO_MASK, 'a'),
    FAULT("a message inside another", WS_PROTOCOL_ERROR, PROTOCOL, 0x01, 0x81, NO_MASK, 'a', 0x81,
          0x81, NO_MASK, 'b'),
    FAULT("length in too many bytes", WS_PROTOCOL_ERROR, PROTOCOL, 0x81, 0xfe, 0, 5, NO_MASK),
    FAULT("length with a sign", WS_PROTOCOL_ERROR, PROTOCOL, 0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0,
          NO_MASK),
    FAULT("close with one byte", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x81, NO_MASK, 3),
    FAULT("close 999", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x82, NO_MASK, 3, 231),
    FAULT("close 1004", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x82, NO_MASK, 3, 236),
    FAULT("close 1005", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x82, NO_MASK, 3, 237),
    FAULT("close 1006", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x82, NO_MASK, 3, 238),
    FAULT("close 1015", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x82, NO_MASK, 3, 247),
    FAULT("close 2999", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x82, NO_MASK, 11, 183),
    FAULT("close 5000", WS_PROTOCOL_ERROR, PROTOCOL, 0x88, 0x82, NO_MASK, 19, 136),
    FAULT("close with a reason that is no text", WS_BAD_UTF8, PROTOCOL, 0x88, 0x83, NO_MASK, 3, 232,
          0xff),
    FAULT("text that is none", WS_BAD_UTF8, PROTOCOL, 0x81, 0x82, NO_MASK, 0xc0, 0xaf),
    FAULT("a surrogate", WS_BAD_UTF8, PROTOCOL, 0x81, 0x83, NO_MASK, 0xed, 0xa0, 0x80),
    FAULT("text cut inside a character", WS_BAD_UTF8, PROTOCOL, 0x81, 0x82, NO_MASK, 0xe2, 0x82),
    FAULT("text cut inside a character by an empty last fragment", WS_BAD_UTF8, PROTOCOL, 0x01,
          0x82, NO_MASK, 0xe2, 0x82, 0x80, 0x80, NO_MASK),
    FAULT("wrong over fragments", WS_BAD_UTF8, PROTOCOL, 0x01, 0x81, NO_MASK, 0xe2, 0x80, 0x81,
          NO_MASK, 'a'),
    FAULT("larger than limits.frame", WS_TOO_LARGE, LARGE, 0x81, 0xfe, (FRAME_LIMIT + 1) >> 8,
          (FRAME_LIMIT + 1) & 255, NO_MASK),
    FAULT("huge", WS_TOO_LARGE, LARGE, 0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255,
          NO_MASK),
    FAULT("larger with its first fragment", WS_TOO_LARGE, LARGE, 0x01, 0x81, NO_MASK, 'a', 0x80,
          0xfe, FRAME_LIMIT >> 8, FRAME_LIMIT & 255, NO_MASK),
};

/* The reading side of a bystander, before and after. */
static void bystander_lives(struct client *b)
{
    send_message(b, "still here");
    expect_text(b, "still here");
}

static void check_fault(const struct fault *f, bool tls, bool bytewise)
{
    struct client *c = connect_client(0, tls), *b = connect_client(1, !tls);
    uint64_t counted = metric_of(f->why);
    for (size_t at = 0; at < f->n; at += bytewise ? 1 : f->n) {
        send_raw(c, f->bytes + at, bytewise ? 1 : f->n);
        turn();
    }
    struct str payload = {0};
    unsigned first = next_frame(c, &payload);
    unsigned code =
        payload.n == 2 ? (unsigned char)payload.p[0] << 8 | (unsigned char)payload.p[1] : 0;
    if (first != (FIN | WS_CLOSE) || code != f->code || c->got.len)
        fail_msg("%s: first byte %x, code %u", f->what, first, code);
    bystander_lives(b);
    pass_ms(WS_LINGER_MS); /* those of which a close is awaited */
    if (c->closed != 1 || c->why != f->why || metric_of(f->why) != counted + 1 || c->messages)
        fail_msg("%s: closed %zu times, %d, %zu messages", f->what, c->closed, c->why, c->messages);
    assert_true(c->eof);
    bystander_lives(b);
    close_client(c);
    close_client(b);
    turn();
}

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        check_fault(&faults[i], false, false);
        check_fault(&faults[i], true, false);
        check_fault(&faults[i], false, true);
    }
}

static void test_what_was_whole_before_a_fault_counts(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false);
    unsigned char bytes[64];
    size_t n = make_frame(FIN | WS_TEXT, "fine", 4, bytes);
    memcpy(bytes + n,
           "\x81\x01"
           "a",
           3);
    send_raw(c, bytes, n + 3);
    turn();
    expect_text(c, "fine");
    expect_close(c, WS_PROTOCOL_ERROR);
}

/* The peer goes on sending what we do not want, and then answers our close. */
static void test_the_close_is_found_behind_what_was_too_large(void **state)
{
    (void)state;
    static unsigned char large[3 * FRAME_LIMIT + 16];
    static const char payload[3 * FRAME_LIMIT];
    struct client *c = connect_client(0, true);
    size_t n = make_frame(FIN | WS_BINARY, payload, sizeof(payload), large);
    send_raw(c, large, n);
    turn();
    expect_close(c, WS_TOO_LARGE);
    assert_int_equal(c->closed, 0);
    send_close(c, WS_TOO_LARGE);
    expect_closed(c, METRIC_SOCKET_CLOSED_LARGE);
}

/* --- memory and descriptors --- */

/* Fragments of all connections together are bounded. */
static void test_fragments_that_never_end(void **state)
{
    (void)state;
    W.conf.limit_bodies = 2 * FRAME_LIMIT;
    static const char part[FRAME_LIMIT - 1];
    struct client *c[3];
    for (size_t i = 0; i < 3; i++) {
        c[i] = connect_client(i, false);
        send_frame(c[i], WS_BINARY, part, sizeof(part));
    }
    expect_close(c[2], WS_OVERLOADED);
    assert_int_equal(metric_of(METRIC_BODIES_REFUSED), 1);
    assert_true(W.w.bodies <= W.conf.limit_bodies);
    send_close(c[2], WS_OVERLOADED);
    expect_closed(c[2], METRIC_SOCKET_CLOSED_OVERLOAD);
    close_client(c[0]); /* what it held is free again */
    turn();
    connect_client(0, false);
    send_frame(c[0], WS_BINARY, part, sizeof(part));
    assert_int_equal(c[0]->got.len, 0);
    send_frame(c[1], FIN | WS_CONTINUATION, "e", 1);
    assert_int_equal(c[1]->messages, 1);
    close_client(c[0]);
    turn();
    assert_int_equal(W.w.bodies, 0);
}

static bool told_503(struct client *c)
{
    client_read(c);
    buf_append_c(&c->got, '\0');
    const char *text = (const char *)c->got.data;
    return c->eof && strstr(text, "HTTP/1.1 503 ") && strstr(text, "X-Request-Id: id-1\r\n") &&
           strstr(text, "\"code\":\"unavailable\"");
}

/* libwebsockets' memory too. */
static void *any_realloc(void *p, size_t n, const char *why)
{
    (void)why;
    if (n)
        return realloc(p, n);
    free(p);
    return NULL;
}

/* Every allocation of accepting and of serving fails once; either it is refused, or it is served,
 * or it ends with its reason; and the next one is served. */
static void test_out_of_memory(void **state)
{
    (void)state;
    unsigned long refused = 0, ended = 0;
    lws_set_allocator(any_realloc);
    for (unsigned long nth = 1; nth < 200; nth++) {
        bool tls = nth & 1;
        struct client *c = fresh_client(0);
        struct wire wire = client_wire(c, tls);
        failmalloc_arm(nth);
        int err = ws_accept(W.w.ws, wire, "test:1", &harness_handshake, &ws_ops, c);
        if (err) {
            assert_true(failmalloc_disarm());
            assert_int_equal(c->opened, 0);
            assert_true(told_503(c));
            refused++;
            assert_int_equal(err, -ENOMEM);
        } else {
            unsigned char bytes[64];
            size_t n = make_frame(WS_TEXT, "one", 3, bytes);
            n += make_frame(FIN | WS_CONTINUATION, "two", 3, bytes + n);
            send_raw(c, bytes, n);
            turn_unread();
            bool failed = failmalloc_disarm();
            turn();
            pass_ms(WS_LINGER_MS);
            if (c->closed) {
                assert_true(failed);
                assert_int_equal(c->why, METRIC_SOCKET_CLOSED_OVERLOAD);
                ended++;
            }
            if (!failed)
                nth = 200; /* none is left to fail */
        }
        close_client(c);
        turn();
        assert_int_equal(c->opened, c->closed);
        assert_int_equal(ws_connections(W.w.ws), 0);
        bystander_lives(connect_client(1, false));
        close_client(&W.c[1]);
        turn();
    }
    assert_true(refused >= 4);
    assert_true(ended >= 1);
}

/* As if the process had no descriptor left. */
static void test_no_descriptors(void **state)
{
    (void)state;
    struct client *c = fresh_client(0);
    struct wire wire = client_wire(c, false);
    struct rlimit was, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int err = ws_accept(W.w.ws, wire, "test:1", &harness_handshake, &ws_ops, c);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(err, -EMFILE);
    assert_true(told_503(c));
    assert_int_equal(metric_of(METRIC_REFUSED_FDS), 1);
    close_client(c);
    bystander_lives(connect_client(0, false));
}

/* libwebsockets has a place for as many descriptors as this worker may have, not for all that the
 * process may; the process keeps its limit. */
static void test_descriptors_in_the_table(void **state)
{
    (void)state;
    struct rlimit was, now, lower;
    ws_close_all(W.w.ws);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    lower = was;
    lower.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
    W.conf.connections = 100; /* of one worker: two descriptors each, and 1,024 more */
    assert_int_equal(ws_open(&W.w, harness_now, NULL, &W.w.ws), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(now.rlim_cur, lower.rlim_cur);
    bystander_lives(connect_client(1, false));

    int held[1300], n = 0, last;
    do
        last = held[n++] = dup(W.board_fd);
    while (last >= 0 && last < 1224);
    assert_int_equal(last, 1224);
    struct client *c = fresh_client(0);
    struct wire wire = client_wire(c, false);
    assert_int_equal(ws_accept(W.w.ws, wire, "test:1", &harness_handshake, &ws_ops, c), -EMFILE);
    assert_true(told_503(c));
    close_client(c);
    while (n)
        close(held[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    bystander_lives(connect_client(0, false));
}

/* libwebsockets ends a connection inside a call, with bytes of it unread: here because its
 * descriptor is gone. Nobody else gets those bytes. */
static void test_death_inside_a_call(void **state)
{
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        struct client *c = connect_client(0, tls), *b = connect_client(1, false);
        bystander_lives(b);
        close(c->ws->lws_fd);
        send_message(c, "quiet: never read");
        expect_close(c, WS_PROTOCOL_ERROR);
        send_close(c, WS_PROTOCOL_ERROR);
        expect_closed(c, METRIC_SOCKET_CLOSED_PROTOCOL);
        assert_int_equal(c->messages, 0);
        bystander_lives(b);
        assert_string_equal(heard_of(b), "still here\nstill here\n");
        bystander_lives(connect_client(2, true));
        for (size_t i = 0; i < 3; i++)
            close_client(&W.c[i]);
        turn();
    }
}

/* The road is shut down from outside: one connection notices, the others move to a new one. */
static void test_a_broken_road(void **state)
{
    (void)state;
    struct client *c = connect_client(0, false), *b = connect_client(1, true);
    shutdown(c->ws->lws_fd, SHUT_RDWR);
    send_message(c, "quiet");
    expect_close(c, WS_OVERLOADED);
    send_close(c, WS_OVERLOADED);
    expect_closed(c, METRIC_SOCKET_CLOSED_OVERLOAD);
    bystander_lives(b);
    bystander_lives(connect_client(2, false));
}

#define WS_TEST(f) cmocka_unit_test_setup_teardown(f, ws_up, ws_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WS_TEST(test_faults),
        WS_TEST(test_what_was_whole_before_a_fault_counts),
        WS_TEST(test_the_close_is_found_behind_what_was_too_large),
        WS_TEST(test_fragments_that_never_end),
        WS_TEST(test_out_of_memory),
        WS_TEST(test_no_descriptors),
        WS_TEST(test_descriptors_in_the_table),
        WS_TEST(test_death_inside_a_call),
        WS_TEST(test_a_broken_road),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
