/* exchange - one HTTP request and its answer, whatever HTTP version carries it.
 *
 * A transport (h1, h2) makes an exchange when a header section is complete,
 * calls exchange_on_head, then, unless it was answered there, exchange_on_body once the whole body
 * is in. The application answers exactly once, in either call or any time later: exchange_answer
 * (whole) or exchange_stream_* (piecewise). It may answer from inside the calls above; the
 * transport only records the answer and writes it from its own proceed function.
 *
 * Lifetime: the exchange belongs to the transport. It ends in exactly one of two calls: on_sent,
 * when the kernel has taken the last byte of the answer, or on_gone, when the peer left or the
 * connection failed before that (answered or not). The exchange is dead when either returns; both
 * may be NULL. Between its answer and that end the application only waits. Worker process.
 */
#ifndef WORKER_EXCHANGE_H
#define WORKER_EXCHANGE_H

#include "common/buf.h"
#include "common/code.h"
#include "common/datum.h"
#include "worker/auth.h"
#include "worker/wire.h"

struct worker;
struct exchange;

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};

struct header {
    struct str name;  /* as received; compared without case */
    struct str value; /* no white space around it */
};

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"
#define MSGPACK_TYPE "application/msgpack"

/* What a browser is told with every answer: it is data, of the type it says, for its caller. */
#define EXCHANGE_BROWSER_LINES                                                                     \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Referrer-Policy: no-referrer\r\n"                                                             \
    "Cross-Origin-Resource-Policy: same-origin\r\n"                                                \
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"

#define EXCHANGE_HEADERS 100
#define REQUEST_ID_MAX 128
#define EXCHANGE_HEAD_MAX 4096           /* bytes of extra header lines of an answer */
#define EXCHANGE_ANSWER_MAX (128u << 20) /* a 16 MiB message, every byte escaped, fits */

/* What a transport implements. */
struct exchange_transport {
    const char *proto; /* "HTTP/1.1": for the log */
    /* The answer is complete in ex->out_*; write it when its turn comes. */
    void (*answer)(struct exchange *ex);
    /* Streaming: head is in ex->out_*; then chunks; then end. write returns 0, or -EAGAIN once more
     * than the transport's watermark is queued (the bytes were taken; wait for on_drain). */
    void (*stream_begin)(struct exchange *ex);
    int (*stream_write)(struct exchange *ex, struct str bytes);
    void (*stream_end)(struct exchange *ex);
    /* Bytes of the answer that the kernel has not taken yet; rather too many than too few. Inside
     * on_gone too. NULL: not known. */
    size_t (*stream_backlog)(const struct exchange *ex);
    /* The application waits for an event: keep only what that needs. */
    void (*parked)(struct exchange *ex);
    /* Whether this request may take its connection over: it asks for `websocket` (RFC 9110 7.8),
     * has no body, and nothing came behind it. NULL: connections of this transport are never given.
     */
    bool (*may_upgrade)(const struct exchange *ex);
    /* ex->on_wire was set, and counts as the answer: once what was answered before is out, the
     * connection ends here and on_wire gets its wire. */
    void (*hand_over)(struct exchange *ex);
};

struct exchange {
    struct worker *worker;
    const struct exchange_transport *transport;
    void *connection; /* the transport's own */

    /* request: set by the transport, borrowed from it, valid while the exchange lives */
    enum method method;
    struct str method_text;
    struct str target;            /* as received */
    struct str path, query;       /* still percent-encoded; query without '?' */
    const struct header *headers; /* at most EXCHANGE_HEADERS; parked or streaming: only Origin */
    size_t nheaders;
    struct buf body;   /* whole; at most body_limit */
    size_t body_limit; /* the application lowers it in on_head; born limits.request */
    size_t body_held;  /* what of it counts among the worker's bodies */
    bool has_body;
    const char *remote;  /* "127.0.0.1:53211" */
    const char *tls;     /* "TLSv1.3"; NULL: clear text */
    uint64_t started_ms; /* boot clock */

    /* identity of the request */
    char request_id[REQUEST_ID_MAX + 1]; /* given (checked) or made; on every answer */
    struct str traceparent;              /* W3C, checked; empty */
    enum encoding encoding;              /* of its answer: what Accept prefers */

    /* application */
    const struct rest_route *route; /* chosen in on_head */
    struct str param[3];            /* path parameters, percent-decoded, in param_text */
    size_t nparams;
    struct buf param_text;
    struct principal principal;
    void (*on_gone)(struct exchange *ex);
    void (*on_sent)(struct exchange *ex);
    void (*on_drain)(struct exchange *ex); /* streams */
    /* The wire is the application's from here on, and the exchange dead when it returns. remote is
     * valid during the call. Neither on_sent nor on_gone is called then; on_gone where the
     * connection broke before its turn. */
    void (*on_wire)(struct exchange *ex, struct wire wire, const char *remote);
    void *app; /* the handler's state; the handler frees it */

