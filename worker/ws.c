/* ws - the life of a WebSocket: from the hand-over to the one place where it is freed.
 *
 * Whatever happens to a connection (bytes, room for bytes, a deadline, a word of the application)
 * ends in ws_settle, which sends what was gathered, goes on with what waited, arms the events for
 * what is missing, or closes. See ws.h for why libwebsockets has no part in this.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"

#include "worker/last_word.h"
#include "worker/worker.h"
#include "worker/ws_priv.h"

bool ws_key_valid(struct str key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (key.n != WS_KEY_TEXT || key.p[22] != '=' || key.p[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        if (!key.p[i] || !strchr(digits, key.p[i]))
            return false;
    }
    return true;
}

/* --- the lists --- */

static void unlink_soon(struct ws *c)
{
    if (!c->soon_prev)
        return;
    *c->soon_prev = c->soon_next;
    if (c->soon_next)
        c->soon_next->soon_prev = c->soon_prev;
    c->soon_prev = NULL;
}

static void link_into(struct ws **head, struct ws *c)
{
    unlink_soon(c);
    c->soon_next = *head;
    if (c->soon_next)
        c->soon_next->soon_prev = &c->soon_next;
    c->soon_prev = head;
    *head = c;
}

void ws_soon(struct ws *c)
{
    link_into(&c->server->soon, c);
}

/* --- the end --- */

void ws_fail(struct ws *c, enum metric why)
{
    if (c->phase == WS_ALIVE)
        c->why = why;
    c->phase = WS_DONE;
    ws_soon(c);
}

void ws_finish(struct ws *c, unsigned code, enum metric why)
{
    if (c->phase != WS_ALIVE)
        return;
    unsigned char frame[WS_CLOSE_FRAME_MAX];
    size_t n = ws_frame_close(frame, code);
    c->why = why;
    c->end_ms = ws_now(c);
    c->phase = ws_out_append(c, str_make(frame, n)) < 0 ? WS_DONE : WS_ENDING;
    ws_soon(c);
}

void ws_end(struct ws *c, enum ws_close code, enum metric why)
{
    ws_finish(c, code, why);
}

/* What only a connection that lives needs. */
static void let_go(struct ws *c)
{
    ws_lws_drop(c);
    ws_message_free(c);
    buf_free(&c->in);
    c->full = false;
}

static void destroy(struct ws *c)
{
    struct ws_server *s = c->server;
    struct metric_block *metrics = s->worker->metrics;
    let_go(c);
    unlink_soon(c);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    wheel_cancel(&c->timer);
    if (c->read_armed)
        event_del(&c->readable);
    s->count--;
    metric_sub(metrics, METRIC_CONNECTIONS, 1);
    metric_sub(metrics, METRIC_SOCKETS, 1);
    metric_add(metrics, c->why, 1);
    c->ops->on_closed(c->arg, c->why); /* ws_backlog still says what the kernel did not take */
    ws_out_free(c);
    wire_close(&c->wire);
    free(c);
}

/* --- settling --- */

static void send_gathered(struct ws *c)
{
    bool some = c->out;
    ws_out_flush(c);
    if (c->phase == WS_ENDING && some && !c->out)
        c->end_ms = ws_now(c); /* the peer has all; its time to answer begins */
    if (c->phase == WS_ALIVE && c->full && ws_has_room(c)) {
        c->full = false;
        c->ops->on_room(c->arg);
    }
}

static void arm_reading(struct ws *c)
{
    bool wanted = c->phase == WS_ENDING || (!c->paused && !ws_blocked(c) && c->in.len == 0);
    if (wanted == c->read_armed)
        return;
    int r = wanted ? event_add(&c->readable, NULL) : event_del(&c->readable);
    if (wanted && r < 0) {
        ws_fail(c, METRIC_SOCKET_CLOSED_OVERLOAD);
        return;
    }
    c->read_armed = wanted;
    if (wanted)
        c->heard_ms = ws_now(c); /* while nobody read, the peer was not silent */
}

void ws_settle(struct ws *c)
{
    unlink_soon(c);
    send_gathered(c);
    if (c->phase == WS_ALIVE && !c->paused && !ws_blocked(c))
        ws_continue(c);
    if (c->phase != WS_ALIVE)
        let_go(c);
    if (c->phase == WS_ENDING && !c->out && c->peer_closed)
        c->phase = WS_DONE;
    if (c->phase != WS_DONE)
        arm_reading(c);
    if (c->phase == WS_DONE) {
        destroy(c);
        return;
    }
    ws_watch(c);
    if (c->read_armed && wire_pending(&c->wire) && !c->soon_prev)
        link_into(&c->server->unread, c);
}

