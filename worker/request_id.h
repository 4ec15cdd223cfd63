/* request_id - the name of a request in answers, logs and traces.
 *
 * A given X-Request-Id is honoured if it is harmless; else the trace-id of a valid W3C traceparent
 * (Trace Context, version 00 format); else one is made. Pure. Worker process.
 */
#ifndef WORKER_REQUEST_ID_H
#define WORKER_REQUEST_ID_H

#include "common/str.h"

#include <stdint.h>

#define REQUEST_ID_MADE 16 /* hex digits of one that we make */

/* 1..128 characters of [A-Za-z0-9._~+/=:-]. */
bool request_id_valid(struct str s);
/* `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zero. A later version may have more after
 * these fields; version ff is invalid. */
bool traceparent_valid(struct str s);
#define TRACEPARENT_TRACE_AT 3 /* offset and length of the trace-id in a valid one */
#define TRACEPARENT_TRACE_LEN 32
/* REQUEST_ID_MADE hex digits and a NUL. *state is the process's own; 0 = seed it from the kernel.
 * Unique, not secret: no system call per request. */
void request_id_make(uint64_t *state, char ret[REQUEST_ID_MADE + 1]);

#endif
