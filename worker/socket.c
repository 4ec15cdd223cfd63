/* socket - its life: hello, messages, what was delivered, the end.
 *
 * Live messages go to ws straight from the frame that all receivers share: nothing can take them
 * back, and ws gathers what a turn brings by itself. What a read of the store hands out may be
 * taken back until its pause, so that is gathered here first, at most a batch, and its memory goes
 * again. What ws has no room for is not taken: the pick-up stops where it is, and goes on from its
 * cursor by way of the store.
 *
 * Whether the client lives is for ws to see. While it does, its attachment keeps the session alive
 * (route_touch.c), so there is nothing to do here at each sign of life.
 */
#include "worker/socket_priv.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH_MESSAGES 1000 /* of one read of the store */
#define REPORT_MS 1000      /* how often it is looked whether the kernel has taken more */
#define WAITING_MAX (4u << 20)

static struct route *route_of(const struct socket *s)
{
    return s->worker->route;
}

/* --- what was delivered (rule 8) --- */

static void tell(struct socket *s, uint64_t seq)
{
    route_touch(route_of(s), &s->session, seq);
    s->told = seq;
}

/* Tells what the kernel surely has. */
static void report(struct socket *s)
{
    if (s->written <= s->told)
        return;
    size_t backlog = ws_backlog(s->ws);
    if (backlog == 0)
        tell(s, s->written);
    else if (s->mark > s->told && backlog <= s->behind)
        tell(s, s->mark);
    else if (s->mark > s->told)
        return;
    s->mark = s->written;
    s->behind = 0;
}

/* --- its end --- */

int socket_new(struct worker *w, const struct socket_start *start, struct socket **ret)
{
    struct str subject = start->session->subject;
    struct socket *s = calloc(1, sizeof(*s) + subject.n + 1);
    if (!s)
        return -ENOMEM;
    memcpy(s->subject, subject.p ? subject.p : "", subject.n);
    s->worker = w;
    s->session = *start->session;
    s->session.subject = str_make(s->subject, subject.n);
    s->session.name = s->session.attributes = s->session.claims = str_make(NULL, 0);
    s->principal = *start->principal;
    s->encoding = (uint8_t)start->encoding;
    s->start = start->cursor;
    if (start->reset) {
        s->reason = start->reset->reason;
        s->newest = start->reset->newest;
    }
    LIST_INIT(&s->commands);
    buf_init(&s->out, EXCHANGE_ANSWER_MAX);
    buf_init(&s->waiting, WAITING_MAX);
    *ret = s;
    return 0;
}

void socket_free(struct socket *s)
{
    buf_free(&s->out);
    buf_free(&s->waiting);
    free(s);
}

static void stop_pickup(struct socket *s)
{
    if (s->pickup)
        pickup_stop(s->pickup);
    s->pickup = NULL;
}

static void on_closed(void *arg, enum metric why)
{
    struct socket *s = arg;
    (void)why;
    report(s);
    stop_pickup(s);
    socket_forget_commands(s);
    wheel_cancel(&s->timer);
    socket_free(s);
}

void socket_cut(struct socket *s, enum ws_close close, enum metric why)
{
    if (s->ended)
        return;
    s->ending = s->ended = true;
    stop_pickup(s);
    socket_forget_commands(s);
    ws_end(s->ws, close, why);
}

void socket_end(struct socket *s, enum ws_close close, enum metric why)
{
    if (s->ending)
        return;
    s->ending = true;
    s->close = close;
    s->why = why;
    stop_pickup(s);
    socket_settle(s);
}

void socket_settle(struct socket *s)
{
    if (s->ended)
        return;
    if (s->ending && !s->in_flight && !s->stalled) {
        socket_cut(s, s->close, s->why);
        return;
    }
    bool paused = s->ending || s->stalled || s->in_flight >= s->worker->conf->pending;
    if (paused != s->paused)
        ws_pause(s->ws, paused);
    s->paused = paused;
}

/* --- its credential, once a heartbeat --- */

static int find_session(void *arg, struct txn *t)
{
    struct socket *s = arg;
    struct session session;
    return route_session_in(route_of(s), t, s->session.id, &session);
}

static bool signer_is_gone(const struct socket *s)
{
    struct session_keys keys;
    if (s->principal.kind != PRINCIPAL_SESSION)
        return false;
    board_keys_get(s->worker->board, &keys);
    return !session_keys_have(&keys, s->principal.signer);
}

static void check(struct socket *s)
{
    if (signer_is_gone(s))
        socket_cut(s, WS_REVOKED, METRIC_SOCKET_CLOSED_REVOKED);
    else if (route_read(route_of(s), find_session, s) == -ENOENT)
        socket_end(s, WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED);
}

/* --- time --- */

static void on_timer(void *arg);

/* For the next look at its credential; while something is to be reported, soon. */
static void arm(struct socket *s)
{
    uint64_t now = route_boot_ms(route_of(s));
    uint64_t due = s->checked_ms + s->worker->conf->server_heartbeat;
    uint64_t wait = due > now ? due - now : 0;
    bool soon = s->written > s->told;
    if (wheel_is_set(&s->timer) && (s->report_soon || !soon))
        return;
    if (soon && wait > REPORT_MS)
        wait = REPORT_MS;
    s->report_soon = soon;
    route_timer(route_of(s), &s->timer, wait, on_timer, s);
}

