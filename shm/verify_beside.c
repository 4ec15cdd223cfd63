/* verify_beside - rows that lie beside the log: receipts, collapse keys, queued ttls, idempotency
 * keys. */
#include <errno.h>
#include <inttypes.h>

#include "shm/stream_priv.h"
#include "shm/verify_priv.h"

/* The receipts of one stream are those that its head counts. */
static int check_receipts(struct verify *v, uint64_t stream, uint64_t rows)
{
    struct stream_head h;
    if (stream == 0)
        return 0;
    int rc = verify_soft(v, stream, 0, stream_head(v->txn, stream, &h));
    if (rc == -ENOENT) {
        if (!verify_dropped(v, stream))
            violation(v, "stream %" PRIu64 ": receipts without a head", stream);
        return 0;
    }
    if (rc < 0)
        return rc;
    if (h.receipts != rows)
        violation(v, "stream %" PRIu64 ": the head says %u receipts, there are %" PRIu64, stream,
                  h.receipts, rows);
    return 0;
}

static int check_receipt(struct verify *v, struct row row, uint64_t stream, uint64_t seq)
{
    enum receipt_state why;
    uint64_t time_ms, removed_ms;
    struct entry e;
    if (receipt_decode(row.value, &why, &time_ms, &removed_ms) < 0 || seq > v->meta.last_seq)
        violation(v, "stream %" PRIu64 " seq %" PRIu64 ": a malformed receipt", stream, seq);
    int rc = verify_soft(v, stream, seq, entry_get(v->txn, stream, seq, &e));
    if (rc == 0)
        violation(v, "stream %" PRIu64 " seq %" PRIu64 ": a receipt, and the message is there",
                  stream, seq);
    return rc == -ENOENT ? 0 : rc;
}

static int walk_receipts(struct verify *v)
{
    struct row row;
    uint64_t id = 0, rows = 0, counted = 0;
    int err = 0;
    int rc = txn_seek(v->txn, DB_RECEIPT, str_make(NULL, 0), &row);
    for (; rc == 0 && err == 0; rc = txn_next(v->txn, DB_RECEIPT, &row)) {
        if (row.key.n != KEY_STREAM) {
            violation(v, "receipt: a key of %zu bytes", row.key.n);
            continue;
        }
        uint64_t stream = key_u64_get(row.key.p);
        if (stream != id) {
            err = check_receipts(v, id, rows);
            id = stream;
            rows = 0;
        }
        rows++;
        counted++;
        if (err == 0)
            err = check_receipt(v, row, stream, key_u64_get(row.key.p + 8));
    }
    if (err == 0 && rc == -ENOENT)
        err = check_receipts(v, id, rows);
    v->receipts = counted;
    return err < 0 ? err : rc == -ENOENT ? 0 : rc;
}

/* Heads that count receipts of which there is not one are not met by walking the rows. */
static int walk_heads(struct verify *v)
{
    struct row row;
    unsigned char key[KEY_STREAM];
    uint64_t said = 0;
    int rc = txn_seek(v->txn, DB_LOG, str_make(NULL, 0), &row);
    while (rc == 0 && row.key.n == KEY_STREAM) {
        uint64_t stream = key_u64_get(row.key.p);
        struct stream_head h;
        int err = stream_head(v->txn, stream, &h);
        if (err == 0)
            said += h.receipts;
        rc = stream == UINT64_MAX ? -ENOENT
                                  : txn_seek(v->txn, DB_LOG, key_stream(key, stream + 1, 0), &row);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (said > v->receipts)
        violation(v, "heads say %" PRIu64 " receipts, there are %" PRIu64, said, v->receipts);
    return 0;
}

static int walk_collapse(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_COLLAPSE, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_COLLAPSE, &row)) {
        struct entry e;
        if (row.key.n != 8 + COLLAPSE_HASH || row.value.n != 8) {
            violation(v, "collapse: a malformed row");
            continue;
        }
        uint64_t stream = key_u64_get(row.key.p), seq = key_u64_get(row.value.p);
        int err = verify_soft(v, stream, seq, entry_get(v->txn, stream, seq, &e));
        if (err < 0 && err != -ENOENT)
            return err;
        if (err == -ENOENT || !e.collapses || memcmp(e.collapse, row.key.p + 8, COLLAPSE_HASH) != 0)
            violation(v, "stream %" PRIu64 " seq %" PRIu64 ": a collapse key that it does not bear",
                      stream, seq);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* Every queued ttl names a message: it is taken out with it. */
static int walk_ttls(struct verify *v)
{
    struct row row;
    struct expiry_row due;
    int rc = txn_seek(v->txn, DB_EXPIRY, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_EXPIRY, &row)) {
        struct entry e;
        if (expiry_decode(row.key, &due) < 0)
            continue; /* told already */
        if (due.kind < EXPIRE_SESSION || due.kind > EXPIRE_PRESENCE)
            violation(v, "expiry: a row of kind %d", (int)due.kind);
        if (due.kind != EXPIRE_MESSAGE)
            continue;
        uint64_t stream = key_u64_get(due.id), seq = key_u64_get(due.id + 8);
        int err = verify_soft(v, stream, seq, entry_get(v->txn, stream, seq, &e));
        if (err < 0 && err != -ENOENT)
            return err;
        if (due.id_len != KEY_STREAM || err == -ENOENT || e.expires_ms == 0)
            violation(v, "stream %" PRIu64 " seq %" PRIu64 ": a queued ttl of no message", stream,
                      seq);
    }
    return rc == -ENOENT ? 0 : rc;
}

static int walk_keys(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_DEDUP, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_DEDUP, &row)) {
        v->keys++;
        if (row.key.n != 4 + 8 + 16 || row.value.n != 8 + 8 + 16)
            violation(v, "dedup: a malformed row");
        else if (key_u64_get(row.value.p) > v->meta.last_seq || key_u64_get(row.value.p) == 0)
            violation(v, "dedup: a key of seq %" PRIu64 ", which was never given",
                      key_u64_get(row.value.p));
    }
    return rc == -ENOENT ? 0 : rc;
}

int verify_beside(struct verify *v)
{
    int rc = walk_receipts(v);
    if (rc == 0)
        rc = walk_heads(v);
    if (rc == 0)
        rc = walk_collapse(v);
    if (rc == 0)
        rc = walk_ttls(v);
    if (rc == 0)
        rc = walk_keys(v);
    return rc;
}
