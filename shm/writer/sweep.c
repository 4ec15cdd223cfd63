/* sweep - what is due: sessions past their ttl, messages past theirs, leases, queued reclaiming,
 * idempotency keys past their window, the leases of dead workers and of servers before this one
 * (rules 6, 9, 13), and what is to be announced of presence.
 *
 * It runs inside a batch's transaction, in small portions. Readers judge by store time themselves,
 * so being late here costs space, never truth.
 */
#include "shm/writer/writer_priv.h"

#include "common/killpoint.h"
#include "common/log.h"

#include <errno.h>

#define DEDUP_EVERY_MS 1000
#define SAMPLE_EVERY_MS 1000
#define RETRY_MS 1000            /* a sweep that failed is tried again */
#define PUT_OFF_MS (3600 * 1000) /* a row that cannot be worked off is asked again */

static bool deaths_wait(const struct writer *w)
{
    for (uint32_t i = 0; i < w->rings.slots; i++)
        if (atomic_load(&w->board->seat[i].dead_generation) > w->buried[i])
            return true;
    return false;
}

bool sweep_waits(struct writer *w)
{
    if (w->now_ms < w->sweep_after_ms)
        return false;
    return w->now_ms >= w->next_due_ms || w->now_ms >= w->dedup_due_ms ||
           w->now_ms >= w->sample_due_ms || deaths_wait(w) || !w->inherited || presence_waits(w);
}

static int due_session(struct writer *w, const struct expiry_row *row)
{
    struct session s;
    int err = session_get(w->txn, row->id, &s);
    if (err)
        return err == -ENOENT ? 0 : err;
    if (session_expired(&s, w->now_ms, atomic_load(&w->board->start_ms)))
        return remove_session(w, &s, METRIC_SESSIONS_EXPIRED);
    return expiry_put(w->txn, session_due_ms(w, &s), EXPIRE_SESSION,
                      str_make(row->id, SESSION_ID_SIZE));
}

static int due_attachment(struct writer *w, const struct expiry_row *row)
{
    uint64_t connection = key_u64_get(row->id + SESSION_ID_SIZE);
    struct attachment a;
    int err = attachment_get(w->txn, row->id, connection, &a);
    if (err)
        return err == -ENOENT ? 0 : err;
    struct attachment_run run = writer_run(w);
    uint64_t end = attachment_end(&a, &run);
    if (end > w->now_ms)
        return expiry_put(w->txn, end, EXPIRE_ATTACHMENT, str_make(row->id, SESSION_ID_SIZE + 8));
    err = attachment_del(w->txn, row->id, connection);
    return err ? err : presence_lease_over(w, row->id);
}

/* A stream's limits: a topic's are its namespace's. 0, or a store error. */
static int limits_of(struct writer *w, uint64_t stream, struct stream_limits *ret)
{
    struct stream_head head;
    struct topic topic;
    *ret = mailbox_limits(w);
    int err = stream_head(w->txn, stream, &head);
    if (err || head.kind != STREAM_TOPIC)
        return err == -ENOENT ? 0 : err; /* what is gone needs none */
    err = topic_get(w->txn, stream, &topic);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    *ret = topic_limits(w, conf_namespace_of(w->conf, topic.name));
    return 0;
}

static int due_message(struct writer *w, uint64_t stream, uint64_t seq)
{
    struct stream_limits limits;
    bool removed = false; /* counted by way of the limits */
    int err = limits_of(w, stream, &limits);
    return err ? err : stream_expire_message(w->txn, stream, seq, w->now_ms, &limits, &removed);
}

static int due_age(struct writer *w, uint64_t stream)
{
    struct stream_limits limits;
    int err = limits_of(w, stream, &limits);
    return err ? err : stream_expire_age(w->txn, stream, w->now_ms, &limits, &w->budget);
}

static int due_topic(struct writer *w, uint64_t stream)
{
    bool removed = false;
    int err = topic_expire(w->txn, stream, w->now_ms, topic_idle_ms(w), &w->budget, &removed);
    if (!err)
        topics_gone(w, removed);
    return err;
}

static int due(struct writer *w, const struct expiry_row *row)
{
    struct stream_limits limits = mailbox_limits(w); /* only mailboxes have receipts */
    uint64_t stream = key_u64_get(row->id);
    switch (row->kind) {
    case EXPIRE_SESSION:
        return due_session(w, row);
    case EXPIRE_ATTACHMENT:
        return due_attachment(w, row);
    case EXPIRE_MESSAGE:
        return due_message(w, stream, key_u64_get(row->id + 8));
    case EXPIRE_RECLAIM:
        return stream_reclaim(w->txn, stream, &w->budget);
    case EXPIRE_RECEIPTS:
        return stream_expire_receipts(w->txn, stream, w->now_ms, &limits, &w->budget);
    case EXPIRE_AGE:
        return due_age(w, stream);
    case EXPIRE_TOPIC:
        return due_topic(w, stream);
    case EXPIRE_PRESENCE:
        return presence_due(w, stream);
    }
    log_event(LOG_ERROR, "expiry_kind_unknown", LOG_U("kind", row->kind));
    return 0;
}

static bool is_stuck(const struct writer *w, const struct expiry_row *row)
{
    return row->due_ms == w->stuck.due_ms && row->kind == w->stuck.kind &&
           row->id_len == w->stuck.id_len && memcmp(row->id, w->stuck.id, row->id_len) == 0;
}

