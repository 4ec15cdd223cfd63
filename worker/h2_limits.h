/* h2_limits - how much that leads nowhere an HTTP/2 peer may do, before it has to calm down.
 *
 * Two budgets a connection. Resets: requests that the peer cancels, or that break the protocol so
 * that we do (CVE-2023-44487, CVE-2025-8671). Control: frames that carry no request and no content.
 * A budget holds what the configuration says, fills up by itself within H2_REFILL_MS, and useful
 * traffic earns some of it back. The kind that overdraws its budget names the abuse; header
 * sections without end are a kind of their own. Pure: the time is a parameter. Worker process.
 */
#ifndef WORKER_H2_LIMITS_H
#define WORKER_H2_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/metric.h"

#define H2_REFILL_MS 30000 /* an empty budget is full again after this long */
#define H2_BOMB_TIMES 8    /* header sections larger than this many limits.header are bombs */
#define H2_REQUEST_EARNS 4 /* control frames that a request earns: priority, windows, a ping */
#define H2_CONTENT_EARNS 2 /* and each frame of content that we send: the windows it takes */
#define H2_CONTINUATIONS 8 /* CONTINUATION frames a header section may have beyond its size */

enum h2_abuse {
    H2_CALM = 0,
    H2_ABUSE_RESETS,
    H2_ABUSE_SETTINGS,
    H2_ABUSE_PINGS,
    H2_ABUSE_PRIORITIES,
    H2_ABUSE_WINDOWS,
    H2_ABUSE_CONTINUATIONS,
    H2_ABUSE_EMPTY, /* DATA without content, HEADERS that belong to nothing */
    H2_ABUSE_UNKNOWN,
    H2_ABUSE_HEADERS, /* bombs */
    H2_ABUSES
};

struct h2_budget {
    uint64_t left; /* in frames times H2_REFILL_MS */
    uint64_t at_ms;
};

struct h2_limits {
    struct h2_budget resets, control;
    uint64_t resets_max, control_max;
    enum h2_abuse abuse; /* the first kind that went too far */
};

void h2_limits_init(struct h2_limits *l, uint64_t resets, uint64_t control, uint64_t now_ms);

/* A frame header came. Not for DATA with content. */
void h2_limits_frame(struct h2_limits *l, uint8_t type, uint8_t flags, size_t length,
                     uint64_t now_ms);
void h2_limits_empty(struct h2_limits *l, uint64_t now_ms); /* DATA of nothing but padding */
void h2_limits_reset(struct h2_limits *l, uint64_t now_ms); /* we had to reset a stream */
void h2_limits_request(struct h2_limits *l);                /* a request came */
void h2_limits_content(struct h2_limits *l);                /* a frame of content was sent */
void h2_limits_answered(struct h2_limits *l);               /* a request came to its answer */
static inline void h2_limits_note(struct h2_limits *l, enum h2_abuse abuse)
{
    if (l->abuse == H2_CALM)
        l->abuse = abuse;
}

enum metric h2_abuse_metric(enum h2_abuse abuse);
const char *h2_abuse_name(enum h2_abuse abuse); /* static, for the log */

#endif
