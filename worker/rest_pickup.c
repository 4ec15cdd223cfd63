/* rest_pickup - messages by GET: at once, or parked until there are some (long-poll).
 *
 * One path for both: a pick-up fills the answer; at its first pause with something in hand the
 * answer goes out, with nothing in hand a short GET is answered empty and a long-poll stays. The
 * cursor of an answer is that of its last message, so that repeating it is exact and what is gone
 * behind it is judged when the next message comes.
 */
#include "worker/rest_priv.h"

#include "common/units.h"
#include "worker/message_list.h"

#include <stdlib.h>

#define WAIT_MAX_MS 60000
#define LIMIT_DEFAULT 100
#define LIMIT_MAX MESSAGE_LIST_MAX
#define BYTES_DEFAULT (1u << 20) /* of message objects in the answer */
#define BYTES_MAX (64u << 20)

struct poll {
    struct rest_ask ask; /* the ack that came with it, and the state's owner */
    struct pickup *pickup;
    struct wheel_timer timer;
    struct session session; /* without its texts */
    uint64_t start;         /* where it begins */
    uint64_t wait_ms, limit, max_bytes;
    uint64_t bytes; /* of message objects in the answer */
    uint64_t last;  /* seq of the last stored message in it; 0 none */
    struct message_list list;
};

static void release(struct rest_ask *ask)
{
    struct poll *poll = (struct poll *)ask;
    if (poll->pickup)
        pickup_stop(poll->pickup);
    wheel_cancel(&poll->timer);
    message_list_free(&poll->list);
    free(poll);
}

/* --- answers --- */

/* The kernel has it all: now, and only now, it counts as delivered. */
static void on_sent(struct exchange *ex)
{
    struct poll *poll = ex->app;
    if (poll->last && ex->method == METHOD_GET)
        route_touch(ex->worker->route, &poll->session, poll->last);
    rest_release(&poll->ask);
}

static void answer(struct poll *poll, uint64_t cursor, bool more)
{
    struct exchange *ex = poll->ask.ex;
    char text[CURSOR_TEXT];
    if (poll->last)
        cursor = poll->last;
    size_t n = cursor_text(route_epoch(ex->worker->route), cursor, text);
    message_list_end(&poll->list, str_make(text, n), more);
    rest_cursor_header(ex, cursor);
    ex->on_sent = on_sent;
    exchange_answer(ex, 200, ex->encoding == ENCODING_MSGPACK ? MSGPACK_TYPE : JSON_TYPE);
}

static bool has_something(const struct poll *poll)
{
    return poll->list.count || poll->list.nlost;
}

static void answer_nothing(struct poll *poll, uint64_t cursor)
{
    struct exchange *ex = poll->ask.ex;
    rest_release(&poll->ask);
    rest_cursor_header(ex, cursor);
    exchange_answer(ex, 204, NULL);
}

/* --- the pick-up's callbacks --- */

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str object)
{
    struct poll *poll = arg;
    struct message_list *list = &poll->list;
    (void)stream;
    if (list->count == poll->limit || (list->count && object.n > poll->max_bytes - poll->bytes))
        return PICKUP_REFUSED;
    message_list_add(list, object);
    poll->bytes += object.n;
    if (!(m->flags & MESSAGE_EPHEMERAL))
        poll->last = m->seq;
    bool full = list->count == poll->limit || poll->bytes >= poll->max_bytes;
    return full ? PICKUP_FULL : PICKUP_TAKEN;
}

static void on_truncated(void *arg, const struct pickup_lost *lost, size_t n)
{
    struct poll *poll = arg;
    for (size_t i = 0; i < n; i++)
        message_list_lost(&poll->list, lost[i].stream, lost[i].from, lost[i].to);
}

static void on_undo(void *arg)
{
    struct poll *poll = arg;
    message_list_reset(&poll->list);
    poll->bytes = poll->last = 0;
}

static void stop_and_answer(struct poll *poll, uint64_t cursor, bool more)
{
    pickup_stop(poll->pickup);
    poll->pickup = NULL;
    wheel_cancel(&poll->timer);
    answer(poll, cursor, more);
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    struct poll *poll = arg;
    struct exchange *ex = poll->ask.ex;
    if (has_something(poll) || !poll->wait_ms)
        stop_and_answer(poll, cursor, more);
    else if (!ex->parked)
        exchange_park(ex);
}

static void on_wait_over(void *arg)
{
    struct poll *poll = arg;
    uint64_t cursor = pickup_cursor(poll->pickup);
    if (has_something(poll)) /* taken, and its turn to say so has not come yet */
        stop_and_answer(poll, cursor, false);
    else
        answer_nothing(poll, cursor);
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    struct poll *poll = arg;
    struct exchange *ex = poll->ask.ex;
    poll->pickup = NULL;
    if (code == CODE_UNAVAILABLE && ex->worker->draining) {
        answer_nothing(poll, cursor); /* come again, to the next one */
        return;
    }
    rest_release(&poll->ask);
    exchange_problem(ex, code, 0, NULL);
}

