/* rest_publish - one message into a mailbox, or into each mailbox of a subject.
 *
 * The answer is the writer's: whether the session lives, whether the key was here before, whether
 * there is room. Nothing is read from the store on the way.
 */
#include "worker/rest_publish.h"

#include <errno.h>
#include <stdlib.h>

struct publish {
    struct rest_ask ask;
    bool ephemeral, subject;
};

struct publish_encoding {
    const struct command_append_item *item;
    uint64_t max_per_subject;
};

static void release(struct rest_ask *ask)
{
    free(ask);
}

/* --- shared with batches --- */

struct str publish_publisher(const struct exchange *ex)
{
    return str_of(ex->principal.key->name);
}

int publish_item(const struct exchange *ex, const struct envelope *e, struct digest **digest,
                 struct command_append_item *ret)
{
    struct command_append_item item = {
        .target = e->target,
        .flags = e->flags,
        .name = e->name,
        .ttl_ms = e->ttl_ms,
        .id = e->key,
        .event = e->event,
        .content_type = e->content_type,
        .publisher = publish_publisher(ex),
        .trace = ex->traceparent,
        .collapse = e->collapse,
        .payload = e->payload,
    };
    /* An ephemeral is not stored, and neither is what it was called. */
    if (e->key.n && !(e->flags & MESSAGE_EPHEMERAL)) {
        if (!*digest && digest_new(digest) != 0)
            return -ENOMEM;
        item.keyed = 1;
        envelope_key_hash(*digest, STR("key"), item.publisher, e->key, item.key_hash);
        envelope_content_hash(*digest, e, item.content_hash);
    }
    *ret = item;
    return 0;
}

int publish_status(enum code code, bool duplicate, bool ephemeral)
{
    if (code != CODE_OK)
        return code_status(code);
    return ephemeral ? 202 : duplicate ? 200 : 201;
}

void publish_result(struct buf *b, const uint8_t *session, const struct append_result *r,
                    bool ephemeral)
{
    enum code code = r->code < CODE_COUNT ? (enum code)r->code : CODE_INTERNAL;
    buf_append_c(b, '{');
    if (session) {
        char id[SESSION_ID_TEXT];
        session_id_text(session, id);
        buf_append_z(b, "\"session\":\"");
        buf_append(b, id, SESSION_ID_TEXT - 1);
        buf_append_z(b, "\",");
    }
    buf_append_z(b, "\"status\":");
    buf_append_u64(b, (uint64_t)publish_status(code, r->duplicate, ephemeral));
    if (code != CODE_OK) {
        buf_append_z(b, ",\"code\":\"");
        buf_append_z(b, code_text(code));
        buf_append_z(b, "\"}");
        return;
    }
    if (ephemeral) {
        buf_append_z(b, ",\"seq\":null}");
        return;
    }
    buf_append_z(b, ",\"seq\":");
    buf_append_u64(b, r->seq);
    buf_append_z(b, r->duplicate ? ",\"duplicate\":true}" : ",\"duplicate\":false}");
}

enum code publish_topic(const struct exchange *ex, struct str topic)
{
    enum code code = principal_may(&ex->principal, "publish", topic);
    if (code != CODE_OK)
        return code;
    return conf_namespace_of(ex->worker->conf, topic) ? CODE_NOT_IMPLEMENTED : CODE_TOPIC_UNKNOWN;
}

/* --- answers --- */

