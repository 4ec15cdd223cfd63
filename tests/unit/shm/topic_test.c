/* topic_test - topics by name and in order, and when one goes. */
#include "tests/unit/shm/topic_fixture.h"

static void test_create_and_find(void **state)
{
    struct fixture *f = *state;
    char longest[TOPIC_NAME_MAX + 1];
    uint64_t found = 0;
    memset(longest, 'x', sizeof(longest));
    struct str whole = str_make(longest, TOPIC_NAME_MAX);
    fixture_write(f);
    assert_int_equal(topic_find(f->txn, STR("chat:lobby"), &found), -ENOENT);
    uint64_t id = make(f, STR("chat:lobby")), other = make(f, whole);
    assert_int_not_equal(id, other);
    assert_int_equal(topic_find(f->txn, STR("chat:lobby"), &found), 0);
    assert_int_equal(found, id);
    assert_int_equal(topic_find(f->txn, whole, &found), 0);
    assert_int_equal(found, other);
    assert_int_equal(topic_find(f->txn, STR("chat:lobb"), &found), -ENOENT);
    assert_int_equal(topic_find(f->txn, STR(""), &found), -ENOENT);
    assert_int_equal(topic_find(f->txn, str_make(longest, sizeof(longest)), &found), -ENOENT);
    struct topic t = get(f, id);
    assert_true(str_is(t.name, "chat:lobby"));
    assert_int_equal(t.created_ms, f->now_ms);
    assert_int_equal(t.subscribers, 0);
    assert_int_equal(t.idle_ms, f->now_ms); /* nobody is subscribed yet */
    assert_int_equal(head_of(f, id).kind, STREAM_TOPIC);
    assert_int_equal(head_of(f, id).last, 0);
    assert_int_equal(topic_get(f->txn, id + 77, &t), -ENOENT);
    fixture_commit(f);
    /* And by readers. */
    struct txn *r = fixture_read(f);
    assert_int_equal(topic_find(r, STR("chat:lobby"), &found), 0);
    assert_int_equal(topic_get(r, found, &t), 0);
    assert_true(str_is(t.name, "chat:lobby"));
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8], copy[200];
    struct topic t;
    struct str row;
    uint64_t found;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    key_u64(key, id);
    assert_int_equal(txn_get(f->txn, DB_TOPIC, str_make(key, 8), &row), 0);
    size_t n = row.n, fixed = n - strlen("chat:lobby");
    memcpy(copy, row.p, n);
    for (size_t cut = 0; cut <= fixed; cut++) { /* at last: a name of no bytes */
        assert_int_equal(txn_put(f->txn, DB_TOPIC, str_make(key, 8), str_make(copy, cut)), 0);
        assert_int_equal(topic_get(f->txn, id, &t), -EUCLEAN);
    }
    assert_int_equal(txn_put(f->txn, DB_NAME, STR("tchat:lobby"), STR("x")), 0);
    assert_int_equal(topic_find(f->txn, STR("chat:lobby"), &found), -EUCLEAN);
    assert_int_equal(topic_next(f->txn, STR(""), STR(""), &t), -EUCLEAN);
    assert_int_equal(txn_del(f->txn, DB_TOPIC, str_make(key, 8)), 0);
    key_u64(key, id);
    assert_int_equal(txn_put(f->txn, DB_NAME, STR("tchat:lobby"), str_make(key, 8)), 0);
    assert_int_equal(topic_next(f->txn, STR(""), STR(""), &t), -EUCLEAN);
}

/* In byte order: names that are prefixes of each other, and names with every kind of byte. */
static const struct str NAMES[] = {
    {"\x01", 1},
    {"a", 1},
    {"a:", 2},
    {"a:b", 3},
    {"a:b\x00", 4},
    {"a:b\x01", 4},
    {"a:b:c", 5},
    {"a:b\xff", 4},
    {"a:b\xff\xff", 5},
    {"a:c", 3},
    {"a\xff", 2},
    {"b", 1},
    {"s", 1},
    {"t", 1},
    {"\xff", 1},
    {"\xff\xff", 2},
    {"\xff\xff\xff", 3},
};
#define NNAMES (sizeof(NAMES) / sizeof(NAMES[0]))

static bool begins(struct str name, struct str prefix)
{
    return name.n >= prefix.n && (prefix.n == 0 || memcmp(name.p, prefix.p, prefix.n) == 0);
}

static int order(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int by_bytes = n ? memcmp(a.p, b.p, n) : 0;
    return by_bytes ? by_bytes : (a.n > b.n) - (a.n < b.n);
}

