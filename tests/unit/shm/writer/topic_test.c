/* Topics as the writer makes, fills, empties and forgets them: what it answers, what it stores, and
 * what it tells the connections of whoever is concerned. */
#include "topic_fixture.h"

static int set_up(void **state)
{
    return set_up_with(state, "session { max_topics = 3 }\ntopics { max = 5 }\n");
}

static void open_alice(struct fixture *f)
{
    rig_open_session(&f->rig, 0, alice, "alice");
    expect_code(f, CODE_OK);
}

/* Less than a tenth of the map is left, as far as the writer can see. */
static void fill_store(struct fixture *f)
{
    struct txn *t = look(f);
    void *at;
    assert_int_equal(txn_reserve(t, DB_MEMBER, STR("full"), 58u << 20, &at), 0);
    assert_int_equal(txn_commit(t), 0);
    f->writer->usage.limit = 0; /* sampled anew */
}

static void empty_store(struct fixture *f)
{
    struct txn *t = look(f);
    assert_int_equal(txn_del(t, DB_MEMBER, STR("full")), 0);
    assert_int_equal(txn_commit(t), 0);
}

/* --- subscribing --- */

static void a_subscription_begins_now_and_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct rig_fed fed;
    open_alice(f);
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    rig_append(&f->rig, 0, alice, NULL, "2", MESSAGE_JSON);
    run(f);
    skip_feed(f);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    struct rig_reply r = run(f);
    assert_int_equal(r.code, CODE_OK);
    assert_int_equal(r.join, 2);
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.control, FEED_SUBSCRIBE);
    assert_int_equal(fed.sub.mailbox, mailbox_of(f, alice));
    assert_int_equal(fed.sub.topic, stream_named(f, "t:a"));
    assert_int_equal(fed.sub.join, 2);
    assert_true(str_is(fed.sub.name, "t:a"));
    expect_silence(f);
    assert_int_equal(metric_of(f, METRIC_TOPICS_MADE), 1);

    /* Again: where it began it still begins, and nobody need hear of it. */
    rig_append(&f->rig, 0, alice, NULL, "3", MESSAGE_JSON);
    run(f);
    skip_feed(f);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    r = run(f);
    assert_int_equal(r.code, CODE_OK);
    assert_int_equal(r.join, 2);
    expect_silence(f);
    assert_int_equal(rows(f, DB_SUBS), 1);
    assert_int_equal(metric_of(f, METRIC_TOPICS_MADE), 1);
}

static void expect_refused(struct fixture *f, const uint8_t *id, const char *topic, enum code code)
{
    uint64_t subs = rows(f, DB_SUBS), topics = rows(f, DB_TOPIC), names = rows(f, DB_NAME);
    skip_feed(f);
    rig_subscribe(&f->rig, 0, id, topic, 0);
    expect_code(f, code);
    expect_silence(f);
    assert_int_equal(rows(f, DB_SUBS), subs);
    assert_int_equal(rows(f, DB_TOPIC), topics);
    assert_int_equal(rows(f, DB_NAME), names);
}

static void what_cannot_be_joined_is_refused_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    expect_refused(f, bob, "t:a", CODE_SESSION_UNKNOWN);
    open_alice(f);
    expect_refused(f, alice, "nothing:a", CODE_TOPIC_UNKNOWN);
    const char *mine[] = {"t:1", "t:2", "t:3"};
    for (int i = 0; i < 3; i++) {
        rig_subscribe(&f->rig, 0, alice, mine[i], 0);
        expect_code(f, CODE_OK);
    }
    expect_refused(f, alice, "t:4", CODE_LIMIT_REACHED); /* session.max_topics */
    rig_subscribe(&f->rig, 0, alice, "t:2", 0);
    expect_code(f, CODE_OK); /* one of the three */

    rig_open_session(&f->rig, 0, bob, "bob");
    rig_subscribe(&f->rig, 0, bob, "t:4", 0);
    rig_subscribe(&f->rig, 0, bob, "t:5", 0);
    expect_code(f, CODE_OK);
    assert_int_equal(metric_of(f, METRIC_REFUSED_TOPICS), 0);
    expect_refused(f, bob, "t:6", CODE_LIMIT_REACHED); /* topics.max */
    assert_int_equal(metric_of(f, METRIC_REFUSED_TOPICS), 1);
    rig_subscribe(&f->rig, 0, bob, "t:1", 0);
    expect_code(f, CODE_OK); /* it is there already */
}

