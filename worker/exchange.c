/* exchange - what every HTTP version shares: identity of a request, its one answer, its one end.
 *
 * The state checks here are the promise of exchange.h: one answer, then exactly one of on_sent and
 * on_gone. The request's log line is written at that end, when its true duration is known.
 */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/clock.h"
#include "common/log.h"

#include "worker/cors.h"
#include "worker/exchange.h"
#include "worker/exchange_log.h"
#include "worker/negotiate.h"
#include "worker/request_id.h"
#include "worker/rest.h"
#include "worker/worker.h"

void exchange_init(struct exchange *ex, struct worker *w, const struct exchange_transport *t,
                   void *connection)
{
    const struct conf *conf = w->conf;
    memset(ex, 0, sizeof(*ex));
    ex->worker = w;
    ex->transport = t;
    ex->connection = connection;
    ex->remote = "";
    ex->body_limit = conf->limit_request;
    buf_init(&ex->body, conf->limit_request);
    buf_init(&ex->param_text, conf->limit_header);
    buf_init(&ex->out_head, EXCHANGE_HEAD_MAX);
    buf_init(&ex->out_body, EXCHANGE_ANSWER_MAX);
}

bool exchange_has_room(const struct exchange *ex, uint64_t n)
{
    uint64_t limit = ex->worker->conf->limit_bodies;
    return ex->worker->bodies <= limit && n <= limit - ex->worker->bodies;
}

/* What the buffer holds beside its bytes is held as well. */
static void hold_body(struct exchange *ex, size_t n)
{
    ex->worker->bodies = ex->worker->bodies - ex->body_held + n;
    ex->body_held = n;
    metric_set(ex->worker->metrics, METRIC_BODIES_BYTES, ex->worker->bodies);
}

int exchange_take_body(struct exchange *ex, struct str bytes)
{
    size_t spare = ex->body.cap - ex->body.len;
    if (bytes.n > spare && !exchange_has_room(ex, bytes.n - spare)) {
        metric_add(ex->worker->metrics, METRIC_BODIES_REFUSED, 1);
        return -EDQUOT;
    }
    int err = buf_append_str(&ex->body, bytes);
    if (!err && ex->body.cap != ex->body_held)
        hold_body(ex, ex->body.cap);
    return err;
}

void exchange_free(struct exchange *ex)
{
    if (ex->body_held)
        hold_body(ex, 0);
    principal_free(&ex->principal);
    buf_free(&ex->body);
    buf_free(&ex->param_text);
    buf_free(&ex->out_head);
    buf_free(&ex->out_body);
}

void exchange_identify(struct exchange *ex)
{
    struct str trace = exchange_header(ex, "traceparent");
    if (traceparent_valid(trace))
        ex->traceparent = trace;
    struct str id = exchange_header(ex, "x-request-id");
    if (!request_id_valid(id) && ex->traceparent.n)
        id = str_make(ex->traceparent.p + TRACEPARENT_TRACE_AT, TRACEPARENT_TRACE_LEN);
    if (request_id_valid(id)) {
        memcpy(ex->request_id, id.p, id.n);
        ex->request_id[id.n] = '\0';
    } else {
        request_id_make(&ex->worker->request_seed, ex->request_id);
    }
    bool better = exchange_accepts(ex, MSGPACK_TYPE) > exchange_accepts(ex, JSON_TYPE);
    ex->encoding = better ? ENCODING_MSGPACK : ENCODING_JSON;
}

void exchange_on_head(struct exchange *ex)
{
    exchange_identify(ex);
    rest_on_head(ex);
}

void exchange_on_body(struct exchange *ex)
{
    must(!ex->answered);
    rest_on_body(ex);
}

static void unpark(struct exchange *ex)
{
    if (ex->parked)
        metric_sub(ex->worker->metrics, METRIC_POLLS_PARKED, 1);
    ex->parked = false;
}

void exchange_gone(struct exchange *ex)
{
    unpark(ex);
    metric_add(ex->worker->metrics, METRIC_REQUESTS_GONE, 1);
    exchange_log(ex, true);
    if (ex->on_gone)
        ex->on_gone(ex);
}

void exchange_sent(struct exchange *ex)
{
    must(ex->answered);
    exchange_log(ex, false);
    if (ex->on_sent)
        ex->on_sent(ex);
}

struct str exchange_header(const struct exchange *ex, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < ex->nheaders; i++) {
        struct str at = ex->headers[i].name;
        if (at.n == n && strncasecmp(at.p, name, n) == 0)
            return ex->headers[i].value;
    }
    return str_make(NULL, 0);
}

unsigned exchange_accepts(const struct exchange *ex, const char *type)
{
    struct accept verdict = {.quality = 0};
    bool said = false;
    for (size_t i = 0; i < ex->nheaders; i++) {
        struct str at = ex->headers[i].name;
        if (at.n != sizeof("accept") - 1 || strncasecmp(at.p, "accept", at.n) != 0)
            continue;
        negotiate(ex->headers[i].value, type, &verdict);
        said = said || ex->headers[i].value.n > 0;
    }
    return said ? verdict.quality : NEGOTIATE_FULL;
}

