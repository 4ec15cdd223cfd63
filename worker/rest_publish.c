/* rest_publish - one message into a mailbox, into each mailbox of a subject, or to a topic.
 *
 * The answer is the writer's: whether the session lives, whether the key was here before, whether
 * there is room. What is read from the store on the way is who publishes, where a session does.
 */
#include "worker/publish.h"
#include "worker/rate.h"
#include "worker/rest_priv.h"

#include <errno.h>
#include <stdlib.h>

struct publish {
    struct rest_ask ask;
    uint8_t target; /* enum append_target */
    bool ephemeral;
};

struct publish_encoding {
    const struct command_append_item *item;
    uint64_t max_per_subject;
};

static void release(struct rest_ask *ask)
{
    free(ask);
}

/* --- answers --- */

static void answer_one(struct exchange *ex, uint8_t target, const struct append_result *r,
                       bool ephemeral)
{
    struct buf *b = &ex->out_body;
    char memory[PUBLISH_STREAM_MAX];
    struct str stream =
        target == APPEND_TOPIC ? publish_stream(ex->param[0], memory) : STR("mailbox");
    buf_append_c(b, '{');
    publish_members(b, ex->worker->conf, route_epoch(ex->worker->route), stream, r, ephemeral);
    buf_append_c(b, '}');
    exchange_answer(ex, publish_status(CODE_OK, r->duplicate, ephemeral), JSON_TYPE);
}

/* 201 if anything was stored, 200 if all were duplicates, else what refused them: 507. */
static void answer_subject(struct exchange *ex, struct unpack *body, uint32_t n, bool ephemeral)
{
    struct buf *b = &ex->out_body;
    bool stored = false, duplicate = false;
    enum code refused = CODE_OK;
    buf_append_z(b, "{\"results\":[");
    for (uint32_t i = 0; i < n; i++) {
        struct append_result r;
        if (append_result_decode(body, &r) != 0) {
            exchange_problem(ex, CODE_INTERNAL, 0, NULL);
            return;
        }
        if (i)
            buf_append_c(b, ',');
        publish_result(b, r.session, &r, ephemeral);
        if (r.code != CODE_OK)
            refused = (enum code)r.code;
        else if (r.duplicate)
            duplicate = true;
        else
            stored = true;
    }
    buf_append_z(b, "]}");
    int status = stored ? (ephemeral ? 202 : 201) : duplicate ? 200 : code_status(refused);
    if (status >= 400)
        ex->out_code = refused;
    exchange_answer(ex, status, JSON_TYPE);
}

static void on_done(struct rest_ask *ask, struct unpack *body)
{
    struct publish *p = (struct publish *)ask;
    struct exchange *ex = ask->ex;
    uint8_t target = p->target;
    bool ephemeral = p->ephemeral;
    rest_release(ask);
    if (target == APPEND_SUBJECT) {
        uint32_t code = unpack_u32(body), n = unpack_u32(body);
        if (body->bad || code >= CODE_COUNT || (code == CODE_OK && n == 0))
            exchange_problem(ex, CODE_INTERNAL, 0, NULL);
        else if (code != CODE_OK)
            exchange_problem(ex, (enum code)code, 0, NULL);
        else
            answer_subject(ex, body, n, ephemeral);
        return;
    }
    struct append_result r;
    enum code code = publish_result_read(body, &r);
    if (code != CODE_OK)
        exchange_problem(ex, code, 0, NULL);
    else
        answer_one(ex, target, &r, ephemeral);
}

/* --- requests --- */

/* Every other type is the payload itself; so is a body without one. */
static bool is_envelope(const struct exchange *ex, enum encoding *ret)
{
    return exchange_header(ex, "content-type").n && rest_encoding(ex, ret);
}

/* What the body is, before it is read. */
static void judge_type(struct exchange *ex)
{
    struct str type = exchange_header(ex, "content-type");
    enum encoding encoding;
    if (!type.n && !ex->has_body) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "a body is needed");
    } else if (!is_envelope(ex, &encoding) && ex->body_limit > ex->worker->conf->limit_message) {
        ex->body_limit = ex->worker->conf->limit_message;
    }
}

void publish_head(struct exchange *ex)
{
    if (rest_is_key(ex, principal_may_send(&ex->principal)))
        judge_type(ex);
}

static bool read_headers(struct exchange *ex, struct envelope *e, struct envelope_error *error)
{
    struct envelope_headers h = {
        .content_type = exchange_header(ex, "content-type"),
        .event = exchange_header(ex, "restante-event"),
        .ttl = exchange_header(ex, "restante-ttl"),
        .collapse = exchange_header(ex, "restante-collapse"),
    };
    return envelope_of_payload(&h, buf_str(&ex->body), ex->worker->conf->limit_message, e, error);
}

static bool read_envelope(struct exchange *ex, enum encoding encoding, enum append_target target,
                          struct buf *scratch, struct envelope *e, struct envelope_error *error)
{
    struct datum body;
    int err = datum_check(encoding, buf_str(&ex->body), &body);
    if (err) {
        *error = (struct envelope_error){CODE_BAD_REQUEST, datum_error_text(encoding, err)};
        return false;
    }
    return envelope_decode(&body, target, ex->worker->conf->limit_message, scratch, e, error);
}

static bool read_key(struct exchange *ex, struct envelope *e, struct envelope_error *error)
{
    struct str key = exchange_header(ex, "idempotency-key");
    if (!key.p)
        return true;
    e->key = key;
    if (envelope_name_valid(key))
        return true;
    *error = (struct envelope_error){CODE_BAD_REQUEST,
                                     "Idempotency-Key: 1 to 255 bytes without control characters"};
    return false;
}

