/* sse - the text of an event stream (WHATWG HTML, section 9.2 "Server-sent events").
 *
 * Pure: appends to a buffer, whose error is the result. Values end up on lines of their own, so
 * none may hold a line end; what could (data) is split over several lines, which a client joins
 * again. An event name is one that envelope_name_valid accepts: it holds no control character.
 */
#ifndef WORKER_SSE_H
#define WORKER_SSE_H

#include "common/buf.h"

#define SSE_TYPE "text/event-stream"

/* One message. id: what the client sends back as Last-Event-ID; empty: none, the client keeps the
 * one it has. */
int sse_event(struct buf *b, struct str id, struct str event, struct str data);
/* How long a client waits before it connects again. Takes effect at once, without any event. */
int sse_retry(struct buf *b, uint64_t ms);
/* A comment: bytes that mean nothing, so that whatever lies between sees life. */
int sse_keepalive(struct buf *b);

#endif
