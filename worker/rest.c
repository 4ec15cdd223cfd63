/* rest - the route table, and what every request is judged by before its handler sees it.
 *
 * The order is what callers notice: path, method, parameters, credential, Accept; then the handler.
 * A path is split before it is decoded and decoded once, so an encoded slash never makes a segment.
 */
#include "worker/cors.h"
#include "worker/rest_priv.h"
#include "worker/sse.h"

#include "common/clock.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define TEXT_TYPE "text/plain"

static const struct rest_route routes[] = {
    {METHOD_POST, "/v1/sessions", REST_MAY_BODY, session_open_head, session_open_body, REST_JSON,
     false},
    {METHOD_GET, "/v1/sessions", REST_NO_BODY, session_list_head, session_list_body, REST_JSON,
     false},
    {METHOD_GET, "/v1/sessions/{}", REST_NO_BODY, rest_session_head, session_get_body, REST_JSON,
     false},
    {METHOD_PATCH, "/v1/sessions/{}", REST_NEEDS_BODY, session_patch_head, session_patch_body,
     REST_JSON, false},
    {METHOD_DELETE, "/v1/sessions/{}", REST_NO_BODY, rest_session_head, session_delete_body,
     REST_JSON, false},
    {METHOD_POST, "/v1/sessions/{}/token", REST_NO_BODY, rest_session_head, session_token_body,
     REST_JSON, false},
    {METHOD_GET, "/v1/sessions/{}/messages", REST_NO_BODY, rest_session_head, pickup_body,
     REST_MESSAGES, false},
    {METHOD_POST, "/v1/sessions/{}/messages", REST_MAY_BODY, publish_head, publish_session_body,
     REST_JSON, false},
    {METHOD_GET, "/v1/sessions/{}/messages/{}", REST_NO_BODY, receipt_head, receipt_body, REST_JSON,
     false},
    {METHOD_POST, "/v1/sessions/{}/ack", REST_NEEDS_BODY, ack_head, ack_body, REST_JSON, false},
    {METHOD_PUT, "/v1/sessions/{}/subscriptions/{}", REST_MAY_BODY, subscribe_head, subscribe_body,
     REST_JSON, false},
    {METHOD_DELETE, "/v1/sessions/{}/subscriptions/{}", REST_NO_BODY, subscribe_head,
     unsubscribe_body, REST_JSON, false},
    {METHOD_GET, "/v1/topics", REST_NO_BODY, topic_list_head, topic_list_body, REST_JSON, false},
    {METHOD_GET, "/v1/topics/{}", REST_NO_BODY, topic_read_head, topic_get_body, REST_JSON, false},
    {METHOD_GET, "/v1/topics/{}/messages", REST_NO_BODY, topic_read_head, topic_history_body,
     REST_JSON, false},
    {METHOD_POST, "/v1/topics/{}/messages", REST_MAY_BODY, publish_topic_head, publish_topic_body,
     REST_JSON, false},
    {METHOD_DELETE, "/v1/topics/{}/messages", REST_NO_BODY, topic_empty_head, topic_empty_body,
     REST_JSON, false},
    {METHOD_GET, "/v1/topics/{}/presence", REST_NO_BODY, presence_head, presence_body, REST_JSON,
     false},
    {METHOD_POST, "/v1/subjects/{}/messages", REST_MAY_BODY, publish_head, publish_subject_body,
     REST_JSON, false},
    {METHOD_POST, "/v1/publish", REST_NEEDS_BODY, batch_head, batch_body, REST_JSON, false},
    {METHOD_GET, "/v1/status", REST_NO_BODY, admin_head, status_body, REST_JSON, false},
    {METHOD_POST, "/v1/rotate", REST_NO_BODY, admin_head, rotate_body, REST_JSON, false},
    {METHOD_GET, "/v1/socket", REST_NO_BODY, socket_head, socket_body, REST_JSON, false},
    {METHOD_GET, "/healthz", REST_NO_BODY, NULL, health_body, REST_JSON, true},
    {METHOD_GET, "/readyz", REST_NO_BODY, NULL, ready_body, REST_JSON, true},
    {METHOD_GET, "/metrics", REST_NO_BODY, NULL, metrics_body, REST_TEXT, true},
    {METHOD_GET, "/openapi.json", REST_NO_BODY, NULL, openapi_body, REST_JSON, true},
    {METHOD_GET, "/restante.js", REST_NO_BODY, NULL, web_body, REST_FILE, true},
    {METHOD_GET, "/restante.d.ts", REST_NO_BODY, NULL, web_body, REST_FILE, true},
    {METHOD_GET, "/example", REST_NO_BODY, NULL, web_body, REST_FILE, true},
    {METHOD_GET, "/example.js", REST_NO_BODY, NULL, web_body, REST_FILE, true},
};
#define NROUTES (sizeof(routes) / sizeof(routes[0]))

