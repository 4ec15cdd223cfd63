/* pickup_feed_test - live from the feed: laps, holes, chains, ephemerals, many at once. */
#include "pickup_harness.h"

static void a_lap_record_sends_to_the_store(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 2);
    start(&c, 0);
    proceed();
    fill(3, 9);
    feed_end(FEED_LAP);
    proceed();
    assert_run(&c, 1, 9);
    assert_int_equal(metric(METRIC_FEED_LAPPED), 1);
    publish(1, 10, 9, "ten");
    proceed();
    assert_run(&c, 1, 10);
}

static void being_overtaken_sends_to_the_store(void **state)
{
    (void)state;
    struct client c = {.n = 0}, d = {.n = 0};
    start(&c, 0);
    start_at(&d, 1, 0, 100);
    proceed();
    for (uint64_t seq = 1; seq <= 4000; seq++) {
        store_put(1, seq, seq - 1, "x");
        char filler[600];
        memset(filler, 'y', sizeof(filler));
        filler[sizeof(filler) - 1] = '\0';
        feed_one(1, seq, seq - 1, filler);
        feed_end(FEED_COMMIT);
    }
    proceed();
    assert_run(&c, 1, 4000);
    assert_true(metric(METRIC_FEED_LAPPED) >= 1);
    assert_int_equal(d.n, 0);
    assert_int_equal(pickup_cursor(d.p), 4000);
}

static void a_session_that_ended_during_a_lap_is_noticed(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    start(&c, 0);
    proceed();
    F.ended[0] = true;
    F.last_seq = 5;
    feed_end(FEED_LAP);
    proceed();
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.code, CODE_SESSION_UNKNOWN);
    assert_int_equal(route_pickups(F.route), 0);
}

static void a_control_record_ends_it_after_its_messages(void **state)
{
    (void)state;
    struct client c = {.n = 0}, d = {.n = 0};
    start(&c, 0);
    start_at(&d, 1, 0, 100);
    proceed();
    feed_one(1, 1, 0, "last words");
    F.last_seq = 1;
    feed_session_end(0);
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.n, 1);
    assert_int_equal(c.pauses, 2);
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.code, CODE_SESSION_UNKNOWN);
    assert_int_equal(d.ends, 0);
    assert_int_equal(route_pickups(F.route), 1);
}

static void a_bad_feed_record_is_a_hole(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    start(&c, 0);
    proceed();
    store_put(1, 1, 0, "a");
    void *at;
    assert_int_equal(feed_prepare(&F.feed, &F.feed_head, FEED_MESSAGE, 1, 9, &at), 0);
    memset(at, 0xff, 9);
    feed_end(FEED_COMMIT);
    proceed();
    assert_run(&c, 1, 1);
    assert_int_equal(metric(METRIC_FEED_LAPPED), 1);
}

static void a_broken_chain_is_judged_by_the_store(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 3);
    start(&c, 0);
    proceed();
    /* 4 came and went (expired) without having been seen; 5 says so nowhere. */
    store_put(1, 4, 3, "short")->expires_ms = 1;
    store_put(1, 5, 4, "five");
    feed_one(1, 5, 4, "five");
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.n, 4);
    assert_int_equal(c.seq[3], 5);
    assert_true(c.flags[3] & MESSAGE_SKIPPED);
    assert_int_equal(F.pages, 2);
}

static void what_the_cursor_passed_unseen_is_skipped(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 2);
    store_put(1, 3, 2, "gone")->expires_ms = 1;
    start(&c, 0);
    proceed(); /* sees 1 and 2, and is live at 3, which was expired already */
    assert_int_equal(c.n, 2);
    assert_int_equal(c.cursor, 3);
    publish(1, 4, 3, "four");
    proceed();
    assert_int_equal(c.n, 3);
    assert_true(c.flags[2] & MESSAGE_SKIPPED);
}

static void a_flagged_message_needs_no_store(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 2);
    start(&c, 0);
    proceed();
    store_put(1, 5, 4, "five");
    struct feed_target t = {.stream = 1, .seq = 5, .prev = 4, .flags = MESSAGE_SKIPPED};
    feed_put(&t, 1, MESSAGE_TEXT, 0, "five");
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.n, 3);
    assert_true(c.flags[2] & MESSAGE_SKIPPED);
    assert_int_equal(F.pages, 1);
}

static void an_expired_message_on_the_feed_is_not_shown(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    start(&c, 0);
    proceed();
    store_put(1, 1, 0, "late")->expires_ms = 1;
    struct feed_target t = {.stream = 1, .seq = 1};
    feed_put(&t, 1, MESSAGE_TEXT, 1, "late");
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.n, 0);
    publish(1, 2, 1, "next");
    proceed();
    assert_int_equal(c.n, 1);
    assert_true(c.flags[0] & MESSAGE_SKIPPED);
}

