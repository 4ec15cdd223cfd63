/* ws_fuzz: arbitrary bytes and frames in arbitrary pieces on one WebSocket, beside another.
 *
 * The input is a script: a control byte, then what it asks for. 0..99: that many of the next bytes
 * are sent as they are; 100..199: a masked frame with as many of them as payload, its first byte
 * the next one; 200..209: the application pauses or goes on; 210..219: it writes; 220..229: the
 * clock moves; 230..244: the client reads; 245..249: it closes its sending side; 250..255: the
 * application ends it. Held to: no crash; one on_closed; what is received is the 101 and whole
 * frames of a server, nothing behind a close, as far as it was not cut; nothing is held when all
 * are gone; the other connection hears its own words and no others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker/ws_harness.h"

#define BYSTANDER 1

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "ws_fuzz: %s\n", what);
    abort();
}

static const uint8_t *send_piece(struct client *c, unsigned op, const uint8_t *p,
                                 const uint8_t *end)
{
    unsigned char frame[128];
    size_t n = op % 100, left = (size_t)(end - p);
    if (op < 100) {
        n = n < left ? n : left;
        send_raw(c, p, n);
        return p + n;
    }
    if (left == 0)
        return p;
    unsigned first = *p++;
    n = n < left - 1 ? n : left - 1;
    send_raw(c, frame, make_frame(first, p, n, frame));
    return p + n;
}

static void play(struct client *c, const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        unsigned op = *p++;
        if (op < 200)
            p = send_piece(c, op, p, end);
        else if (op < 220 && !c->ws)
            continue;
        else if (op < 210)
            ws_pause(c->ws, op & 1);
        else if (op < 220)
            say(c->ws, WS_TEXT, str_make(switching, op - 210));
        else if (op < 230) {
            W.now_ms += (op - 219) * 2000;
            ws_tick(W.w.ws);
            send_frame(&W.c[BYSTANDER], FIN | WS_PONG, NULL, 0); /* it is not silent */
        } else if (op < 245)
            client_read(c);
        else if (op < 250)
            shutdown(c->fd, SHUT_WR);
        else if (c->ws)
            ws_end(c->ws, WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED);
        turn_unread();
    }
}

/* 101, frames, at most one close, and that last. */
static void check_received(struct client *c)
{
    buf_append_c(&c->got, '\0');
    c->got.len--;
    const char *head = strstr((const char *)c->got.data, "\r\n\r\n");
    check(head, "the 101");
    buf_consume(&c->got, (size_t)(head + 4 - (const char *)c->got.data));
    struct str payload;
    unsigned last = 0;
    for (unsigned first = next_frame(c, &payload); first; first = next_frame(c, &payload)) {
        unsigned opcode = first & 15;
        check(first & FIN && !(first & 0x70), "a frame is whole");
        check(opcode == WS_TEXT || opcode == WS_BINARY || opcode >= WS_CLOSE, "a server's opcode");
        check(last != WS_CLOSE, "nothing behind a close");
        check(opcode != WS_CLOSE || payload.n == 0 || payload.n == 2, "a close's payload");
        last = opcode;
    }
    check(c->got.len == 0, "no half frames");
}

static struct client *connected(size_t i)
{
    struct client *c = fresh_client(i);
    check(try_connect(c, false) == 0, "accept");
    return c;
}

static void bystander(void)
{
    struct client *b = &W.c[BYSTANDER];
    if (!b->ws) {
        close_client(b);
        connected(BYSTANDER);
    }
    buf_reset(&b->heard);
    send_message(b, "mine");
    check(!b->ws || str_is(buf_str(&b->heard), "mine\n"), "the bystander hears its own words");
    buf_reset(&b->got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *state = NULL;
    if (!W.w.ws) {
        check(ws_up(&state) == 0, "set up");
        log_init(LOG_ERROR + 1, 2, "fuzz", -1);
    }
    bystander();
    struct client *c = connected(0);
    play(c, data, data + size);
    turn();
    bool cut = c->closed && !c->eof;
    if (!cut)
        check_received(c);
    bystander();
    close_client(c);
    if (c->ws)
        ws_pause(c->ws, false); /* a paused one is not read, and so not missed */
    turn();
    check(c->opened == 1 && c->closed == 1, "ends once");
    check(W.w.bodies == 0, "holds nothing");
    check(ws_connections(W.w.ws) == (W.c[BYSTANDER].ws ? 1 : 0), "is gone");
    return 0;
}
