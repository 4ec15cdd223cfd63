/* rest_topic - topics are listed, looked at and emptied.
 *
 * A key sees what its read scopes cover and nothing else, not even that it is there: a list asks
 * the store for the next name that each scope covers and takes the first of them, so that what lies
 * between costs nothing and is not passed over one by one.
 */
#include "worker/publish.h"
#include "worker/rest_priv.h"

#include <errno.h>
#include <stdlib.h>

#define LIST_DEFAULT 100
#define LIST_MAX 1000
#define READ_SCOPE "read:"

/* --- the object --- */

static void namespace_members(const struct conf *conf, struct buf *b, struct str topic)
{
    const struct conf_namespace *ns = conf_namespace_of(conf, topic);
    rest_text_member(b, "namespace", str_of(ns ? ns->pattern : NULL));
    if (!ns)
        return;
    buf_append_z(b, ",\"history\":");
    buf_append_u64(b, ns->history);
    buf_append_c(b, ',');
    rest_duration_member(b, "ttl", ns->ttl_ms);
    buf_append_z(b, ns->latest ? ",\"latest\":true" : ",\"latest\":false");
    buf_append_z(b, ns->client_publish ? ",\"publish\":\"client\"" : ",\"publish\":\"server\"");
    buf_append_z(b, ns->join_claim ? ",\"join\":\"claim\"" : ",\"join\":\"open\"");
}

static int whole_topic(struct exchange *ex, struct txn *t, const struct topic *topic, struct buf *b)
{
    struct stream_head head;
    int err = route_ops(ex->worker->route)->head(t, topic->stream, &head);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    buf_append_c(b, '{');
    rest_text_member(b, "topic", topic->name);
    buf_append_z(b, ",\"messages\":");
    buf_append_u64(b, head.count);
    buf_append_z(b, ",\"bytes\":");
    buf_append_u64(b, head.bytes);
    buf_append_z(b, ",\"subscribers\":");
    buf_append_u64(b, topic->subscribers);
    buf_append_c(b, ',');
    if (head.last)
        rest_cursor_member(ex, b, "last", head.last);
    else
        buf_append_z(b, "\"last\":null");
    buf_append_c(b, ',');
    rest_time_member(b, "created_at", topic->created_ms);
    buf_append_c(b, ',');
    namespace_members(ex->worker->conf, b, topic->name);
    return buf_append_c(b, '}');
}

/* --- GET one --- */

void topic_read_head(struct exchange *ex)
{
    if (rest_topic_name(ex, ex->param[0]))
        rest_is_key(ex, principal_may(&ex->principal, "read", ex->param[0]));
}

static int read_one(void *arg, struct txn *t)
{
    struct exchange *ex = arg;
    const struct route_store_ops *ops = route_ops(ex->worker->route);
    struct topic topic;
    uint64_t stream;
    buf_reset(&ex->out_body);
    int err = ops->topic_find(t, ex->param[0], &stream);
    if (err)
        return err;
    err = ops->topic(t, stream, &topic);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    return whole_topic(ex, t, &topic, &ex->out_body);
}

void topic_get_body(struct exchange *ex)
{
    int err = route_read(ex->worker->route, read_one, ex);
    if (err == -ENOENT)
        exchange_problem(ex, CODE_TOPIC_UNKNOWN, 0, NULL);
    else if (err)
        rest_store_error(ex, err);
    else
        exchange_answer(ex, 200, JSON_TYPE);
}

/* --- GET many --- */

struct list {
    struct exchange *ex;
    struct str prefix, after;
    uint64_t limit;
};

/* The first topic after `after` that this scope and the prefix cover. 0, -ENOENT. */
static int next_in_scope(const struct list *list, struct txn *t, struct str scope, struct str after,
                         struct topic *ret)
{
    const struct route_store_ops *ops = route_ops(list->ex->worker->route);
    bool open = scope.n && scope.p[scope.n - 1] == '*';
    struct str begin = str_make(scope.p, scope.n - open);
    size_t both = begin.n < list->prefix.n ? begin.n : list->prefix.n;
    if (both && memcmp(begin.p, list->prefix.p, both) != 0)
        return -ENOENT;
    int err = ops->topic_next(t, begin.n > list->prefix.n ? begin : list->prefix, after, ret);
    /* An exact name is the first of those that begin so. */
    return !err && !open && !str_eq(ret->name, begin) ? -ENOENT : err;
}

