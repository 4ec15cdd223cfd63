/* rest_presence - who is in a topic: a page of keys, each with those of its sessions that are here.
 *
 * One read transaction an answer. The order is that of the keys' hashes, so `next` names a hash. A
 * key is never split: whoever applies diffs to a list must hold all of a key's sessions or none.
 */
#include "worker/rest_session.h"

#include "shm/member.h"

#include <errno.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define PAGE_BYTES (1u << 20)         /* past this no further key begins */
#define PAGE_ROWS 10000               /* looked at, as most of them may be away */
#define TOPICS_MAX (PAGE_SOURCES - 1) /* of a session: as many as there can be */
#define NEXT_TEXT (2 * MEMBER_HASH + 1)

struct who {
    struct exchange *ex;
    const struct conf_namespace *ns; /* NULL: none, any more */
    uint64_t reader;                 /* mailbox of the session that asks; 0: an API key does */
    uint64_t limit;
    bool has_after;
    uint8_t after[MEMBER_HASH];

    /* Of the walk. */
    struct member m;
    uint64_t keys, rows;
    bool shown;               /* a member of the key in hand is in the answer */
    uint8_t key[MEMBER_HASH]; /* of the row before */
};

void presence_head(struct exchange *ex)
{
    const struct principal *p = &ex->principal;
    if (rest_topic_name(ex, ex->param[0]) && p->kind != PRINCIPAL_SESSION)
        rest_is_key(ex, principal_may(p, "read", ex->param[0]));
}

/* --- the list --- */

static void show(struct who *w, struct buf *b)
{
    if (!w->m.here)
        return;
    if (w->shown) {
        buf_append_c(b, ',');
    } else {
        buf_append_z(b, w->keys++ ? ",{" : "{");
        rest_text_member(b, "key", w->m.key);
        buf_append_z(b, ",\"metas\":[");
        w->shown = true;
    }
    member_json(b, &w->m, 0);
}

static void end_key(struct who *w, struct buf *b)
{
    if (w->shown)
        buf_append_z(b, "]}");
    w->shown = false;
}

/* Whether the key of the row in hand goes to the next page. */
static bool is_full(const struct who *w, const struct buf *b)
{
    return w->rows >= PAGE_ROWS ||
           (w->m.here && (w->keys == w->limit || (w->keys && b->len >= PAGE_BYTES)));
}

/* 0: there are more keys, w->key is the last one of this page; -ENOENT: there are none. */
static int walk(struct who *w, struct txn *t, uint64_t topic, struct buf *b)
{
    const struct route_store_ops *ops = route_ops(w->ex->worker->route);
    int err = ops->member_first(t, topic, w->has_after ? w->after : NULL, &w->m);
    for (; err == 0 && !b->error; err = ops->member_next(t, topic, &w->m)) {
        if (w->rows && memcmp(w->m.hash, w->key, MEMBER_HASH) != 0) {
            end_key(w, b);
            if (is_full(w, b))
                break;
        }
        memcpy(w->key, w->m.hash, MEMBER_HASH);
        w->rows++;
        show(w, b);
    }
    end_key(w, b);
    return b->error ? b->error : err;
}

/* 0; -ENOENT; -EACCES: the session that asks is not subscribed. */
static int find_topic(struct who *w, struct txn *t, struct topic *ret)
{
    const struct route_store_ops *ops = route_ops(w->ex->worker->route);
    struct subscribed is;
    uint64_t stream;
    int err = ops->topic_find(t, w->ex->param[0], &stream);
    if (!err && w->reader)
        err = ops->subscription(t, w->reader, stream, &is);
    if (err == -ENOENT && w->reader)
        return -EACCES;
    if (err)
        return err;
    err = ops->topic(t, stream, ret);
    return err == -ENOENT ? -EUCLEAN : err;
}

/* Begins anew each time it is called. 0; -EACCES the session is not subscribed; -ENOENT. */
static int read_page(void *arg, struct txn *t)
{
    struct who *w = arg;
    struct buf *b = &w->ex->out_body;
    struct topic topic = {.stream = 0};
    char next[NEXT_TEXT];
    w->keys = w->rows = 0;
    w->shown = false;
    buf_reset(b);
    int err = find_topic(w, t, &topic);
    if (err && (err != -ENOENT || !w->ns))
        return err;
    buf_append_c(b, '{');
    rest_text_member(b, "topic", w->ex->param[0]);
    buf_append_z(b, ",\"version\":");
    buf_append_u64(b, topic.version);
    buf_append_z(b, ",\"count\":");
    buf_append_u64(b, topic.members);
    buf_append_z(b, ",\"members\":[");
    if (!err) /* else nobody has been there yet */
        err = walk(w, t, topic.stream, b);
    if (err && err != -ENOENT)
        return err;
    buf_append_z(b, "],");
    if (!err)
        hex_encode(w->key, MEMBER_HASH, next);
    rest_text_member(b, "next", err ? str_make(NULL, 0) : str_of(next));
    return buf_append_c(b, '}');
}

