/* rest_session - sessions are looked at, listed, changed and ended; opening is rest_open.c. */
#include "worker/rest_session.h"

#include "common/clock.h"
#include "common/units.h"

#include <errno.h>
#include <stdlib.h>

#define CONNECTIONS_SHOWN 100
#define TOPICS_SHOWN (PAGE_SOURCES - 1) /* as many as there can be */
#define LIST_DEFAULT 100
#define LIST_MAX 1000
#define LIST_CHUNK 64 /* ids read at a time */

/* --- the object --- */

static int by_name(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* The names, in order, of what it is subscribed to. */
static int topics_member(struct exchange *ex, struct txn *t, const struct session *s, struct buf *b)
{
    const struct route_store_ops *ops = route_ops(ex->worker->route);
    struct subscribed has[TOPICS_SHOWN];
    struct str name[TOPICS_SHOWN] = {{NULL, 0}};
    int n = ops->subscribed(t, s->stream, has, TOPICS_SHOWN);
    for (int i = 0; i < n; i++) {
        struct topic topic;
        int err = ops->topic(t, has[i].topic, &topic);
        if (err)
            return err == -ENOENT ? -EUCLEAN : err;
        name[i] = topic.name;
    }
    if (n < 0)
        return n;
    qsort(name, (size_t)n, sizeof(name[0]), by_name);
    buf_append_z(b, "\"topics\":[");
    for (int i = 0; i < n; i++) {
        if (i)
            buf_append_c(b, ',');
        json_quote(b, name[i]);
    }
    buf_append_c(b, ']');
    return 0;
}

/* The members, without braces: session, subject, name, epoch, cursor, ttl, expires_at, topics,
 * attributes, urls. */
static int members(struct exchange *ex, struct txn *t, const struct session *s, struct buf *b)
{
    char id[SESSION_ID_TEXT];
    session_id_text(s->id, id);
    buf_append_z(b, "\"session\":\"");
    buf_append_z(b, id);
    buf_append_z(b, "\",");
    rest_text_member(b, "subject", s->subject);
    buf_append_c(b, ',');
    rest_text_member(b, "name", s->name);
    buf_printf(b, ",\"epoch\":\"%016llx\",", (unsigned long long)route_epoch(ex->worker->route));
    rest_cursor_member(ex, b, "cursor", pickup_begin(s));
    buf_append_c(b, ',');
    rest_duration_member(b, "ttl", s->ttl_ms);
    buf_append_c(b, ',');
    rest_time_member(b, "expires_at", s->expires_ms);
    buf_append_c(b, ',');
    int err = topics_member(ex, t, s, b);
    if (err)
        return err;
    buf_append_z(b, ",\"attributes\":");
    buf_append_str(b, s->attributes.n ? s->attributes : STR("{}"));
    buf_append_z(b, ",\"urls\":{\"messages\":\"/v1/sessions/");
    buf_append_z(b, id);
    buf_append_z(b, "/messages\",\"socket\":\"/v1/socket?session=");
    buf_append_z(b, id);
    buf_append_z(b, "\"}");
    return 0;
}

/* What never moved stands where the session began. */
static void position_member(struct exchange *ex, struct buf *b, const char *name,
                            const struct session *s, uint64_t seq)
{
    rest_cursor_member(ex, b, name, seq > s->start_seq ? seq : s->start_seq);
}

static int connections_member(struct exchange *ex, struct txn *t, const struct session *s,
                              struct buf *b)
{
    struct attachment at[CONNECTIONS_SHOWN];
    struct route *r = ex->worker->route;
    int n = route_ops(r)->attachments(t, s->id, at, CONNECTIONS_SHOWN);
    if (n < 0)
        return n;
    uint64_t now = route_now_ms(r);
    const char *comma = "";
    buf_append_z(b, "\"connections\":[");
    for (int i = 0; i < n; i++) {
        if (at[i].lease_ms <= now)
            continue;
        buf_append_z(b, comma);
        buf_append_c(b, '{');
        rest_text_member(b, "transport", at[i].transport);
        buf_append_c(b, ',');
        rest_time_member(b, "since", at[i].since_ms);
        buf_append_c(b, ',');
        rest_text_member(b, "remote", at[i].remote);
        buf_append_c(b, '}');
        comma = ",";
    }
    buf_append_c(b, ']');
    return 0;
}

/* All members of a session but what may be long (metas), inside a transaction; without braces. */
static int whole_session(struct exchange *ex, struct txn *t, const struct session *s, struct buf *b)
{
    struct route *r = ex->worker->route;
    struct stream_head head;
    int err = route_ops(r)->head(t, s->stream, &head);
    if (err)
        return err;
    err = members(ex, t, s, b);
    if (err)
        return err;
    buf_append_c(b, ',');
    err = connections_member(ex, t, s, b);
    if (err)
        return err;
    buf_append_c(b, ',');
    position_member(ex, b, "acked", s, s->acked);
    buf_append_c(b, ',');
    position_member(ex, b, "delivered", s, route_delivered(r, s));
    buf_append_z(b, ",\"pending\":");
    buf_append_u64(b, head.count);
    buf_append_z(b, ",\"pending_bytes\":");
    buf_append_u64(b, head.bytes);
    return 0;
}

/* --- GET one --- */

struct one {
    struct exchange *ex;
    uint8_t id[SESSION_ID_SIZE];
};

static int read_one(void *arg, struct txn *t)
{
    struct one *one = arg;
    struct buf *b = &one->ex->out_body;
    struct session s;
    buf_reset(b);
    int err = route_session_in(one->ex->worker->route, t, one->id, &s);
    if (err)
        return err;
    buf_append_c(b, '{');
    err = whole_session(one->ex, t, &s, b);
    if (err)
        return err;
    buf_append_c(b, ',');
    err = session_presence_member(one->ex, t, &s, b);
    return err ? err : buf_append_c(b, '}');
}

static void show(struct exchange *ex, const uint8_t id[SESSION_ID_SIZE])
{
    struct one one = {.ex = ex};
    memcpy(one.id, id, SESSION_ID_SIZE);
    int err = route_read(ex->worker->route, read_one, &one);
    if (err == -ENOENT)
        exchange_problem(ex, CODE_SESSION_UNKNOWN, 0, NULL);
    else if (err)
        rest_store_error(ex, err);
    else
        exchange_answer(ex, 200, JSON_TYPE);
}

static int read_opened(void *arg, struct txn *t)
{
    struct one *one = arg;
    struct buf *b = &one->ex->out_body;
    struct session s;
    buf_reset(b);
    int err = route_session_in(one->ex->worker->route, t, one->id, &s);
    if (err)
        return err;
    buf_append_c(b, '{');
    err = members(one->ex, t, &s, b);
    if (err)
        return err;
    buf_append_c(b, ',');
    session_token_member(one->ex, b, one->id);
    buf_append_c(b, '}');
    return 0;
}

void session_show_opened(struct exchange *ex, const struct completion_session *c)
{
    struct one one = {.ex = ex};
    memcpy(one.id, c->session, SESSION_ID_SIZE);
    int err = route_read(ex->worker->route, read_opened, &one);
    if (err == -ENOENT) /* ended since */
        exchange_problem(ex, CODE_SESSION_UNKNOWN, 0, NULL);
    else if (err)
        rest_store_error(ex, err);
    else
        exchange_answer(ex, c->created ? 201 : 200, JSON_TYPE);
}

void session_get_body(struct exchange *ex)
{
    struct session_copy s;
    if (!rest_session(ex, &s))
        return;
    show(ex, s.s.id);
    session_copy_free(&s);
}

/* --- GET a subject's --- */

struct list {
    struct exchange *ex;
    struct str subject;
    uint64_t limit;
    bool has_after;
    uint8_t after[SESSION_ID_SIZE];
};

static int read_list(void *arg, struct txn *t)
{
    struct list *list = arg;
    struct exchange *ex = list->ex;
    struct route *r = ex->worker->route;
    struct buf *b = &ex->out_body;
    uint8_t ids[LIST_CHUNK][SESSION_ID_SIZE], at[SESSION_ID_SIZE], last[SESSION_ID_SIZE];
    bool begun = list->has_after, more = false;
    uint64_t shown = 0;
    int n = LIST_CHUNK;
    memcpy(at, list->after, sizeof(at));
    buf_reset(b);
    buf_append_z(b, "{\"sessions\":[");
    while (n == LIST_CHUNK && !more) {
        n = route_ops(r)->subject(t, list->subject, begun ? at : NULL, ids, LIST_CHUNK);
        if (n < 0)
            return n;
        for (int i = 0; i < n && !more; i++) {
            struct session s;
            int err = route_session_in(r, t, ids[i], &s);
            if (err == -ENOENT)
                continue;
            more = !err && shown == list->limit;
            if (more)
                break;
            if (!err) {
                buf_append_z(b, shown++ ? ",{" : "{");
                err = whole_session(ex, t, &s, b);
            }
            if (err)
                return err;
            buf_append_c(b, '}');
            memcpy(last, ids[i], sizeof(last));
        }
        if (n > 0)
            memcpy(at, ids[n - 1], sizeof(at));
        begun = true;
    }
    char id[SESSION_ID_TEXT];
    buf_append_z(b, "],");
    if (more)
        session_id_text(last, id);
    rest_text_member(b, "next", more ? str_of(id) : str_make(NULL, 0));
    buf_append_c(b, '}');
    return b->error;
}

void session_list_head(struct exchange *ex)
{
    rest_is_key(ex, principal_may(&ex->principal, "sessions", STR("*")));
}

static bool read_after(struct exchange *ex, struct list *list)
{
    char memory[2 * SESSION_ID_TEXT];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(ex, "after", &b);
    if (found <= 0)
        return found == 0;
    list->has_after = true;
    if (session_id_parse(buf_str(&b), list->after) == 0)
        return true;
    exchange_problem(ex, CODE_BAD_REQUEST, 0, "query parameter after: the next of a list");
    return false;
}

void session_list_body(struct exchange *ex)
{
    struct list list = {.ex = ex, .limit = LIST_DEFAULT};
    char memory[ENVELOPE_NAME_MAX + 1];
    struct buf subject;
    buf_fixed(&subject, memory, sizeof(memory));
    int found = rest_query(ex, "subject", &subject);
    if (found < 0)
        return;
    list.subject = buf_str(&subject);
    if (!found || !envelope_name_valid(list.subject)) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "query parameter subject: a subject is needed");
        return;
    }
    if (!rest_query_u64(ex, "limit", 1, LIST_MAX, &list.limit) || !read_after(ex, &list))
        return;
    int err = route_read(ex->worker->route, read_list, &list);
    if (err)
        rest_store_error(ex, err);
    else
        exchange_answer(ex, 200, JSON_TYPE);
}

