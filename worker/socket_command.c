/* socket_command - what the client says, and what the writer says to it.
 *
 * Each object is judged here and becomes one command of the writer, or is answered at once. The
 * writer takes them in order and so are they answered; what is refused here, and a ping, is
 * answered before what is still under way. A refusal is told whether the client counts its commands
 * or not. When the connection goes, commands that were sent run all the same, and nobody is told.
 */
#include "worker/socket_priv.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define N_MAX (UINT64_C(1) << 53) /* integers that every JSON reader keeps */
#define TYPE_MAX 32               /* bytes of t; no word is that long */

void socket_deny(const struct socket_request *q, enum code code, const char *why)
{
    socket_refuse(q->s, &q->asked, code, str_make(NULL, 0), why);
}

void socket_fail(const struct socket_request *q, int err)
{
    char memory[96];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    if (err == -EMSGSIZE) {
        socket_deny(q, CODE_TOO_LARGE, "more than one command may carry");
    } else if (err == -EAGAIN || err == -ESHUTDOWN || err == -ENOMEM) {
        buf_printf(&b, ",\"outcome\":\"none\",\"retry_after_ms\":%u", SOCKET_RETRY_MS);
        socket_refuse(q->s, &q->asked, CODE_UNAVAILABLE, buf_str(&b), "too much is under way");
    } else if (err == -ENOENT) {
        socket_deny(q, CODE_SESSION_UNKNOWN, NULL);
    } else {
        log_event(LOG_ERROR, "socket_command_failed", LOG_Z("remote", ws_remote(q->s->ws)),
                  LOG_E(err));
        socket_deny(q, CODE_INTERNAL, NULL);
    }
}

/* --- commands under way --- */

static void take_off(struct socket_command *c)
{
    LIST_REMOVE(c, entry);
    c->socket->in_flight--;
}

void socket_forget_commands(struct socket *s)
{
    struct socket_command *c;
    while (!LIST_EMPTY(&s->commands)) {
        c = LIST_FIRST(&s->commands);
        route_forget(s->worker->route, c->call);
        take_off(c);
        free(c);
    }
}

static void on_done(void *arg, enum code code, bool unknown, struct unpack *body)
{
    struct socket_command *c = arg;
    struct socket *s = c->socket;
    char memory[96];
    struct buf b;
    take_off(c);
    buf_fixed(&b, memory, sizeof(memory));
    if (unknown) {
        buf_printf(&b, ",\"outcome\":\"unknown\",\"retry_after_ms\":%u", SOCKET_RETRY_MS);
        socket_refuse(s, &c->asked, CODE_UNAVAILABLE, buf_str(&b),
                      "no answer in time; it may have been done: repeat it as it is");
    } else if (code != CODE_OK) {
        socket_refuse(s, &c->asked, code, str_make(NULL, 0), NULL);
    } else {
        c->on_ok(c, body);
    }
    free(c);
    socket_settle(s);
}

struct socket_command *socket_command_new(const struct socket_request *q, struct str topic,
                                          void (*on_ok)(struct socket_command *, struct unpack *))
{
    struct socket_command *c = calloc(1, sizeof(*c) + topic.n);
    if (!c) {
        socket_fail(q, -ENOMEM);
        return NULL;
    }
    c->socket = q->s;
    c->asked = q->asked;
    c->on_ok = on_ok;
    c->topic_n = (uint8_t)topic.n;
    if (topic.n)
        memcpy(c->topic, topic.p, topic.n);
    return c;
}

void socket_submit(const struct socket_request *q, struct socket_command *c, enum command_type type,
                   size_t size_max, route_encode_f *encode, void *arg)
{
    struct socket *s = q->s;
    int err = route_command(s->worker->route, type, size_max, encode, arg, on_done, c, &c->call);
    if (err) {
        free(c);
        socket_fail(q, err);
        return;
    }
    LIST_INSERT_HEAD(&s->commands, c, entry);
    s->in_flight++;
}

/* --- ack --- */

static void on_acked(struct socket_command *c, struct unpack *body)
{
    struct session *session = &c->socket->session;
    (void)body;
    if (c->seq > session->acked)
        session->acked = c->seq;
    socket_ok(c->socket, &c->asked);
}

