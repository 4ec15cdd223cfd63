/* route_call - commands into the inbox ring, completions out of the reply ring (rule 3).
 *
 * A command reserves the bytes of its largest completion before it becomes visible, so the writer
 * never waits for a worker: what is open fills at most half the reply ring, the other half is left
 * to the completions of a predecessor. Completions come in the order of the commands, so what is
 * open lies in a window of ids that is indexed directly. A command whose asker gave up, or whose
 * time is over, keeps its reservation until its completion has come.
 */
#include "worker/route_priv.h"

#include "common/killpoint.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define CALLS_FIRST 64    /* room for open commands to begin with */
#define CALLS_A_TURN 1024 /* completions handed out before the network is served */
#define COMPLETION_MIN (RING_HEADER + sizeof(struct completion_header))

static struct route_call **call_at(struct calls *c, uint64_t id)
{
    return &c->open[id & (c->cap - 1)];
}

/* The open call of this id, or NULL. */
static struct route_call *call_find(struct calls *c, uint64_t id)
{
    return id >= c->first && id < c->next ? *call_at(c, id) : NULL;
}

/* Room for one more id, and a struct for it. 0, -EAGAIN, -ENOMEM. */
static int make_room(struct calls *c)
{
    if (c->next - c->first == c->cap) {
        /* Reservations bound what is open; this bounds what one lost completion could cost. */
        if (c->cap * COMPLETION_MIN > c->reserve_max)
            return -EAGAIN;
        size_t cap = c->cap * 2;
        struct route_call **open = calloc(cap, sizeof(*open));
        if (!open)
            return -ENOMEM;
        for (uint64_t id = c->first; id < c->next; id++)
            open[id & (cap - 1)] = *call_at(c, id);
        free(c->open);
        c->open = open;
        c->cap = cap;
    }
    if (!c->spare)
        c->spare = calloc(1, sizeof(*c->spare));
    return c->spare ? 0 : -ENOMEM;
}

static void call_close(struct calls *c, struct route_call *call)
{
    *call_at(c, call->id) = NULL;
    call->next = c->spare;
    c->spare = call;
    while (c->first < c->next && !*call_at(c, c->first))
        c->first++;
    if (c->timed < c->first)
        c->timed = c->first;
}

static void call_unknown(struct route *r, struct route_call *call)
{
    route_done_f *done = call->done;
    if (!done)
        return;
    call->done = NULL;
    metric_add(route_metrics(r), METRIC_COMMANDS_UNKNOWN, 1);
    done(call->arg, CODE_UNAVAILABLE, true, NULL);
}

/* The ring holds what no writer of ours puts there. What was in it is lost, and nothing can be told
 * about the commands that were open: their outcome is unknown. The worker lives on. */
static void reply_garbage(struct route *r)
{
    struct calls *c = &r->calls;
    log_event(LOG_ERROR, "reply_ring_garbage", LOG_U("position", c->reply_pos),
              LOG_U("open", c->next - c->first));
    c->reply_pos = ring_head(r->parts.reply);
    ring_release(r->parts.reply, c->reply_pos);
    uint64_t end = c->next;
    for (uint64_t id = c->first; id < end; id++) {
        struct route_call *call = call_find(c, id);
        if (!call)
            continue;
        call_unknown(r, call);
        c->reserved -= call->reserved;
        call_close(c, call);
    }
}

/* One completion, and the reservation that ends with it. False: no such record can be. */
static bool complete(struct route *r, const void *record, size_t len, uint64_t *ret_reserved)
{
    struct calls *c = &r->calls;
    struct completion_header h;
    if (len < sizeof(h))
        return false;
    memcpy(&h, record, sizeof(h));
    struct route_call *call = h.generation == r->parts.generation ? call_find(c, h.id) : NULL;
    if (!call) {
        metric_add(route_metrics(r), METRIC_COMPLETIONS_STALE, 1);
        *ret_reserved = 0;
        return true;
    }
    *ret_reserved = call->reserved;
    route_done_f *done = call->done;
    void *arg = call->arg;
    call_close(c, call);
    if (done) {
        struct unpack body =
            unpack_from((const unsigned char *)record + sizeof(h), len - sizeof(h));
        done(arg, h.code < CODE_COUNT ? (enum code)h.code : CODE_INTERNAL, false, &body);
    }
    return true;
}

