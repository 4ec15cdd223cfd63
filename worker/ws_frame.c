/* ws_frame - see ws_frame.h. The length takes no more bytes than it needs (RFC 6455 5.2). */
#include "worker/ws_frame.h"

#define FIN 0x80u
#define LENGTH_16 126
#define LENGTH_64 127

size_t ws_frame_begin(struct buf *b)
{
    static const unsigned char room[WS_FRAME_HEAD];
    size_t begin = b->len;
    buf_append(b, room, sizeof(room));
    return begin;
}

/* Big-endian, into the n bytes that end at `end`. */
static void put(unsigned char *end, size_t n, uint64_t v)
{
    for (size_t i = 1; i <= n; i++, v >>= 8)
        end[-(ptrdiff_t)i] = (unsigned char)v;
}

struct str ws_frame_end(struct buf *b, size_t begin, enum ws_opcode opcode)
{
    if (b->error)
        return str_make(NULL, 0);
    unsigned char *payload = b->data + begin + WS_FRAME_HEAD;
    size_t n = b->len - begin - WS_FRAME_HEAD, head = 2;
    unsigned char length = (unsigned char)n;
    if (n > UINT16_MAX) {
        length = LENGTH_64;
        head += 8;
    } else if (n >= LENGTH_16) {
        length = LENGTH_16;
        head += 2;
    }
    put(payload, head - 2, n);
    unsigned char *at = payload - head;
    at[0] = (unsigned char)(FIN | (unsigned)opcode);
    at[1] = length;
    return str_make(at, head + n);
}

size_t ws_frame_close(unsigned char ret[WS_CLOSE_FRAME_MAX], unsigned code)
{
    ret[0] = FIN | WS_CLOSE;
    ret[1] = code ? 2 : 0;
    ret[2] = (unsigned char)(code >> 8);
    ret[3] = (unsigned char)code;
    return 2u + ret[1];
}