static ssize_t encode_ack(void *arg, struct pack *p)
{
    command_ack_encode(p, arg);
    return 0;
}

static void refuse_cursor(const struct socket_request *q, const struct cursor_reset *reset)
{
    char memory[256];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    buf_append_c(&b, ',');
    cursor_reset_members(&b, route_epoch(q->s->worker->route), reset);
    socket_refuse(q->s, &q->asked, CODE_CURSOR_RESET, buf_str(&b), NULL);
}

static void ack_to(const struct socket_request *q, uint64_t seq)
{
    struct socket *s = q->s;
    struct command_ack ack = {.seq = seq, .generation = pickup_generation(s->pickup)};
    if (seq <= s->session.acked) {
        socket_ok(s, &q->asked); /* it was said already */
        return;
    }
    struct socket_command *c = socket_command_new(q, str_make(NULL, 0), on_acked);
    if (!c)
        return;
    c->seq = seq;
    memcpy(ack.session, s->session.id, SESSION_ID_SIZE);
    socket_submit(q, c, COMMAND_ACK, COMMAND_ACK_SIZE, encode_ack, &ack);
}

static void ack(const struct socket_request *q)
{
    char memory[2 * CURSOR_TEXT];
    struct buf b;
    struct str text;
    struct cursor_reset reset;
    uint64_t seq;
    buf_fixed(&b, memory, sizeof(memory));
    int verdict = -EINVAL;
    if (datum_given(&q->cursor) && datum_text(&q->cursor, &b, &text) == 0)
        verdict = cursor_judge(q->s->worker->route, &q->s->session, text, &seq, &reset);
    if (verdict == 0)
        ack_to(q, seq);
    else if (verdict > 0)
        refuse_cursor(q, &reset);
    else if (verdict == -EINVAL)
        socket_deny(q, CODE_BAD_REQUEST, "cursor: a cursor is needed");
    else
        socket_fail(q, verdict);
}

/* --- all of them --- */

static void ping(const struct socket_request *q)
{
    socket_ok(q->s, &q->asked);
}

static const struct {
    const char *t;
    void (*run)(const struct socket_request *q);
} verbs[] = {
    {"ack", ack},
    {"subscribe", socket_subscribe},
    {"unsubscribe", socket_unsubscribe},
    {"publish", socket_publish},
    {"ping", ping},
};

static void dispatch(const struct socket_request *q, const struct datum *t)
{
    char memory[TYPE_MAX];
    struct buf b;
    struct str text;
    buf_fixed(&b, memory, sizeof(memory));
    if (datum_given(t) && datum_text(t, &b, &text) == 0) {
        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
            if (str_is(text, verbs[i].t)) {
                verbs[i].run(q);
                return;
            }
        }
    }
    socket_deny(q, CODE_BAD_REQUEST, "t: one of ack, subscribe, unsubscribe, publish, ping");
}

/* The client's count: a whole number up to 2^53. False: it is something else. */
static bool read_n(const struct datum *d, struct socket_asked *ret)
{
    if (!datum_given(d))
        return true;
    if (datum_u64(d, &ret->n) != 0 || ret->n > N_MAX)
        return false;
    ret->counted = true;
    return true;
}

void socket_command(struct socket *s, struct str text)
{
    static const char *const names[] = {"t", "n", "topic", "cursor", "presence"};
    struct socket_request q = {.s = s};
    struct datum v[5];
    int err = datum_check((enum encoding)s->encoding, text, &q.object);
    if (err) {
        socket_deny(&q, CODE_BAD_REQUEST, datum_error_text((enum encoding)s->encoding, err));
        return;
    }
    err = datum_pick(&q.object, names, 5, v);
    if (err) {
        socket_deny(&q, CODE_BAD_REQUEST,
                    err == -EEXIST ? "a member stands twice" : "one object a frame");
        return;
    }
    if (!read_n(&v[1], &q.asked)) {
        socket_deny(&q, CODE_BAD_REQUEST, "n: a whole number, 0 to 9007199254740992");
        return;
    }
    q.topic = v[2];
    q.cursor = v[3];
    q.presence = v[4];
    dispatch(&q, &v[0]);
}
