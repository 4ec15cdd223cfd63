/* pickup_read - one read from the store on behalf of a pick-up (rules 4, 5 and 7).
 *
 * One transaction says which subscriptions the session has and what lies behind the cursor in all
 * of them: cursor and sources always belong together. What such a read finds is handed out while it
 * goes on, but counts only once it has come to its end; until then the pick-up's own list stays as
 * it is, and the subscriptions that the list of the store has besides are on the side (fresh).
 *
 * Reads do not nest, so one worker needs the room for one of them.
 */
#include "worker/route_priv.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define TOPICS_MAX (PAGE_SOURCES - 1) /* of one session */

struct pass_room {
    struct subscribed listed[TOPICS_MAX];
    struct page_source source[PAGE_SOURCES];        /* the mailbox, then topics by stream */
    struct topic_subscription *topic[PAGE_SOURCES]; /* of that source; NULL: the mailbox */
    struct page_lost lost[PAGE_SOURCES];
    struct pickup_lost told[PAGE_SOURCES];
};

struct pass {
    struct pickup *p;
    struct pass_room *room;
    struct page page;
    uint64_t cursor;     /* as they were before it */
    struct chain chain;  /* the mailbox's */
    uint64_t generation; /* as it was found; 0 not known */
    size_t nsources;
    size_t at;       /* the source of the last message: messages come in runs */
    size_t count;    /* messages handed out in it */
    bool truncated;  /* on_truncated was called in it */
    bool stopped;    /* on_message wants no more */
    bool superseded; /* the session is another one's */
    int err;
};

int pass_room_open(struct route *r)
{
    r->room = calloc(1, sizeof(*r->room));
    return r->room ? 0 : -ENOMEM;
}

void pass_room_close(struct route *r)
{
    free(r->room);
    r->room = NULL;
}

static struct chain *chain_of(const struct pass *pass, size_t source)
{
    struct topic_subscription *topic = pass->room->topic[source];
    return topic ? &topic->s.chain : &pass->p->mailbox.s.chain;
}

static struct str text_of(const struct pass *pass, size_t source)
{
    const struct topic_subscription *topic = pass->room->topic[source];
    return stream_text(topic ? topic->s.topic : NULL);
}

static int by_stream(const void *key, const void *member)
{
    uint64_t stream = *(const uint64_t *)key;
    const struct page_source *source = member;
    return stream < source->stream ? -1 : stream > source->stream;
}

static size_t source_of(struct pass *pass, uint64_t stream)
{
    const struct page_source *all = pass->room->source, *found;
    if (all[pass->at].stream == stream)
        return pass->at;
    pass->at = 0;
    if (all[0].stream != stream) {
        found = bsearch(&stream, all + 1, pass->nsources - 1, sizeof(*all), by_stream);
        must(found);
        pass->at = (size_t)(found - all);
    }
    return pass->at;
}

/* --- handing out --- */

/* What the page says is lost, but for what was told before: a page that ends early says it again.
 */
static void tell_truncated(struct pass *pass)
{
    struct pickup_lost *told = pass->room->told;
    size_t n = 0;
    if (pass->truncated)
        return;
    for (size_t i = 0; i < pass->page.nlost; i++) {
        const struct page_lost *lost = &pass->room->lost[i];
        size_t source = source_of(pass, lost->stream);
        uint64_t begin = chain_of(pass, source)->begin;
        if (lost->to <= begin)
            continue;
        uint64_t from = lost->from > begin ? lost->from : begin + 1;
        told[n++] = (struct pickup_lost){text_of(pass, source), from, lost->to};
    }
    if (!n)
        return;
    pass->truncated = true;
    pass->p->ops->on_truncated(pass->p->arg, told, n);
}

/* The page judges what lies above its cursor. What lies below, and was not handed out when the
 * cursor went by, was gone before it could be, or was not for this session. */
static bool is_skipped(const struct pass *pass, size_t source, const struct message *m)
{
    const struct chain *chain = chain_of(pass, source);
    uint64_t join = pass->room->source[source].join;
    if (m->flags & MESSAGE_SKIPPED || chain->over)
        return true;
    return !chain_holds(chain, m) && (m->prev <= pass->cursor || m->prev <= join);
}

