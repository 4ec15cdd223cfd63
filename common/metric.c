/* metric - the sums and the text form of the metric table (Prometheus text format 0.0.4).
 *
 * Help texts and labels are ours and need no escaping; a test holds the table to that.
 */
#include "common/metric.h"

enum kind { COUNTER, GAUGE, SAMPLE };

struct row {
    enum kind kind;
    const char *name;
    const char *labels;
    const char *help;
};

static const struct row rows[METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help) [METRIC_##id] = {kind, name, labels, help},
#include "common/metric_table.h"
#undef METRIC
};

void metric_zero_gauges(struct metric_block *b)
{
    for (unsigned m = 0; m < METRIC_COUNT; m++)
        if (rows[m].kind == GAUGE)
            metric_set(b, m, 0);
}

uint64_t metric_sum(const struct metric_block *const *blocks, size_t n, enum metric m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += atomic_load_explicit(&blocks[i]->v[m], memory_order_relaxed);
    return sum;
}

int metric_text(const struct metric_block *const *blocks, size_t n, struct buf *out)
{
    const char *name = "";

    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        const struct row *r = &rows[m];
        if (strcmp(name, r->name) != 0) {
            name = r->name;
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, r->help, name,
                       r->kind == COUNTER ? "counter" : "gauge");
        }
        buf_append_z(out, name);
        if (*r->labels)
            buf_printf(out, "{%s}", r->labels);
        buf_append_c(out, ' ');
        buf_append_u64(out, metric_sum(blocks, n, m));
        buf_append_c(out, '\n');
    }
    return out->error;
}
