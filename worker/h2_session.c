/* h2_session - nghttp2's session of a connection: how it is set up, and what it calls back.
 *
 * nghttp2 keeps the protocol: framing, HPACK, stream states, flow control, the rules of RFC 9113
 * section 8. The callbacks here run inside its receiving and sending; they never call back into
 * either. A callback that has had enough notes it; bytes are fed in slices, and after each one the
 * notes are looked at.
 */
#include <errno.h>
#include <nghttp2/nghttp2.h>

#include "common/log.h"

#include "worker/h2_priv.h"
#include "worker/worker.h"

#define SLICE 8192u        /* bytes fed before the notes are looked at */
#define FRAME_HEAD 9       /* bytes (RFC 9113 4.1) */
#define FIELD_OVERHEAD 32u /* bytes that a field counts for, besides itself (RFC 9113 6.5.2) */
#define FIRST_UNKNOWN 10   /* the first type of frame that RFC 9113 does not know */
#define FRAME_MAX 16384u   /* bytes of a frame that we take (RFC 9113 6.5.2: the default) */

static const struct conf *conf_of(const struct h2 *c)
{
    return c->server->worker->conf;
}

static struct h2_stream *stream_of(struct h2 *c, int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

/* --- frames in --- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    (void)session;
    struct h2 *c = arg;
    h2_limits_frame(&c->limits, hd->type, hd->flags, hd->length, h2_now(c));
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2 *c = arg;
    c->head_since = h2_now(c);
    c->head_size = 0;
    c->head_id = frame->hd.stream_id;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* a trailer */
    /* Everyone the same share of the connection: what of it a stream should have is for the
     * client to say with its windows. */
    const nghttp2_extpri share = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    nghttp2_session_change_extpri_stream_priority(session, frame->hd.stream_id, &share, 1);
    size_t limit = conf_of(c)->limit_header;
    c->block = c->server->spare_block;
    c->server->spare_block = NULL;
    if (c->block)
        h2_block_clear(c->block, limit);
    else
        c->block = h2_block_new(limit);
    return c->block ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void end_block(struct h2 *c)
{
    c->head_since = 0;
    if (c->server->spare_block || (c->block && c->block->text.cap > H2_READ_SIZE))
        h2_block_free(c->block);
    else
        c->server->spare_block = c->block;
    c->block = NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    (void)session;
    (void)flags;
    struct h2 *c = arg;
    size_t limit = conf_of(c)->limit_header;
    c->head_size += name_len + value_len + FIELD_OVERHEAD;
    if (c->head_size > limit * H2_BOMB_TIMES) {
        h2_limits_note(&c->limits, H2_ABUSE_HEADERS);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    struct h2_block *b = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? c->block : NULL;
    if (b) {
        if (c->head_size > limit && b->fault == H1_FINE)
            b->fault = H1_HEADERS_SIZE;
        h2_block_add(b, str_make(name, name_len), str_make(value, value_len), limit / 2);
    } else if (c->head_size > limit) {
        struct h2_stream *rq = stream_of(c, frame->hd.stream_id);
        if (rq)
            h2_fault(rq, H1_TRAILER);
    }
    return 0;
}

/* A field that RFC 9110 does not allow makes its request malformed (RFC 9113 8.2.1). */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *arg)
{
    (void)session;
    (void)frame;
    (void)name;
    (void)name_len;
    (void)value;
    (void)value_len;
    (void)flags;
    (void)arg;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void on_headers(struct h2 *c, const nghttp2_frame *frame, bool whole)
{
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h2_limits_request(&c->limits);
        h2_begin(c, frame->hd.stream_id, whole);
    } else if (whole) {
        struct h2_stream *rq = stream_of(c, frame->hd.stream_id);
        if (rq)
            h2_complete(c, rq);
    }
    end_block(c);
}

static void on_data(struct h2 *c, const nghttp2_frame *frame, bool whole)
{
    if (!whole && frame->hd.length > 0 && frame->hd.length == frame->data.padlen)
        h2_limits_empty(&c->limits, h2_now(c));
    struct h2_stream *rq = whole ? stream_of(c, frame->hd.stream_id) : NULL;
    if (rq)
        h2_complete(c, rq);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)session;
    struct h2 *c = arg;
    bool whole = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(c, frame, whole);
        break;
    case NGHTTP2_DATA:
        on_data(c, frame, whole);
        break;
    case NGHTTP2_RST_STREAM:
        metric_add(c->server->worker->metrics, METRIC_STREAM_RESETS_PEER, 1);
        break;
    case NGHTTP2_SETTINGS:
        if (!c->greeted)
            c->head_since = 0;
        c->greeted = true;
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            c->noticed_back = c->noticed;
        break;
    default:
        break;
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t n, void *arg)
{
    (void)flags;
    struct h2 *c = arg;
    /* The connection's window is given back at once: no stream holds up another. */
    if (nghttp2_session_consume_connection(session, n) != 0)
        c->failed = true;
    struct h2_stream *rq = stream_of(c, id);
    if (rq)
        h2_body(c, rq, str_make(data, n));
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    (void)session;
    (void)error;
    struct h2 *c = arg;
    struct h2_stream *rq = stream_of(c, id);
    if (rq)
        h2_gone(c, rq);
    if (c->head_since && c->greeted && c->head_id == id)
        end_block(c); /* its header section was refused half way */
    return 0;
}

/* Frames that nobody here knows are ignored, but counted: nghttp2 tells of those only that somebody
 * says to unpack. */
