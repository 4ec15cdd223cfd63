/* envelope - decoding what a publisher wrote.
 *
 * One walk over the object, then each member by its own rule. A member that is null counts as
 * absent, as serializers write it, except `data`: null is a payload. JSON payloads stay the bytes
 * that were published; only white space outside strings goes, and where there is none nothing is
 * even copied. MessagePack payloads stay as they are; a bin is bytes without base64.
 */
#include "worker/envelope.h"

#include "common/units.h"
#include "common/utf8.h"
#include "shm/message.h"

#include <errno.h>
#include <strings.h>

#define EVENT_RULE                                                                                 \
    "1 to 255 bytes without control characters; those that begin with restante. are the server's"

enum member {
    M_DATA,
    M_DATA_B64,
    M_EVENT,
    M_CONTENT_TYPE,
    M_TTL,
    M_COLLAPSE,
    M_EPHEMERAL,
    M_EXCEPT,
    M_SINGLE, /* a single publish knows the members above */
    M_SESSION = M_SINGLE,
    M_KEY,
    M_SUBJECT,
    M_TOPIC,
    M_COUNT
};

static const char *const names[M_COUNT] = {
    [M_DATA] = "data",
    [M_DATA_B64] = "data_b64",
    [M_EVENT] = "event",
    [M_CONTENT_TYPE] = "content_type",
    [M_TTL] = "ttl",
    [M_COLLAPSE] = "collapse",
    [M_EPHEMERAL] = "ephemeral",
    [M_EXCEPT] = "except",
    [M_SESSION] = "session",
    [M_KEY] = "key",
    [M_SUBJECT] = "subject",
    [M_TOPIC] = "topic",
};

static bool refuse(struct envelope_error *e, enum code code, const char *why)
{
    *e = (struct envelope_error){.code = code, .why = why};
    return false;
}

static bool name_member(const struct datum *d, struct buf *scratch, struct str *ret)
{
    return !datum_given(d) || (datum_text(d, scratch, ret) == 0 && envelope_name_valid(*ret));
}

/* An event stream says by its events what the server says too (rest_sse.c): whoever may publish
 * must not be able to say it in the server's name. */
static bool event_valid(struct str event)
{
    static const char ours[] = "restante.";
    size_t n = sizeof(ours) - 1;
    return envelope_name_valid(event) && !(event.n >= n && memcmp(event.p, ours, n) == 0);
}

static bool ttl_valid(uint64_t ms)
{
    return ms > 0 && ms <= ENVELOPE_TTL_MAX;
}

static bool has_space(struct str s)
{
    return memchr(s.p, ' ', s.n) || memchr(s.p, '\n', s.n) || memchr(s.p, '\t', s.n) ||
           memchr(s.p, '\r', s.n);
}

static bool is_text_type(struct str content_type)
{
    return content_type.n >= 5 && strncasecmp(content_type.p, "text/", 5) == 0;
}

static bool json_payload(const struct json_value *v, struct buf *scratch, struct envelope *e)
{
    e->flags |= MESSAGE_JSON;
    if ((v->type != JSON_OBJECT && v->type != JSON_ARRAY) || !has_space(v->raw)) {
        e->payload = v->raw;
        return true;
    }
    size_t from = scratch->len;
    if (json_compact(*v, scratch) != 0)
        return false;
    e->payload = str_make(scratch->data + from, scratch->len - from);
    return true;
}

static bool msgpack_payload(const struct mp_value *v, struct envelope *e)
{
    if (v->type != MP_BIN)
        e->flags |= MESSAGE_MSGPACK;
    e->payload = v->type == MP_BIN ? v->bytes : v->raw;
    return true;
}

static bool payload(const struct datum *d, struct buf *scratch, struct envelope *e)
{
    if (datum_is_string(d) && is_text_type(e->content_type)) {
        e->flags |= MESSAGE_TEXT;
        return datum_text(d, scratch, &e->payload) == 0;
    }
    return d->encoding == ENCODING_JSON ? json_payload(&d->json, scratch, e)
                                        : msgpack_payload(&d->mp, e);
}

