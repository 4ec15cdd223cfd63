/* page - merging a session's streams in seq order.
 *
 * Each source is known by the seq of its next entry; the smallest is read on, with the one cursor
 * of DB_LOG, until another source is smaller. Everything decided here (visible, skipped, lost) is
 * decided from what the store holds in this one transaction, so a page asked for again says the
 * same.
 */
#include <errno.h>

#include "common/log.h"

#include "shm/meta.h"
#include "shm/page.h"
#include "shm/stream_priv.h"

struct source {
    const struct page_source *in;
    struct stream_head head;
    uint64_t next;   /* seq of its next entry */
    uint64_t handed; /* the last one handed out in this page; 0 none */
};

struct merge {
    struct txn *txn;
    struct page *page;
    uint64_t high;
    struct source source[PAGE_SOURCES];
    unsigned heap[PAGE_SOURCES]; /* of indices, smallest next first */
    unsigned n;
    size_t limit, count, bytes, walked;
    uint64_t last;   /* the last one handed out, of any source */
    uint64_t passed; /* everything up to here was handed out or passed over */
    size_t nlost;
};

static uint64_t next_of(const struct merge *g, unsigned at)
{
    return g->source[g->heap[at]].next;
}

static void heap_swap(struct merge *g, unsigned a, unsigned b)
{
    unsigned was = g->heap[a];
    g->heap[a] = g->heap[b];
    g->heap[b] = was;
}

static void heap_add(struct merge *g, unsigned index)
{
    unsigned at = g->n++;
    g->heap[at] = index;
    for (; at > 0 && next_of(g, at) < next_of(g, (at - 1) / 2); at = (at - 1) / 2)
        heap_swap(g, at, (at - 1) / 2);
}

static void heap_sink(struct merge *g)
{
    for (unsigned at = 0;;) {
        unsigned least = at;
        for (unsigned child = 2 * at + 1; child <= 2 * at + 2 && child < g->n; child++)
            if (next_of(g, child) < next_of(g, least))
                least = child;
        if (least == at)
            return;
        heap_swap(g, at, least);
        at = least;
    }
}

static void heap_drop(struct merge *g)
{
    g->heap[0] = g->heap[--g->n];
    heap_sink(g);
}

/* The first entry of s at or after seq, by a new place of the cursor. -ENOENT: none. */
static int place(struct merge *g, const struct source *s, uint64_t seq, struct message *ret)
{
    unsigned char key[KEY_STREAM];
    struct row row;
    int rc = txn_seek(g->txn, DB_LOG, key_stream(key, s->in->stream, seq), &row);
    return rc < 0 ? rc : entry_message(row, s->in->stream, ret);
}

static uint64_t largest(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t most = a > b ? a : b;
    return most > c ? most : c;
}

/* Looks where a source begins; it joins the merge if it has anything. */
static int source_begin(struct merge *g, unsigned index)
{
    const struct page *p = g->page;
    struct source *s = &g->source[index];
    struct message m;
    s->in = &p->sources[index];
    s->handed = 0;
    int rc = stream_head(g->txn, s->in->stream, &s->head);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc; /* the stream is gone: nothing to read */
    uint64_t had = p->cursor > s->in->join ? p->cursor : s->in->join;
    uint64_t trimmed = s->head.trimmed < g->high ? s->head.trimmed : g->high;
    if (had < trimmed)
        p->lost[g->nlost++] =
            (struct page_lost){.stream = s->in->stream, .from = had + 1, .to = trimmed};
    uint64_t from = largest(p->cursor, s->in->join, s->head.floor);
    if (s->head.count == 0 || s->head.last <= from)
        return 0;
    rc = place(g, s, from + 1, &m);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (m.seq > g->high)
        return 0;
    s->next = m.seq;
    heap_add(g, index);
    return 0;
}

/* Whether this reader is to get m. */
static bool is_for(const struct merge *g, const struct source *s, const struct message *m)
{
    const struct page *p = g->page;
    return stream_visible(&s->head, m, p->now_ms, s->in->age_ms) &&
           !(p->session && message_excepts(m, p->session));
}

