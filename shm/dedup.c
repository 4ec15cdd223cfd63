/* dedup - idempotency keys in buckets of time.
 *
 * key: bucket second 4 + stream 8 + key hash 16; value: seq 8 + time 8 + content hash 16. A bucket
 * is named by the second in which it was begun and takes keys until it is a quarter of the window
 * old; what it holds is older than the bucket after it. So a bucket goes as a whole once its
 * successor's first second has left the window, and a lookup asks each bucket that reaches into the
 * window, the newest first. The time in the value makes the window exact.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log.h"

#include "shm/dedup.h"

#define BUCKETS 64 /* most at once; 5 in steady state, more while a shortened window is swept */
#define WINDOW_PARTS 4
#define KEY_SIZE (4 + 8 + 16)
#define VALUE_SIZE (8 + 8 + 16)

struct dedup {
    uint64_t window_ms;
    uint32_t bucket[BUCKETS]; /* ascending */
    unsigned n;
};

static void put_u32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const void *at)
{
    const unsigned char *p = at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static struct str make_key(unsigned char key[KEY_SIZE], uint32_t bucket, uint64_t stream,
                           const uint8_t key_hash[16])
{
    put_u32(key, bucket);
    key_u64(key + 4, stream);
    memcpy(key + 12, key_hash, 16);
    return str_make(key, KEY_SIZE);
}

int dedup_reload(struct dedup *d, struct txn *t)
{
    struct row row;
    uint32_t bucket[BUCKETS];
    unsigned n = 0;
    int rc = txn_seek(t, DB_DEDUP, str_make(NULL, 0), &row);
    while (rc == 0) {
        if (row.key.n != KEY_SIZE || n == BUCKETS)
            return -EUCLEAN;
        uint32_t second = get_u32(row.key.p);
        bucket[n++] = second;
        if (second == UINT32_MAX)
            break;
        unsigned char next[4];
        put_u32(next, second + 1);
        rc = txn_seek(t, DB_DEDUP, str_make(next, sizeof(next)), &row);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    memcpy(d->bucket, bucket, n * sizeof(bucket[0]));
    d->n = n;
    return 0;
}

int dedup_open(struct txn *t, uint64_t window_ms, struct dedup **ret)
{
    struct dedup *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->window_ms = window_ms;
    int rc = dedup_reload(d, t);
    if (rc < 0) {
        free(d);
        return rc;
    }
    *ret = d;
    return 0;
}

void dedup_close(struct dedup *d)
{
    free(d);
}

void dedup_window(struct dedup *d, uint64_t window_ms)
{
    d->window_ms = window_ms;
}

/* Whether bucket i may hold a key that was used inside the window. */
static bool reaches_window(const struct dedup *d, unsigned i, uint64_t now_ms)
{
    if (i + 1 == d->n || now_ms <= d->window_ms)
        return true;
    /* The next bucket was begun somewhere in its first second. */
    return ((uint64_t)d->bucket[i + 1] + 1) * 1000 > now_ms - d->window_ms;
}

int dedup_find(struct dedup *d, struct txn *t, uint64_t stream, const uint8_t key_hash[16],
               uint64_t now_ms, uint64_t *ret_seq, uint8_t ret_content[16])
{
    unsigned char key[KEY_SIZE];
    for (unsigned i = d->n; i-- > 0 && reaches_window(d, i, now_ms);) {
        struct str v;
        int rc = txn_get(t, DB_DEDUP, make_key(key, d->bucket[i], stream, key_hash), &v);
        if (rc == -ENOENT)
            continue;
        if (rc < 0)
            return rc;
        if (v.n != VALUE_SIZE)
            return -EUCLEAN;
        uint64_t used_ms = key_u64_get(v.p + 8);
        if (used_ms + d->window_ms <= now_ms)
            return -ENOENT;
        *ret_seq = key_u64_get(v.p);
        memcpy(ret_content, v.p + 16, 16);
        return 0;
    }
    return -ENOENT;
}

/* The bucket for now. Old ones are never added to: their order is what the sweep goes by. */
static uint32_t current_bucket(struct dedup *d, uint64_t now_ms)
{
    uint64_t second = now_ms / 1000;
    uint64_t width = d->window_ms / 1000 / WINDOW_PARTS;
    must(second <= UINT32_MAX);
    if (width == 0)
        width = 1;
    bool fresh = d->n == 0 || second >= d->bucket[d->n - 1] + width;
    if (fresh && d->n < BUCKETS)
        d->bucket[d->n++] = (uint32_t)second;
    return d->bucket[d->n - 1];
}

int dedup_put(struct dedup *d, struct txn *t, uint64_t stream, const uint8_t key_hash[16],
              uint64_t now_ms, uint64_t seq, const uint8_t content[16])
{
    unsigned char key[KEY_SIZE], value[VALUE_SIZE];
    key_u64(value, seq);
    key_u64(value + 8, now_ms);
    memcpy(value + 16, content, 16);
    return txn_put(t, DB_DEDUP, make_key(key, current_bucket(d, now_ms), stream, key_hash),
                   str_make(value, sizeof(value)));
}

static int sweep_first_bucket(struct dedup *d, struct txn *t, unsigned *budget)
{
    struct row row;
    int rc = txn_seek(t, DB_DEDUP, str_make(NULL, 0), &row);
    while (rc == 0 && *budget > 0) {
        if (row.key.n != KEY_SIZE)
            return -EUCLEAN;
        if (get_u32(row.key.p) != d->bucket[0])
            break;
        rc = txn_del_row(t, DB_DEDUP);
        --*budget;
        if (rc == 0)
            rc = txn_next(t, DB_DEDUP, &row);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    bool emptied = rc == -ENOENT || get_u32(row.key.p) != d->bucket[0];
    if (emptied) {
        d->n--;
        memmove(d->bucket, d->bucket + 1, d->n * sizeof(d->bucket[0]));
    }
    return 0;
}

int dedup_sweep(struct dedup *d, struct txn *t, uint64_t now_ms, unsigned *budget)
{
    /* Without a successor the newest bucket would never go. */
    if (d->n > 0)
        current_bucket(d, now_ms);
    while (*budget > 0 && d->n > 1 && !reaches_window(d, 0, now_ms)) {
        int rc = sweep_first_bucket(d, t, budget);
        if (rc < 0)
            return rc;
    }
    return 0;
}
