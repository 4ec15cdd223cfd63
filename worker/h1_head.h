/* h1_head - a clean header section as a request: views, framing, persistence (RFC 9112).
 *
 * libhttp-parser splits, this judges: what a request means for the connection is decided here and
 * only here. All views point into the section. Pure. Worker process.
 */
#ifndef WORKER_H1_HEAD_H
#define WORKER_H1_HEAD_H

#include "worker/exchange.h"
#include "worker/h1_fault.h"

enum h1_framing { H1_NO_BODY, H1_LENGTH, H1_CHUNKED };

struct h1_head {
    enum method method;
    struct str method_text, target, path, query;
    struct header headers[EXCHANGE_HEADERS];
    size_t nheaders;
    bool http10;
    bool keep_alive; /* as the client wishes, by its version's default */
    bool expect;     /* 100-continue, of a request with a body */
    bool websocket;  /* a GET that asks to become one (RFC 6455 4.1), in HTTP/1.1, without a body */
    enum h1_framing framing;
    uint64_t length; /* H1_LENGTH: bytes, not 0 */
};

/* data: exactly what h1_scan called whole. H1_FINE, or the first fault; *ret is then unspecified.
 */
enum h1_fault h1_head_parse(const char *data, size_t n, struct h1_head *ret);

/* The judgements that every HTTP version shares. */
enum h1_fault h1_method(struct str text, enum method *ret); /* H1_METHOD, H1_CONNECT */
/* uri-host [ ":" port ]; an empty one is allowed (RFC 9110 7.2). */
bool h1_host_valid(struct str s);

#endif
