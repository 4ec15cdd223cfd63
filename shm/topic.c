/* topic - rows of topics, the way from a name to its stream, and how idle ones go.
 *
 * A row: u64 created_ms, subscribers, idle_ms, due_ms, version, members, tracked, dirty_ms | the
 * name. A topic has one row of the expiry
 * queue at most, however often its subscribers come and go: a subscriber who comes leaves it where
 * it is, and what it finds when it is due decides whether another is put.
 */
#include <errno.h>

#include "common/log.h"
#include "common/pack.h"

#include "shm/expiry.h"
#include "shm/topic_priv.h"

#define ROW_FIXED (8 * 8)
#define NAME_KEY (1 + TOPIC_NAME_MAX)
#define STREAM_KEY 8

static struct str name_key(unsigned char key[NAME_KEY], struct str name)
{
    key[0] = 't';
    if (name.n)
        memcpy(key + 1, name.p, name.n);
    return str_make(key, 1 + name.n);
}

static struct str stream_key(unsigned char key[STREAM_KEY], uint64_t stream)
{
    key_u64(key, stream);
    return str_make(key, STREAM_KEY);
}

static int stream_of(struct str value, uint64_t *ret_stream)
{
    if (value.n != STREAM_KEY)
        return -EUCLEAN;
    *ret_stream = key_u64_get(value.p);
    return 0;
}

int topic_find(struct txn *t, struct str name, uint64_t *ret_stream)
{
    unsigned char key[NAME_KEY];
    struct str v;
    if (name.n == 0 || name.n > TOPIC_NAME_MAX)
        return -ENOENT;
    int rc = txn_get(t, DB_NAME, name_key(key, name), &v);
    return rc < 0 ? rc : stream_of(v, ret_stream);
}

int topic_decode(uint64_t stream, struct str value, struct topic *ret)
{
    struct unpack u = unpack_from(value.p, value.n);
    struct topic topic = {.stream = stream};
    topic.created_ms = unpack_u64(&u);
    topic.subscribers = unpack_u64(&u);
    topic.idle_ms = unpack_u64(&u);
    topic.due_ms = unpack_u64(&u);
    topic.version = unpack_u64(&u);
    topic.members = unpack_u64(&u);
    topic.tracked = unpack_u64(&u);
    topic.dirty_ms = unpack_u64(&u);
    if (u.bad)
        return -EUCLEAN;
    topic.name = str_make(u.p, (size_t)(u.end - u.p));
    if (topic.name.n == 0 || topic.name.n > TOPIC_NAME_MAX)
        return -EUCLEAN;
    *ret = topic;
    return 0;
}

int topic_get(struct txn *t, uint64_t stream, struct topic *ret)
{
    unsigned char key[STREAM_KEY];
    struct str v;
    int rc = txn_get(t, DB_TOPIC, stream_key(key, stream), &v);
    return rc < 0 ? rc : topic_decode(stream, v, ret);
}

int topic_put(struct txn *t, const struct topic *topic)
{
    unsigned char key[STREAM_KEY], value[ROW_FIXED + TOPIC_NAME_MAX];
    /* Into memory of its own first: the name often points into the row being replaced. */
    struct pack p = pack_into(value, sizeof(value));
    pack_u64(&p, topic->created_ms);
    pack_u64(&p, topic->subscribers);
    pack_u64(&p, topic->idle_ms);
    pack_u64(&p, topic->due_ms);
    pack_u64(&p, topic->version);
    pack_u64(&p, topic->members);
    pack_u64(&p, topic->tracked);
    pack_u64(&p, topic->dirty_ms);
    pack_bytes(&p, topic->name.p, topic->name.n);
    must(!p.bad);
    return txn_put(t, DB_TOPIC, stream_key(key, topic->stream), str_make(value, pack_len(&p)));
}

int topic_next(struct txn *t, struct str prefix, struct str after, struct topic *ret)
{
    unsigned char key[NAME_KEY];
    struct row row;
    uint64_t stream;
    if (prefix.n > TOPIC_NAME_MAX)
        return -ENOENT;
    /* No name is longer, so what comes after a longer one comes after its beginning. */
    if (after.n > TOPIC_NAME_MAX)
        after.n = TOPIC_NAME_MAX;
    size_t both = prefix.n < after.n ? prefix.n : after.n;
    int order = both ? memcmp(after.p, prefix.p, both) : 0;
    bool begins_after = order > 0 || (order == 0 && after.n >= prefix.n);
    struct str from = name_key(key, begins_after ? after : prefix);
    int rc = txn_seek(t, DB_NAME, from, &row);
    if (rc == 0 && begins_after && str_eq(row.key, from))
        rc = txn_next(t, DB_NAME, &row);
    if (rc < 0)
        return rc;
    if (row.key.n <= 1 || row.key.p[0] != 't' || row.key.n - 1 < prefix.n ||
        (prefix.n && memcmp(row.key.p + 1, prefix.p, prefix.n) != 0))
        return -ENOENT;
    rc = stream_of(row.value, &stream);
    if (rc == 0)
        rc = topic_get(t, stream, ret);
    return rc == -ENOENT ? -EUCLEAN : rc;
}

