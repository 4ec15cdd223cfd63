/* stream_reclaim - what the client or the publisher is done with: ack, emptying, dropping.
 *
 * The floor moves at once; what lies below it is deleted within the budget and else from the expiry
 * queue. While that goes on, a row of DB_RECLAIM per unfinished ack (stream, seq of the ack) keeps
 * how it judged: the entries between two such rows belong to the later one.
 */
#include <errno.h>

#include "shm/expiry.h"
#include "shm/meta.h"
#include "shm/stream_priv.h"

#define JOB_SIZE (4 * 8 + 1)

static int job_put(struct txn *t, uint64_t stream, const struct reclaim_job *j)
{
    unsigned char key[KEY_STREAM], value[JOB_SIZE];
    key_u64(value, j->at_ms);
    key_u64(value + 8, j->age_ms);
    key_u64(value + 16, j->cap);
    key_u64(value + 24, j->receipts_ms);
    value[32] = j->receipts;
    return txn_put(t, DB_RECLAIM, key_stream(key, stream, j->upto), str_make(value, sizeof(value)));
}

int reclaim_job(struct txn *t, uint64_t stream, uint64_t seq, struct reclaim_job *ret)
{
    unsigned char key[KEY_STREAM];
    struct row row;
    int rc = txn_seek(t, DB_RECLAIM, key_stream(key, stream, seq), &row);
    if (rc < 0)
        return rc;
    if (row.key.n != KEY_STREAM || row.value.n != JOB_SIZE)
        return -EUCLEAN;
    if (key_u64_get(row.key.p) != stream)
        return -ENOENT;
    *ret = (struct reclaim_job){
        .upto = key_u64_get(row.key.p + 8),
        .at_ms = key_u64_get(row.value.p),
        .age_ms = key_u64_get(row.value.p + 8),
        .cap = key_u64_get(row.value.p + 16),
        .receipts_ms = key_u64_get(row.value.p + 24),
        .receipts = row.value.p[32] != 0,
    };
    return 0;
}

/* Due at the time of the last commit: at once, and behind what has waited longer. */
static int queue(struct txn *t, uint64_t stream)
{
    unsigned char key[8];
    uint64_t now_ms;
    int rc = meta_time(t, &now_ms);
    key_u64(key, stream);
    return rc < 0
               ? rc
               : expiry_put(t, now_ms - now_ms % 1000, EXPIRE_RECLAIM, str_make(key, sizeof(key)));
}

/* Deletes entries up to the job's seq. *ret_done: none is left. */
static int work(struct txn *t, uint64_t stream, struct stream_head *h, const struct reclaim_job *j,
                unsigned *budget, bool *ret_done)
{
    struct receipt_rule rule = {
        .keep = j->receipts, .at_ms = j->at_ms, .cap = j->cap, .receipts_ms = j->receipts_ms};
    *ret_done = false;
    for (uint64_t from = 1;;) {
        struct entry e;
        int rc = entry_first(t, stream, from, &e);
        if (rc == -ENOENT || (rc == 0 && e.seq > j->upto)) {
            *ret_done = true;
            return 0;
        }
        if (rc == 0 && *budget == 0)
            return 0;
        if (rc == 0)
            rc = entry_erase(t, stream, &e);
        if (rc < 0)
            return rc;
        --*budget;
        from = e.seq + 1;
        enum gone why = entry_gone(&e, j->at_ms, j->age_ms);
        if (why != GONE_NOT)
            rc = receipt_leave(t, stream, h, &e, why, &rule);
        if (rc < 0)
            return rc;
    }
}

static int take_up_to(struct txn *t, uint64_t stream, struct stream_head *h,
                      const struct reclaim_job *j, unsigned *budget, uint64_t *ret_removed)
{
    uint64_t had = h->count;
    bool done = false;
    int rc = tally_floor(t, stream, h, j->upto);
    if (rc < 0)
        return rc;
    *ret_removed = had - h->count;
    if (!h->reclaim_queued)
        rc = work(t, stream, h, j, budget, &done);
    if (rc == 0 && !done)
        rc = job_put(t, stream, j);
    if (rc == 0 && !done && !h->reclaim_queued) {
        h->reclaim_queued = 1;
        rc = queue(t, stream);
    }
    return rc < 0 ? rc : stream_head_put(t, stream, h);
}