/* --- PATCH --- */

void session_patch_head(struct exchange *ex)
{
    rest_session_head(ex);
    if (!ex->answered)
        rest_json_head(ex);
}

static ssize_t encode_patch(void *arg, struct pack *p)
{
    command_patch_encode(p, arg);
    return COMPLETION_SESSION_SIZE;
}

static void on_patched(struct rest_ask *ask, struct unpack *body)
{
    struct exchange *ex = ask->ex;
    struct completion_session c;
    bool good = completion_session_decode(body, &c) == 0;
    rest_release(ask);
    if (good)
        show(ex, c.session);
    else
        exchange_problem(ex, CODE_INTERNAL, 0, NULL);
}

void session_patch_body(struct exchange *ex)
{
    static const char *const names[] = {"attributes", "ttl"};
    struct json_value v[2];
    struct session_copy s;
    if (!rest_session(ex, &s))
        return;
    struct command_patch c = {.ttl_ms = 0};
    memcpy(c.session, s.s.id, SESSION_ID_SIZE);
    session_copy_free(&s);
    if (!rest_json_body(ex, names, 2, v) || !session_ttl(ex, v[1], &c.ttl_ms))
        return;
    if (v[0].raw.p && v[0].type != JSON_NULL) {
        if (v[0].type != JSON_OBJECT) {
            exchange_problem(ex, CODE_BAD_REQUEST, 0, "attributes: an object");
            return;
        }
        c.attributes = v[0].raw;
    }
    rest_command(ex, COMMAND_PATCH, command_patch_size(&c), encode_patch, &c, on_patched);
}

