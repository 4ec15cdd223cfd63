/* verify_stream - the log: each stream's chain, and the sums in its head and tallies. */
#include <errno.h>
#include <inttypes.h>

#include "shm/stream_priv.h"
#include "shm/verify_priv.h"

struct stream_walk {
    uint64_t id;
    struct stream_head head;
    bool has_head;
    uint64_t before;  /* the entry before the one looked at; 0 none */
    struct tally sum; /* of what lies above the floor */
    uint64_t below;   /* entries at or below the floor, waiting to be reclaimed */
    uint64_t first;   /* seq of the first above the floor */
};

static int check_due(struct verify *v, uint64_t stream, const char *what, uint64_t due_ms,
                     enum expiry_kind kind)
{
    unsigned char id[8];
    key_u64(id, stream);
    int rc = due_ms ? verify_queued(v, due_ms, kind, str_make(id, sizeof(id))) : 1;
    if (rc == 0)
        violation(v, "stream %" PRIu64 ": its %s row of the expiry queue is missing", stream, what);
    return rc < 0 ? rc : 0;
}

/* One message above the floor: the rows beside it. */
static int check_rows(struct verify *v, uint64_t stream, const struct message *m)
{
    unsigned char id[KEY_STREAM];
    int rc = 1;
    if (m->expires_ms)
        rc = verify_queued(v, m->expires_ms, EXPIRE_MESSAGE, key_stream(id, stream, m->seq));
    if (rc < 0)
        return rc;
    if (rc == 0)
        violation(v, "stream %" PRIu64 " seq %" PRIu64 ": its ttl is not queued", stream, m->seq);
    if (m->collapse.n == 0)
        return 0;
    uint8_t hash[COLLAPSE_HASH];
    uint64_t bearer = 0;
    collapse_hash(m->collapse, hash);
    rc = verify_soft(v, stream, m->seq, collapse_find(v->txn, stream, hash, &bearer));
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (bearer != m->seq)
        violation(v, "stream %" PRIu64 " seq %" PRIu64 ": its collapse key names seq %" PRIu64,
                  stream, m->seq, bearer);
    return 0;
}

static int check_message(struct verify *v, struct stream_walk *w, const struct message *m)
{
    unsigned char key[8];
    v->messages++;
    if (v->seqs.n < VERIFY_SEQS_MAX) {
        key_u64(key, m->seq);
        int rc = keyset_add(&v->seqs, key);
        if (rc < 0)
            return rc;
    }
    if (m->seq > v->meta.last_seq)
        violation(v, "stream %" PRIu64 " seq %" PRIu64 ": past the store's last seq", w->id,
                  m->seq);
    /* Between prev and the message nothing may lie; that prev itself is gone is lawful. */
    if (m->prev < w->before || m->prev >= m->seq)
        violation(v,
                  "stream %" PRIu64 " seq %" PRIu64 ": prev %" PRIu64 ", but %" PRIu64
                  " lies before it",
                  w->id, m->seq, m->prev, w->before);
    if (m->time_ms > v->meta.time_ms)
        violation(v, "stream %" PRIu64 " seq %" PRIu64 ": from the future", w->id, m->seq);
    w->before = m->seq;
    if (!w->has_head)
        return 0;
    if (m->seq <= w->head.floor) {
        w->below++;
        return 0;
    }
    if (w->sum.count == 0)
        w->first = m->seq;
    w->sum.count++;
    w->sum.bytes += m->payload.n;
    w->sum.with_ttl += m->expires_ms != 0;
    return check_rows(v, w->id, m);
}

static void check_sum(struct verify *v, uint64_t stream, const char *what, uint64_t says,
                      uint64_t is)
{
    if (says != is)
        violation(v, "stream %" PRIu64 ": the head says %s %" PRIu64 ", the log %" PRIu64, stream,
                  what, says, is);
}

static int check_head(struct verify *v, const struct stream_walk *w)
{
    const struct stream_head *h = &w->head;
    unsigned char key[8];
    check_sum(v, w->id, "count", h->count, w->sum.count);
    check_sum(v, w->id, "bytes", h->bytes, w->sum.bytes);
    check_sum(v, w->id, "with_ttl", h->with_ttl, w->sum.with_ttl);
    if (h->trimmed > h->floor || h->floor > h->last || h->sealed > h->last)
        violation(v,
                  "stream %" PRIu64 ": trimmed %" PRIu64 ", floor %" PRIu64 ", sealed %" PRIu64
                  ", last %" PRIu64,
                  w->id, h->trimmed, h->floor, h->sealed, h->last);
    if (h->last < w->before || h->last > v->meta.last_seq)
        violation(v, "stream %" PRIu64 ": last %" PRIu64 ", but %" PRIu64 " lies there", w->id,
                  h->last, w->before);
    if (h->last_gone && h->last == w->before && h->last > h->floor)
        violation(v, "stream %" PRIu64 ": its last message is called gone and is there", w->id);
    if (w->below && !h->reclaim_queued)
        violation(v, "stream %" PRIu64 ": %" PRIu64 " below the floor and nothing queued", w->id,
                  w->below);
    if (h->reclaim_queued && !verify_dropped(v, w->id))
        violation(v, "stream %" PRIu64 ": its reclaiming is not queued", w->id);
    if (h->receipts > 0 && h->receipts_due_ms == 0)
        violation(v, "stream %" PRIu64 ": its receipts are not queued", w->id);
    key_u64(key, w->id);
    int rc = 0;
    if (h->kind == STREAM_MAILBOX) {
        v->mailbox_heads++;
        if (!keyset_has(&v->mailboxes, key))
            violation(v, "stream %" PRIu64 ": a mailbox of no session", w->id);
    } else if (h->kind == STREAM_TOPIC) {
        rc = verify_topic_of(v, w->id);
    } else {
        violation(v, "stream %" PRIu64 ": kind %u", w->id, h->kind);
    }
    if (rc == 0)
        rc = check_due(v, w->id, "receipts", h->receipts_due_ms, EXPIRE_RECEIPTS);
    return rc < 0 ? rc : check_due(v, w->id, "age", h->age_due_ms, EXPIRE_AGE);
}

