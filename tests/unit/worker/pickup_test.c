/* pickup_test - one cursor over store and feed: everything once, in order, the chain unbroken. */
#include "pickup_harness.h"

#include "../failmalloc.h"

static void catches_up_then_lives(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 5);
    start(&c, 2);
    assert_int_equal(c.n, 0); /* never from inside start */
    pickup_proceed(c.p);
    assert_run(&c, 3, 5);
    assert_int_equal(c.pauses, 1);
    assert_int_equal(c.cursor, 5);
    assert_false(c.more);
    publish(1, 6, 5, "six");
    proceed();
    assert_run(&c, 3, 6);
    assert_string_equal(c.last, "six");
    assert_int_equal(c.pauses, 2);
    assert_int_equal(c.cursor, 6);
    assert_int_equal(F.pages, 1);
    assert_int_equal(metric(METRIC_DELIVERED_STORE), 3);
    assert_int_equal(metric(METRIC_DELIVERED_FEED), 1);
}

static void an_empty_mailbox_pauses_once(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    start(&c, 0);
    proceed();
    assert_int_equal(c.pauses, 1);
    proceed();
    assert_int_equal(c.pauses, 1);
    /* Its cursor moves with the feed past messages that are not its own. */
    publish(2, 10, 0, "other");
    proceed();
    assert_int_equal(c.pauses, 1);
    assert_int_equal(pickup_cursor(c.p), 10);
}

static void what_comes_between_subscribing_and_reading_comes_once(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 3);
    start(&c, 0);
    publish(1, 4, 3, "between"); /* in the store and on the feed before the first read */
    proceed();
    assert_run(&c, 1, 4);
    publish(1, 5, 4, "after");
    proceed();
    assert_run(&c, 1, 5);
}

static void a_page_ahead_of_the_feed_is_not_repeated(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    publish(1, 1, 0, "a");
    publish(1, 2, 1, "b"); /* committed, but this worker has not walked the feed yet */
    start(&c, 0);
    pickup_proceed(c.p);
    assert_run(&c, 1, 2);
    proceed();
    assert_run(&c, 1, 2);
    publish(1, 3, 2, "c");
    proceed();
    assert_run(&c, 1, 3);
    assert_int_equal(F.pages, 1);
}

static void pages_follow_each_other(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 1000);
    start_at(&c, 0, 0, 64);
    proceed();
    assert_run(&c, 1, 1000);
    assert_int_equal(F.pages, (1000 + 63) / 64);
    assert_false(c.more);
}

static void full_stops_the_advance_until_resumed(void **state)
{
    (void)state;
    struct client c = {.room = 4};
    fill(1, 6);
    start(&c, 0);
    proceed();
    assert_run(&c, 1, 4);
    assert_true(c.more);
    assert_int_equal(c.cursor, 4);
    publish(1, 7, 6, "seven");
    proceed();
    assert_run(&c, 1, 4);
    c.room = 0;
    pickup_resume(c.p);
    proceed();
    assert_run(&c, 1, 7);
    assert_false(c.more);
    publish(1, 8, 7, "eight");
    proceed();
    assert_run(&c, 1, 8);
}

static void full_at_the_last_message_knows_of_no_more(void **state)
{
    (void)state;
    struct client c = {.room = 3};
    fill(1, 3);
    start(&c, 0);
    proceed();
    assert_run(&c, 1, 3);
    assert_false(c.more);
}

static void full_on_the_feed_says_whether_more_lies_behind(void **state)
{
    (void)state;
    struct client c = {.room = 1};
    start(&c, 0);
    proceed();
    publish(1, 1, 0, "a");
    proceed();
    assert_int_equal(c.n, 1);
    assert_false(c.more);

    struct client d = {.room = 1};
    start(&d, 1);
    proceed();
    store_put(1, 2, 1, "b");
    store_put(1, 3, 2, "c");
    feed_one(1, 2, 1, "b");
    feed_one(1, 3, 2, "c");
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(d.n, 1);
    assert_true(d.more);
    assert_int_equal(d.cursor, 2);
}

