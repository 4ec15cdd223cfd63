/* metric - the numbers of the metric table and their text form (Prometheus 0.0.4).
 *
 * Values live in shared memory, one cache-aligned block per process (shm/board.h); a block has one
 * writing process, so adding is a relaxed load and store. Reading sums the blocks and may be a
 * moment old. Any process.
 */
#ifndef COMMON_METRIC_H
#define COMMON_METRIC_H

#include "common/buf.h"

#include <stdatomic.h>

enum metric {
#define METRIC(name, ...) METRIC_##name,
#include "common/metric_table.h"
#undef METRIC
    METRIC_COUNT
};

struct metric_block {
    _Alignas(64) _Atomic uint64_t v[METRIC_COUNT];
};

static inline void metric_add(struct metric_block *b, enum metric m, uint64_t n)
{
    uint64_t was = atomic_load_explicit(&b->v[m], memory_order_relaxed);
    atomic_store_explicit(&b->v[m], was + n, memory_order_relaxed);
}

static inline void metric_sub(struct metric_block *b, enum metric m, uint64_t n)
{
    uint64_t was = atomic_load_explicit(&b->v[m], memory_order_relaxed);
    atomic_store_explicit(&b->v[m], was - n, memory_order_relaxed);
}

static inline void metric_set(struct metric_block *b, enum metric m, uint64_t n)
{
    atomic_store_explicit(&b->v[m], n, memory_order_relaxed);
}

/* Gauges of a process that died are zeroed by its successor before it counts. */
void metric_zero_gauges(struct metric_block *b);
uint64_t metric_sum(const struct metric_block *const *blocks, size_t n, enum metric m);
/* HELP and TYPE once per name, then the samples; a SAMPLE row is a gauge to Prometheus. Appends to
 * out. 0, -EMSGSIZE, -ENOMEM. */
int metric_text(const struct metric_block *const *blocks, size_t n, struct buf *out);

#endif
