/* receipt - what became of a message that is no longer in its mailbox.
 *
 * A message that goes unacked leaves a row (stream, seq): u8 why, u64 when it was published, u64
 * when it went. Rows go when they are older than the receipts time, or when a mailbox has more than
 * its cap, the lowest seq first; the head then remembers the highest seq that lost its row, because
 * at or below it "no row" no longer means "acked".
 */
#include <errno.h>

#include "common/log.h"

#include "shm/expiry.h"
#include "shm/session.h"
#include "shm/stream_priv.h"

#define ROW_SIZE (1 + 8 + 8)
#define PASSES 16 /* most walks over a mailbox's rows within the receipts time */

static const char *const STATE_TEXT[] = {
    [RECEIPT_STORED] = "stored",   [RECEIPT_DELIVERED] = "delivered",
    [RECEIPT_ACKED] = "acked",     [RECEIPT_EXPIRED] = "expired",
    [RECEIPT_TRIMMED] = "trimmed", [RECEIPT_REPLACED] = "replaced",
    [RECEIPT_UNKNOWN] = "unknown",
};

static const enum receipt_state STATE_OF[] = {
    [GONE_NOT] = RECEIPT_ACKED,
    [GONE_EXPIRED] = RECEIPT_EXPIRED,
    [GONE_TRIMMED] = RECEIPT_TRIMMED,
    [GONE_REPLACED] = RECEIPT_REPLACED,
};

const char *receipt_state_text(enum receipt_state s)
{
    must((size_t)s < sizeof(STATE_TEXT) / sizeof(STATE_TEXT[0]));
    return STATE_TEXT[s];
}

enum gone entry_gone(const struct entry *e, uint64_t at_ms, uint64_t age_ms)
{
    uint64_t by_ttl = e->expires_ms ? e->expires_ms : UINT64_MAX;
    uint64_t by_age = age_ms ? e->time_ms + age_ms : UINT64_MAX;
    if (by_ttl <= by_age && by_ttl <= at_ms)
        return GONE_EXPIRED;
    return by_age <= at_ms ? GONE_TRIMMED : GONE_NOT;
}

struct receipt_rule receipt_rule(const struct stream_limits *l, uint64_t at_ms)
{
    return (struct receipt_rule){
        .keep = l->receipts,
        .at_ms = at_ms,
        .cap = l->messages,
        .receipts_ms = l->receipts_ms,
    };
}

int receipt_decode(struct str value, enum receipt_state *ret_state, uint64_t *ret_time_ms,
                   uint64_t *ret_removed_ms)
{
    if (value.n != ROW_SIZE)
        return -EUCLEAN;
    unsigned char why = (unsigned char)value.p[0];
    if (why != RECEIPT_EXPIRED && why != RECEIPT_TRIMMED && why != RECEIPT_REPLACED)
        return -EUCLEAN;
    *ret_state = (enum receipt_state)why;
    *ret_time_ms = key_u64_get(value.p + 1);
    *ret_removed_ms = key_u64_get(value.p + 9);
    return 0;
}

static void lose(struct stream_head *h, uint64_t seq)
{
    if (seq > h->receipt_lost)
        h->receipt_lost = seq;
}

static int queue(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t due_ms)
{
    unsigned char key[8];
    key_u64(key, stream);
    h->receipts_due_ms = due_ms;
    return expiry_put(t, due_ms, EXPIRE_RECEIPTS, str_make(key, sizeof(key)));
}

/* Places the cursor on the stream's first row at or after seq. */
static int first_row(struct txn *t, uint64_t stream, uint64_t seq, uint64_t *ret_seq,
                     uint64_t *ret_removed_ms)
{
    unsigned char key[KEY_STREAM];
    struct row row;
    enum receipt_state why;
    uint64_t time_ms;
    int rc = txn_seek(t, DB_RECEIPT, key_stream(key, stream, seq), &row);
    if (rc < 0)
        return rc;
    if (row.key.n != KEY_STREAM)
        return -EUCLEAN;
    if (key_u64_get(row.key.p) != stream)
        return -ENOENT;
    *ret_seq = key_u64_get(row.key.p + 8);
    return receipt_decode(row.value, &why, &time_ms, ret_removed_ms);
}

static int lose_row(struct txn *t, struct stream_head *h, uint64_t seq)
{
    if (h->receipts == 0)
        return -EUCLEAN;
    h->receipts--;
    lose(h, seq);
    return txn_del_row(t, DB_RECEIPT);
}

static int keep_to_cap(struct txn *t, uint64_t stream, struct stream_head *h, uint64_t cap)
{
    int rc = 0;
    while (rc == 0 && cap && h->receipts > cap) {
        uint64_t seq, removed_ms;
        rc = first_row(t, stream, 0, &seq, &removed_ms);
        if (rc == 0)
            rc = lose_row(t, h, seq);
    }
    return rc == -ENOENT ? -EUCLEAN : rc;
}

