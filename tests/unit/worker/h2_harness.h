/* h2_harness - one connection of an h2 server over a socketpair, with a peer that works by frames.
 *
 * The application is that of h1_harness.h (the path tells what it does), and so is the clock. The
 * peer sends what the test tells it, byte by byte if need be, and keeps what comes: per stream the
 * fields (inflated by nghttp2), the body, how it ended; per connection GOAWAY, PING, SETTINGS,
 * WINDOW_UPDATE. It answers nothing by itself.
 */
#ifndef TESTS_UNIT_WORKER_H2_HARNESS_H
#define TESTS_UNIT_WORKER_H2_HARNESS_H

#include <nghttp2/nghttp2.h>

#include "tests/unit/worker/h1_harness.h"
#include "worker/h2.h"

#define PEER_STREAMS 4096
#define SETTINGS_SEEN 8
#define FRAME_SENT_MAX 65536
#define NOT_RESET UINT32_MAX
#define END_HEADERS NGHTTP2_FLAG_END_HEADERS
#define END_STREAM NGHTTP2_FLAG_END_STREAM

struct answer {
    char fields[4096]; /* "name: value\n"... of all its header sections */
    size_t nfields;
    struct buf body;
    size_t heads, frames; /* HEADERS and DATA frames */
    bool ended;
    uint32_t reset; /* NOT_RESET, or the error */
};

static struct {
    nghttp2_hd_inflater *inflater;
    struct answer *answer[PEER_STREAMS / 2]; /* by stream id; odd ones */
    uint32_t goaway[4], goaway_last[4];
    size_t goaways, pings, ping_acks, settings_acks, window_updates, writes;
    uint64_t window[2]; /* of the connection, of all streams: increments */
    uint32_t settings[SETTINGS_SEEN];
    struct buf block; /* a header section in the making */
} P;

/* --- what came --- */

static struct answer *answer_of(uint32_t id)
{
    if (id % 2 == 0 || id >= PEER_STREAMS)
        abort();
    struct answer **a = &P.answer[id / 2];
    if (!*a) {
        *a = calloc(1, sizeof(**a));
        if (!*a)
            abort();
        (*a)->reset = NOT_RESET;
        buf_init(&(*a)->body, 64u << 20);
    }
    return *a;
}

static void take_fields(struct answer *a, const uint8_t *p, size_t n)
{
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(P.inflater, &nv, &flags, p, n, 1);
        if (used < 0)
            abort();
        p += used;
        n -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            size_t room = sizeof(a->fields) - a->nfields;
            int done = snprintf(a->fields + a->nfields, room, "%.*s: %.*s\n", (int)nv.namelen,
                                (const char *)nv.name, (int)nv.valuelen, (const char *)nv.value);
            a->nfields += (size_t)done < room ? (size_t)done : room - 1;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(P.inflater);
            return;
        }
    }
}

