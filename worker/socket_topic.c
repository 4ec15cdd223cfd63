/* socket_topic - subscriptions and publishes that come by WebSocket.
 *
 * Who may what is as by REST. A socket that an API key opened may what the key may, and as it acts
 * for the session, what the session may.
 */
#include "worker/socket_priv.h"

#include "worker/presence.h"
#include "worker/publish.h"
#include "worker/rate.h"

#include <errno.h>

/* --- what the session may --- */

struct judgement {
    struct socket *s;
    struct str topic;
    enum code (*judge)(struct judgement *j, struct str claims);
    const struct conf_namespace *ns; /* of the topic */
    bool as_session;                 /* publish: it may because the session may */
    enum code code;
};

static int judge_by_row(void *arg, struct txn *t)
{
    struct judgement *j = arg;
    struct session row;
    int err = route_session_in(j->s->worker->route, t, j->s->session.id, &row);
    if (!err)
        j->code = j->judge(j, row.claims);
    return err;
}

/* The row is read where claims are asked for, and only there. 0 with j->code, or a store error. */
static int judge(struct judgement *j)
{
    j->ns = conf_namespace_of(j->s->worker->conf, j->topic);
    if (j->ns && j->ns->join_claim)
        return route_read(j->s->worker->route, judge_by_row, j);
    j->code = j->judge(j, str_make(NULL, 0));
    return 0;
}

static enum code may_subscribe(struct judgement *j, struct str claims)
{
    return j->ns ? principal_may_join(&j->s->principal, j->ns, claims, j->topic)
                 : CODE_TOPIC_UNKNOWN;
}

/* A key by its own scopes, or else, as it acts for the session, by what the session may. */
static enum code may_publish(struct judgement *j, struct str claims)
{
    const struct conf *conf = j->s->worker->conf;
    const struct principal own = {.kind = PRINCIPAL_SESSION};
    j->as_session = false;
    if (j->s->principal.kind == PRINCIPAL_KEY &&
        publish_check_topic(conf, &j->s->principal, claims, j->topic, &j->ns) == CODE_OK)
        return CODE_OK;
    j->as_session = true;
    return publish_check_topic(conf, &own, claims, j->topic, &j->ns);
}

/* True when it may; else it was refused. */
static bool may(const struct socket_request *q, struct judgement *j)
{
    int err = judge(j);
    if (err)
        socket_fail(q, err);
    else if (j->code != CODE_OK)
        socket_deny(q, j->code, NULL);
    return !err && j->code == CODE_OK;
}

/* False: it publishes too often, and was told so. */
static bool in_rate(const struct socket_request *q)
{
    struct worker *w = q->s->worker;
    char memory[64];
    struct buf b;
    uint64_t wait_ms;
    if (rate_take(w->rate, q->s->session.id, 1, w->conf->publish_rate, route_boot_ms(w->route),
                  &wait_ms))
        return true;
    metric_add(w->metrics, METRIC_RATE_LIMITED, 1);
    buf_fixed(&b, memory, sizeof(memory));
    buf_printf(&b, ",\"retry_after_ms\":%llu", (unsigned long long)wait_ms);
    socket_refuse(q->s, &q->asked, CODE_RATE_LIMITED, buf_str(&b), NULL);
    return false;
}

/* --- subscribe, unsubscribe --- */

static bool read_topic(const struct socket_request *q, struct buf *scratch, struct str *ret)
{
    if (datum_given(&q->topic) && datum_text(&q->topic, scratch, ret) == 0 &&
        envelope_name_valid(*ret))
        return true;
    socket_deny(q, CODE_BAD_REQUEST, "topic: 1 to 255 bytes without control characters");
    return false;
}

static void topic_member(struct buf *json, const struct socket_command *c)
{
    buf_append_z(json, ",\"topic\":");
    json_quote(json, str_make(c->topic, c->topic_n));
}

static void on_subscribed(struct socket_command *c, struct unpack *body)
{
    struct completion_subscribe done;
    struct buf json;
    if (completion_subscribe_decode(body, &done) != 0) {
        socket_refuse(c->socket, &c->asked, CODE_INTERNAL, str_make(NULL, 0), NULL);
        return;
    }
    if (!socket_ok_begin(&c->asked, &json))
        return;
    topic_member(&json, c);
    buf_append_c(&json, ',');
    cursor_member(&json, "cursor", route_epoch(c->socket->worker->route), done.join);
    buf_append_c(&json, '}');
    socket_say(c->socket, &json);
}

static void on_unsubscribed(struct socket_command *c, struct unpack *body)
{
    struct buf json;
    (void)body;
    if (!socket_ok_begin(&c->asked, &json))
        return;
    topic_member(&json, c);
    buf_append_c(&json, '}');
    socket_say(c->socket, &json);
}

static ssize_t encode_subscribe(void *arg, struct pack *p)
{
    command_subscribe_encode(p, arg);
    return COMPLETION_SUBSCRIBE_SIZE;
}

static ssize_t encode_unsubscribe(void *arg, struct pack *p)
{
    command_subscribe_encode(p, arg);
    return 0;
}