static void what_is_refused_comes_again(void **state)
{
    (void)state;
    struct client c = {.refuse_from = 2};
    fill(1, 4);
    start(&c, 0);
    proceed();
    assert_run(&c, 1, 2);
    assert_true(c.more);
    assert_int_equal(c.cursor, 2);
    c.refuse_from = 0;
    pickup_resume(c.p);
    proceed();
    assert_run(&c, 1, 4);

    c.refuse_from = 4;
    publish(1, 5, 4, "e");
    proceed();
    assert_int_equal(c.n, 4);
    assert_true(c.more);
    assert_int_equal(c.cursor, 4);
    c.refuse_from = 0;
    pickup_resume(c.p);
    proceed();
    assert_run(&c, 1, 5);
}

static void truncation_is_told(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    F.trimmed = 7;
    fill(8, 9);
    start(&c, 3);
    proceed();
    assert_int_equal(c.truncated, 1);
    assert_int_equal(c.lost_from, 4);
    assert_int_equal(c.lost_to, 7);
    assert_run(&c, 8, 9);
    assert_false(c.flags[0] & MESSAGE_SKIPPED);
}

static void truncation_alone_is_a_pause(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    F.trimmed = 7;
    F.last_seq = 7;
    start(&c, 3);
    proceed();
    assert_int_equal(c.truncated, 1);
    assert_int_equal(c.pauses, 1);
    assert_int_equal(c.cursor, 7);
}

static void an_inconsistent_page_is_read_again_once(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 6);
    F.fail_reads = 1;
    F.fail_with = -EUCLEAN;
    F.fail_after = 3;
    start(&c, 0);
    proceed();
    assert_run(&c, 1, 6);
    assert_int_equal(c.undone, 1);
    assert_int_equal(metric(METRIC_READER_RETRIES), 1);
    for (int i = 0; i < 6; i++)
        assert_false(c.flags[i] & MESSAGE_SKIPPED);
}

static void a_read_error_ends_it_and_nothing_counts(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    fill(1, 6);
    F.fail_reads = 2;
    F.fail_with = -EIO;
    F.fail_after = 2;
    start(&c, 0);
    proceed();
    assert_int_equal(c.n, 0);
    assert_int_equal(c.undone, 1);
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.code, CODE_UNAVAILABLE);
    assert_int_equal(c.cursor, 0);
}

static void it_may_be_stopped_in_a_pause(void **state)
{
    (void)state;
    struct client c = {.stop = true}, d = {.n = 0};
    fill(1, 2);
    start(&c, 0);
    start(&d, 0);
    proceed();
    assert_null(c.p);
    assert_run(&c, 1, 2);
    assert_int_equal(route_pickups(F.route), 1);
    d.stop = true;
    publish(1, 3, 2, "c");
    proceed();
    assert_null(d.p);
    assert_run(&d, 1, 3);
    assert_int_equal(route_pickups(F.route), 0);
    publish(1, 4, 3, "d");
    proceed();
}

static void a_drain_ends_all(void **state)
{
    (void)state;
    struct client c[3] = {{.n = 0}};
    for (int i = 0; i < 3; i++)
        start_at(&c[i], i, 0, 100);
    proceed();
    publish(1, 1, 0, "last");
    route_drain(F.route);
    proceed();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c[i].ends, 1);
        assert_int_equal(c[i].code, CODE_UNAVAILABLE);
    }
    assert_int_equal(c[0].n + (c[0].cursor == 0), 1); /* delivered, or its cursor is before it */
    struct client late = {.n = 0};
    start(&late, 0);
    proceed();
    assert_int_equal(late.ends, 1);
}

