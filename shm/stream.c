/* stream - heads: making, reading and writing them; who may still be shown. */
#include <errno.h>
#include <stddef.h>

#include "shm/meta.h"
#include "shm/stream_priv.h"

/* The head is stored as it stands in memory: no padding, so equal heads are equal bytes. */
_Static_assert(sizeof(struct stream_head) == 14 * 8 + 3 * 4 + 4, "the head has no padding");

int stream_create(struct txn *t, enum stream_kind kind, uint64_t *ret_id)
{
    struct stream_head h = {.kind = (uint8_t)kind};
    uint64_t id;
    int rc = meta_next_stream(t, &id);
    if (rc == 0)
        rc = stream_head_put(t, id, &h);
    if (rc == 0)
        *ret_id = id;
    return rc;
}

int stream_head(struct txn *t, uint64_t stream, struct stream_head *ret)
{
    unsigned char key[KEY_STREAM];
    struct str v;
    int rc = txn_get(t, DB_LOG, key_stream(key, stream, STREAM_HEAD_SEQ), &v);
    if (rc < 0)
        return rc;
    if (v.n != sizeof(*ret))
        return -EUCLEAN;
    memcpy(ret, v.p, sizeof(*ret));
    return 0;
}

int stream_head_put(struct txn *t, uint64_t stream, const struct stream_head *h)
{
    unsigned char key[KEY_STREAM];
    return txn_put(t, DB_LOG, key_stream(key, stream, STREAM_HEAD_SEQ), str_make(h, sizeof(*h)));
}

bool stream_visible(const struct stream_head *h, const struct message *m, uint64_t now_ms,
                    uint64_t age_ms)
{
    if (m->seq <= h->floor)
        return false;
    if (m->expires_ms != 0 && m->expires_ms <= now_ms)
        return false;
    return age_ms == 0 || m->time_ms + age_ms > now_ms;
}
