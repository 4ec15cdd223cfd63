/* socket_harness - sessions over a WebSocket, above the fake store and a fake ws.
 *
 * ws.c is replaced here: what is written is kept, the test says what the kernel has taken and when
 * there is room, plays the client, and sees how a socket was ended. ask() goes through the request
 * and the hand-over; hear() is all that was said since the last look, as JSON, a line an object.
 */
#ifndef TESTS_UNIT_WORKER_SOCKET_HARNESS_H
#define TESTS_UNIT_WORKER_SOCKET_HARNESS_H

#include "rest_harness.h"

#include "worker/rate.h"
#include "worker/ws.h"
#include "worker/ws_frame.h"

#define UPGRADE "Host: here\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
#define JSON_PROTOCOL "Sec-WebSocket-Protocol: restante.v1.json"
#define MSGPACK_PROTOCOL "Sec-WebSocket-Protocol: restante.v1.msgpack"

struct ws {
    const struct ws_ops *ops;
    void *arg;
    struct buf out;
    size_t kernel, seen; /* bytes of it */
    size_t room;         /* bytes that may wait */
    size_t writes;
    bool full, paused, ended, refuse;
    enum ws_close code;
    enum metric why;
};

static struct {
    struct ws ws; /* one at a time */
    bool open;
    bool upgradable;
    unsigned handed;
    int accept;        /* what ws_accept says */
    char protocol[32]; /* of the handshake; empty: none */
    char key[32];
} W;

/* --- the fake ws --- */

bool ws_key_valid(struct str key)
{
    return key.n == WS_KEY_TEXT && key.p[23] == '=';
}

int ws_accept(struct ws_server *s, struct wire wire, const char *remote,
              const struct ws_handshake *handshake, const struct ws_ops *ops, void *arg)
{
    static unsigned char memory[4 << 20];
    (void)s;
    assert_int_equal(wire.fd, 77);
    assert_string_equal(remote, "127.0.0.1:9");
    assert_true(handshake->request_id[0]);
    if (W.accept)
        return W.accept;
    assert_false(W.open);
    W.open = true;
    W.ws = (struct ws){.ops = ops, .arg = arg, .room = WS_OUT_MAX};
    buf_fixed(&W.ws.out, memory, sizeof(memory)); /* its memory is not what may fail */
    snprintf(W.protocol, sizeof(W.protocol), "%s", handshake->protocol ? handshake->protocol : "");
    snprintf(W.key, sizeof(W.key), "%.*s", (int)handshake->key.n, handshake->key.p);
    ops->on_open(arg, &W.ws);
    return 0;
}

int ws_write(struct ws *ws, struct str frames)
{
    assert_true(W.open);
    if (ws->ended)
        return 0;
    if (ws->refuse)
        return -ENOMEM;
    assert_false(ws->full); /* who was told waits for room */
    assert_int_equal(buf_append_str(&ws->out, frames), 0);
    ws->writes++;
    ws->full = ws->out.len - ws->kernel >= ws->room;
    return ws->full ? -EAGAIN : 0;
}

bool ws_has_room(const struct ws *ws)
{
    return !ws->full;
}

size_t ws_backlog(const struct ws *ws)
{
    return ws->out.len - ws->kernel;
}

void ws_pause(struct ws *ws, bool paused)
{
    assert_true(paused != ws->paused);
    assert_false(ws->ended);
    ws->paused = paused;
}

void ws_end(struct ws *ws, enum ws_close code, enum metric why)
{
    if (ws->ended)
        return;
    ws->ended = true;
    ws->code = code;
    ws->why = why;
}

const char *ws_remote(const struct ws *ws)
{
    (void)ws;
    return "127.0.0.1:9";
}

/* --- the connection --- */

/* It is gone; with why, or as it was ended. */
HARNESS_UNUSED static void close_socket(void)
{
    assert_true(W.open);
    W.ws.ops->on_closed(W.ws.arg, W.ws.ended ? W.ws.why : METRIC_SOCKET_CLOSED_PEER);
    W.open = false;
}

/* The kernel takes all, and so there is room. */
HARNESS_UNUSED static void drain_socket(void)
{
    W.ws.kernel = W.ws.out.len;
    if (!W.ws.full || W.ws.ended)
        return;
    W.ws.full = false;
    W.ws.ops->on_room(W.ws.arg);
}

HARNESS_UNUSED static void assert_ended_at(enum ws_close code, enum metric why, int line)
{
    if (!W.ws.ended || W.ws.code != code || W.ws.why != why)
        fail_msg("line %d: ended %d with %d, metric %d; expected %d, %d", line, W.ws.ended,
                 (int)W.ws.code, (int)W.ws.why, (int)code, (int)why);
}
#define assert_ended(code, why) assert_ended_at((code), (why), __LINE__)
#define assert_open() assert_false(W.ws.ended)

static bool is_msgpack(void)
{
    return strcmp(W.protocol, "restante.v1.msgpack") == 0;
}