static void ephemerals_reach_the_live_in_order(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    publish(1, 1, 0, "a");
    start(&c, 0);
    feed_ephemeral(1, "too early"); /* it is subscribed, but behind */
    feed_end(FEED_COMMIT);
    F.route->parts.feed = &F.feed;
    feed_proceed(F.route);
    assert_int_equal(c.n, 0);
    assert_int_equal(metric(METRIC_EPHEMERAL_MISSED), 1);
    proceed();
    assert_int_equal(c.n, 1);

    feed_ephemeral(1, "now");
    store_put(1, 2, 1, "b");
    feed_one(1, 2, 1, "b");
    feed_ephemeral(1, "then");
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.n, 4);
    assert_int_equal(c.seq[1], 0);
    assert_true(c.flags[1] & MESSAGE_EPHEMERAL);
    assert_int_equal(c.seq[2], 2);
    assert_string_equal(c.last, "then");
    assert_int_equal(c.cursor, 2);
    publish(1, 3, 2, "c");
    proceed();
    assert_int_equal(c.seq[4], 3);
    assert_false(c.flags[4] & MESSAGE_SKIPPED);
}

static void an_ephemeral_from_before_the_page_is_not_shown_after_it(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    publish(1, 1, 0, "a");
    feed_ephemeral(1, "before b");
    feed_end(FEED_COMMIT);
    publish(1, 2, 1, "b");
    start(&c, 0);
    pickup_proceed(c.p); /* the page shows a and b; the feed is still before them */
    assert_run(&c, 1, 2);
    proceed();
    assert_run(&c, 1, 2);
}

/* It was there all the time, but too far behind, and then too far ahead. */
static void an_ephemeral_that_was_read_past_is_counted(void **state)
{
    (void)state;
    struct client c = {.room = 1};
    start(&c, 0);
    proceed();
    publish(1, 1, 0, "a");
    proceed(); /* full */
    c.room = 0;
    publish(1, 2, 1, "b");
    feed_ephemeral(1, "before c");
    feed_end(FEED_COMMIT);
    publish(1, 3, 2, "c");
    pickup_resume(c.p);
    pickup_proceed(c.p); /* the feed is still before b */
    assert_run(&c, 1, 3);
    assert_true(pickup_is_live(c.p));
    proceed();
    assert_run(&c, 1, 3);
    assert_int_equal(metric(METRIC_EPHEMERAL_MISSED), 1);
}

static void one_record_reaches_each_target_with_its_own_seq(void **state)
{
    (void)state;
    struct client c[3] = {{.n = 0}};
    for (int i = 0; i < 3; i++)
        start_at(&c[i], i, 0, 100);
    proceed();
    struct feed_target t[3] = {{.stream = 1, .seq = 10},
                               {.stream = 2, .seq = 11},
                               {.stream = 3, .seq = 12, .prev = 5, .flags = MESSAGE_SKIPPED}};
    feed_put(t, 3, MESSAGE_TEXT, 0, "to all");
    F.last_seq = 12;
    feed_end(FEED_COMMIT);
    proceed();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c[i].n, 1);
        assert_int_equal(c[i].seq[0], 10 + i);
        assert_int_equal(c[i].cursor, 12);
        assert_string_equal(c[i].last, "to all");
    }
    assert_false(c[0].flags[0] & MESSAGE_SKIPPED);
    assert_true(c[2].flags[0] & MESSAGE_SKIPPED);
}

static void many_readers_of_one_stream_all_get_it(void **state)
{
    (void)state;
    enum { N = 700 };
    struct client *c = calloc(N, sizeof(*c));
    for (int i = 0; i < N; i++)
        start(&c[i], 0);
    proceed();
    publish(1, 1, 0, "one");
    proceed();
    for (int i = 0; i < N; i++) {
        assert_int_equal(c[i].n, 1);
        assert_int_equal(c[i].pauses, 2);
        pickup_stop(c[i].p);
    }
    assert_int_equal(route_pickups(F.route), 0);
    assert_int_equal(F.route->mailboxes.count, 0);
    free(c);
}

/* A worker without pick-ups sleeps through the feed; whoever comes afterwards reads at once. */
static void an_ephemeral_that_nobody_was_there_for_is_not_for_a_newcomer(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    publish(1, 1, 0, "a");
    feed_ephemeral(1, "before it came");
    feed_end(FEED_COMMIT);
    start(&c, 1);
    pickup_proceed(c.p);
    proceed();
    assert_int_equal(c.n, 0);
    feed_ephemeral(1, "now");
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.n, 1);
    assert_string_equal(c.last, "now");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_lap_record_sends_to_the_store),
        T(being_overtaken_sends_to_the_store),
        T(a_session_that_ended_during_a_lap_is_noticed),
        T(a_control_record_ends_it_after_its_messages),
        T(a_bad_feed_record_is_a_hole),
        T(a_broken_chain_is_judged_by_the_store),
        T(what_the_cursor_passed_unseen_is_skipped),
        T(a_flagged_message_needs_no_store),
        T(an_expired_message_on_the_feed_is_not_shown),
        T(ephemerals_reach_the_live_in_order),
        T(an_ephemeral_from_before_the_page_is_not_shown_after_it),
        T(an_ephemeral_that_nobody_was_there_for_is_not_for_a_newcomer),
        T(an_ephemeral_that_was_read_past_is_counted),
        T(one_record_reaches_each_target_with_its_own_seq),
        T(many_readers_of_one_stream_all_get_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