static void a_full_store_takes_no_subscription(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    rig_publish_topic(&f->rig, 0, "t:b", NULL, "1", MESSAGE_JSON);
    expect_item(f, CODE_OK);
    fill_store(f);
    expect_refused(f, alice, "t:new", CODE_STORE_FULL);
    expect_refused(f, alice, "t:b", CODE_STORE_FULL);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0); /* that adds nothing */
    expect_code(f, CODE_OK);
    rig_publish_topic(&f->rig, 0, "t:new", NULL, "1", MESSAGE_JSON);
    expect_item(f, CODE_STORE_FULL);
    assert_int_equal(stream_named(f, "t:new"), 0);
    assert_int_equal(metric_of(f, METRIC_REFUSED_STORE), 1);
    rig_unsubscribe(&f->rig, 0, alice, "t:a", 0); /* that makes room */
    expect_code(f, CODE_OK);
    assert_int_equal(rows(f, DB_SUBS), 0);
    empty_store(f);
}

static void leaving_is_told_and_may_be_repeated(void **state)
{
    struct fixture *f = *state;
    struct rig_fed fed;
    open_alice(f);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    rig_publish_topic(&f->rig, 0, "t:a", NULL, "1", MESSAGE_JSON);
    run(f);
    skip_feed(f);
    uint64_t stream = stream_named(f, "t:a");
    rig_unsubscribe(&f->rig, 0, alice, "t:a", 0);
    expect_code(f, CODE_OK);
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.control, FEED_UNSUBSCRIBE);
    assert_int_equal(fed.sub.mailbox, mailbox_of(f, alice));
    assert_int_equal(fed.sub.topic, stream);
    expect_silence(f);
    assert_int_equal(rows(f, DB_SUBS), 0);
    assert_int_equal(stream_named(f, "t:a"), stream); /* it holds something */

    const char *others[] = {"t:a", "t:never", "nothing:a"};
    for (int i = 0; i < 3; i++) {
        rig_unsubscribe(&f->rig, 0, alice, others[i], 0);
        expect_code(f, CODE_OK);
    }
    expect_silence(f);
    rig_unsubscribe(&f->rig, 0, bob, "t:a", 0);
    expect_code(f, CODE_SESSION_UNKNOWN);
    assert_int_equal(metric_of(f, METRIC_TOPICS_REMOVED), 0);
}

/* A session that subscribes is used: it lives on. */
static void subscribing_slides_the_session(void **state)
{
    struct fixture *f = *state;
    int64_t most = (int64_t)(f->rig.conf->session_ttl / 4 * 3);
    open_alice(f);
    for (int i = 0; i < 4; i++) {
        atomic_fetch_add(&f->rig.board->clock_offset_ms, most);
        if (i % 2)
            rig_unsubscribe(&f->rig, 0, alice, "t:a", 0);
        else
            rig_subscribe(&f->rig, 0, alice, "t:a", 0);
        expect_code(f, CODE_OK);
    }
}

/* --- what is no more must not be remembered --- */

static void a_topic_made_again_is_another(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    run(f);
    uint64_t first = stream_named(f, "t:a");
    rig_unsubscribe(&f->rig, 0, alice, "t:a", 0);
    rig_publish_topic(&f->rig, 0, "t:a", NULL, "1", MESSAGE_JSON);
    expect_item(f, CODE_OK);
    assert_int_equal(metric_of(f, METRIC_TOPICS_REMOVED), 1);
    assert_int_equal(metric_of(f, METRIC_TOPICS_MADE), 2);
    assert_int_equal(metric_of(f, METRIC_BATCHES_ABORTED), 0);
    assert_int_not_equal(stream_named(f, "t:a"), first);
    assert_int_equal(head_named(f, "t:a").count, 1);
}

static void a_session_takes_its_topics_with_it(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    rig_open_session(&f->rig, 0, bob, "bob");
    rig_subscribe(&f->rig, 0, alice, "t:hers", 0);
    rig_subscribe(&f->rig, 0, alice, "t:both", 0);
    rig_subscribe(&f->rig, 0, bob, "t:both", 0);
    run(f);
    rig_end(&f->rig, 0, alice);
    rig_publish_topic(&f->rig, 0, "t:hers", NULL, "1", MESSAGE_JSON);
    expect_item(f, CODE_OK);
    assert_int_equal(metric_of(f, METRIC_TOPICS_REMOVED), 1);
    assert_int_equal(metric_of(f, METRIC_TOPICS_MADE), 3);
    assert_int_equal(metric_of(f, METRIC_BATCHES_ABORTED), 0);
    assert_int_equal(rows(f, DB_SUBS), 1);
    assert_int_equal(head_named(f, "t:hers").count, 1);
}

