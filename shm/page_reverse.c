/* page_reverse - from the newest down, until something stops it. */
#include <errno.h>

#include "common/log.h"

#include "shm/meta.h"
#include "shm/page.h"
#include "shm/page_reverse.h"
#include "shm/stream_priv.h"

struct walk {
    struct txn *txn;
    struct page_reverse *page;
    struct stream_head head;
    size_t count, walked;
    uint64_t at; /* the last one handed out or passed over */
};

/* Whether what stood before m is no longer there, and retention did not take it (rule 7). 1, 0, or
 * a store error. Leaves the cursor where it is. */
static int prev_is_gone(const struct walk *w, const struct message *m)
{
    unsigned char key[KEY_STREAM];
    struct message prev;
    if (m->prev <= w->head.trimmed)
        return 0;
    struct row row = {.key = key_stream(key, w->page->stream, m->prev)};
    int rc = txn_get(w->txn, DB_LOG, row.key, &row.value);
    if (rc == 0)
        rc = entry_message(row, w->page->stream, &prev);
    if (rc < 0)
        return rc == -ENOENT ? 1 : rc;
    return !stream_visible(&w->head, &prev, w->page->now_ms, w->page->age_ms);
}

enum step { STEP_ON, STEP_FULL };

static int hand_out(struct walk *w, struct message *m)
{
    struct page_reverse *p = w->page;
    if (!stream_visible(&w->head, m, p->now_ms, p->age_ms)) {
        if (w->walked++ >= PAGE_WALK)
            return STEP_FULL;
        w->at = m->seq;
        return STEP_ON;
    }
    if (w->count == p->limit)
        return STEP_FULL;
    int gone = prev_is_gone(w, m);
    if (gone < 0)
        return gone;
    if (gone)
        m->flags |= MESSAGE_SKIPPED;
    if (!p->on_message(p->arg, m))
        return STEP_FULL;
    w->count++;
    w->at = m->seq;
    return STEP_ON;
}

/* Nothing that was not published yet, and nothing at or above `before`. */
static int find_top(struct walk *w)
{
    const struct page_reverse *p = w->page;
    uint64_t last;
    int rc = meta_last_seq(w->txn, &last);
    if (rc < 0)
        return rc;
    uint64_t published = p->published ? atomic_load(p->published) : last;
    if (published < last)
        last = published;
    w->at = p->before && p->before <= last ? p->before : last + 1;
    return 0;
}

int page_reverse(struct txn *t, struct page_reverse *p)
{
    struct walk w = {.txn = t, .page = p};
    unsigned char key[KEY_STREAM];
    struct row row;
    struct message m;
    must(p->limit > 0);
    int rc = stream_head(t, p->stream, &w.head);
    if (rc == 0)
        rc = find_top(&w);
    /* The head lies behind all messages, so there is always a row to go back from. */
    if (rc == 0)
        rc = txn_seek(t, DB_LOG, key_stream(key, p->stream, w.at), &row);
    if (rc < 0)
        return rc;
    while (rc == STEP_ON) {
        rc = txn_prev(t, DB_LOG, &row);
        if (rc == 0)
            rc = entry_message(row, p->stream, &m);
        if (rc == 0 && m.seq <= w.head.floor)
            rc = -ENOENT;
        if (rc == 0)
            rc = hand_out(&w, &m);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    p->ret_before = w.at;
    p->ret_more = rc == STEP_FULL;
    p->ret_count = w.count;
    return 0;
}
