/* h2_request - a stream as a request: what its header section means, its body, its one end.
 *
 * A request is judged by the same rows as in HTTP/1 (h1_fault_table.h) as far as nghttp2 leaves
 * anything to judge.
 *
 * A body is held in memory until its request ends. Beyond limits.request for a whole connection,
 * only the oldest body gets its window back, and so comes to its end; the others wait with what
 * their first window let through.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <strings.h>

#include "common/log.h"

#include "worker/h1_head.h"
#include "worker/h2_priv.h"
#include "worker/worker.h"

/* --- a header section becomes a request --- */

static struct str view(const char *text, struct h2_span s)
{
    return str_make(text + s.at, s.n);
}

/* Fields into one right-sized allocation; :authority becomes Host if there is none. 0, -ENOMEM. */
static int take_fields(struct h2_stream *rq, const struct h2_block *b, struct str *ret_authority)
{
    struct exchange *ex = &rq->ex;
    size_t n = b->nfields + 1;
    rq->text = malloc(n * sizeof(struct header) + b->text.len + 1);
    if (!rq->text)
        return -ENOMEM;
    struct header *headers = (struct header *)(void *)rq->text;
    char *text = rq->text + n * sizeof(struct header);
    if (b->text.len)
        memcpy(text, b->text.data, b->text.len);
    for (size_t i = 0; i < b->nfields; i++)
        headers[i] = (struct header){view(text, b->field[i].name), view(text, b->field[i].value)};
    ex->headers = headers;
    ex->nheaders = b->nfields;
    ex->method_text = view(text, b->method);
    ex->target = view(text, b->path);
    const char *mark = ex->target.n ? memchr(ex->target.p, '?', ex->target.n) : NULL;
    size_t path = mark ? (size_t)(mark - ex->target.p) : ex->target.n;
    ex->path = str_make(ex->target.p, path);
    ex->query = mark ? str_make(mark + 1, ex->target.n - path - 1) : str_make(NULL, 0);
    *ret_authority = view(text, b->authority);
    if (b->authority.n && !h2_header(ex, "host"))
        headers[ex->nheaders++] = (struct header){STR("host"), *ret_authority};
    return 0;
}

static enum h1_fault judge_target(const struct exchange *ex)
{
    struct str t = ex->target;
    if (t.n == 1 && t.p[0] == '*')
        return ex->method == METHOD_OPTIONS ? H1_FINE : H1_TARGET;
    if (t.n == 0 || t.p[0] != '/' || memchr(t.p, '#', t.n))
        return H1_TARGET;
    return H1_FINE;
}

static enum h1_fault judge_host(struct exchange *ex, struct str authority)
{
    const struct header *host = h2_header(ex, "host");
    if (!host)
        return H1_HOST_MISSING;
    size_t hosts = 0;
    for (size_t i = 0; i < ex->nheaders; i++)
        hosts += str_is(ex->headers[i].name, "host");
    if (hosts > 1)
        return H1_HOST_TWICE;
    if (!h1_host_valid(host->value))
        return H1_HOST_INVALID;
    bool same = !authority.n || (authority.n == host->value.n &&
                                 strncasecmp(authority.p, host->value.p, authority.n) == 0);
    return same ? H1_FINE : H1_HOST_DIFFERS;
}

static enum h1_fault judge_expect(struct h2_stream *rq)
{
    const struct header *expect = h2_header(&rq->ex, "expect");
    if (!expect)
        return H1_FINE;
    if (expect->value.n != 12 || strncasecmp(expect->value.p, "100-continue", 12) != 0)
        return H1_EXPECT;
    rq->continue_wanted = rq->ex.has_body;
    return H1_FINE;
}

static enum h1_fault judge(struct h2_stream *rq, const struct h2_block *b, struct str authority)
{
    struct exchange *ex = &rq->ex;
    enum h1_fault f = b->fault;
    if (b->method.n) {
        enum h1_fault method = h1_method(ex->method_text, &ex->method);
        f = f != H1_FINE ? f : method;
    }
    if (f == H1_FINE)
        f = judge_target(ex);
    if (f == H1_FINE)
        f = judge_host(ex, authority);
    return f == H1_FINE ? judge_expect(rq) : f;
}