/* The batch that made the topic is lost, by another command's fault: the topic is made again. */
static void a_topic_of_a_lost_batch_was_never_made(void **state)
{
    struct fixture *f = *state;
    struct rig_reply r;
    open_alice(f);
    rig_open_session(&f->rig, 0, bob, "bob");
    run(f);
    struct txn *t = look(f);
    struct str good, id = str_make(bob, sizeof(bob));
    assert_int_equal(txn_get(t, DB_SESSION, id, &good), 0);
    char row[1024];
    size_t n = good.n;
    assert_true(n <= sizeof(row));
    memcpy(row, good.p, n);
    assert_int_equal(txn_put(t, DB_SESSION, id, STR("damaged")), 0);
    assert_int_equal(txn_commit(t), 0);

    uint64_t sent = rig_publish_topic(&f->rig, 0, "t:a", NULL, "1", MESSAGE_JSON);
    uint64_t joined = rig_subscribe(&f->rig, 0, alice, "t:b", 0);
    uint64_t bad = rig_subscribe(&f->rig, 0, bob, "t:b", 0);
    uint64_t last = rig_publish_topic(&f->rig, 0, "t:a", NULL, "2", MESSAGE_JSON);
    rig_run(f->writer);
    assert_int_equal(metric_of(f, METRIC_BATCHES_ABORTED), 1);
    assert_true(rig_reply(&f->rig, 0, &r) && r.id == sent && r.item == CODE_OK && r.seq == 1);
    assert_true(rig_reply(&f->rig, 0, &r) && r.id == joined && r.code == CODE_OK && r.join == 1);
    assert_true(rig_reply(&f->rig, 0, &r) && r.id == bad && r.code == CODE_INTERNAL);
    assert_true(rig_reply(&f->rig, 0, &r) && r.id == last && r.item == CODE_OK && r.seq == 2);
    assert_int_equal(head_named(f, "t:a").count, 2);
    assert_int_equal(rows(f, DB_SUBS), 1);
    assert_int_equal(metric_of(f, METRIC_TOPICS_MADE), 2);

    t = look(f);
    assert_int_equal(txn_put(t, DB_SESSION, id, str_make(row, n)), 0);
    assert_int_equal(txn_commit(t), 0);
}

/* --- a session with its topics, in one command --- */

static uint64_t open_with(struct fixture *f, const uint8_t id[SESSION_ID_SIZE], const char *name,
                          struct str topics)
{
    struct command_open c = {.subject = STR("alice"), .name = str_of(name), .topics = topics};
    memcpy(c.session, id, SESSION_ID_SIZE);
    return rig_open_as(&f->rig, 0, &c);
}

static void a_session_opens_with_topics(void **state)
{
    struct fixture *f = *state;
    struct rig_fed fed;
    rig_open_session(&f->rig, 0, bob, "bob");
    rig_append(&f->rig, 0, bob, NULL, "1", MESSAGE_JSON);
    run(f);
    skip_feed(f);
    open_with(f, alice, "phone", STR("\003t:a\003t:b\003t:a"));
    struct rig_reply r = run(f);
    assert_int_equal(r.code, CODE_OK);
    assert_true(r.created);
    expect_silence(f); /* nobody is connected to it yet */
    struct subscribed has[4];
    struct txn *t = look(f);
    struct session s;
    assert_int_equal(session_get(t, alice, &s), 0);
    assert_int_equal(subscribed_list(t, s.stream, has, 4), 2);
    assert_true(has[0].join == 1 && has[1].join == 1);
    txn_done(t);

    /* The same session, by name: what is new is added and told. */
    open_with(f, bob, "phone", STR("\003t:b\003t:c"));
    r = run(f);
    assert_int_equal(r.code, CODE_OK);
    assert_false(r.created);
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.control, FEED_SUBSCRIBE);
    assert_true(str_is(fed.sub.name, "t:c"));
    assert_int_equal(fed.sub.mailbox, mailbox_of(f, alice));
    expect_silence(f);
    assert_int_equal(rows(f, DB_SUBS), 3);
}

