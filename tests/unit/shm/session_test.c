/* session_test - a session's rows come and go together. */
#include "tests/unit/failmalloc.h"
#include "tests/unit/shm/stream_fixture.h"

#include "shm/expiry.h"
#include "shm/session.h"
#include "shm/topic.h"

static struct session make(struct fixture *f, uint8_t id, const char *subject, const char *name)
{
    struct session s = {.created_ms = f->now_ms,
                        .ttl_ms = 8000,
                        .expires_ms = f->now_ms + 8000,
                        .subject = str_of(subject),
                        .name = str_of(name),
                        .attributes = STR("{\"a\":1}"),
                        .claims = STR("[\"chat:*\"]")};
    s.id[0] = id;
    assert_int_equal(session_create(f->txn, &s), 0);
    return s;
}

#define IDLE_MS 60000 /* of topics */

static int remove_it(struct fixture *f, const struct session *s)
{
    uint64_t topics;
    return session_remove(f->txn, s, f->now_ms, IDLE_MS, &f->budget, &topics);
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct session got;
    fixture_write(f);
    struct session s = make(f, 1, "alice", "phone");
    s.acked = 10;
    s.acked_prev = 9;
    s.acked_ms = 8;
    s.delivered = 7;
    s.delivered_prev = 6;
    s.delivered_ms = 5;
    s.generation = 4;
    s.start_seq = 3;
    s.flags = SESSION_ANONYMOUS;
    assert_int_equal(session_put(f->txn, &s), 0);
    assert_int_equal(session_get(f->txn, s.id, &got), 0);
    assert_true(str_eq(got.subject, s.subject) && str_eq(got.name, s.name));
    assert_true(str_eq(got.attributes, s.attributes) && str_eq(got.claims, s.claims));
    got.subject = s.subject;
    got.name = s.name;
    got.attributes = s.attributes;
    got.claims = s.claims;
    assert_memory_equal(&got, &s, sizeof(s));
    uint8_t other[SESSION_ID_SIZE] = {9};
    assert_int_equal(session_get(f->txn, other, &got), -ENOENT);
}

/* A row put from what was read of it, grown and shrunk. */
static void test_put_what_was_got(void **state)
{
    struct fixture *f = *state;
    struct session s, got;
    static char long_text[60000];
    fixture_write(f);
    struct session made = make(f, 1, "alice", "phone");
    memset(long_text, 'x', sizeof(long_text));
    const struct str attributes[] = {str_make(long_text, 60000), STR("{}"),
                                     str_make(long_text, 90)};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(session_get(f->txn, made.id, &s), 0);
        s.attributes = attributes[i];
        assert_int_equal(session_put(f->txn, &s), 0);
        assert_int_equal(session_get(f->txn, made.id, &got), 0);
        assert_true(str_eq(got.attributes, attributes[i]));
        assert_true(str_is(got.subject, "alice") && str_is(got.name, "phone"));
        assert_true(str_is(got.claims, "[\"chat:*\"]"));
    }
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    uint8_t id[SESSION_ID_SIZE];
    fixture_write(f);
    make(f, 1, "ab", "c");
    make(f, 2, "a", "bc"); /* the same text, another joint */
    make(f, 3, "", "c");
    assert_int_equal(session_by_name(f->txn, STR("ab"), STR("c"), id), 0);
    assert_int_equal(id[0], 1);
    assert_int_equal(session_by_name(f->txn, STR("a"), STR("bc"), id), 0);
    assert_int_equal(id[0], 2);
    assert_int_equal(session_by_name(f->txn, STR(""), STR("c"), id), 0);
    assert_int_equal(id[0], 3);
    assert_int_equal(session_by_name(f->txn, STR("abc"), STR(""), id), -ENOENT);
}

static void test_subject(void **state)
{
    struct fixture *f = *state;
    uint8_t ids[8][SESSION_ID_SIZE];
    fixture_write(f);
    for (uint8_t i = 5; i > 0; i--)
        make(f, i, "alice", "");
    make(f, 9, "bob", "");
    make(f, 10, "", "");
    assert_int_equal(subject_sessions(f->txn, STR("alice"), NULL, ids, 8), 5);
    assert_int_equal(ids[0][0], 1);
    assert_int_equal(ids[4][0], 5);
    assert_int_equal(subject_sessions(f->txn, STR("alice"), NULL, ids, 2), 2);
    assert_int_equal(subject_sessions(f->txn, STR("alice"), ids[1], ids, 8), 3);
    assert_int_equal(ids[0][0], 3);
    assert_int_equal(subject_sessions(f->txn, STR("carol"), NULL, ids, 8), 0);
    assert_int_equal(subject_sessions(f->txn, STR("bob"), NULL, ids, 0), 0);
}