static const struct pickup_ops ops = {
    .on_message = on_message,
    .on_truncated = on_truncated,
    .on_undo = on_undo,
    .on_pause = on_pause,
    .on_end = on_end,
};

/* --- requests --- */

static void begin(struct poll *poll)
{
    struct exchange *ex = poll->ask.ex;
    const struct pickup_start start = {
        .session = &poll->session,
        .cursor = poll->start,
        .page_limit = poll->limit,
        .page_bytes = poll->max_bytes,
        .transport = poll->wait_ms ? "poll" : NULL,
        .remote = ex->remote,
        .lease_ms = poll->wait_ms,
        /* Where a session is one client's, who waits for it takes it (rule 15). */
        .connection = poll->wait_ms && ex->worker->conf->exclusive
                          ? ids_random_u64() | (COMMAND_POLL_CONNECTION + 1)
                          : 0,
        .form = ex->encoding == ENCODING_MSGPACK ? FORM_MSGPACK : FORM_JSON,
    };
    if (pickup_start(ex->worker->route, &start, &ops, poll, &poll->pickup) != 0) {
        rest_release(&poll->ask);
        rest_no_memory(ex);
        return;
    }
    if (poll->wait_ms)
        route_timer(ex->worker->route, &poll->timer, poll->wait_ms, on_wait_over, poll);
    pickup_proceed(poll->pickup); /* may have answered when it returns */
}

static void on_acked(struct rest_ask *ask, struct unpack *body)
{
    struct poll *poll = (struct poll *)ask;
    (void)body;
    poll->session.acked = poll->start;
    begin(poll);
}

static ssize_t encode_ack(void *arg, struct pack *p)
{
    command_ack_encode(p, arg);
    return 0;
}

static void ack_first(struct poll *poll)
{
    struct command_ack c = {.seq = poll->start};
    memcpy(c.session, poll->session.id, SESSION_ID_SIZE);
    rest_send(poll->ask.ex, &poll->ask, COMMAND_ACK, COMMAND_ACK_SIZE, encode_ack, &c);
}

static bool read_wait(struct exchange *ex, uint64_t *ret_ms)
{
    char memory[32];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(ex, "wait", &b);
    if (found <= 0)
        return found == 0;
    uint64_t ms;
    if (duration_parse(buf_str(&b), &ms) != 0 || ms > WAIT_MAX_MS) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "query parameter wait: a duration, 0 to 60s");
        return false;
    }
    *ret_ms = ex->worker->draining ? 0 : ms;
    return true;
}

static bool read_cursor(struct exchange *ex, const struct session *s, bool *ret_given,
                        uint64_t *ret_seq)
{
    char memory[2 * CURSOR_TEXT];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(ex, "cursor", &b);
    *ret_given = found == 1;
    if (found < 0)
        return false;
    if (found == 1)
        return rest_cursor(ex, s, buf_str(&b), ret_seq);
    *ret_seq = pickup_begin(s);
    return true;
}

uint64_t pickup_begin(const struct session *s)
{
    return s->acked > s->start_seq ? s->acked : s->start_seq;
}

bool pickup_query(struct exchange *ex, struct pickup_query *ret)
{
    *ret = (struct pickup_query){.limit = LIMIT_DEFAULT, .max_bytes = BYTES_DEFAULT};
    return read_wait(ex, &ret->wait_ms) && rest_query_u64(ex, "limit", 1, LIMIT_MAX, &ret->limit) &&
           rest_query_u64(ex, "max_bytes", 1, BYTES_MAX, &ret->max_bytes) &&
           rest_query_flag(ex, "ack", &ret->ack);
}

static bool read_request(struct exchange *ex, struct poll *poll, bool *ret_ack)
{
    struct pickup_query query;
    bool given;
    if (!pickup_query(ex, &query) || !read_cursor(ex, &poll->session, &given, &poll->start))
        return false;
    poll->wait_ms = query.wait_ms;
    poll->limit = query.limit;
    poll->max_bytes = query.max_bytes;
    /* Who asks from there has it; what lies before the session's start is nobody's. */
    if (given && poll->start > poll->session.start_seq)
        route_touch(ex->worker->route, &poll->session, poll->start);
    *ret_ack = query.ack && given && poll->start > poll->session.acked;
    return true;
}

void pickup_body(struct exchange *ex)
{
    if (sse_wanted(ex)) {
        sse_body(ex);
        return;
    }
    struct session_copy copy;
    if (!rest_session(ex, &copy))
        return;
    session_copy_free(&copy);
    struct poll *poll = calloc(1, sizeof(*poll));
    if (!poll) {
        rest_no_memory(ex);
        return;
    }
    poll->session = copy.s;
    poll->session.subject = poll->session.name = str_make(NULL, 0);
    poll->session.attributes = poll->session.claims = str_make(NULL, 0);
    poll->ask = (struct rest_ask){.on_done = on_acked, .release = release};
    message_list_init(&poll->list, &ex->out_body, ex->encoding);
    rest_wait(ex, &poll->ask);
    bool ack;
    if (!read_request(ex, poll, &ack))
        rest_release(&poll->ask);
    else if (ack)
        ack_first(poll);
    else
        begin(poll);
}
