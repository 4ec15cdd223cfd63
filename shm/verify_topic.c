/* verify_topic - topics by name and by stream, who is subscribed, and what is queued of idle ones.
 */
#include <errno.h>
#include <inttypes.h>

#include "shm/topic_priv.h"
#include "shm/verify_priv.h"

static int check_subscription(struct verify *v, struct row row)
{
    uint64_t mailbox = key_u64_get(row.key.p), topic = key_u64_get(row.key.p + 8);
    struct topic t;
    if (!keyset_has(&v->mailboxes, row.key.p))
        violation(v, "stream %" PRIu64 ": subscribed to %" PRIu64 ", and the mailbox of no session",
                  mailbox, topic);
    if (key_u64_get(row.value.p) > v->meta.last_seq)
        violation(v, "stream %" PRIu64 ": its join cursor of %" PRIu64 " is past the last seq",
                  mailbox, topic);
    v->tracking += row.value.p[8] == 1;
    int rc = verify_soft(v, topic, 0, topic_get(v->txn, topic, &t));
    if (rc == -ENOENT)
        violation(v, "stream %" PRIu64 ": subscribed to %" PRIu64 ", which is no topic", mailbox,
                  topic);
    return rc < 0 && rc != -ENOENT ? rc : keyset_add(&v->subscribed, row.key.p + 8);
}

static int walk_subscriptions(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_SUBS, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_SUBS, &row)) {
        if (row.key.n != KEY_STREAM || row.value.n != SUBSCRIBED_SIZE) {
            violation(v, "subs: a malformed row");
            continue;
        }
        int err = check_subscription(v, row);
        if (err < 0)
            return err;
    }
    return rc == -ENOENT ? 0 : rc;
}

static int check_presence(struct verify *v, const struct topic *t)
{
    unsigned char key[8];
    key_u64(key, t->stream);
    size_t tracked = keyset_count(&v->tracked, key), here = keyset_count(&v->here, key);
    if (t->tracked != tracked || t->members != here)
        violation(v,
                  "topic %" PRIu64 ": says %" PRIu64 " members, %" PRIu64
                  " of them here; there are %zu and %zu",
                  t->stream, t->tracked, t->members, tracked, here);
    if (t->dirty_ms == 0)
        return 0;
    v->dirty++;
    int rc = verify_queued(v, t->dirty_ms, EXPIRE_PRESENCE, str_make(key, sizeof(key)));
    if (rc == 0)
        violation(v, "topic %" PRIu64 ": changes to be announced, and it is not queued", t->stream);
    return rc < 0 ? rc : 0;
}

static int check_topic(struct verify *v, const struct topic *t)
{
    struct stream_head h;
    unsigned char key[8];
    uint64_t named = 0;
    key_u64(key, t->stream);
    size_t subscribers = keyset_count(&v->subscribed, key);
    if (t->subscribers != subscribers)
        violation(v, "topic %" PRIu64 ": says %" PRIu64 " subscribers, there are %zu", t->stream,
                  t->subscribers, subscribers);
    if ((t->subscribers == 0) != (t->idle_ms != 0))
        violation(v, "topic %" PRIu64 ": idle since %" PRIu64 ", with %" PRIu64 " subscribers",
                  t->stream, t->idle_ms, t->subscribers);
    if (t->subscribers == 0 && t->due_ms == 0)
        violation(v, "topic %" PRIu64 ": idle and not queued", t->stream);
    int rc = t->due_ms ? verify_queued(v, t->due_ms, EXPIRE_TOPIC, str_make(key, sizeof(key))) : 1;
    if (rc == 0)
        violation(v, "topic %" PRIu64 ": its row of the expiry queue is missing", t->stream);
    v->topics_due += rc == 1 && t->due_ms != 0;
    if (rc >= 0)
        rc = verify_soft(v, t->stream, 0, topic_find(v->txn, t->name, &named));
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (named != t->stream)
        violation(v, "topic %" PRIu64 ": its name does not lead to it", t->stream);
    rc = verify_soft(v, t->stream, 0, stream_head(v->txn, t->stream, &h));
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (rc == -ENOENT || h.kind != STREAM_TOPIC)
        violation(v, "topic %" PRIu64 ": it has no stream", t->stream);
    return 0;
}

static int walk_topics(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_TOPIC, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_TOPIC, &row)) {
        struct topic t;
        v->topics++;
        if (row.key.n != 8 || topic_decode(key_u64_get(row.key.p), row.value, &t) < 0) {
            violation(v, "topic: a malformed row");
            continue;
        }
        int err = check_topic(v, &t);
        if (err == 0)
            err = check_presence(v, &t);
        if (err < 0)
            return err;
    }
    return rc == -ENOENT ? 0 : rc;
}

static int walk_names(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_NAME, STR("t"), &row);
    for (; rc == 0 && row.key.n > 0 && row.key.p[0] == 't'; rc = txn_next(v->txn, DB_NAME, &row)) {
        struct topic t;
        if (row.value.n != 8) {
            violation(v, "name: a malformed row");
            continue;
        }
        uint64_t stream = key_u64_get(row.value.p);
        int err = verify_soft(v, stream, 0, topic_get(v->txn, stream, &t));
        if (err < 0 && err != -ENOENT)
            return err;
        if (err == -ENOENT || !str_eq(t.name, str_make(row.key.p + 1, row.key.n - 1)))
            violation(v, "topic %" PRIu64 ": a name leads to it that it does not bear", stream);
    }
    return rc == -ENOENT || rc == 0 ? 0 : rc;
}

int verify_topic_of(struct verify *v, uint64_t stream)
{
    struct topic t;
    int rc = verify_soft(v, stream, 0, topic_get(v->txn, stream, &t));
    if (rc == -ENOENT)
        violation(v, "stream %" PRIu64 ": a topic without a name", stream);
    return rc == -ENOENT ? 0 : rc;
}

int verify_topics(struct verify *v)
{
    int rc = walk_subscriptions(v);
    if (rc == 0)
        rc = walk_topics(v);
    if (rc == 0)
        rc = walk_names(v);
    /* One row a topic, and its topic knows it: else they would become more and more. */
    if (rc == 0 && v->topics_queued != v->topics_due)
        violation(v, "expiry: %" PRIu64 " rows of topics, of which %" PRIu64 " are known to them",
                  v->topics_queued, v->topics_due);
    return rc;
}
