/* h1_fuzz: arbitrary bytes in arbitrary pieces on one connection.
 *
 * The input is a script: a control byte, then what it asks for. 0..199: that many of the next bytes
 * are sent; 200..219: a held exchange is answered; 220..229: the clock moves; 230..239: the client
 * reads; 240..247: the client closes its sending side; 248..255: the server drains. Held to: no
 * crash; every exchange ends exactly once; at most one answer per request; what is received is a
 * sequence of whole answers, as far as it was not cut.
 */
#include "tests/unit/worker/h1_harness.h"

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "h1_fuzz: %s\n", what);
    abort();
}

static void answer_one(size_t which)
{
    for (size_t i = 0; i < H.nheld; i++) {
        struct exchange *ex = H.held[(which + i) % H.nheld];
        if (!ex)
            continue;
        if (!ex->answered)
            answer_text(ex, STR("later"));
        else
            exchange_stream_end(ex);
        H.held[(which + i) % H.nheld] = NULL;
        return;
    }
}

/* Fewer held exchanges than HELD_MAX at all times: the oldest are answered first. */
static void make_room(void)
{
    size_t n = 0;
    for (size_t i = 0; i < H.nheld; i++) {
        if (H.held[i])
            H.held[n++] = H.held[i];
    }
    H.nheld = n;
    while (n > HELD_MAX / 2)
        answer_one(--n);
}

static void play(const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        uint8_t op = *p++;
        if (op < 200) {
            size_t n = (size_t)(end - p) < op ? (size_t)(end - p) : op;
            send_bytes((const char *)p, n);
            p += n;
        } else if (op < 220) {
            answer_one(op);
        } else if (op < 230) {
            H.now_ms += (uint64_t)(op - 219) * 5000;
            h1_tick(H.w.h1);
        } else if (op < 240) {
            client_read();
        } else if (op < 248) {
            shutdown(H.client, SHUT_WR);
        } else {
            h1_drain(H.w.h1);
        }
        turn_unread();
        make_room();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *state = NULL;
    check(harness_up(&state) == 0, "set up");
    log_init(LOG_ERROR + 1, 2, "fuzz", -1);
    play(data, data + size);
    turn();
    const char *text = received();
    check(strlen(text) == 0 || strncmp(text, "HTTP/1.1 ", 9) == 0,
          "an answer begins with its status");
    /* A head is counted for each request the application saw; at most one fault comes on top. */
    check(count_of(text, "\r\nServer: restante\r\n") <= H.heads + 1, "one answer per request");
    check(harness_down(&state) == 0, "gauges return to zero");
    check(H.sent + H.gone == H.heads, "every exchange ends exactly once");
    return 0;
}