static ssize_t encode(void *arg, struct pack *p)
{
    const struct publish_encoding *e = arg;
    bool subject = e->item->target == APPEND_SUBJECT;
    command_append_encode(p, &(struct command_append){.count = 1});
    command_append_item_encode(p, e->item);
    return (ssize_t)append_completion_max(!subject, subject, e->max_per_subject);
}

/* Whose it is, and where it goes. */
struct publication {
    struct publisher by;
    enum append_target target;
    struct str name;
    const uint8_t *session;          /* APPEND_SESSION */
    const struct conf_namespace *ns; /* APPEND_TOPIC */
};

static void send_envelope(struct exchange *ex, const struct publication *to,
                          const struct envelope *e)
{
    struct command_append_item item;
    struct digest *digest = NULL;
    struct publish *p = malloc(sizeof(*p));
    int err = p ? publish_item(&to->by, e, to->ns, &digest, &item) : -ENOMEM;
    digest_free(digest);
    if (err) {
        free(p);
        rest_no_memory(ex);
        return;
    }
    if (to->session)
        memcpy(item.session, to->session, SESSION_ID_SIZE);
    *p = (struct publish){
        .ask = {.on_done = on_done, .release = release},
        .target = item.target,
        .ephemeral = (item.flags & MESSAGE_EPHEMERAL) != 0,
    };
    struct publish_encoding arg = {.item = &item,
                                   .max_per_subject = ex->worker->conf->max_per_subject};
    rest_send(ex, &p->ask, COMMAND_APPEND,
              COMMAND_APPEND_HEAD_SIZE + command_append_item_size(&item), encode, &arg);
}

static void publish(struct exchange *ex, const struct publication *to)
{
    struct buf scratch;
    buf_init(&scratch, 2 * ex->worker->conf->limit_request);
    struct envelope e;
    struct envelope_error error;
    enum encoding encoding;
    bool read = is_envelope(ex, &encoding)
                    ? read_envelope(ex, encoding, to->target, &scratch, &e, &error)
                    : read_headers(ex, &e, &error);
    if (read && !publish_check_event(to->ns, e.event)) {
        error = (struct envelope_error){CODE_BAD_REQUEST, PUBLISH_EVENT_RESERVED};
        read = false;
    }
    if (read && read_key(ex, &e, &error)) {
        e.target = (uint8_t)to->target;
        e.name = to->name;
        send_envelope(ex, to, &e);
    } else {
        exchange_problem(ex, error.code, 0, "%s", error.why);
    }
    buf_free(&scratch);
}

void publish_session_body(struct exchange *ex)
{
    uint8_t id[SESSION_ID_SIZE];
    struct publication to = {
        .by = publisher_key(ex->principal.key, ex->traceparent),
        .target = APPEND_SESSION,
        .session = id,
    };
    if (rest_session_id(ex->param[0], id) != 0)
        exchange_problem(ex, CODE_SESSION_UNKNOWN, 0, NULL);
    else
        publish(ex, &to);
}

void publish_subject_body(struct exchange *ex)
{
    struct publication to = {
        .by = publisher_key(ex->principal.key, ex->traceparent),
        .target = APPEND_SUBJECT,
        .name = ex->param[0],
    };
    if (!envelope_name_valid(ex->param[0]))
        exchange_problem(ex, CODE_BAD_REQUEST, 0,
                         "a subject is 1 to 255 bytes of UTF-8 without control characters");
    else
        publish(ex, &to);
}

/* --- to topics --- */

void publish_topic_head(struct exchange *ex)
{
    const struct conf_namespace *ns;
    enum code code = CODE_OK;
    if (!rest_topic_name(ex, ex->param[0]))
        return;
    /* What a session may is known once its row is read: with the body. */
    if (ex->principal.kind != PRINCIPAL_SESSION)
        code = publish_check_topic(ex->worker->conf, &ex->principal, str_make(NULL, 0),
                                   ex->param[0], &ns);
    if (code == CODE_OK)
        judge_type(ex);
    else
        exchange_problem(ex, code, 0, NULL);
}

/* A session's token: it may publish where clients may, and only so often. */
static bool judge_session(struct exchange *ex, const struct session *s,
                          const struct conf_namespace **ret)
{
    route_touch(ex->worker->route, s, 0);
    enum code code =
        publish_check_topic(ex->worker->conf, &ex->principal, s->claims, ex->param[0], ret);
    if (code != CODE_OK) {
        exchange_problem(ex, code, 0, NULL);
        return false;
    }
    return rest_rate(ex);
}

static void publish_by_session(struct exchange *ex, struct publication *to)
{
    struct session_copy own;
    int err = route_session(ex->worker->route, ex->principal.session, &own);
    if (err == -ENOENT)
        exchange_problem(ex, CODE_TOKEN_REVOKED, 0, "the token's session has ended");
    else if (err)
        rest_store_error(ex, err);
    if (err)
        return;
    if (judge_session(ex, &own.s, &to->ns)) {
        to->by = publisher_session(&own.s, ex->traceparent);
        publish(ex, to);
    }
    session_copy_free(&own);
}

void publish_topic_body(struct exchange *ex)
{
    struct publication to = {.target = APPEND_TOPIC, .name = ex->param[0]};
    if (ex->principal.kind == PRINCIPAL_SESSION) {
        publish_by_session(ex, &to);
        return;
    }
    to.by = publisher_key(ex->principal.key, ex->traceparent);
    to.ns = conf_namespace_of(ex->worker->conf, to.name);
    publish(ex, &to);
}
