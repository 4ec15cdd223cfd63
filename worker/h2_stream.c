/* h2_stream - a stream as the application sees it: its answer, its places, its one end.
 *
 * A stream is on its connection's list from its header section until its last frame is made, then
 * on another until the kernel has that frame; besides, it waits in one place at most (h2_place) and
 * is noted once when nghttp2 has something to be told. It is two allocations: the exchange, and the
 * header fields; the second shrinks to what is still of use once the request waits for an event, so
 * that a parked one is small.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "common/log.h"

#include "worker/h2_priv.h"

/* --- lists --- */

static struct h2_streams *list_of(struct h2 *c, unsigned place)
{
    return place == H2_RECEIVING ? &c->receiving : place == H2_SENDING ? &c->sending : NULL;
}

void h2_move(struct h2 *c, struct h2_stream *rq, enum h2_place where)
{
    struct h2_streams *from = list_of(c, rq->place), *to = list_of(c, where);
    if (from)
        TAILQ_REMOVE(from, rq, waiting);
    if (to)
        TAILQ_INSERT_TAIL(to, rq, waiting);
    rq->place = (uint8_t)where;
    rq->since = to ? h2_now(c) : 0;
}

void h2_make_ready(struct h2 *c, struct h2_stream *rq)
{
    if (!rq->is_ready)
        TAILQ_INSERT_TAIL(&c->ready, rq, ready);
    rq->is_ready = true;
    h2_wake(c);
}

/* --- ends --- */

/* Off every list; nghttp2 forgets it. */
static void detach(struct h2 *c, struct h2_stream *rq)
{
    h2_move(c, rq, H2_NOWHERE);
    if (rq->is_ready)
        TAILQ_REMOVE(&c->ready, rq, ready);
    rq->is_ready = false;
    TAILQ_REMOVE(&c->streams, rq, all);
    nghttp2_session_set_stream_user_data(c->session, rq->id, NULL);
}

static void free_stream(struct h2 *c, struct h2_stream *rq)
{
    c->held -= rq->ex.body.len;
    c->nstreams--;
    if (c->nstreams == 0)
        c->idle_since = h2_now(c);
    exchange_free(&rq->ex);
    free(rq->text);
    free(rq);
}

void h2_finish(struct h2 *c, struct h2_stream *rq)
{
    detach(c, rq);
    rq->end = c->placed;
    buf_free(&rq->ex.out_body);
    rq->sent = 0;
    TAILQ_INSERT_TAIL(&c->finishing, rq, all);
    h2_limits_answered(&c->limits);
    /* The rest of a request that has its answer already is not wanted (RFC 9113 8.1). */
    if (!rq->complete &&
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, rq->id, NGHTTP2_NO_ERROR) != 0)
        c->failed = true;
}

void h2_sent(struct h2 *c, struct h2_stream *rq)
{
    TAILQ_REMOVE(&c->finishing, rq, all);
    exchange_sent(&rq->ex);
    free_stream(c, rq);
}

void h2_gone(struct h2 *c, struct h2_stream *rq)
{
    detach(c, rq);
    exchange_gone(&rq->ex);
    free_stream(c, rq);
}

void h2_gone_all(struct h2 *c)
{
    while (!TAILQ_EMPTY(&c->streams))
        h2_gone(c, TAILQ_FIRST(&c->streams));
}

void h2_cut(struct h2 *c)
{
    h2_gone_all(c);
    while (!TAILQ_EMPTY(&c->finishing)) {
        struct h2_stream *rq = TAILQ_FIRST(&c->finishing);
        TAILQ_REMOVE(&c->finishing, rq, all);
        exchange_gone(&rq->ex);
        free_stream(c, rq);
    }
}

/* --- the transport's side of exchange.h --- */

struct header *h2_header(const struct exchange *ex, const char *name)
{
    for (size_t i = 0; i < ex->nheaders; i++) {
        if (str_is(ex->headers[i].name, name))
            return (struct header *)(uintptr_t)&ex->headers[i];
    }
    return NULL;
}

/* What the log needs, and what may still be asked for (exchange.h). */
static void shrink(struct h2_stream *rq)
{
    struct exchange *ex = &rq->ex;
    const struct header *origin = h2_header(ex, "origin");
    struct str kept[] = {ex->method_text, ex->target, ex->traceparent,
                         origin ? origin->value : str_make(NULL, 0)};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        n += kept[i].n;
    char *text = malloc(sizeof(struct header) + n + 1);
    if (!text)
        return; /* it stays as large as it is */
    char *at = text + sizeof(struct header);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (kept[i].n)
            memcpy(at, kept[i].p, kept[i].n);
        kept[i].p = at;
        at += kept[i].n;
    }
    struct header *only = (struct header *)(void *)text;
    *only = (struct header){STR("origin"), kept[3]};
    size_t query = ex->query.n ? (size_t)(ex->query.p - ex->target.p) : 0;
    ex->method_text = kept[0];
    ex->target = kept[1];
    ex->path = str_make(kept[1].p, ex->path.n);
    ex->query = str_make(kept[1].p + query, ex->query.n);
    ex->traceparent = kept[2];
    ex->headers = only;
    ex->nheaders = origin ? 1 : 0;
    free(rq->text);
    rq->text = text;
}

static void answer(struct exchange *ex)
{
    struct h2_stream *rq = (struct h2_stream *)ex;
    h2_move(ex->connection, rq, H2_NOWHERE);
    h2_make_ready(ex->connection, rq);
}

static void stream_begin(struct exchange *ex)
{
    struct h2_stream *rq = (struct h2_stream *)ex;
    rq->stream = true;
    buf_free(&ex->out_body);
    shrink(rq);
    answer(ex);
}

static size_t queued(const struct h2_stream *rq)
{
    return rq->ex.out_body.len - rq->sent;
}

static int stream_write(struct exchange *ex, struct str bytes)
{
    struct h2_stream *rq = (struct h2_stream *)ex;
    struct h2 *c = ex->connection;
    must(rq->stream && !rq->stream_ended);
    if (ex->method == METHOD_HEAD || bytes.n == 0)
        return 0;
    buf_append_str(&ex->out_body, bytes);
    if (rq->place == H2_NOWHERE)
        h2_move(c, rq, H2_SENDING);
    h2_make_ready(c, rq);
    rq->stalled = queued(rq) > H2_STREAM_HIGH;
    return rq->stalled ? -EAGAIN : 0;
}

static void stream_end(struct exchange *ex)
{
    struct h2_stream *rq = (struct h2_stream *)ex;
    must(rq->stream && !rq->stream_ended);
    rq->stream_ended = true;
    h2_make_ready(ex->connection, rq);
}

static size_t stream_backlog(const struct exchange *ex)
{
    return queued((const struct h2_stream *)ex) + h2_unsent(ex->connection);
}

static void parked(struct exchange *ex)
{
    shrink((struct h2_stream *)ex);
}

const struct exchange_transport h2_transport = {
    .proto = "HTTP/2",
    .answer = answer,
    .stream_begin = stream_begin,
    .stream_write = stream_write,
    .stream_end = stream_end,
    .stream_backlog = stream_backlog,
    .parked = parked,
};
