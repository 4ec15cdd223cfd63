/* pickup_harness - a client that takes what a pick-up hands out, and remembers it. */
#ifndef TESTS_UNIT_WORKER_PICKUP_HARNESS_H
#define TESTS_UNIT_WORKER_PICKUP_HARNESS_H

#include "route_harness.h"

#define SEEN_MAX 4096

struct client {
    struct pickup *p;
    uint64_t seq[SEEN_MAX], prev[SEEN_MAX], stream[SEEN_MAX];
    uint16_t flags[SEEN_MAX];
    char last[64];
    size_t n, mark;     /* mark: n at the last pause */
    size_t room;        /* PICKUP_FULL at so many; 0 never */
    size_t refuse_from; /* PICKUP_REFUSED from so many on; 0 never */
    unsigned pauses, truncated, undone, ends;
    uint64_t cursor;
    bool more, stop;
    enum code code;
    char lost_stream[32]; /* of the last truncation */
    uint64_t lost_from, lost_to;
};

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str json)
{
    struct client *c = arg;
    assert_true(stream >= 1);
    assert_true(json.n > 2 && json.p[0] == '{' && json.p[json.n - 1] == '}');
    if (c->refuse_from && c->n >= c->refuse_from)
        return PICKUP_REFUSED;
    c->seq[c->n] = m->seq;
    c->stream[c->n] = stream;
    c->prev[c->n] = m->prev;
    c->flags[c->n++] = m->flags;
    snprintf(c->last, sizeof(c->last), "%.*s", (int)m->payload.n, m->payload.p);
    return c->room && c->n >= c->room ? PICKUP_FULL : PICKUP_TAKEN;
}

static void on_truncated(void *arg, const struct pickup_lost *lost, size_t n)
{
    struct client *c = arg;
    assert_int_equal(n, 1);
    snprintf(c->lost_stream, sizeof(c->lost_stream), "%.*s", (int)lost->stream.n, lost->stream.p);
    c->lost_from = lost->from;
    c->lost_to = lost->to;
    c->truncated++;
}

static void on_undo(void *arg)
{
    struct client *c = arg;
    c->n = c->mark;
    c->undone++;
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    struct client *c = arg;
    c->pauses++;
    c->cursor = cursor;
    c->more = more;
    c->mark = c->n;
    if (c->stop) {
        pickup_stop(c->p);
        c->p = NULL;
    }
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    struct client *c = arg;
    c->ends++;
    c->code = code;
    c->cursor = cursor;
    c->p = NULL;
}

HARNESS_UNUSED static const struct pickup_ops ops = {
    .on_message = on_message,
    .on_truncated = on_truncated,
    .on_undo = on_undo,
    .on_pause = on_pause,
    .on_end = on_end,
};

HARNESS_UNUSED static void start_at(struct client *c, int session, uint64_t cursor, size_t limit)
{
    const struct pickup_start s = {.session = &F.session[session],
                                   .cursor = cursor,
                                   .page_limit = limit,
                                   .page_bytes = 1 << 20};
    assert_int_equal(pickup_start(F.route, &s, &ops, c, &c->p), 0);
}

HARNESS_UNUSED static void start(struct client *c, uint64_t cursor)
{
    start_at(c, 0, cursor, 100);
}

HARNESS_UNUSED static void fill(uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        char text[24];
        snprintf(text, sizeof(text), "m%llu", (unsigned long long)seq);
        store_put(1, seq, seq - 1, text);
    }
}

HARNESS_UNUSED static void assert_run(const struct client *c, uint64_t from, uint64_t to)
{
    assert_int_equal(c->n, to - from + 1);
    for (uint64_t seq = from; seq <= to; seq++)
        assert_int_equal(c->seq[seq - from], seq);
}

#define T(f) cmocka_unit_test_setup_teardown(f, harness_open, harness_close)

#endif
