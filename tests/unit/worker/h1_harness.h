/* h1_harness - one connection of an h1 server over a socketpair, with a fake application.
 *
 * It defines rest_on_head and rest_on_body, so that the linker takes these instead of rest.c. What
 * the application does is in the path: /now answers at once, /echo sends the body back, /later and
 * /park hold the exchange until the test answers it, /deny answers 401 before the body, /small
 * allows ten bytes of body, /big?<n> answers n bytes, /stream begins a stream, /close wants the
 * connection closed. The clock is the test's; a turn runs until nothing moves.
 */
#ifndef TESTS_UNIT_WORKER_H1_HARNESS_H
#define TESTS_UNIT_WORKER_H1_HARNESS_H

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ids.h"
#include "common/log.h"
#include "worker/h1.h"
#include "worker/rest.h"
#include "worker/worker.h"

#define HELD_MAX 64
#define BIG_MAX 1000000 /* beyond it no more digits are believed */
#define HARNESS_UNUSED __attribute__((unused))

static struct {
    struct worker w;
    struct conf conf;
    struct metric_block *metrics;
    uint64_t now_ms;
    int client;      /* our end; -1: closed */
    struct buf got;  /* all that the client received */
    bool client_eof; /* the server closed its side */
    struct exchange *held[HELD_MAX];
    size_t nheld, heads, bodies, gone, sent, drained;
    bool may_upgrade; /* what the last /later was told */
} H;

static uint64_t harness_now(void *arg)
{
    (void)arg;
    return H.now_ms;
}

static void on_gone(struct exchange *ex)
{
    H.gone++;
    for (size_t i = 0; i < H.nheld; i++) {
        if (H.held[i] == ex)
            H.held[i] = NULL;
    }
}

static void on_sent(struct exchange *ex)
{
    (void)ex;
    H.sent++;
}

static void on_drain(struct exchange *ex)
{
    (void)ex;
    H.drained++;
}

static void answer_text(struct exchange *ex, struct str text)
{
    buf_append_str(&ex->out_body, text);
    exchange_answer(ex, 200, "text/plain");
}

void rest_on_head(struct exchange *ex)
{
    H.heads++;
    ex->on_gone = on_gone;
    ex->on_sent = on_sent;
    ex->on_drain = on_drain;
    if (str_is(ex->path, "/deny"))
        exchange_problem(ex, CODE_TOKEN_MISSING, 0, NULL);
    else if (str_is(ex->path, "/small"))
        ex->body_limit = 10;
    else if (str_is(ex->path, "/close"))
        ex->close_after = true;
}

void rest_on_body(struct exchange *ex)
{
    H.bodies++;
    if (str_is(ex->path, "/later") || str_is(ex->path, "/park") || str_is(ex->path, "/stream")) {
        if (H.nheld == HELD_MAX)
            abort();
        H.held[H.nheld++] = ex;
        H.may_upgrade = exchange_may_upgrade(ex);
        if (str_is(ex->path, "/park"))
            exchange_park(ex);
        else if (str_is(ex->path, "/stream"))
            exchange_stream_begin(ex, 200, "text/event-stream");
    } else if (str_is(ex->path, "/big")) {
        size_t n = 0;
        for (size_t i = 0; i < ex->query.n && ex->query.p[i] >= '0' && ex->query.p[i] <= '9'; i++)
            n = n < BIG_MAX ? n * 10 + (size_t)(ex->query.p[i] - '0') : n;
        if (n && buf_reserve(&ex->out_body, n) == 0) {
            memset(ex->out_body.data, 'b', n);
            ex->out_body.len = n;
        }
        exchange_answer(ex, 200, "text/plain");
    } else if (str_is(ex->path, "/empty")) {
        exchange_answer(ex, 204, NULL);
    } else if (str_is(ex->path, "/echo") || str_is(ex->path, "/small")) {
        answer_text(ex, buf_str(&ex->body));
    } else {
        answer_text(ex, ex->query);
    }
}

/* --- the client --- */

