/* ws - WebSocket connections (RFC 6455): libwebsockets reads, we write.
 *
 * A connection that HTTP/1.1 handed over keeps its wire here, and libwebsockets gets a request that
 * we write ourselves, and after it what the peer sends, through one socketpair that all connections
 * of a worker share (ws_lws.c); it makes the 101, takes frames apart and answers pings. So every
 * byte in either direction passes our hands: what breaks the protocol is found before it
 * (ws_scan.h), TLS costs no detour, a frame for many receivers is made once (ws_frame.h), and all
 * that goes to one connection during a turn leaves in one write.
 *
 * One ws_server per worker, on the worker's event base. Promises to the application:
 * - on_message gets whole messages, joined from their fragments, of at most limits.frame bytes,
 *   text checked to be UTF-8. What breaks the protocol is closed with its code before.
 * - ws_write keeps at most WS_OUT_MAX bytes of a connection and the frame that passes that: then it
 *   says so, and on_room comes once the peer has taken them. Once the kernel takes no more, so at
 *   once: what a peer that does not read costs is what one turn wrote.
 * - Every connection whose ws_accept returned 0 ends in exactly one on_closed; nothing is called
 *   after it.
 * - A peer that is silent for two and a half server.heartbeat is closed (1001); it is pinged at
 *   each heartbeat. A pong, a ping and any data are a word.
 * - So is, without a word, one that for as long takes nothing of what waits for it: it is slow, not
 *   mute, as long as it takes a byte now and then.
 * - While bytes wait for a peer, it is not read.
 * Descriptors: two of each connection, in clear text and TLS alike. Worker process; nothing here
 * blocks.
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
#define WS_LINGER_MS 2000      /* how long a closing connection is still read, and written to */

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
    /* There is room again, after ws_write said -EAGAIN. */
    void (*on_room)(void *arg);
    /* The peer said something, a pong at the least: at most once a heartbeat. May be NULL. */
    void (*on_alive)(void *arg);
    /* The connection is gone; why: one of METRIC_SOCKET_CLOSED_*, already counted. Never from
     * inside a call of the application. */
    void (*on_closed)(void *arg, enum metric why);
};

struct ws_handshake {
    struct str key;         /* Sec-WebSocket-Key: judged by ws_key_valid */
    const char *protocol;   /* the one we chose of what was offered; NULL: none */
    const char *request_id; /* for the 101, as on every answer */
};
bool ws_key_valid(struct str key); /* base64 of 16 bytes */

/* now_ms: boot clock; NULL: the real one. 0 or -errno. Raise the descriptor limit before: tables
 * are sized by it. At most one in a process at a time. */
int ws_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct ws_server **ret);
/* Every connection ends without a word, and the server too. NULL is fine. */
void ws_close_all(struct ws_server *s);

/* Takes the wire, also on failure. The handshake is only read. remote is copied. on_open comes from
 * inside. 0; or -errno (-ENOMEM, -EMFILE, ...): then nothing was called, and the peer was told 503.
 */
int ws_accept(struct ws_server *s, struct wire wire, const char *remote,
              const struct ws_handshake *handshake, const struct ws_ops *ops, void *arg);

/* Whole frames (ws_frame.h), any number of them. They are gathered, and leave together at the end
 * of the turn, or once there are enough for the largest packet. 0; -EAGAIN: taken, and the next
 * ones should wait for on_room; -ENOMEM: not taken. After ws_end, and on a connection whose
 * on_closed is on its way, they are dropped, and it is 0. */
int ws_write(struct ws *ws, struct str frames);
bool ws_has_room(const struct ws *ws);
/* Bytes written that the kernel has not taken yet. Until on_closed returns. */
size_t ws_backlog(const struct ws *ws);
/* Reading stops and goes on: a client whose commands are not answered yet. Up to WS_SCAN_BURST (16)
 * messages that are already here may still come. */
void ws_pause(struct ws *ws, bool paused);
/* Sends what was written, then a close frame, then waits a moment (WS_LINGER_MS) for the peer's. No
 * on_message, on_room or on_alive comes any more; on_closed(why) does, later. A second one, and one
 * on a connection that is ending already, does nothing. */
void ws_end(struct ws *ws, enum ws_close code, enum metric why);
const char *ws_remote(const struct ws *ws);

bool ws_proceed(struct ws_server *s); /* one turn; true: there is more to do at once */
void ws_tick(struct ws_server *s);
size_t ws_connections(const struct ws_server *s);

#endif
