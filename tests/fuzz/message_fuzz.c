/* message_fuzz - stored values and feed bodies of arbitrary bytes. The first byte chooses. What is
 * refused leaves the results untouched; what is taken encodes to exactly the bytes it came from. */
#include <stdlib.h>

#include "common/log.h"
#include "shm/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void value(const uint8_t *data, size_t n)
{
    struct message m, before;
    memset(&m, 0, sizeof(m));
    m.seq = 77;
    memcpy(&before, &m, sizeof(m));
    if (message_decode(data, n, &m) != 0) {
        must(memcmp(&m, &before, sizeof(m)) == 0);
        return;
    }
    must(m.seq == 77 && message_size(&m) == n);
    unsigned char *again = malloc(n);
    must(again != NULL);
    message_encode(&m, again);
    must(memcmp(again, data, n) == 0);
    free(again);
}

static void feed_body(const uint8_t *data, size_t n)
{
    struct message m, before;
    memset(&m, 0, sizeof(m));
    memcpy(&before, &m, sizeof(m));
    const unsigned char *at = NULL;
    uint32_t count = 0;
    if (feed_message_decode(str_make(data, n), &m, &at, &count) != 0) {
        must(memcmp(&m, &before, sizeof(m)) == 0 && at == NULL && count == 0);
        return;
    }
    must(count > 0 && feed_message_size(&m, count) == n);
    struct feed_target *targets = malloc(count * sizeof(*targets));
    unsigned char *again = malloc(n);
    must(targets != NULL && again != NULL);
    memcpy(targets, at, count * sizeof(*targets));
    feed_message_encode(&m, targets, count, again);
    must(memcmp(again, data, n) == 0);
    free(again);
    free(targets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    if (data[0] % 2)
        feed_body(data + 1, n - 1);
    else
        value(data + 1, n - 1);
    return 0;
}
