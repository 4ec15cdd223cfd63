/* h1_read - bytes into requests: where one ends, the next begins, and what is refused.
 *
 * A header section is judged where it lies in the read buffer; what a request needs of it is copied
 * into one right-sized allocation with its exchange, so a parked request costs what it weighs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#include "worker/h1_priv.h"
#include "worker/worker.h"

bool h1_may_take(const struct h1 *c)
{
    const struct conf *conf = c->server->worker->conf;
    return c->nrequests < conf->pipeline && h1_unsent(c) <= H1_OUT_HIGH;
}

/* --- a request is born --- */

static struct str moved(struct str s, const char *from, size_t n, const char *to)
{
    /* Views that do not lie in the section ("/" of an absolute target without a path) stay. */
    return s.p >= from && s.p < from + n ? str_make(to + (s.p - from), s.n) : s;
}

/* Appends a request to the pipeline. NULL: no memory. */
static struct h1_request *new_request(struct h1 *c, const struct h1_head *head, const char *data,
                                      size_t n)
{
    size_t names = head->nheaders * sizeof(struct header);
    struct h1_request *rq = malloc(sizeof(*rq) + names + n);
    if (!rq)
        return NULL;
    memset(rq, 0, sizeof(*rq));
    struct exchange *ex = &rq->ex;
    exchange_init(ex, c->server->worker, &h1_transport, c);
    char *text = (char *)(rq->headers + head->nheaders);
    memcpy(text, data, n);
    for (size_t i = 0; i < head->nheaders; i++) {
        rq->headers[i].name = moved(head->headers[i].name, data, n, text);
        rq->headers[i].value = moved(head->headers[i].value, data, n, text);
    }
    ex->headers = rq->headers;
    ex->nheaders = head->nheaders;
    ex->method = head->method;
    ex->method_text = moved(head->method_text, data, n, text);
    ex->target = moved(head->target, data, n, text);
    ex->path = moved(head->path, data, n, text);
    ex->query = moved(head->query, data, n, text);
    ex->has_body = head->framing != H1_NO_BODY;
    ex->remote = c->remote;
    ex->tls = wire_version(&c->wire);
    ex->started_ms = h1_now(c);
    rq->keep_alive = head->keep_alive;
    rq->http10 = head->http10;
    rq->continue_wanted = head->expect;
    rq->websocket = head->websocket;

    if (c->last)
        c->last->next = rq;
    else
        c->first = rq;
    c->last = rq;
    if (!c->unplaced)
        c->unplaced = rq;
    c->nrequests++;
    return rq;
}

/* --- refusing --- */

static void count_fault(struct h1 *c, enum h1_fault f)
{
    struct metric_block *metrics = c->server->worker->metrics;
    enum code code = h1_fault_code(f);
    if (code == CODE_TIMEOUT)
        metric_add(metrics, METRIC_CLOSED_TIMEOUT, 1);
    else if (code != CODE_TOO_LARGE && code != CODE_INTERNAL)
        metric_add(metrics, METRIC_CLOSED_PROTOCOL, 1);
}

void h1_refuse(struct h1 *c, enum h1_fault f, const char *data, size_t n)
{
    /* For the log, and for HEAD, whose answer has no body, the method and target are taken from
     * what is there, if they look like it. */
    struct h1_head head = {.method = METHOD_OTHER, .keep_alive = true};
    const char *line_end = n ? memchr(data, '\r', n) : NULL;
    size_t line = line_end ? (size_t)(line_end - data) : 0;
    const char *sp = line ? memchr(data, ' ', line) : NULL;
    if (sp && h1_is_token(data, (size_t)(sp - data))) {
        head.method_text = str_make(data, (size_t)(sp - data));
        const char *target = sp + 1;
        sp = memchr(target, ' ', (size_t)(data + line - target));
        if (sp)
            head.target = str_make(target, (size_t)(sp - target));
        if (str_is(head.method_text, "HEAD"))
            head.method = METHOD_HEAD;
    }
    count_fault(c, f);
    c->reading = H1_READ_DROP;
    struct h1_request *rq = new_request(c, &head, data, line);
    if (!rq) {
        c->failed = true;
        return;
    }
    rq->ex.close_after = true;
    exchange_identify(&rq->ex);
    h1_fault_answer(&rq->ex, f);
}

void h1_body_fault(struct h1 *c, enum h1_fault f)
{
    struct h1_request *rq = c->body_of;
    count_fault(c, f);
    if (!rq) {
        /* A dropped body: its request has its answer, nothing more can be said. */
        c->reading = H1_READ_DROP;
        c->linger = true;
        return;
    }
    rq->ex.close_after = true;
    h1_fault_answer(&rq->ex, f);
}

void h1_abandon_body(struct h1 *c, struct h1_request *rq)
{
    c->body_of = NULL;
    bool cheap = c->reading == H1_READ_LENGTH && c->body_left <= H1_DISCARD_MAX;
    if (cheap && !rq->continue_wanted && !rq->ex.close_after)
        return;
    rq->ex.close_after = true;
    c->reading = H1_READ_DROP;
}

/* --- a header section --- */

/* Nothing more of the present request is to come. */
static void next_request(struct h1 *c)
{
    bool more = c->last ? c->last->keep_alive : true;
    c->reading = more ? H1_READ_HEAD : H1_READ_DROP;
}

static void begin_body(struct h1 *c, struct h1_request *rq, const struct h1_head *head)
{
    c->body_of = rq;
    c->body_left = head->length;
    c->body_since = head->expect ? 0 : h1_now(c);
    c->reading = head->framing == H1_LENGTH ? H1_READ_LENGTH : H1_READ_CHUNKS;
    if (head->framing == H1_CHUNKED)
        h1_chunk_init(&c->chunk, (uint32_t)c->server->worker->conf->limit_header);
}