    /* answer */
    bool parked;   /* exchange_park was called, and there is no answer yet */
    bool answered; /* answer or stream_begin was called */
    int out_status;
    enum code out_code;   /* CODE_OK, or why */
    const char *out_type; /* Content-Type; NULL: none */
    bool out_own_lines;   /* out_head says what browsers and caches may do with it */
    struct buf out_head;  /* extra header lines, each "Name: value\r\n" */
    struct buf out_body;
    uint64_t out_bytes; /* of the body, for the log */
    bool close_after;   /* the connection cannot go on (unread body, parse error) */
};

/* Transport side. */
void exchange_init(struct exchange *ex, struct worker *w, const struct exchange_transport *t,
                   void *connection);
void exchange_free(struct exchange *ex); /* buffers; calls nothing */
/* request_id, traceparent and the answer's encoding, from the headers. exchange_on_head does it; a
 * transport that answers by itself (a request that cannot be understood) calls it before
 * exchange_problem. */
void exchange_identify(struct exchange *ex);
/* Finds route and method, credential, media types, limits; may answer at once. */
void exchange_on_head(struct exchange *ex);
void exchange_on_body(struct exchange *ex); /* only if not answered yet */
/* Bytes of the body, for the transport. 0; -EDQUOT: with them all bodies of this worker would be
 * over limits.bodies; -ENOMEM, -EMSGSIZE. Nothing was taken then. */
int exchange_take_body(struct exchange *ex, struct str bytes);
/* Whether so many would be taken now. */
bool exchange_has_room(const struct exchange *ex, uint64_t n);
void exchange_gone(struct exchange *ex); /* the peer left; then exchange_free */
void exchange_sent(struct exchange *ex); /* the answer is out; then exchange_free */
/* hand_over's turn has come: the wire is the application's; then exchange_free. */
void exchange_handed(struct exchange *ex, struct wire wire);

/* Application side. */
struct str exchange_header(const struct exchange *ex, const char *name); /* first; empty if none */
/* Query parameter, percent-decoded into ret. 1 found, 0 absent, -EINVAL bad encoding or twice. */
int exchange_query(const struct exchange *ex, const char *name, struct buf *ret);
void exchange_add_header(struct exchange *ex, const char *name, struct str value); /* no CR, LF */
/* What Accept says of a media type, over all its lines: thousandths, 1000 without any. */
unsigned exchange_accepts(const struct exchange *ex, const char *type);
/* The body is in ex->out_body; content_type is static text or NULL (no body). A body of JSON_TYPE
 * or PROBLEM_TYPE goes out as MSGPACK_TYPE where ex->encoding says so. A body or header that did
 * not fit into memory turns the answer into a 500. Counts by status class. Every answer and every
 * stream gets the header lines that are for browsers (cors.h) too. */
void exchange_answer(struct exchange *ex, int status, const char *content_type);
/* A problem document (RFC 9457). What out_body held is dropped, header lines added before stay.
 * detail: printf, at most 511 bytes, may be NULL. retry_after_s 0: no Retry-After, except that a
 * 429 or 503 always has one (1 s). A 503 without members says `"outcome":"none"`. A 401 carries
 * WWW-Authenticate (RFC 6750). */
void exchange_problem(struct exchange *ex, enum code code, unsigned retry_after_s,
                      const char *detail, ...) __attribute__((format(printf, 4, 5)));
/* As above with extra members, given as JSON text that begins with a comma: `,"outcome":"none"`. */
void exchange_problem_with(struct exchange *ex, enum code code, unsigned retry_after_s,
                           struct str members, const char *detail);
/* The answer waits for an event that may never come (a long-poll), not for work in progress. A peer
 * that closes its sending side still gets the answers of work in progress; for a parked exchange
 * that is the peer's leaving (on_gone). Counts POLLS_PARKED until answered or gone. At most once,
 * before the answer. May call nothing back from inside. */
void exchange_park(struct exchange *ex);
/* Instead of an answer: the connection itself (a WebSocket). Only where exchange_may_upgrade, and
 * in the call in which it said so (on_head or on_body): what comes later may be bytes behind the
 * request. From then on nothing more is read. on_wire may come from inside the transport's next
 * progress, never from inside this call. */
bool exchange_may_upgrade(const struct exchange *ex);
void exchange_hand_over(struct exchange *ex,
                        void (*on_wire)(struct exchange *ex, struct wire wire, const char *remote));
void exchange_stream_begin(struct exchange *ex, int status, const char *content_type);
int exchange_stream_write(struct exchange *ex, struct str bytes);
void exchange_stream_end(struct exchange *ex);
/* What was written and the kernel has not taken yet, framing included; SIZE_MAX: not known. Never
 * less than it is. Until on_gone returns. */
size_t exchange_stream_backlog(const struct exchange *ex);

/* percent-decoding (RFC 3986), appended to ret; '+' is a space only in queries. 0; -EINVAL for a
 * '%' without two hex digits and for %00; buf errors. */
int percent_decode(struct str s, bool plus_is_space, struct buf *ret);

#endif
