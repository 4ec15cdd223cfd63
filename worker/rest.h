/* rest - the application behind every transport: routes, credentials, handlers.
 *
 * exchange.c calls in here and nobody else does; a transport sees only exchange.h. Before
 * rest_on_head the exchange has: method, target, path and query (still percent-encoded), headers,
 * has_body, request_id, traceparent, remote, started_ms, body_limit. Of an absolute target
 * (RFC 9112 3.2.2) path is the path; of `OPTIONS *` it is "*". HEAD is matched as GET: the
 * transport leaves the body out. Worker process.
 */
#ifndef WORKER_REST_H
#define WORKER_REST_H

#include "worker/exchange.h"

#define REST_PARAMS 3

enum rest_body { REST_NO_BODY, REST_MAY_BODY, REST_NEEDS_BODY };
enum rest_produces {
    REST_JSON, /* or MessagePack */
    REST_TEXT,
    REST_MESSAGES, /* as REST_JSON, or an event stream */
    REST_FILE      /* what the file is, whatever Accept says */
};

/* One row of the route table. */
struct rest_route {
    enum method method;
    const char *pattern; /* "/v1/sessions/{}/messages": {} is one segment, a parameter */
    enum rest_body body;
    /* What the credential may do, media type, limits, before any body is read; NULL: nothing to
     * judge. May answer; may lower ex->body_limit. */
    void (*on_head)(struct exchange *ex);
    /* The whole body is in ex->body (empty without one). Answers now or later. */
    void (*on_body)(struct exchange *ex);
    enum rest_produces produces; /* what Accept must allow */
    bool open;                   /* for everyone: no credential is looked at */
};

const struct rest_route *rest_routes(size_t *ret_n); /* the table */
/* CODE_OK with the route and its parameters (views into path, still percent-encoded); NOT_FOUND; or
 * METHOD_NOT_ALLOWED with the path's methods in ret_allow ("GET, HEAD, OPTIONS"), for OPTIONS too.
 */
enum code rest_find(enum method method, struct str path, const struct rest_route **ret_route,
                    struct str ret_param[REST_PARAMS], size_t *ret_nparams, struct buf *ret_allow);

/* Chooses ex->route, fills ex->param, judges the credential; calls the route's on_head. May answer;
 * then rest_on_body is not called. */
void rest_on_head(struct exchange *ex);
/* Called exactly once for an exchange that is not answered yet, with the whole body in. */
void rest_on_body(struct exchange *ex);

#endif
