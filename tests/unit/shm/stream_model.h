/* stream_model - streams as a list of everything that ever happened, without heads, tallies,
 * queues.
 *
 * It knows what each message is by now and the rules of retention, and nothing of how they are
 * kept.
 */
#ifndef TESTS_STREAM_MODEL_H
#define TESTS_STREAM_MODEL_H

#include "common/ids.h"
#include "shm/stream.h"

#define STREAMS 7
#define MAILBOXES 5
#define MESSAGES_MAX 4000
#define KEYS 4
#define READERS 2 /* that messages may except */
#define LAZY 256

enum fate { ALIVE, ACKED, EXPIRED, TRIMMED, REPLACED };

struct note {
    uint64_t seq, prev, time_ms, expires_ms;
    uint32_t bytes;
    uint8_t key;     /* collapse key, 0 none */
    uint8_t skipped; /* as appended */
    uint8_t except;  /* bits of the readers that do not get it */
    uint8_t fate;    /* enum fate */
};

struct model_stream {
    uint64_t id;
    uint8_t session[SESSION_ID_SIZE];
    bool mailbox;
    uint64_t last, floor, trimmed, acked, acked_prev, delivered;
    bool last_gone;
    unsigned n;
    struct note note[MESSAGES_MAX];
};

struct model {
    uint64_t last_seq;
    uint32_t sessions_made;
    struct model_stream stream[STREAMS];
};

/* Limits stay what they are for a stream's place: each place is another way to be bounded. */
static const struct stream_limits LIMITS[STREAMS] = {
    {.messages = 40, .bytes = 4000, .refuse = true, .receipts = true, .receipts_ms = 1u << 30},
    {.messages = 40, .bytes = 2000, .receipts = true, .receipts_ms = 1u << 30},
    {.messages = 300, .bytes = 9000, .age_ms = 60000, .receipts = true, .receipts_ms = 20000},
    {.messages = 12, .age_ms = 20000, .refuse = true, .receipts = true, .receipts_ms = 1u << 30},
    {.refuse = true},
    {.messages = 50, .age_ms = 90000},
    {.messages = 400, .bytes = 30000},
};

static enum fate fate_by(const struct note *m, uint64_t at_ms, uint64_t age_ms)
{
    uint64_t ttl = m->expires_ms ? m->expires_ms : UINT64_MAX;
    uint64_t age = age_ms ? m->time_ms + age_ms : UINT64_MAX;
    if (ttl > at_ms && age > at_ms)
        return ALIVE;
    return ttl <= age ? EXPIRED : TRIMMED;
}

static uint64_t model_count(const struct model_stream *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < s->n; i++)
        n += s->note[i].fate == ALIVE;
    return n;
}

static uint64_t model_bytes(const struct model_stream *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < s->n; i++)
        n += s->note[i].fate == ALIVE ? s->note[i].bytes : 0;
    return n;
}

static uint64_t model_ttls(const struct model_stream *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < s->n; i++)
        n += s->note[i].fate == ALIVE && s->note[i].expires_ms;
    return n;
}

static struct note *model_find(struct model_stream *s, uint64_t seq)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->note[i].seq == seq)
            return &s->note[i];
    return NULL;
}

static struct note *model_oldest(struct model_stream *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->note[i].fate == ALIVE)
            return &s->note[i];
    return NULL;
}

static void model_gone(struct model_stream *s, struct note *m, enum fate why)
{
    m->fate = (uint8_t)why;
    if (m->seq == s->last && why != TRIMMED)
        s->last_gone = true;
}

static void model_cut(struct model_stream *s, const struct stream_limits *l, uint64_t now_ms,
                      unsigned budget)
{
    for (; budget > 0; budget--) {
        struct note *m = model_oldest(s);
        if (!m)
            return;
        bool aged = l->age_ms && m->time_ms + l->age_ms <= now_ms;
        bool much = !l->refuse && ((l->messages && model_count(s) > l->messages) ||
                                   (l->bytes && model_bytes(s) > l->bytes));
        if (!aged && (!much || m->seq == s->last))
            return;
        enum fate why = fate_by(m, now_ms, l->age_ms);
        why = why == ALIVE ? TRIMMED : why;
        model_gone(s, m, why);
        s->floor = m->seq;
        if (why == TRIMMED)
            s->trimmed = m->seq;
    }
}

