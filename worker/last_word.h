/* last_word - an answer to a connection that no protocol takes: a problem document in HTTP/1.1, and
 * the end. Worker process.
 *
 * Best effort: nothing waits for it. detail: plain text without quotes or backslashes. A 503 says
 * that nothing was done and when to come again. Counts nothing.
 */
#ifndef WORKER_LAST_WORD_H
#define WORKER_LAST_WORD_H

#include "common/code.h"

struct wire;
struct worker;

/* Closes fd. No request was read: the answer has a request id of its own. */
void last_word(struct worker *w, int fd, enum code code, const char *detail);

/* Closes the wire, whose one request was read whole. request_id: at most REQUEST_ID_MAX bytes. */
void last_word_by_wire(struct wire *wire, const char *request_id, enum code code,
                       const char *detail);

#endif
