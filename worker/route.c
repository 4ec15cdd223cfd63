/* route - the session router: opens and closes, takes its turn, reads.
 *
 * The work is in route_call.c, route_feed.c, route_topic.c, route_touch.c and pickup*.c. A turn
 * goes completions, feed, pick-ups: everything that a pick-up has to say is said once, after the
 * whole walk.
 */
#include "worker/route_priv.h"

#include "common/clock.h"
#include "shm/meta.h"

#include <errno.h>
#include <stdlib.h>

/* One message as JSON: base64 and escapes make at most six bytes of one, the rest is small. The
 * payload is bounded at publish; this bounds what a damaged store could make of it. */
#define MESSAGE_TEXT_MAX (256u << 20)
#define KEEP_BYTES (256u << 10) /* a scratch buffer that grew past this is given back */

static int store_read_last_seq(struct txn *t, uint64_t *ret)
{
    struct meta m;
    int err = meta_get(t, &m);
    if (!err)
        *ret = m.last_seq;
    return err;
}

static int store_read_begin(void *store, struct txn **ret)
{
    return store_read(store, ret);
}

static const struct route_store_ops store_ops = {
    .read = store_read_begin,
    .done = txn_done,
    .last_seq = store_read_last_seq,
    .session = session_get,
    .head = stream_head,
    .attachments = attachment_list,
    .attachment = attachment_get,
    .subject = subject_sessions,
    .receipt = stream_receipt,
    .page = page_read,
    .page_reverse = page_reverse,
    .subscribed = subscribed_list,
    .subscription = subscribed_get,
    .topic = topic_get,
    .topic_find = topic_find,
    .topic_next = topic_next,
    .member = member_get,
    .member_first = member_first,
    .member_next = member_next,
};

static void trim(struct buf *b)
{
    if (b->cap > KEEP_BYTES)
        buf_free(b);
}

int route_open(const struct route_parts *parts, struct route **ret)
{
    struct route *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->parts = *parts;
    r->ops = parts->store_ops ? parts->store_ops : &store_ops;
    wheel_init(&r->wheel, route_boot_ms(r));
    buf_init(&r->record, parts->feed->size);
    for (int i = 0; i < FORMS; i++) {
        buf_init(&r->object[i][false], MESSAGE_TEXT_MAX);
        buf_init(&r->object[i][true], MESSAGE_TEXT_MAX);
    }
    TAILQ_INIT(&r->all);
    TAILQ_INIT(&r->turns);

    int err = feed_start(parts->feed, &r->reader);
    r->passed = r->walked = r->reader.seq;
    if (!err)
        err = calls_open(r);
    if (!err)
        err = touches_open(r);
    if (!err)
        err = stream_table_open(&r->mailboxes);
    if (!err)
        err = stream_table_open(&r->topics);
    if (!err)
        err = pass_room_open(r);
    if (err) {
        route_close(r);
        return err;
    }
    *ret = r;
    return 0;
}

void route_close(struct route *r)
{
    if (!r)
        return;
    while (!TAILQ_EMPTY(&r->all))
        pickup_stop(TAILQ_FIRST(&r->all));
    calls_close(r);
    touches_close(r);
    stream_table_close(&r->mailboxes);
    stream_table_close(&r->topics);
    pass_room_close(r);
    buf_free(&r->record);
    for (int i = 0; i < FORMS; i++) {
        buf_free(&r->object[i][false]);
        buf_free(&r->object[i][true]);
    }
    free(r);
}

bool route_proceed(struct route *r)
{
    route_ring(r);
    bool more = calls_proceed(r);
    more |= feed_proceed(r);
    more |= pickups_proceed(r);
    route_ring(r);
    trim(&r->record);
    for (int i = 0; i < FORMS; i++) {
        trim(&r->object[i][false]);
        trim(&r->object[i][true]);
    }
    return more;
}

void route_tick(struct route *r)
{
    calls_tick(r);
    wheel_turn(&r->wheel, route_boot_ms(r));
}

uint64_t route_boot_ms(const struct route *r)
{
    return r->parts.now_ms ? r->parts.now_ms(r->parts.now_arg) : clock_boot_ms();
}

uint64_t route_epoch(const struct route *r)
{
    return atomic_load_explicit(&r->parts.board->epoch, memory_order_relaxed);
}

uint64_t route_last_seq(const struct route *r)
{
    uint64_t told = atomic_load(&r->parts.board->last_seq);
    return told > r->passed ? told : r->passed;
}

uint64_t route_now_ms(const struct route *r)
{
    return board_now_ms(r->parts.board);
}

void route_timer(struct route *r, struct wheel_timer *t, uint64_t from_now_ms,
                 void (*fire)(void *arg), void *arg)
{
    wheel_set(&r->wheel, t, route_boot_ms(r) + from_now_ms, fire, arg);
}

const struct route_store_ops *route_ops(const struct route *r)
{
    return r->ops;
}

int route_read(struct route *r, int (*fn)(void *arg, struct txn *t), void *arg)
{
    int err = -EUCLEAN;
    for (int tries = 0; tries < 2 && err == -EUCLEAN; tries++) {
        if (tries)
            metric_add(route_metrics(r), METRIC_READER_RETRIES, 1);
        struct txn *t;
        err = r->ops->read(r->parts.store, &t);
        if (err)
            continue;
        err = fn(arg, t);
        r->ops->done(t);
    }
    return err;
}

int route_session_in(struct route *r, struct txn *t, const uint8_t id[SESSION_ID_SIZE],
                     struct session *ret)
{
    struct session s;
    int err = r->ops->session(t, id, &s);
    if (err)
        return err;
    uint64_t start = atomic_load_explicit(&r->parts.board->start_ms, memory_order_relaxed);
    if (session_expired(&s, route_now_ms(r), start))
        return -ENOENT;
    *ret = s;
    return 0;
}

struct session_ask {
    struct route *route;
    const uint8_t *id;
    struct session_copy copy;
};

static struct str keep(const struct session_copy *c, size_t *at, size_t n)
{
    struct str s = str_make(c->text.data + *at, n);
    *at += n;
    return s;
}

static int copy_session(void *arg, struct txn *t)
{
    struct session_ask *ask = arg;
    struct session_copy *c = &ask->copy;
    struct session s;
    int err = route_session_in(ask->route, t, ask->id, &s);
    if (err)
        return err;
    buf_reset(&c->text);
    buf_append_str(&c->text, s.subject);
    buf_append_str(&c->text, s.name);
    buf_append_str(&c->text, s.attributes);
    err = buf_append_str(&c->text, s.claims);
    if (err)
        return err;
    c->s = s;
    size_t at = 0;
    if (!c->text.data) /* all four are empty */
        return 0;
    c->s.subject = keep(c, &at, s.subject.n);
    c->s.name = keep(c, &at, s.name.n);
    c->s.attributes = keep(c, &at, s.attributes.n);
    c->s.claims = keep(c, &at, s.claims.n);
    return 0;
}

int route_session(struct route *r, const uint8_t id[SESSION_ID_SIZE], struct session_copy *ret)
{
    struct session_ask ask = {.route = r, .id = id};
    buf_init(&ask.copy.text, MESSAGE_TEXT_MAX);
    int err = route_read(r, copy_session, &ask);
    if (err) {
        buf_free(&ask.copy.text);
        return err;
    }
    *ret = ask.copy;
    return 0;
}

void session_copy_free(struct session_copy *c)
{
    buf_free(&c->text);
}