void exchange_add_header(struct exchange *ex, const char *name, struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            /* Our bug, but one that a peer may be able to provoke: never a split answer. */
            log_event(LOG_ERROR, "header_dropped", LOG_Z("name", name),
                      LOG_Z("request_id", ex->request_id));
            return;
        }
    }
    buf_append_z(&ex->out_head, name);
    buf_append_z(&ex->out_head, ": ");
    buf_append_str(&ex->out_head, value);
    buf_append_z(&ex->out_head, "\r\n");
}

void exchange_park(struct exchange *ex)
{
    must(!ex->answered && !ex->parked);
    ex->parked = true;
    metric_add(ex->worker->metrics, METRIC_POLLS_PARKED, 1);
    if (ex->transport->parked)
        ex->transport->parked(ex);
}

/* All of them or none: an answer for which there is no memory left goes out as it is. */
static void add_lines(struct exchange *ex)
{
    struct buf *b = &ex->out_head;
    size_t before = b->len;
    if (b->error)
        return;
    if (!ex->out_own_lines)
        buf_append_str(b, STR(EXCHANGE_BROWSER_LINES));
    cors_answer(ex);
    if (b->error) {
        b->len = before;
        b->error = 0;
    }
}

/* Everything an answer and the beginning of a stream have in common. */
static void decide(struct exchange *ex, int status, const char *content_type)
{
    must(!ex->answered);
    must(status >= 200 && status < 600);
    unpark(ex);
    ex->answered = true;
    ex->out_status = status;
    ex->out_type = content_type;
    static const enum metric by_class[] = {METRIC_REQUESTS_2XX, METRIC_REQUESTS_3XX,
                                           METRIC_REQUESTS_4XX, METRIC_REQUESTS_5XX};
    metric_add(ex->worker->metrics, by_class[status / 100 - 2], 1);
}

/* Ours are made as JSON; what is long is made in the right encoding at once. */
static const char *translate(struct exchange *ex, const char *type)
{
    bool json = type && (strcmp(type, JSON_TYPE) == 0 || strcmp(type, PROBLEM_TYPE) == 0);
    if (ex->encoding != ENCODING_MSGPACK || !json || ex->out_body.error)
        return type;
    const struct json_value v = {.raw = buf_str(&ex->out_body)};
    struct buf other;
    buf_init(&other, EXCHANGE_ANSWER_MAX);
    int err = mp_from_json(v, &other);
    buf_free(&ex->out_body);
    if (!err) {
        ex->out_body = other;
        return MSGPACK_TYPE;
    }
    buf_free(&other);
    if (ex->out_code == CODE_OK)
        ex->out_body.error = err;
    return NULL; /* a refusal goes out without its document */
}

void exchange_answer(struct exchange *ex, int status, const char *content_type)
{
    content_type = translate(ex, content_type);
    add_lines(ex);
    if (ex->out_head.error || ex->out_body.error) {
        log_event(LOG_ERROR, "answer_lost", LOG_Z("request_id", ex->request_id),
                  LOG_E(ex->out_body.error ? ex->out_body.error : ex->out_head.error));
        buf_free(&ex->out_head);
        buf_free(&ex->out_body);
        ex->out_code = CODE_INTERNAL;
        status = code_status(CODE_INTERNAL);
        content_type = NULL;
    }
    decide(ex, status, content_type);
    if (ex->method != METHOD_HEAD)
        ex->out_bytes = ex->out_body.len;
    ex->transport->answer(ex);
}

bool exchange_may_upgrade(const struct exchange *ex)
{
    return ex->transport->may_upgrade && ex->transport->may_upgrade(ex);
}

void exchange_hand_over(struct exchange *ex,
                        void (*on_wire)(struct exchange *ex, struct wire wire, const char *remote))
{
    must(!ex->answered && on_wire && exchange_may_upgrade(ex));
    unpark(ex);
    ex->answered = true;
    ex->out_status = 101;
    ex->on_wire = on_wire;
    ex->transport->hand_over(ex);
}

void exchange_handed(struct exchange *ex, struct wire wire)
{
    must(ex->on_wire);
    exchange_log(ex, false);
    ex->on_wire(ex, wire, ex->remote);
}

void exchange_stream_begin(struct exchange *ex, int status, const char *content_type)
{
    add_lines(ex);
    if (ex->out_head.error)
        buf_free(&ex->out_head); /* no line of the handler's, rather than half of one */
    decide(ex, status, content_type);
    ex->transport->stream_begin(ex);
}

int exchange_stream_write(struct exchange *ex, struct str bytes)
{
    must(ex->answered);
    if (ex->method != METHOD_HEAD)
        ex->out_bytes += bytes.n;
    return ex->transport->stream_write(ex, bytes);
}

void exchange_stream_end(struct exchange *ex)
{
    must(ex->answered);
    ex->transport->stream_end(ex);
}

size_t exchange_stream_backlog(const struct exchange *ex)
{
    return ex->transport->stream_backlog ? ex->transport->stream_backlog(ex) : SIZE_MAX;
}
