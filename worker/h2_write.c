/* h2_write - answers into frames, frames into the output, the output into the kernel.
 *
 * nghttp2 decides whose frame is next (streams take turns) and how much its windows allow; content
 * is copied once, from where the application left it into the output. While H2_OUT_HIGH bytes wait
 * for the kernel no more frames are made, so what a slow peer costs is bounded, and what many
 * streams have to say leaves in one write.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "common/log.h"

#include "worker/h2_priv.h"
#include "worker/worker.h"

#define FIELDS_MAX 64 /* header lines of an answer: EXCHANGE_HEAD_MAX bytes, and ours */
#define STATUS_TEXT 4 /* "200" */

/* --- the answer's head --- */

/* Fields whose value is never seen again: not worth a place in the peer's table. */
static bool is_unique(struct str name)
{
    return str_is(name, "x-request-id") || str_is(name, "restante-cursor");
}

static nghttp2_nv field(struct str name, struct str value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.p,
        .namelen = name.n,
        .value = (uint8_t *)(uintptr_t)value.p,
        .valuelen = value.n,
        .flags = is_unique(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
}

static void lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
    }
}

/* Lines "Name: value\r\n" into fields; names become lower case where they are. How many. */
static size_t split(struct buf *lines, nghttp2_nv *ret, size_t max)
{
    char *p = (char *)lines->data, *end = p + lines->len;
    size_t n = 0;
    while (p < end && n < max) {
        char *colon = memchr(p, ':', (size_t)(end - p));
        char *stop = memchr(p, '\r', (size_t)(end - p));
        must(colon && stop && colon < stop);
        lower(p, (size_t)(colon - p));
        ret[n++] = field(str_make(p, (size_t)(colon - p)),
                         str_make(colon + 2, (size_t)(stop - colon - 2)));
        p = stop + 2;
    }
    must(p == end);
    return n;
}

/* --- content --- */

static bool is_whole(const struct h2_stream *rq)
{
    return !rq->stream || rq->stream_ended;
}

static ssize_t read_content(nghttp2_session *session, int32_t id, uint8_t *unused, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)unused;
    (void)source;
    (void)arg;
    struct h2_stream *rq = nghttp2_session_get_stream_user_data(session, id);
    if (!rq)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* it is gone: so is its stream */
    size_t left = rq->ex.out_body.len - rq->sent;
    if (left == 0 && !is_whole(rq))
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left <= room && is_whole(rq))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)(left < room ? left : room);
}

void h2_content_made(struct h2 *c, struct h2_stream *rq)
{
    struct buf *body = &rq->ex.out_body;
    bool more = rq->sent < body->len;
    h2_move(c, rq, more ? H2_SENDING : H2_NOWHERE);
    if (!rq->stream)
        return;
    if (!more) {
        buf_free(body);
        rq->sent = 0;
    } else if (rq->sent >= H2_STREAM_HIGH) {
        buf_consume(body, rq->sent);
        rq->sent = 0;
    }
    if (rq->stalled && !rq->stream_ended && body->len - rq->sent <= H2_STREAM_HIGH / 2)
        h2_make_ready(c, rq);
}

/* --- what nghttp2 is told --- */

static void check(struct h2 *c, int r)
{
    /* A stream that is closing already has its end coming by itself. */
    if (r == NGHTTP2_ERR_NOMEM)
        c->failed = true;
}

static void submit_continue(struct h2 *c, struct h2_stream *rq)
{
    const nghttp2_nv status = field(STR(":status"), STR("100"));
    rq->continue_wanted = false;
    if (rq->place == H2_RECEIVING)
        h2_move(c, rq, H2_RECEIVING); /* its time begins now */
    check(c, nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, rq->id, NULL, &status, 1, NULL));
}

static void submit_answer(struct h2 *c, struct h2_stream *rq)
{
    struct exchange *ex = &rq->ex;
    struct buf *head = &c->server->head;
    char status[STATUS_TEXT];
    nghttp2_nv fields[FIELDS_MAX];
    rq->submitted = true;
    snprintf(status, sizeof(status), "%03u", (unsigned)ex->out_status % 1000);
    buf_reset(head);
    answer_head(head, &c->server->date, ex, !rq->stream);
    if (head->error) {
        c->failed = true;
        return;
    }
    fields[0] = field(STR(":status"), str_of(status));
    size_t n = 1 + split(head, fields + 1, FIELDS_MAX - 1);
    bool bodiless = ex->method == METHOD_HEAD || answer_bodiless(ex->out_status);
    bool content = rq->stream || (!bodiless && ex->out_body.len > 0);
    const nghttp2_data_provider provider = {.read_callback = read_content};
    if (content && ex->out_body.len > 0)
        h2_move(c, rq, H2_SENDING);
    check(c, nghttp2_submit_response(c->session, rq->id, fields, n, content ? &provider : NULL));
}

