/* rest_batch - /v1/publish: many messages to many streams, one record, one commit (rule 6).
 *
 * One walk over the body encodes item after item straight into the ring. An item that cannot be
 * published gets its own refusal and the others go on; a body that is no batch is refused whole,
 * before anything is visible to the writer.
 */
#include "worker/publish.h"
#include "worker/rest_priv.h"

#include <errno.h>
#include <stdlib.h>

struct slot {        /* one item, in the order of the request */
    const char *why; /* of a refusal of ours; static or NULL */
    uint8_t code;    /* enum code; OK: it was sent */
    uint8_t target;  /* enum append_target */
    bool ephemeral;
};

struct batch {
    struct rest_ask ask;
    uint32_t n;
    struct slot slot[COMMAND_APPEND_ITEMS];
};

struct batch_encoding {
    struct exchange *ex;
    struct batch *batch;
    struct datum messages;
    struct buf scratch;
    struct digest *digest; /* NULL until a key needs it */
    struct publisher by;
    enum code may_send;
    uint32_t singles, subjects;
};

static void release(struct rest_ask *ask)
{
    free(ask);
}

/* --- in --- */

/* Whether it may go there; the namespace of a topic. */
static enum code address(const struct batch_encoding *e, const struct envelope *env,
                         uint8_t session[SESSION_ID_SIZE], const struct conf_namespace **ret_ns)
{
    if (env->target == APPEND_TOPIC)
        return publish_check_topic(e->ex->worker->conf, &e->ex->principal, str_make(NULL, 0),
                                   env->name, ret_ns);
    if (e->may_send != CODE_OK)
        return e->may_send;
    if (env->target == APPEND_SUBJECT)
        return CODE_OK;
    return rest_session_id(env->name, session) == 0 ? CODE_OK : CODE_SESSION_UNKNOWN;
}

static struct slot encode_item(struct batch_encoding *e, const struct datum *d, struct pack *p)
{
    struct envelope env;
    struct envelope_error error;
    struct command_append_item item;
    const struct conf_namespace *ns = NULL;
    uint8_t session[SESSION_ID_SIZE] = {0};
    if (!envelope_decode(d, 0, e->ex->worker->conf->limit_message, &e->scratch, &env, &error))
        return (struct slot){.code = (uint8_t)error.code, .why = error.why};
    struct slot slot = {.target = env.target};
    slot.code = (uint8_t)address(e, &env, session, &ns);
    if (slot.code == CODE_OK && !publish_check_event(ns, env.event)) {
        slot.code = CODE_BAD_REQUEST;
        slot.why = PUBLISH_EVENT_RESERVED;
    }
    if (slot.code == CODE_OK && publish_item(&e->by, &env, ns, &e->digest, &item) != 0)
        slot.code = CODE_UNAVAILABLE;
    if (slot.code != CODE_OK)
        return slot;
    memcpy(item.session, session, SESSION_ID_SIZE);
    slot.ephemeral = (item.flags & MESSAGE_EPHEMERAL) != 0;
    command_append_item_encode(p, &item);
    return slot;
}

/* The whole command. -E2BIG too many items; -ENODATA nothing to send. */
static ssize_t encode(void *arg, struct pack *p)
{
    struct batch_encoding *e = arg;
    struct batch *batch = e->batch;
    struct datum_iter it;
    struct datum d;
    struct pack head = *p;
    struct command_append append = {.count = 0};
    command_append_encode(p, &append);
    datum_iter_begin(&it, &e->messages);
    while (datum_next_item(&it, &d)) {
        if (batch->n == COMMAND_APPEND_ITEMS)
            return -E2BIG;
        struct slot slot = encode_item(e, &d, p);
        batch->slot[batch->n++] = slot;
        if (slot.code == CODE_OK && slot.target == APPEND_SUBJECT)
            e->subjects++;
        else if (slot.code == CODE_OK)
            e->singles++;
    }
    append.count = e->singles + e->subjects;
    if (append.count == 0)
        return -ENODATA;
    command_append_encode(&head, &append);
    return (ssize_t)append_completion_max(e->singles, e->subjects,
                                          e->ex->worker->conf->max_per_subject);
}

/* What no batch of this body can exceed: no text grows by being decoded. */
static size_t bound(const struct exchange *ex, const struct publisher *by)
{
    const struct command_append_item empty = {.publisher = by->shown, .trace = by->trace};
    size_t items = ex->body.len / sizeof("{}") + 1;
    if (items > COMMAND_APPEND_ITEMS)
        items = COMMAND_APPEND_ITEMS;
    return COMMAND_APPEND_HEAD_SIZE + items * command_append_item_size(&empty) + ex->body.len;
}

/* --- out --- */

