/* ws_scan - see ws_scan.h. A head is judged byte by byte, because it may arrive so. */
#include "worker/ws_scan.h"

#include <string.h>

#include "worker/ws_frame.h"

#define FIN 0x80u
#define RSV 0x70u
#define OPCODE 0x0fu
#define CONTROL 0x08u
#define MASKED 0x80u
#define LENGTH 0x7fu
#define LENGTH_16 126u
#define LENGTH_64 127u
#define MASK_LEN 4u

static unsigned opcode_of(const struct ws_scan *s)
{
    return s->head[0] & OPCODE;
}

static bool is_control(const struct ws_scan *s)
{
    return s->head[0] & CONTROL;
}

static bool is_final(const struct ws_scan *s)
{
    return s->head[0] & FIN;
}

static unsigned length_bytes(const struct ws_scan *s)
{
    unsigned length = s->head[1] & LENGTH;
    return length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
}

static unsigned head_bytes(const struct ws_scan *s)
{
    return 2 + length_bytes(s) + (s->head[1] & MASKED ? MASK_LEN : 0);
}

/* --- the judgements --- */

static bool first_is_fine(const struct ws_scan *s)
{
    if (s->head[0] & RSV)
        return false;
    switch (opcode_of(s)) {
    case WS_CONTINUATION:
        return s->open;
    case WS_TEXT:
    case WS_BINARY:
        return !s->open;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return is_final(s);
    default:
        return false;
    }
}

static bool second_is_fine(const struct ws_scan *s)
{
    unsigned length = s->head[1] & LENGTH;
    if (!(s->head[1] & MASKED))
        return false;
    if (!is_control(s))
        return true;
    return length <= WS_CONTROL_MAX && !(opcode_of(s) == WS_CLOSE && length == 1);
}

/* As few bytes as will do (RFC 6455 5.2), and no sign bit. */
static bool length_is_fine(const struct ws_scan *s)
{
    switch (length_bytes(s)) {
    case 8:
        return s->left > UINT16_MAX && s->left <= INT64_MAX;
    case 2:
        return s->left >= LENGTH_16;
    default:
        return true;
    }
}

/* --- the bytes --- */

static void end_frame(struct ws_scan *s)
{
    s->have = 0;
    s->inside = false;
    if (is_control(s))
        return;
    s->open = !is_final(s);
    if (!s->open)
        s->message = 0;
}

static enum ws_seen length_known(struct ws_scan *s, uint64_t max)
{
    if (!length_is_fine(s))
        return WS_SEEN_FAULT;
    if (is_control(s))
        return WS_SEEN_ALL;
    if (s->left > max || s->message > max - s->left) {
        s->message = max; /* what follows of it is too large as well */
        return WS_SEEN_LARGE;
    }
    s->message += s->left;
    return WS_SEEN_ALL;
}

/* One byte of a head. */
static enum ws_seen take_head(struct ws_scan *s, unsigned char byte, uint64_t max)
{
    enum ws_seen seen = WS_SEEN_ALL;
    unsigned at = s->have++;
    if (at == 0) {
        s->head[0] = byte;
        seen = first_is_fine(s) ? WS_SEEN_ALL : WS_SEEN_FAULT;
    } else if (at == 1) {
        s->head[1] = byte;
        s->left = length_bytes(s) ? 0 : byte & LENGTH;
        seen = second_is_fine(s) ? WS_SEEN_ALL : WS_SEEN_FAULT;
        if (seen == WS_SEEN_ALL && length_bytes(s) == 0)
            seen = length_known(s, max);
    } else if (at < 2 + length_bytes(s)) {
        s->left = s->left << 8 | byte;
        if (at == 1 + length_bytes(s))
            seen = length_known(s, max);
    }
    s->inside = s->have >= 2 && s->have == head_bytes(s);
    return seen;
}

static enum ws_seen frame_seen(const struct ws_scan *s)
{
    switch (opcode_of(s)) {
    case WS_CLOSE:
        return WS_SEEN_CLOSE;
    case WS_PING:
        return WS_SEEN_PING;
    default:
        return WS_SEEN_ALL;
    }
}

struct ws_run ws_scan(struct ws_scan *s, const unsigned char *p, size_t n, uint64_t max)
{
    struct ws_run r = {.seen = WS_SEEN_ALL};
    unsigned messages = 0;
    while (r.used < n && r.seen == WS_SEEN_ALL) {
        r.whole = false;
        if (!s->inside) {
            r.seen = take_head(s, p[r.used++], max);
            if (!s->inside || r.seen != WS_SEEN_ALL)
                continue;
        }
        size_t take = s->left < n - r.used ? (size_t)s->left : n - r.used;
        r.used += take;
        s->left -= take;
        if (s->left)
            break;
        end_frame(s);
        r.seen = frame_seen(s);
        if (is_control(s))
            continue;
        r.whole = true;
        r.frames++;
        messages += !s->open;
        if (messages == WS_SCAN_BURST && r.used < n)
            r.seen = WS_SEEN_BURST;
    }
    return r;
}
