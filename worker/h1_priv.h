/* h1_priv - what the files of h1 share: a connection, its requests, its server.
 *
 * h1_conn.c owns a connection's life and is the only one that frees it; h1_read.c turns bytes into
 * requests; h1_write.c turns answers into bytes, in order; h1_deadline.c watches the time.
 * Everything that happens to a connection ends in h1_settle, which makes all the progress there is
 * to be made: callbacks of the application only leave notes (`again`, `failed`).
 */
#ifndef WORKER_H1_PRIV_H
#define WORKER_H1_PRIV_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "worker/answer_head.h"
#include "worker/exchange.h"
#include "worker/h1.h"
#include "worker/h1_chunk.h"
#include "worker/h1_head.h"
#include "worker/h1_scan.h"
#include "worker/wheel.h"
#include "worker/wire.h"

struct h1_request {
    struct exchange ex; /* first: the exchange is the request */
    struct h1_request *next;
    uint64_t end;    /* output position after its last byte, once placed */
    bool keep_alive; /* what the client wants */
    bool http10;
    bool continue_wanted; /* the client waits for 100 Continue */
    bool head_placed;     /* a stream's head is in the output */
    bool websocket;       /* may take the connection over: asks for it, and nothing came behind */
    bool stream, stream_ended, stalled;
    struct header headers[]; /* and after them the bytes of the header section */
};

enum h1_reading {
    H1_READ_HEAD,
    H1_READ_LENGTH, /* body_left bytes of a body */
    H1_READ_CHUNKS,
    H1_READ_DROP, /* no request is taken any more; bytes are counted and dropped */
};

struct h1 {
    struct h1_server *server;
    struct h1 *next, **prev;             /* all connections of the server */
    struct h1 *dirty_next, **dirty_prev; /* the server's dirty or unread list; prev NULL: none */
    struct event readable, writable;
    struct wheel_timer timer;
    struct wire wire;

    enum h1_reading reading;
    bool read_armed, write_armed;
    bool busy;      /* inside h1_settle or h1_feed: only leave notes */
    bool again;     /* something was answered meanwhile */
    bool failed;    /* close at the next settle */
    bool leaving;   /* its last request takes the wire: nothing more is read */
    bool eof;       /* the peer has closed its sending side */
    bool linger;    /* read on for a moment before closing */
    bool lingering; /* our side is shut down */
    bool blank;     /* the one empty line before a request line was seen */

    struct h1_scan scan;
    struct h1_chunk chunk;
    uint64_t body_left;
    struct h1_request *body_of; /* whose body is being read; NULL: nobody's, it is dropped */
    uint64_t dropped;

    struct h1_request *first, *last; /* in flight, in order */
    struct h1_request *unplaced;     /* the first whose answer is not (wholly) in the output */
    size_t nrequests;

    struct buf in;  /* bytes not yet understood */
    struct buf out; /* bytes to be sent; the first out_sent of them are */
    size_t out_sent;
    struct h1_request *large; /* its body follows `out` and is sent from where it is */
    size_t large_sent;
    uint64_t placed, written; /* output positions: bytes since the beginning */

    uint64_t head_since; /* 0: no byte of a header section yet */
    uint64_t body_since; /* 0: its time has not begun */
    uint64_t idle_since;
    uint64_t write_since; /* last progress of output */
    uint64_t linger_since;
    char remote[];
};

struct h1_server {
    struct worker *worker;
    uint64_t (*now_ms)(void *arg);
    void *now_arg;
    struct h1 *all;
    struct h1 *dirty;  /* those with an answer to write */
    struct h1 *unread; /* those whose wire holds bytes that no event announces */
    size_t count;
    bool draining;
    struct wheel wheel;
    struct buf spare; /* memory of the last output buffer that ran empty */
    struct answer_date date;
    char scratch[H1_READ_SIZE];
};

static inline uint64_t h1_now(const struct h1 *c)
{
    return c->server->now_ms(c->server->now_arg);
}

/* h1_conn.c */
void h1_settle(struct h1 *c); /* c may be gone afterwards */
void h1_wake(struct h1 *c);   /* settle soon */
void h1_pop(struct h1 *c);    /* the first request ended: its answer is out */
void h1_drop_after(struct h1 *c, struct h1_request *rq); /* those behind rq end as gone */
extern const struct exchange_transport h1_transport;

/* h1_read.c */
bool h1_may_take(const struct h1 *c); /* room for one more request */
/* Understands as much as it can of n bytes; returns how many were used. */
size_t h1_feed(struct h1 *c, const char *data, size_t n);
void h1_on_eof(struct h1 *c);
/* Answers a header section that is no request; the last of this connection. */
void h1_refuse(struct h1 *c, enum h1_fault f, const char *data, size_t n);
void h1_body_fault(struct h1 *c, enum h1_fault f);
/* rq was answered while its body was still coming. */
void h1_abandon_body(struct h1 *c, struct h1_request *rq);

/* h1_write.c */
void h1_place(struct h1 *c); /* answers into the output, as far as their turn has come */
void h1_flush(struct h1 *c); /* output into the kernel; ends what is out */
size_t h1_unsent(const struct h1 *c);
void h1_answer(struct exchange *ex);
void h1_stream_begin(struct exchange *ex);
bool h1_may_upgrade(const struct exchange *ex);
void h1_hand_over(struct exchange *ex);
int h1_stream_write(struct exchange *ex, struct str bytes);
void h1_stream_end(struct exchange *ex);
size_t h1_stream_backlog(const struct exchange *ex);

/* h1_text.c */
void h1_answer_head(struct buf *out, struct h1_server *s, const struct h1_request *rq, bool keep);

/* h1_deadline.c */
void h1_watch(struct h1 *c); /* sets the timer for the nearest deadline */

#endif
