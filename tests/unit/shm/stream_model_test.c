/* stream_model_test - random operations on streams against a model that keeps everything in a list.
 *
 * The model knows no heads, tallies, queues or reclaiming: only what each message is by now, and
 * the rules of retention. After each transaction heads are compared, and pages and receipts read
 * at random; aborted transactions must leave no trace; the walker runs now and then and at the end.
 * MODEL_SEED repeats a run, MODEL_STEPS makes it longer. The runs of the tally are made short, so
 * that streams have many.
 */
#define STREAM_RUN 8
#include "shm/stream_tally.c" /* with that run: the archive's member is not linked */

#include "shm/expiry.h"
#include "shm/page.h"
#include "shm/session.h"
#include "shm/topic.h"
#include "shm/verify.h"
#include "tests/unit/shm/store_fixture.h"
#include "tests/unit/shm/stream_model.h"

#include <inttypes.h>

#define TOPIC_IDLE_MS (1u << 30) /* longer than any run: topics stay */

struct run_state {
    struct fixture *f;
    struct model *now, *saved;
    uint64_t random;
};

static uint64_t dice(struct run_state *r, uint64_t n)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (r->random >> 11) % n;
}

/* --- operations, on both --- */

static void new_session(struct run_state *r, unsigned at)
{
    struct fixture *f = r->f;
    struct model_stream *s = &r->now->stream[at];
    struct session row = {.created_ms = f->now_ms,
                          .expires_ms = f->now_ms + (1u << 30),
                          .ttl_ms = 1u << 30,
                          .start_seq = f->meta.last_seq,
                          .subject = STR("model"),
                          .name = at == 0 ? STR("first") : str_make(NULL, 0),
                          .attributes = STR("{}")};
    memset(s, 0, sizeof(*s));
    s->mailbox = true;
    key_u64(s->session, at);
    key_u64(s->session + 8, ++r->now->sessions_made);
    memcpy(row.id, s->session, SESSION_ID_SIZE);
    assert_int_equal(session_create(f->txn, &row), 0);
    s->id = row.stream;
}

static const uint8_t READER[READERS][SESSION_ID_SIZE] = {{0xaa}, {0xbb}};

static struct str except_of(const struct note *n, uint8_t buf[sizeof(READER)])
{
    size_t len = 0;
    for (unsigned i = 0; i < READERS; i++)
        if (n->except & 1u << i)
            memcpy(buf + SESSION_ID_SIZE * len++, READER[i], SESSION_ID_SIZE);
    return str_make(buf, len * SESSION_ID_SIZE);
}

static void op_append(struct run_state *r, unsigned at)
{
    uint8_t except[sizeof(READER)];
    static const char text[600];
    struct fixture *f = r->f;
    struct model_stream *s = &r->now->stream[at];
    if (s->n == MESSAGES_MAX)
        return;
    struct note n = {.seq = r->now->last_seq + 1 + dice(r, 2),
                     .time_ms = f->now_ms,
                     .bytes = (uint32_t)(dice(r, 10) == 0 ? dice(r, 600) : dice(r, 60)),
                     .key = (uint8_t)(dice(r, 4) == 0 ? 1 + dice(r, KEYS) : 0)};
    if (dice(r, 3) == 0)
        n.expires_ms = f->now_ms + 1 + dice(r, dice(r, 2) ? 3000 : 100000);
    if (at >= MAILBOXES && dice(r, 3) == 0)
        n.except = (uint8_t)(1 + dice(r, (1 << READERS) - 1));
    char key[2] = {(char)('a' + n.key), 0};
    struct message m = {.seq = n.seq,
                        .time_ms = n.time_ms,
                        .expires_ms = n.expires_ms,
                        .flags = MESSAGE_TEXT,
                        .except = except_of(&n, except),
                        .collapse = n.key ? str_of(key) : str_make(NULL, 0),
                        .payload = str_make(text, n.bytes)};
    unsigned budget = (unsigned)dice(r, 4), had = budget;
    int rc = stream_append(f->txn, s->id, &m, &LIMITS[at], f->now_ms, &budget);
    bool stored = model_append(s, &LIMITS[at], n, f->now_ms, had);
    assert_int_equal(rc, stored ? 0 : CODE_MAILBOX_FULL);
    if (!stored)
        return;
    r->now->last_seq = f->meta.last_seq = n.seq;
    assert_int_equal(m.prev, s->note[s->n - 1].prev);
    assert_int_equal((m.flags & MESSAGE_SKIPPED) != 0, s->note[s->n - 1].skipped);
}