static int unpack_nothing(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd,
                          void *arg)
{
    (void)session;
    (void)payload;
    (void)hd;
    (void)arg;
    return NGHTTP2_ERR_CANCEL;
}

/* --- frames out --- */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)session;
    struct h2 *c = arg;
    struct metric_block *metrics = c->server->worker->metrics;
    if (frame->hd.type == NGHTTP2_DATA)
        h2_limits_content(&c->limits);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        metric_add(metrics, METRIC_STREAM_RESETS_US, 1);
        if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
            h2_limits_reset(&c->limits, h2_now(c));
    }
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        if (!c->ending)
            metric_add(metrics, METRIC_CLOSED_PROTOCOL, 1);
        c->ending = true;
    }
    bool content = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (!content || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct h2_stream *rq = stream_of(c, frame->hd.stream_id);
    if (rq)
        h2_finish(c, rq);
    return 0;
}

/* An answer's head that cannot be sent, if its stream still lives, would leave the peer waiting. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *arg)
{
    struct h2 *c = arg;
    if (frame->hd.type != NGHTTP2_HEADERS || !stream_of(c, frame->hd.stream_id))
        return 0;
    log_event(LOG_ERROR, "answer_lost", LOG_Z("why", nghttp2_strerror(error)));
    if (nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_INTERNAL_ERROR) != 0)
        c->failed = true;
    return 0;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t length, nghttp2_data_source *source, void *arg)
{
    (void)session;
    (void)source;
    struct h2 *c = arg;
    struct h2_stream *rq = stream_of(c, frame->hd.stream_id);
    must(rq);
    struct buf *body = &rq->ex.out_body;
    must(body->len - rq->sent >= length);
    if (h2_append(c, head, FRAME_HEAD) != 0 ||
        h2_append(c, length ? body->data + rq->sent : NULL, length) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    rq->sent += length;
    if (length)
        c->data_since = h2_now(c);
    h2_content_made(c, rq);
    /* Left alone, nghttp2 would go on with all the content there is. */
    return h2_unsent(c) > H2_OUT_HIGH ? NGHTTP2_ERR_PAUSE : 0;
}

/* --- the session --- */

int h2_session_setup(struct h2_server *s)
{
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return -ENOMEM;
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_unpack_extension_callback(cb, unpack_nothing);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
    s->callbacks = cb;
    return 0;
}

static nghttp2_option *options_of(const struct conf *conf)
{
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0)
        return NULL;
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_no_auto_window_update(o, 1);
    for (unsigned type = FIRST_UNKNOWN; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
    nghttp2_option_set_max_outbound_ack(o, conf->control);
    nghttp2_option_set_max_continuations(o, conf->limit_header / FRAME_MAX + H2_CONTINUATIONS);
    /* The budget of h2_limits.h is the one that counts: it has settings, and a name in the log. */
    nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
    return o;
}

int h2_session_open(struct h2 *c)
{
    const struct conf *conf = conf_of(c);
    nghttp2_option *options = options_of(conf);
    if (!options)
        return -ENOMEM;
    int r = nghttp2_session_server_new2(&c->session, c->server->callbacks, c, options);
    nghttp2_option_del(options);
    if (r != 0)
        return -ENOMEM;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)conf->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)conf->limit_header},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    r = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof(settings) / sizeof(settings[0]));
    if (r == 0)
        r = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                  H2_CONNECTION_WINDOW);
    if (r == 0)
        return 0;
    nghttp2_session_del(c->session);
    c->session = NULL;
    return -ENOMEM;
}

/* What nghttp2 could not take. */
static void refused(struct h2 *c, int error)
{
    switch (error) {
    case NGHTTP2_ERR_FLOODED:
        h2_limits_note(&c->limits, H2_ABUSE_PINGS);
        break;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        h2_limits_note(&c->limits, H2_ABUSE_CONTINUATIONS);
        break;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        metric_add(c->server->worker->metrics, METRIC_CLOSED_PROTOCOL, 1);
        h2_end(c, NGHTTP2_PROTOCOL_ERROR);
        break;
    default:
        log_event(LOG_WARN, "http2_failed", LOG_Z("why", nghttp2_strerror(error)),
                  LOG_Z("remote", c->remote));
        c->failed = true;
        break;
    }
}

void h2_session_feed(struct h2 *c, const char *data, size_t n)
{
    while (n && !c->failed && !c->ending) {
        size_t slice = n < SLICE ? n : SLICE;
        ssize_t used = nghttp2_session_mem_recv(c->session, (const uint8_t *)data, slice);
        if (used < 0)
            refused(c, (int)used);
        h2_calm(c);
        data += slice;
        n -= slice;
    }
}

void h2_calm(struct h2 *c)
{
    enum h2_abuse abuse = c->limits.abuse;
    if (abuse == H2_CALM || c->ending)
        return;
    struct metric_block *metrics = c->server->worker->metrics;
    metric_add(metrics, METRIC_CLOSED_ABUSE, 1);
    metric_add(metrics, h2_abuse_metric(abuse), 1);
    log_event(LOG_WARN, "http2_abuse", LOG_Z("kind", h2_abuse_name(abuse)),
              LOG_Z("remote", c->remote));
    h2_end(c, NGHTTP2_ENHANCE_YOUR_CALM);
}

void h2_session_close(struct h2 *c)
{
    end_block(c);
    nghttp2_session_del(c->session);
}
