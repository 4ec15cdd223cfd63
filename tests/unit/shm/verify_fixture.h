/* verify_fixture - a store with something of everything, and damage done to it that must be found.
 */
#ifndef TESTS_VERIFY_FIXTURE_H
#define TESTS_VERIFY_FIXTURE_H

#include "tests/unit/shm/stream_fixture.h"

#include "shm/dedup.h"
#include "shm/member.h"
#include "shm/session.h"
#include "shm/topic.h"

#define IDLE_MS 60000 /* of topics */

/* She is a member of the topic that she is subscribed to, which nobody was told yet. */
static inline void fill_member(struct fixture *f, struct session *s, uint64_t topic)
{
    struct topic row;
    struct member m = {.topic = topic,
                       .mailbox = s->stream,
                       .session = {1},
                       .since_ms = 5,
                       .ref = 6,
                       .here = true,
                       .key = STR("alice"),
                       .meta = STR("{}")};
    assert_int_equal(member_put(f->txn, &m), 0);
    assert_int_equal(subscribed_track(f->txn, s->stream, topic, true), 0);
    assert_int_equal(topic_get(f->txn, topic, &row), 0);
    row.members = row.tracked = 1;
    assert_int_equal(topic_dirty(f->txn, &row, 7000), 0);
    s->tracked = 1;
    assert_int_equal(session_put(f->txn, s), 0);
}

/* A store with something of everything, in an open write transaction. */
static inline struct session fill(struct fixture *f)
{
    struct stream_limits l = UNBOUNDED;
    struct session s = {.ttl_ms = 8000,
                        .expires_ms = f->now_ms + 8000,
                        .subject = STR("alice"),
                        .name = STR("phone"),
                        .id = {1}};
    struct attachment a = {.connection = 1, .transport = STR("poll"), .remote = STR("x")};
    struct dedup *d;
    uint64_t removed;
    uint8_t hash[16] = {3};
    l.age_ms = 1u << 30;
    fixture_write(f);
    assert_int_equal(session_create(f->txn, &s), 0);
    append_many(f, s.stream, &l, STREAM_RUN + 10);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            append_to(f, s.stream, &l, (struct put){.ttl_ms = 9000, .collapse = "k"}, NULL), 0);
    f->budget = 2;
    s.acked = 5;
    assert_int_equal(stream_ack(f->txn, s.stream, 5, f->now_ms, &l, &f->budget, &removed), 0);
    assert_int_equal(session_put(f->txn, &s), 0);
    assert_int_equal(attachment_put(f->txn, s.id, &a), 0);
    assert_int_equal(dedup_open(f->txn, 1000, &d), 0);
    assert_int_equal(dedup_put(d, f->txn, s.stream, hash, f->now_ms, 3, hash), 0);
    dedup_close(d);
    uint64_t topic, other;
    assert_int_equal(topic_create(f->txn, STR("chat:lobby"), f->now_ms, IDLE_MS, &topic), 0);
    assert_int_equal(topic, s.stream + 1);
    append_many(f, topic, &UNBOUNDED, 4);
    assert_int_equal(topic_create(f->txn, STR("chat:quiet"), f->now_ms, IDLE_MS, &other), 0);
    assert_int_equal(subscribed_add(f->txn, s.stream, topic, 7), 0);
    fill_member(f, &s, topic);
    return s;
}

static inline uint64_t damaged(struct fixture *f, struct buf *report)
{
    f->meta.time_ms = f->now_ms;
    assert_int_equal(meta_put(f->txn, &f->meta), 0);
    return violations_of(f->txn, report);
}

/* Each kind of damage, done to a sound store, and a word of what the report must say. */
typedef void damage_f(struct fixture *f, struct session *s);
struct damage {
    damage_f *damage;
    const char *word;
};

static inline void drop_first(struct fixture *f, enum store_db db)
{
    struct row row;
    assert_int_equal(txn_seek(f->txn, db, str_make(NULL, 0), &row), 0);
    assert_int_equal(txn_del_row(f->txn, db), 0);
}

static inline void find_damages(struct fixture *f, const struct damage *d, size_t n)
{
    struct meta meta;
    struct session s = fill(f);
    fixture_commit(f);
    meta = f->meta;
    for (size_t i = 0; i < n; i++) {
        struct buf report;
        struct session copy = s;
        fixture_write(f);
        d[i].damage(f, &copy);
        uint64_t found = damaged(f, &report);
        buf_append_c(&report, '\0');
        if (found == 0 || !strstr((char *)report.data, d[i].word))
            print_message("%s: %s", d[i].word, (char *)report.data);
        assert_true(found > 0);
        assert_non_null(strstr((char *)report.data, d[i].word));
        buf_free(&report);
        fixture_abort(f);
        f->meta = meta;
    }
}

#endif