static bool on_page_message(void *arg, uint64_t stream, const struct message *stored)
{
    struct pass *pass = arg;
    struct pickup *p = pass->p;
    struct message m = *stored;
    tell_truncated(pass);
    size_t source = source_of(pass, stream);
    struct chain *chain = chain_of(pass, source);
    if (is_skipped(pass, source, &m))
        m.flags |= MESSAGE_SKIPPED;
    struct str object;
    pass->err = pickup_object(p, &m, text_of(pass, source), &object);
    if (pass->err)
        return false;
    enum pickup_take take = p->ops->on_message(p->arg, stream, &m, object);
    pass->stopped = take != PICKUP_TAKEN;
    if (take == PICKUP_REFUSED) {
        p->missed = true;
        return false;
    }
    p->cursor = m.seq;
    chain->last = m.seq;
    chain->over = false;
    pass->count++;
    return take == PICKUP_TAKEN;
}

/* --- what there is to read --- */

/* Control records may have been missed: is the session still there, and still this one's? */
static int recheck(struct pass *pass, struct txn *t)
{
    struct pickup *p = pass->p;
    struct route *r = p->route;
    struct session s;
    int err = route_session_in(r, t, p->session, &s);
    if (err)
        return err;
    if (s.acked > p->acked)
        p->acked = s.acked;
    if (!p->transport || !r->parts.conf->exclusive)
        return 0;
    if (!p->connection && !p->generation)
        pass->generation = s.generation;
    if (p->connection && !p->generation) {
        struct attachment a;
        err = r->ops->attachment(t, p->session, p->connection, &a);
        if (!err)
            pass->generation = a.generation;
        else if (err != -ENOENT) /* its own attachment is still on its way to the writer */
            return err;
    }
    pass->superseded = pass->generation && pass->generation < s.generation;
    return 0;
}

static void add_source(struct pass *pass, uint64_t stream, uint64_t join, uint64_t age_ms,
                       struct topic_subscription *topic)
{
    size_t i = pass->nsources++;
    pass->room->source[i] = (struct page_source){.stream = stream, .join = join, .age_ms = age_ms};
    pass->room->topic[i] = topic;
}

/* A subscription that the pick-up does not know yet. */
static int add_fresh(struct pass *pass, struct txn *t, const struct subscribed *sub)
{
    struct pickup *p = pass->p;
    struct topic topic = {.stream = 0};
    if (!topic_known(p->route, sub->topic)) {
        int err = p->route->ops->topic(t, sub->topic, &topic);
        if (err) /* a subscription to no topic */
            return err == -ENOENT ? -EUCLEAN : err;
    }
    struct topic_subscription *s = topic_subscribe(p, sub->topic, topic.name, sub->join);
    if (!s)
        return -ENOMEM;
    s->fresh = true;
    add_source(pass, sub->topic, sub->join, s->s.topic->age_ms, s);
    return 0;
}

/* The mailbox, and the topics that the session is subscribed to in this transaction. Both lists are
 * by stream. */
static int list_sources(struct pass *pass, struct txn *t)
{
    struct pickup *p = pass->p;
    const struct route *r = p->route;
    const struct subscribed *listed = pass->room->listed;
    uint64_t mailbox = p->mailbox.entry.stream;
    add_source(pass, mailbox, p->acked, r->parts.conf->mailbox_age, NULL);
    int n = r->ops->subscribed(t, mailbox, pass->room->listed, TOPICS_MAX);
    if (n < 0)
        return n;
    struct topic_subscription *had = p->topics;
    for (int i = 0; i < n; i++) {
        while (had && topic_stream(had) < listed[i].topic)
            had = had->next;
        if (!had || topic_stream(had) != listed[i].topic || had->join != listed[i].join) {
            int err = add_fresh(pass, t, &listed[i]);
            if (err)
                return err;
            continue;
        }
        had->kept = true;
        add_source(pass, listed[i].topic, had->join, had->s.topic->age_ms, had);
    }
    return 0;
}

/* --- the read --- */

static void begin(struct pass *pass)
{
    for (struct topic_subscription *s = pass->p->topics; s; s = s->next)
        s->saved = s->s.chain;
}

