/* message_json - one message as the JSON object of the API.
 *
 * On the path of every delivery, so it only appends: nothing is formatted by printf, and a JSON
 * payload is copied as it was published, byte for byte. One that came as MessagePack is converted.
 */
#include "common/clock.h"
#include "common/ids.h"
#include "common/msgpack.h"
#include "worker/route.h"

#include <errno.h>

static void member(struct buf *b, const char *name, size_t n)
{
    buf_append(b, name, n);
}
#define MEMBER(b, literal) member((b), (literal), sizeof(literal) - 1)

static void time_member(struct buf *b, uint64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_text(ms, text);
    buf_append_c(b, '"');
    buf_append(b, text, CLOCK_TEXT_SIZE - 1);
    buf_append_c(b, '"');
}

static void position(const struct message *m, uint64_t epoch, struct buf *b)
{
    char cursor[CURSOR_TEXT];
    MEMBER(b, "\"seq\":");
    buf_append_u64(b, m->seq);
    MEMBER(b, ",\"prev\":");
    buf_append_u64(b, m->prev);
    MEMBER(b, ",\"cursor\":\"");
    buf_append(b, cursor, cursor_text(epoch, m->seq, cursor));
    MEMBER(b, "\",");
    if (m->flags & MESSAGE_SKIPPED)
        MEMBER(b, "\"skipped\":true,");
}

static void identity(const struct message *m, struct buf *b)
{
    if (m->id.n) {
        MEMBER(b, ",\"id\":");
        json_quote(b, m->id);
    } else if (!(m->flags & MESSAGE_EPHEMERAL)) {
        MEMBER(b, ",\"id\":\"");
        buf_append_u64(b, m->seq);
        buf_append_c(b, '"');
    }
}

static void content_type(const struct message *m, struct buf *b)
{
    MEMBER(b, ",\"content_type\":");
    json_quote(b, message_content_type(m));
}

static void payload(const struct message *m, struct buf *b)
{
    if (m->flags & MESSAGE_JSON) {
        MEMBER(b, ",\"data\":");
        buf_append_str(b, m->payload);
    } else if (m->flags & MESSAGE_MSGPACK) {
        const struct mp_value v = {.raw = m->payload};
        MEMBER(b, ",\"data\":");
        mp_to_json(v, b);
    } else if (m->flags & MESSAGE_TEXT) {
        MEMBER(b, ",\"data\":");
        json_quote(b, m->payload);
    } else {
        MEMBER(b, ",\"data_b64\":\"");
        size_t n = (m->payload.n + 2) / 3 * 4;
        if (buf_reserve(b, n + 1) == 0)
            b->len += b64_encode(m->payload.p, m->payload.n, (char *)b->data + b->len);
        buf_append_c(b, '"');
    }
}

static void known(const struct message *m, struct buf *b)
{
    if (m->publisher.n) {
        MEMBER(b, ",\"publisher\":");
        json_quote(b, m->publisher);
    }
    if (m->trace.n) {
        MEMBER(b, ",\"trace\":");
        json_quote(b, m->trace);
    }
    if (m->expires_ms) {
        MEMBER(b, ",\"expires_at\":");
        time_member(b, m->expires_ms);
    }
}

struct str message_content_type(const struct message *m)
{
    if (m->content_type.n)
        return m->content_type;
    if (m->flags & MESSAGE_JSON)
        return STR("application/json");
    if (m->flags & MESSAGE_MSGPACK)
        return STR("application/msgpack");
    return m->flags & MESSAGE_TEXT ? STR("text/plain") : STR("application/octet-stream");
}

int message_json(const struct message *m, struct str stream, uint64_t epoch, struct buf *out)
{
    buf_append_c(out, '{');
    if (m->flags & MESSAGE_EPHEMERAL)
        MEMBER(out, "\"ephemeral\":true,");
    else
        position(m, epoch, out);
    MEMBER(out, "\"stream\":");
    json_quote(out, stream);
    identity(m, out);
    MEMBER(out, ",\"event\":");
    if (m->event.n)
        json_quote(out, m->event);
    else
        MEMBER(out, "\"message\"");
    MEMBER(out, ",\"time\":");
    time_member(out, m->time_ms);
    content_type(m, out);
    payload(m, out);
    known(m, out);
    buf_append_c(out, '}');
    return out->error;
}