HARNESS_UNUSED static void client_read(void)
{
    static char bytes[65536];
    for (;;) {
        ssize_t n = recv(H.client, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n == 0)
            H.client_eof = true;
        if (n <= 0)
            return;
        buf_append(&H.got, bytes, (size_t)n);
    }
}

/* The server does all it can; the client does not read. */
HARNESS_UNUSED static void turn_unread(void)
{
    uint64_t before, after;
    do {
        before = H.metrics->v[METRIC_BYTES_IN] + H.metrics->v[METRIC_BYTES_OUT];
        event_base_loop(H.w.base, EVLOOP_NONBLOCK);
        h1_proceed(H.w.h1);
        after = H.metrics->v[METRIC_BYTES_IN] + H.metrics->v[METRIC_BYTES_OUT];
    } while (before != after);
}

HARNESS_UNUSED static void turn(void)
{
    size_t before;
    do {
        before = H.got.len;
        turn_unread();
        if (H.client >= 0)
            client_read();
    } while (before != H.got.len);
    turn_unread();
}

HARNESS_UNUSED static void send_bytes(const char *p, size_t n)
{
    while (n) {
        ssize_t done = send(H.client, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0)
            return; /* closed by the server: the test looks at the answer */
        p += done;
        n -= (size_t)done;
        turn_unread();
    }
}

HARNESS_UNUSED static void send_text(const char *text)
{
    send_bytes(text, strlen(text));
    turn();
}

HARNESS_UNUSED static void tick_ms(uint64_t ms)
{
    H.now_ms += ms;
    h1_tick(H.w.h1);
    turn();
}

/* All that came since the last call, as a string that is valid until the next. */
HARNESS_UNUSED static const char *received(void)
{
    static char *last;
    free(last);
    last = malloc(H.got.len + 1);
    if (!last)
        abort();
    if (H.got.len)
        memcpy(last, H.got.data, H.got.len);
    last[H.got.len] = '\0';
    buf_reset(&H.got);
    if (H.got.cap > 1 << 20)
        buf_free(&H.got);
    return last;
}

HARNESS_UNUSED static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
        n++;
    return n;
}

/* --- the server --- */

HARNESS_UNUSED static void connect_client(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    H.client = pair[0];
    H.client_eof = false;
    if (h1_accept(H.w.h1, wire_clear(pair[1]), "test:1") < 0)
        abort();
}

HARNESS_UNUSED static void close_client(void)
{
    if (H.client >= 0)
        close(H.client);
    H.client = -1;
}

HARNESS_UNUSED static int harness_up(void **state)
{
    (void)state;
    memset(&H, 0, sizeof(H));
    log_init(LOG_ERROR, 2, "test", -1);
    H.now_ms = 1000;
    H.client = -1;
    H.conf.limit_header = 16384;
    H.conf.limit_request = 1 << 20;
    H.conf.limit_bodies = 64 << 20;
    H.conf.head_timeout = 10000;
    H.conf.body_timeout = 30000;
    H.conf.idle_timeout = 75000;
    H.conf.write_timeout = 30000;
    H.conf.connections = 100;
    H.conf.pipeline = 4;
    H.metrics = aligned_alloc(64, sizeof(*H.metrics));
    if (!H.metrics)
        return -1;
    memset(H.metrics, 0, sizeof(*H.metrics));
    buf_init(&H.got, 256u << 20);
    H.w.conf = &H.conf;
    H.w.metrics = H.metrics;
    H.w.base = event_base_new();
    if (!H.w.base || h1_open(&H.w, harness_now, NULL, &H.w.h1) < 0)
        return -1;
    connect_client();
    return 0;
}

HARNESS_UNUSED static int harness_down(void **state)
{
    (void)state;
    close_client();
    h1_close(H.w.h1);
    event_base_free(H.w.base);
    buf_free(&H.got);
    received();
    int left = (int)H.metrics->v[METRIC_CONNECTIONS] + (int)H.metrics->v[METRIC_POLLS_PARKED];
    free(H.metrics);
    return left;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

#endif
