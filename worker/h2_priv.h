/* h2_priv - what the files of h2 share: a connection, its streams, its server.
 *
 *   h2_conn.c      a connection's life; the only one that frees it
 *   h2_session.c   nghttp2's options and callbacks
 *   h2_block.c     a header section on its way in
 *   h2_request.c   a stream as a request: its judgement, its body
 *   h2_stream.c    a stream as an exchange: its answer, its end
 *   h2_write.c     answers into frames, frames into bytes
 *   h2_deadline.c  time
 *   h2_limits.c    abuse
 *
 * Everything that happens to a connection ends in h2_settle, which is the only one that lets
 * nghttp2 make frames. nghttp2's callbacks and the application's calls only leave notes: on lists,
 * and in `again`, `failed`, `ending`.
 */
#ifndef WORKER_H2_PRIV_H
#define WORKER_H2_PRIV_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "worker/answer_head.h"
#include "worker/exchange.h"
#include "worker/h1_fault.h"
#include "worker/h2.h"
#include "worker/h2_limits.h"
#include "worker/wheel.h"
#include "worker/wire.h"

struct nghttp2_session;
struct nghttp2_session_callbacks;

/* --- h2_block.c --- */

struct h2_span { /* of a block's text */
    uint32_t at, n;
};

struct h2_field {
    struct h2_span name, value;
};

struct h2_block {
    struct buf text;
    struct h2_span method, path, authority; /* n 0: not there */
    size_t nfields;
    enum h1_fault fault; /* the first one; what comes after it is not kept */
    struct h2_field field[EXCHANGE_HEADERS];
};

/* A clean one, or NULL. limit: bytes. */
struct h2_block *h2_block_new(size_t limit);
void h2_block_clear(struct h2_block *b, size_t limit);
void h2_block_free(struct h2_block *b);
/* A field of the section. Pseudo fields come first (nghttp2 sees to it). */
void h2_block_add(struct h2_block *b, struct str name, struct str value, size_t target_max);

/* --- a stream --- */

enum h2_place { /* the one list, besides its connection's, that a stream waits in */
                H2_NOWHERE,
                H2_RECEIVING, /* its body is coming */
                H2_SENDING,   /* it has content that is not in frames yet */
};

struct h2_stream {
    struct exchange ex; /* first: the exchange is the stream */
    TAILQ_ENTRY(h2_stream) all;
    TAILQ_ENTRY(h2_stream) ready;
    TAILQ_ENTRY(h2_stream) waiting;
    char *text;     /* its header fields and their bytes; small while it is parked */
    uint64_t end;   /* output position after its last byte */
    uint64_t since; /* receiving: its body's time; sending: last progress */
    size_t sent;    /* bytes of ex.out_body that are in frames */
    size_t owed;    /* bytes of its body for which the peer got no window back yet */
    int32_t id;
    uint8_t place; /* enum h2_place */
    bool is_ready;
    bool complete;        /* the request is whole */
    bool continue_wanted; /* the client waits for 100 */
    bool submitted;       /* nghttp2 has the answer's head */
    bool stream, stream_ended, stalled;
    bool starved; /* its window is kept closed: others have the memory */
};

TAILQ_HEAD(h2_streams, h2_stream);

/* --- a connection --- */

struct h2 {
    struct h2_server *server;
    struct h2 *next, **prev;             /* all connections of the server */
    struct h2 *dirty_next, **dirty_prev; /* the server's dirty or unread list; prev NULL: none */
    struct event readable, writable;
    struct wheel_timer timer;
    struct wire wire;
    struct nghttp2_session *session;

    bool read_armed, write_armed;
    bool busy;                             /* inside h2_settle, or reading: only leave notes */
    bool again;                            /* something was answered meanwhile */
    bool failed;                           /* close at the next settle */
    bool eof;                              /* the peer has closed its sending side */
    bool greeted;                          /* the client's first SETTINGS came */
    bool ending;                           /* the last GOAWAY is made: no stream goes on */
    bool lingering;                        /* our side is shut down */
    bool pinged;                           /* the peer was asked and has not said anything since */
    bool noticed, noticed_back, last_said; /* the steps of a drain */
    bool starving;                         /* some stream has `owed` bytes */

