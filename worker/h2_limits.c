/* h2_limits - two token buckets, and which frame is paid from which. */
#include <nghttp2/nghttp2.h>

#include "common/log.h"

#include "worker/h2_limits.h"

#define PRIORITY_UPDATE 0x10 /* RFC 9218 */

static const struct {
    enum metric metric;
    const char *name;
} abuses[H2_ABUSES] = {
    [H2_ABUSE_RESETS] = {METRIC_ABUSE_RESETS, "resets"},
    [H2_ABUSE_SETTINGS] = {METRIC_ABUSE_SETTINGS, "settings"},
    [H2_ABUSE_PINGS] = {METRIC_ABUSE_PINGS, "pings"},
    [H2_ABUSE_PRIORITIES] = {METRIC_ABUSE_PRIORITIES, "priorities"},
    [H2_ABUSE_WINDOWS] = {METRIC_ABUSE_WINDOWS, "windows"},
    [H2_ABUSE_CONTINUATIONS] = {METRIC_ABUSE_CONTINUATIONS, "continuations"},
    [H2_ABUSE_EMPTY] = {METRIC_ABUSE_EMPTY, "empty"},
    [H2_ABUSE_UNKNOWN] = {METRIC_ABUSE_UNKNOWN, "unknown"},
    [H2_ABUSE_HEADERS] = {METRIC_ABUSE_HEADERS, "headers"},
};

static void refill(struct h2_budget *b, uint64_t max, uint64_t now_ms)
{
    uint64_t full = max * H2_REFILL_MS;
    uint64_t passed = now_ms > b->at_ms ? now_ms - b->at_ms : 0;
    if (passed > H2_REFILL_MS)
        passed = H2_REFILL_MS;
    b->at_ms = now_ms;
    b->left = full - b->left > passed * max ? b->left + passed * max : full;
}

static bool spend(struct h2_budget *b, uint64_t max, uint64_t now_ms)
{
    refill(b, max, now_ms);
    if (b->left < H2_REFILL_MS)
        return false;
    b->left -= H2_REFILL_MS;
    return true;
}

static void earn(struct h2_budget *b, uint64_t max, uint64_t n)
{
    uint64_t full = max * H2_REFILL_MS;
    b->left = full - b->left > n * H2_REFILL_MS ? b->left + n * H2_REFILL_MS : full;
}

void h2_limits_init(struct h2_limits *l, uint64_t resets, uint64_t control, uint64_t now_ms)
{
    *l = (struct h2_limits){
        .resets = {resets * H2_REFILL_MS, now_ms},
        .control = {control * H2_REFILL_MS, now_ms},
        .resets_max = resets,
        .control_max = control,
    };
}

static enum h2_abuse kind_of(uint8_t type)
{
    switch (type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        return H2_ABUSE_EMPTY;
    case NGHTTP2_PRIORITY:
    case PRIORITY_UPDATE:
        return H2_ABUSE_PRIORITIES;
    case NGHTTP2_RST_STREAM:
        return H2_ABUSE_RESETS;
    case NGHTTP2_SETTINGS:
        return H2_ABUSE_SETTINGS;
    case NGHTTP2_PING:
        return H2_ABUSE_PINGS;
    case NGHTTP2_WINDOW_UPDATE:
        return H2_ABUSE_WINDOWS;
    case NGHTTP2_CONTINUATION:
        return H2_ABUSE_CONTINUATIONS;
    default:
        return H2_ABUSE_UNKNOWN;
    }
}

void h2_limits_frame(struct h2_limits *l, uint8_t type, uint8_t flags, size_t length,
                     uint64_t now_ms)
{
    enum h2_abuse kind = kind_of(type);
    if (type == NGHTTP2_DATA && (length > 0 || (flags & NGHTTP2_FLAG_END_STREAM)))
        return;
    bool within = kind == H2_ABUSE_RESETS ? spend(&l->resets, l->resets_max, now_ms)
                                          : spend(&l->control, l->control_max, now_ms);
    if (!within)
        h2_limits_note(l, kind);
}

void h2_limits_empty(struct h2_limits *l, uint64_t now_ms)
{
    if (!spend(&l->control, l->control_max, now_ms))
        h2_limits_note(l, H2_ABUSE_EMPTY);
}

void h2_limits_reset(struct h2_limits *l, uint64_t now_ms)
{
    if (!spend(&l->resets, l->resets_max, now_ms))
        h2_limits_note(l, H2_ABUSE_RESETS);
}

void h2_limits_request(struct h2_limits *l)
{
    earn(&l->control, l->control_max, 1 + H2_REQUEST_EARNS);
}

void h2_limits_content(struct h2_limits *l)
{
    earn(&l->control, l->control_max, H2_CONTENT_EARNS);
}

void h2_limits_answered(struct h2_limits *l)
{
    earn(&l->resets, l->resets_max, 1);
}

enum metric h2_abuse_metric(enum h2_abuse abuse)
{
    must(abuse > H2_CALM && abuse < H2_ABUSES);
    return abuses[abuse].metric;
}

const char *h2_abuse_name(enum h2_abuse abuse)
{
    must(abuse > H2_CALM && abuse < H2_ABUSES);
    return abuses[abuse].name;
}
