/* command_codecs - each kind of record as a table's row: its size, its encoder, its decoder. */
#ifndef TESTS_UNIT_SHM_COMMAND_CODECS_H
#define TESTS_UNIT_SHM_COMMAND_CODECS_H

#include "common/log.h"

#include "shm/command.h"

union any {
    struct command_header header;
    struct command_open open;
    struct command_patch patch;
    struct command_touch touch;
    struct command_attach attach;
    struct command_ack ack;
    struct command_subscribe subscribe;
    struct command_empty empty;
    struct command_append append;
    struct command_append_item item;
    struct completion_header done;
    struct completion_session session;
    struct completion_subscribe subscribed;
    struct append_result result;
    struct feed_session_end end;
    struct feed_subscribe fed;
    struct feed_fence fence;
};

struct codec {
    const char *name;
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
    }                                                                                              \
    static const struct codec kind = {#kind, kind##_bytes, kind##_put, kind##_take};

CODEC(command_header, header, COMMAND_HEADER_SIZE)
CODEC(command_open, open, command_open_size(&v->open))
CODEC(command_patch, patch, command_patch_size(&v->patch))
CODEC(command_touch, touch, COMMAND_TOUCH_SIZE)
CODEC(command_attach, attach, command_attach_size(&v->attach))
CODEC(command_ack, ack, COMMAND_ACK_SIZE)
CODEC(command_subscribe, subscribe, command_subscribe_size(&v->subscribe))
CODEC(command_empty, empty, command_empty_size(&v->empty))
CODEC(command_append, append, COMMAND_APPEND_HEAD_SIZE)
CODEC(command_append_item, item, command_append_item_size(&v->item))
CODEC(completion_header, done, COMPLETION_HEADER_SIZE)
CODEC(completion_session, session, COMPLETION_SESSION_SIZE)
CODEC(completion_subscribe, subscribed, COMPLETION_SUBSCRIBE_SIZE)
CODEC(append_result, result, APPEND_RESULT_SIZE)

/* Control records begin with their type, which the decoder's caller has read already: here it is
 * taken off what the encoder wrote. */
#define CONTROL(kind, member, type, bytes)                                                         \
    static size_t kind##_bytes(const union any *v)                                                 \
    {                                                                                              \
        (void)v;                                                                                   \
        return (bytes)-1;                                                                          \
    }                                                                                              \
    static void kind##_put(struct pack *p, const union any *v)                                     \
    {                                                                                              \
        unsigned char whole[1024];                                                                 \
        struct pack k = pack_into(whole, bytes);                                                   \
        kind##_encode(&k, &v->member);                                                             \
        must(!k.bad && k.p == k.end && whole[0] == (type));                                        \
        pack_bytes(p, whole + 1, (bytes)-1);                                                       \
    }                                                                                              \
    static int kind##_take(struct unpack *u, union any *ret)                                       \
    {                                                                                              \
        return kind##_decode(u, &ret->member);                                                     \
    }                                                                                              \
    static const struct codec kind = {#kind, kind##_bytes, kind##_put, kind##_take};

CONTROL(feed_session_end, end, FEED_SESSION_END, FEED_SESSION_END_SIZE)
CONTROL(feed_subscribe, fed, FEED_SUBSCRIBE, feed_subscribe_size(&v->fed))
CONTROL(feed_unsubscribe, fed, FEED_UNSUBSCRIBE, FEED_UNSUBSCRIBE_SIZE)
CONTROL(feed_fence, fence, FEED_FENCE, FEED_FENCE_SIZE)

#endif
