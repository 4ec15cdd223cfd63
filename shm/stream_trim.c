/* stream_trim - what goes without the client's word: retention, ttl, room for others.
 *
 * Everything here deletes at once whatever it takes out of the head's sums, so nothing is left to
 * reclaim, and leaves a receipt that says why.
 */
#include <errno.h>

#include "shm/expiry.h"
#include "shm/stream_priv.h"

#define ROOM_WALK (2 * STREAM_RUN) /* most entries looked at for one publish to a full mailbox */

static void count_gone(const struct stream_limits *l, enum gone why)
{
    if (!l->gone)
        return;
    l->gone->expired += why == GONE_EXPIRED;
    l->gone->trimmed += why == GONE_TRIMMED;
    l->gone->replaced += why == GONE_REPLACED;
}

int entry_remove(struct txn *t, uint64_t stream, struct stream_head *h, const struct entry *e,
                 enum gone why, const struct stream_limits *l, uint64_t now_ms)
{
    struct receipt_rule rule = receipt_rule(l, now_ms);
    int rc = entry_erase(t, stream, e);
    if (rc == 0)
        rc = tally_removed(t, stream, h, e);
    if (rc < 0)
        return rc;
    if (h->count == 0 || h->bytes < e->bytes || (e->expires_ms && h->with_ttl == 0))
        return -EUCLEAN;
    h->count--;
    h->bytes -= e->bytes;
    h->with_ttl -= e->expires_ms != 0;
    if (e->seq == h->last && why != GONE_TRIMMED)
        h->last_gone = 1;
    count_gone(l, why);
    return receipt_leave(t, stream, h, e, why, &rule);
}

static bool too_much(const struct stream_head *h, const struct stream_limits *l)
{
    if (l->refuse)
        return false;
    return (l->messages && h->count > l->messages) || (l->bytes && h->bytes > l->bytes);
}

static bool spend(unsigned *budget, unsigned *extra)
{
    unsigned *from = *budget > 0 ? budget : extra;
    if (*from == 0)
        return false;
    --*from;
    return true;
}

int stream_cut(struct txn *t, uint64_t stream, struct stream_head *h, const struct stream_limits *l,
               uint64_t now_ms, unsigned *budget, unsigned extra)
{
    while (h->count > 0) {
        struct entry e;
        int rc = entry_first(t, stream, h->floor + 1, &e);
        if (rc < 0)
            return rc == -ENOENT ? -EUCLEAN : rc;
        enum gone why = entry_gone(&e, now_ms, l->age_ms);
        bool aged = l->age_ms && e.time_ms + l->age_ms <= now_ms;
        if (!aged && (!too_much(h, l) || e.seq == h->last))
            return 0;
        if (!spend(budget, &extra))
            return 0;
        if (why == GONE_NOT)
            why = GONE_TRIMMED;
        rc = entry_remove(t, stream, h, &e, why, l, now_ms);
        if (rc < 0)
            return rc;
        h->floor = e.seq;
        if (why == GONE_TRIMMED)
            h->trimmed = e.seq;
    }
    return 0;
}

/* Looks through (from, to] for what has expired. *ret_next: the earliest ttl that stays. */
static int expire_run(struct txn *t, uint64_t stream, struct stream_head *h,
                      const struct stream_limits *l, uint64_t now_ms, const struct run *r,
                      unsigned *walk, bool (*fits)(const struct stream_head *, const void *),
                      const void *arg)
{
    struct entry e;
    uint64_t next = 0;
    int rc = entry_first(t, stream, r->from + 1, &e);
    for (; rc == 0 && e.seq <= r->to; --*walk) {
        if (*walk == 0 || fits(h, arg))
            return 0; /* the bound stays as it is: not all was seen */
        if (e.expires_ms && e.expires_ms <= now_ms) {
            rc = entry_remove(t, stream, h, &e, entry_gone(&e, now_ms, l->age_ms), l, now_ms);
            if (rc == 0)
                rc = entry_first(t, stream, e.seq + 1, &e);
            continue;
        }
        if (e.expires_ms && (next == 0 || e.expires_ms < next))
            next = e.expires_ms;
        rc = entry_next(t, stream, &e);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    return tally_expiry(t, stream, h, r->to, next);
}

int stream_make_room(struct txn *t, uint64_t stream, struct stream_head *h,
                     const struct stream_limits *l, uint64_t now_ms,
                     bool (*fits)(const struct stream_head *h, const void *arg), const void *arg)
{
    unsigned walk = ROOM_WALK;
    uint64_t after = h->floor;
    while (h->with_ttl > 0 && walk > 0 && !fits(h, arg) && after < h->last) {
        struct run r;
        int rc = tally_run(t, stream, h, after, &r);
        if (rc == 0 && r.next_expires_ms && r.next_expires_ms <= now_ms)
            rc = expire_run(t, stream, h, l, now_ms, &r, &walk, fits, arg);
        if (rc < 0)
            return rc == -ENOENT ? 0 : rc;
        after = r.to;
    }
    return 0;
}

int stream_expire_message(struct txn *t, uint64_t stream, uint64_t seq, uint64_t now_ms,
                          const struct stream_limits *l, bool *ret_removed)
{
    struct stream_head h;
    struct entry e;
    *ret_removed = false;
    int rc = stream_head(t, stream, &h);
    if (rc == 0)
        rc = seq > h.floor ? entry_get(t, stream, seq, &e) : -ENOENT;
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (e.expires_ms == 0)
        return 0;
    if (e.expires_ms > now_ms)
        return entry_queue_ttl(t, stream, seq, e.expires_ms);
    rc = entry_remove(t, stream, &h, &e, entry_gone(&e, now_ms, l->age_ms), l, now_ms);
    if (rc == 0)
        rc = stream_head_put(t, stream, &h);
    if (rc == 0)
        *ret_removed = true;
    return rc;
}

int stream_expire_age(struct txn *t, uint64_t stream, uint64_t now_ms,
                      const struct stream_limits *l, unsigned *budget)
{
    struct stream_head h;
    struct entry oldest;
    unsigned char key[8];
    int rc = stream_head(t, stream, &h);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    h.age_due_ms = 0;
    rc = stream_cut(t, stream, &h, l, now_ms, budget, 0);
    if (rc == 0 && l->age_ms && h.count > 0) {
        rc = entry_first(t, stream, h.floor + 1, &oldest);
        if (rc == 0) {
            key_u64(key, stream);
            h.age_due_ms = oldest.time_ms + l->age_ms;
            rc = expiry_put(t, h.age_due_ms, EXPIRE_AGE, str_make(key, sizeof(key)));
        }
    }
    return rc < 0 ? rc : stream_head_put(t, stream, &h);
}
