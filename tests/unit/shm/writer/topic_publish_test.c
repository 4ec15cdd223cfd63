/* Publishing to topics: stored once, under the limits of their namespace; ephemerals; what goes. */
#include "topic_fixture.h"

#define MINUTE_MS (60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)

static int set_up(void **state)
{
    return set_up_with(state, "publish { dedup_window = \"2d\" }\n"
                              "session { ttl = \"365d\"  max_ttl = \"365d\" }\n");
}

static uint64_t publish(struct fixture *f, const char *topic, const char *key, const char *text)
{
    rig_publish_topic(&f->rig, 0, topic, key, text, MESSAGE_JSON);
    struct rig_reply r = run(f);
    assert_int_equal(r.code, CODE_OK);
    assert_int_equal(r.item, CODE_OK);
    assert_false(r.duplicate);
    return r.seq;
}

static void later(struct fixture *f, int64_t ms)
{
    atomic_fetch_add(&f->rig.board->clock_offset_ms, ms);
    for (int i = 0; i < 4; i++) {
        storetime_turn(f->writer);
        assert_true(batch_run(f->writer) >= 0);
    }
}

static void one_message_is_one_row_and_one_record(void **state)
{
    struct fixture *f = *state;
    struct rig_fed fed;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_open_session(&f->rig, 0, bob, "bob");
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    rig_subscribe(&f->rig, 0, bob, "t:a", 0);
    run(f);
    skip_feed(f);
    uint64_t had = rows(f, DB_LOG);
    assert_int_equal(publish(f, "t:a", NULL, "\"one\""), 1);
    assert_int_equal(rows(f, DB_LOG), had + 1);
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.rec.seq, 1);
    assert_int_equal(fed.ntargets, 1);
    assert_int_equal(fed.target.stream, stream_named(f, "t:a"));
    assert_int_equal(fed.target.seq, 1);
    assert_int_equal(fed.target.flags, FEED_TARGET_TOPIC);
    assert_true(str_is(fed.message.payload, "\"one\""));
    expect_silence(f);

    /* A mailbox's message is not marked so. */
    rig_append(&f->rig, 0, alice, NULL, "2", MESSAGE_JSON);
    expect_item(f, CODE_OK);
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.target.flags, 0);
    assert_int_equal(publish(f, "t:a", NULL, "3"), 3);
    assert_true(next_fed(f, &fed));
    assert_int_equal(fed.target.prev, 1); /* of its own stream */
}

static void the_first_publish_makes_the_topic(void **state)
{
    struct fixture *f = *state;
    publish(f, "t:a", NULL, "1");
    publish(f, "t:a", NULL, "2");
    assert_int_equal(metric_of(f, METRIC_TOPICS_MADE), 1);
    rig_publish_topic(&f->rig, 0, "nothing:a", NULL, "3", MESSAGE_JSON);
    expect_item(f, CODE_TOPIC_UNKNOWN);
    assert_int_equal(rows(f, DB_TOPIC), 1);
    assert_int_equal(f->writer->meta.last_seq, 2);
}

static void topics_max_bounds_publishers_too(void **state)
{
    struct fixture *f = *state;
    f->rig.conf->topics_max = 1;
    publish(f, "t:a", NULL, "1");
    rig_publish_topic(&f->rig, 0, "t:b", NULL, "2", MESSAGE_JSON);
    expect_item(f, CODE_LIMIT_REACHED);
    assert_int_equal(metric_of(f, METRIC_REFUSED_TOPICS), 1);
    assert_int_equal(stream_named(f, "t:b"), 0);
    publish(f, "t:a", NULL, "3");
}

/* Each topic has its own keys (rule 16). */
static void a_key_is_known_by_its_topic(void **state)
{
    struct fixture *f = *state;
    publish(f, "t:a", "k", "1");
    publish(f, "t:b", "k", "1");
    rig_publish_topic(&f->rig, 0, "t:a", "k", "1", MESSAGE_JSON);
    struct rig_reply r = run(f);
    assert_true(r.item == CODE_OK && r.duplicate && r.seq == 1);
    rig_publish_topic(&f->rig, 0, "t:b", "k", "2", MESSAGE_JSON);
    expect_item(f, CODE_IDEMPOTENCY_CONFLICT);
    assert_int_equal(head_named(f, "t:a").count, 1);
    assert_int_equal(head_named(f, "t:b").count, 1);
}

