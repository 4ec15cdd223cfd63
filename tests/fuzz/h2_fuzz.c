/* h2_fuzz: frames, sound and broken, and arbitrary bytes, on one HTTP/2 connection.
 *
 * The input is a script: a control byte, then what it asks for. 0..99: that many of the next bytes
 * are sent as they are; 100..149: one frame whose type, flags and stream are the next three bytes,
 * its payload as many of those after as the control byte is above 100; 150..169: a request with the
 * path of the next byte's choice; 170..189: a held exchange is answered, or its stream goes on;
 * 190..209: the clock moves; 210..219: the client reads; 220..229: windows open; 230..235: the
 * client closes its sending side; 236..240: the server drains. Held to: no crash; every exchange
 * ends exactly once; what comes from the server is whole frames; gauges return to zero.
 */
#include "tests/unit/worker/h2_harness.h"

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "h2_fuzz: %s\n", what);
    abort();
}

static void answer_one(uint8_t which)
{
    for (size_t i = 0; i < H.nheld; i++) {
        struct exchange **at = &H.held[(which + i) % H.nheld];
        if (!*at)
            continue;
        if ((*at)->answered && which % 2) {
            exchange_stream_write(*at, STR("piece"));
            return;
        }
        struct exchange *ex = *at;
        *at = NULL;
        if (ex->answered)
            exchange_stream_end(ex);
        else
            answer_text(ex, STR("later"));
        return;
    }
}

/* Fewer held exchanges than HELD_MAX at all times: the server is asked to make room. */
static void make_room(void)
{
    size_t n = 0;
    for (size_t i = 0; i < H.nheld; i++) {
        if (H.held[i])
            H.held[n++] = H.held[i];
    }
    H.nheld = n;
    while (H.nheld > HELD_MAX / 4) {
        struct exchange *ex = H.held[--H.nheld];
        if (!ex->answered)
            answer_text(ex, STR("room"));
        else
            exchange_stream_end(ex);
    }
}

static const char *const paths[] = {"/now",      "/echo",  "/later", "/park",   "/deny",
                                    "/small",    "/close", "/empty", "/stream", "/big?70000",
                                    "/now?a%20", "bad",    "*",      ""};

static uint8_t next(const uint8_t **p, const uint8_t *end)
{
    return *p < end ? *(*p)++ : 0;
}

static void play_frame(uint8_t op, const uint8_t **p, const uint8_t *end)
{
    uint8_t type = next(p, end), flags = next(p, end), id = next(p, end);
    size_t n = (size_t)(op - 100);
    if (n > (size_t)(end - *p))
        n = (size_t)(end - *p);
    send_frame(type, flags, id, *p, n);
    *p += n;
}

static void play_request(uint8_t op, uint8_t choice, uint32_t *id)
{
    put_request(op % 4 ? "GET" : "POST", paths[choice % (sizeof(paths) / sizeof(paths[0]))]);
    send_block(*id, (uint8_t)(END_HEADERS | (choice & 0x80 ? 0 : END_STREAM)));
    *id += 2;
}

static void play(const uint8_t *p, const uint8_t *end)
{
    uint32_t id = 1;
    while (p < end) {
        uint8_t op = *p++;
        if (op < 100) {
            size_t n = (size_t)(end - p) < op ? (size_t)(end - p) : op;
            h2_send(p, n);
            p += n;
        } else if (op < 150) {
            play_frame(op, &p, end);
        } else if (op < 170) {
            play_request(op, next(&p, end), &id);
        } else if (op < 190) {
            answer_one(op);
        } else if (op < 210) {
            H.now_ms += (uint64_t)(op - 189) * 4000;
            h2_tick(H.w.h2);
        } else if (op < 220) {
            client_read();
        } else if (op < 230) {
            send_window((uint32_t)(op - 220) & 1 ? next(&p, end) : 0, 100000);
        } else if (op < 236) {
            shutdown(H.client, SHUT_WR);
        } else if (op < 241) {
            h2_drain(H.w.h2);
        }
        h2_turn_unread();
        make_room();
    }
}

static void check_frames(void)
{
    size_t at = 0;
    while (H.got.len - at >= 9) {
        const uint8_t *p = H.got.data + at;
        size_t n = number(p) >> 8;
        check(n <= 16384, "a frame is not too long");
        check(p[3] <= NGHTTP2_CONTINUATION, "a frame has a known type");
        if (H.got.len - at < 9 + n)
            return;
        at += 9 + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *state = NULL;
    check(h2_up_silent(&state) == 0, "set up");
    log_init(LOG_ERROR + 1, 2, "fuzz", -1);
    H.conf.limit_request = 20000;
    H.conf.limit_header = 2000;
    if (size == 0 || data[0] % 8) { /* most begin well */
        h2_send(WIRE_PREFACE, WIRE_PREFACE_LEN);
        send_frame(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    }
    play(data + (size > 0), data + size);
    h2_turn_unread();
    client_read();
    check_frames();
    check(h2_down(&state) == 0, "gauges return to zero");
    check(H.sent + H.gone == H.heads, "every exchange ends exactly once");
    return 0;
}
