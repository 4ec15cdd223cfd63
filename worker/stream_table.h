/* stream_table - things of this worker by the stream that they are about: a hash with chains.
 *
 * An entry lives in its owner's struct, as the first member, and several may have one stream. It
 * grows with its number; without memory its chains get longer, that is all. Worker; one loop.
 */
#ifndef WORKER_STREAM_TABLE_H
#define WORKER_STREAM_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct stream_entry {
    struct stream_entry *next;
    uint64_t stream;
};

struct stream_table {
    struct stream_entry **bucket;
    size_t nbuckets, count;
};

int stream_table_open(struct stream_table *t); /* 0, -ENOMEM */
void stream_table_close(struct stream_table *t);
void stream_table_add(struct stream_table *t, struct stream_entry *e);
void stream_table_remove(struct stream_table *t, struct stream_entry *e); /* it is in there */
/* The first entry of this stream, and the one after e; NULL: there is none. */
struct stream_entry *stream_table_first(const struct stream_table *t, uint64_t stream);
struct stream_entry *stream_table_next(const struct stream_entry *e);

#endif