static int check_head_later(struct verify *v, struct stream_walk *w)
{
    v->streams++;
    if (w->has_head)
        return check_head(v, w);
    if (!verify_dropped(v, w->id))
        violation(v, "stream %" PRIu64 ": messages without a head", w->id);
    return 0;
}

static int begin_stream(struct verify *v, uint64_t id, struct stream_walk *w)
{
    *w = (struct stream_walk){.id = id};
    int rc = stream_head(v->txn, id, &w->head);
    w->has_head = rc == 0;
    if (rc == -EUCLEAN) {
        violation(v, "stream %" PRIu64 ": its head is malformed", id);
        return 0;
    }
    if (id > v->meta.last_stream)
        violation(v, "stream %" PRIu64 ": an id that was not handed out yet", id);
    return rc == -ENOENT ? 0 : rc;
}

static int walk_log(struct verify *v)
{
    struct stream_walk w = {0};
    struct row row;
    int err = 0;
    int rc = txn_seek(v->txn, DB_LOG, str_make(NULL, 0), &row);
    for (; rc == 0 && err == 0; rc = txn_next(v->txn, DB_LOG, &row)) {
        struct message m;
        if (row.key.n != KEY_STREAM) {
            violation(v, "log: a key of %zu bytes", row.key.n);
            continue;
        }
        uint64_t id = key_u64_get(row.key.p), seq = key_u64_get(row.key.p + 8);
        if (id != w.id) {
            if (w.id)
                err = check_head_later(v, &w);
            if (err == 0)
                err = begin_stream(v, id, &w);
        }
        if (err < 0 || seq == STREAM_HEAD_SEQ)
            continue;
        if (entry_message(row, id, &m) < 0)
            violation(v, "stream %" PRIu64 " seq %" PRIu64 ": malformed", id, seq);
        else
            err = check_message(v, &w, &m);
    }
    if (err == 0 && rc == -ENOENT && w.id)
        err = check_head_later(v, &w);
    return err < 0 ? err : rc == -ENOENT ? 0 : rc;
}

/* Runs add up to what lies in them. */
static int check_tally(struct verify *v, uint64_t stream, const struct stream_head *h,
                       uint64_t from, uint64_t to, const struct tally *says)
{
    struct tally is;
    int rc = entries_tally(v->txn, stream, from > h->floor ? from : h->floor, to, &is);
    rc = verify_soft(v, stream, from, rc);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (is.count != says->count || is.bytes != says->bytes || is.with_ttl != says->with_ttl)
        violation(v,
                  "stream %" PRIu64 ": the run up to %" PRIu64 " says %" PRIu64
                  " messages, the log %" PRIu64,
                  stream, to, says->count, is.count);
    if (is.with_ttl && (says->next_expires_ms == 0 || says->next_expires_ms > is.next_expires_ms))
        violation(v, "stream %" PRIu64 ": the run up to %" PRIu64 " expires earlier than it says",
                  stream, to);
    return 0;
}

static int walk_tallies(struct verify *v)
{
    struct row row;
    struct stream_head h = {0};
    uint64_t id = 0, from = 0;
    int rc = txn_seek(v->txn, DB_TALLY, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_TALLY, &row)) {
        struct tally says;
        if (row.key.n != KEY_STREAM || tally_decode(row.value, &says) < 0) {
            violation(v, "tally: a malformed row");
            continue;
        }
        uint64_t stream = key_u64_get(row.key.p), to = key_u64_get(row.key.p + 8);
        if (stream != id)
            from = 0;
        id = stream;
        int err = verify_soft(v, id, 0, stream_head(v->txn, id, &h));
        if (err == -ENOENT && verify_dropped(v, id))
            continue;
        if (err < 0 || to > h.sealed || to <= h.floor) {
            violation(v, "stream %" PRIu64 ": a run up to %" PRIu64 " that is none", id, to);
            continue;
        }
        err = check_tally(v, id, &h, from, to, &says);
        if (err < 0)
            return err;
        from = to;
    }
    return rc == -ENOENT ? 0 : rc;
}

static int walk_jobs(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_RECLAIM, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_RECLAIM, &row)) {
        struct stream_head h;
        if (row.key.n != KEY_STREAM) {
            violation(v, "reclaim: a malformed row");
            continue;
        }
        uint64_t stream = key_u64_get(row.key.p), upto = key_u64_get(row.key.p + 8);
        int err = verify_soft(v, stream, 0, stream_head(v->txn, stream, &h));
        if (err < 0 && err != -ENOENT)
            return err;
        if (!verify_dropped(v, stream) || (err == 0 && (!h.reclaim_queued || upto > h.floor)))
            violation(v, "stream %" PRIu64 ": an ack of %" PRIu64 " that nobody will finish",
                      stream, upto);
    }
    return rc == -ENOENT ? 0 : rc;
}

int verify_streams(struct verify *v)
{
    int rc = walk_log(v);
    if (rc == 0)
        rc = walk_tallies(v);
    if (rc == 0)
        rc = walk_jobs(v);
    if (rc == 0 && v->mailbox_heads != v->mailboxes.n)
        violation(v, "%zu sessions, but %" PRIu64 " mailboxes", v->mailboxes.n, v->mailbox_heads);
    return rc;
}