/* --- of one session --- */

/* One membership: where it is tracked, and what it shows there. */
static int membership(struct exchange *ex, struct txn *t, const struct session *s,
                      const struct topic *topic, const uint8_t hash[MEMBER_HASH], struct buf *b)
{
    char ref[MEMBER_REF_TEXT];
    struct member m;
    int err = route_ops(ex->worker->route)->member(t, topic->stream, hash, s->stream, &m);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    member_ref_text(m.ref, ref);
    buf_append_c(b, '{');
    rest_text_member(b, "topic", topic->name);
    buf_append_z(b, m.here ? ",\"here\":true," : ",\"here\":false,");
    rest_text_member(b, "ref", str_of(ref));
    buf_append_c(b, ',');
    rest_time_member(b, "since", m.since_ms);
    buf_append_z(b, ",\"meta\":");
    buf_append_str(b, m.meta);
    return buf_append_c(b, '}');
}

int session_presence_member(struct exchange *ex, struct txn *t, const struct session *s,
                            struct buf *b)
{
    const struct route_store_ops *ops = route_ops(ex->worker->route);
    struct subscribed has[TOPICS_MAX];
    char text[SESSION_ID_TEXT];
    uint8_t hash[MEMBER_HASH];
    const char *comma = "";
    int n = ops->subscribed(t, s->stream, has, TOPICS_MAX);
    member_hash(member_key(s, text), hash);
    buf_append_z(b, "\"presence\":[");
    for (int i = 0; i < n; i++) {
        struct topic topic;
        if (!has[i].tracked)
            continue;
        int err = ops->topic(t, has[i].topic, &topic);
        if (err)
            return err == -ENOENT ? -EUCLEAN : err;
        buf_append_z(b, comma);
        err = membership(ex, t, s, &topic, hash, b);
        if (err)
            return err;
        comma = ",";
    }
    return n < 0 ? n : buf_append_c(b, ']');
}

/* --- the request --- */

/* A session's token: it may see who is where it is told of it anyway. */
static bool read_reader(struct exchange *ex, uint64_t *ret)
{
    struct route *r = ex->worker->route;
    struct session_copy own;
    if (ex->principal.kind != PRINCIPAL_SESSION)
        return true;
    int err = route_session(r, ex->principal.session, &own);
    if (err == -ENOENT)
        exchange_problem(ex, CODE_TOKEN_REVOKED, 0, "the token's session has ended");
    else if (err)
        rest_store_error(ex, err);
    if (err)
        return false;
    route_touch(r, &own.s, 0);
    *ret = own.s.stream;
    session_copy_free(&own);
    return true;
}

static bool read_after(struct who *w)
{
    char memory[2 * NEXT_TEXT];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(w->ex, "after", &b);
    if (found <= 0)
        return found == 0;
    w->has_after = true;
    if (hex_decode(buf_str(&b), w->after, MEMBER_HASH) == 0)
        return true;
    exchange_problem(w->ex, CODE_BAD_REQUEST, 0, "query parameter after: the next of a list");
    return false;
}

void presence_body(struct exchange *ex)
{
    struct who w = {
        .ex = ex,
        .ns = conf_namespace_of(ex->worker->conf, ex->param[0]),
        .limit = LIMIT_DEFAULT,
    };
    if (!read_reader(ex, &w.reader) || !rest_query_u64(ex, "limit", 1, LIMIT_MAX, &w.limit) ||
        !read_after(&w))
        return;
    int err = w.ns && !w.ns->presence ? -EPERM : route_read(ex->worker->route, read_page, &w);
    if (err == -EPERM)
        exchange_problem(ex, CODE_FORBIDDEN, 0, "the topic's namespace has no presence");
    else if (err == -EACCES)
        exchange_problem(ex, CODE_FORBIDDEN, 0, "the session is not subscribed to the topic");
    else if (err == -ENOENT)
        exchange_problem(ex, CODE_TOPIC_UNKNOWN, 0, NULL);
    else if (err)
        rest_store_error(ex, err);
    else
        exchange_answer(ex, 200, JSON_TYPE);
}