/* Nothing of an unfinished read counts. */
static void undo(struct pass *pass)
{
    struct pickup *p = pass->p;
    struct topic_subscription *s;
    for (size_t i = 0; i < pass->nsources; i++) {
        s = pass->room->topic[i];
        if (s && s->fresh)
            topic_unsubscribe(s);
    }
    for (s = p->topics; s; s = s->next) {
        s->s.chain = s->saved;
        s->kept = false;
    }
    if (pass->count || pass->truncated)
        p->ops->on_undo(p->arg);
    *pass = (struct pass){.p = p,
                          .room = pass->room,
                          .cursor = pass->cursor,
                          .chain = pass->chain,
                          .generation = p->generation};
    p->cursor = pass->cursor;
    p->mailbox.s.chain = pass->chain;
    p->missed = false;
}

static int read_pass(void *arg, struct txn *t)
{
    struct pass *pass = arg;
    struct pickup *p = pass->p;
    struct route *r = p->route;
    undo(pass);
    int err = p->recheck ? recheck(pass, t) : 0;
    if (err || pass->superseded)
        return err;
    err = list_sources(pass, t);
    if (err)
        return err;
    pass->page = (struct page){
        .cursor = p->cursor,
        .published = &r->parts.board->last_seq,
        .sources = pass->room->source,
        .nsources = pass->nsources,
        .session = p->session,
        .limit = p->page_limit,
        .max_bytes = p->page_bytes,
        .now_ms = route_now_ms(r),
        .on_message = on_page_message,
        .arg = pass,
        .lost = pass->room->lost,
    };
    err = r->ops->page(t, &pass->page);
    return err ? err : pass->err;
}

/* The list becomes what the store said. */
static void settle_topics(struct pass *pass)
{
    struct pickup *p = pass->p;
    struct topic_subscription *s, **at = &p->topics;
    while (p->topics) {
        s = p->topics;
        p->topics = s->next;
        if (!s->kept)
            topic_unsubscribe(s);
    }
    for (size_t i = 1; i < pass->nsources; i++) {
        s = pass->room->topic[i];
        s->fresh = s->kept = false;
        *at = s;
        at = &s->next;
    }
    *at = NULL;
}

/* The read is done, and counts. */
static void settle(struct pass *pass)
{
    struct pickup *p = pass->p;
    tell_truncated(pass);
    for (size_t i = 0; i < pass->page.nlost; i++) {
        const struct page_lost *lost = &pass->room->lost[i];
        struct chain *chain = chain_of(pass, source_of(pass, lost->stream));
        if (chain->begin < lost->to)
            chain->begin = lost->to;
        if (chain->last <= lost->to)
            chain->last = chain->over = 0;
    }
    settle_topics(pass);
    p->recheck = false;
    p->generation = pass->generation;
    if (!p->missed && pass->page.ret_cursor > p->cursor)
        p->cursor = pass->page.ret_cursor;
    metric_add(route_metrics(p->route), METRIC_DELIVERED_STORE, pass->count);
}

static void failed(struct pass *pass, int err)
{
    undo(pass);
    if (err != -ENOENT)
        log_event(LOG_ERROR, "pickup_read_failed", LOG_E(err));
    pickup_end(pass->p, err == -ENOENT ? CODE_SESSION_UNKNOWN : CODE_UNAVAILABLE);
}

void pickup_catch_up(struct pickup *p)
{
    struct route *r = p->route;
    struct pass pass = {.p = p, .room = r->room, .cursor = p->cursor, .chain = p->mailbox.s.chain};
    begin(&pass);
    int err = route_read(r, read_pass, &pass);
    if (err) {
        failed(&pass, err);
        return;
    }
    if (pass.superseded) {
        metric_add(route_metrics(r), METRIC_SUPERSEDED, 1);
        pickup_end(p, CODE_SUPERSEDED);
        return;
    }
    settle(&pass);

    bool more = pass.page.ret_more || p->missed;
    if (pass.stopped)
        p->state = PICKUP_STOPPED;
    else if (!more && p->cursor >= r->walked)
        p->state = PICKUP_LIVE;
    else
        pickup_queue(p);
    if (pass.count || pass.truncated || pass.stopped || (p->state == PICKUP_LIVE && !p->went_live))
        pickup_tell(p, more);
}
