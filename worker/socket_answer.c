/* socket_answer - what is said to the client, as objects of api.md.
 *
 * Objects are made as JSON and turned into the client's encoding as they are framed. Once ws has
 * enough, answers wait here. They are few and small: a client that does not take them is not read
 * from either, so there are no more of them than commands in flight, and what had been read before.
 */
#include "worker/socket_priv.h"

#include "common/log.h"

#include <errno.h>

/* Somewhere between once and twice server.retry, so that not all come back at once. */
static uint64_t advice_ms(const struct socket *s)
{
    uint64_t base = s->worker->conf->server_retry;
    return base + ids_random_u64() % base;
}

int socket_write(struct socket *s, struct str frames)
{
    int err = ws_write(s->ws, frames);
    if (err && err != -EAGAIN)
        return err;
    s->stalled = err != 0;
    s->behind += frames.n;
    return 0;
}

static void say_frame(struct socket *s, struct str frame)
{
    int err = s->stalled ? buf_append_str(&s->waiting, frame) : socket_write(s, frame);
    if (err)
        socket_cut(s, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
}

void socket_say(struct socket *s, struct buf *json)
{
    struct buf b;
    struct str frame;
    if (s->ended) {
        buf_free(json);
        return;
    }
    buf_init(&b, SOCKET_OBJECT_MAX);
    int err = json->error;
    if (!err)
        err = socket_frame((enum encoding)s->encoding, buf_str(json), &b, &frame);
    if (err)
        socket_cut(s, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
    else
        say_frame(s, frame);
    buf_free(&b);
    buf_free(json);
}

void socket_on_room(struct socket *s)
{
    s->stalled = false;
    if (s->waiting.len && socket_write(s, buf_str(&s->waiting)) != 0) {
        socket_cut(s, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
        return;
    }
    buf_free(&s->waiting);
}

/* --- what comes unasked --- */

static void begin(struct buf *json, const char *t)
{
    buf_init(json, SOCKET_OBJECT_MAX);
    buf_append_z(json, "{\"t\":\"");
    buf_append_z(json, t);
    buf_append_c(json, '"');
}

static void say_hello(struct socket *s)
{
    char id[SESSION_ID_TEXT];
    struct buf json;
    uint64_t ms = s->worker->conf->server_heartbeat;
    session_id_text(s->session.id, id);
    begin(&json, "hello");
    buf_printf(&json, ",\"session\":\"%s\",", id);
    cursor_member(&json, "cursor", route_epoch(s->worker->route), s->start);
    buf_printf(&json, ",\"heartbeat\":%llu", (unsigned long long)(ms / 1000));
    if (ms % 1000)
        buf_printf(&json, ".%03llu", (unsigned long long)(ms % 1000));
    buf_append_c(&json, '}');
    socket_say(s, &json);
}

void socket_hello(struct socket *s)
{
    say_hello(s);
    if (!s->reason || s->ended)
        return;
    const struct cursor_reset reset = {s->reason, s->start, s->newest};
    struct buf json;
    begin(&json, "reset");
    buf_append_c(&json, ',');
    cursor_reset_members(&json, route_epoch(s->worker->route), &reset);
    buf_append_c(&json, '}');
    socket_say(s, &json);
}

void socket_closing(struct socket *s)
{
    struct buf json;
    begin(&json, "closing");
    buf_printf(&json, ",\"retry_after_ms\":%llu}", (unsigned long long)advice_ms(s));
    socket_say(s, &json);
}

void socket_truncated(struct socket *s, const struct pickup_lost *lost, size_t n)
{
    struct buf json, b;
    struct str frame = {NULL, 0};
    begin(&json, "truncated");
    buf_append_z(&json, ",\"streams\":[");
    for (size_t i = 0; i < n; i++) {
        buf_append_z(&json, i ? ",{\"stream\":" : "{\"stream\":");
        json_quote(&json, lost[i].stream);
        buf_printf(&json, ",\"from\":%llu,\"to\":%llu}", (unsigned long long)lost[i].from,
                   (unsigned long long)lost[i].to);
    }
    buf_append_z(&json, "]}");
    buf_init(&b, 2 * SOCKET_OBJECT_MAX);
    int err = json.error;
    if (!err)
        err = socket_frame((enum encoding)s->encoding, buf_str(&json), &b, &frame);
    if (err || buf_append_str(&s->out, frame) != 0)
        s->failed = true;
    buf_free(&b);
    buf_free(&json);
}

/* --- what is answered --- */

static void add_re(struct buf *json, const struct socket_asked *asked)
{
    if (!asked->counted)
        return;
    buf_append_z(json, ",\"re\":");
    buf_append_u64(json, asked->n);
}

bool socket_ok_begin(const struct socket_asked *asked, struct buf *json)
{
    if (!asked->counted)
        return false;
    begin(json, "ok");
    add_re(json, asked);
    return true;
}

void socket_ok(struct socket *s, const struct socket_asked *asked)
{
    struct buf json;
    if (!socket_ok_begin(asked, &json))
        return;
    buf_append_c(&json, '}');
    socket_say(s, &json);
}

void socket_refuse(struct socket *s, const struct socket_asked *asked, enum code code,
                   struct str members, const char *why)
{
    struct buf json;
    metric_add(s->worker->metrics, METRIC_SOCKET_REFUSALS, 1);
    begin(&json, "error");
    add_re(&json, asked);
    buf_append_z(&json, ",\"code\":\"");
    buf_append_z(&json, code_text(code));
    buf_append_z(&json, "\",\"detail\":");
    json_quote(&json, str_of(why ? why : code_title(code)));
    buf_append_str(&json, members);
    buf_append_c(&json, '}');
    socket_say(s, &json);
}