/* The front row, if it is due. 0: look for the next; 1: that is all for this transaction; or a
 * store error. What a row names may be damaged: then this transaction, half changed, is lost, and
 * the next one puts the row off and ends with that, so that it never stands before the others. */
static int sweep_row(struct writer *w)
{
    struct expiry_row row;
    int err = expiry_take(w->txn, w->now_ms, &row);
    if (err == -ENOENT)
        return 1;
    if (err == -EUCLEAN) {
        log_event(LOG_ERROR, "expiry_row_malformed");
        writer_count(w, METRIC_SWEEP_FAILED, 1);
    } else if (err) {
        return err;
    } else if (is_stuck(w, &row)) {
        err = expiry_put(w->txn, w->now_ms + PUT_OFF_MS, row.kind, str_make(row.id, row.id_len));
        if (err)
            return err;
        writer_count(w, METRIC_SWEEP_FAILED, 1);
        w->changed = w->must_commit = true;
        return 1;
    } else {
        err = due(w, &row);
        if (err == -EUCLEAN)
            w->stuck = row;
        if (err)
            return err;
    }
    w->changed = w->must_commit = true;
    KILLPOINT("swept");
    return 0;
}

static int sweep_due(struct writer *w)
{
    int more = 0;
    for (int i = 0; i < WRITER_SWEEP_ROWS && w->budget > 0 && more == 0; i++)
        more = sweep_row(w);
    return more < 0 ? more : 0;
}

int sweep_peek(struct writer *w)
{
    int err = expiry_next(w->txn, &w->next_due_ms);
    if (err != -ENOENT)
        return err;
    w->next_due_ms = UINT64_MAX;
    return 0;
}

/* The leases of a dead worker end after the grace (rule 9). */
static int sweep_deaths(struct writer *w)
{
    for (uint32_t i = 0; i < w->rings.slots; i++) {
        uint32_t dead = atomic_load(&w->board->seat[i].dead_generation);
        if (dead <= w->buried[i])
            continue;
        if (store_reader_check(w->store) < 0)
            log_event(LOG_WARN, "reader_check_failed", LOG_U("slot", i));
        bool done = false;
        int err = attachment_worker_died(w->txn, i, dead, w->now_ms + w->conf->presence_grace,
                                         w->burying[i], &w->budget, &done);
        if (err)
            return err;
        w->changed = w->must_commit = true;
        if (done) {
            w->buried[i] = dead;
            memset(w->burying[i], 0, sizeof(w->burying[i]));
        }
    }
    return 0;
}

/* Those of a server before this one end when everyone has had the grace to come back. */
static int sweep_inheritance(struct writer *w)
{
    struct attachment_run run = writer_run(w);
    int err = attachment_server_died(w->txn, &run, w->inheriting, &w->budget, &w->inherited);
    if (!err)
        w->changed = w->must_commit = true;
    return err;
}

static int sample(struct writer *w)
{
    struct metric_block *m = w->metrics;
    int err = sample_usage(w);
    if (err)
        return err;
    metric_set(m, METRIC_SESSIONS, txn_entries(w->txn, DB_SESSION));
    metric_set(m, METRIC_TOPICS, txn_entries(w->txn, DB_TOPIC));
    metric_set(m, METRIC_SUBSCRIPTIONS, txn_entries(w->txn, DB_SUBS));
    metric_set(m, METRIC_PRESENCE_MEMBERS, txn_entries(w->txn, DB_MEMBER));
    metric_set(m, METRIC_MESSAGES_STORED, txn_entries(w->txn, DB_LOG));
    metric_set(m, METRIC_STORE_USED, w->usage.used);
    metric_set(m, METRIC_STORE_LIMIT, w->usage.limit);
    metric_set(m, METRIC_STORE_FILE, w->usage.file);
    metric_set(m, METRIC_LAST_SEQ, w->meta.last_seq);
    return 0;
}

static int run(struct writer *w)
{
    int err = 0;
    if (deaths_wait(w))
        err = sweep_deaths(w);
    if (!err && !w->inherited && w->budget > 0)
        err = sweep_inheritance(w);
    if (!err && w->now_ms >= w->next_due_ms)
        err = sweep_due(w);
    if (!err && w->now_ms >= w->dedup_due_ms) {
        unsigned before = w->budget;
        err = dedup_sweep(w->dedup, w->txn, w->now_ms, &w->budget);
        if (err == -EUCLEAN) { /* what else is due does not wait for it */
            log_event(LOG_ERROR, "dedup_row_malformed");
            err = 0;
        }
        if (w->budget != before)
            w->changed = w->must_commit = true;
        if (w->budget > 0)
            w->dedup_due_ms = w->now_ms + DEDUP_EVERY_MS;
    }
    if (!err && w->now_ms >= w->sample_due_ms) {
        err = sample(w);
        w->sample_due_ms = w->now_ms + SAMPLE_EVERY_MS;
    }
    return err ? err : presence_announce(w);
}

int sweep_run(struct writer *w)
{
    const struct expiry_row stuck = w->stuck;
    int err = run(w);
    if (err) {
        bool found = !is_stuck(w, &stuck);
        log_event(LOG_ERROR, "sweep_failed", LOG_U("kind", found ? w->stuck.kind : 0), LOG_E(err));
        w->sweep_after_ms = found ? 0 : w->now_ms + RETRY_MS;
    }
    return err;
}