/* n bytes of a header section; behind it there is more. */
static void on_head(struct h1 *c, const char *data, size_t n, bool more)
{
    struct h1_head head;
    enum h1_fault f = h1_head_parse(data, n, &head);
    if (f != H1_FINE) {
        h1_refuse(c, f, data, n);
        return;
    }
    struct h1_request *rq = new_request(c, &head, data, n);
    if (!rq) {
        c->failed = true;
        return;
    }
    if (head.framing == H1_NO_BODY) {
        next_request(c);
        rq->websocket = rq->websocket && !more;
        exchange_on_head(&rq->ex);
        if (!rq->ex.answered)
            exchange_on_body(&rq->ex);
        return;
    }
    begin_body(c, rq, &head);
    exchange_on_head(&rq->ex);
    if (rq->ex.answered || head.framing != H1_LENGTH)
        return;
    if (head.length > rq->ex.body_limit) {
        h1_fault_answer(&rq->ex, H1_BODY_SIZE);
    } else if (!exchange_has_room(&rq->ex, head.length)) {
        metric_add(c->server->worker->metrics, METRIC_BODIES_REFUSED, 1);
        h1_fault_answer(&rq->ex, H1_BODIES);
    }
}

static size_t take_head(struct h1 *c, const char *data, size_t n)
{
    const struct conf *conf = c->server->worker->conf;
    if (!c->head_since)
        c->head_since = h1_now(c);
    if (c->scan.pos == 0 && data[0] == '\r' && !c->blank) {
        /* RFC 9112 2.2: one empty line before a request line is let pass. */
        if (n == 1)
            return 0;
        if (data[1] == '\n') {
            c->blank = true;
            return 2;
        }
    }
    size_t len = 0;
    enum h1_fault f = H1_FINE;
    enum h1_scan_result r = h1_scan(&c->scan, data, n, conf->limit_header, &len, &f);
    if (r == H1_SCAN_MORE)
        return 0;
    c->scan = (struct h1_scan){0};
    c->head_since = 0;
    c->blank = false;
    if (r == H1_SCAN_BAD) {
        h1_refuse(c, f, data, n);
        return n;
    }
    on_head(c, data, len, len < n);
    return len;
}

/* --- a body --- */

static void body_done(struct h1 *c)
{
    struct h1_request *rq = c->body_of;
    c->body_of = NULL;
    c->body_since = 0;
    next_request(c);
    if (rq)
        exchange_on_body(&rq->ex);
}

/* Bytes of the body; false when there was no room for them. */
static bool take_body(struct h1 *c, struct str bytes)
{
    struct h1_request *rq = c->body_of;
    rq->continue_wanted = false;
    if (!c->body_since)
        c->body_since = h1_now(c);
    int err = exchange_take_body(&rq->ex, bytes);
    if (err)
        h1_body_fault(c, err == -EDQUOT ? H1_BODIES : H1_MEMORY);
    return err == 0;
}

static size_t take_length(struct h1 *c, const char *data, size_t n)
{
    size_t take = n < c->body_left ? n : (size_t)c->body_left;
    if (c->body_of && !take_body(c, str_make(data, take)))
        return take;
    c->body_left -= take;
    if (c->body_left == 0)
        body_done(c);
    return take;
}

/* Chunks are only read for a request that wants them: a chunked body is never dropped politely. */
static size_t take_chunks(struct h1 *c, const char *data, size_t n)
{
    struct exchange *ex = &c->body_of->ex;
    struct str piece = {NULL, 0};
    enum h1_fault f = H1_FINE;
    size_t used = 0;
    if (!c->body_since)
        c->body_since = h1_now(c);
    switch (h1_chunk_next(&c->chunk, data, n, &used, &piece, &f)) {
    case H1_PIECE_NONE:
        break;
    case H1_PIECE_SIZED:
        if (c->chunk.left > ex->body_limit || ex->body.len > ex->body_limit - c->chunk.left)
            h1_body_fault(c, H1_BODY_SIZE);
        break;
    case H1_PIECE_DATA:
        take_body(c, piece);
        break;
    case H1_PIECE_END:
        body_done(c);
        break;
    case H1_PIECE_BAD:
        h1_body_fault(c, f);
        break;
    }
    return used;
}

static size_t take_dropped(struct h1 *c, size_t n)
{
    c->dropped += n;
    if (c->dropped > H1_DROP_MAX)
        c->failed = true;
    return n;
}

size_t h1_feed(struct h1 *c, const char *data, size_t n)
{
    size_t at = 0;
    while (at < n && !c->failed) {
        size_t used = 0;
        switch (c->reading) {
        case H1_READ_HEAD:
            if (h1_may_take(c))
                used = take_head(c, data + at, n - at);
            break;
        case H1_READ_LENGTH:
            used = take_length(c, data + at, n - at);
            break;
        case H1_READ_CHUNKS:
            used = take_chunks(c, data + at, n - at);
            break;
        case H1_READ_DROP:
            used = take_dropped(c, n - at);
            break;
        }
        if (used == 0)
            break;
        at += used;
    }
    return at;
}

void h1_on_eof(struct h1 *c)
{
    c->eof = true;
    struct h1_request *cut = c->body_of; /* its body will never be whole */
    c->body_of = NULL;
    c->reading = H1_READ_DROP;
    buf_free(&c->in);
    if (!cut)
        return;
    struct h1_request *before = NULL;
    for (struct h1_request *rq = c->first; rq != cut; rq = rq->next)
        before = rq;
    if (before)
        h1_drop_after(c, before);
    else
        c->failed = true;
}
