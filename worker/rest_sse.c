/* rest_sse - messages as an event stream (WHATWG HTML, section 9.2), the same URL as by GET.
 *
 * A pick-up that never ends. What a pass hands out is gathered and written at its pause, since a
 * pass may be taken back. When the transport has enough, the pick-up stops where it is; when the
 * transport has drained, it goes on from its cursor, by way of the store: a slow client costs a
 * bounded amount of memory and loses nothing. A client that reads `restante.closing` comes back
 * with its Last-Event-ID; a failure that it could not tell from a broken line needs no event.
 */
#include "worker/rest_priv.h"

#include "worker/sse.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH_BYTES (64u << 10) /* of events gathered before they are written */
#define BATCH_MESSAGES 1000     /* messages of one pass */
#define LOST_BYTES (2u << 20)   /* what retention took of a session's every stream fits */
#define LEASE_KEEPALIVES 4      /* a lease lasts so long: it is renewed every other time */
#define REPORT_MS 1000          /* how often it is looked whether the kernel has taken more */

struct sse {
    struct rest_ask ask; /* the ack that came with it, and the state's owner */
    struct pickup *pickup;
    struct wheel_timer timer;
    struct session session; /* without its texts */
    uint64_t start;         /* where it begins */
    uint64_t newest;        /* of a reset; 0: there was none */
    const char *reason;
    struct buf out;     /* the events of the pass in hand */
    uint64_t taken;     /* seq of the last stored message in `out`, or before it */
    uint64_t written;   /* seq of the last one given to the transport */
    uint64_t told;      /* reported as delivered */
    uint64_t mark;      /* seq to be reported once the kernel has taken all up to it; 0 none */
    uint64_t behind;    /* bytes written after it */
    uint64_t spoken_ms; /* boot clock: the last write */
    bool streaming;     /* counted in STREAMS */
    bool full;          /* `out` has enough */
    bool stalled;       /* the transport has enough */
};

static struct route *route_of(const struct sse *sse)
{
    return sse->ask.ex->worker->route;
}

static const struct conf *conf_of(const struct sse *sse)
{
    return sse->ask.ex->worker->conf;
}

/* --- what was delivered (rule 8) --- */

static void tell(struct sse *sse, uint64_t seq)
{
    route_touch(route_of(sse), &sse->session, seq);
    sse->told = seq;
}

/* Tells what the kernel surely has. */
static void report(struct sse *sse)
{
    if (sse->written <= sse->told)
        return;
    size_t backlog = exchange_stream_backlog(sse->ask.ex);
    if (backlog == 0)
        tell(sse, sse->written);
    else if (sse->mark > sse->told && backlog <= sse->behind)
        tell(sse, sse->mark);
    else if (sse->mark > sse->told)
        return;
    sse->mark = sse->written;
    sse->behind = 0;
}

/* --- its end --- */

static void release(struct rest_ask *ask)
{
    struct sse *sse = (struct sse *)ask;
    if (sse->streaming) {
        report(sse);
        metric_sub(ask->ex->worker->metrics, METRIC_STREAMS, 1);
    }
    if (sse->pickup)
        pickup_stop(sse->pickup);
    wheel_cancel(&sse->timer);
    buf_free(&sse->out);
    free(sse);
}

static void on_sent(struct exchange *ex)
{
    struct sse *sse = ex->app;
    if (sse->written > sse->told)
        tell(sse, sse->written);
    rest_release(&sse->ask);
}

/* --- writing --- */

/* Somewhere between once and twice server.retry, so that not all come back at once. */
static uint64_t advice_ms(const struct sse *sse)
{
    uint64_t base = conf_of(sse)->server_retry;
    return base + ids_random_u64() % base;
}

static void write_out(struct sse *sse)
{
    struct exchange *ex = sse->ask.ex;
    size_t n = sse->out.len;
    if (n == 0)
        return;
    sse->stalled = exchange_stream_write(ex, buf_str(&sse->out)) != 0;
    buf_free(&sse->out);
    sse->behind += n;
    sse->written = sse->taken;
    sse->spoken_ms = route_boot_ms(route_of(sse));
}

static void control_event(struct sse *sse, const char *name, struct str id, const struct buf *data)
{
    sse_event(&sse->out, id, str_of(name), buf_str(data));
}

static void say_closing(struct sse *sse, enum code why)
{
    char memory[128];
    struct buf data;
    buf_fixed(&data, memory, sizeof(memory));
    uint64_t ms = advice_ms(sse);
    sse_retry(&sse->out, ms);
    buf_printf(&data, "{\"reason\":\"%s\",\"retry_after_ms\":%llu}", code_text(why),
               (unsigned long long)ms);
    control_event(sse, "restante.closing", STR(""), &data);
}