    struct h2_streams streams;   /* open */
    struct h2_streams finishing; /* wholly in frames, not all in the kernel; by position */
    struct h2_streams ready;     /* something is to be told to nghttp2 */
    struct h2_streams receiving; /* oldest first */
    struct h2_streams sending;   /* by progress, the longest without first */
    size_t nstreams;             /* open and finishing */
    size_t held;                 /* bytes of bodies in memory */
    struct h2_block *block;      /* the header section that is coming in; NULL: none */
    size_t head_size;            /* of that section or trailer, as RFC 9113 6.5.2 counts */
    int32_t head_id;             /* the stream that it is of */
    struct h2_limits limits;
    size_t dropped; /* bytes read while lingering */

    struct buf out; /* bytes to be sent; the first out_sent of them are */
    size_t out_sent;
    uint64_t placed, written; /* output positions: bytes since the beginning */

    uint64_t head_since;  /* of the preface or a header section; 0: none is coming */
    uint64_t idle_since;  /* no stream */
    uint64_t heard_since; /* last bytes from the peer */
    uint64_t ping_since;
    uint64_t write_since; /* the kernel last took bytes */
    uint64_t data_since;  /* last content put into a frame */
    uint64_t notice_since, linger_since;
    char remote[];
};

struct h2_server {
    struct worker *worker;
    uint64_t (*now_ms)(void *arg);
    void *now_arg;
    struct h2 *all;
    struct h2 *dirty;  /* those with something to write */
    struct h2 *unread; /* those whose wire holds bytes that no event announces */
    size_t count;
    bool draining;
    struct wheel wheel;
    struct answer_date date;
    struct nghttp2_session_callbacks *callbacks;
    struct h2_block *spare_block;
    struct buf spare; /* memory of the last output buffer that ran empty */
    struct buf head;  /* the header lines of the answer in hand */
    char scratch[H2_READ_SIZE];
};

static inline uint64_t h2_now(const struct h2 *c)
{
    return c->server->now_ms(c->server->now_arg);
}

static inline size_t h2_unsent(const struct h2 *c)
{
    return (size_t)(c->placed - c->written);
}

/* h2_conn.c */
void h2_settle(struct h2 *c);              /* c may be gone afterwards */
void h2_wake(struct h2 *c);                /* settle soon */
void h2_end(struct h2 *c, uint32_t error); /* the last GOAWAY; open streams are gone */

/* h2_session.c */
int h2_session_setup(struct h2_server *s); /* 0, -ENOMEM */
int h2_session_open(struct h2 *c);         /* 0, -ENOMEM */
/* Lets the session have n bytes. */
void h2_session_feed(struct h2 *c, const char *data, size_t n);
void h2_calm(struct h2 *c); /* ends it if the peer went too far */
void h2_session_close(struct h2 *c);

/* h2_stream.c */
extern const struct exchange_transport h2_transport;
void h2_move(struct h2 *c, struct h2_stream *rq, enum h2_place where); /* to its tail */
void h2_make_ready(struct h2 *c, struct h2_stream *rq);
void h2_finish(struct h2 *c, struct h2_stream *rq); /* its last frame is made */
void h2_sent(struct h2 *c, struct h2_stream *rq);   /* its last byte is out: frees */
void h2_gone(struct h2 *c, struct h2_stream *rq);   /* the peer left, or was refused: frees */
void h2_gone_all(struct h2 *c);                     /* all that are open */
void h2_cut(struct h2 *c);                          /* the finishing too */
/* The first field of that name, which must be lower case; NULL. */
struct header *h2_header(const struct exchange *ex, const char *name);

/* h2_request.c */
void h2_begin(struct h2 *c, int32_t id, bool whole); /* c->block is complete */
void h2_body(struct h2 *c, struct h2_stream *rq, struct str bytes);
void h2_complete(struct h2 *c, struct h2_stream *rq); /* nothing more is to come */
void h2_fault(struct h2_stream *rq, enum h1_fault f); /* of what comes after the header section */
/* Gives windows back, as far as there is memory; true: some. */
bool h2_windows(struct h2 *c);

/* h2_write.c */
void h2_submit(struct h2 *c); /* tells nghttp2 what is ready */
void h2_make(struct h2 *c);   /* frames into the output */
void h2_flush(struct h2 *c);  /* output into the kernel */
int h2_append(struct h2 *c, const void *p, size_t n);
void h2_content_made(struct h2 *c, struct h2_stream *rq); /* rq->sent moved */

/* h2_deadline.c */
void h2_watch(struct h2 *c); /* sets the timer for the nearest deadline */

#endif