static void op_ack(struct run_state *r, unsigned at)
{
    struct fixture *f = r->f;
    struct model_stream *s = &r->now->stream[at];
    uint64_t had = model_count(s), removed = 0;
    uint64_t seq = dice(r, 4) == 0 ? f->meta.last_seq : s->floor + dice(r, s->last - s->floor + 2);
    unsigned budget = (unsigned)dice(r, 5);
    if (!s->mailbox || seq > f->meta.last_seq)
        return;
    struct session row;
    assert_int_equal(session_get(f->txn, s->session, &row), 0);
    if (seq > row.acked) {
        row.acked_prev = s->acked_prev = row.acked;
        row.acked = s->acked = seq;
        row.acked_ms = f->now_ms;
        if (seq > row.delivered) {
            row.delivered_prev = row.delivered;
            row.delivered = s->delivered = seq;
        }
        assert_int_equal(session_put(f->txn, &row), 0);
        assert_int_equal(stream_ack(f->txn, s->id, seq, f->now_ms, &LIMITS[at], &budget, &removed),
                         0);
        model_ack(s, &LIMITS[at], seq, f->now_ms);
    }
    assert_int_equal(removed, had - model_count(s));
}

static void op_empty(struct run_state *r, unsigned at)
{
    struct model_stream *s = &r->now->stream[at];
    unsigned budget = (unsigned)dice(r, 5);
    if (s->mailbox)
        return;
    assert_int_equal(stream_empty(r->f->txn, s->id, &budget), 0);
    for (unsigned i = 0; i < s->n; i++)
        if (s->note[i].fate == ALIVE)
            s->note[i].fate = ACKED;
    s->floor = s->last;
}

static void op_drop(struct run_state *r, unsigned at)
{
    struct model_stream *s = &r->now->stream[at];
    unsigned budget = (unsigned)dice(r, 5);
    struct session row;
    uint64_t topics;
    if (!s->mailbox || dice(r, 20) != 0)
        return;
    assert_int_equal(session_get(r->f->txn, s->session, &row), 0);
    assert_int_equal(session_remove(r->f->txn, &row, r->f->now_ms, TOPIC_IDLE_MS, &budget, &topics),
                     0);
    new_session(r, at);
}

static unsigned place_of(struct run_state *r, uint64_t id)
{
    for (unsigned i = 0; i < STREAMS; i++)
        if (r->now->stream[i].id == id)
            return i;
    return STREAMS;
}

static void swept_message(struct run_state *r, unsigned at, const struct expiry_row *row)
{
    struct fixture *f = r->f;
    struct model_stream *s = &r->now->stream[at];
    bool removed = true;
    struct note *m = model_find(s, key_u64_get(row->id + 8));
    assert_non_null(m);
    bool due = m->fate == ALIVE && m->expires_ms <= f->now_ms;
    assert_int_equal(stream_expire_message(f->txn, s->id, m->seq, f->now_ms, &LIMITS[at], &removed),
                     0);
    assert_int_equal(removed, due);
    if (removed)
        model_gone(s, m, fate_by(m, f->now_ms, LIMITS[at].age_ms));
}

static void op_sweep(struct run_state *r)
{
    struct fixture *f = r->f;
    struct expiry_row row;
    for (unsigned i = 0; i < 6 && expiry_take(f->txn, f->now_ms, &row) == 0; i++) {
        uint64_t id = key_u64_get(row.id);
        unsigned at = place_of(r, id), budget = 1 + (unsigned)dice(r, 6), had = budget;
        int rc = 0;
        if (row.kind == EXPIRE_RECLAIM) {
            rc = stream_reclaim(f->txn, id, &budget);
        } else if (at == STREAMS) {
            continue; /* of a dropped stream */
        } else if (row.kind == EXPIRE_MESSAGE) {
            swept_message(r, at, &row);
        } else if (row.kind == EXPIRE_RECEIPTS) {
            rc = stream_expire_receipts(f->txn, id, f->now_ms, &LIMITS[at], &budget);
        } else if (row.kind == EXPIRE_AGE) {
            rc = stream_expire_age(f->txn, id, f->now_ms, &LIMITS[at], &budget);
            model_cut(&r->now->stream[at], &LIMITS[at], f->now_ms, had);
        }
        assert_int_equal(rc, 0);
    }
}

static void step(struct run_state *r)
{
    unsigned at = (unsigned)dice(r, STREAMS);
    uint64_t d = dice(r, 100);
    if (d < 62)
        op_append(r, at);
    else if (d < 72)
        op_ack(r, at);
    else if (d < 92)
        op_sweep(r);
    else if (d < 94)
        op_empty(r, at);
    else
        op_drop(r, at);
}

/* --- comparing --- */

