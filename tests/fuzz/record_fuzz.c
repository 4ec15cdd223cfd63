/* record_fuzz - shared-memory records of arbitrary bytes, as a worker gone wrong would leave them:
 * decoders refuse or hand out views inside the record, and one value has one encoding. */
#include <stdlib.h>

#include "common/log.h"
#include "shm/command.h"
#include "shm/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Decoded, and encoded again: the same bytes. */
#define ROUND_TRIP(type, name)                                                                     \
    do {                                                                                           \
        struct unpack u = unpack_from(data, n);                                                    \
        struct type c;                                                                             \
        if (name##_decode(&u, &c) == 0) {                                                          \
            size_t used = (size_t)(u.p - data);                                                    \
            unsigned char *copy = malloc(used + 1);                                                \
            must(copy &&name##_size(&c) == used);                                                  \
            struct pack k = pack_into(copy, used);                                                 \
            name##_encode(&k, &c);                                                                 \
            must(!k.bad && pack_len(&k) == used && memcmp(copy, data, used) == 0);                 \
            free(copy);                                                                            \
        }                                                                                          \
    } while (0)

static void commands(const uint8_t *data, size_t n)
{
    ROUND_TRIP(command_open, command_open);
    ROUND_TRIP(command_patch, command_patch);
    ROUND_TRIP(command_attach, command_attach);
    ROUND_TRIP(command_append_item, command_append_item);
    ROUND_TRIP(completion_session, completion_session);
}

static void messages(const uint8_t *data, size_t n)
{
    struct message m;
    const unsigned char *targets;
    uint32_t count;
    if (message_decode(data, n, &m) == 0) {
        unsigned char *copy = malloc(n + 1);
        must(copy && message_size(&m) == n);
        message_encode(&m, copy);
        must(memcmp(copy, data, n) == 0);
        free(copy);
    }
    if (feed_message_decode(str_make((const char *)data, n), &m, &targets, &count) == 0 && count) {
        struct feed_target last;
        memcpy(&last, targets + (count - 1) * sizeof(last), sizeof(last));
        must(targets + count * sizeof(last) <= data + n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    commands(data, n);
    messages(data, n);
    return 0;
}