static uint32_t number(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void take_frame(uint8_t type, uint8_t flags, uint32_t id, const uint8_t *p, size_t n)
{
    switch (type) {
    case NGHTTP2_HEADERS:
        answer_of(id)->heads++;
        take_fields(answer_of(id), p, n);
        break;
    case NGHTTP2_DATA:
        answer_of(id)->frames++;
        buf_append(&answer_of(id)->body, p, n);
        break;
    case NGHTTP2_RST_STREAM:
        answer_of(id)->reset = number(p);
        break;
    case NGHTTP2_SETTINGS:
        P.settings_acks += flags & NGHTTP2_FLAG_ACK ? 1 : 0;
        for (size_t i = 0; i + 6 <= n; i += 6) {
            if (p[i + 1] < SETTINGS_SEEN)
                P.settings[p[i + 1]] = number(p + i + 2);
        }
        break;
    case NGHTTP2_PING:
        P.pings += flags & NGHTTP2_FLAG_ACK ? 0 : 1;
        P.ping_acks += flags & NGHTTP2_FLAG_ACK ? 1 : 0;
        break;
    case NGHTTP2_GOAWAY:
        if (P.goaways == 4)
            abort();
        P.goaway_last[P.goaways] = number(p);
        P.goaway[P.goaways++] = number(p + 4);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        P.window_updates++;
        P.window[id != 0] += number(p);
        break;
    default:
        abort();
    }
    if (id && (type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) && (flags & END_STREAM))
        answer_of(id)->ended = true;
}

static void take_frames(void)
{
    size_t at = 0;
    while (H.got.len - at >= 9) {
        const uint8_t *p = H.got.data + at;
        size_t n = number(p) >> 8;
        if (H.got.len - at < 9 + n)
            break;
        take_frame(p[3], p[4], number(p + 5) & INT32_MAX, p + 9, n);
        at += 9 + n;
    }
    buf_consume(&H.got, at);
}

/* --- turns --- */

/* The server does all it can; the client does not read. */
HARNESS_UNUSED static void h2_turn_unread(void)
{
    uint64_t before, after;
    do {
        before = H.metrics->v[METRIC_BYTES_IN] + H.metrics->v[METRIC_BYTES_OUT];
        event_base_loop(H.w.base, EVLOOP_NONBLOCK);
        while (h2_proceed(H.w.h2))
            continue;
        after = H.metrics->v[METRIC_BYTES_IN] + H.metrics->v[METRIC_BYTES_OUT];
    } while (before != after);
}

HARNESS_UNUSED static void h2_turn(void)
{
    uint64_t before;
    do {
        before = H.metrics->v[METRIC_BYTES_OUT];
        h2_turn_unread();
        if (H.client >= 0)
            client_read();
        take_frames();
        h2_turn_unread();
    } while (before != H.metrics->v[METRIC_BYTES_OUT]);
}

HARNESS_UNUSED static void h2_tick_ms(uint64_t ms)
{
    H.now_ms += ms;
    h2_tick(H.w.h2);
    h2_turn();
}

/* --- what is sent --- */

HARNESS_UNUSED static void h2_send(const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n) {
        ssize_t done = send(H.client, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0)
            return; /* closed by the server: the test looks at what came */
        p += done;
        n -= (size_t)done;
        h2_turn_unread();
    }
}