static void answer_session(struct exchange *ex, const struct append_result *r, bool ephemeral)
{
    struct buf *b = &ex->out_body;
    if (ephemeral) {
        buf_append_z(b, "{\"seq\":null}");
        exchange_answer(ex, 202, JSON_TYPE);
        return;
    }
    buf_append_z(b, "{\"seq\":");
    buf_append_u64(b, r->seq);
    buf_append_c(b, ',');
    rest_cursor_member(ex, b, "cursor", r->seq);
    buf_append_z(b, ",\"stream\":\"mailbox\",\"durability\":");
    buf_append_z(b, ex->worker->conf->store_durability == CONF_DISK ? "\"disk\"" : "\"memory\"");
    buf_append_z(b, r->duplicate ? ",\"duplicate\":true}" : ",\"duplicate\":false}");
    exchange_answer(ex, r->duplicate ? 200 : 201, JSON_TYPE);
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
    bool ephemeral = p->ephemeral, subject = p->subject;
    rest_release(ask);
    uint32_t code = unpack_u32(body), n = unpack_u32(body);
    struct append_result r = {.code = code};
    if (!subject && n == 1 && append_result_decode(body, &r) != 0)
        body->bad = true;
    if (body->bad || code >= CODE_COUNT || (code == CODE_OK && n == 0))
        exchange_problem(ex, CODE_INTERNAL, 0, NULL);
    else if (code != CODE_OK)
        exchange_problem(ex, (enum code)code, 0, NULL);
    else if (subject)
        answer_subject(ex, body, n, ephemeral);
    else
        answer_session(ex, &r, ephemeral);
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

static bool read_envelope(struct exchange *ex, enum encoding encoding, struct buf *scratch,
                          struct envelope *e, struct envelope_error *error)
{
    struct datum body;
    int err = datum_check(encoding, buf_str(&ex->body), &body);
    if (err) {
        *error = (struct envelope_error){CODE_BAD_REQUEST, datum_error_text(encoding, err)};
        return false;
    }
    return envelope_decode(&body, false, ex->worker->conf->limit_message, scratch, e, error);
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

static void send_envelope(struct exchange *ex, const struct envelope *e, const uint8_t *session)
{
    struct command_append_item item;
    struct digest *digest = NULL;
    struct publish *p = malloc(sizeof(*p));
    int err = p ? publish_item(ex, e, &digest, &item) : -ENOMEM;
    digest_free(digest);
    if (err) {
        free(p);
        rest_no_memory(ex);
        return;
    }
    if (session)
        memcpy(item.session, session, SESSION_ID_SIZE);
    *p = (struct publish){
        .ask = {.on_done = on_done, .release = release},
        .ephemeral = (e->flags & MESSAGE_EPHEMERAL) != 0,
        .subject = item.target == APPEND_SUBJECT,
    };
    struct publish_encoding arg = {.item = &item,
                                   .max_per_subject = ex->worker->conf->max_per_subject};
    rest_send(ex, &p->ask, COMMAND_APPEND,
              COMMAND_APPEND_HEAD_SIZE + command_append_item_size(&item), encode, &arg);
}

static void publish(struct exchange *ex, enum append_target target, struct str name,
                    const uint8_t *session)
{
    struct buf scratch;
    buf_init(&scratch, 2 * ex->worker->conf->limit_request);
    struct envelope e;
    struct envelope_error error;
    enum encoding encoding;
    bool read = is_envelope(ex, &encoding) ? read_envelope(ex, encoding, &scratch, &e, &error)
                                           : read_headers(ex, &e, &error);
    if (read && read_key(ex, &e, &error)) {
        e.target = (uint8_t)target;
        e.name = name;
        send_envelope(ex, &e, session);
    } else {
        exchange_problem(ex, error.code, 0, "%s", error.why);
    }
    buf_free(&scratch);
}

void publish_session_body(struct exchange *ex)
{
    uint8_t id[SESSION_ID_SIZE];
    if (rest_session_id(ex->param[0], id) != 0)
        exchange_problem(ex, CODE_SESSION_UNKNOWN, 0, NULL);
    else
        publish(ex, APPEND_SESSION, str_make(NULL, 0), id);
}

void publish_subject_body(struct exchange *ex)
{
    if (!envelope_name_valid(ex->param[0]))
        exchange_problem(ex, CODE_BAD_REQUEST, 0,
                         "a subject is 1 to 255 bytes of UTF-8 without control characters");
    else
        publish(ex, APPEND_SUBJECT, ex->param[0], NULL);
}
