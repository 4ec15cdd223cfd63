/* stream_tally - how many messages, bytes and ttls lie in which stretch of a log.
 *
 * Each STREAM_RUN appends a run is sealed: a row (stream, last seq of the run) holds what the run
 * still has above the floor. Entries after `sealed` are the open run; what they add up to is the
 * head's sums less the rows, and is never stored. A row whose run is empty is deleted. Most streams
 * never seal a run and have no row at all.
 *
 * next_expires_ms is a lower bound: removals do not raise it, a walk makes it exact again.
 */
#include <errno.h>

#include "common/log.h"

#include "shm/stream_priv.h"

#define ROW_SIZE (4 * 8)

static int row_put(struct txn *t, uint64_t stream, uint64_t last, const struct tally *v)
{
    unsigned char key[KEY_STREAM], value[ROW_SIZE];
    struct str k = key_stream(key, stream, last);
    if (v->count == 0)
        return txn_del(t, DB_TALLY, k);
    key_u64(value, v->count);
    key_u64(value + 8, v->bytes);
    key_u64(value + 16, v->with_ttl);
    key_u64(value + 24, v->next_expires_ms);
    return txn_put(t, DB_TALLY, k, str_make(value, sizeof(value)));
}

int tally_decode(struct str value, struct tally *ret)
{
    if (value.n != ROW_SIZE)
        return -EUCLEAN;
    ret->count = key_u64_get(value.p);
    ret->bytes = key_u64_get(value.p + 8);
    ret->with_ttl = key_u64_get(value.p + 16);
    ret->next_expires_ms = key_u64_get(value.p + 24);
    return 0;
}

/* The first row at or after seq: the run that seq lies in. */
static int row_find(struct txn *t, uint64_t stream, uint64_t seq, uint64_t *ret_last,
                    struct tally *ret)
{
    unsigned char key[KEY_STREAM];
    struct row row;
    int rc = txn_seek(t, DB_TALLY, key_stream(key, stream, seq), &row);
    if (rc < 0)
        return rc;
    if (row.key.n != KEY_STREAM)
        return -EUCLEAN;
    if (key_u64_get(row.key.p) != stream)
        return -ENOENT;
    *ret_last = key_u64_get(row.key.p + 8);
    return tally_decode(row.value, ret);
}

/* a - b; a store whose sums do not add up must not be written to any more. */
static int subtract(struct tally *a, const struct tally *b)
{
    if (a->count < b->count || a->bytes < b->bytes || a->with_ttl < b->with_ttl)
        return -EUCLEAN;
    a->count -= b->count;
    a->bytes -= b->bytes;
    a->with_ttl -= b->with_ttl;
    return 0;
}

static int head_subtract(struct stream_head *h, const struct tally *b)
{
    struct tally sum = {.count = h->count, .bytes = h->bytes, .with_ttl = h->with_ttl};
    int rc = subtract(&sum, b);
    if (rc < 0)
        return rc;
    h->count = sum.count;
    h->bytes = sum.bytes;
    h->with_ttl = (uint32_t)sum.with_ttl;
    return 0;
}

int tally_appended(struct txn *t, uint64_t stream, struct stream_head *h)
{
    if (++h->run < STREAM_RUN)
        return 0;
    struct tally sum;
    uint64_t from = h->sealed > h->floor ? h->sealed : h->floor;
    int rc = entries_tally(t, stream, from, h->last, &sum);
    if (rc == 0 && sum.count > 0)
        rc = row_put(t, stream, h->last, &sum);
    h->sealed = h->last;
    h->run = 0;
    h->next_expires_ms = 0;
    return rc;
}

int tally_removed(struct txn *t, uint64_t stream, const struct stream_head *h,
                  const struct entry *e)
{
    if (e->seq > h->sealed)
        return 0;
    uint64_t last;
    struct tally v, one = {.count = 1, .bytes = e->bytes, .with_ttl = e->expires_ms != 0};
    int rc = row_find(t, stream, e->seq, &last, &v);
    if (rc == 0)
        rc = subtract(&v, &one);
    if (rc == 0)
        rc = row_put(t, stream, last, &v);
    return rc == -ENOENT ? -EUCLEAN : rc;
}

/* Whole runs at or below upto: their rows go, *from becomes the last seq of the last of them. */
static int take_whole_runs(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t upto,
                           uint64_t *from)
{
    while (h->sealed > *from) {
        uint64_t last;
        struct tally v, none = {0};
        int rc = row_find(t, stream, *from + 1, &last, &v);
        if (rc == -ENOENT || (rc == 0 && last > upto))
            return 0;
        if (rc == 0)
            rc = head_subtract(h, &v);
        if (rc == 0)
            rc = row_put(t, stream, last, &none);
        if (rc < 0)
            return rc;
        *from = last;
    }
    return 0;
}

/* The run that upto lies in: counted by hand, and in its row if it has one. */
static int take_part(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t from,
                     uint64_t upto)
{
    struct tally part, v;
    uint64_t last;
    int rc = entries_tally(t, stream, from, upto, &part);
    if (rc == 0)
        rc = head_subtract(h, &part);
    if (rc < 0 || part.count == 0 || upto > h->sealed)
        return rc;
    rc = row_find(t, stream, upto, &last, &v);
    if (rc == 0)
        rc = subtract(&v, &part);
    if (rc == 0)
        rc = row_put(t, stream, last, &v);
    return rc == -ENOENT ? -EUCLEAN : rc;
}

int tally_floor(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t upto)
{
    must(upto > h->floor && upto <= h->last);
    uint64_t from = h->floor;
    int rc = take_whole_runs(t, stream, h, upto, &from);
    if (rc == 0 && upto < h->last)
        rc = take_part(t, stream, h, from, upto);
    if (rc < 0)
        return rc;
    if (upto == h->last) {
        h->count = h->bytes = h->with_ttl = 0;
        h->next_expires_ms = 0;
        h->sealed = h->last;
        h->run = 0;
    }
    h->floor = upto;
    return 0;
}

int tally_run(struct txn *t, uint64_t stream, const struct stream_head *h, uint64_t after,
              struct run *ret)
{
    struct run r = {.from = after, .to = UINT64_MAX, .next_expires_ms = h->next_expires_ms};
    if (after < h->sealed) {
        struct tally v;
        int rc = row_find(t, stream, after + 1, &r.to, &v);
        if (rc < 0 && rc != -ENOENT)
            return rc;
        if (rc == 0)
            r.next_expires_ms = v.next_expires_ms;
        else
            r.from = h->sealed;
    }
    if (r.from >= h->last)
        return -ENOENT;
    *ret = r;
    return 0;
}

int tally_expiry(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t to,
                 uint64_t next_expires_ms)
{
    if (to == UINT64_MAX) {
        h->next_expires_ms = next_expires_ms;
        return 0;
    }
    uint64_t last;
    struct tally v;
    int rc = row_find(t, stream, to, &last, &v);
    if (rc == -ENOENT || (rc == 0 && last != to))
        return 0;
    v.next_expires_ms = next_expires_ms;
    return rc < 0 ? rc : row_put(t, stream, to, &v);
}
