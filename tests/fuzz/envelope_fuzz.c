/* envelope_fuzz - any body: whatever is taken encodes to a command that the writer takes too.
 *
 * The first byte chooses: a single envelope or a batch item, in JSON or MessagePack, or a payload
 * with headers. What comes out must keep every promise of command.h, or a client could have its
 * worker killed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/command.h"
#include "shm/message.h"
#include "worker/envelope.h"

#define LIMIT 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int cond)
{
    if (!cond)
        abort();
}

static void encodes(const struct envelope *e)
{
    struct command_append_item item = {
        .target = e->target ? e->target : APPEND_SESSION,
        .keyed = e->key.n > 0,
        .flags = e->flags,
        .session = {1},
        .name = e->target > APPEND_SESSION ? e->name : str_make(NULL, 0),
        .ttl_ms = e->ttl_ms,
        .id = e->key,
        .event = e->event,
        .content_type = e->content_type,
        .collapse = e->collapse,
        .payload = e->payload,
    };
    size_t max = command_append_item_size(&item);
    unsigned char *at = malloc(max);
    struct pack p = pack_into(at, max);
    command_append_item_encode(&p, &item);
    check(!p.bad);
    struct unpack u = unpack_from(at, pack_len(&p));
    struct command_append_item back;
    check(command_append_item_decode(&u, &back) == 0);
    check(unpack_done(&u));
    check(str_eq(back.payload, e->payload) && str_eq(back.event, e->event));
    free(at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct envelope e;
    struct envelope_error error = {.code = CODE_OK};
    struct buf scratch;
    buf_init(&scratch, 2 * size);
    bool taken = false;
    if (data[0] % 3 == 2) {
        size_t cut = data[1] < size - 2 ? data[1] : size - 2;
        struct str name = str_make(data + 2, cut), rest = str_make(data + 2 + cut, size - 2 - cut);
        struct envelope_headers h = {
            .content_type = name, .event = name, .collapse = name, .ttl = STR("5s")};
        taken = envelope_of_payload(&h, rest, LIMIT, &e, &error);
    } else {
        struct datum v;
        enum encoding encoding = data[0] & 0x40 ? ENCODING_MSGPACK : ENCODING_JSON;
        if (datum_check(encoding, str_make(data + 1, size - 1), &v) == 0)
            taken = envelope_decode(&v, data[0] % 3 == 1, LIMIT, &scratch, &e, &error);
        else
            error = (struct envelope_error){CODE_BAD_REQUEST, "neither"};
    }
    if (taken) {
        check(e.payload.n <= LIMIT);
        if (e.flags & MESSAGE_JSON)
            check(json_check(e.payload, NULL) == 0);
        if (e.flags & MESSAGE_MSGPACK)
            check(mp_check(e.payload, NULL) == 0);
        if (e.flags & MESSAGE_TEXT)
            check(utf8_valid(e.payload));
        encodes(&e);
    } else {
        check(error.code == CODE_BAD_REQUEST || error.code == CODE_TOO_LARGE);
        check(error.why != NULL);
    }
    buf_free(&scratch);
    return 0;
}