/* One frame from the front of s: its payload, whole and unmasked. */
static struct str take_frame(struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    assert_true(s->n >= 2);
    assert_int_equal(p[0], 0x80 | (is_msgpack() ? WS_BINARY : WS_TEXT));
    size_t n = p[1], head = 2;
    if (n >= 126) {
        head += n == 126 ? 2 : 8;
        n = 0;
        for (size_t i = 2; i < head; i++)
            n = n << 8 | p[i];
    }
    assert_true(s->n >= head + n);
    struct str payload = str_make(s->p + head, n);
    *s = str_make(s->p + head + n, s->n - head - n);
    return payload;
}

HARNESS_UNUSED static const char *hear(void)
{
    static char text[4 << 20];
    struct str s = str_make((const char *)W.ws.out.data + W.ws.seen, W.ws.out.len - W.ws.seen);
    struct buf b;
    buf_fixed(&b, text, sizeof(text));
    while (s.n) {
        struct str payload = take_frame(&s);
        struct mp_value v;
        if (b.len)
            buf_append_c(&b, '\n');
        if (!is_msgpack()) {
            assert_int_equal(json_check(payload, NULL), 0);
            buf_append_str(&b, payload);
            continue;
        }
        assert_int_equal(mp_check(payload, &v), 0);
        assert_int_equal(mp_to_json(v, &b), 0);
    }
    W.ws.seen = W.ws.out.len;
    assert_int_equal(b.error, 0);
    text[b.len] = '\0';
    return text;
}

HARNESS_UNUSED static void assert_hears_at(const char *text, int line)
{
    const char *heard = hear();
    if (strcmp(heard, text) != 0)
        fail_msg("line %d: heard %s\nexpected %s", line, heard, text);
}
#define assert_hears(text) assert_hears_at((text), __LINE__)
#define assert_hears_nothing() assert_hears_at("", __LINE__)

/* The last word begins with this. */
HARNESS_UNUSED static void assert_hears_of_at(const char *text, int line)
{
    const char *heard = hear();
    if (!strstr(heard, text))
        fail_msg("line %d: heard %s\nexpected in it %s", line, heard, text);
}
#define assert_hears_of(text) assert_hears_of_at((text), __LINE__)

/* What the client says, given as JSON, in the encoding of its protocol. */
HARNESS_UNUSED static void tell(const char *json)
{
    struct buf b;
    if (!is_msgpack()) {
        W.ws.ops->on_message(W.ws.arg, false, str_of(json));
        return;
    }
    const struct json_value v = {.raw = str_of(json)};
    buf_init(&b, 1 << 20);
    assert_int_equal(mp_from_json(v, &b), 0);
    W.ws.ops->on_message(W.ws.arg, true, buf_str(&b));
    buf_free(&b);
}

/* --- the request --- */

static bool may_upgrade(const struct exchange *ex)
{
    (void)ex;
    return W.upgradable;
}

static void on_hand_over(struct exchange *ex)
{
    (void)ex;
    W.handed++;
}

static const struct exchange_transport socket_transport = {
    .proto = "test",
    .answer = on_answer,
    .may_upgrade = may_upgrade,
    .hand_over = on_hand_over,
};

/* Judged, but not handed over yet. */
HARNESS_UNUSED static void ask(const char *query, const char *headers)
{
    char line[1024];
    snprintf(line, sizeof(line), "GET /v1/socket%s", query);
    W.handed = 0;
    say(line, headers, NULL);
}

/* The turn of what was handed over has come. */
HARNESS_UNUSED static void hand_wire(void)
{
    if (W.handed != 1)
        fail_msg("not handed over: %d %s", R.ex.out_status, answer());
    assert_int_equal(R.answers, 0);
    exchange_handed(&R.ex, (struct wire){.fd = 77});
    exchange_free(&R.ex);
    R.open = false;
}

/* Session 0 by its own token, with more query and more headers. */
HARNESS_UNUSED static void open_socket(const char *more_query, const char *more_headers)
{
    char query[512], headers[2048];
    snprintf(query, sizeof(query), "?session=%s%s", sid(0), more_query);
    snprintf(headers, sizeof(headers), UPGRADE "\n%s%s%s", token_of(0), *more_headers ? "\n" : "",
             more_headers);
    ask(query, headers);
    hand_wire();
}

/* Opened, and hello heard. */
HARNESS_UNUSED static void connect_socket(const char *protocol)
{
    open_socket("", protocol);
    assert_non_null(strstr(hear(), "{\"t\":\"hello\""));
    proceed();
    assert_hears_nothing();
}

static int socket_up(void **state)
{
    int err = rest_open(state);
    memset(&W, 0, sizeof(W));
    W.upgradable = true;
    R.transport = &socket_transport;
    F.conf.server_heartbeat = 25000;
    F.conf.server_retry = 2000;
    F.conf.limit_frame = 512 << 10;
    F.conf.pending = 4;
    F.conf.publish_rate = 10;
    return err ? err : rate_open(&R.w.rate);
}

static int socket_down(void **state)
{
    if (W.open)
        close_socket();
    rate_close(R.w.rate);
    R.w.rate = NULL;
    return rest_close(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, socket_up, socket_down)

#endif
