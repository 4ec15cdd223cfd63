/* socket_frame - objects into frames: text for JSON, binary for MessagePack.
 *
 * A message object gets its first member by a trick that moves nothing: the object is made right
 * behind the words that introduce it, and its first byte, a brace or the header of a map, then
 * gives way to a comma or to the last letter before it.
 */
#include "worker/socket_frame.h"

#include "worker/route.h"

#include <errno.h>

static int finish(struct buf *out, size_t begin, enum ws_opcode opcode, struct str *ret)
{
    struct str frame = ws_frame_end(out, begin, opcode);
    if (out->error)
        return out->error;
    *ret = frame;
    return 0;
}

int socket_message_json(const struct message *m, struct str stream, uint64_t epoch, struct buf *out,
                        struct str *ret)
{
    buf_reset(out);
    size_t begin = ws_frame_begin(out);
    buf_append_str(out, STR("{\"t\":\"message\""));
    size_t brace = out->len;
    int err = message_json(m, stream, epoch, out);
    if (err)
        return err;
    out->data[brace] = ',';
    return finish(out, begin, WS_TEXT, ret);
}

/* {"t":"message" as a map of one pair, less its last letter. */
#define MAP_OPENING "\x81\xa1t\xa7messag"

int socket_message_msgpack(const struct message *m, struct str stream, uint64_t epoch,
                           struct buf *out, struct str *ret)
{
    buf_reset(out);
    size_t begin = ws_frame_begin(out), map = out->len;
    buf_append_str(out, STR(MAP_OPENING));
    size_t inner = out->len;
    int err = message_msgpack(m, stream, epoch, out);
    if (err)
        return err;
    out->data[map] = (unsigned char)(out->data[inner] + 1); /* one pair more */
    out->data[inner] = 'e';
    return finish(out, begin, WS_BINARY, ret);
}

int socket_frame(enum encoding encoding, struct str json, struct buf *out, struct str *ret)
{
    buf_reset(out);
    size_t begin = ws_frame_begin(out);
    if (encoding == ENCODING_JSON) {
        buf_append_str(out, json);
        return finish(out, begin, WS_TEXT, ret);
    }
    const struct json_value v = {.raw = json};
    int err = mp_from_json(v, out);
    return err ? err : finish(out, begin, WS_BINARY, ret);
}
