/* subscribed - which sessions are subscribed to which topics; declared in topic.h.
 *
 * A row per subscription, under the session: mailbox 8 + topic 8 -> join cursor 8, tracked 1 (0 or
 * 1). The other way
 * round nothing is kept but a number, in the topic's row: that decides when the topic may go.
 */
#include <errno.h>

#include "shm/topic_priv.h"

int subscribed_decode(struct row row, struct subscribed *ret)
{
    if (row.key.n != KEY_STREAM || row.value.n != SUBSCRIBED_SIZE || row.value.p[8] & ~1)
        return -EUCLEAN;
    *ret = (struct subscribed){
        .topic = key_u64_get(row.key.p + 8),
        .join = key_u64_get(row.value.p),
        .tracked = row.value.p[8] == 1,
    };
    return 0;
}

/* 1 and the subscription in *ret; 0: not of this mailbox; -EUCLEAN. */
static int row_decode(struct row row, uint64_t mailbox, struct subscribed *ret)
{
    struct subscribed s;
    if (subscribed_decode(row, &s) < 0)
        return -EUCLEAN;
    if (key_u64_get(row.key.p) != mailbox)
        return 0;
    *ret = s;
    return 1;
}

int subscribed_list(struct txn *t, uint64_t mailbox, struct subscribed *ret, size_t max)
{
    unsigned char key[KEY_STREAM];
    struct row row;
    size_t n = 0;
    int rc = max > 0 ? txn_seek(t, DB_SUBS, key_stream(key, mailbox, 0), &row) : -ENOENT;
    while (rc == 0) {
        int of_it = row_decode(row, mailbox, &ret[n]);
        if (of_it < 0)
            return of_it;
        n += (size_t)of_it;
        rc = of_it && n < max ? txn_next(t, DB_SUBS, &row) : -ENOENT;
    }
    return rc == -ENOENT ? (int)n : rc;
}

int subscribed_get(struct txn *t, uint64_t mailbox, uint64_t topic, struct subscribed *ret)
{
    unsigned char key[KEY_STREAM];
    struct row row = {.key = key_stream(key, mailbox, topic)};
    int rc = txn_get(t, DB_SUBS, row.key, &row.value);
    return rc < 0 ? rc : subscribed_decode(row, ret);
}

static struct str row_value(unsigned char value[SUBSCRIBED_SIZE], uint64_t join, bool tracked)
{
    key_u64(value, join);
    value[8] = tracked;
    return str_make(value, SUBSCRIBED_SIZE);
}

int subscribed_track(struct txn *t, uint64_t mailbox, uint64_t topic, bool tracked)
{
    unsigned char key[KEY_STREAM], value[SUBSCRIBED_SIZE];
    struct subscribed s;
    int rc = subscribed_get(t, mailbox, topic, &s);
    if (rc < 0)
        return rc == -ENOENT ? -EUCLEAN : rc;
    return txn_put(t, DB_SUBS, key_stream(key, mailbox, topic), row_value(value, s.join, tracked));
}

int subscribed_add(struct txn *t, uint64_t mailbox, uint64_t topic, uint64_t join)
{
    unsigned char key[KEY_STREAM], value[SUBSCRIBED_SIZE];
    struct topic row;
    struct str at = key_stream(key, mailbox, topic);
    int rc = txn_put_new(t, DB_SUBS, at, row_value(value, join, false));
    if (rc == 0)
        rc = topic_get(t, topic, &row);
    if (rc < 0)
        return rc == -ENOENT ? -EUCLEAN : rc;
    row.subscribers++;
    row.idle_ms = 0;
    return topic_put(t, &row);
}

static int leave(struct txn *t, uint64_t topic, uint64_t now_ms, uint64_t idle_ms, unsigned *budget,
                 bool *ret_removed)
{
    struct topic row;
    *ret_removed = false;
    int rc = topic_get(t, topic, &row);
    if (rc == -ENOENT || (rc == 0 && row.subscribers == 0))
        return -EUCLEAN;
    if (rc < 0)
        return rc;
    row.subscribers--;
    return row.subscribers > 0 ? topic_put(t, &row)
                               : topic_left(t, &row, now_ms, idle_ms, budget, ret_removed);
}

int subscribed_del(struct txn *t, uint64_t mailbox, uint64_t topic, uint64_t now_ms,
                   uint64_t idle_ms, unsigned *budget, bool *ret_removed)
{
    unsigned char key[KEY_STREAM];
    int rc = txn_del(t, DB_SUBS, key_stream(key, mailbox, topic));
    return rc < 0 ? rc : leave(t, topic, now_ms, idle_ms, budget, ret_removed);
}

int subscribed_del_all(struct txn *t, uint64_t mailbox, uint64_t now_ms, uint64_t idle_ms,
                       unsigned *budget, uint64_t *ret_removed)
{
    unsigned char key[KEY_STREAM];
    struct row row;
    struct subscribed s;
    uint64_t topics = 0;
    int rc = txn_seek(t, DB_SUBS, key_stream(key, mailbox, 0), &row);
    while (rc == 0) {
        bool removed = false;
        int of_it = row_decode(row, mailbox, &s);
        if (of_it <= 0) {
            rc = of_it < 0 ? of_it : -ENOENT;
            break;
        }
        rc = txn_del_row(t, DB_SUBS);
        if (rc == 0)
            rc = leave(t, s.topic, now_ms, idle_ms, budget, &removed);
        if (rc < 0)
            return rc;
        topics += removed;
        /* They all go now, since their session does; but the budget knows of them, so that a sweep
         * of many sessions is cut. */
        if (*budget > 0)
            --*budget;
        rc = txn_next(t, DB_SUBS, &row);
    }
    if (rc != -ENOENT)
        return rc;
    *ret_removed = topics;
    return 0;
}