static void on_timer(void *arg)
{
    struct socket *s = arg;
    uint64_t now = route_boot_ms(route_of(s));
    report(s);
    if (!s->ending && now >= s->checked_ms + s->worker->conf->server_heartbeat) {
        s->checked_ms = now;
        check(s);
    }
    s->report_soon = false;
    arm(s);
}

/* --- the pick-up's callbacks --- */

static enum pickup_take take_live(struct socket *s, const struct message *m, struct str frame)
{
    if (socket_write(s, frame) != 0) {
        s->failed = true;
        return PICKUP_REFUSED;
    }
    if (!(m->flags & MESSAGE_EPHEMERAL))
        s->taken = s->written = m->seq;
    return s->stalled ? PICKUP_FULL : PICKUP_TAKEN;
}

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str object)
{
    struct socket *s = arg;
    (void)stream;
    if (s->stalled || s->failed)
        return PICKUP_REFUSED;
    if (pickup_is_live(s->pickup))
        return take_live(s, m, object);
    if (buf_append_str(&s->out, object) != 0) {
        s->failed = true;
        return PICKUP_REFUSED;
    }
    s->taken = m->seq;
    s->full = s->out.len >= SOCKET_BATCH_BYTES;
    return s->full ? PICKUP_FULL : PICKUP_TAKEN;
}

static void on_truncated(void *arg, const struct pickup_lost *lost, size_t n)
{
    socket_truncated(arg, lost, n);
}

static void on_undo(void *arg)
{
    struct socket *s = arg;
    buf_reset(&s->out);
    s->taken = s->written;
    s->full = false;
}

static int write_out(struct socket *s)
{
    if (!s->out.len)
        return 0;
    int err = socket_write(s, buf_str(&s->out));
    if (!err)
        s->written = s->taken;
    buf_free(&s->out);
    return err;
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    struct socket *s = arg;
    (void)cursor;
    (void)more;
    report(s);
    if (s->failed || write_out(s) != 0) {
        socket_cut(s, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
        return;
    }
    if (s->full && !s->stalled)
        pickup_resume(s->pickup);
    s->full = false;
    arm(s);
    socket_settle(s);
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    struct socket *s = arg;
    (void)cursor;
    s->pickup = NULL;
    buf_free(&s->out);
    if (code == CODE_SESSION_UNKNOWN) {
        socket_end(s, WS_GOING_AWAY, METRIC_SOCKET_CLOSED_ENDED);
    } else if (code == CODE_SUPERSEDED) {
        socket_end(s, WS_SUPERSEDED, METRIC_SOCKET_CLOSED_SUPERSEDED);
    } else {
        socket_closing(s);
        if (s->worker->draining)
            socket_end(s, WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
        else
            socket_end(s, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
    }
}

static const struct pickup_ops pickup_ops = {
    .on_message = on_message,
    .on_truncated = on_truncated,
    .on_undo = on_undo,
    .on_pause = on_pause,
    .on_end = on_end,
};

/* --- the connection's callbacks --- */

static int start_pickup(struct socket *s)
{
    static const enum pickup_form forms[] = {
        [ENCODING_JSON] = FORM_SOCKET_JSON,
        [ENCODING_MSGPACK] = FORM_SOCKET_MSGPACK,
    };
    const struct pickup_start start = {
        .session = &s->session,
        .cursor = s->start,
        .page_limit = BATCH_MESSAGES,
        .page_bytes = SOCKET_BATCH_BYTES,
        .transport = "websocket",
        .remote = ws_remote(s->ws),
        .lease_ms = s->worker->conf->server_heartbeat * 5 / 2, /* as long as ws waits for a word */
        .connection = ids_random_u64() | (COMMAND_POLL_CONNECTION + 1),
        .form = forms[s->encoding],
    };
    return pickup_start(route_of(s), &start, &pickup_ops, s, &s->pickup);
}

static void on_open(void *arg, struct ws *ws)
{
    struct socket *s = arg;
    s->ws = ws;
    s->checked_ms = route_boot_ms(route_of(s));
    socket_hello(s);
    if (s->ended)
        return;
    if (start_pickup(s) != 0) {
        socket_cut(s, WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
        return;
    }
    arm(s);
    pickup_proceed(s->pickup); /* may have ended when it returns */
}

static void on_ws_message(void *arg, bool binary, struct str message)
{
    struct socket *s = arg;
    if (s->ending)
        return;
    if (binary != (s->encoding == ENCODING_MSGPACK)) {
        socket_cut(s, WS_WRONG_TYPE, METRIC_SOCKET_CLOSED_PROTOCOL);
        return;
    }
    metric_add(s->worker->metrics, METRIC_SOCKET_COMMANDS, 1);
    socket_command(s, message);
    socket_settle(s);
}

static void on_room(void *arg)
{
    struct socket *s = arg;
    if (s->ended)
        return;
    socket_on_room(s);
    if (!s->stalled && s->pickup)
        pickup_resume(s->pickup);
    socket_settle(s);
}

static const struct ws_ops ws_ops = {
    .on_open = on_open,
    .on_message = on_ws_message,
    .on_room = on_room,
    .on_closed = on_closed,
};

void socket_begin(struct socket *s, struct wire wire, const char *remote,
                  const struct ws_handshake *handshake)
{
    int err = ws_accept(s->worker->ws, wire, remote, handshake, &ws_ops, s);
    if (err) {
        log_event(LOG_WARN, "socket_not_accepted", LOG_Z("remote", remote), LOG_E(err));
        socket_free(s);
    }
}
