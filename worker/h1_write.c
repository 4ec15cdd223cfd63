/* h1_write - answers into bytes, in the order of the requests, and bytes into the kernel.
 *
 * Placing copies a head and a small body into one output buffer; a large body stays where it is and
 * is sent from there, as the second part of one write. What the kernel does not take waits; while
 * much waits, nothing more is placed: answers then stay in their exchanges, whose number is
 * bounded.
 */
#include <errno.h>
#include <stdio.h>

#include "common/log.h"

#include "worker/h1_priv.h"
#include "worker/worker.h"

#define CHUNK_LINE_MAX 24 /* a size in hex and its CRLFs */

static struct h1_request *request_of(struct exchange *ex)
{
    return (struct h1_request *)ex;
}

size_t h1_unsent(const struct h1 *c)
{
    return (size_t)(c->placed - c->written);
}

/* --- placing --- */

static void borrow_memory(struct h1 *c)
{
    struct buf *spare = &c->server->spare;
    if (c->out.data || !spare->data)
        return;
    struct buf empty = c->out;
    c->out = *spare;
    *spare = empty;
}

static void return_memory(struct h1 *c)
{
    struct buf *spare = &c->server->spare;
    c->out_sent = 0;
    if (spare->data || c->out.cap > 2 * H1_OUT_HIGH) {
        buf_free(&c->out);
        return;
    }
    buf_reset(&c->out);
    struct buf empty = *spare;
    *spare = c->out;
    c->out = empty;
}

/* Is rq the last whose answer this connection gives? */
static bool is_last(const struct h1 *c, const struct h1_request *rq)
{
    if (!rq->keep_alive || rq->ex.close_after || (rq->stream && rq->http10))
        return true;
    bool none_behind = !rq->next && c->body_of != rq;
    return none_behind && (c->eof || c->reading == H1_READ_DROP || c->server->draining);
}

static void place_head(struct h1 *c, struct h1_request *rq)
{
    bool last = is_last(c, rq);
    borrow_memory(c);
    size_t before = c->out.len;
    h1_answer_head(&c->out, c->server, rq, !last);
    c->placed += c->out.len - before;
    rq->head_placed = true;
    if (!last)
        return;
    /* A client that asked for it knows that we close; any other is given time to read. */
    c->linger = rq->keep_alive || rq->ex.close_after;
    c->reading = H1_READ_DROP;
    h1_drop_after(c, rq);
}

static void place_bytes(struct h1 *c, struct buf *from)
{
    size_t before = c->out.len;
    buf_append_str(&c->out, buf_str(from));
    c->placed += c->out.len - before;
}

static void place_answer(struct h1 *c, struct h1_request *rq)
{
    struct buf *body = &rq->ex.out_body;
    place_head(c, rq);
    if (rq->ex.method == METHOD_HEAD || rq->ex.out_status == 204 || rq->ex.out_status == 304 ||
        body->len == 0)
        return;
    if (body->len <= H1_COPY_MAX) {
        place_bytes(c, body);
        return;
    }
    c->large = rq;
    c->large_sent = 0;
    c->placed += body->len;
}

/* What a stream has so far. True when it is whole. */
static bool place_stream(struct h1 *c, struct h1_request *rq)
{
    struct buf *waiting = &rq->ex.out_body;
    if (!rq->head_placed)
        place_head(c, rq);
    if (waiting->error)
        c->failed = true; /* the application did not heed -EAGAIN */
    place_bytes(c, waiting);
    buf_free(waiting);
    return rq->stream_ended;
}

static void place_continue(struct h1 *c, struct h1_request *rq)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    rq->continue_wanted = false;
    c->body_since = h1_now(c);
    borrow_memory(c);
    buf_append(&c->out, text, sizeof(text) - 1);
    c->placed += sizeof(text) - 1;
}

void h1_place(struct h1 *c)
{
    while (c->unplaced && !c->failed && !c->large && h1_unsent(c) <= H1_OUT_HIGH) {
        struct h1_request *rq = c->unplaced;
        if (!rq->ex.answered) {
            if (rq->continue_wanted)
                place_continue(c, rq);
            break;
        }
        if (rq->ex.on_wire)
            break; /* no answer: the wire itself, once all before it is out */
        if (rq->stream) {
            if (!place_stream(c, rq))
                break;
        } else {
            place_answer(c, rq);
        }
        rq->end = c->placed;
        c->unplaced = rq->next;
    }
    if (c->out.error)
        c->failed = true;
}

