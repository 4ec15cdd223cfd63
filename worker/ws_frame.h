/* ws_frame - frames that a server sends (RFC 6455 section 5.2): never masked, never fragmented.
 *
 * A frame is made in place: leave WS_FRAME_HEAD bytes, append the payload, then ws_frame_end writes
 * the head right before it, so nothing is moved. Pure.
 */
#ifndef WORKER_WS_FRAME_H
#define WORKER_WS_FRAME_H

#include "common/buf.h"

#define WS_FRAME_HEAD 10     /* the longest head */
#define WS_CONTROL_MAX 125   /* bytes of a control frame's payload */
#define WS_CLOSE_FRAME_MAX 4 /* bytes of a close frame with a code and no reason */

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Returns where the frame's room begins in b; the payload is appended next. Errors stay in b. */
size_t ws_frame_begin(struct buf *b);
/* The whole frame, a view into b. Empty when b has an error. */
struct str ws_frame_end(struct buf *b, size_t begin, enum ws_opcode opcode);

/* A close frame with code; 0: without one, as answer to such a one. Returns its bytes. */
size_t ws_frame_close(unsigned char ret[WS_CLOSE_FRAME_MAX], unsigned code);

#endif