bool session_ttl(struct exchange *ex, struct json_value v, uint64_t *ret_ms)
{
    if (!v.raw.p || v.type == JSON_NULL)
        return true;
    uint64_t ms, max = ex->worker->conf->session_max_ttl;
    if (json_duration(v, &ms) == 0 && ms >= SESSION_TTL_MIN_MS && ms <= max) {
        *ret_ms = ms;
        return true;
    }
    char text[UNITS_TEXT];
    duration_text(max, text);
    exchange_problem(ex, CODE_BAD_REQUEST, 0, "ttl: a duration, 1s to %s", text);
    return false;
}

/* --- DELETE --- */

static ssize_t encode_end(void *arg, struct pack *p)
{
    command_ack_encode(p, arg);
    return 0;
}

static void on_ended(struct rest_ask *ask, struct unpack *body)
{
    struct exchange *ex = ask->ex;
    (void)body;
    rest_release(ask);
    exchange_answer(ex, 204, NULL);
}

void session_delete_body(struct exchange *ex)
{
    struct session_copy s;
    if (!rest_session(ex, &s))
        return;
    struct command_ack c = {.seq = 0};
    memcpy(c.session, s.s.id, SESSION_ID_SIZE);
    session_copy_free(&s);
    rest_command(ex, COMMAND_END, COMMAND_ACK_SIZE, encode_end, &c, on_ended);
}

/* --- a fresh token --- */

void session_token_member(struct exchange *ex, struct buf *b, const uint8_t id[SESSION_ID_SIZE])
{
    struct session_keys keys;
    char token[SESSION_TOKEN_TEXT];
    board_keys_get(ex->worker->board, &keys);
    session_token_mint(&keys, id, clock_wall_ms(), token);
    buf_append_z(b, "\"token\":\"");
    buf_append_z(b, token);
    buf_append_c(b, '"');
}

void session_token_body(struct exchange *ex)
{
    struct session_copy s;
    if (!rest_session(ex, &s))
        return;
    buf_append_c(&ex->out_body, '{');
    session_token_member(ex, &ex->out_body, s.s.id);
    buf_append_c(&ex->out_body, '}');
    session_copy_free(&s);
    exchange_answer(ex, 200, JSON_TYPE);
}