/* --- sending --- */

/* n bytes were taken by the kernel. */
static void on_written(struct h1 *c, size_t n)
{
    metric_add(c->server->worker->metrics, METRIC_BYTES_OUT, n);
    c->written += n;
    size_t of_out = c->out.len - c->out_sent;
    if (of_out > n)
        of_out = n;
    c->out_sent += of_out;
    c->large_sent += n - of_out;
    if (c->out.data && c->out_sent == c->out.len) {
        return_memory(c);
    } else if (c->out_sent >= H1_OUT_HIGH) {
        /* A peer that always leaves a rest must not make the buffer grow. */
        buf_consume(&c->out, c->out_sent);
        c->out_sent = 0;
    }
    if (c->large && c->large_sent == c->large->ex.out_body.len)
        c->large = NULL;
}

static void end_written(struct h1 *c)
{
    while (c->first && c->first != c->unplaced && c->first->end <= c->written)
        h1_pop(c);
}

static void drain_stream(struct h1 *c)
{
    struct h1_request *rq = c->unplaced;
    if (!rq || !rq->stalled || rq->stream_ended || h1_unsent(c) > H1_OUT_HIGH / 2)
        return;
    rq->stalled = false;
    if (rq->ex.on_drain)
        rq->ex.on_drain(&rq->ex);
}

void h1_flush(struct h1 *c)
{
    while (c->written < c->placed && !c->failed) {
        struct iovec iov[2];
        int parts = 0;
        if (c->out.len > c->out_sent)
            iov[parts++] = (struct iovec){c->out.data + c->out_sent, c->out.len - c->out_sent};
        if (c->large) {
            struct buf *body = &c->large->ex.out_body;
            iov[parts++] = (struct iovec){body->data + c->large_sent, body->len - c->large_sent};
        }
        ssize_t n = wire_write(&c->wire, iov, parts);
        if (n < 0) {
            c->failed = n != -EAGAIN;
            break;
        }
        c->write_since = h1_now(c);
        on_written(c, (size_t)n);
        end_written(c);
        h1_place(c);
    }
    if (!c->failed)
        drain_stream(c);
}

/* --- the transport's side of exchange.h --- */

static void noted(struct h1_request *rq)
{
    struct h1 *c = rq->ex.connection;
    if (c->body_of == rq)
        h1_abandon_body(c, rq);
    h1_wake(c);
}

void h1_answer(struct exchange *ex)
{
    noted(request_of(ex));
}

bool h1_may_upgrade(const struct exchange *ex)
{
    const struct h1_request *rq = (const struct h1_request *)ex;
    const struct h1 *c = ex->connection;
    return rq->websocket && !rq->next && !c->eof;
}

void h1_hand_over(struct exchange *ex)
{
    struct h1 *c = ex->connection;
    c->leaving = true;
    h1_wake(c);
}

void h1_stream_begin(struct exchange *ex)
{
    struct h1_request *rq = request_of(ex);
    rq->stream = true;
    buf_free(&ex->out_body);
    noted(rq);
}

int h1_stream_write(struct exchange *ex, struct str bytes)
{
    struct h1_request *rq = request_of(ex);
    struct h1 *c = ex->connection;
    must(rq->stream && !rq->stream_ended);
    if (ex->method == METHOD_HEAD || bytes.n == 0)
        return 0;
    if (rq->http10) {
        buf_append_str(&ex->out_body, bytes);
    } else if (buf_reserve(&ex->out_body, bytes.n + CHUNK_LINE_MAX) == 0) {
        buf_printf(&ex->out_body, "%zx\r\n", bytes.n);
        buf_append_str(&ex->out_body, bytes);
        buf_append_str(&ex->out_body, STR("\r\n"));
    }
    h1_wake(c);
    size_t queued = ex->out_body.len + (c->unplaced == rq ? h1_unsent(c) : 0);
    rq->stalled = queued > H1_OUT_HIGH;
    return rq->stalled ? -EAGAIN : 0;
}

void h1_stream_end(struct exchange *ex)
{
    struct h1_request *rq = request_of(ex);
    must(rq->stream && !rq->stream_ended);
    rq->stream_ended = true;
    if (!rq->http10 && ex->method != METHOD_HEAD)
        buf_append_str(&ex->out_body, STR("0\r\n\r\n"));
    h1_wake(ex->connection);
}

size_t h1_stream_backlog(const struct exchange *ex)
{
    return ex->out_body.len + h1_unsent(ex->connection);
}