/* --- events --- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct ws *c = arg;
    ws_read(c);
    ws_settle(c);
}

/* One read for each connection that has bytes waiting inside its wire, so that one of them cannot
 * keep the others waiting. */
static void read_unread(struct ws_server *s)
{
    struct ws *now = s->unread;
    s->unread = NULL;
    if (now)
        now->soon_prev = &now;
    while (now) {
        struct ws *c = now;
        ws_read(c);
        ws_settle(c); /* unlinks it; its wire may put it on s->unread again */
    }
}

bool ws_proceed(struct ws_server *s)
{
    read_unread(s);
    while (s->soon)
        ws_settle(s->soon);
    return s->unread != NULL;
}

void ws_tick(struct ws_server *s)
{
    wheel_turn(&s->wheel, s->now_ms(s->now_arg));
}

/* --- the application's words --- */

void ws_pause(struct ws *c, bool paused)
{
    if (c->paused == paused)
        return;
    c->paused = paused;
    ws_soon(c);
}

const char *ws_remote(const struct ws *c)
{
    return c->remote;
}

/* --- the server --- */

static uint64_t boot_ms(void *arg)
{
    (void)arg;
    return clock_boot_ms();
}

int ws_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct ws_server **ret)
{
    struct ws_server *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->worker = w;
    s->now_ms = now_ms ? now_ms : boot_ms;
    s->now_arg = now_arg;
    wheel_init(&s->wheel, s->now_ms(s->now_arg));
    int err = ws_lws_open(s);
    if (err) {
        free(s);
        return err;
    }
    *ret = s;
    return 0;
}

void ws_close_all(struct ws_server *s)
{
    if (!s)
        return;
    while (s->all) {
        ws_fail(s->all, METRIC_SOCKET_CLOSED_DRAIN);
        ws_settle(s->all);
    }
    ws_out_pool_free(s);
    ws_lws_close(s);
    free(s);
}

static struct ws *new_connection(struct ws_server *s, const struct wire *wire, const char *remote)
{
    size_t n = strlen(remote) + 1;
    struct ws *c = malloc(sizeof(*c) + n);
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    memcpy(c->remote, remote, n);
    c->server = s;
    c->wire = *wire;
    buf_init(&c->in, WS_READ_SIZE);
    buf_init(&c->message, s->worker->conf->limit_frame);
    event_assign(&c->readable, s->worker->base, wire->fd, EV_READ | EV_PERSIST, on_readable, c);
    c->heard_ms = c->alive_ms = ws_now(c);
    /* Those that come together, after a restart, are not all pinged in one tick. */
    uint64_t heartbeat = s->worker->conf->server_heartbeat;
    uint64_t early = s->accepted++ * WHEEL_STEP_MS % (heartbeat / 2);
    c->ping_ms = c->heard_ms + heartbeat - early;
    return c;
}

static int refuse(struct ws_server *s, struct wire *wire, const char *request_id, int err)
{
    metric_add(s->worker->metrics, METRIC_REFUSED_FDS, 1);
    last_word_by_wire(wire, request_id, CODE_UNAVAILABLE, "no resources for a WebSocket");
    return err;
}

int ws_accept(struct ws_server *s, struct wire wire, const char *remote,
              const struct ws_handshake *handshake, const struct ws_ops *ops, void *arg)
{
    struct ws *c = new_connection(s, &wire, remote);
    int err = c ? ws_lws_adopt(c, handshake) : -ENOMEM;
    if (err) {
        if (c) {
            ws_out_free(c);
            unlink_soon(c);
        }
        free(c);
        return refuse(s, &wire, handshake->request_id, err);
    }
    c->ops = ops;
    c->arg = arg;
    c->next = s->all;
    if (c->next)
        c->next->prev = &c->next;
    c->prev = &s->all;
    s->all = c;
    s->count++;
    metric_add(s->worker->metrics, METRIC_CONNECTIONS, 1);
    metric_add(s->worker->metrics, METRIC_SOCKETS, 1);
    ops->on_open(arg, c);
    if (c->phase != WS_DONE)
        arm_reading(c); /* now, while whoever had the wire still listens to it */
    return 0;
}

size_t ws_connections(const struct ws_server *s)
{
    return s->count;
}