int receipt_leave(struct txn *t, uint64_t stream, struct stream_head *h, const struct entry *e,
                  enum gone why, const struct receipt_rule *rule)
{
    unsigned char key[KEY_STREAM], row[ROW_SIZE];
    if (h->kind != STREAM_MAILBOX)
        return 0;
    if (!rule->keep) {
        lose(h, e->seq);
        return 0;
    }
    row[0] = (unsigned char)STATE_OF[why];
    key_u64(row + 1, e->time_ms);
    key_u64(row + 9, rule->at_ms);
    int rc =
        txn_put_new(t, DB_RECEIPT, key_stream(key, stream, e->seq), str_make(row, sizeof(row)));
    if (rc < 0)
        return rc == -EEXIST ? -EUCLEAN : rc;
    h->receipts++;
    if (h->receipt_scan && (h->receipt_oldest == 0 || rule->at_ms < h->receipt_oldest))
        h->receipt_oldest = rule->at_ms;
    if (h->receipts_due_ms == 0)
        rc = queue(t, stream, h, rule->at_ms + rule->receipts_ms);
    return rc < 0 ? rc : keep_to_cap(t, stream, h, rule->cap);
}

/* Rows lie by seq, not by the time they went: a pass looks at all of them, over as many
 * transactions as the budget wants. */
int stream_expire_receipts(struct txn *t, uint64_t stream, uint64_t now_ms,
                           const struct stream_limits *l, unsigned *budget)
{
    struct stream_head h;
    int rc = stream_head(t, stream, &h);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    h.receipts_due_ms = 0;
    while (rc == 0 && *budget > 0) {
        uint64_t seq, removed_ms;
        rc = first_row(t, stream, h.receipt_scan, &seq, &removed_ms);
        if (rc < 0)
            break;
        --*budget;
        h.receipt_scan = seq + 1;
        if (removed_ms + l->receipts_ms <= now_ms)
            rc = lose_row(t, &h, seq);
        else if (h.receipt_oldest == 0 || removed_ms < h.receipt_oldest)
            h.receipt_oldest = removed_ms;
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (rc == 0) { /* the pass goes on */
        rc = queue(t, stream, &h, now_ms);
    } else {
        uint64_t due = h.receipt_oldest + l->receipts_ms;
        uint64_t soonest = now_ms + l->receipts_ms / PASSES;
        h.receipt_scan = h.receipt_oldest = 0;
        rc = h.receipts ? queue(t, stream, &h, due > soonest ? due : soonest) : 0;
    }
    return rc < 0 ? rc : stream_head_put(t, stream, &h);
}

/* No row speaks of it and it is not in the log: acked, unless a row that said otherwise was lost.
 */
static void absent(const struct session *s, const struct stream_head *h, uint64_t seq,
                   struct receipt *ret)
{
    if (seq <= h->receipt_lost || seq > s->acked || seq > h->last)
        ret->state = RECEIPT_UNKNOWN;
    else
        ret->state = RECEIPT_ACKED;
}

static int in_log(struct txn *t, const struct session *s, const struct stream_head *h,
                  const struct entry *e, uint64_t now_ms, uint64_t age_ms, struct receipt *ret)
{
    struct reclaim_job job = {.at_ms = now_ms, .age_ms = age_ms};
    ret->time_ms = e->time_ms;
    if (e->seq <= h->floor) {
        int rc = reclaim_job(t, s->stream, e->seq, &job);
        if (rc < 0)
            return rc == -ENOENT ? -EUCLEAN : rc;
    }
    enum gone why = entry_gone(e, job.at_ms, job.age_ms);
    ret->state = STATE_OF[why];
    if (why == GONE_NOT && e->seq > h->floor)
        ret->state = e->seq <= s->delivered ? RECEIPT_DELIVERED : RECEIPT_STORED;
    return 0;
}

int stream_receipt(struct txn *t, const struct session *s, uint64_t seq, uint64_t now_ms,
                   uint64_t age_ms, struct receipt *ret)
{
    unsigned char key[KEY_STREAM];
    struct receipt r = {.state = RECEIPT_UNKNOWN};
    struct stream_head h;
    struct entry e;
    struct str v;
    uint64_t removed_ms;
    int rc = stream_head(t, s->stream, &h);
    if (rc < 0)
        return rc;
    rc = txn_get(t, DB_RECEIPT, key_stream(key, s->stream, seq), &v);
    if (rc == 0) {
        rc = receipt_decode(v, &r.state, &r.time_ms, &removed_ms);
    } else if (rc == -ENOENT && seq > 0) {
        rc = entry_get(t, s->stream, seq, &e);
        if (rc == 0)
            rc = in_log(t, s, &h, &e, now_ms, age_ms, &r);
        else if (rc == -ENOENT)
            absent(s, &h, seq, &r);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    /* Only the last step of each mark has a time; older ones are not guessed. */
    if (r.state != RECEIPT_UNKNOWN && seq <= s->delivered && seq > s->delivered_prev &&
        (r.state == RECEIPT_DELIVERED || r.state == RECEIPT_ACKED))
        r.delivered_ms = s->delivered_ms;
    if (r.state == RECEIPT_ACKED && seq <= s->acked && seq > s->acked_prev)
        r.acked_ms = s->acked_ms;
    *ret = r;
    return 0;
}