static struct note *model_bearer(struct model_stream *s, uint8_t key)
{
    for (unsigned i = s->n; key && i-- > 0;)
        if (s->note[i].key == key && s->note[i].fate == ALIVE)
            return &s->note[i];
    return NULL;
}

static bool model_fits(struct model_stream *s, const struct stream_limits *l, const struct note *m)
{
    const struct note *old = model_bearer(s, m->key);
    uint64_t count = model_count(s) - (old ? 1 : 0) + 1;
    uint64_t bytes = model_bytes(s) - (old ? old->bytes : 0) + m->bytes;
    return (!l->messages || count <= l->messages) && (!l->bytes || bytes <= l->bytes);
}

static bool model_room(struct model_stream *s, const struct stream_limits *l, const struct note *m,
                       uint64_t now_ms, unsigned budget)
{
    if (model_fits(s, l, m))
        return true;
    if (l->age_ms)
        model_cut(s, l, now_ms, budget);
    /* The bearer's place counts as free until it is gone itself; what is looked at is the oldest
     * first. */
    const struct note *bearer = model_bearer(s, m->key);
    uint64_t bearer_seq = bearer ? bearer->seq : 0, bearer_bytes = bearer ? bearer->bytes : 0;
    for (unsigned i = 0; i < s->n; i++) {
        struct note *x = &s->note[i];
        uint64_t count = model_count(s) + 1, bytes = model_bytes(s) + m->bytes;
        if (bearer_seq > s->floor) {
            count--;
            bytes -= bearer_bytes;
        }
        if ((!l->messages || count <= l->messages) && (!l->bytes || bytes <= l->bytes))
            break;
        if (x->fate == ALIVE && x->expires_ms && x->expires_ms <= now_ms)
            model_gone(s, x, fate_by(x, now_ms, l->age_ms));
    }
    return model_fits(s, l, m);
}

static bool model_append(struct model_stream *s, const struct stream_limits *l, struct note m,
                         uint64_t now_ms, unsigned budget)
{
    if (l->refuse && !model_room(s, l, &m, now_ms, budget + 2))
        return false;
    struct note *old = model_bearer(s, m.key);
    if (old) {
        enum fate why = fate_by(old, now_ms, l->age_ms);
        model_gone(s, old, why == ALIVE ? REPLACED : why);
    }
    struct note *last = model_find(s, s->last);
    m.prev = s->last;
    m.skipped = last && (s->last_gone || fate_by(last, now_ms, l->age_ms) != ALIVE);
    m.fate = ALIVE;
    s->note[s->n++] = m;
    s->last = m.seq;
    s->last_gone = false;
    uint64_t messages = l->messages + (l->messages >= LAZY ? l->messages / 8 : 0);
    uint64_t bytes = l->bytes + (model_count(s) >= LAZY ? l->bytes / 8 : 0);
    bool over = (messages && model_count(s) > messages) || (bytes && model_bytes(s) > bytes);
    if (!l->refuse && over)
        model_cut(s, l, now_ms, budget + 2);
    return true;
}

static void model_ack(struct model_stream *s, const struct stream_limits *l, uint64_t seq,
                      uint64_t now_ms)
{
    seq = seq < s->last ? seq : s->last;
    if (seq <= s->floor)
        return;
    for (unsigned i = 0; i < s->n && s->note[i].seq <= seq; i++) {
        struct note *m = &s->note[i];
        if (m->fate != ALIVE)
            continue;
        enum fate why = fate_by(m, now_ms, l->age_ms);
        m->fate = (uint8_t)(why == ALIVE ? ACKED : why);
    }
    s->floor = seq;
}

static bool model_visible(const struct model_stream *s, const struct note *m, uint64_t now_ms,
                          uint64_t age_ms)
{
    return m && m->fate == ALIVE && m->seq > s->floor && fate_by(m, now_ms, age_ms) == ALIVE;
}

#endif
