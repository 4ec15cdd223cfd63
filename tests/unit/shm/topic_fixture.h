/* topic_fixture - short ways to make topics, to subscribe to them and to let them expire. */
#ifndef TESTS_TOPIC_FIXTURE_H
#define TESTS_TOPIC_FIXTURE_H

#include "tests/unit/shm/stream_fixture.h"

#include "shm/expiry.h"
#include "shm/topic.h"

#define IDLE_MS 60000

static inline uint64_t make(struct fixture *f, struct str name)
{
    uint64_t id = 0;
    assert_int_equal(topic_create(f->txn, name, f->now_ms, IDLE_MS, &id), 0);
    return id;
}

static inline struct topic get(struct fixture *f, uint64_t id)
{
    struct topic t;
    assert_int_equal(topic_get(f->txn, id, &t), 0);
    return t;
}

static inline bool exists(struct fixture *f, uint64_t id)
{
    struct topic t;
    int rc = topic_get(f->txn, id, &t);
    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static inline void subscribe(struct fixture *f, uint64_t mailbox, uint64_t topic)
{
    assert_int_equal(subscribed_add(f->txn, mailbox, topic, f->meta.last_seq), 0);
}

static inline bool unsubscribe(struct fixture *f, uint64_t mailbox, uint64_t topic)
{
    bool removed;
    assert_int_equal(
        subscribed_del(f->txn, mailbox, topic, f->now_ms, IDLE_MS, &f->budget, &removed), 0);
    return removed;
}

/* Takes the one row that is due by now, and does its work. */
static inline bool expire(struct fixture *f, uint64_t topic)
{
    struct expiry_row row;
    bool removed = false;
    assert_int_equal(expiry_take(f->txn, f->now_ms, &row), 0);
    assert_int_equal(row.kind, EXPIRE_TOPIC);
    assert_int_equal(key_u64_get(row.id), topic);
    assert_int_equal(topic_expire(f->txn, topic, f->now_ms, IDLE_MS, &f->budget, &removed), 0);
    return removed;
}

static inline uint64_t rows_queued(struct fixture *f)
{
    return txn_entries(f->txn, DB_EXPIRY);
}

static inline uint64_t next_due(struct fixture *f)
{
    uint64_t due;
    assert_int_equal(expiry_next(f->txn, &due), 0);
    return due;
}

static inline void assert_nothing_is_left(struct fixture *f)
{
    static const enum store_db all[] = {DB_TOPIC, DB_NAME, DB_SUBS, DB_LOG, DB_EXPIRY};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_int_equal(txn_entries(f->txn, all[i]), 0);
}

#endif
