/* stream_entry - the rows that one message has: in the log, in the expiry queue, by collapse key.
 */
#include <errno.h>

#include "common/digest.h"

#include "shm/expiry.h"
#include "shm/stream_priv.h"

int entry_message(struct row row, uint64_t stream, struct message *ret)
{
    if (row.key.n != KEY_STREAM)
        return -EUCLEAN;
    if (key_u64_get(row.key.p) != stream)
        return -ENOENT;
    struct message m = {.seq = key_u64_get(row.key.p + 8)};
    if (m.seq == STREAM_HEAD_SEQ)
        return -ENOENT;
    uint64_t seq = m.seq;
    if (message_decode(row.value.p, row.value.n, &m) < 0)
        return -EUCLEAN;
    m.seq = seq;
    *ret = m;
    return 0;
}

static int entry_of(struct row row, uint64_t stream, struct entry *ret)
{
    struct message m;
    int rc = entry_message(row, stream, &m);
    if (rc < 0)
        return rc;
    *ret = (struct entry){
        .seq = m.seq,
        .time_ms = m.time_ms,
        .expires_ms = m.expires_ms,
        .bytes = m.payload.n,
        .collapses = m.collapse.n > 0,
    };
    if (ret->collapses)
        collapse_hash(m.collapse, ret->collapse);
    return 0;
}

int entry_first(struct txn *t, uint64_t stream, uint64_t seq, struct entry *ret)
{
    unsigned char key[KEY_STREAM];
    struct row row;
    int rc = txn_seek(t, DB_LOG, key_stream(key, stream, seq), &row);
    return rc < 0 ? rc : entry_of(row, stream, ret);
}

int entry_next(struct txn *t, uint64_t stream, struct entry *ret)
{
    struct row row;
    int rc = txn_next(t, DB_LOG, &row);
    return rc < 0 ? rc : entry_of(row, stream, ret);
}

int entry_get(struct txn *t, uint64_t stream, uint64_t seq, struct entry *ret)
{
    unsigned char key[KEY_STREAM];
    struct row row = {.key = key_stream(key, stream, seq)};
    int rc = txn_get(t, DB_LOG, row.key, &row.value);
    return rc < 0 ? rc : entry_of(row, stream, ret);
}

int entries_tally(struct txn *t, uint64_t stream, uint64_t from, uint64_t to, struct tally *ret)
{
    unsigned char key[KEY_STREAM];
    struct tally sum = {0};
    struct row row;
    struct message m;
    int rc = from < to ? txn_seek(t, DB_LOG, key_stream(key, stream, from + 1), &row) : -ENOENT;
    if (rc == 0)
        rc = entry_message(row, stream, &m);
    while (rc == 0 && m.seq <= to) {
        sum.count++;
        sum.bytes += m.payload.n;
        if (m.expires_ms) {
            sum.with_ttl++;
            if (sum.next_expires_ms == 0 || m.expires_ms < sum.next_expires_ms)
                sum.next_expires_ms = m.expires_ms;
        }
        rc = txn_next(t, DB_LOG, &row);
        if (rc == 0)
            rc = entry_message(row, stream, &m);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    *ret = sum;
    return 0;
}

void collapse_hash(struct str key, uint8_t ret[COLLAPSE_HASH])
{
    uint8_t digest[DIGEST_SIZE];
    sha256(key.p, key.n, digest);
    memcpy(ret, digest, COLLAPSE_HASH);
}

static struct str collapse_key(unsigned char key[8 + COLLAPSE_HASH], uint64_t stream,
                               const uint8_t hash[COLLAPSE_HASH])
{
    key_u64(key, stream);
    memcpy(key + 8, hash, COLLAPSE_HASH);
    return str_make(key, 8 + COLLAPSE_HASH);
}

int collapse_find(struct txn *t, uint64_t stream, const uint8_t hash[COLLAPSE_HASH],
                  uint64_t *ret_seq)
{
    unsigned char key[8 + COLLAPSE_HASH];
    struct str v;
    int rc = txn_get(t, DB_COLLAPSE, collapse_key(key, stream, hash), &v);
    if (rc < 0)
        return rc;
    if (v.n != 8)
        return -EUCLEAN;
    *ret_seq = key_u64_get(v.p);
    return 0;
}

int collapse_put(struct txn *t, uint64_t stream, const uint8_t hash[COLLAPSE_HASH], uint64_t seq)
{
    unsigned char key[8 + COLLAPSE_HASH], value[8];
    key_u64(value, seq);
    return txn_put(t, DB_COLLAPSE, collapse_key(key, stream, hash), str_make(value, sizeof(value)));
}

int entry_queue_ttl(struct txn *t, uint64_t stream, uint64_t seq, uint64_t expires_ms)
{
    unsigned char key[KEY_STREAM];
    return expiry_put(t, expires_ms, EXPIRE_MESSAGE, key_stream(key, stream, seq));
}

int entry_erase(struct txn *t, uint64_t stream, const struct entry *e)
{
    unsigned char key[KEY_STREAM], collapse[8 + COLLAPSE_HASH];
    struct str log_key = key_stream(key, stream, e->seq);
    int rc = txn_del(t, DB_LOG, log_key);
    if (rc == 0 && e->expires_ms) {
        rc = expiry_del(t, e->expires_ms, EXPIRE_MESSAGE, log_key);
        rc = rc == -ENOENT ? 0 : rc; /* the sweep has just taken it */
    }
    if (rc < 0 || !e->collapses)
        return rc;
    uint64_t bearer;
    rc = collapse_find(t, stream, e->collapse, &bearer);
    if (rc == 0 && bearer == e->seq)
        rc = txn_del(t, DB_COLLAPSE, collapse_key(collapse, stream, e->collapse));
    return rc == -ENOENT ? 0 : rc;
}
