/* session - rows of sessions, and the two ways to find one: by subject, by (subject, name).
 *
 * A row is a fixed part and four strings in pack.h form. Rows are encoded into memory of their own
 * before they are put, since the strings of a session often point into the row being replaced.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/digest.h"
#include "common/log.h"
#include "common/pack.h"

#include "shm/expiry.h"
#include "shm/session.h"
#include "shm/topic.h"

#define ROW_FIXED (13 * 8 + 4)
#define ROW_STRINGS 4
#define ROW_ON_STACK 2048
#define NAME_KEY (1 + DIGEST_SIZE)
#define SUBJECT_HASH 16
#define SUBJECT_KEY (SUBJECT_HASH + SESSION_ID_SIZE)
#define PROTECTED_MS (10 * 60 * 1000) /* after a server start (rule 13) */

static size_t row_size(const struct session *s)
{
    return ROW_FIXED + ROW_STRINGS * sizeof(uint32_t) + s->subject.n + s->name.n + s->attributes.n +
           s->claims.n;
}

static void row_encode(const struct session *s, void *at, size_t n)
{
    struct pack p = pack_into(at, n);
    pack_u64(&p, s->stream);
    pack_u64(&p, s->created_ms);
    pack_u64(&p, s->expires_ms);
    pack_u64(&p, s->ttl_ms);
    pack_u64(&p, s->start_seq);
    pack_u64(&p, s->acked);
    pack_u64(&p, s->acked_prev);
    pack_u64(&p, s->acked_ms);
    pack_u64(&p, s->delivered);
    pack_u64(&p, s->delivered_prev);
    pack_u64(&p, s->delivered_ms);
    pack_u64(&p, s->generation);
    pack_u64(&p, s->tracked);
    pack_u32(&p, s->flags);
    pack_str(&p, s->subject);
    pack_str(&p, s->name);
    pack_str(&p, s->attributes);
    pack_str(&p, s->claims);
    must(!p.bad && p.p == p.end);
}

int session_get(struct txn *t, const uint8_t id[SESSION_ID_SIZE], struct session *ret)
{
    struct str v;
    int rc = txn_get(t, DB_SESSION, str_make(id, SESSION_ID_SIZE), &v);
    if (rc < 0)
        return rc;
    struct unpack u = unpack_from(v.p, v.n);
    struct session s = {.stream = unpack_u64(&u)};
    memcpy(s.id, id, SESSION_ID_SIZE);
    s.created_ms = unpack_u64(&u);
    s.expires_ms = unpack_u64(&u);
    s.ttl_ms = unpack_u64(&u);
    s.start_seq = unpack_u64(&u);
    s.acked = unpack_u64(&u);
    s.acked_prev = unpack_u64(&u);
    s.acked_ms = unpack_u64(&u);
    s.delivered = unpack_u64(&u);
    s.delivered_prev = unpack_u64(&u);
    s.delivered_ms = unpack_u64(&u);
    s.generation = unpack_u64(&u);
    s.tracked = unpack_u64(&u);
    s.flags = unpack_u32(&u);
    s.subject = unpack_str(&u);
    s.name = unpack_str(&u);
    s.attributes = unpack_str(&u);
    s.claims = unpack_str(&u);
    if (!unpack_done(&u))
        return -EUCLEAN;
    *ret = s;
    return 0;
}

static int put_row(struct txn *t, const struct session *s,
                   int (*put)(struct txn *, enum store_db, struct str, struct str))
{
    unsigned char stack[ROW_ON_STACK];
    size_t n = row_size(s);
    unsigned char *at = n <= sizeof(stack) ? stack : malloc(n);
    if (!at)
        return -ENOMEM;
    row_encode(s, at, n);
    int rc = put(t, DB_SESSION, str_make(s->id, SESSION_ID_SIZE), str_make(at, n));
    if (at != stack)
        free(at);
    return rc;
}

int session_put(struct txn *t, const struct session *s)
{
    return put_row(t, s, txn_put);
}

/* One session's row of the queue as session_create puts it. */
static uint64_t queue_due(const struct session *s)
{
    return s->expires_ms + s->ttl_ms / 8;
}

uint64_t session_due(const struct session *s, uint64_t start_ms)
{
    uint64_t shield = start_ms + (s->ttl_ms < PROTECTED_MS ? s->ttl_ms : PROTECTED_MS);
    uint64_t due = queue_due(s);
    return due > shield ? due : shield;
}

bool session_expired(const struct session *s, uint64_t now_ms, uint64_t start_ms)
{
    return now_ms >= session_due(s, start_ms);
}

void subject_hash(struct str subject, uint8_t ret[16])
{
    uint8_t digest[DIGEST_SIZE];
    sha256(subject.p, subject.n, digest);
    memcpy(ret, digest, SUBJECT_HASH);
}

static struct str subject_key(unsigned char key[SUBJECT_KEY], struct str subject,
                              const uint8_t id[SESSION_ID_SIZE])
{
    subject_hash(subject, key);
    memcpy(key + SUBJECT_HASH, id, SESSION_ID_SIZE);
    return str_make(key, SUBJECT_KEY);
}