int stream_ack(struct txn *t, uint64_t stream, uint64_t seq, uint64_t now_ms,
               const struct stream_limits *l, unsigned *budget, uint64_t *ret_removed)
{
    struct stream_head h;
    int rc = stream_head(t, stream, &h);
    if (rc < 0)
        return rc;
    struct reclaim_job j = {
        .upto = seq < h.last ? seq : h.last,
        .at_ms = now_ms,
        .age_ms = l->age_ms,
        .cap = l->messages,
        .receipts_ms = l->receipts_ms,
        .receipts = l->receipts,
    };
    uint64_t removed = 0;
    if (j.upto > h.floor)
        rc = take_up_to(t, stream, &h, &j, budget, &removed);
    if (rc == 0)
        *ret_removed = removed;
    return rc;
}

int stream_empty(struct txn *t, uint64_t stream, unsigned *budget)
{
    struct stream_head h;
    uint64_t removed;
    int rc = stream_head(t, stream, &h);
    if (rc < 0 || h.last == h.floor)
        return rc;
    struct reclaim_job j = {.upto = h.last};
    return take_up_to(t, stream, &h, &j, budget, &removed);
}

static int work_jobs(struct txn *t, uint64_t stream, struct stream_head *h, unsigned *budget,
                     bool *ret_done)
{
    struct reclaim_job j;
    unsigned char key[KEY_STREAM];
    *ret_done = true;
    for (;;) {
        int rc = reclaim_job(t, stream, 0, &j);
        if (rc == -ENOENT)
            return 0;
        if (rc == 0)
            rc = work(t, stream, h, &j, budget, ret_done);
        if (rc < 0 || !*ret_done)
            return rc;
        rc = txn_del(t, DB_RECLAIM, key_stream(key, stream, j.upto));
        if (rc < 0)
            return rc;
    }
}

/* All rows of a stream in one of the side tables, whose keys begin with the stream. */
static int drop_rows(struct txn *t, enum store_db db, uint64_t stream, unsigned *budget)
{
    unsigned char key[8];
    struct row row;
    key_u64(key, stream);
    int rc = txn_seek(t, db, str_make(key, sizeof(key)), &row);
    while (rc == 0 && row.key.n >= sizeof(key) && memcmp(row.key.p, key, sizeof(key)) == 0) {
        if (*budget == 0)
            return -EAGAIN;
        rc = txn_del_row(t, db);
        --*budget;
        if (rc == 0)
            rc = txn_next(t, db, &row);
    }
    return rc == -ENOENT ? 0 : rc;
}

static int drop_entries(struct txn *t, uint64_t stream, unsigned *budget)
{
    struct entry e;
    int rc = entry_first(t, stream, 1, &e);
    while (rc == 0) {
        if (*budget == 0)
            return -EAGAIN;
        rc = entry_erase(t, stream, &e);
        --*budget;
        if (rc == 0)
            rc = entry_first(t, stream, e.seq + 1, &e);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* Of a stream whose head is gone. Unfinished: queued. */
static int drop_rest(struct txn *t, uint64_t stream, unsigned *budget)
{
    static const enum store_db side[] = {DB_RECEIPT, DB_TALLY, DB_RECLAIM};
    int rc = drop_entries(t, stream, budget);
    for (size_t i = 0; i < sizeof(side) / sizeof(side[0]) && rc == 0; i++)
        rc = drop_rows(t, side[i], stream, budget);
    return rc == -EAGAIN ? queue(t, stream) : rc;
}

static int forget_due(struct txn *t, uint64_t due_ms, enum expiry_kind kind, struct str id)
{
    int rc = due_ms ? expiry_del(t, due_ms, kind, id) : 0;
    return rc == -ENOENT ? 0 : rc;
}

int stream_drop(struct txn *t, uint64_t stream, unsigned *budget)
{
    unsigned char key[KEY_STREAM];
    struct stream_head h;
    int rc = stream_head(t, stream, &h);
    struct str head_key = key_stream(key, stream, STREAM_HEAD_SEQ);
    struct str id = str_make(key, 8);
    if (rc == 0)
        rc = forget_due(t, h.receipts_due_ms, EXPIRE_RECEIPTS, id);
    if (rc == 0)
        rc = forget_due(t, h.age_due_ms, EXPIRE_AGE, id);
    if (rc == 0)
        rc = txn_del(t, DB_LOG, head_key);
    return rc < 0 ? rc : drop_rest(t, stream, budget);
}

int stream_reclaim(struct txn *t, uint64_t stream, unsigned *budget)
{
    struct stream_head h;
    bool done;
    int rc = stream_head(t, stream, &h);
    if (rc == -ENOENT)
        return drop_rest(t, stream, budget);
    if (rc == 0)
        rc = work_jobs(t, stream, &h, budget, &done);
    if (rc < 0)
        return rc;
    h.reclaim_queued = !done;
    if (!done)
        rc = queue(t, stream);
    return rc < 0 ? rc : stream_head_put(t, stream, &h);
}