static const char *const method_names[] = {
    [METHOD_GET] = "GET, HEAD", [METHOD_POST] = "POST",     [METHOD_PUT] = "PUT",
    [METHOD_PATCH] = "PATCH",   [METHOD_DELETE] = "DELETE",
};

/* Segment by segment; {} takes one that is not empty. */
static bool path_matches(const char *pattern, struct str path, struct str *ret, size_t *ret_n)
{
    const char *p = path.p, *end = path.p + path.n;
    *ret_n = 0;
    while (*pattern && p < end) {
        if (pattern[0] == '{') {
            const char *slash = memchr(p, '/', (size_t)(end - p));
            const char *stop = slash ? slash : end;
            if (stop == p)
                return false;
            ret[(*ret_n)++] = str_make(p, (size_t)(stop - p));
            p = stop;
            pattern += 2;
        } else if (*pattern++ != *p++) {
            return false;
        }
    }
    return !*pattern && p == end;
}

const struct rest_route *rest_routes(size_t *ret_n)
{
    *ret_n = NROUTES;
    return routes;
}

enum code rest_find(enum method method, struct str path, const struct rest_route **ret_route,
                    struct str ret_param[REST_PARAMS], size_t *ret_nparams, struct buf *ret_allow)
{
    if (method == METHOD_HEAD)
        method = METHOD_GET;
    const struct rest_route *found = NULL;
    bool known = false;
    for (size_t i = 0; i < NROUTES && !found; i++) {
        struct str param[REST_PARAMS];
        size_t n;
        if (!path_matches(routes[i].pattern, path, param, &n))
            continue;
        if (routes[i].method == method) {
            found = &routes[i];
            memcpy(ret_param, param, n * sizeof(param[0]));
            *ret_nparams = n;
        } else {
            buf_append_z(ret_allow, method_names[routes[i].method]);
            buf_append_z(ret_allow, ", ");
            known = true;
        }
    }
    if (found) {
        *ret_route = found;
        return CODE_OK;
    }
    if (!known)
        return CODE_NOT_FOUND;
    buf_append_z(ret_allow, "OPTIONS");
    return CODE_METHOD_NOT_ALLOWED;
}

/* Whether Accept allows what we make. */
static bool acceptable(const struct exchange *ex)
{
    if (ex->route->produces == REST_FILE)
        return true;
    if (ex->route->produces == REST_TEXT)
        return exchange_accepts(ex, TEXT_TYPE);
    if (ex->route->produces == REST_MESSAGES && exchange_accepts(ex, SSE_TYPE))
        return true;
    return exchange_accepts(ex, JSON_TYPE) || exchange_accepts(ex, MSGPACK_TYPE) ||
           exchange_accepts(ex, PROBLEM_TYPE);
}

static bool decode_params(struct exchange *ex, const struct str *param, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += param[i].n;
    /* At once, so that the views below stay valid. */
    if (n && buf_reserve(&ex->param_text, total) != 0) {
        rest_no_memory(ex);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        size_t from = ex->param_text.len;
        if (percent_decode(param[i], false, &ex->param_text) != 0) {
            exchange_problem(ex, CODE_BAD_REQUEST, 0, "bad percent-encoding in the path");
            return false;
        }
        ex->param[i] = str_make(ex->param_text.data + from, ex->param_text.len - from);
    }
    ex->nparams = n;
    return true;
}

