/* command_fuzz - commands, completions and control records of arbitrary bytes, as a worker gone mad
 * would leave them. The first byte chooses the decoder. What is refused leaves the result
 * untouched; what is taken encodes to exactly the bytes it came from. */
#include <stdlib.h>

#include "common/log.h"
#include "shm/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

union any {
    struct command_header header;
    struct command_open open;
    struct command_patch patch;
    struct command_touch touch;
    struct command_attach attach;
    struct command_ack ack;
    struct command_append_item item;
    struct completion_header done;
    struct completion_session session;
    struct append_result result;
    struct feed_session_end end;
};

struct codec {
    size_t (*size)(const union any *v);
    void (*encode)(struct pack *p, const union any *v);
    int (*decode)(struct unpack *u, union any *ret);
};

#define CODEC(kind, member, bytes)                                                                 \
    static size_t kind##_bytes(const union any *v)                                                 \
    {                                                                                              \
        (void)v;                                                                                   \
        return bytes;                                                                              \
    }                                                                                              \
    static void kind##_put(struct pack *p, const union any *v)                                     \
    {                                                                                              \
        kind##_encode(p, &v->member);                                                              \
    }                                                                                              \
    static int kind##_take(struct unpack *u, union any *ret)                                       \
    {                                                                                              \
        return kind##_decode(u, &ret->member);                                                     \
    }

CODEC(command_header, header, COMMAND_HEADER_SIZE)
CODEC(command_open, open, command_open_size(&v->open))
CODEC(command_patch, patch, command_patch_size(&v->patch))
CODEC(command_touch, touch, COMMAND_TOUCH_SIZE)
CODEC(command_attach, attach, command_attach_size(&v->attach))
CODEC(command_ack, ack, COMMAND_ACK_SIZE)
CODEC(command_append_item, item, command_append_item_size(&v->item))
CODEC(completion_header, done, COMPLETION_HEADER_SIZE)
CODEC(completion_session, session, completion_session_size(&v->session))
CODEC(append_result, result, APPEND_RESULT_SIZE)

/* The encoder writes the type, which the decoder's caller has read already. */
static size_t end_bytes(const union any *v)
{
    (void)v;
    return FEED_SESSION_END_SIZE - 1;
}

static void end_put(struct pack *p, const union any *v)
{
    unsigned char whole[FEED_SESSION_END_SIZE];
    struct pack k = pack_into(whole, sizeof(whole));
    feed_session_end_encode(&k, &v->end);
    must(!k.bad && whole[0] == FEED_SESSION_END);
    pack_bytes(p, whole + 1, sizeof(whole) - 1);
}

static int end_take(struct unpack *u, union any *ret)
{
    return feed_session_end_decode(u, &ret->end);
}

static const struct codec codecs[] = {
#define ROW(kind)                                                                                  \
    {                                                                                              \
        kind##_bytes, kind##_put, kind##_take                                                      \
    }
    ROW(command_header),
    ROW(command_open),
    ROW(command_patch),
    ROW(command_touch),
    ROW(command_attach),
    ROW(command_ack),
    ROW(command_append_item),
    ROW(completion_header),
    ROW(completion_session),
    ROW(append_result),
    {end_bytes, end_put, end_take},
#undef ROW
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    const struct codec *c = &codecs[data[0] % (sizeof(codecs) / sizeof(codecs[0]))];
    data++;
    n--;
    union any v, before;
    memset(&v, 0xee, sizeof(v));
    memcpy(&before, &v, sizeof(v));
    struct unpack u = unpack_from(data, n);
    if (c->decode(&u, &v) != 0) {
        must(memcmp(&v, &before, sizeof(v)) == 0);
        return 0;
    }
    size_t used = (size_t)(u.p - data);
    must(!u.bad && used <= n && c->size(&v) == used);
    unsigned char *again = malloc(used);
    must(again != NULL);
    struct pack k = pack_into(again, used);
    c->encode(&k, &v);
    must(!k.bad && pack_len(&k) == used && memcmp(again, data, used) == 0);
    free(again);
    return 0;
}
