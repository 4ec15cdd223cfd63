/* subscribed_test - who is subscribed to which topics, and what becomes of those that nobody is. */
#include "tests/unit/shm/topic_fixture.h"

static void test_subscribe(void **state)
{
    struct fixture *f = *state;
    struct subscribed list[8], s;
    fixture_write(f);
    uint64_t one = make(f, STR("one")), two = make(f, STR("two")), three = make(f, STR("three"));
    append_many(f, one, &UNBOUNDED, 3);
    assert_int_equal(subscribed_list(f->txn, 500, list, 8), 0);
    assert_int_equal(subscribed_add(f->txn, 500, two, 3), 0);
    assert_int_equal(subscribed_add(f->txn, 500, one, 2), 0);
    assert_int_equal(subscribed_add(f->txn, 501, one, 1), 0);
    assert_int_equal(subscribed_add(f->txn, 499, three, 0), 0);
    assert_int_equal(get(f, one).subscribers, 2);
    assert_int_equal(get(f, one).idle_ms, 0);
    assert_true(str_is(get(f, one).name, "one"));
    /* A second time: the first join cursor stays, and nobody is counted twice. */
    assert_int_equal(subscribed_add(f->txn, 500, two, 9), -EEXIST);
    assert_int_equal(get(f, two).subscribers, 1);
    assert_int_equal(subscribed_get(f->txn, 500, two, &s), 0);
    assert_true(s.topic == two && s.join == 3 && !s.tracked);
    assert_int_equal(subscribed_get(f->txn, 501, two, &s), -ENOENT);
    assert_int_equal(subscribed_list(f->txn, 500, list, 8), 2);
    assert_int_equal(list[0].topic, one);
    assert_int_equal(list[0].join, 2);
    assert_int_equal(list[1].topic, two);
    assert_int_equal(list[1].join, 3);
    assert_int_equal(subscribed_list(f->txn, 500, list, 1), 1);
    assert_int_equal(list[0].topic, one);
    assert_int_equal(subscribed_list(f->txn, 500, list, 0), 0);
    assert_int_equal(subscribed_list(f->txn, 501, list, 8), 1); /* the last rows of all */
    assert_int_equal(subscribed_list(f->txn, 499, list, 8), 1);
    assert_int_equal(subscribed_list(f->txn, 502, list, 8), 0);
}

static void test_tracked(void **state)
{
    struct fixture *f = *state;
    struct subscribed list[2], s;
    fixture_write(f);
    uint64_t one = make(f, STR("one")), two = make(f, STR("two"));
    assert_int_equal(subscribed_add(f->txn, 500, one, 3), 0);
    assert_int_equal(subscribed_add(f->txn, 500, two, 4), 0);
    assert_int_equal(subscribed_track(f->txn, 500, two, true), 0);
    assert_int_equal(subscribed_list(f->txn, 500, list, 2), 2);
    assert_false(list[0].tracked);
    assert_true(list[1].tracked && list[1].join == 4);
    assert_int_equal(subscribed_track(f->txn, 500, two, false), 0);
    assert_int_equal(subscribed_get(f->txn, 500, two, &s), 0);
    assert_true(!s.tracked && s.join == 4);
    assert_int_equal(get(f, two).subscribers, 1);
    assert_int_equal(subscribed_track(f->txn, 501, two, true), -EUCLEAN); /* is not subscribed */
    unsigned char key[KEY_STREAM];
    assert_int_equal(txn_put(f->txn, DB_SUBS, key_stream(key, 500, one), STR("9 bytes..")), 0);
    assert_int_equal(subscribed_get(f->txn, 500, one, &s), -EUCLEAN); /* neither yes nor no */
}

static void test_malformed_subscription(void **state)
{
    struct fixture *f = *state;
    struct subscribed list[2], s;
    unsigned char key[KEY_STREAM];
    uint64_t topics;
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_SUBS, key_stream(key, 500, 7), STR("short")), 0);
    assert_int_equal(subscribed_get(f->txn, 500, 7, &s), -EUCLEAN);
    assert_int_equal(subscribed_list(f->txn, 500, list, 2), -EUCLEAN);
    assert_int_equal(subscribed_del_all(f->txn, 500, f->now_ms, IDLE_MS, &f->budget, &topics),
                     -EUCLEAN);
    fixture_abort(f);
    fixture_write(f);
    assert_int_equal(subscribed_add(f->txn, 500, 7, 1), -EUCLEAN); /* to what is no topic */
    bool removed;
    assert_int_equal(subscribed_del(f->txn, 500, 7, f->now_ms, IDLE_MS, &f->budget, &removed),
                     -EUCLEAN);
    fixture_abort(f);
    /* A number that does not fit the rows. */
    fixture_write(f);
    uint64_t id = make(f, STR("one"));
    assert_int_equal(txn_put(f->txn, DB_SUBS, key_stream(key, 500, id), STR("8 bytes.\0")), 0);
    assert_int_equal(subscribed_del(f->txn, 500, id, f->now_ms, IDLE_MS, &f->budget, &removed),
                     -EUCLEAN);
}