/* The pick-up is gone. What cannot be said for want of memory the end says too. */
static void finish(struct sse *sse, enum code why)
{
    struct exchange *ex = sse->ask.ex;
    wheel_cancel(&sse->timer);
    buf_free(&sse->out);
    say_closing(sse, why);
    if (sse->out.error)
        buf_free(&sse->out);
    sse->taken = sse->written;
    write_out(sse);
    ex->on_sent = on_sent;
    ex->on_drain = NULL;
    exchange_stream_end(ex);
}

static void arm(struct sse *sse);

static void on_timer(void *arg)
{
    struct sse *sse = arg;
    report(sse);
    uint64_t due = sse->spoken_ms + conf_of(sse)->server_keepalive;
    if (!sse->stalled && route_boot_ms(route_of(sse)) >= due) {
        sse_keepalive(&sse->out);
        write_out(sse);
    }
    arm(sse);
}

/* While something is to be reported, soon; else when it is time to show life. */
static void arm(struct sse *sse)
{
    uint64_t now = route_boot_ms(route_of(sse)), keepalive = conf_of(sse)->server_keepalive;
    uint64_t due = sse->spoken_ms + keepalive;
    uint64_t wait = sse->stalled || due <= now ? keepalive : due - now;
    if (sse->written > sse->told && wait > REPORT_MS)
        wait = REPORT_MS;
    route_timer(route_of(sse), &sse->timer, wait, on_timer, sse);
}

/* --- the pick-up's callbacks --- */

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str object)
{
    struct sse *sse = arg;
    (void)stream;
    if (sse->stalled || sse->out.error)
        return PICKUP_REFUSED;
    char text[CURSOR_TEXT];
    size_t n = 0;
    if (!(m->flags & MESSAGE_EPHEMERAL))
        n = cursor_text(route_epoch(route_of(sse)), m->seq, text);
    if (sse_event(&sse->out, str_make(text, n), m->event.n ? m->event : STR("message"), object) !=
        0)
        return PICKUP_REFUSED;
    if (n)
        sse->taken = m->seq;
    sse->full = sse->out.len >= BATCH_BYTES;
    return sse->full ? PICKUP_FULL : PICKUP_TAKEN;
}

static void on_truncated(void *arg, const struct pickup_lost *lost, size_t n)
{
    struct sse *sse = arg;
    struct buf data;
    buf_init(&data, LOST_BYTES);
    buf_append_z(&data, "{\"streams\":[");
    for (size_t i = 0; i < n; i++) {
        buf_append_z(&data, i ? ",{\"stream\":" : "{\"stream\":");
        json_quote(&data, lost[i].stream);
        buf_printf(&data, ",\"from\":%llu,\"to\":%llu}", (unsigned long long)lost[i].from,
                   (unsigned long long)lost[i].to);
    }
    buf_append_z(&data, "]}");
    control_event(sse, "restante.truncated", STR(""), &data);
    if (data.error && !sse->out.error)
        sse->out.error = data.error;
    buf_free(&data);
}

static void on_undo(void *arg)
{
    struct sse *sse = arg;
    buf_reset(&sse->out);
    sse->taken = sse->written;
    sse->full = false;
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    struct sse *sse = arg;
    (void)cursor;
    (void)more;
    if (sse->out.error) {
        pickup_stop(sse->pickup);
        sse->pickup = NULL;
        finish(sse, CODE_UNAVAILABLE);
        return;
    }
    report(sse);
    write_out(sse);
    if (sse->full && !sse->stalled)
        pickup_resume(sse->pickup);
    sse->full = false;
    arm(sse);
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    struct sse *sse = arg;
    (void)cursor;
    sse->pickup = NULL;
    finish(sse, code);
}

static const struct pickup_ops ops = {
    .on_message = on_message,
    .on_truncated = on_truncated,
    .on_undo = on_undo,
    .on_pause = on_pause,
    .on_end = on_end,
};

static void on_drain(struct exchange *ex)
{
    struct sse *sse = ex->app;
    sse->stalled = false;
    pickup_resume(sse->pickup);
}

/* --- requests --- */

static void say_first(struct sse *sse)
{
    sse_retry(&sse->out, advice_ms(sse));
    if (sse->reason) {
        char memory[256], text[CURSOR_TEXT];
        struct buf data;
        buf_fixed(&data, memory, sizeof(memory));
        buf_append_c(&data, '{');
        const struct cursor_reset reset = {sse->reason, sse->start, sse->newest};
        cursor_reset_members(&data, route_epoch(route_of(sse)), &reset);
        buf_append_c(&data, '}');
        size_t n = cursor_text(route_epoch(route_of(sse)), sse->start, text);
        control_event(sse, "restante.reset", str_make(text, n), &data);
    }
}