static bool base64_payload(const struct datum *d, struct buf *scratch, struct envelope *e)
{
    struct str text;
    if (datum_text(d, scratch, &text) != 0)
        return false;
    size_t max = text.n / 4 * 3;
    if (buf_reserve(scratch, max) != 0)
        return false;
    int n = b64_decode(text, scratch->data + scratch->len, max);
    if (n < 0)
        return false;
    e->payload = str_make(scratch->data + scratch->len, (size_t)n);
    scratch->len += (size_t)n;
    return true;
}

/* Ids of sessions, behind each other. Each is shorter than its text, so they fit behind what was
 * decoded of them. */
static bool exceptions(const struct datum *list, struct buf *scratch, struct envelope *e)
{
    uint8_t ids[MESSAGE_EXCEPT_MAX][SESSION_ID_SIZE];
    struct datum_iter it;
    struct datum d;
    size_t n = 0;
    if (!datum_is_list(list))
        return false;
    datum_iter_begin(&it, list);
    while (datum_next_item(&it, &d)) {
        struct str text;
        if (n == MESSAGE_EXCEPT_MAX || datum_text(&d, scratch, &text) != 0 ||
            session_id_parse(text, ids[n++]) != 0)
            return false;
    }
    size_t from = scratch->len;
    if (buf_append(scratch, ids, n * SESSION_ID_SIZE) != 0)
        return false;
    if (n)
        e->except = str_make(scratch->data + from, n * SESSION_ID_SIZE);
    return true;
}

static bool options(const struct datum *v, struct buf *scratch, struct envelope *e,
                    struct envelope_error *error)
{
    if (!name_member(&v[M_EVENT], scratch, &e->event) || (e->event.n && !event_valid(e->event)))
        return refuse(error, CODE_BAD_REQUEST, "event: " EVENT_RULE);
    if (!name_member(&v[M_CONTENT_TYPE], scratch, &e->content_type))
        return refuse(error, CODE_BAD_REQUEST, "content_type: a media type of at most 255 bytes");
    if (!name_member(&v[M_COLLAPSE], scratch, &e->collapse))
        return refuse(error, CODE_BAD_REQUEST,
                      "collapse: 1 to 255 bytes without control characters");
    if (datum_given(&v[M_TTL]) &&
        (datum_duration(&v[M_TTL], &e->ttl_ms) != 0 || !ttl_valid(e->ttl_ms)))
        return refuse(error, CODE_BAD_REQUEST,
                      "ttl: whole seconds, or a duration such as \"90s\", above zero");
    bool ephemeral = false;
    if (datum_given(&v[M_EPHEMERAL]) && datum_bool(&v[M_EPHEMERAL], &ephemeral) != 0)
        return refuse(error, CODE_BAD_REQUEST, "ephemeral: true or false");
    if (ephemeral)
        e->flags |= MESSAGE_EPHEMERAL;
    if (!datum_given(&v[M_EXCEPT]))
        return true;
    if (e->target != APPEND_TOPIC)
        return refuse(error, CODE_BAD_REQUEST, "except: only what goes to a topic has exceptions");
    if (!exceptions(&v[M_EXCEPT], scratch, e))
        return refuse(error, CODE_BAD_REQUEST, "except: an array of at most 15 session ids");
    return true;
}

static bool address(const struct datum *v, struct buf *scratch, struct envelope *e,
                    struct envelope_error *error)
{
    static const struct {
        enum member member;
        enum append_target target;
    } targets[] = {
        {M_SESSION, APPEND_SESSION}, {M_SUBJECT, APPEND_SUBJECT}, {M_TOPIC, APPEND_TOPIC}};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        const struct datum *to = &v[targets[i].member];
        if (!datum_given(to))
            continue;
        if (e->target || datum_text(to, scratch, &e->name) != 0 || !envelope_name_valid(e->name))
            return refuse(error, CODE_BAD_REQUEST,
                          "one of session, subject and topic, 1 to 255 bytes");
        e->target = (uint8_t)targets[i].target;
    }
    if (!e->target)
        return refuse(error, CODE_BAD_REQUEST, "one of session, subject and topic is needed");
    if (!name_member(&v[M_KEY], scratch, &e->key))
        return refuse(error, CODE_BAD_REQUEST, "key: 1 to 255 bytes without control characters");
    return true;
}

bool envelope_name_valid(struct str s)
{
    if (s.n == 0 || s.n > ENVELOPE_NAME_MAX)
        return false;
    bool ascii = true;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            return false;
        ascii = ascii && c < 0x80;
    }
    return ascii || utf8_valid(s);
}