static void tell(struct h2 *c, struct h2_stream *rq)
{
    struct exchange *ex = &rq->ex;
    if (!ex->answered) {
        if (rq->continue_wanted)
            submit_continue(c, rq);
        return;
    }
    if (!rq->submitted) {
        submit_answer(c, rq);
        return;
    }
    if (ex->out_body.error) {
        /* The application did not heed -EAGAIN, or there is no memory. */
        check(c, nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, rq->id,
                                           NGHTTP2_INTERNAL_ERROR));
        return;
    }
    /* Not deferred (its windows are closed, or its turn has not come) is no error here. */
    check(c, nghttp2_session_resume_data(c->session, rq->id));
    if (rq->stalled && !rq->stream_ended && ex->out_body.len - rq->sent <= H2_STREAM_HIGH / 2) {
        rq->stalled = false;
        if (ex->on_drain)
            ex->on_drain(ex);
    }
}

void h2_submit(struct h2 *c)
{
    while (!c->failed && !TAILQ_EMPTY(&c->ready)) {
        struct h2_stream *rq = TAILQ_FIRST(&c->ready);
        TAILQ_REMOVE(&c->ready, rq, ready);
        rq->is_ready = false;
        tell(c, rq);
    }
}

/* --- the output --- */

static void borrow_memory(struct h2 *c)
{
    struct buf *spare = &c->server->spare;
    if (c->out.data || !spare->data)
        return;
    struct buf empty = c->out;
    c->out = *spare;
    *spare = empty;
}

static void return_memory(struct h2 *c)
{
    struct buf *spare = &c->server->spare;
    c->out_sent = 0;
    if (spare->data || c->out.cap > 2 * H2_OUT_HIGH) {
        buf_free(&c->out);
        return;
    }
    buf_reset(&c->out);
    struct buf empty = *spare;
    *spare = c->out;
    c->out = empty;
}

int h2_append(struct h2 *c, const void *p, size_t n)
{
    borrow_memory(c);
    int r = buf_append(&c->out, p, n);
    if (r == 0)
        c->placed += n;
    return r;
}

void h2_make(struct h2 *c)
{
    while (!c->failed && h2_unsent(c) <= H2_OUT_HIGH && nghttp2_session_want_write(c->session)) {
        uint64_t before = c->placed;
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(c->session, &frame);
        if (n < 0 || (n > 0 && h2_append(c, frame, (size_t)n) != 0)) {
            c->failed = true;
            log_event(LOG_WARN, "http2_failed",
                      LOG_Z("why", n < 0 ? nghttp2_strerror((int)n) : "output"),
                      LOG_Z("remote", c->remote));
        }
        if (n == 0 && c->placed == before)
            break;
    }
    h2_calm(c);
}

static void on_written(struct h2 *c, size_t n)
{
    metric_add(c->server->worker->metrics, METRIC_BYTES_OUT, n);
    c->written += n;
    c->out_sent += n;
    if (c->out_sent == c->out.len) {
        return_memory(c);
    } else if (c->out_sent >= H2_OUT_HIGH) {
        /* A peer that always leaves a rest must not make the buffer grow. */
        buf_consume(&c->out, c->out_sent);
        c->out_sent = 0;
    }
}

void h2_flush(struct h2 *c)
{
    while (c->written < c->placed && !c->failed) {
        const struct iovec part = {c->out.data + c->out_sent, c->out.len - c->out_sent};
        ssize_t n = wire_write(&c->wire, &part, 1);
        if (n < 0) {
            c->failed = n != -EAGAIN;
            break;
        }
        c->write_since = h2_now(c);
        on_written(c, (size_t)n);
    }
    while (!TAILQ_EMPTY(&c->finishing) && TAILQ_FIRST(&c->finishing)->end <= c->written)
        h2_sent(c, TAILQ_FIRST(&c->finishing));
}
