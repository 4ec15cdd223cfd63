/* socket_frame - what the native WebSocket sends (api.md), as frames of both subprotocols. Pure.
 */
#ifndef WORKER_SOCKET_FRAME_H
#define WORKER_SOCKET_FRAME_H

#include "common/datum.h"
#include "shm/message.h"
#include "worker/ws_frame.h"

/* {"t":"message",...the message object}, as makers of pickup forms (route.h). The frame is a view
 * into out, which is reset first. 0 or the buffer's error. */
int socket_message_json(const struct message *m, struct str stream, uint64_t epoch, struct buf *out,
                        struct str *ret);
int socket_message_msgpack(const struct message *m, struct str stream, uint64_t epoch,
                           struct buf *out, struct str *ret);
/* The same for any other object, given as compact JSON. */
int socket_frame(enum encoding encoding, struct str json, struct buf *out, struct str *ret);

#endif