static void test_remove(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    struct session s;
    struct attachment a = {.connection = 1, .transport = STR("poll"), .remote = STR("x")};
    fixture_write(f);
    struct session one = make(f, 1, "alice", "phone"), two = make(f, 2, "alice", "tablet");
    append_many(f, one.stream, &UNBOUNDED, 50);
    append_many(f, two.stream, &UNBOUNDED, 3);
    for (a.connection = 1; a.connection <= 3; a.connection++) {
        assert_int_equal(attachment_put(f->txn, one.id, &a), 0);
        assert_int_equal(attachment_put(f->txn, two.id, &a), 0);
    }
    assert_int_equal(session_get(f->txn, one.id, &s), 0); /* its texts lie in the row that goes */
    f->budget = 10;
    assert_int_equal(remove_it(f, &s), 0);
    assert_int_equal(session_get(f->txn, one.id, &s), -ENOENT);
    assert_int_equal(txn_entries(f->txn, DB_SESSION), 1);
    assert_int_equal(txn_entries(f->txn, DB_SUBJECT), 1);
    assert_int_equal(txn_entries(f->txn, DB_NAME), 1);
    assert_int_equal(txn_entries(f->txn, DB_ATTACH), 3);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 40 + 1 + 3);
    assert_int_equal(txn_entries(f->txn, DB_EXPIRY), 2); /* the other's end, the reclaiming */
    f->budget = 100;
    assert_int_equal(stream_reclaim(f->txn, one.stream, &f->budget), 0);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 1 + 3);
    fixture_commit(f);
    assert_int_equal(violations_of(fixture_read(f), &report), 0);
    buf_free(&report);
}

/* The topics that nobody else is subscribed to and nothing was published to go too, and are
 * counted; the others are told that it has gone. */
static void test_remove_unsubscribes(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    uint64_t topic[3], topics = 77;
    struct topic t;
    fixture_write(f);
    struct session one = make(f, 1, "alice", "phone"), two = make(f, 2, "alice", "tablet");
    for (size_t i = 0; i < 3; i++) {
        char name = (char)('a' + i);
        assert_int_equal(topic_create(f->txn, str_make(&name, 1), f->now_ms, IDLE_MS, &topic[i]),
                         0);
        assert_int_equal(subscribed_add(f->txn, one.stream, topic[i], 0), 0);
    }
    assert_int_equal(subscribed_add(f->txn, two.stream, topic[1], 0), 0);
    append_many(f, topic[2], &UNBOUNDED, 1);
    f->now_ms += 3000;
    assert_int_equal(session_remove(f->txn, &one, f->now_ms, IDLE_MS, &f->budget, &topics), 0);
    assert_int_equal(topics, 1);
    assert_int_equal(txn_entries(f->txn, DB_SUBS), 1);
    assert_int_equal(topic_get(f->txn, topic[0], &t), -ENOENT);
    assert_int_equal(topic_get(f->txn, topic[1], &t), 0);
    assert_int_equal(t.subscribers, 1);
    assert_int_equal(topic_get(f->txn, topic[2], &t), 0);
    assert_int_equal(t.idle_ms, f->now_ms);
    fixture_commit(f);
    assert_int_equal(violations_of(fixture_read(f), &report), 0);
    buf_free(&report);
}

/* A name that another session bears by now stays with it. */
static void test_remove_keeps_foreign_name(void **state)
{
    struct fixture *f = *state;
    uint8_t id[SESSION_ID_SIZE];
    fixture_write(f);
    struct session old = make(f, 1, "alice", "phone");
    make(f, 2, "alice", "phone");
    assert_int_equal(remove_it(f, &old), 0);
    assert_int_equal(session_by_name(f->txn, STR("alice"), STR("phone"), id), 0);
    assert_int_equal(id[0], 2);
    assert_int_equal(remove_it(f, &old), -ENOENT);
}

static void test_id_taken(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    struct session s = make(f, 1, "alice", "");
    assert_int_equal(session_create(f->txn, &s), -EEXIST);
}

static void test_expired(void **state)
{
    (void)state;
    struct session s = {.ttl_ms = 8000, .expires_ms = 1000000};
    /* An eighth of the ttl longer: renewals come that seldom. */
    assert_false(session_expired(&s, 1000999, 0));
    assert_true(session_expired(&s, 1001000, 0));
    /* Not before server start + ttl... */
    assert_false(session_expired(&s, 1007999, 1000000));
    assert_true(session_expired(&s, 1008000, 1000000));
    /* ... or ten minutes, whichever is less. */
    s.ttl_ms = 86400000;
    s.expires_ms = 1000;
    assert_false(session_expired(&s, 86400000 / 8 + 999, 0));
    assert_false(session_expired(&s, 100000000 + 599999, 100000000));
    assert_true(session_expired(&s, 100000000 + 600000, 100000000));
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    struct session s;
    uint8_t id[SESSION_ID_SIZE] = {1};
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_SESSION, str_make(id, sizeof(id)), STR("short")), 0);
    assert_int_equal(session_get(f->txn, id, &s), -EUCLEAN);
    struct session ok = make(f, 2, "alice", "phone");
    struct str row;
    char copy[600];
    assert_int_equal(txn_get(f->txn, DB_SESSION, str_make(ok.id, sizeof(ok.id)), &row), 0);
    memcpy(copy, row.p, row.n);
    size_t n = row.n;
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(txn_put(f->txn, DB_SESSION, str_make(id, sizeof(id)), str_make(copy, cut)),
                         0);
        assert_int_equal(session_get(f->txn, id, &s), -EUCLEAN);
    }
}

static int put_long(void *arg)
{
    struct fixture *f = arg;
    static char text[4000];
    struct session s = {.id = {1}, .attributes = str_make(text, sizeof(text))};
    return session_put(f->txn, &s);
}

static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    assert_int_equal(put_long(f), 0); /* LMDB's own allocations are not counted */
    assert_int_equal(failmalloc_each(put_long, f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_round_trip),
        fixture_test(test_put_what_was_got),
        fixture_test(test_names),
        fixture_test(test_subject),
        fixture_test(test_remove),
        fixture_test(test_remove_keeps_foreign_name),
        fixture_test(test_remove_unsubscribes),
        fixture_test(test_id_taken),
        cmocka_unit_test(test_expired),
        fixture_test(test_malformed),
        fixture_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