static void history_is_the_namespaces(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        publish(f, "few:a", NULL, "1"); /* never refused */
    assert_int_equal(head_named(f, "few:a").count, 2);
    assert_int_equal(head_named(f, "few:a").trimmed, 3);
    assert_int_equal(metric_of(f, METRIC_TRIMMED), 3);
    for (int i = 0; i < 5; i++)
        publish(f, "t:a", NULL, "1");
    assert_int_equal(head_named(f, "t:a").count, 5);
    assert_int_equal(rows(f, DB_RECEIPT), 0);
}

static void in_latest_mode_one_replaces_the_other(void **state)
{
    struct fixture *f = *state;
    struct command_append_item item = {
        .target = APPEND_TOPIC, .name = STR("price:a"), .flags = MESSAGE_JSON};
    const char *keys[] = {"", "x", "y"}; /* its own keys do not count */
    for (int i = 0; i < 3; i++) {
        item.collapse = str_of(keys[i]);
        item.payload = STR("1");
        rig_publish(&f->rig, 0, NULL, &item);
        expect_item(f, CODE_OK);
    }
    struct stream_head h = head_named(f, "price:a");
    assert_int_equal(h.count, 1);
    assert_int_equal(h.last, 3);
    assert_int_equal(h.trimmed, 0);
    assert_int_equal(metric_of(f, METRIC_REPLACED), 2);
}

static void ephemerals_are_fed_and_not_stored(void **state)
{
    struct fixture *f = *state;
    struct rig_fed fed;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_subscribe(&f->rig, 0, alice, "typing:a", 0);
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    run(f);
    skip_feed(f);
    uint64_t batch = f->writer->meta.batch, had = rows(f, DB_LOG);
    const char *topics[] = {"typing:a", "t:a"};
    for (int i = 0; i < 2; i++) {
        struct command_append_item item = {.target = APPEND_TOPIC,
                                           .name = str_of(topics[i]),
                                           .flags =
                                               i ? MESSAGE_EPHEMERAL | MESSAGE_JSON : MESSAGE_JSON,
                                           .ttl_ms = 5000,
                                           .payload = STR("1")};
        rig_publish(&f->rig, 0, NULL, &item);
        struct rig_reply r = run(f);
        assert_int_equal(r.item, CODE_OK);
        assert_int_equal(r.seq, 0);
        assert_true(next_fed(f, &fed));
        assert_int_equal(fed.target.stream, stream_named(f, topics[i]));
        assert_int_equal(fed.target.seq, 0);
        assert_int_equal(fed.target.flags, FEED_TARGET_TOPIC);
        assert_true(fed.message.flags & MESSAGE_EPHEMERAL);
        assert_int_equal(fed.message.expires_ms, 0);
    }
    assert_int_equal(metric_of(f, METRIC_EPHEMERAL), 2);
    assert_int_equal(f->writer->meta.batch, batch);
    assert_int_equal(rows(f, DB_LOG), had);
}

static void an_ephemeral_makes_no_topic(void **state)
{
    struct fixture *f = *state;
    rig_publish_topic(&f->rig, 0, "typing:a", NULL, "1", MESSAGE_JSON);
    expect_item(f, CODE_OK);
    uint64_t batch = f->writer->meta.batch; /* the first one swept what an earlier server left */
    rig_publish_topic(&f->rig, 0, "t:a", NULL, "1", MESSAGE_JSON | MESSAGE_EPHEMERAL);
    expect_item(f, CODE_OK);
    assert_int_equal(rows(f, DB_TOPIC), 0);
    assert_int_equal(metric_of(f, METRIC_EPHEMERAL), 2);
    expect_silence(f);
    rig_publish_topic(&f->rig, 0, "nothing:a", NULL, "1", MESSAGE_JSON | MESSAGE_EPHEMERAL);
    expect_item(f, CODE_TOPIC_UNKNOWN);
    assert_int_equal(f->writer->meta.batch, batch);
}

