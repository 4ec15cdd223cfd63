/* verify_member_test - each kind of damage to members and to what must agree with them is found. */
#include "tests/unit/shm/verify_fixture.h"

#include "shm/expiry.h"

static uint64_t lobby(const struct session *s)
{
    return s->stream + 1;
}

/* Her membership, its texts in memory of their own. */
static struct member member_of(struct fixture *f, const struct session *s)
{
    struct member m;
    uint8_t hash[MEMBER_HASH];
    member_hash(STR("alice"), hash);
    assert_int_equal(member_get(f->txn, lobby(s), hash, s->stream, &m), 0);
    m.key = STR("alice");
    m.meta = STR("{}");
    return m;
}

static void change_topic(struct fixture *f, const struct session *s, void (*change)(struct topic *))
{
    struct topic t;
    assert_int_equal(topic_get(f->txn, lobby(s), &t), 0);
    change(&t);
    assert_int_equal(topic_put(f->txn, &t), 0);
}
static void one_more(struct topic *t)
{
    t->tracked++;
}
static void one_more_here(struct topic *t)
{
    t->members++;
}
static void not_dirty(struct topic *t)
{
    t->dirty_ms = 0;
}
static void dirty_later(struct topic *t)
{
    t->dirty_ms += 5000;
}
static void topic_counts_more(struct fixture *f, struct session *s)
{
    change_topic(f, s, one_more);
}
static void topic_counts_more_here(struct fixture *f, struct session *s)
{
    change_topic(f, s, one_more_here);
}
static void topic_queued_unknown(struct fixture *f, struct session *s)
{
    change_topic(f, s, not_dirty);
}
static void topic_not_queued(struct fixture *f, struct session *s)
{
    change_topic(f, s, dirty_later);
}

static void member_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_MEMBER);
}
static void member_malformed(struct fixture *f, struct session *s)
{
    (void)s;
    assert_int_equal(txn_put(f->txn, DB_MEMBER, STR("x"), STR("y")), 0);
}
static void member_away(struct fixture *f, struct session *s)
{
    struct member m = member_of(f, s);
    m.here = false;
    assert_int_equal(member_put(f->txn, &m), 0);
}
static void member_without_ref(struct fixture *f, struct session *s)
{
    struct member m = member_of(f, s);
    m.ref = 0;
    assert_int_equal(member_put(f->txn, &m), 0);
}
static void member_of_nobody(struct fixture *f, struct session *s)
{
    struct member m = member_of(f, s);
    m.session[0] = 9;
    assert_int_equal(member_put(f->txn, &m), 0);
}
static void member_of_another(struct fixture *f, struct session *s)
{
    struct member m = member_of(f, s);
    m.mailbox = 900;
    assert_int_equal(member_put(f->txn, &m), 0);
}
static void member_renamed(struct fixture *f, struct session *s)
{
    struct member m = member_of(f, s);
    m.key = STR("bob");
    assert_int_equal(member_put(f->txn, &m), 0);
}

static void subscription_unsaid(struct fixture *f, struct session *s)
{
    assert_int_equal(subscribed_track(f->txn, s->stream, lobby(s), false), 0);
}
static void session_counts_more(struct fixture *f, struct session *s)
{
    s->tracked++;
    assert_int_equal(session_put(f->txn, s), 0);
}
static void session_away(struct fixture *f, struct session *s)
{
    s->flags |= SESSION_AWAY;
    assert_int_equal(session_put(f->txn, s), 0);
}
static void session_away_from_nowhere(struct fixture *f, struct session *s)
{
    s->flags |= SESSION_AWAY;
    s->tracked = 0;
    assert_int_equal(session_put(f->txn, s), 0);
}
static void lease_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_ATTACH);
}

static const struct damage DAMAGES[] = {
    {topic_counts_more, "says 2 members, 1 of them here; there are 1 and 1"},
    {topic_counts_more_here, "says 1 members, 2 of them here; there are 1 and 1"},
    {topic_queued_unknown, "1 rows of topics with changes, of which 0 know"},
    {topic_not_queued, "changes to be announced, and it is not queued"},
    {member_gone, "1 say that there is a member, there are 0"},
    {member_gone, "says that it is tracked in 1 topics, not 0"},
    {member_gone, "says 1 members, 1 of them here; there are 0 and 0"},
    {member_malformed, "member: a malformed row"},
    {member_away, "away without its session"},
    {member_without_ref, "without a ref"},
    {member_of_nobody, "of no session"},
    {member_of_another, "not the mailbox of its session"},
    {member_renamed, "a key that its session does not have"},
    {subscription_unsaid, "its subscription does not say so"},
    {session_counts_more, "says that it is tracked in 2 topics, not 1"},
    {session_away, "here, while its session is away"},
    {session_away_from_nowhere, "away from nowhere"},
    {lease_gone, "here in topics without a lease"},
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
