/* route_feed_test - the walk over the feed and the table of subscriptions. */
#include "route_harness.h"

static unsigned taken, ended;

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str json)
{
    (void)arg;
    (void)m;
    (void)json;
    assert_true(stream >= 1);
    taken++;
    return PICKUP_TAKEN;
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    (void)arg;
    (void)cursor;
    (void)more;
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    (void)arg;
    (void)code;
    (void)cursor;
    ended++;
}

static const struct pickup_ops ops = {
    .on_message = on_message, .on_pause = on_pause, .on_end = on_end};

static struct pickup *start(struct session *s)
{
    const struct pickup_start start = {.session = s, .page_limit = 10, .page_bytes = 1000};
    struct pickup *p;
    assert_int_equal(pickup_start(F.route, &start, &ops, NULL, &p), 0);
    return p;
}

static void thousands_of_streams_find_their_own(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct pickup **p = calloc(N, sizeof(*p));
    for (uint64_t i = 0; i < N; i++) {
        struct session s = F.session[0];
        s.stream = i * 3 + 1;
        p[i] = start(&s);
    }
    proceed();
    assert_int_equal(F.route->mailboxes.count, N);
    assert_true(F.route->mailboxes.nbuckets >= N / 2);
    taken = 0;
    uint64_t seq = 0;
    for (uint64_t i = 0; i < N; i += 7) {
        struct feed_target mine = {.stream = i * 3 + 1, .seq = ++seq};
        struct feed_target nobodys = {.stream = i * 3 + 2, .seq = ++seq};
        feed_put(&mine, 1, MESSAGE_TEXT, 0, "mine");
        feed_put(&nobodys, 1, MESSAGE_TEXT, 0, "nobody's");
    }
    F.last_seq = seq;
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(taken, (N + 6) / 7);
    for (uint64_t i = 0; i < N; i++)
        pickup_stop(p[i]);
    assert_int_equal(F.route->mailboxes.count, 0);
    free(p);
}

static void a_turn_is_bounded_and_says_that_more_waits(void **state)
{
    (void)state;
    struct pickup *p = start(&F.session[0]);
    proceed();
    for (uint64_t seq = 1; seq <= 6000; seq++) {
        F.last_seq = seq;
        feed_end(FEED_COMMIT);
    }
    assert_true(route_proceed(F.route));
    assert_true(F.route->passed < 6000);
    assert_false(route_proceed(F.route));
    assert_int_equal(F.route->passed, 6000);
    pickup_stop(p);
}

static void without_listeners_the_feed_is_passed_over(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 20000; seq++) {
        F.last_seq = seq;
        feed_end(FEED_COMMIT);
    }
    assert_false(route_proceed(F.route)); /* at once, however much it is */
    assert_int_equal(F.route->passed, 20000);
    assert_int_equal(metric(METRIC_FEED_LAPPED), 0);
    /* And who comes then misses nothing. */
    struct pickup *p = start(&F.session[0]);
    taken = 0;
    publish(1, 20001, 0, "x");
    proceed();
    publish(1, 20002, 20001, "y");
    proceed();
    assert_int_equal(taken, 2);
    pickup_stop(p);
}

static void nothing_is_passed_before_its_commit(void **state)
{
    (void)state;
    struct pickup *p = start(&F.session[0]);
    proceed();
    uint64_t published = F.feed_head;
    feed_one(1, 5, 0, "x");
    feed_publish(&F.feed, F.feed_head); /* no writer does that; a reader must not be fooled */
    assert_true(F.feed_head > published);
    proceed();
    assert_int_equal(F.route->passed, 0);
    assert_int_equal(F.route->walked, 5);
    F.last_seq = 6;
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(F.route->passed, 6);
    pickup_stop(p);
}

static void a_control_record_of_garbage_is_a_hole(void **state)
{
    (void)state;
    struct pickup *p = start(&F.session[0]);
    proceed();
    ended = 0;
    F.ended[0] = true; /* what the record was to say */
    void *at;
    assert_int_equal(feed_prepare(&F.feed, &F.feed_head, FEED_CONTROL, 0, 5, &at), 0);
    memset(at, 0xee, 5);
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(ended, 1);
    assert_int_equal(metric(METRIC_FEED_LAPPED), 1);
    (void)p;
}

static void an_end_of_another_session_harms_nobody(void **state)
{
    (void)state;
    struct pickup *p = start(&F.session[0]);
    proceed();
    ended = 0;
    feed_session_end(3);
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(ended, 0);
    pickup_stop(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, harness_open, harness_close)
    const struct CMUnitTest tests[] = {
        T(thousands_of_streams_find_their_own),       T(a_turn_is_bounded_and_says_that_more_waits),
        T(without_listeners_the_feed_is_passed_over), T(nothing_is_passed_before_its_commit),
        T(a_control_record_of_garbage_is_a_hole),     T(an_end_of_another_session_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