/* Encodes one record at the inbox's head. 0 with the completion's bytes in *ret_reply. */
static int put_command(struct route *r, enum command_type type, uint64_t id, size_t size_max,
                       route_encode_f *encode, void *arg, uint64_t *ret_head, size_t *ret_reply)
{
    const struct ring *ring = r->parts.inbox;
    struct command_header h = {.type = type, .generation = r->parts.generation, .id = id};
    uint64_t head = r->calls.inbox_head;
    void *at;
    int err = ring_prepare(ring, &head, sizeof(h) + size_max, &at);
    if (err)
        return err == -ENOSPC ? -EAGAIN : err;
    KILLPOINT("command_reserved");

    memcpy(at, &h, sizeof(h));
    struct pack p = pack_into((unsigned char *)at + sizeof(h), size_max);
    ssize_t reply = encode(arg, &p);
    if (reply < 0)
        return (int)reply;
    must(!p.bad);
    KILLPOINT("command_encoded");

    /* size_max was a bound; the record ends where the members do. A shorter one may fit before the
     * end of the ring where the bound did not: then it moves there. */
    size_t len = sizeof(h) + pack_len(&p);
    head = r->calls.inbox_head;
    void *final;
    must(ring_prepare(ring, &head, len, &final) == 0);
    if (final != at)
        memmove(final, at, len);
    *ret_head = head;
    *ret_reply = (size_t)reply;
    return 0;
}

static void publish(struct route *r, uint64_t head)
{
    KILLPOINT("command_prepared");
    r->calls.inbox_head = head;
    ring_publish(r->parts.inbox, head);
    KILLPOINT("command_published");
    r->calls.ring_due = true;
    metric_add(route_metrics(r), METRIC_COMMANDS, 1);
}

static int refused(struct route *r, int err)
{
    if (err == -EAGAIN)
        metric_add(route_metrics(r), METRIC_COMMANDS_REFUSED, 1);
    return err;
}

int calls_open(struct route *r)
{
    struct calls *c = &r->calls;
    c->cap = CALLS_FIRST;
    c->open = calloc(c->cap, sizeof(*c->open));
    if (!c->open)
        return -ENOMEM;
    c->first = c->next = c->timed = 1;
    c->reserve_max = r->parts.reply->size / 2;
    c->inbox_head = ring_head(r->parts.inbox);
    c->reply_pos = ring_tail(r->parts.reply);
    return 0;
}

void calls_close(struct route *r)
{
    struct calls *c = &r->calls;
    for (uint64_t id = c->first; c->open && id < c->next; id++)
        free(*call_at(c, id));
    free(c->open);
    while (c->spare) {
        struct route_call *call = c->spare;
        c->spare = call->next;
        free(call);
    }
    *c = (struct calls){0};
}

bool calls_proceed(struct route *r)
{
    struct calls *c = &r->calls;
    for (int i = 0; i < CALLS_A_TURN; i++) {
        const void *record;
        size_t len;
        uint64_t pos = c->reply_pos, reserved;
        int got = ring_next(r->parts.reply, &pos, &record, &len);
        if (got == 0)
            return false;
        if (got < 0 || !complete(r, record, len, &reserved)) {
            reply_garbage(r);
            return false;
        }
        /* Only now: the callback read from the ring. */
        c->reply_pos = pos;
        ring_release(r->parts.reply, pos);
        c->reserved -= reserved;
    }
    return true;
}

void calls_tick(struct route *r)
{
    struct calls *c = &r->calls;
    uint64_t now = route_boot_ms(r), end = c->next;
    while (c->timed < end) {
        struct route_call *call = call_find(c, c->timed);
        if (call && call->deadline_ms > now)
            return;
        c->timed++;
        if (call)
            call_unknown(r, call);
    }
}

int route_command(struct route *r, enum command_type type, size_t size_max, route_encode_f *encode,
                  void *encode_arg, route_done_f *done, void *arg, struct route_call **ret)
{
    struct calls *c = &r->calls;
    if (!atomic_load(&r->parts.board->writer_ready))
        return -ESHUTDOWN;
    if (c->reserved >= c->reserve_max)
        return refused(r, -EAGAIN);
    int err = make_room(c);
    if (err)
        return refused(r, err);

    uint64_t head;
    size_t reply;
    err = put_command(r, type, c->next, size_max, encode, encode_arg, &head, &reply);
    if (err)
        return refused(r, err);
    uint64_t bytes = ring_need(sizeof(struct completion_header) + reply);
    if (bytes > c->reserve_max)
        return -EMSGSIZE;
    if (c->reserved + bytes > c->reserve_max)
        return refused(r, -EAGAIN);

    struct route_call *call = c->spare;
    c->spare = call->next;
    *call = (struct route_call){
        .id = c->next++,
        .deadline_ms = route_boot_ms(r) + r->parts.conf->publish_timeout,
        .reserved = bytes,
        .done = done,
        .arg = arg,
    };
    *call_at(c, call->id) = call;
    c->reserved += bytes;
    publish(r, head);
    *ret = call;
    return 0;
}

void route_ring(struct route *r)
{
    if (!r->calls.ring_due)
        return;
    r->calls.ring_due = false;
    bell_ring(r->parts.writer_bell);
}

void route_forget(struct route *r, struct route_call *call)
{
    (void)r;
    call->done = NULL;
}

int route_notify(struct route *r, enum command_type type, size_t size_max, route_encode_f *encode,
                 void *encode_arg)
{
    uint64_t head;
    size_t reply;
    int err = put_command(r, type, 0, size_max, encode, encode_arg, &head, &reply);
    if (err)
        return refused(r, err);
    publish(r, head);
    return 0;
}