static void test_unsubscribe(void **state)
{
    struct fixture *f = *state;
    struct subscribed list[8];
    bool removed;
    fixture_write(f);
    uint64_t used = make(f, STR("used")), fresh = make(f, STR("fresh"));
    append_many(f, used, &UNBOUNDED, 1);
    for (uint64_t mailbox = 500; mailbox < 503; mailbox++) {
        subscribe(f, mailbox, used);
        subscribe(f, mailbox, fresh);
    }
    assert_int_equal(subscribed_del(f->txn, 600, used, f->now_ms, IDLE_MS, &f->budget, &removed),
                     -ENOENT);
    assert_false(unsubscribe(f, 500, fresh));
    assert_int_equal(get(f, fresh).subscribers, 2);
    assert_int_equal(subscribed_list(f->txn, 500, list, 8), 1);
    assert_false(unsubscribe(f, 502, fresh));
    /* The last of one to which nothing was ever published: it goes, with all its rows. */
    assert_true(unsubscribe(f, 501, fresh));
    assert_false(exists(f, fresh));
    assert_int_equal(topic_find(f->txn, STR("fresh"), &fresh), -ENOENT);
    /* One to which something was stays for a while. */
    f->now_ms += 1234;
    for (uint64_t mailbox = 500; mailbox < 503; mailbox++)
        assert_false(unsubscribe(f, mailbox, used));
    assert_int_equal(get(f, used).subscribers, 0);
    assert_int_equal(get(f, used).idle_ms, f->now_ms);
    assert_int_equal(rows_queued(f), 1);
    assert_int_equal(txn_entries(f->txn, DB_SUBS), 0);
}

static void test_unsubscribe_all(void **state)
{
    struct fixture *f = *state;
    struct subscribed list[8];
    uint64_t topics = 77, topic[5];
    fixture_write(f);
    for (size_t i = 0; i < 5; i++) {
        char name = (char)('a' + i);
        topic[i] = make(f, str_make(&name, 1));
        subscribe(f, 500, topic[i]);
    }
    append_many(f, topic[1], &UNBOUNDED, 1);
    subscribe(f, 499, topic[2]);
    subscribe(f, 501, topic[3]);
    unsigned budget = 4; /* less than it takes: they go all the same, the budget is used up */
    assert_int_equal(subscribed_del_all(f->txn, 500, f->now_ms, IDLE_MS, &budget, &topics), 0);
    assert_int_equal(topics, 2);
    assert_int_equal(budget, 0);
    assert_false(exists(f, topic[0]) || exists(f, topic[4]));
    assert_int_equal(get(f, topic[1]).subscribers, 0);
    assert_int_equal(get(f, topic[2]).subscribers, 1);
    assert_int_equal(subscribed_list(f->txn, 500, list, 8), 0);
    assert_int_equal(subscribed_list(f->txn, 499, list, 8), 1);
    assert_int_equal(subscribed_list(f->txn, 501, list, 8), 1);
    assert_int_equal(subscribed_del_all(f->txn, 500, f->now_ms, IDLE_MS, &budget, &topics), 0);
    assert_int_equal(topics, 0);
}

static void test_subscribers_keep_it(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    append_many(f, id, &UNBOUNDED, 1);
    assert_int_equal(stream_empty(f->txn, id, &f->budget), 0);
    subscribe(f, 500, id);
    f->now_ms += IDLE_MS;
    assert_false(expire(f, id));
    assert_int_equal(rows_queued(f), 0); /* nothing to ask about while somebody is there */
    f->now_ms += 1000;
    assert_false(unsubscribe(f, 500, id));
    assert_int_equal(next_due(f), f->now_ms + IDLE_MS);
    f->now_ms += IDLE_MS;
    assert_true(expire(f, id));
    assert_nothing_is_left(f);
}

/* Subscribers that come and go every second leave one row of the queue, not one each; and the row
 * that is early puts the one that is right. */
static void test_one_row_however_often(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    append_many(f, id, &UNBOUNDED, 1);
    assert_int_equal(stream_empty(f->txn, id, &f->budget), 0);
    uint64_t asked = 0;
    for (unsigned i = 0; i < 300; i++) {
        f->now_ms += 700;
        subscribe(f, 500, id);
        f->now_ms += 300;
        assert_false(unsubscribe(f, 500, id));
        assert_int_equal(rows_queued(f), 1);
        for (; next_due(f) <= f->now_ms; asked++)
            assert_false(expire(f, id));
    }
    assert_int_equal(asked, 300000 / IDLE_MS);
    uint64_t left = f->now_ms;
    while (exists(f, id)) {
        f->now_ms = next_due(f);
        expire(f, id);
    }
    assert_int_equal(f->now_ms, left + IDLE_MS);
    assert_nothing_is_left(f);
}

/* topics.idle can be made shorter: the row then moves forward. */
static void test_shorter_idle(void **state)
{
    struct fixture *f = *state;
    bool removed = false;
    fixture_write(f);
    uint64_t id = make(f, STR("chat:lobby"));
    append_many(f, id, &UNBOUNDED, 1);
    assert_int_equal(stream_empty(f->txn, id, &f->budget), 0);
    subscribe(f, 500, id);
    assert_int_equal(subscribed_del(f->txn, 500, id, f->now_ms, 2000, &f->budget, &removed), 0);
    assert_int_equal(rows_queued(f), 1);
    assert_int_equal(next_due(f), f->now_ms + 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_subscribe),
        fixture_test(test_tracked),
        fixture_test(test_malformed_subscription),
        fixture_test(test_unsubscribe),
        fixture_test(test_unsubscribe_all),
        fixture_test(test_subscribers_keep_it),
        fixture_test(test_one_row_however_often),
        fixture_test(test_shorter_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