static bool stands_before(struct str a, struct str b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order < 0 || (order == 0 && a.n < b.n);
}

static int next_of_key(const struct list *list, struct txn *t, struct str after, struct topic *ret)
{
    const struct conf_api_key *key = list->ex->principal.key;
    const size_t kind = sizeof(READ_SCOPE) - 1;
    int found = -ENOENT;
    for (size_t i = 0; i < key->nscopes; i++) {
        struct str scope = str_of(key->scopes[i]);
        struct topic topic;
        if (scope.n < kind || memcmp(scope.p, READ_SCOPE, kind) != 0)
            continue;
        int err = next_in_scope(list, t, str_make(scope.p + kind, scope.n - kind), after, &topic);
        if (err && err != -ENOENT)
            return err;
        if (err || (found == 0 && !stands_before(topic.name, ret->name)))
            continue;
        *ret = topic;
        found = 0;
    }
    return found;
}

static int read_list(void *arg, struct txn *t)
{
    const struct list *list = arg;
    struct buf *b = &list->ex->out_body;
    struct str last = list->after;
    struct topic topic;
    uint64_t shown = 0;
    buf_reset(b);
    buf_append_z(b, "{\"topics\":[");
    int err = next_of_key(list, t, last, &topic);
    for (; err == 0 && shown < list->limit; shown++) {
        if (shown)
            buf_append_c(b, ',');
        err = whole_topic(list->ex, t, &topic, b);
        last = topic.name;
        if (!err)
            err = next_of_key(list, t, last, &topic);
    }
    if (err && err != -ENOENT)
        return err;
    buf_append_z(b, "],");
    rest_text_member(b, "next", err ? str_make(NULL, 0) : last);
    return buf_append_c(b, '}');
}

void topic_list_head(struct exchange *ex)
{
    const struct principal *p = &ex->principal;
    enum code code = p->kind == PRINCIPAL_NONE ? CODE_TOKEN_MISSING : CODE_FORBIDDEN;
    for (size_t i = 0; p->kind == PRINCIPAL_KEY && i < p->key->nscopes; i++)
        if (strncmp(p->key->scopes[i], READ_SCOPE, sizeof(READ_SCOPE) - 1) == 0)
            code = CODE_OK;
    rest_is_key(ex, code);
}

void topic_list_body(struct exchange *ex)
{
    struct list list = {.ex = ex, .limit = LIST_DEFAULT};
    char prefix[ENVELOPE_NAME_MAX + 2], after[ENVELOPE_NAME_MAX + 2];
    struct buf b;
    buf_fixed(&b, prefix, sizeof(prefix));
    if (rest_query(ex, "prefix", &b) < 0)
        return;
    list.prefix = buf_str(&b);
    buf_fixed(&b, after, sizeof(after));
    if (rest_query(ex, "after", &b) < 0)
        return;
    list.after = buf_str(&b);
    if (!rest_query_u64(ex, "limit", 1, LIST_MAX, &list.limit))
        return;
    int err = route_read(ex->worker->route, read_list, &list);
    if (err)
        rest_store_error(ex, err);
    else
        exchange_answer(ex, 200, JSON_TYPE);
}

/* --- DELETE of what it holds --- */

void topic_empty_head(struct exchange *ex)
{
    if (rest_topic_name(ex, ex->param[0]))
        rest_is_key(ex, principal_may(&ex->principal, "publish", ex->param[0]));
}

static ssize_t encode(void *arg, struct pack *p)
{
    command_empty_encode(p, arg);
    return 0;
}

static void on_emptied(struct rest_ask *ask, struct unpack *body)
{
    struct exchange *ex = ask->ex;
    (void)body;
    rest_release(ask);
    exchange_answer(ex, 204, NULL);
}

static void release(struct rest_ask *ask)
{
    free(ask);
}

/* What was never published to holds nothing, where it could be. */
void topic_empty_body(struct exchange *ex)
{
    struct command_empty c = {.topic = ex->param[0]};
    struct rest_ask *ask = malloc(sizeof(*ask));
    if (!ask) {
        rest_no_memory(ex);
        return;
    }
    bool possible = conf_namespace_of(ex->worker->conf, c.topic) != NULL;
    *ask = (struct rest_ask){
        .on_done = on_emptied,
        .release = release,
        .fine = possible ? CODE_TOPIC_UNKNOWN : CODE_OK,
    };
    rest_send(ex, ask, COMMAND_EMPTY, command_empty_size(&c), encode, &c);
}