static void refusal(struct buf *b, enum code code, const char *why)
{
    buf_append_z(b, "{\"status\":");
    buf_append_u64(b, (uint64_t)code_status(code));
    buf_append_z(b, ",\"code\":\"");
    buf_append_z(b, code_text(code));
    buf_append_c(b, '"');
    if (why) {
        buf_append_z(b, ",\"detail\":");
        json_quote(b, str_of(why));
    }
    buf_append_c(b, '}');
}

/* As the answer of a publish to a subject, with the status that would have been its. */
static void subject_result(struct buf *b, struct unpack *body, uint32_t n, bool ephemeral)
{
    struct unpack ahead = *body;
    int status = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct append_result r;
        if (append_result_decode(&ahead, &r) != 0)
            break;
        int s = publish_status((enum code)r.code, r.duplicate, ephemeral);
        /* 201 beats 200 beats a refusal. */
        if (!status || (s < 300 && (status >= 300 || s > status)))
            status = s;
    }
    buf_append_z(b, "{\"status\":");
    buf_append_u64(b, (uint64_t)status);
    buf_append_z(b, ",\"results\":[");
    for (uint32_t i = 0; i < n; i++) {
        struct append_result r;
        if (append_result_decode(body, &r) != 0)
            break;
        if (i)
            buf_append_c(b, ',');
        publish_result(b, r.session, &r, ephemeral);
    }
    buf_append_z(b, "]}");
}

static void result(struct buf *b, const struct slot *slot, struct unpack *body)
{
    uint32_t code = unpack_u32(body), n = unpack_u32(body);
    if (slot->target == APPEND_SUBJECT && code == CODE_OK) {
        subject_result(b, body, n, slot->ephemeral);
        return;
    }
    struct append_result r = {.code = code};
    for (uint32_t i = 0; i < n && !body->bad; i++)
        append_result_decode(body, &r);
    publish_result(b, NULL, &r, slot->ephemeral);
}

/* body NULL: nothing was sent. */
static void answer(struct exchange *ex, const struct batch *batch, struct unpack *body)
{
    struct buf *b = &ex->out_body;
    buf_append_z(b, "{\"results\":[");
    for (uint32_t i = 0; i < batch->n; i++) {
        const struct slot *slot = &batch->slot[i];
        if (i)
            buf_append_c(b, ',');
        if (slot->code != CODE_OK)
            refusal(b, (enum code)slot->code, slot->why);
        else
            result(b, slot, body);
    }
    buf_append_z(b, "]}");
    if (body && body->bad)
        exchange_problem(ex, CODE_INTERNAL, 0, NULL);
    else
        exchange_answer(ex, 200, JSON_TYPE);
}

static void on_done(struct rest_ask *ask, struct unpack *body)
{
    answer(ask->ex, (struct batch *)ask, body);
    rest_release(ask);
}

/* --- request --- */

void batch_head(struct exchange *ex)
{
    enum code code = ex->principal.kind == PRINCIPAL_KEY    ? CODE_OK
                     : ex->principal.kind == PRINCIPAL_NONE ? CODE_TOKEN_MISSING
                                                            : CODE_FORBIDDEN;
    size_t limit = ex->body_limit;
    if (rest_is_key(ex, code) && rest_json_head(ex))
        ex->body_limit = limit;
}

void batch_body(struct exchange *ex)
{
    static const char *const names[] = {"messages"};
    struct batch_encoding e = {
        .ex = ex,
        .by = publisher_key(ex->principal.key, ex->traceparent),
        .may_send = principal_may_send(&ex->principal),
    };
    if (!rest_body(ex, names, 1, &e.messages))
        return;
    if (!datum_raw(&e.messages).p || !datum_is_list(&e.messages)) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "messages: an array is needed");
        return;
    }
    e.batch = malloc(sizeof(*e.batch));
    if (!e.batch) {
        rest_no_memory(ex);
        return;
    }
    e.batch->ask = (struct rest_ask){.on_done = on_done, .release = release};
    e.batch->n = 0;
    buf_init(&e.scratch, 2 * ex->worker->conf->limit_request);
    int err = route_command(ex->worker->route, COMMAND_APPEND, bound(ex, &e.by), encode, &e,
                            rest_done, &e.batch->ask, &e.batch->ask.call);
    buf_free(&e.scratch);
    digest_free(e.digest);
    if (!err) {
        rest_wait(ex, &e.batch->ask);
        return;
    }
    if (err == -ENODATA)
        answer(ex, e.batch, NULL);
    else if (err == -E2BIG)
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "at most %d messages in a batch",
                         COMMAND_APPEND_ITEMS);
    else
        rest_not_sent(ex, err);
    free(e.batch);
}
