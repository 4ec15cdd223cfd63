/* socket_priv - the insides of a session over a WebSocket, shared by its files.
 *
 *   socket.c          its life: hello, messages, what was delivered, the end
 *   socket_command.c  what the client says, and what the writer says to it; acks
 *   socket_topic.c    subscriptions and publishes
 *   socket_answer.c   what is said to the client, and where it waits for room
 */
#ifndef WORKER_SOCKET_PRIV_H
#define WORKER_SOCKET_PRIV_H

#include "worker/exchange.h"
#include "worker/route.h"
#include "worker/socket.h"
#include "worker/socket_frame.h"
#include "worker/worker.h"

#include <sys/queue.h>

#define SOCKET_BATCH_BYTES (64u << 10) /* of messages that one read of the store gathers */
#define SOCKET_OBJECT_MAX (1u << 20)   /* bytes of any object but a message */
#define SOCKET_RETRY_MS 1000           /* when to come again with what is unavailable */

struct socket_command;

struct socket {
    struct worker *worker;
    struct ws *ws;
    struct pickup *pickup; /* NULL before on_open, and once it has ended */
    struct wheel_timer timer;
    struct session session; /* without its texts, but with its subject */
    struct principal principal;
    const char *reason;     /* of a reset that is to be told; NULL: none */
    uint64_t start, newest; /* where it begins; the newest seq at a reset */
    LIST_HEAD(, socket_command) commands;
    uint64_t in_flight;

    struct buf out;      /* frames of the store read in hand */
    struct buf waiting;  /* answers for which there is no room yet */
    uint64_t taken;      /* seq of the last stored message in out, or before it */
    uint64_t written;    /* seq of the last one given to ws */
    uint64_t told;       /* reported as delivered */
    uint64_t mark;       /* seq to be reported once the kernel has taken all up to it; 0 none */
    uint64_t behind;     /* bytes written after it */
    uint64_t checked_ms; /* boot clock: when its credential was judged last */

    enum ws_close close; /* once it is ending */
    enum metric why;
    uint8_t encoding; /* enum encoding */
    bool stalled;     /* ws has enough */
    bool full;        /* out has enough */
    bool failed;      /* no memory for a message */
    bool report_soon; /* the timer is set for a report */
    bool paused;      /* it is not read from */
    bool ending;      /* nothing of the client's is taken any more */
    bool ended;       /* ws_end was called */
    char subject[];
};

/* --- socket.c --- */

/* Ends it once what is under way is answered and written. */
void socket_end(struct socket *s, enum ws_close close, enum metric why);
/* Ends it now; what is under way is not told any more. */
void socket_cut(struct socket *s, enum ws_close close, enum metric why);
/* After anything that may have changed whether it should be read from, or that it waited for. */
void socket_settle(struct socket *s);

/* --- socket_answer.c --- */

/* Gives frames to ws; the caller has looked whether it is stalled. 0, or -ENOMEM: not taken. */
int socket_write(struct socket *s, struct str frames);
/* Says an object, which is freed; one that cannot be said for want of memory cuts the socket. */
void socket_say(struct socket *s, struct buf *json);
/* There is room again: what waited goes first. */
void socket_on_room(struct socket *s);

void socket_hello(struct socket *s);
void socket_closing(struct socket *s);
/* {"t":"truncated",...} as a frame behind what out holds. */
void socket_truncated(struct socket *s, const struct pickup_lost *lost, size_t n);

/* Whose answer it is. */
struct socket_asked {
    bool counted; /* the client gave n: it gets an answer, not only a refusal */
    uint64_t n;
};
/* ok: begins {"t":"ok","re":...; members follow, each with its comma, and the brace. Returns false
 * when none is wanted. */
bool socket_ok_begin(const struct socket_asked *asked, struct buf *json);
void socket_ok(struct socket *s, const struct socket_asked *asked);
/* members: more of them as JSON text that begins with a comma, or empty. why: NULL: the code's
 * title. */
void socket_refuse(struct socket *s, const struct socket_asked *asked, enum code code,
                   struct str members, const char *why);

/* --- socket_command.c --- */

/* One object of the client's. */
struct socket_request {
    struct socket *s;
    struct socket_asked asked;
    struct datum object, topic, cursor, presence;
};

/* One that the writer works on. */
struct socket_command {
    LIST_ENTRY(socket_command) entry;
    struct socket *socket;
    struct route_call *call;
    struct socket_asked asked;
    void (*on_ok)(struct socket_command *c, struct unpack *body); /* answers */
    uint64_t seq;                                                 /* ack */
    bool ephemeral;                                               /* publish */
    uint8_t topic_n;
    char topic[];
};

void socket_command(struct socket *s, struct str text);
/* The socket is going: commands under way run, and nobody is told. */
void socket_forget_commands(struct socket *s);
void socket_deny(const struct socket_request *q, enum code code, const char *why);
void socket_fail(const struct socket_request *q, int err); /* of route_command, or a store error */
/* NULL: it was denied for want of memory. topic: copied; may be empty. */
struct socket_command *socket_command_new(const struct socket_request *q, struct str topic,
                                          void (*on_ok)(struct socket_command *c,
                                                        struct unpack *body));
/* Takes c; denies it when it cannot be sent. */
void socket_submit(const struct socket_request *q, struct socket_command *c, enum command_type type,
                   size_t size_max, route_encode_f *encode, void *arg);

/* --- socket_topic.c --- */

void socket_subscribe(const struct socket_request *q);
void socket_unsubscribe(const struct socket_request *q);
void socket_publish(const struct socket_request *q);

#endif
