/* verify_topic_test - each kind of damage to topics and subscriptions is found. */
#include "tests/unit/shm/verify_fixture.h"

#include "shm/expiry.h"
#include "shm/topic_priv.h"

/* One row of the topic that is subscribed to, or (idle) of the one that is not. */
static void change_topic(struct fixture *f, const struct session *s, bool idle,
                         void (*change)(struct topic *))
{
    struct topic t;
    assert_int_equal(topic_get(f->txn, s->stream + (idle ? 2 : 1), &t), 0);
    change(&t);
    assert_int_equal(topic_put(f->txn, &t), 0);
}

static void one_more(struct topic *t)
{
    t->subscribers++;
}
static void never_idle(struct topic *t)
{
    t->idle_ms = 0;
}
static void idle_now(struct topic *t)
{
    t->idle_ms = 1;
}
static void due_never(struct topic *t)
{
    t->due_ms = 0;
}
static void due_later(struct topic *t)
{
    t->due_ms += 5000;
}
static void other_name(struct topic *t)
{
    t->name = STR("chat:other");
}

static void topic_count(struct fixture *f, struct session *s)
{
    change_topic(f, s, false, one_more);
}
static void topic_idle_unsaid(struct fixture *f, struct session *s)
{
    change_topic(f, s, true, never_idle);
}
static void topic_idle_wrongly(struct fixture *f, struct session *s)
{
    change_topic(f, s, false, idle_now);
}
static void topic_unqueued(struct fixture *f, struct session *s)
{
    change_topic(f, s, true, due_never);
}
static void topic_queue_unknown(struct fixture *f, struct session *s)
{
    change_topic(f, s, false, due_never);
}
static void topic_queue_gone(struct fixture *f, struct session *s)
{
    change_topic(f, s, true, due_later);
}
static void topic_renamed(struct fixture *f, struct session *s)
{
    change_topic(f, s, true, other_name);
}
static void topic_queued_twice(struct fixture *f, struct session *s)
{
    unsigned char id[8];
    key_u64(id, s->stream + 1);
    assert_int_equal(expiry_put(f->txn, 5000, EXPIRE_TOPIC, str_make(id, sizeof(id))), 0);
}
static void topic_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_TOPIC);
}
static void topic_malformed(struct fixture *f, struct session *s)
{
    unsigned char key[8];
    key_u64(key, s->stream + 2);
    assert_int_equal(txn_put(f->txn, DB_TOPIC, str_make(key, sizeof(key)), STR("junk")), 0);
}
static void topic_name_gone(struct fixture *f, struct session *s)
{
    (void)s;
    assert_int_equal(txn_del(f->txn, DB_NAME, STR("tchat:quiet")), 0);
}
static void topic_name_astray(struct fixture *f, struct session *s)
{
    unsigned char value[8];
    key_u64(value, s->stream);
    assert_int_equal(txn_put(f->txn, DB_NAME, STR("tchat:more"), str_make(value, sizeof(value))),
                     0);
}
static void topic_name_malformed(struct fixture *f, struct session *s)
{
    (void)s;
    assert_int_equal(txn_put(f->txn, DB_NAME, STR("tchat:more"), STR("x")), 0);
}
static void topic_without_stream(struct fixture *f, struct session *s)
{
    unsigned char key[KEY_STREAM];
    assert_int_equal(txn_del(f->txn, DB_LOG, key_stream(key, s->stream + 2, STREAM_HEAD_SEQ)), 0);
}
static void stream_without_topic(struct fixture *f, struct session *s)
{
    (void)s;
    new_stream(f, STREAM_TOPIC);
}

static void subscribe(struct fixture *f, uint64_t mailbox, uint64_t topic, uint64_t join)
{
    unsigned char key[KEY_STREAM], value[SUBSCRIBED_SIZE] = {0};
    struct str row = str_make(value, sizeof(value));
    key_u64(value, join);
    assert_int_equal(txn_put(f->txn, DB_SUBS, key_stream(key, mailbox, topic), row), 0);
}
static void subscription_uncounted(struct fixture *f, struct session *s)
{
    subscribe(f, s->stream, s->stream + 2, 1);
}
static void subscription_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_SUBS);
}
static void subscription_of_nobody(struct fixture *f, struct session *s)
{
    subscribe(f, 900, s->stream + 1, 1);
}
static void subscription_to_nothing(struct fixture *f, struct session *s)
{
    subscribe(f, s->stream, 900, 1);
}
static void subscription_ahead(struct fixture *f, struct session *s)
{
    subscribe(f, s->stream, s->stream + 1, f->meta.last_seq + 1);
}
static void subscription_malformed(struct fixture *f, struct session *s)
{
    unsigned char key[KEY_STREAM];
    assert_int_equal(txn_put(f->txn, DB_SUBS, key_stream(key, s->stream, s->stream + 1), STR("x")),
                     0);
}

static const struct damage DAMAGES[] = {
    {topic_count, "says 2 subscribers, there are 1"},
    {topic_idle_unsaid, "idle since 0, with 0 subscribers"},
    {topic_idle_wrongly, "idle since 1, with 1 subscribers"},
    {topic_unqueued, "idle and not queued"},
    {topic_queue_unknown, "2 rows of topics, of which 1 are known"},
    {topic_queue_gone, "its row of the expiry queue is missing"},
    {topic_renamed, "its name does not lead to it"},
    {topic_queued_twice, "3 rows of topics, of which 2 are known"},
    {topic_gone, "a topic without a name"},
    {topic_gone, "which is no topic"},
    {topic_malformed, "topic: a malformed row"},
    {topic_name_gone, "its name does not lead to it"},
    {topic_name_astray, "a name leads to it that it does not bear"},
    {topic_name_malformed, "name: a malformed row"},
    {topic_without_stream, "it has no stream"},
    {stream_without_topic, "a topic without a name"},
    {subscription_uncounted, "says 0 subscribers, there are 1"},
    {subscription_gone, "says 1 subscribers, there are 0"},
    {subscription_of_nobody, "the mailbox of no session"},
    {subscription_to_nothing, "subscribed to 900, which is no topic"},
    {subscription_ahead, "is past the last seq"},
    {subscription_malformed, "subs: a malformed row"},
};

static void test_damage(void **state)
{
    find_damages(*state, DAMAGES, sizeof(DAMAGES) / sizeof(DAMAGES[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
