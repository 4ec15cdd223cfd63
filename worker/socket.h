/* socket - a session over the native WebSocket (api.md): hello, then its messages, and what the
 * client asks.
 *
 * Made when the request is judged, begun when the connection is handed over. From then on it owns
 * itself and ends with its connection. Messages are picked up by cursor, so a client that does not
 * read stops advancing and costs what ws.h keeps for it and nothing more; when it reads again, what
 * it missed comes from the store. Worker; on the loop.
 */
#ifndef WORKER_SOCKET_H
#define WORKER_SOCKET_H

#include "worker/auth.h"
#include "worker/cursor.h"
#include "worker/ws.h"

struct socket;

struct socket_start {
    const struct session *session;     /* copied */
    const struct principal *principal; /* a session's own token, or an API key with sessions:* */
    enum encoding encoding;
    uint64_t cursor;                  /* where it begins */
    const struct cursor_reset *reset; /* what the client has to be told first; NULL: nothing */
};

int socket_new(struct worker *w, const struct socket_start *start,
               struct socket **ret); /* 0, -ENOMEM */
void socket_free(struct socket *s);  /* only one that has not begun */
/* Takes the wire and the socket. */
void socket_begin(struct socket *s, struct wire wire, const char *remote,
                  const struct ws_handshake *handshake);

#define SOCKET_JSON "restante.v1.json"
#define SOCKET_MSGPACK "restante.v1.msgpack"

#endif