/* Random: readers of every temper against one writer; all of it once, in order, chain unbroken. */
static void everything_once_in_order(void **state)
{
    (void)state;
    enum { READERS = 6, MESSAGES = 2000 };
    unsigned seed = (unsigned)ids_random_u64();
    print_message("seed %u\n", seed);
    struct client *c = calloc(READERS, sizeof(*c));
    uint64_t last = 0, seq = 0;
    for (int i = 0; i < READERS; i++)
        start_at(&c[i], 0, 0, 1 + (size_t)rand_r(&seed) % 50);
    while (seq < MESSAGES) {
        int batch = 1 + rand_r(&seed) % 8;
        bool lap = rand_r(&seed) % 10 == 0;
        for (int k = 0; k < batch; k++) {
            seq++;
            if (rand_r(&seed) % 3 == 0)
                continue; /* somebody else's */
            store_put(1, seq, last, "x");
            if (!lap)
                feed_one(1, seq, last, "x");
            last = seq;
        }
        F.last_seq = seq;
        if (lap || rand_r(&seed) % 4)
            feed_end(lap ? FEED_LAP : FEED_COMMIT);
        for (int i = 0; i < READERS; i++) {
            if (rand_r(&seed) % 5 == 0)
                c[i].room = c[i].n + 1 + (size_t)rand_r(&seed) % 10;
            if (rand_r(&seed) % 5 == 0) {
                c[i].room = 0;
                pickup_resume(c[i].p);
            }
            if (rand_r(&seed) % 50 == 0) { /* comes again from its cursor */
                uint64_t at = c[i].n ? c[i].seq[c[i].n - 1] : 0;
                pickup_stop(c[i].p);
                start_at(&c[i], 0, at, 1 + (size_t)rand_r(&seed) % 50);
            }
        }
        if (rand_r(&seed) % 2)
            route_proceed(F.route);
    }
    feed_end(FEED_COMMIT);
    for (int i = 0; i < READERS; i++) {
        c[i].room = 0;
        pickup_resume(c[i].p);
    }
    proceed();
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(c[i].n, F.nstored);
        for (size_t k = 0; k < F.nstored; k++) {
            assert_int_equal(c[i].seq[k], F.stored[k].seq);
            assert_int_equal(c[i].prev[k], k ? F.stored[k - 1].seq : 0);
            assert_false(c[i].flags[k] & MESSAGE_SKIPPED);
        }
    }
    free(c);
}

static int start_and_read(void *arg)
{
    struct client *c = arg;
    *c = (struct client){.n = 0};
    const struct pickup_start s = {
        .session = &F.session[0], .page_limit = 10, .page_bytes = 1 << 20};
    int err = pickup_start(F.route, &s, &ops, c, &c->p);
    if (err)
        return err;
    proceed();
    if (c->ends)
        return -ENOMEM;
    pickup_stop(c->p);
    return 0;
}

static void no_memory_ends_it_cleanly(void **state)
{
    (void)state;
    struct client c;
    fill(1, 3);
    buf_free(&F.route->object[FORM_JSON][false]);
    assert_true(failmalloc_each(start_and_read, &c) >= 2);
    assert_run(&c, 1, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(catches_up_then_lives),
        T(an_empty_mailbox_pauses_once),
        T(what_comes_between_subscribing_and_reading_comes_once),
        T(a_page_ahead_of_the_feed_is_not_repeated),
        T(pages_follow_each_other),
        T(full_stops_the_advance_until_resumed),
        T(full_at_the_last_message_knows_of_no_more),
        T(full_on_the_feed_says_whether_more_lies_behind),
        T(what_is_refused_comes_again),
        T(truncation_is_told),
        T(truncation_alone_is_a_pause),
        T(an_inconsistent_page_is_read_again_once),
        T(a_read_error_ends_it_and_nothing_counts),
        T(it_may_be_stopped_in_a_pause),
        T(a_drain_ends_all),
        T(everything_once_in_order),
        T(no_memory_ends_it_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
