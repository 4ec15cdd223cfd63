/* verify - the walk, its sets and its report. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/verify_priv.h"

int keyset_add(struct keyset *s, const void *key)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 1024;
        unsigned char *data = realloc(s->data, cap * s->width);
        if (!data)
            return -ENOMEM;
        s->data = data;
        s->cap = cap;
    }
    memcpy(s->data + s->n++ * s->width, key, s->width);
    s->sorted = false;
    return 0;
}

static int compare(const void *a, const void *b, void *arg)
{
    const struct keyset *s = arg;
    return memcmp(a, b, s->width);
}

static void sort(struct keyset *s)
{
    if (!s->sorted && s->n > 0)
        qsort_r(s->data, s->n, s->width, compare, s);
    s->sorted = true;
}

/* Where the first key that is not below this one lies. */
static size_t lower(struct keyset *s, const void *key)
{
    size_t low = 0, high = s->n;
    sort(s);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (memcmp(s->data + mid * s->width, key, s->width) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool keyset_has(struct keyset *s, const void *key)
{
    size_t at = lower(s, key);
    return at < s->n && memcmp(s->data + at * s->width, key, s->width) == 0;
}

size_t keyset_count(struct keyset *s, const void *key)
{
    size_t at = lower(s, key), n = 0;
    while (at + n < s->n && memcmp(s->data + (at + n) * s->width, key, s->width) == 0)
        n++;
    return n;
}

size_t keyset_repeated(struct keyset *s, unsigned char *ret_key)
{
    size_t repeated = 0;
    sort(s);
    for (size_t i = 1; i < s->n; i++)
        if (memcmp(s->data + (i - 1) * s->width, s->data + i * s->width, s->width) == 0) {
            memcpy(ret_key, s->data + i * s->width, s->width);
            repeated++;
        }
    return repeated;
}

void keyset_free(struct keyset *s)
{
    free(s->data);
    *s = (struct keyset){.width = s->width};
}

void violation(struct verify *v, const char *fmt, ...)
{
    char text[256];
    va_list args;
    v->violations++;
    if (v->violations > VERIFY_LINES_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    buf_append_z(v->report, text);
    buf_append_c(v->report, '\n');
}

int verify_soft(struct verify *v, uint64_t stream, uint64_t seq, int rc)
{
    if (rc != -EUCLEAN)
        return rc;
    violation(v, "stream %" PRIu64 ", near seq %" PRIu64 ": malformed", stream, seq);
    return -ENOENT;
}

int verify_queued(struct verify *v, uint64_t due_ms, enum expiry_kind kind, struct str id)
{
    int rc = expiry_has(v->txn, due_ms, kind, id);
    return rc == -ENOENT ? 0 : rc < 0 ? rc : 1;
}

bool verify_dropped(struct verify *v, uint64_t stream)
{
    unsigned char key[8];
    key_u64(key, stream);
    return keyset_has(&v->reclaims, key);
}

/* What the queue knows, before anything is looked up in it. */
static int read_queue(struct verify *v)
{
    struct row row;
    struct expiry_row due;
    int rc = txn_seek(v->txn, DB_EXPIRY, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_EXPIRY, &row)) {
        int err = 0;
        v->queued++;
        if (expiry_decode(row.key, &due) < 0)
            violation(v, "expiry: a key of %zu bytes", row.key.n);
        else if (due.kind == EXPIRE_RECLAIM && due.id_len == 8)
            err = keyset_add(&v->reclaims, due.id);
        else if (due.kind == EXPIRE_SESSION && due.id_len == SESSION_ID_SIZE)
            err = keyset_add(&v->sessions, due.id);
        else if (due.kind == EXPIRE_TOPIC)
            v->topics_queued++;
        else if (due.kind == EXPIRE_PRESENCE)
            v->dirty_queued++;
        if (err < 0)
            return err;
    }
    return rc == -ENOENT ? 0 : rc;
}

static void check_meta(struct verify *v)
{
    if (v->meta.schema != META_SCHEMA)
        violation(v, "meta: schema %" PRIu64 ", this program knows %d", v->meta.schema,
                  META_SCHEMA);
    if (v->meta.epoch == 0)
        violation(v, "meta: no epoch");
}

static void check_seqs(struct verify *v)
{
    unsigned char key[8];
    if (v->messages > v->seqs.n)
        buf_printf(v->report, "seqs: only the first %zu of %" PRIu64 " compared\n", v->seqs.n,
                   v->messages);
    size_t repeated = keyset_repeated(&v->seqs, key);
    if (repeated)
        violation(v, "seqs: %zu occur more than once, among them %" PRIu64, repeated,
                  key_u64_get(key));
}

static int walk(struct verify *v)
{
    int rc = meta_get(v->txn, &v->meta);
    if (rc == -ENOENT && txn_entries(v->txn, DB_LOG) == 0)
        return 0; /* new, nothing was committed yet */
    if (rc < 0) {
        violation(v, "meta: the state row is missing or malformed");
        return 0;
    }
    check_meta(v);
    rc = read_queue(v);
    if (rc == 0)
        rc = verify_sessions(v);
    if (rc == 0)
        rc = verify_members(v);
    if (rc == 0)
        rc = verify_topics(v);
    if (rc == 0)
        rc = verify_tracked(v);
    if (rc == 0)
        rc = verify_streams(v);
    if (rc == 0)
        rc = verify_beside(v);
    if (rc == 0)
        check_seqs(v);
    return rc;
}

int verify_txn(struct txn *t, struct buf *report, uint64_t *ret_violations)
{
    struct verify v = {
        .txn = t,
        .report = report,
        .reclaims.width = 8,
        .sessions.width = SESSION_ID_SIZE,
        .mailboxes.width = 8,
        .subscribed.width = 8,
        .seqs.width = 8,
        .tracked.width = 8,
        .here.width = 8,
        .memberships.width = 8,
    };
    int rc = walk(&v);
    keyset_free(&v.reclaims);
    keyset_free(&v.sessions);
    size_t subscriptions = v.subscribed.n;
    keyset_free(&v.mailboxes);
    keyset_free(&v.subscribed);
    keyset_free(&v.seqs);
    keyset_free(&v.tracked);
    keyset_free(&v.here);
    keyset_free(&v.memberships);
    if (rc < 0)
        return rc;
    buf_printf(report,
               "%" PRIu64 " sessions, %" PRIu64 " topics, %zu subscriptions, %" PRIu64
               " members, %" PRIu64 " streams, %" PRIu64 " messages, %" PRIu64 " receipts, %" PRIu64
               " idempotency keys, %" PRIu64 " queued; last seq %" PRIu64 "; %" PRIu64
               " violations\n",
               v.session_rows, v.topics, subscriptions, v.members, v.streams, v.messages,
               v.receipts, v.keys, v.queued, v.meta.last_seq, v.violations);
    if (report->error)
        return report->error;
    *ret_violations = v.violations;
    return 0;
}

int verify_store(const char *path, struct buf *report, uint64_t *ret_violations)
{
    struct store_options o = {.path = path, .mode = STORE_READER, .max_readers = STORE_READERS(1)};
    struct store *s;
    struct txn *t;
    int rc = store_open(&o, &s);
    if (rc < 0)
        return rc;
    rc = store_read(s, &t);
    if (rc == 0) {
        rc = verify_txn(t, report, ret_violations);
        txn_done(t);
    }
    store_close(s);
    return rc;
}
