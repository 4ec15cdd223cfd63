/* answer_head - the header lines that every answer has, whatever HTTP version carries it.
 *
 * When (Date), who (Server, without a version), which (X-Request-Id), that it must not be stored,
 * what it is, and the application's own lines (RFC 9110 section 6.6, 8). What belongs to one
 * version alone (status line, transfer coding, Connection) is added by its transport. Worker
 * process.
 */
#ifndef WORKER_ANSWER_HEAD_H
#define WORKER_ANSWER_HEAD_H

#include "worker/exchange.h"

struct answer_date {
    uint64_t second; /* of the wall clock, which text tells; 0: none yet */
    char text[32];   /* IMF-fixdate (RFC 9110 5.6.7) */
};

/* The present second, made once a second. Valid until the next call. */
const char *answer_date(struct answer_date *d);

/* An answer of that status has no body (RFC 9110 15.3.5, 15.4.5). */
static inline bool answer_bodiless(int status)
{
    return status == 204 || status == 304;
}

/* Appends the lines, each "Name: value\r\n". sized: the whole body is in ex->out_body, so there is
 * a Content-Length. */
void answer_head(struct buf *out, struct answer_date *d, const struct exchange *ex, bool sized);

#endif