/* What the list says after `after`, against the names one by one. */
static void check_next(struct fixture *f, struct str prefix, struct str after)
{
    const struct str *want = NULL;
    struct topic t;
    for (size_t i = 0; i < NNAMES && !want; i++)
        if (begins(NAMES[i], prefix) && order(NAMES[i], after) > 0)
            want = &NAMES[i];
    int rc = topic_next(f->txn, prefix, after, &t);
    assert_int_equal(rc, want ? 0 : -ENOENT);
    if (want)
        assert_true(str_eq(t.name, *want));
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    static char high[300];
    unsigned char stream[8];
    uint64_t last = 0;
    struct str none = {0};
    struct topic t;
    memset(high, 0xff, sizeof(high));
    fixture_write(f);
    assert_int_equal(topic_next(f->txn, none, none, &t), -ENOENT);
    for (size_t i = 0; i < NNAMES; i++) /* in some order that is not theirs */
        last = make(f, NAMES[i * 5 % NNAMES]);
    /* Between the names of sessions and those of kinds to come. */
    assert_int_equal(txn_put(f->txn, DB_NAME, STR("s\xff\xff"), STR("0123456789abcdef")), 0);
    key_u64(stream, last);
    assert_int_equal(txn_put(f->txn, DB_NAME, STR("uz"), str_make(stream, sizeof(stream))), 0);
    for (size_t i = 0; i < NNAMES; i++) {
        check_next(f, none, NAMES[i]);
        check_next(f, NAMES[i], none);
        for (size_t k = 0; k < NNAMES; k++)
            check_next(f, NAMES[i], NAMES[k]);
    }
    check_next(f, none, none);
    check_next(f, STR("a:"), STR("a"));  /* before the first of them */
    check_next(f, STR("a:"), STR("a;")); /* past the last */
    check_next(f, STR("a:b"), STR("a:b:zzz"));
    check_next(f, none, str_make(high, 255));
    check_next(f, none, str_make(high, 300)); /* longer than any name */
    check_next(f, STR("\xff"), str_make(high, 300));
    check_next(f, str_make(high, 300), none);
    memset(high + 1, 'x', sizeof(high) - 1);
    high[0] = 'a';
    check_next(f, none, str_make(high, 300)); /* and after it something is left */
}

/* Longer than any name, and still nothing that comes after it is missed. */
static void test_list_after_a_longer_one(void **state)
{
    struct fixture *f = *state;
    char name[TOPIC_NAME_MAX], after[TOPIC_NAME_MAX + 10];
    struct str none = {0};
    struct topic t;
    memset(name, 'm', sizeof(name));
    memset(after, 'm', sizeof(after));
    fixture_write(f);
    make(f, str_make(name, sizeof(name)));
    assert_int_equal(topic_next(f->txn, none, str_make(after, sizeof(after)), &t), -ENOENT);
    after[TOPIC_NAME_MAX - 1] = 'l';
    assert_int_equal(topic_next(f->txn, none, str_make(after, sizeof(after)), &t), 0);
}

/* A name that is made again names another stream, whose chain begins anew. */
static void test_remove(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    append_many(f, id, &UNBOUNDED, 30);
    struct topic t = get(f, id);
    f->budget = 10;
    assert_int_equal(topic_remove(f->txn, &t, &f->budget), 0);
    assert_int_equal(txn_entries(f->txn, DB_LOG), 20);
    assert_int_equal(rows_queued(f), 1); /* the rest of its messages */
    uint64_t again = make(f, STR("chat:lobby"));
    assert_int_not_equal(again, id);
    assert_int_equal(head_of(f, again).last, 0);
    f->budget = 100;
    assert_int_equal(stream_reclaim(f->txn, id, &f->budget), 0);
    struct expiry_row row;
    assert_int_equal(expiry_take(f->txn, f->now_ms, &row), 0);
    assert_int_equal(row.kind, EXPIRE_RECLAIM);
    t = get(f, again);
    assert_int_equal(topic_remove(f->txn, &t, &f->budget), 0);
    assert_nothing_is_left(f);
}

static void test_expires_when_idle(void **state)
{
    struct fixture *f = *state;
    bool removed = true;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    assert_int_equal(next_due(f), f->now_ms + IDLE_MS);
    f->now_ms += IDLE_MS;
    assert_true(expire(f, id));
    assert_nothing_is_left(f);
    assert_int_equal(topic_expire(f->txn, id, f->now_ms, IDLE_MS, &f->budget, &removed), 0);
    assert_false(removed); /* not there any more */
}

static void test_messages_keep_it(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    append_many(f, id, &UNBOUNDED, 2);
    for (int i = 0; i < 3; i++) {
        f->now_ms += IDLE_MS;
        assert_false(expire(f, id));
        assert_int_equal(rows_queued(f), 1);
        assert_int_equal(next_due(f), f->now_ms + IDLE_MS);
    }
    assert_int_equal(stream_empty(f->txn, id, &f->budget), 0);
    f->now_ms += IDLE_MS;
    assert_true(expire(f, id));
    assert_nothing_is_left(f);
}

/* What was published and has gone since: the time runs from the last of it. */
static void test_publishing_keeps_it(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    f->now_ms += IDLE_MS - 5000;
    append_many(f, id, &UNBOUNDED, 1);
    assert_int_equal(stream_empty(f->txn, id, &f->budget), 0);
    f->now_ms += 5000;
    assert_false(expire(f, id));
    assert_int_equal(next_due(f), f->now_ms - 5000 + IDLE_MS);
    f->now_ms += IDLE_MS - 5000;
    assert_true(expire(f, id));
}

/* Topics of all kinds, at every point of what may happen to them, hold what must hold. */
static void test_verified(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    fixture_write(f);
    uint64_t id = make(f, STR("a")), other = make(f, STR("b"));
    make(f, STR("c"));
    append_many(f, id, &UNBOUNDED, 3);
    struct topic t = get(f, other);
    assert_int_equal(topic_remove(f->txn, &t, &f->budget), 0);
    f->now_ms += IDLE_MS;
    assert_false(expire(f, id));
    fixture_commit(f);
    assert_int_equal(violations_of(fixture_read(f), &report), 0);
    buf_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_create_and_find),
        fixture_test(test_malformed),
        fixture_test(test_list),
        fixture_test(test_list_after_a_longer_one),
        fixture_test(test_remove),
        fixture_test(test_expires_when_idle),
        fixture_test(test_messages_keep_it),
        fixture_test(test_publishing_keeps_it),
        fixture_test(test_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