static void who_is_excepted_stands_in_the_message(void **state)
{
    struct fixture *f = *state;
    struct rig_fed fed;
    uint8_t both[2 * SESSION_ID_SIZE];
    memcpy(both, alice, SESSION_ID_SIZE);
    memcpy(both + SESSION_ID_SIZE, bob, SESSION_ID_SIZE);
    struct command_append_item item = {.target = APPEND_TOPIC,
                                       .name = STR("t:a"),
                                       .flags = MESSAGE_JSON,
                                       .except = str_make(both, sizeof(both)),
                                       .payload = STR("1")};
    rig_publish(&f->rig, 0, NULL, &item);
    expect_item(f, CODE_OK);
    assert_true(next_fed(f, &fed));
    assert_true(message_excepts(&fed.message, alice) && message_excepts(&fed.message, bob));
    unsigned char key[KEY_STREAM];
    struct message m;
    struct str v;
    uint64_t stream = stream_named(f, "t:a");
    struct txn *t = look(f);
    assert_int_equal(txn_get(t, DB_LOG, key_stream(key, stream, 1), &v), 0);
    assert_int_equal(message_decode(v.p, v.n, &m), 0);
    assert_true(message_excepts(&m, alice) && message_excepts(&m, bob));
    txn_done(t);
}

/* --- what time takes --- */

static void messages_go_at_the_namespaces_age(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_append(&f->rig, 0, alice, NULL, "1", MESSAGE_JSON);
    publish(f, "short:a", NULL, "2"); /* ttl 20 min */
    publish(f, "t:a", NULL, "3");     /* 1 h */
    struct command_append_item item = {.target = APPEND_TOPIC,
                                       .name = STR("t:a"),
                                       .flags = MESSAGE_JSON,
                                       .ttl_ms = 5000, /* its own */
                                       .payload = STR("4")};
    rig_publish(&f->rig, 0, NULL, &item);
    expect_item(f, CODE_OK);
    later(f, 25 * MINUTE_MS);
    assert_int_equal(head_named(f, "short:a").count, 0);
    assert_int_equal(head_named(f, "t:a").count, 1);
    assert_int_equal(metric_of(f, METRIC_EXPIRED) + metric_of(f, METRIC_TRIMMED), 2);
    later(f, HOUR_MS);
    assert_int_equal(head_named(f, "t:a").count, 0);
    /* Mailboxes have an age of their own: none. */
    uint64_t stream = mailbox_of(f, alice);
    struct stream_head h;
    struct txn *t = look(f);
    assert_int_equal(stream_head(t, stream, &h), 0);
    txn_done(t);
    assert_int_equal(h.count, 1);
    assert_int_equal(metric_of(f, METRIC_SWEEP_FAILED), 0);
}

/* The namespace is taken out of the configuration: what its topics hold goes after an hour, and
 * nobody publishes or joins any more; who has joined may leave. */
static void topics_without_a_namespace_run_empty(void **state)
{
    struct fixture *f = *state;
    size_t namespaces = f->rig.conf->nnamespaces;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_subscribe(&f->rig, 0, alice, "short:a", 0);
    run(f);
    publish(f, "short:a", NULL, "1");
    rig_stop(f->writer);
    rig_restart(&f->rig);
    f->rig.conf->nnamespaces = 0;
    f->writer = rig_writer(&f->rig);
    rig_publish_topic(&f->rig, 0, "short:a", NULL, "2", MESSAGE_JSON);
    expect_item(f, CODE_TOPIC_UNKNOWN);
    rig_subscribe(&f->rig, 0, alice, "short:a", 0);
    expect_code(f, CODE_TOPIC_UNKNOWN);
    later(f, 25 * MINUTE_MS);
    assert_int_equal(head_named(f, "short:a").count, 1);
    later(f, HOUR_MS);
    assert_int_equal(head_named(f, "short:a").count, 0);
    rig_unsubscribe(&f->rig, 0, alice, "short:a", 0);
    expect_code(f, CODE_OK);
    assert_int_equal(rows(f, DB_SUBS), 0);
    f->rig.conf->nnamespaces = namespaces;
}

