/* stream_table - hash of streams. Stream ids are dense: one multiplication spreads them. */
#include "worker/stream_table.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_FIRST 64

static struct stream_entry **bucket_of(const struct stream_table *t, uint64_t stream)
{
    /* Knuth's multiplicative hashing. */
    uint64_t h = stream * UINT64_C(0x9e3779b97f4a7c15);
    return &t->bucket[(h >> 32) & (t->nbuckets - 1)];
}

static void grow(struct stream_table *t)
{
    struct stream_table bigger = {.nbuckets = t->nbuckets * 2, .count = t->count};
    bigger.bucket = calloc(bigger.nbuckets, sizeof(struct stream_entry *));
    if (!bigger.bucket)
        return;
    for (size_t i = 0; i < t->nbuckets; i++) {
        while (t->bucket[i]) {
            struct stream_entry *e = t->bucket[i];
            t->bucket[i] = e->next;
            struct stream_entry **to = bucket_of(&bigger, e->stream);
            e->next = *to;
            *to = e;
        }
    }
    free(t->bucket);
    *t = bigger;
}

int stream_table_open(struct stream_table *t)
{
    *t = (struct stream_table){.nbuckets = BUCKETS_FIRST};
    t->bucket = calloc(BUCKETS_FIRST, sizeof(struct stream_entry *));
    return t->bucket ? 0 : -ENOMEM;
}

void stream_table_close(struct stream_table *t)
{
    free(t->bucket);
    *t = (struct stream_table){0};
}

void stream_table_add(struct stream_table *t, struct stream_entry *e)
{
    if (t->count >= t->nbuckets)
        grow(t);
    struct stream_entry **bucket = bucket_of(t, e->stream);
    e->next = *bucket;
    *bucket = e;
    t->count++;
}

void stream_table_remove(struct stream_table *t, struct stream_entry *e)
{
    struct stream_entry **at = bucket_of(t, e->stream);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    t->count--;
}

static struct stream_entry *from(struct stream_entry *e, uint64_t stream)
{
    while (e && e->stream != stream)
        e = e->next;
    return e;
}

struct stream_entry *stream_table_first(const struct stream_table *t, uint64_t stream)
{
    return from(*bucket_of(t, stream), stream);
}

struct stream_entry *stream_table_next(const struct stream_entry *e)
{
    return from(e->next, e->stream);
}