static void begin(struct sse *sse)
{
    struct exchange *ex = sse->ask.ex;
    const struct pickup_start start = {
        .session = &sse->session,
        .cursor = sse->start,
        .page_limit = BATCH_MESSAGES,
        .page_bytes = BATCH_BYTES,
        .transport = "sse",
        .remote = ex->remote,
        .lease_ms = LEASE_KEEPALIVES * conf_of(sse)->server_keepalive,
        .connection = ids_random_u64() | (COMMAND_POLL_CONNECTION + 1),
        .form = FORM_JSON,
    };
    exchange_add_header(ex, "X-Accel-Buffering", STR("no"));
    if (ex->method == METHOD_HEAD) {
        rest_release(&sse->ask);
        exchange_stream_begin(ex, 200, SSE_TYPE);
        exchange_stream_end(ex);
        return;
    }
    say_first(sse);
    int err = sse->out.error;
    if (!err)
        err = pickup_start(ex->worker->route, &start, &ops, sse, &sse->pickup);
    if (err) {
        rest_release(&sse->ask);
        rest_no_memory(ex);
        return;
    }
    sse->streaming = true;
    metric_add(ex->worker->metrics, METRIC_STREAMS, 1);
    ex->on_drain = on_drain;
    exchange_stream_begin(ex, 200, SSE_TYPE);
    write_out(sse);
    arm(sse);
    pickup_proceed(sse->pickup); /* may have ended when it returns */
}

static void on_acked(struct rest_ask *ask, struct unpack *body)
{
    struct sse *sse = (struct sse *)ask;
    (void)body;
    sse->session.acked = sse->start;
    begin(sse);
}

static ssize_t encode_ack(void *arg, struct pack *p)
{
    command_ack_encode(p, arg);
    return 0;
}

static void ack_first(struct sse *sse)
{
    struct command_ack c = {.seq = sse->start};
    memcpy(c.session, sse->session.id, SESSION_ID_SIZE);
    rest_send(sse->ask.ex, &sse->ask, COMMAND_ACK, COMMAND_ACK_SIZE, encode_ack, &c);
}

/* Last-Event-ID, or the query's cursor. 1 given, 0 not, -1 answered. */
static int given_cursor(struct exchange *ex, struct buf *b)
{
    struct str last = exchange_header(ex, "last-event-id");
    if (!last.n)
        return rest_query(ex, "cursor", b);
    if (buf_append_str(b, last) == 0)
        return 1;
    exchange_problem(ex, CODE_BAD_REQUEST, 0, "Last-Event-ID: not a cursor");
    return -1;
}

static bool read_start(struct sse *sse, bool *ret_given)
{
    struct exchange *ex = sse->ask.ex;
    char memory[2 * CURSOR_TEXT];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = given_cursor(ex, &b);
    *ret_given = false;
    sse->start = pickup_begin(&sse->session);
    if (found <= 0)
        return found == 0;
    struct cursor_reset reset;
    switch (rest_cursor_judge(ex, &sse->session, buf_str(&b), &sse->start, &reset)) {
    case REST_CURSOR_OURS:
        *ret_given = true;
        return true;
    case REST_CURSOR_RESET:
        sse->reason = reset.reason;
        sse->start = reset.oldest;
        sse->newest = reset.newest;
        return true;
    default:
        return false;
    }
}

static void open_stream(struct sse *sse)
{
    struct exchange *ex = sse->ask.ex;
    struct pickup_query query;
    bool given;
    if (!pickup_query(ex, &query) || !read_start(sse, &given)) {
        rest_release(&sse->ask);
        return;
    }
    /* Who asks from there has it; what lies before the session's start is nobody's. */
    if (given && sse->start > sse->session.start_seq)
        route_touch(ex->worker->route, &sse->session, sse->start);
    if (query.ack && given && sse->start > sse->session.acked)
        ack_first(sse);
    else
        begin(sse);
}

bool sse_wanted(const struct exchange *ex)
{
    unsigned events = exchange_accepts(ex, SSE_TYPE);
    return events > exchange_accepts(ex, JSON_TYPE) && events > exchange_accepts(ex, MSGPACK_TYPE);
}

void sse_body(struct exchange *ex)
{
    struct session_copy copy;
    int err = rest_session_find(ex, &copy);
    if (err == -ENOENT)
        exchange_answer(ex, 204, NULL); /* an EventSource does not ask again */
    if (err)
        return;
    session_copy_free(&copy);
    struct sse *sse = calloc(1, sizeof(*sse));
    if (!sse) {
        rest_no_memory(ex);
        return;
    }
    sse->session = copy.s;
    sse->session.subject = sse->session.name = str_make(NULL, 0);
    sse->session.attributes = sse->session.claims = str_make(NULL, 0);
    sse->ask = (struct rest_ask){.on_done = on_acked, .release = release};
    buf_init(&sse->out, EXCHANGE_ANSWER_MAX);
    rest_wait(ex, &sse->ask);
    open_stream(sse);
}