static int forget_due(struct txn *t, const struct topic *topic)
{
    unsigned char key[STREAM_KEY];
    if (topic->due_ms == 0)
        return 0;
    int rc = expiry_del(t, topic->due_ms, EXPIRE_TOPIC, stream_key(key, topic->stream));
    return rc == -ENOENT ? 0 : rc;
}

int topic_dirty(struct txn *t, struct topic *topic, uint64_t due_ms)
{
    unsigned char key[STREAM_KEY];
    must(topic->dirty_ms == 0);
    topic->dirty_ms = due_ms;
    int rc = topic_put(t, topic); /* first: see put_queued */
    return rc < 0 ? rc : expiry_put(t, due_ms, EXPIRE_PRESENCE, stream_key(key, topic->stream));
}

int topic_clean(struct txn *t, struct topic *topic)
{
    unsigned char key[STREAM_KEY];
    uint64_t due_ms = topic->dirty_ms;
    topic->dirty_ms = 0;
    int rc = topic_put(t, topic);
    if (rc < 0 || due_ms == 0)
        return rc;
    rc = expiry_del(t, due_ms, EXPIRE_PRESENCE, stream_key(key, topic->stream));
    return rc == -ENOENT ? 0 : rc; /* the sweep has taken it */
}

/* Writes its row, and has it looked at when it is due. An earlier row of the queue that is there
 * already will do: it asks, and puts the next one. */
static int put_queued(struct txn *t, struct topic *topic, uint64_t due_ms)
{
    unsigned char key[STREAM_KEY];
    const struct topic was = *topic;
    bool asked = was.due_ms != 0 && was.due_ms <= due_ms;
    if (!asked)
        topic->due_ms = due_ms;
    /* First of all: the name may point into the row, and is valid until the next write. */
    int rc = topic_put(t, topic);
    if (rc == 0 && !asked)
        rc = forget_due(t, &was);
    if (rc < 0 || asked)
        return rc;
    return expiry_put(t, due_ms, EXPIRE_TOPIC, stream_key(key, topic->stream));
}

int topic_create(struct txn *t, struct str name, uint64_t now_ms, uint64_t idle_ms,
                 uint64_t *ret_stream)
{
    unsigned char key[NAME_KEY], value[STREAM_KEY];
    must(name.n > 0 && name.n <= TOPIC_NAME_MAX);
    /* Whoever kept a version of an earlier topic of this name must not find it here again. */
    struct topic topic = {.created_ms = now_ms, .idle_ms = now_ms, .version = now_ms, .name = name};
    int rc = stream_create(t, STREAM_TOPIC, &topic.stream);
    if (rc == 0)
        rc = txn_put_new(t, DB_NAME, name_key(key, name), stream_key(value, topic.stream));
    must(rc != -EEXIST);
    if (rc == 0)
        rc = put_queued(t, &topic, now_ms + idle_ms);
    if (rc == 0)
        *ret_stream = topic.stream;
    return rc;
}

int topic_remove(struct txn *t, struct topic *topic, unsigned *budget)
{
    unsigned char name[NAME_KEY], stream[STREAM_KEY];
    must(topic->subscribers == 0);
    /* The name may point into the row that goes. */
    struct str by_name = name_key(name, topic->name);
    int rc = forget_due(t, topic);
    if (rc == 0)
        rc = topic_clean(t, topic);
    if (rc == 0)
        rc = txn_del(t, DB_NAME, by_name);
    if (rc == 0)
        rc = txn_del(t, DB_TOPIC, stream_key(stream, topic->stream));
    if (rc == 0)
        rc = stream_drop(t, topic->stream, budget);
    return rc == -ENOENT ? -EUCLEAN : rc;
}

static int head_of(struct txn *t, const struct topic *topic, struct stream_head *ret)
{
    int rc = stream_head(t, topic->stream, ret);
    return rc == -ENOENT ? -EUCLEAN : rc;
}

int topic_left(struct txn *t, struct topic *topic, uint64_t now_ms, uint64_t idle_ms,
               unsigned *budget, bool *ret_removed)
{
    struct stream_head h;
    int rc = head_of(t, topic, &h);
    if (rc < 0)
        return rc;
    *ret_removed = h.last == 0;
    if (h.last == 0)
        return topic_remove(t, topic, budget);
    topic->idle_ms = now_ms;
    return put_queued(t, topic, now_ms + idle_ms);
}

int topic_expire(struct txn *t, uint64_t stream, uint64_t now_ms, uint64_t idle_ms,
                 unsigned *budget, bool *ret_removed)
{
    struct topic topic;
    struct stream_head h;
    *ret_removed = false;
    int rc = topic_get(t, stream, &topic);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    topic.due_ms = 0;
    if (topic.subscribers > 0)
        return topic_put(t, &topic); /* the last of them to leave queues it */
    rc = head_of(t, &topic, &h);
    if (rc < 0)
        return rc;
    uint64_t quiet_ms = h.last_time_ms > topic.idle_ms ? h.last_time_ms : topic.idle_ms;
    uint64_t due_ms = h.count > 0 ? now_ms + idle_ms : quiet_ms + idle_ms;
    if (due_ms <= now_ms) {
        *ret_removed = true;
        return topic_remove(t, &topic, budget);
    }
    return put_queued(t, &topic, due_ms);
}