/* Whether prev, which this reader must have seen or be told about, is no longer there, or never was
 * for it (rule 7). 1, 0, or a store error. */
static int prev_is_gone(struct merge *g, const struct source *s, const struct message *m)
{
    unsigned char key[KEY_STREAM];
    struct message prev;
    if (m->prev == 0 || m->prev == s->handed)
        return 0;
    if (m->prev <= s->in->join || m->prev <= s->head.trimmed)
        return 0;
    struct row row = {.key = key_stream(key, s->in->stream, m->prev)};
    int rc = txn_get(g->txn, DB_LOG, row.key, &row.value);
    if (rc == 0)
        rc = entry_message(row, s->in->stream, &prev);
    if (rc == -ENOENT)
        return 1;
    if (rc < 0)
        return rc;
    return !is_for(g, s, &prev);
}

enum step { STEP_ON, STEP_FULL };

static bool has_room(const struct merge *g, const struct message *m)
{
    if (g->count >= g->limit)
        return false;
    return g->count == 0 || g->bytes + m->payload.n <= g->page->max_bytes;
}

static int hand_out(struct merge *g, struct source *s, struct message *m)
{
    if (!is_for(g, s, m)) {
        if (g->walked++ >= PAGE_WALK)
            return STEP_FULL;
        g->passed = m->seq;
        return STEP_ON;
    }
    if (!has_room(g, m)) {
        g->passed = g->last;
        return STEP_FULL;
    }
    int gone = prev_is_gone(g, s, m);
    if (gone < 0)
        return gone;
    if (gone)
        m->flags |= MESSAGE_SKIPPED;
    bool on = g->page->on_message(g->page->arg, s->in->stream, m);
    g->count++;
    g->bytes += m->payload.n;
    g->passed = g->last = s->handed = m->seq;
    /* Stopped is full from here on: what is visible after this one says whether there is more. */
    if (!on)
        g->limit = g->count;
    return STEP_ON;
}

/* Reads the smallest source on until another is smaller. */
static int read_run(struct merge *g)
{
    struct source *s = &g->source[g->heap[0]];
    uint64_t until = g->high;
    for (unsigned i = 1; i <= 2 && i < g->n; i++)
        if (next_of(g, i) < until)
            until = next_of(g, i);
    struct message m;
    struct row row;
    int rc = place(g, s, s->next, &m);
    while (rc == 0 && m.seq <= until) {
        int step = hand_out(g, s, &m);
        if (step != STEP_ON)
            return step;
        rc = txn_next(g->txn, DB_LOG, &row);
        if (rc == 0)
            rc = entry_message(row, s->in->stream, &m);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (rc == -ENOENT || m.seq > g->high) {
        heap_drop(g);
        return STEP_ON;
    }
    s->next = m.seq;
    heap_sink(g);
    return STEP_ON;
}

int page_read(struct txn *t, struct page *p)
{
    must(p->nsources <= PAGE_SOURCES && p->limit > 0);
    struct merge g; /* large: only what is used is set */
    g.txn = t;
    g.page = p;
    g.high = p->high;
    g.limit = p->limit;
    g.n = 0;
    g.count = g.bytes = g.walked = g.nlost = 0;
    g.last = g.passed = 0;
    int rc = 0;
    if (g.high == 0) {
        rc = meta_last_seq(t, &g.high);
        uint64_t published = p->published ? atomic_load(p->published) : g.high;
        if (published < g.high)
            g.high = published;
    }
    for (unsigned i = 0; i < p->nsources && rc == 0; i++)
        rc = source_begin(&g, i);
    p->nlost = g.nlost;
    while (rc == STEP_ON && g.n > 0)
        rc = read_run(&g);
    if (rc < 0)
        return rc;
    bool more = rc == STEP_FULL;
    uint64_t cursor = more ? g.passed : g.high;
    p->ret_high = g.high;
    p->ret_cursor = cursor > p->cursor ? cursor : p->cursor;
    p->ret_more = more;
    p->ret_count = g.count;
    return 0;
}
