/* ws_frame - frames that a server sends (RFC 6455 section 5.2): never masked, never fragmented.
 *
 * A frame is made in place: leave WS_FRAME_HEAD bytes, append the payload, then ws_frame_end writes
 * the head right before it, so nothing is moved. Pure.
 */
#ifndef WORKER_WS_FRAME_H
#define WORKER_WS_FRAME_H

#include "common/buf.h"

#define WS_FRAME_HEAD 10 /* the longest head */

enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* Returns where the frame's room begins in b; the payload is appended next. Errors stay in b. */
size_t ws_frame_begin(struct buf *b);
/* The whole frame, a view into b. Empty when b has an error. */
struct str ws_frame_end(struct buf *b, size_t begin, enum ws_opcode opcode);

#endif