/* What content-length says is more than the application takes. nghttp2 has judged its form. */
static bool too_long(struct exchange *ex)
{
    const struct header *h = h2_header(ex, "content-length");
    uint64_t v = 0;
    for (size_t i = 0; h && i < h->value.n; i++) {
        if (v > ex->body_limit)
            return true;
        v = v * 10 + (uint64_t)(h->value.p[i] - '0');
    }
    return v > ex->body_limit;
}

static struct h2_stream *new_stream(struct h2 *c, int32_t id, bool whole, struct str *ret_authority)
{
    struct h2_stream *rq = calloc(1, sizeof(*rq));
    if (!rq)
        return NULL;
    struct exchange *ex = &rq->ex;
    exchange_init(ex, c->server->worker, &h2_transport, c);
    ex->method = METHOD_OTHER;
    ex->remote = c->remote;
    ex->tls = wire_version(&c->wire);
    ex->started_ms = h2_now(c);
    ex->has_body = !whole;
    rq->id = id;
    rq->complete = whole;
    if (take_fields(rq, c->block, ret_authority) != 0) {
        exchange_free(ex);
        free(rq);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&c->streams, rq, all);
    c->nstreams++;
    nghttp2_session_set_stream_user_data(c->session, id, rq);
    return rq;
}

static void receive(struct h2 *c, struct h2_stream *rq)
{
    struct exchange *ex = &rq->ex;
    h2_move(c, rq, H2_RECEIVING);
    exchange_on_head(ex);
    if (!ex->answered && too_long(ex))
        h1_fault_answer(ex, H1_BODY_SIZE);
    if (!ex->answered && rq->continue_wanted)
        h2_make_ready(c, rq);
}

void h2_begin(struct h2 *c, int32_t id, bool whole)
{
    struct str authority;
    struct h2_stream *rq = new_stream(c, id, whole, &authority);
    if (!rq) {
        if (nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR) !=
            0)
            c->failed = true;
        return;
    }
    struct exchange *ex = &rq->ex;
    enum h1_fault f = judge(rq, c->block, authority);
    if (f != H1_FINE) {
        exchange_identify(ex);
        h1_fault_answer(ex, f);
    } else if (whole) {
        exchange_on_head(ex);
        if (!ex->answered)
            exchange_on_body(ex);
    } else {
        receive(c, rq);
    }
}

/* --- a body --- */

void h2_fault(struct h2_stream *rq, enum h1_fault f)
{
    if (!rq->ex.answered && !rq->complete)
        h1_fault_answer(&rq->ex, f);
}

void h2_body(struct h2 *c, struct h2_stream *rq, struct str bytes)
{
    struct exchange *ex = &rq->ex;
    rq->continue_wanted = false;
    if (ex->answered)
        return;
    if (bytes.n > ex->body_limit - ex->body.len) {
        h1_fault_answer(ex, H1_BODY_SIZE);
        return;
    }
    int err = exchange_take_body(ex, bytes);
    if (err) {
        h1_fault_answer(ex, err == -EDQUOT ? H1_BODIES : H1_MEMORY);
        return;
    }
    c->held += bytes.n;
    rq->owed += bytes.n;
    c->starving = true;
}

void h2_complete(struct h2 *c, struct h2_stream *rq)
{
    rq->complete = true;
    rq->continue_wanted = false;
    if (rq->place == H2_RECEIVING)
        h2_move(c, rq, H2_NOWHERE);
    if (!rq->ex.answered)
        exchange_on_body(&rq->ex);
}

static void give_back(struct h2 *c, struct h2_stream *rq)
{
    if (nghttp2_session_consume_stream(c->session, rq->id, rq->owed) != 0)
        c->failed = true;
    rq->owed = 0;
    /* While we kept its window closed, the peer was not late. */
    if (rq->starved)
        rq->since = h2_now(c);
    rq->starved = false;
}

bool h2_windows(struct h2 *c)
{
    if (!c->starving)
        return false;
    c->starving = false;
    bool gave = false;
    size_t enough = c->server->worker->conf->limit_request;
    struct h2_stream *oldest = TAILQ_FIRST(&c->receiving), *rq;
    TAILQ_FOREACH(rq, &c->receiving, waiting)
    {
        if (!rq->owed)
            continue;
        if (rq == oldest || c->held < enough) {
            give_back(c, rq);
            gave = true;
        } else {
            rq->starved = true;
            c->starving = true;
        }
    }
    return gave;
}