HARNESS_UNUSED static void frame_head(uint8_t *p, size_t n, uint8_t type, uint8_t flags,
                                      uint32_t id)
{
    const uint8_t head[9] = {
        (uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
        (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    memcpy(p, head, sizeof(head));
}

/* One frame, written at once, without a turn of its own beyond what sending needs. */
HARNESS_UNUSED static void send_frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload,
                                      size_t n)
{
    static uint8_t bytes[FRAME_SENT_MAX];
    if (n > sizeof(bytes) - 9)
        abort();
    frame_head(bytes, n, type, flags, id);
    if (n)
        memcpy(bytes + 9, payload, n);
    h2_send(bytes, 9 + n);
}

HARNESS_UNUSED static void send_number(uint8_t type, uint32_t id, uint32_t v)
{
    const uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    send_frame(type, 0, id, p, sizeof(p));
}

HARNESS_UNUSED static void send_window(uint32_t id, uint32_t v)
{
    send_number(NGHTTP2_WINDOW_UPDATE, id, v);
}

HARNESS_UNUSED static void send_reset(uint32_t id, uint32_t error)
{
    send_number(NGHTTP2_RST_STREAM, id, error);
}

HARNESS_UNUSED static void send_setting(uint8_t name, uint32_t v)
{
    const uint8_t p[6] = {
        0, name, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    send_frame(NGHTTP2_SETTINGS, 0, 0, p, sizeof(p));
}

HARNESS_UNUSED static void send_ping(uint8_t flags)
{
    send_frame(NGHTTP2_PING, flags, 0, "12345678", 8);
}

static void put_length(size_t n)
{
    if (n < 127) {
        buf_append_c(&P.block, (char)n);
        return;
    }
    buf_append_c(&P.block, 127);
    for (n -= 127; n >= 128; n /= 128)
        buf_append_c(&P.block, (char)(n % 128 + 128));
    buf_append_c(&P.block, (char)n);
}

/* A field without indexing or Huffman (RFC 7541 6.2.2), appended to P.block. */
HARNESS_UNUSED static void put_field(const char *name, const char *value)
{
    buf_append_c(&P.block, 0);
    put_length(strlen(name));
    buf_append_z(&P.block, name);
    put_length(strlen(value));
    buf_append_z(&P.block, value);
}

HARNESS_UNUSED static void put_request(const char *method, const char *path)
{
    put_field(":method", method);
    put_field(":scheme", "http");
    put_field(":authority", "h");
    put_field(":path", path);
}

/* P.block as one HEADERS frame. */
HARNESS_UNUSED static void send_block(uint32_t id, uint8_t flags)
{
    send_frame(NGHTTP2_HEADERS, flags, id, P.block.data, P.block.len);
    buf_reset(&P.block);
}

/* A request without a body, and a turn. */
HARNESS_UNUSED static struct answer *get(uint32_t id, const char *path)
{
    put_request("GET", path);
    send_block(id, END_HEADERS | END_STREAM);
    h2_turn();
    return answer_of(id);
}

/* A request whose body is still to come, and a turn. */
HARNESS_UNUSED static struct answer *post(uint32_t id, const char *path)
{
    put_request("POST", path);
    send_block(id, END_HEADERS);
    h2_turn();
    return answer_of(id);
}

HARNESS_UNUSED static void send_data(uint32_t id, const char *bytes, uint8_t flags)
{
    send_frame(NGHTTP2_DATA, flags, id, bytes, strlen(bytes));
}

HARNESS_UNUSED static const char *body_of(const struct answer *a)
{
    static char text[65536];
    size_t n = a->body.len < sizeof(text) - 1 ? a->body.len : sizeof(text) - 1;
    if (n)
        memcpy(text, a->body.data, n);
    text[n] = '\0';
    return text;
}

HARNESS_UNUSED static bool has_field(const struct answer *a, const char *line)
{
    return strstr(a->fields, line) != NULL;
}

#ifdef CMOCKA_H_ /* a fuzzer has none */
/* An answer of ours to what a request did wrong; the connection goes on. */
HARNESS_UNUSED static void assert_refused(const struct answer *a, const char *status,
                                          const char *reason)
{
    char line[32], member[64];
    snprintf(line, sizeof(line), ":status: %s\n", status);
    snprintf(member, sizeof(member), "\"reason\":\"%s\"", reason);
    if (!has_field(a, line) || !strstr(body_of(a), member))
        fail_msg("%s %s expected, got %s%s", status, reason, a->fields, body_of(a));
    assert_true(a->ended);
    assert_true(has_field(a, "content-type: application/problem+json\n"));
    assert_int_equal(P.goaways, 0);
}

HARNESS_UNUSED static char *filled(char c, size_t n)
{
    char *p = malloc(n + 1);
    assert_non_null(p);
    memset(p, c, n);
    p[n] = '\0';
    return p;
}
#endif

HARNESS_UNUSED static uint64_t counted(enum metric m)
{
    return H.metrics->v[m];
}

/* --- fixtures --- */

/* Another connection; the one before it is the test's to close. */
HARNESS_UNUSED static void h2_connect(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    H.client = pair[0];
    H.client_eof = false;
    buf_reset(&H.got);
    if (h2_accept(H.w.h2, wire_clear(pair[1]), "test:2") < 0)
        abort();
}

HARNESS_UNUSED static void peer_hello(void)
{
    h2_send(WIRE_PREFACE, WIRE_PREFACE_LEN);
    send_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    h2_turn();
}

/* A server, and a connection that has said nothing yet. */
HARNESS_UNUSED static int h2_up_silent(void **state)
{
    memset(&P, 0, sizeof(P));
    if (harness_up(state) < 0)
        return -1;
    close_client();
    turn_unread();
    H.conf.streams = 100;
    H.conf.ping = 30000;
    H.conf.resets = 50;
    H.conf.control = 100;
    buf_init(&P.block, 1u << 20);
    if (h2_open(&H.w, harness_now, NULL, &H.w.h2) < 0 || nghttp2_hd_inflate_new(&P.inflater) != 0)
        return -1;
    h2_connect();
    return 0;
}

HARNESS_UNUSED static int h2_up(void **state)
{
    if (h2_up_silent(state) < 0)
        return -1;
    peer_hello();
    return 0;
}

HARNESS_UNUSED static void forget_answers(void)
{
    for (size_t i = 0; i < PEER_STREAMS / 2; i++) {
        if (P.answer[i])
            buf_free(&P.answer[i]->body);
        free(P.answer[i]);
        P.answer[i] = NULL;
    }
}

HARNESS_UNUSED static int h2_down(void **state)
{
    close_client();
    h2_close(H.w.h2);
    forget_answers();
    buf_free(&P.block);
    nghttp2_hd_inflate_del(P.inflater);
    return harness_down(state);
}

#define H2_TEST(f) cmocka_unit_test_setup_teardown(f, h2_up, h2_down)

#endif
