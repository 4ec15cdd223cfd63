/* ws - WebSocket connections (RFC 6455): libwebsockets reads, we write.
 *
 * A connection that HTTP/1.1 handed over is adopted by libwebsockets with a request that we write
 * ourselves; it answers 101, parses and unmasks what comes, and answers pings and closes. What goes
 * out is framed by ws_frame.h and written to the wire directly, so that a topic's frame is made
 * once for all its receivers, many frames leave in one packet, and TLS costs no detour. The two
 * never interleave: while bytes of ours wait for the peer, libwebsockets is not served, and while
 * bytes of its own wait, we do not write.
 *
 * One ws_server per worker, on the worker's event base. Promises to the application:
 * - on_message gets whole messages, joined from their fragments, of at most limits.frame bytes,
 *   text checked to be UTF-8. What breaks the protocol is closed with its code before.
 * - ws_write never keeps more than WS_OUT_MAX bytes of a connection: then it says so, and
 *   on_room comes once the peer has taken them.
 * - Every connection ends in exactly one on_closed; nothing is called after it.
 * - A peer that is silent for two and a half server.heartbeat is closed (1001); it is pinged at
 *   each heartbeat. A pong, a ping and any data are a word.
 * - A peer that takes nothing of what waits for limits.write_timeout is closed.
 * Worker process; nothing here blocks.
 */
#ifndef WORKER_WS_H
#define WORKER_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/metric.h"
#include "common/str.h"
#include "worker/wire.h"

#define WS_OUT_MAX (64u << 10) /* bytes that wait for a peer before ws_write says -EAGAIN */
#define WS_KEY_TEXT 24         /* base64 of 16 bytes */

enum ws_close {
    WS_GOING_AWAY = 1001, /* the session ended, or the peer is silent */
    WS_PROTOCOL_ERROR = 1002,
    WS_WRONG_TYPE = 1003,
    WS_BAD_UTF8 = 1007,
    WS_REVOKED = 1008,
    WS_TOO_LARGE = 1009,
    WS_RESTARTING = 1012,
    WS_OVERLOADED = 1013,
    WS_SUPERSEDED = 4409,
};

struct worker;
struct ws_server;
struct ws;

struct ws_ops {
    /* The 101 is on its way; ws_write may be called. */
    void (*on_open)(void *arg, struct ws *ws);
    /* Valid during the call. */
    void (*on_message)(void *arg, bool binary, struct str message);
    /* There is room again, after ws_write said -EAGAIN; or ws_flush is due after many writes. */
    void (*on_room)(void *arg);
    /* The peer said something, a pong at the least: at most once a heartbeat. May be NULL. */
    void (*on_alive)(void *arg);
    /* The connection is gone; why: one of METRIC_SOCKET_CLOSED_*, already counted. */
    void (*on_closed)(void *arg, enum metric why);
};

struct ws_handshake {
    struct str key;       /* Sec-WebSocket-Key: judged by ws_key_valid */
    const char *protocol; /* of ws_protocols, static; NULL: none was asked for */
};
bool ws_key_valid(struct str key); /* base64 of 16 bytes */

/* now_ms: boot clock; NULL: the real one. 0 or -ENOMEM. */
int ws_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct ws_server **ret);
void ws_close_all(struct ws_server *s); /* every connection ends, without a word */

/* Takes the wire, also on failure. on_open comes from inside; on_closed may too. 0 or -errno: then
 * nothing was called. */
int ws_accept(struct ws_server *s, struct wire wire, const char *remote,
              const struct ws_handshake *handshake, const struct ws_ops *ops, void *arg);

/* Whole frames (ws_frame.h), any number of them. They are gathered, and leave together at the end
 * of the turn, or once there are enough for a packet of the largest size. 0; -EAGAIN: taken, and no
 * more is until on_room; -ENOMEM: not taken. */
int ws_write(struct ws *ws, struct str frames);
bool ws_has_room(const struct ws *ws);
/* Bytes written that the kernel has not taken yet. */
size_t ws_backlog(const struct ws *ws);
/* Reading stops and goes on: a client whose commands are not answered yet. */
void ws_pause(struct ws *ws, bool paused);
/* Sends what was written, then a close frame, then waits a moment for the peer's. on_message is not
 * called any more, on_closed comes later, never from inside. */
void ws_end(struct ws *ws, enum ws_close code, enum metric why);
const char *ws_remote(const struct ws *ws);

bool ws_proceed(struct ws_server *s); /* one turn; true: there is more to do at once */
void ws_tick(struct ws_server *s);
size_t ws_connections(const struct ws_server *s);

#endif
