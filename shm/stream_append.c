/* stream_append - one message onto the end of its stream.
 *
 * The hot path of the server: one read and one in-place write of the head, one row for the message,
 * encoded straight into the page. Everything else is looked up only when the head, the limits or
 * the message say that there is something to find.
 */
#include <errno.h>

#include "common/log.h"

#include "shm/expiry.h"
#include "shm/stream_priv.h"

#define LAZY_FROM 256 /* bounds of at least so many messages are trimmed lazily... */
#define LAZY_PART 8   /* ... once they are passed by an eighth */
#define CUT_ANYWAY 2  /* trimmed by an append when the budget is used up: more than it adds */

struct append {
    const struct message *m;
    const struct stream_limits *l;
    struct entry replaced; /* seq 0: none */
};

static bool fits(const struct stream_head *h, const void *arg)
{
    const struct append *a = arg;
    uint64_t count = h->count, bytes = h->bytes;
    if (a->replaced.seq > h->floor) {
        count -= 1;
        bytes -= a->replaced.bytes;
    }
    if (a->l->messages && count + 1 > a->l->messages)
        return false;
    return !a->l->bytes || bytes + a->m->payload.n <= a->l->bytes;
}

/* The message that bears the collapse key now, if it is still above the floor. */
static int find_replaced(struct txn *t, uint64_t stream, const struct stream_head *h,
                         const struct message *m, const uint8_t hash[COLLAPSE_HASH],
                         struct entry *ret)
{
    uint64_t seq;
    ret->seq = 0;
    if (m->collapse.n == 0)
        return 0;
    int rc = collapse_find(t, stream, hash, &seq);
    if (rc == 0 && seq > h->floor)
        rc = entry_get(t, stream, seq, ret);
    return rc == -ENOENT ? 0 : rc;
}

/* Room in a mailbox that refuses: what is past its ttl or age does not count. */
static int find_room(struct txn *t, uint64_t stream, struct stream_head *h, struct append *a,
                     const uint8_t hash[COLLAPSE_HASH], uint64_t now_ms, unsigned *budget)
{
    const struct stream_limits *l = a->l;
    int rc = 0;
    if (fits(h, a))
        return 0;
    if (l->age_ms)
        rc = stream_cut(t, stream, h, l, now_ms, budget, CUT_ANYWAY);
    if (rc == 0)
        rc = stream_make_room(t, stream, h, l, now_ms, fits, a);
    if (rc == 0)
        rc = find_replaced(t, stream, h, a->m, hash, &a->replaced);
    if (rc < 0)
        return rc;
    if (fits(h, a))
        return 0;
    rc = stream_head_put(t, stream, h);
    return rc < 0 ? rc : CODE_MAILBOX_FULL;
}

static bool over(const struct stream_head *h, const struct stream_limits *l)
{
    uint64_t messages = l->messages, bytes = l->bytes;
    if (messages >= LAZY_FROM)
        messages += messages / LAZY_PART;
    if (h->count >= LAZY_FROM)
        bytes += bytes / LAZY_PART;
    return (messages && h->count > messages) || (bytes && h->bytes > bytes);
}

/* Whether what prev will name is gone already, so that whoever reads on from before it must be told
 * that something is missing. */
static bool last_is_gone(const struct stream_head *h, const struct stream_limits *l,
                         uint64_t now_ms)
{
    if (h->last == 0)
        return false;
    if (h->last_gone || (h->last_expires_ms && h->last_expires_ms <= now_ms))
        return true;
    return l->age_ms && h->last_time_ms + l->age_ms <= now_ms;
}

static int put_message(struct txn *t, uint64_t stream, const struct message *m)
{
    unsigned char key[KEY_STREAM];
    void *at;
    int rc = txn_reserve(t, DB_LOG, key_stream(key, stream, m->seq), message_size(m), &at);
    if (rc == 0)
        message_encode(m, at);
    return rc;
}

static void head_follow(struct stream_head *h, const struct message *m)
{
    h->count++;
    h->bytes += m->payload.n;
    h->last = m->seq;
    h->last_time_ms = m->time_ms;
    h->last_expires_ms = m->expires_ms;
    h->last_gone = 0;
    if (m->expires_ms == 0)
        return;
    h->with_ttl++;
    if (h->next_expires_ms == 0 || m->expires_ms < h->next_expires_ms)
        h->next_expires_ms = m->expires_ms;
}

static int queue_age(struct txn *t, uint64_t stream, struct stream_head *h, const struct message *m,
                     const struct stream_limits *l)
{
    unsigned char key[8];
    if (l->age_ms == 0 || h->age_due_ms)
        return 0;
    key_u64(key, stream);
    h->age_due_ms = m->time_ms + l->age_ms;
    return expiry_put(t, h->age_due_ms, EXPIRE_AGE, str_make(key, sizeof(key)));
}

static int replace(struct txn *t, uint64_t stream, struct stream_head *h, const struct entry *old,
                   const struct stream_limits *l, uint64_t now_ms)
{
    enum gone why = entry_gone(old, now_ms, l->age_ms);
    return entry_remove(t, stream, h, old, why == GONE_NOT ? GONE_REPLACED : why, l, now_ms);
}

int stream_append(struct txn *t, uint64_t stream, struct message *m, const struct stream_limits *l,
                  uint64_t now_ms, unsigned *budget)
{
    struct stream_head h;
    struct append a = {.m = m, .l = l};
    uint8_t hash[COLLAPSE_HASH];
    int rc = stream_head(t, stream, &h);
    if (rc < 0)
        return rc;
    must(m->seq > h.last);
    if (m->collapse.n) {
        collapse_hash(m->collapse, hash);
        rc = find_replaced(t, stream, &h, m, hash, &a.replaced);
    }
    if (rc == 0 && l->refuse)
        rc = find_room(t, stream, &h, &a, hash, now_ms, budget);
    if (rc == 0 && a.replaced.seq)
        rc = replace(t, stream, &h, &a.replaced, l, now_ms);
    if (rc != 0)
        return rc;

    m->prev = h.last;
    if (last_is_gone(&h, l, now_ms))
        m->flags |= MESSAGE_SKIPPED;
    else
        m->flags &= (uint16_t)~MESSAGE_SKIPPED;
    rc = put_message(t, stream, m);
    if (rc == 0 && m->expires_ms)
        rc = entry_queue_ttl(t, stream, m->seq, m->expires_ms);
    if (rc == 0 && m->collapse.n)
        rc = collapse_put(t, stream, hash, m->seq);
    if (rc < 0)
        return rc;
    head_follow(&h, m);
    rc = tally_appended(t, stream, &h);
    if (rc == 0)
        rc = queue_age(t, stream, &h, m, l);
    if (rc == 0 && !l->refuse && over(&h, l))
        rc = stream_cut(t, stream, &h, l, now_ms, budget, CUT_ANYWAY);
    if (rc == 0)
        rc = stream_head_put(t, stream, &h);
    return rc;
}
