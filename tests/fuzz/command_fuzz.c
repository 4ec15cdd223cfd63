/* command_fuzz - commands, completions and control records of arbitrary bytes, as a worker gone mad
 * would leave them. The first byte chooses the decoder. What is refused leaves the result
 * untouched; what is taken encodes to exactly the bytes it came from. */
#include <stdlib.h>

#include "common/log.h"

#include "tests/unit/shm/command_codecs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct codec *const codecs[] = {
    &command_header,     &command_open,   &command_patch,        &command_touch,
    &command_attach,     &command_ack,    &command_append_item,  &completion_header,
    &completion_session, &append_result,  &feed_session_end,     &command_subscribe,
    &command_empty,      &command_append, &completion_subscribe, &feed_subscribe,
    &feed_unsubscribe,   &feed_fence,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    const struct codec *c = codecs[data[0] % (sizeof(codecs) / sizeof(codecs[0]))];
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
