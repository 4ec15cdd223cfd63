/* command_codecs - each kind of record as a table's row: its size, its encoder, its decoder. */
#ifndef TESTS_UNIT_SHM_COMMAND_CODECS_H
#define TESTS_UNIT_SHM_COMMAND_CODECS_H

#include "shm/command.h"

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
CODEC(command_append_item, item, command_append_item_size(&v->item))
CODEC(completion_header, done, COMPLETION_HEADER_SIZE)
CODEC(completion_session, session, COMPLETION_SESSION_SIZE)
CODEC(append_result, result, APPEND_RESULT_SIZE)

#endif
