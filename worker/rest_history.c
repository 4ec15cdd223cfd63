/* rest_history - what a topic holds: after a cursor, or from the newest down.
 *
 * One read transaction an answer. As in a pick-up the cursor of an answer that holds messages is
 * that of its last one, so that asking again is exact.
 */
#include "worker/message_list.h"
#include "worker/publish.h"
#include "worker/rest_priv.h"

#include <errno.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX MESSAGE_LIST_MAX
#define BYTES_DEFAULT (1u << 20) /* of message objects in the answer */
#define BYTES_MAX (64u << 20)

struct history {
    struct exchange *ex;
    struct str stream; /* "topic:<name>" */
    const struct conf_namespace *ns;
    uint64_t limit, max_bytes;
    bool reverse;
    bool given; /* a cursor was: */
    uint64_t epoch, seq;

    struct message_list list;
    struct buf object;
    uint64_t bytes; /* of message objects in the list */
    uint64_t last;  /* seq of the last one */
    bool refused;   /* one had no room */
    int err;
    uint64_t cursor; /* of the answer */
    bool more;
    struct cursor_reset reset; /* reason NULL: there is none */
};

/* --- reading --- */

static bool take(struct history *h, const struct message *m)
{
    struct exchange *ex = h->ex;
    uint64_t epoch = route_epoch(ex->worker->route);
    buf_reset(&h->object);
    h->err = ex->encoding == ENCODING_MSGPACK ? message_msgpack(m, h->stream, epoch, &h->object)
                                              : message_json(m, h->stream, epoch, &h->object);
    h->refused = h->err || (h->list.count && h->object.len > h->max_bytes - h->bytes);
    if (h->refused)
        return false;
    message_list_add(&h->list, buf_str(&h->object));
    h->bytes += h->object.len;
    h->last = m->seq;
    return true;
}

static bool on_message(void *arg, uint64_t stream, const struct message *m)
{
    struct history *h = arg;
    (void)stream;
    return take(h, m) && h->bytes < h->max_bytes;
}

static bool on_message_down(void *arg, const struct message *m)
{
    struct history *h = arg;
    return h->bytes < h->max_bytes && take(h, m);
}

static uint64_t age_of(const struct history *h)
{
    return h->ns ? h->ns->ttl_ms : 0;
}

static int read_forward(struct history *h, struct txn *t, uint64_t stream, uint64_t floor)
{
    struct route *r = h->ex->worker->route;
    const struct page_source source = {.stream = stream, .age_ms = age_of(h)};
    struct page_lost lost = {.stream = stream};
    struct page page = {
        .cursor = h->given ? h->seq : floor,
        .published = &h->ex->worker->board->last_seq,
        .sources = &source,
        .nsources = 1,
        .limit = h->limit,
        .max_bytes = h->max_bytes,
        .now_ms = route_now_ms(r),
        .on_message = on_message,
        .arg = h,
        .lost = &lost,
    };
    int err = route_ops(r)->page(t, &page);
    if (err || h->err)
        return err ? err : h->err;
    if (page.nlost)
        message_list_lost(&h->list, h->stream, lost.from, lost.to);
    h->cursor = h->list.count ? h->last : page.ret_cursor;
    h->more = page.ret_more || h->refused;
    return 0;
}

static int read_reverse(struct history *h, struct txn *t, uint64_t stream, uint64_t newest)
{
    struct route *r = h->ex->worker->route;
    struct page_reverse page = {
        .stream = stream,
        .before = h->given ? h->seq : 0,
        .published = &h->ex->worker->board->last_seq,
        .age_ms = age_of(h),
        .limit = h->limit,
        .now_ms = route_now_ms(r),
        .on_message = on_message_down,
        .arg = h,
    };
    /* Nothing lies before the first. */
    if (h->given && h->seq == 0)
        return 0;
    int err = route_ops(r)->page_reverse(t, &page);
    if (err || h->err)
        return err ? err : h->err;
    h->cursor = page.ret_before < newest ? page.ret_before : newest;
    h->more = page.ret_more;
    return 0;
}

/* Begins anew each time it is called. 0; -ENOENT no such topic. */
static int read_history(void *arg, struct txn *t)
{
    struct history *h = arg;
    const struct route_store_ops *ops = route_ops(h->ex->worker->route);
    struct stream_head head = {.floor = 0};
    uint64_t newest, stream = 0;
    message_list_reset(&h->list);
    h->bytes = h->last = 0;
    h->refused = h->more = false;
    h->reset.reason = NULL;
    h->err = 0;
    int err = ops->last_seq(t, &newest);
    if (!err)
        err = ops->topic_find(t, h->ex->param[0], &stream);
    if (!err)
        err = ops->head(t, stream, &head);
    if (err && (err != -ENOENT || !h->ns))
        return err;
    bool ours = h->epoch == route_epoch(h->ex->worker->route);
    if (h->given && (!ours || h->seq > newest)) {
        h->reset = (struct cursor_reset){ours ? "ahead" : "epoch", head.floor, newest};
        return 0;
    }
    uint64_t published = route_last_seq(h->ex->worker->route);
    if (published < newest)
        newest = published;
    h->cursor = h->given ? h->seq : newest;
    if (err) /* nothing was published to it yet */
        return 0;
    return h->reverse ? read_reverse(h, t, stream, newest) : read_forward(h, t, stream, head.floor);
}

/* --- the answer --- */

static void answer(struct history *h)
{
    struct exchange *ex = h->ex;
    char text[CURSOR_TEXT];
    size_t n = cursor_text(route_epoch(ex->worker->route), h->cursor, text);
    message_list_end(&h->list, str_make(text, n), h->more);
    rest_cursor_header(ex, h->cursor);
    exchange_answer(ex, 200, ex->encoding == ENCODING_MSGPACK ? MSGPACK_TYPE : JSON_TYPE);
}

static bool read_request(struct history *h)
{
    struct exchange *ex = h->ex;
    char memory[2 * CURSOR_TEXT];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(ex, "cursor", &b);
    if (found < 0)
        return false;
    h->given = found == 1;
    if (h->given && cursor_parse(buf_str(&b), &h->epoch, &h->seq) != 0) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "not a cursor");
        return false;
    }
    return rest_query_u64(ex, "limit", 1, LIMIT_MAX, &h->limit) &&
           rest_query_u64(ex, "max_bytes", 1, BYTES_MAX, &h->max_bytes) &&
           rest_query_flag(ex, "reverse", &h->reverse);
}

void topic_history_body(struct exchange *ex)
{
    char memory[PUBLISH_STREAM_MAX];
    struct history h = {
        .ex = ex,
        .stream = publish_stream(ex->param[0], memory),
        .ns = conf_namespace_of(ex->worker->conf, ex->param[0]),
        .limit = LIMIT_DEFAULT,
        .max_bytes = BYTES_DEFAULT,
    };
    if (!read_request(&h))
        return;
    message_list_init(&h.list, &ex->out_body, ex->encoding);
    buf_init(&h.object, EXCHANGE_ANSWER_MAX);
    int err = route_read(ex->worker->route, read_history, &h);
    if (err == -ENOENT)
        exchange_problem(ex, CODE_TOPIC_UNKNOWN, 0, NULL);
    else if (err)
        rest_store_error(ex, err);
    else if (h.reset.reason)
        rest_cursor_reset(ex, &h.reset);
    else
        answer(&h);
    buf_free(&h.object);
    message_list_free(&h.list);
}
