/* ws_deadline - one coarse timer per connection: pings, silence, peers that take nothing.
 *
 * As with HTTP (h1_deadline.c) the timer is only moved when a deadline comes nearer; what fires
 * early is set again. So words of the peer cost nothing here, and a tick costs what is due in it.
 */
#include "worker/worker.h"
#include "worker/ws_priv.h"

static uint64_t heartbeat(const struct ws *c)
{
    return c->server->worker->conf->server_heartbeat;
}

static uint64_t patience(const struct ws *c)
{
    return heartbeat(c) * 5 / 2;
}

static uint64_t silence_ends(const struct ws *c)
{
    return c->heard_ms + patience(c);
}

/* One that takes nothing is not read either, so that is all there is to judge it by. */
static uint64_t patience_ends(const struct ws *c)
{
    return c->out->progress_ms + (c->phase == WS_ALIVE ? patience(c) : WS_LINGER_MS);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t nearest(const struct ws *c)
{
    uint64_t at = UINT64_MAX;
    if (ws_blocked(c))
        at = patience_ends(c);
    if (c->phase == WS_ENDING)
        return ws_blocked(c) ? at : c->end_ms + WS_LINGER_MS;
    if (c->read_armed)
        at = least(at, silence_ends(c));
    return least(at, c->ping_ms);
}

static void ping(struct ws *c, uint64_t now)
{
    static const char frame[] = {(char)(0x80 | WS_PING), 0};
    c->ping_ms = now + heartbeat(c);
    if (!ws_blocked(c) && ws_out_append(c, str_make(frame, sizeof(frame))) < 0)
        ws_fail(c, METRIC_SOCKET_CLOSED_OVERLOAD);
}

static void on_due(void *arg)
{
    struct ws *c = arg;
    uint64_t now = ws_now(c);
    if (ws_blocked(c) && now >= patience_ends(c))
        ws_fail(c, METRIC_SOCKET_CLOSED_SILENT);
    else if (c->phase == WS_ENDING && !ws_blocked(c) && now >= c->end_ms + WS_LINGER_MS)
        ws_fail(c, c->why);
    else if (c->phase == WS_ALIVE && c->read_armed && now >= silence_ends(c))
        ws_finish(c, WS_GOING_AWAY, METRIC_SOCKET_CLOSED_SILENT);
    else if (c->phase == WS_ALIVE && now >= c->ping_ms)
        ping(c, now);
    ws_settle(c);
}

void ws_watch(struct ws *c)
{
    uint64_t at = nearest(c);
    if (wheel_is_set(&c->timer) && c->timer.due_ms <= at)
        return;
    wheel_set(&c->server->wheel, &c->timer, at, on_due, c);
}
