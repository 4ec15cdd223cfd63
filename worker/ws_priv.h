/* ws_priv - what the files of ws share: a connection and its server.
 *
 * ws.c owns a connection's life and is the only one that frees it; ws_read.c turns bytes into
 * messages; ws_lws.c is libwebsockets; ws_out.c turns frames into bytes on the wire; ws_deadline.c
 * watches the time. Everything that happens to a connection ends in ws_settle; callbacks of the
 * application and of libwebsockets only leave notes.
 */
#ifndef WORKER_WS_PRIV_H
#define WORKER_WS_PRIV_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "worker/wheel.h"
#include "worker/ws.h"
#include "worker/ws_frame.h"
#include "worker/ws_scan.h"

#define WS_READ_SIZE (16u << 10) /* bytes of one read: a TLS record; one buffer per worker */
#define WS_PACKET (16u << 10)    /* gathered bytes that do not wait for the end of the turn */
#define WS_POOL (1u << 20)       /* bytes of spare output buffers of a worker */

struct lws;
struct ws_lws;

/* Bytes for a peer; only connections that have some hold one. */
struct ws_out {
    struct ws_out *next; /* in the pool */
    struct buf data;     /* the first `sent` bytes are the kernel's */
    size_t sent;
    bool blocked;          /* the kernel takes no more; `writable` waits */
    uint64_t progress_ms;  /* when the peer last took something */
    struct event writable; /* added while blocked */
};

enum ws_phase {
    WS_ALIVE,
    WS_ENDING, /* our close frame is written; the peer's is awaited */
    WS_DONE,   /* nothing more to be sent or awaited: close at the next settle */
};

struct ws {
    /* first what each frame that goes out touches */
    struct ws_server *server;
    struct ws *soon_next, **soon_prev; /* the server's soon or unread list; prev NULL: none */
    struct ws_out *out;
    const struct ws_ops *ops;
    void *arg;
    struct wire wire;
    enum ws_phase phase;
    enum metric why;
    bool established; /* libwebsockets says so */
    bool read_armed;
    bool paused;
    bool full;        /* ws_write said -EAGAIN */
    bool fragmented;  /* `message` is begun, though it may be empty */
    bool peer_closed; /* its close frame was seen */
    uint64_t heard_ms, ping_ms, alive_ms, end_ms;
    struct wheel_timer timer;
    struct buf in; /* read, not yet scanned: the connection was paused meanwhile */

    struct lws *lws; /* reads for us; NULL: nobody does any more */
    int lws_fd;      /* its descriptor, by which it is called */
    uint32_t road;   /* the road that lws_fd leads to, ws_lws.c */
    struct ws_scan scan;
    struct buf message; /* fragments so far */
    size_t held;        /* what of it counts among the worker's bodies */
    struct event readable;
    struct ws *next, **prev; /* all connections of the server */
    char remote[];
};

struct ws_server {
    struct worker *worker;
    uint64_t (*now_ms)(void *arg);
    void *now_arg;
    struct ws *all;
    struct ws *soon;   /* to be settled in this turn */
    struct ws *unread; /* those whose wire holds bytes that no event announces */
    size_t count;
    uint64_t accepted; /* ever: spreads the first pings */
    struct wheel wheel;
    struct ws_out *pool;
    size_t pooled; /* bytes in it */
    struct ws_lws *lws;
    unsigned char scratch[WS_READ_SIZE];
};

static inline uint64_t ws_now(const struct ws *c)
{
    return c->server->now_ms(c->server->now_arg);
}

/* ws.c */
void ws_settle(struct ws *c); /* c may be gone afterwards */
void ws_soon(struct ws *c);   /* settle in this turn */
/* The connection is broken or of no more use: closed, without a word, at the next settle. */
void ws_fail(struct ws *c, enum metric why);
/* Ends it with a code that the peer is told; 0: none. */
void ws_finish(struct ws *c, unsigned code, enum metric why);

/* ws_read.c */
void ws_read(struct ws *c);     /* one read of the wire, and what it says */
void ws_continue(struct ws *c); /* what waited in `in` */
void ws_message_free(struct ws *c);
/* Called by ws_lws.c while it is fed: */
void ws_on_payload(struct ws *c, bool binary, struct str bytes, bool last);
void ws_on_peer_close(struct ws *c, struct str payload);

/* ws_out.c */
int ws_out_append(struct ws *c, struct str bytes); /* 0 or -ENOMEM */
void ws_out_flush(struct ws *c);
void ws_out_free(struct ws *c);
void ws_out_pool_free(struct ws_server *s);
bool ws_blocked(const struct ws *c);

/* ws_deadline.c */
void ws_watch(struct ws *c); /* sets the timer for the nearest deadline */

/* ws_lws.c */
int ws_lws_open(struct ws_server *s); /* 0 or -errno */
void ws_lws_close(struct ws_server *s);
/* Makes libwebsockets read for c and take the request; its 101 is in the output then. 0 or -errno.
 */
int ws_lws_adopt(struct ws *c, const struct ws_handshake *handshake);
/* n bytes that ws_scan has passed, as it described them (NULL: the request). 0; -errno: it does not
 * read for c any more, and *ret_code is what the peer should be told. */
int ws_lws_feed(struct ws *c, const unsigned char *p, size_t n, const struct ws_run *run,
                unsigned *ret_code);
void ws_lws_drop(struct ws *c); /* c->lws is NULL then; not from inside ws_on_* */

#endif
