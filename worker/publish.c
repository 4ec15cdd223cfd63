/* publish - envelopes to commands, completions to answers. */
#include "worker/publish.h"

#include "shm/message.h"

#include <errno.h>

struct publisher publisher_key(const struct conf_api_key *key, struct str trace)
{
    struct str name = str_of(key->name);
    return (struct publisher){.kind = STR("key"), .name = name, .shown = name, .trace = trace};
}

struct publisher publisher_session(const struct session *s, struct str trace)
{
    struct publisher by = {
        .kind = STR("subject"), .name = s->subject, .shown = s->subject, .trace = trace};
    if (!s->subject.n) {
        by.kind = STR("session");
        by.name = str_make(s->id, SESSION_ID_SIZE);
    }
    return by;
}

int publish_item(const struct publisher *by, const struct envelope *e,
                 const struct conf_namespace *ns, struct digest **digest,
                 struct command_append_item *ret)
{
    struct command_append_item item = {
        .target = e->target,
        .flags = e->flags,
        .name = e->target == APPEND_SESSION ? str_make(NULL, 0) : e->name,
        .ttl_ms = e->ttl_ms,
        .id = e->key,
        .event = e->event,
        .content_type = e->content_type,
        .publisher = by->shown,
        .trace = by->trace,
        .collapse = e->collapse,
        .except = e->except,
        .payload = e->payload,
    };
    if (ns && ns->history == 0)
        item.flags |= MESSAGE_EPHEMERAL;
    /* An ephemeral is not stored, and neither is what it was called. */
    if (e->key.n && !(item.flags & MESSAGE_EPHEMERAL)) {
        if (!*digest && digest_new(digest) != 0)
            return -ENOMEM;
        item.keyed = 1;
        envelope_key_hash(*digest, by->kind, by->name, e->key, item.key_hash);
        envelope_content_hash(*digest, e, item.content_hash);
    }
    *ret = item;
    return 0;
}

enum code publish_check_topic(const struct conf *conf, const struct principal *p, struct str claims,
                              struct str topic, const struct conf_namespace **ret)
{
    const struct conf_namespace *ns = conf_namespace_of(conf, topic);
    if (p->kind == PRINCIPAL_SESSION && !ns)
        return CODE_TOPIC_UNKNOWN;
    enum code code = principal_may_publish(p, ns, claims, topic);
    if (code != CODE_OK)
        return code;
    *ret = ns;
    return ns ? CODE_OK : CODE_TOPIC_UNKNOWN;
}

bool publish_check_event(const struct conf_namespace *ns, struct str event)
{
    return !ns || !ns->presence || !str_is(event, "presence");
}

enum code publish_result_read(struct unpack *body, struct append_result *ret)
{
    uint32_t code = unpack_u32(body), n = unpack_u32(body);
    if (body->bad || code >= CODE_COUNT)
        return CODE_INTERNAL;
    if (code != CODE_OK)
        return (enum code)code;
    if (n != 1 || append_result_decode(body, ret) != 0 || ret->code >= CODE_COUNT)
        return CODE_INTERNAL;
    return (enum code)ret->code;
}

struct str publish_stream(struct str topic, char memory[PUBLISH_STREAM_MAX])
{
    static const char prefix[] = "topic:";
    size_t n = sizeof(prefix) - 1;
    memcpy(memory, prefix, n);
    memcpy(memory + n, topic.p, topic.n);
    return str_make(memory, n + topic.n);
}

int publish_status(enum code code, bool duplicate, bool ephemeral)
{
    if (code != CODE_OK)
        return code_status(code);
    return ephemeral ? 202 : duplicate ? 200 : 201;
}

void publish_members(struct buf *b, const struct conf *conf, uint64_t epoch, struct str stream,
                     const struct append_result *r, bool ephemeral)
{
    if (ephemeral) {
        buf_append_z(b, "\"seq\":null");
        return;
    }
    char cursor[CURSOR_TEXT];
    size_t n = cursor_text(epoch, r->seq, cursor);
    buf_append_z(b, "\"seq\":");
    buf_append_u64(b, r->seq);
    buf_append_z(b, ",\"cursor\":\"");
    buf_append(b, cursor, n);
    buf_append_z(b, "\",\"stream\":");
    json_quote(b, stream);
    buf_append_z(b, ",\"durability\":");
    buf_append_z(b, conf->store_durability == CONF_DISK ? "\"disk\"" : "\"memory\"");
    buf_append_z(b, r->duplicate ? ",\"duplicate\":true" : ",\"duplicate\":false");
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
