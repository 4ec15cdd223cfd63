/* meta - the rows of the store's own facts.
 *
 * "state" is rewritten by every commit, so its positions are written only for the slots in use:
 *
 *   u64 schema, epoch, last_seq, batch, writer, time_ms, ring_set | u32 slots | u64
 * inbox_pos[slots]
 *
 * "stream" is a row of its own: streams are made in the middle of a batch, by code that does not
 * know the writer's state.
 */
#include <errno.h>
#include <stddef.h>

#include "common/log.h"
#include "common/pack.h"

#include "shm/meta.h"

#define STATE_FIXED (7 * 8 + 4)
#define STATE_SCHEMA 0 /* offsets */
#define STATE_LAST_SEQ 16
#define STATE_WRITER 32
#define STATE_TIME 40

static int state_row(struct txn *t, struct str *ret)
{
    int rc = txn_get(t, DB_META, STR("state"), ret);
    if (rc == 0 && ret->n < STATE_FIXED)
        return -EUCLEAN;
    return rc;
}

static int member(struct txn *t, size_t at, uint64_t *ret)
{
    struct str v;
    int rc = state_row(t, &v);
    if (rc == 0)
        memcpy(ret, v.p + at, sizeof(*ret));
    return rc;
}

static int last_stream(struct txn *t, uint64_t *ret)
{
    struct str v;
    int rc = txn_get(t, DB_META, STR("stream"), &v);
    if (rc == -ENOENT) {
        *ret = 0;
        return 0;
    }
    if (rc < 0)
        return rc;
    if (v.n != sizeof(*ret))
        return -EUCLEAN;
    memcpy(ret, v.p, sizeof(*ret));
    return 0;
}

int meta_get(struct txn *t, struct meta *ret)
{
    struct str v;
    int rc = state_row(t, &v);
    if (rc < 0)
        return rc;
    struct unpack u = unpack_from(v.p, v.n);
    struct meta m = {.schema = unpack_u64(&u)};
    m.epoch = unpack_u64(&u);
    m.last_seq = unpack_u64(&u);
    m.batch = unpack_u64(&u);
    m.writer = unpack_u64(&u);
    m.time_ms = unpack_u64(&u);
    m.ring_set = unpack_u64(&u);
    m.slots = unpack_u32(&u);
    if (m.slots > BOARD_SLOTS)
        return -EUCLEAN;
    for (uint32_t i = 0; i < m.slots; i++)
        m.inbox_pos[i] = unpack_u64(&u);
    if (!unpack_done(&u))
        return -EUCLEAN;
    rc = last_stream(t, &m.last_stream);
    if (rc == 0)
        *ret = m;
    return rc;
}

int meta_put(struct txn *t, const struct meta *m)
{
    must(m->slots <= BOARD_SLOTS);
    void *at;
    size_t n = STATE_FIXED + m->slots * sizeof(m->inbox_pos[0]);
    int rc = txn_reserve(t, DB_META, STR("state"), n, &at);
    if (rc < 0)
        return rc;
    struct pack p = pack_into(at, n);
    pack_u64(&p, m->schema);
    pack_u64(&p, m->epoch);
    pack_u64(&p, m->last_seq);
    pack_u64(&p, m->batch);
    pack_u64(&p, m->writer);
    pack_u64(&p, m->time_ms);
    pack_u64(&p, m->ring_set);
    pack_u32(&p, m->slots);
    for (uint32_t i = 0; i < m->slots; i++)
        pack_u64(&p, m->inbox_pos[i]);
    must(!p.bad && p.p == p.end);
    return 0;
}

int meta_schema(struct txn *t, uint64_t *ret)
{
    return member(t, STATE_SCHEMA, ret);
}

int meta_writer(struct txn *t, uint64_t *ret)
{
    return member(t, STATE_WRITER, ret);
}

int meta_last_seq(struct txn *t, uint64_t *ret)
{
    int rc = member(t, STATE_LAST_SEQ, ret);
    if (rc == -ENOENT) {
        *ret = 0;
        return 0;
    }
    return rc;
}

int meta_time(struct txn *t, uint64_t *ret_ms)
{
    int rc = member(t, STATE_TIME, ret_ms);
    if (rc == -ENOENT) {
        *ret_ms = 0;
        return 0;
    }
    return rc;
}

int meta_next_stream(struct txn *t, uint64_t *ret_id)
{
    uint64_t last;
    int rc = last_stream(t, &last);
    if (rc < 0)
        return rc;
    last++;
    rc = txn_put(t, DB_META, STR("stream"), str_make(&last, sizeof(last)));
    if (rc == 0)
        *ret_id = last;
    return rc;
}