/* 's' + SHA-256 of both strings, each behind its length, so that their joint is unambiguous. */
static struct str name_key(unsigned char key[NAME_KEY], struct str subject, struct str name)
{
    unsigned char text[2 * (sizeof(uint32_t) + 255)];
    must(subject.n <= 255 && name.n <= 255);
    struct pack p = pack_into(text, sizeof(text));
    pack_str(&p, subject);
    pack_str(&p, name);
    key[0] = 's';
    sha256(text, pack_len(&p), key + 1);
    return str_make(key, NAME_KEY);
}

int session_by_name(struct txn *t, struct str subject, struct str name,
                    uint8_t ret[SESSION_ID_SIZE])
{
    unsigned char key[NAME_KEY];
    struct str v;
    int rc = txn_get(t, DB_NAME, name_key(key, subject, name), &v);
    if (rc < 0)
        return rc;
    if (v.n != SESSION_ID_SIZE)
        return -EUCLEAN;
    memcpy(ret, v.p, SESSION_ID_SIZE);
    return 0;
}

int session_create(struct txn *t, struct session *s)
{
    unsigned char key[SUBJECT_KEY], name[NAME_KEY];
    struct str id = str_make(s->id, SESSION_ID_SIZE);
    uint64_t stream;
    int rc = stream_create(t, STREAM_MAILBOX, &stream);
    if (rc < 0)
        return rc;
    s->stream = stream;
    rc = put_row(t, s, txn_put_new);
    if (rc == 0 && s->subject.n)
        rc = txn_put(t, DB_SUBJECT, subject_key(key, s->subject, s->id), str_make("", 0));
    if (rc == 0 && s->name.n)
        rc = txn_put(t, DB_NAME, name_key(name, s->subject, s->name), id);
    if (rc == 0)
        rc = expiry_put(t, queue_due(s), EXPIRE_SESSION, id);
    return rc;
}

static int remove_attachments(struct txn *t, const uint8_t id[SESSION_ID_SIZE])
{
    struct row row;
    int rc = txn_seek(t, DB_ATTACH, str_make(id, SESSION_ID_SIZE), &row);
    while (rc == 0 && row.key.n == SESSION_ID_SIZE + 8 &&
           memcmp(row.key.p, id, SESSION_ID_SIZE) == 0) {
        rc = txn_del_row(t, DB_ATTACH);
        if (rc == 0)
            rc = txn_next(t, DB_ATTACH, &row);
    }
    return rc == -ENOENT ? 0 : rc;
}

static int absent_is_fine(int rc)
{
    return rc == -ENOENT ? 0 : rc;
}

int session_remove(struct txn *t, const struct session *s, uint64_t now_ms, uint64_t topic_idle_ms,
                   unsigned *budget, uint64_t *ret_topics)
{
    /* s may point into the rows that go. */
    unsigned char subject[SUBJECT_KEY], name[NAME_KEY];
    uint8_t id[SESSION_ID_SIZE], named[SESSION_ID_SIZE];
    bool has_subject = s->subject.n > 0, has_name = s->name.n > 0;
    uint64_t stream = s->stream, due = queue_due(s);
    struct str id_key = str_make(id, sizeof(id));
    memcpy(id, s->id, sizeof(id));
    if (has_subject)
        subject_key(subject, s->subject, id);
    if (has_name) {
        int rc = session_by_name(t, s->subject, s->name, named);
        if (rc < 0 && rc != -ENOENT)
            return rc;
        /* A newer session may bear the name by now. */
        has_name = rc == 0 && memcmp(named, id, sizeof(id)) == 0;
        if (has_name)
            name_key(name, s->subject, s->name);
    }
    int rc = txn_del(t, DB_SESSION, id_key);
    if (rc == 0 && has_subject)
        rc = absent_is_fine(txn_del(t, DB_SUBJECT, str_make(subject, sizeof(subject))));
    if (rc == 0 && has_name)
        rc = absent_is_fine(txn_del(t, DB_NAME, str_make(name, sizeof(name))));
    if (rc == 0)
        rc = absent_is_fine(expiry_del(t, due, EXPIRE_SESSION, id_key));
    if (rc == 0)
        rc = remove_attachments(t, id);
    if (rc == 0)
        rc = subscribed_del_all(t, stream, now_ms, topic_idle_ms, budget, ret_topics);
    if (rc == 0)
        rc = absent_is_fine(stream_drop(t, stream, budget));
    return rc;
}

int subject_sessions(struct txn *t, struct str subject, const uint8_t *after,
                     uint8_t (*ret)[SESSION_ID_SIZE], size_t max)
{
    static const uint8_t first[SESSION_ID_SIZE];
    unsigned char key[SUBJECT_KEY];
    struct row row;
    size_t n = 0;
    struct str from = subject_key(key, subject, after ? after : first);
    int rc = max > 0 ? txn_seek(t, DB_SUBJECT, from, &row) : -ENOENT;
    if (rc == 0 && after && str_eq(row.key, from))
        rc = txn_next(t, DB_SUBJECT, &row);
    while (rc == 0 && row.key.n == SUBJECT_KEY && memcmp(row.key.p, key, SUBJECT_HASH) == 0) {
        memcpy(ret[n++], row.key.p + SUBJECT_HASH, SESSION_ID_SIZE);
        rc = n < max ? txn_next(t, DB_SUBJECT, &row) : -ENOENT;
    }
    return rc == 0 || rc == -ENOENT ? (int)n : rc;
}