/* topics.idle is a day here, but a key is known for two: what was published with it must not be
 * taken for new because the topic was forgotten. */
static void an_idle_topic_goes_with_the_last_of_its_keys(void **state)
{
    struct fixture *f = *state;
    publish(f, "t:a", "k", "1");
    later(f, 36 * HOUR_MS);
    rig_publish_topic(&f->rig, 0, "t:a", "k", "1", MESSAGE_JSON);
    assert_true(run(f).duplicate);
    later(f, 13 * HOUR_MS);
    assert_int_equal(stream_named(f, "t:a"), 0);
    assert_int_equal(metric_of(f, METRIC_TOPICS_REMOVED), 1);
    publish(f, "t:a", "k",
            "1"); /* another topic by now, and nothing of the old one is remembered */
    assert_int_equal(head_named(f, "t:a").count, 1);
    assert_int_equal(metric_of(f, METRIC_BATCHES_ABORTED), 0);
}

static void an_idle_topic_is_remembered_as_configured(void **state)
{
    struct fixture *f = *state;
    f->rig.conf->topic_idle = 96 * (uint64_t)HOUR_MS; /* more than the keys are */
    publish(f, "t:a", NULL, "1");
    uint64_t stream = stream_named(f, "t:a");
    later(f, 72 * HOUR_MS);
    assert_int_equal(stream_named(f, "t:a"), stream);
    later(f, 26 * HOUR_MS);
    assert_int_equal(stream_named(f, "t:a"), 0);
}

/* More topics than the writer can remember: some share a place in its memory, none its messages. */
static void topics_are_not_taken_for_each_other(void **state)
{
    struct fixture *f = *state;
    _Static_assert(WRITER_TOPIC_MEMOS % 128 == 0, "all are answered");
    char name[16];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i <= WRITER_TOPIC_MEMOS; i++) {
            snprintf(name, sizeof(name), "t:%d", i);
            rig_publish_topic(&f->rig, 0, name, NULL, "1", MESSAGE_JSON);
            if (i % 128 == 0) /* the last one too */
                expect_item(f, CODE_OK);
        }
    assert_int_equal(rows(f, DB_TOPIC), WRITER_TOPIC_MEMOS + 1);
    for (int i = 0; i <= WRITER_TOPIC_MEMOS; i++) {
        snprintf(name, sizeof(name), "t:%d", i);
        assert_int_equal(head_named(f, name).count, 2);
    }
}

static void what_is_subscribed_to_does_not_go(void **state)
{
    struct fixture *f = *state;
    rig_open_session(&f->rig, 0, alice, "alice");
    rig_subscribe(&f->rig, 0, alice, "t:a", 0);
    run(f);
    publish(f, "t:b", NULL, "1");
    later(f, 96 * HOUR_MS);
    assert_int_not_equal(stream_named(f, "t:a"), 0);
    assert_int_equal(stream_named(f, "t:b"), 0);
    assert_int_equal(metric_of(f, METRIC_TOPICS), 1);
    assert_int_equal(metric_of(f, METRIC_SUBSCRIPTIONS), 1);
}

#define topic_test(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        topic_test(one_message_is_one_row_and_one_record),
        topic_test(the_first_publish_makes_the_topic),
        topic_test(topics_max_bounds_publishers_too),
        topic_test(a_key_is_known_by_its_topic),
        topic_test(history_is_the_namespaces),
        topic_test(in_latest_mode_one_replaces_the_other),
        topic_test(ephemerals_are_fed_and_not_stored),
        topic_test(an_ephemeral_makes_no_topic),
        topic_test(who_is_excepted_stands_in_the_message),
        topic_test(messages_go_at_the_namespaces_age),
        topic_test(topics_without_a_namespace_run_empty),
        topic_test(an_idle_topic_goes_with_the_last_of_its_keys),
        topic_test(an_idle_topic_is_remembered_as_configured),
        topic_test(topics_are_not_taken_for_each_other),
        topic_test(what_is_subscribed_to_does_not_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