static bool identify_caller(struct exchange *ex)
{
    struct str header = exchange_header(ex, "authorization");
    struct buf query;
    buf_init(&query, ex->query.n + 1);
    int found = header.n ? 0 : exchange_query(ex, "access_token", &query);
    enum code code = CODE_TOKEN_MALFORMED;
    if (found == 0 || (found == 1 && query.len)) {
        struct session_keys keys;
        board_keys_get(ex->worker->board, &keys);
        code = principal_of(ex->worker->conf, &keys, header, buf_str(&query), clock_wall_ms(),
                            &ex->principal);
    }
    buf_free(&query);
    if (code != CODE_OK)
        exchange_problem(ex, code, 0, NULL);
    return code == CODE_OK;
}

static void answer_options(struct exchange *ex, struct str allow)
{
    exchange_add_header(ex, "Allow", allow);
    exchange_answer(ex, 204, NULL);
}

static void refuse_path(struct exchange *ex, enum code code, struct str allow)
{
    if (code == CODE_METHOD_NOT_ALLOWED && ex->method == METHOD_OPTIONS) {
        cors_preflight(ex, allow);
        answer_options(ex, allow);
        return;
    }
    if (code == CODE_METHOD_NOT_ALLOWED)
        exchange_add_header(ex, "Allow", allow);
    exchange_problem(ex, code, 0, NULL);
}

/* Where two would contradict each other and either could be meant, neither is taken. */
static bool said_once(struct exchange *ex)
{
    static const char *const names[] = {"authorization", "content-type", "idempotency-key",
                                        "sec-websocket-key", "sec-websocket-version"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t n = 0;
        for (size_t k = 0; k < ex->nheaders; k++)
            n += ex->headers[k].name.n == strlen(names[i]) &&
                 strncasecmp(ex->headers[k].name.p, names[i], strlen(names[i])) == 0;
        if (n > 1) {
            exchange_problem(ex, CODE_BAD_REQUEST, 0, "more than one header %s", names[i]);
            return false;
        }
    }
    return true;
}

/* A payload is kept as it came, so a coding would be lost on the way to its reader. */
static bool not_coded(struct exchange *ex)
{
    struct str coding = exchange_header(ex, "content-encoding");
    if (coding.n == 0 || (coding.n == 8 && strncasecmp(coding.p, "identity", 8) == 0))
        return true;
    exchange_add_header(ex, "Accept-Encoding", STR("identity"));
    exchange_problem(ex, CODE_UNSUPPORTED_MEDIA_TYPE, 0,
                     "bodies are taken without Content-Encoding");
    return false;
}

void rest_on_head(struct exchange *ex)
{
    if (ex->method == METHOD_OPTIONS && str_is(ex->path, "*")) {
        answer_options(ex, STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        return;
    }
    char memory[128];
    struct buf allow;
    buf_fixed(&allow, memory, sizeof(memory));
    struct str param[REST_PARAMS];
    size_t n;
    enum code code = rest_find(ex->method, ex->path, &ex->route, param, &n, &allow);
    if (code != CODE_OK) {
        refuse_path(ex, code, buf_str(&allow));
        return;
    }
    if (!decode_params(ex, param, n) || !said_once(ex))
        return;
    if (!ex->route->open && !identify_caller(ex))
        return;
    if (!acceptable(ex)) {
        static const char *const types[] = {
            [REST_JSON] = JSON_TYPE " or " MSGPACK_TYPE,
            [REST_TEXT] = TEXT_TYPE,
            [REST_MESSAGES] = JSON_TYPE ", " MSGPACK_TYPE " or " SSE_TYPE,
        };
        exchange_problem(ex, CODE_NOT_ACCEPTABLE, 0, "this is answered in %s",
                         types[ex->route->produces]);
        return;
    }
    if (ex->route->body == REST_NEEDS_BODY && !ex->has_body) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "a body is needed");
        return;
    }
    if (ex->has_body && !not_coded(ex))
        return;
    if (ex->route->on_head)
        ex->route->on_head(ex);
}

void rest_on_body(struct exchange *ex)
{
    ex->route->on_body(ex);
}