static void expect_not_opened(struct fixture *f, const char *name, struct str topics,
                              enum code code)
{
    uint64_t subs = rows(f, DB_SUBS), topics_had = rows(f, DB_TOPIC), had = rows(f, DB_SESSION);
    open_with(f, bob, name, topics);
    expect_code(f, code);
    assert_int_equal(rows(f, DB_SESSION), had);
    assert_int_equal(rows(f, DB_SUBS), subs);
    assert_int_equal(rows(f, DB_TOPIC), topics_had);
    expect_silence(f);
}

static void one_refused_topic_refuses_all(void **state)
{
    struct fixture *f = *state;
    open_with(f, alice, "phone", STR("\003t:a"));
    expect_code(f, CODE_OK);
    skip_feed(f);
    const char *names[] = {"phone", NULL}; /* the session that is there, and one to be made */
    for (int i = 0; i < 2; i++) {
        expect_not_opened(f, names[i], STR("\003t:b\003x:c"), CODE_TOPIC_UNKNOWN);
        expect_not_opened(f, names[i], STR("\003t:b\003t:c\003t:d\003t:e"), CODE_LIMIT_REACHED);
    }
    for (int i = 0; i < 3; i++) {
        rig_publish_topic(&f->rig, 0, (const char *[]){"t:1", "t:2", "t:3"}[i], NULL, "1",
                          MESSAGE_JSON);
        expect_item(f, CODE_OK);
    }
    skip_feed(f);
    assert_int_equal(metric_of(f, METRIC_REFUSED_TOPICS), 0);
    expect_not_opened(f, NULL, STR("\003t:8\003t:9"), CODE_LIMIT_REACHED); /* topics.max */
    assert_int_equal(metric_of(f, METRIC_REFUSED_TOPICS), 2);
    char many[1001 * 4];
    for (size_t i = 0; i < sizeof(many); i += 4)
        memcpy(many + i, "\003t:b", 4);
    expect_not_opened(f, NULL, str_make(many, sizeof(many)), CODE_LIMIT_REACHED);
    open_with(f, bob, NULL, str_make(many, sizeof(many) - 4));
    expect_code(f, CODE_OK); /* a thousand times the same is one */
}

static void a_malformed_list_costs_its_worker(void **state)
{
    struct fixture *f = *state;
    const struct str bad[] = {STR("\003t:"), STR("\003t:a\000"), STR("\003t:a\377t")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        atomic_store(&f->rig.board->seat[0].condemned, 0);
        open_with(f, alice, NULL, bad[i]);
        rig_run(f->writer);
        assert_int_equal(atomic_load(&f->rig.board->seat[0].condemned), 1);
    }
    assert_int_equal(rows(f, DB_SESSION), 0);
    assert_int_equal(rows(f, DB_TOPIC), 0);
}

/* --- emptying --- */

static void an_emptied_topic_goes_on(void **state)
{
    struct fixture *f = *state;
    open_alice(f);
    rig_empty(&f->rig, 0, "t:a");
    expect_code(f, CODE_TOPIC_UNKNOWN);
    assert_int_equal(stream_named(f, "t:a"), 0);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    for (int i = 0; i < 3; i++)
        rig_publish_topic(&f->rig, 0, "t:a", NULL, "1", MESSAGE_JSON);
    run(f);
    rig_empty(&f->rig, 0, "t:a");
    expect_code(f, CODE_OK);
    assert_int_equal(head_named(f, "t:a").count, 0);
    assert_int_equal(metric_of(f, METRIC_EMPTIED), 3);
    rig_empty(&f->rig, 0, "t:a");
    expect_code(f, CODE_OK);
    assert_int_equal(metric_of(f, METRIC_EMPTIED), 3);
    skip_feed(f);
    struct rig_fed fed;
    rig_publish_topic(&f->rig, 0, "t:a", NULL, "4", MESSAGE_JSON);
    assert_int_equal(run(f).seq, 4);
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.target.prev, 3);
    assert_int_equal(rows(f, DB_SUBS), 1);
}

#define topic_test(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        topic_test(a_subscription_begins_now_and_is_told_once),
        topic_test(what_cannot_be_joined_is_refused_and_changes_nothing),
        topic_test(a_full_store_takes_no_subscription),
        topic_test(leaving_is_told_and_may_be_repeated),
        topic_test(subscribing_slides_the_session),
        topic_test(a_topic_made_again_is_another),
        topic_test(a_session_takes_its_topics_with_it),
        topic_test(a_topic_of_a_lost_batch_was_never_made),
        topic_test(a_session_opens_with_topics),
        topic_test(one_refused_topic_refuses_all),
        topic_test(a_malformed_list_costs_its_worker),
        topic_test(an_emptied_topic_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