static void compare_heads(struct run_state *r, struct txn *t)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        const struct model_stream *s = &r->now->stream[i];
        struct stream_head h;
        assert_int_equal(stream_head(t, s->id, &h), 0);
        assert_int_equal(h.count, model_count(s));
        assert_int_equal(h.bytes, model_bytes(s));
        assert_int_equal(h.with_ttl, model_ttls(s));
        assert_int_equal(h.last, s->last);
        assert_int_equal(h.floor, s->floor);
        assert_int_equal(h.trimmed, s->trimmed);
    }
}

struct expected {
    uint64_t stream, seq, prev;
    bool skipped;
};

struct reading {
    struct expected want[STREAMS * MESSAGES_MAX];
    size_t n, at;
};

static int by_seq(const void *a, const void *b)
{
    const struct expected *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool on_message(void *arg, uint64_t stream, const struct message *m)
{
    struct reading *g = arg;
    assert_true(g->at < g->n);
    const struct expected *want = &g->want[g->at++];
    assert_int_equal(m->seq, want->seq);
    assert_int_equal(stream, want->stream);
    assert_int_equal(m->prev, want->prev);
    assert_int_equal((m->flags & MESSAGE_SKIPPED) != 0, want->skipped);
    return m->seq % 13 != 0; /* stop now and then */
}

static bool is_for(const struct run_state *r, const struct model_stream *s, const struct note *m,
                   uint64_t age_ms, unsigned reader)
{
    return model_visible(s, m, r->f->now_ms, age_ms) && !(m->except & 1u << reader);
}

static void expect_stream(struct run_state *r, struct reading *g, unsigned at,
                          const struct page_source *src, uint64_t cursor, unsigned reader)
{
    struct model_stream *s = &r->now->stream[at];
    uint64_t had = cursor > src->join ? cursor : src->join;
    for (unsigned i = 0; i < s->n; i++) {
        const struct note *m = &s->note[i], *prev = model_find(s, m->prev);
        if (m->seq <= had || !is_for(r, s, m, src->age_ms, reader))
            continue;
        bool hole =
            m->prev > src->join && m->prev > s->trimmed && !is_for(r, s, prev, src->age_ms, reader);
        g->want[g->n++] = (struct expected){s->id, m->seq, m->prev, hole || m->skipped};
    }
}

/* A pick-up of one mailbox and some topics, in pages of random size, from a random cursor. */
static void compare_page(struct run_state *r, struct txn *t, struct reading *g)
{
    static struct page p;
    struct page_source src[3];
    struct page_lost lost[3], told[3];
    size_t n = 0, nlost = 0;
    unsigned reader = (unsigned)dice(r, READERS + 1); /* the last is nobody */
    uint64_t cursor = dice(r, r->now->last_seq + 2);
    g->n = g->at = 0;
    memset(&p, 0, sizeof(p));
    for (unsigned i = 0; i < 3; i++) {
        unsigned at = i == 0 ? (unsigned)dice(r, MAILBOXES) : MAILBOXES + i - 1;
        const struct model_stream *s = &r->now->stream[at];
        uint64_t join = at < MAILBOXES ? s->acked : dice(r, 2) * dice(r, s->last + 1);
        if (i > 0 && dice(r, 2))
            continue;
        src[n] = (struct page_source){s->id, join, LIMITS[at].age_ms};
        expect_stream(r, g, at, &src[n], cursor, reader);
        uint64_t had = cursor > join ? cursor : join;
        if (had < s->trimmed)
            lost[nlost++] = (struct page_lost){s->id, had + 1, s->trimmed};
        n++;
    }
    qsort(g->want, g->n, sizeof(g->want[0]), by_seq);
    p.lost = told;
    p.session = reader < READERS ? READER[reader] : NULL;
    p.cursor = cursor;
    p.sources = src;
    p.nsources = n;
    p.now_ms = r->f->now_ms;
    p.on_message = on_message;
    p.arg = g;
    for (bool first = true;; first = false) {
        size_t before = g->at;
        p.limit = 1 + dice(r, 30);
        p.max_bytes = dice(r, 500);
        assert_int_equal(page_read(t, &p), 0);
        assert_int_equal(p.ret_count, g->at - before);
        assert_true(p.ret_count <= p.limit);
        if (first) {
            assert_int_equal(p.nlost, nlost);
            assert_memory_equal(told, lost, nlost * sizeof(lost[0]));
        }
        p.cursor = p.ret_cursor;
        p.high = p.ret_high;
        if (!p.ret_more)
            break;
        assert_true(p.ret_count > 0);
        assert_int_equal(p.ret_cursor, g->want[g->at - 1].seq);
    }
    assert_int_equal(g->at, g->n);
    assert_true(p.ret_cursor >= r->now->last_seq);
}

static enum receipt_state state_of(const struct model_stream *s, const struct note *m,
                                   uint64_t now_ms, uint64_t age_ms)
{
    static const enum receipt_state state[] = {[ACKED] = RECEIPT_ACKED,
                                               [EXPIRED] = RECEIPT_EXPIRED,
                                               [TRIMMED] = RECEIPT_TRIMMED,
                                               [REPLACED] = RECEIPT_REPLACED};
    enum fate fate = m->fate == ALIVE ? fate_by(m, now_ms, age_ms) : (enum fate)m->fate;
    if (fate != ALIVE)
        return state[fate];
    return m->seq <= s->delivered ? RECEIPT_DELIVERED : RECEIPT_STORED;
}

static void compare_receipts(struct run_state *r, struct txn *t)
{
    unsigned at = (unsigned)dice(r, MAILBOXES);
    const struct model_stream *s = &r->now->stream[at];
    struct session row;
    struct stream_head h;
    assert_int_equal(session_get(t, s->session, &row), 0);
    assert_int_equal(stream_head(t, s->id, &h), 0);
    assert_true(!LIMITS[at].messages || h.receipts <= LIMITS[at].messages);
    for (unsigned i = 0; i < 8 && s->n > 0; i++) {
        const struct note *m = &s->note[dice(r, s->n)];
        struct receipt got;
        assert_int_equal(stream_receipt(t, &row, m->seq, r->f->now_ms, LIMITS[at].age_ms, &got), 0);
        enum receipt_state want = state_of(s, m, r->f->now_ms, LIMITS[at].age_ms);
        /* A header that has aged out, or an acked message among such: unknown, never a guess. */
        if (got.state == RECEIPT_UNKNOWN && m->fate != ALIVE && m->seq <= h.receipt_lost)
            continue;
        if (want != got.state)
            print_message("seq %" PRIu64 " of place %u\n", m->seq, at);
        assert_string_equal(receipt_state_text(got.state), receipt_state_text(want));
        if (got.time_ms)
            assert_int_equal(got.time_ms, m->time_ms);
    }
}

static void verify_all(struct txn *t)
{
    struct buf report;
    uint64_t violations = 1;
    buf_init(&report, 1 << 20);
    assert_int_equal(verify_txn(t, &report, &violations), 0);
    if (violations)
        print_message("%.*s", (int)report.len, report.data);
    buf_free(&report);
    assert_int_equal(violations, 0);
}

static void test_random_operations(void **state)
{
    struct run_state r = {.f = *state};
    const char *seed = getenv("MODEL_SEED"), *steps = getenv("MODEL_STEPS");
    struct reading *g = malloc(sizeof(*g));
    unsigned long n = steps ? strtoul(steps, NULL, 0) : 6000;
    r.random = seed ? strtoull(seed, NULL, 0) : (uint64_t)getpid() * 2654435761u + 1;
    print_message("MODEL_SEED=%" PRIu64 " MODEL_STEPS=%lu\n", r.random, n);
    r.now = calloc(1, sizeof(*r.now));
    r.saved = calloc(1, sizeof(*r.saved));
    assert_true(g && r.now && r.saved);

    fixture_write(r.f);
    for (unsigned i = 0; i < MAILBOXES; i++)
        new_session(&r, i);
    for (unsigned i = MAILBOXES; i < STREAMS; i++) {
        char name = (char)('a' + i);
        assert_int_equal(topic_create(r.f->txn, str_make(&name, 1), r.f->now_ms, TOPIC_IDLE_MS,
                                      &r.now->stream[i].id),
                         0);
    }
    fixture_commit(r.f);

    for (unsigned long i = 0; i < n;) {
        struct meta meta = r.f->meta;
        *r.saved = *r.now;
        r.f->now_ms += dice(&r, 3) ? dice(&r, 400) : dice(&r, 9000);
        fixture_write(r.f);
        for (uint64_t ops = 1 + dice(&r, 20); ops > 0; ops--, i++)
            step(&r);
        if (dice(&r, 8) == 0) {
            fixture_abort(r.f);
            *r.now = *r.saved;
            r.f->meta = meta;
        } else {
            fixture_commit(r.f);
        }
        struct txn *t = fixture_read(r.f);
        compare_heads(&r, t);
        compare_page(&r, t, g);
        compare_receipts(&r, t);
        if (dice(&r, 40) == 0)
            verify_all(t);
        fixture_read_done(r.f);
    }
    verify_all(fixture_read(r.f));
    fixture_read_done(r.f);
    free(g);
    free(r.now);
    free(r.saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {fixture_test(test_random_operations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
