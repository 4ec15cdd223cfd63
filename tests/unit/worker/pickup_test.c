/* pickup_test - one cursor over store and feed: everything once, in order, the chain unbroken. */
#include "route_harness.h"

#include "../failmalloc.h"

#define SEEN_MAX 4096

struct client {
    struct pickup *p;
    uint64_t seq[SEEN_MAX], prev[SEEN_MAX];
    uint16_t flags[SEEN_MAX];
    char last[64];
    size_t n, mark;     /* mark: n at the last pause */
    size_t room;        /* PICKUP_FULL at so many; 0 never */
    size_t refuse_from; /* PICKUP_REFUSED from so many on; 0 never */
    unsigned pauses, truncated, undone, ends;
    uint64_t cursor;
    bool more, stop;
    enum code code;
    struct page_lost lost;
};

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str json)
{
    struct client *c = arg;
    assert_true(stream >= 1);
    assert_true(json.n > 2 && json.p[0] == '{' && json.p[json.n - 1] == '}');
    if (c->refuse_from && c->n >= c->refuse_from)
        return PICKUP_REFUSED;
    c->seq[c->n] = m->seq;
    c->prev[c->n] = m->prev;
    c->flags[c->n++] = m->flags;
    snprintf(c->last, sizeof(c->last), "%.*s", (int)m->payload.n, m->payload.p);
    return c->room && c->n >= c->room ? PICKUP_FULL : PICKUP_TAKEN;
}

static void on_truncated(void *arg, const struct page_lost *lost, size_t n)
{
    struct client *c = arg;
    assert_int_equal(n, 1);
    c->lost = lost[0];
    c->truncated++;
}

static void on_undo(void *arg)
{
    struct client *c = arg;
    c->n = c->mark;
    c->undone++;
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    struct client *c = arg;
    c->pauses++;
    c->cursor = cursor;
    c->more = more;
    c->mark = c->n;
    if (c->stop) {
        pickup_stop(c->p);
        c->p = NULL;
    }
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    struct client *c = arg;
    c->ends++;
    c->code = code;
    c->cursor = cursor;
    c->p = NULL;
}

static const struct pickup_ops ops = {
    .on_message = on_message,
    .on_truncated = on_truncated,
    .on_undo = on_undo,
    .on_pause = on_pause,
    .on_end = on_end,
};

static void start_at(struct client *c, int session, uint64_t cursor, size_t limit)
{
    const struct pickup_start s = {.session = &F.session[session],
                                   .cursor = cursor,
                                   .page_limit = limit,
                                   .page_bytes = 1 << 20};
    assert_int_equal(pickup_start(F.route, &s, &ops, c, &c->p), 0);
}

static void start(struct client *c, uint64_t cursor)
{
    start_at(c, 0, cursor, 100);
}

static void fill(uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        char text[24];
        snprintf(text, sizeof(text), "m%llu", (unsigned long long)seq);
        store_put(1, seq, seq - 1, text);
    }
}

static void assert_run(const struct client *c, uint64_t from, uint64_t to)
{
    assert_int_equal(c->n, to - from + 1);
    for (uint64_t seq = from; seq <= to; seq++)
        assert_int_equal(c->seq[seq - from], seq);
}

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
    assert_int_equal(F.route->subscriptions.count, 0);
    free(c);
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
    assert_int_equal(c.lost.from, 4);
    assert_int_equal(c.lost.to, 7);
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
    buf_free(&F.route->object[ENCODING_JSON]);
    assert_true(failmalloc_each(start_and_read, &c) >= 2);
    assert_run(&c, 1, 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, harness_open, harness_close)
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
        T(a_lap_record_sends_to_the_store),
        T(being_overtaken_sends_to_the_store),
        T(a_session_that_ended_during_a_lap_is_noticed),
        T(a_control_record_ends_it_after_its_messages),
        T(a_broken_chain_is_judged_by_the_store),
        T(what_the_cursor_passed_unseen_is_skipped),
        T(a_flagged_message_needs_no_store),
        T(an_expired_message_on_the_feed_is_not_shown),
        T(ephemerals_reach_the_live_in_order),
        T(an_ephemeral_from_before_the_page_is_not_shown_after_it),
        T(one_record_reaches_each_target_with_its_own_seq),
        T(many_readers_of_one_stream_all_get_it),
        T(truncation_is_told),
        T(truncation_alone_is_a_pause),
        T(an_inconsistent_page_is_read_again_once),
        T(a_read_error_ends_it_and_nothing_counts),
        T(it_may_be_stopped_in_a_pause),
        T(a_drain_ends_all),
        T(a_bad_feed_record_is_a_hole),
        T(everything_once_in_order),
        T(no_memory_ends_it_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