static void change_subscription(const struct socket_request *q, enum command_type type,
                                struct str topic, struct str presence)
{
    struct socket *s = q->s;
    bool on = type == COMMAND_SUBSCRIBE;
    struct command_subscribe change = {
        .generation = pickup_generation(s->pickup), .topic = topic, .presence = presence};
    struct socket_command *c = socket_command_new(q, topic, on ? on_subscribed : on_unsubscribed);
    if (!c)
        return;
    memcpy(change.session, s->session.id, SESSION_ID_SIZE);
    socket_submit(q, c, type, command_subscribe_size(&change),
                  on ? encode_subscribe : encode_unsubscribe, &change);
}

static void subscribe(const struct socket_request *q, const struct judgement *j)
{
    struct socket *s = q->s;
    struct buf b;
    struct str presence;
    const char *why;
    enum code code = presence_read(s->worker->conf, j->ns, &q->presence, &b, &presence, &why);
    if (code == CODE_UNAVAILABLE)
        socket_fail(q, -ENOMEM);
    else if (code != CODE_OK)
        socket_deny(q, code, why);
    else if (s->principal.kind == PRINCIPAL_KEY || in_rate(q))
        change_subscription(q, COMMAND_SUBSCRIBE, j->topic, presence);
    buf_free(&b);
}

void socket_subscribe(const struct socket_request *q)
{
    char memory[2 * ENVELOPE_NAME_MAX];
    struct buf b;
    struct judgement j = {.s = q->s, .judge = may_subscribe};
    buf_fixed(&b, memory, sizeof(memory));
    if (read_topic(q, &b, &j.topic) && may(q, &j))
        subscribe(q, &j);
}

void socket_unsubscribe(const struct socket_request *q)
{
    char memory[2 * ENVELOPE_NAME_MAX];
    struct buf b;
    struct str topic;
    buf_fixed(&b, memory, sizeof(memory));
    if (read_topic(q, &b, &topic))
        change_subscription(q, COMMAND_UNSUBSCRIBE, topic, str_make(NULL, 0));
}

/* --- publish --- */

static void on_published(struct socket_command *c, struct unpack *body)
{
    struct socket *s = c->socket;
    struct append_result r;
    struct buf json;
    enum code code = publish_result_read(body, &r);
    if (code != CODE_OK) {
        socket_refuse(s, &c->asked, code, str_make(NULL, 0), NULL);
        return;
    }
    if (!socket_ok_begin(&c->asked, &json))
        return;
    char memory[PUBLISH_STREAM_MAX];
    buf_append_c(&json, ',');
    publish_members(&json, s->worker->conf, route_epoch(s->worker->route),
                    publish_stream(str_make(c->topic, c->topic_n), memory), &r, c->ephemeral);
    buf_append_c(&json, '}');
    socket_say(s, &json);
}

struct append_encoding {
    struct command_append head;
    const struct command_append_item *item;
};

static ssize_t encode_append(void *arg, struct pack *p)
{
    const struct append_encoding *e = arg;
    command_append_encode(p, &e->head);
    command_append_item_encode(p, e->item);
    return (ssize_t)append_completion_max(1, 0, 0);
}

static void send_publish(const struct socket_request *q, const struct envelope *e,
                         const struct judgement *j)
{
    struct socket *s = q->s;
    const struct str untraced = str_make(NULL, 0);
    struct publisher by = j->as_session ? publisher_session(&s->session, untraced)
                                        : publisher_key(s->principal.key, untraced);
    struct command_append_item item;
    struct digest *digest = NULL;
    int err = publish_item(&by, e, j->ns, &digest, &item);
    digest_free(digest);
    if (err) {
        socket_fail(q, err);
        return;
    }
    struct socket_command *c = socket_command_new(q, e->name, on_published);
    if (!c)
        return;
    c->ephemeral = (item.flags & MESSAGE_EPHEMERAL) != 0;
    struct append_encoding arg = {
        .head = {.generation = pickup_generation(s->pickup), .count = 1},
        .item = &item,
    };
    memcpy(arg.head.session, s->session.id, SESSION_ID_SIZE);
    socket_submit(q, c, COMMAND_APPEND, COMMAND_APPEND_HEAD_SIZE + command_append_item_size(&item),
                  encode_append, &arg);
}

void socket_publish(const struct socket_request *q)
{
    const struct conf *conf = q->s->worker->conf;
    struct buf scratch;
    struct envelope e;
    struct envelope_error error;
    struct judgement j = {.s = q->s, .judge = may_publish};
    buf_init(&scratch, 2 * conf->limit_frame);
    if (!envelope_decode(&q->object, 0, conf->limit_message, &scratch, &e, &error)) {
        if (error.code == CODE_UNAVAILABLE)
            socket_fail(q, -ENOMEM);
        else
            socket_deny(q, error.code, error.why);
    } else if (e.target != APPEND_TOPIC) {
        socket_deny(q, CODE_FORBIDDEN, "by WebSocket one publishes to topics");
    } else {
        j.topic = e.name;
        bool allowed = may(q, &j);
        if (allowed && !publish_check_event(j.ns, e.event))
            socket_deny(q, CODE_BAD_REQUEST, PUBLISH_EVENT_RESERVED);
        else if (allowed && (!j.as_session || in_rate(q)))
            send_publish(q, &e, &j);
    }
    buf_free(&scratch);
}