bool envelope_decode(const struct datum *object, enum append_target target, uint64_t limit,
                     struct buf *scratch, struct envelope *ret, struct envelope_error *ret_error)
{
    struct datum v[M_COUNT];
    struct envelope e = {.target = (uint8_t)target};
    bool batch = target == 0;
    int err = datum_pick(object, names, batch ? M_COUNT : M_SINGLE, v);
    if (err)
        return refuse(ret_error, CODE_BAD_REQUEST,
                      err == -EEXIST                      ? "a member stands twice"
                      : object->encoding == ENCODING_JSON ? "a JSON object is needed"
                                                          : "a map is needed");
    /* Nothing decoded is longer than its text, twice in base64 with escapes; reserved at once, so
     * that views into the scratch stay valid. */
    buf_reset(scratch);
    if (buf_reserve(scratch, 2 * datum_raw(object).n) != 0)
        return refuse(ret_error, CODE_UNAVAILABLE, "no memory");

    if (batch && !address(v, scratch, &e, ret_error))
        return false;
    if (!options(v, scratch, &e, ret_error))
        return false;
    bool data = datum_raw(&v[M_DATA]).p != NULL, base64 = datum_given(&v[M_DATA_B64]);
    if (data == base64)
        return refuse(ret_error, CODE_BAD_REQUEST, "one of data and data_b64 is needed");
    if (data && !payload(&v[M_DATA], scratch, &e))
        return refuse(ret_error, CODE_BAD_REQUEST, "data cannot be decoded");
    if (base64 && !base64_payload(&v[M_DATA_B64], scratch, &e))
        return refuse(ret_error, CODE_BAD_REQUEST, "data_b64: base64 with padding");
    if (e.payload.n > limit)
        return refuse(ret_error, CODE_TOO_LARGE, "the payload is over limits.message");
    *ret = e;
    return true;
}

bool envelope_of_payload(const struct envelope_headers *h, struct str payload, uint64_t limit,
                         struct envelope *ret, struct envelope_error *ret_error)
{
    struct envelope e = {
        .event = h->event,
        .content_type = h->content_type,
        .collapse = h->collapse,
        .payload = payload,
    };
    if (h->event.p && !event_valid(h->event))
        return refuse(ret_error, CODE_BAD_REQUEST, "Restante-Event: " EVENT_RULE);
    if (h->collapse.p && !envelope_name_valid(h->collapse))
        return refuse(ret_error, CODE_BAD_REQUEST,
                      "Restante-Collapse: 1 to 255 bytes without control characters");
    if (h->content_type.n && !envelope_name_valid(h->content_type))
        return refuse(ret_error, CODE_BAD_REQUEST, "Content-Type: at most 255 bytes");
    if (h->ttl.p && (duration_parse(h->ttl, &e.ttl_ms) != 0 || !ttl_valid(e.ttl_ms)))
        return refuse(ret_error, CODE_BAD_REQUEST,
                      "Restante-TTL: whole seconds, or a duration such as 90s, above zero");
    if (payload.n > limit)
        return refuse(ret_error, CODE_TOO_LARGE, "the payload is over limits.message");
    if (is_text_type(h->content_type) && utf8_valid(payload))
        e.flags = MESSAGE_TEXT;
    *ret = e;
    return true;
}

void envelope_key_hash(struct digest *d, struct str kind, struct str publisher, struct str key,
                       uint8_t ret[16])
{
    uint8_t full[DIGEST_SIZE];
    digest_begin(d);
    digest_add_str(d, kind);
    digest_add_str(d, publisher);
    digest_add_str(d, key);
    digest_end(d, full);
    memcpy(ret, full, 16);
}

void envelope_content_hash(struct digest *d, const struct envelope *e, uint8_t ret[16])
{
    uint8_t full[DIGEST_SIZE];
    digest_begin(d);
    digest_add_str(d, e->event);
    digest_add_str(d, e->content_type);
    digest_add_str(d, e->payload);
    digest_add(d, &e->ttl_ms, sizeof(e->ttl_ms));
    digest_add_str(d, e->collapse);
    digest_add(d, &e->flags, sizeof(e->flags));
    digest_add_str(d, e->except);
    digest_end(d, full);
    memcpy(ret, full, 16);
}
