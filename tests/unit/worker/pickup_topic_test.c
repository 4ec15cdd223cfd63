/* pickup_topic_test - topics and fencing: what a pick-up hears of, and when. */
#include "pickup_harness.h"

#include "../failmalloc.h"

#define A 101 /* topics */
#define B 102

static void start_as(struct client *c, const char *transport, uint64_t connection)
{
    const struct pickup_start s = {.session = &F.session[0],
                                   .page_limit = 10,
                                   .page_bytes = 1 << 20,
                                   .transport = transport,
                                   .remote = "127.0.0.1:1",
                                   .lease_ms = 30000,
                                   .connection = connection};
    assert_int_equal(pickup_start(F.route, &s, &ops, c, &c->p), 0);
}

static int up(void **state)
{
    int err = harness_open(state);
    store_topic(A, "chat:a");
    store_topic(B, "chat:b");
    return err;
}

static void a_live_one_hears_of_a_subscription(void **state)
{
    (void)state;
    struct client c = {.n = 0}, d = {.n = 0};
    start(&c, 0);
    start_at(&d, 1, 0, 10);
    proceed();
    publish(A, 1, 0, "too early");
    join(1, A);
    store_put(A, 2, 1, "first");
    feed_one(A, 2, 1, "first");
    feed_end(FEED_COMMIT);
    proceed();
    assert_run(&c, 2, 2);
    assert_int_equal(c.stream[0], A);
    assert_int_equal(c.flags[0] & MESSAGE_SKIPPED, 0);
    assert_int_equal(d.n, 0);
    assert_int_equal(F.pages, 2); /* of the two starts */
    leave_topic(1, A);
    feed_end(FEED_COMMIT);
    publish(A, 3, 2, "too late");
    proceed();
    assert_run(&c, 2, 2);
    assert_int_equal(F.route->topics.count, 0);
    assert_int_equal(pickup_cursor(c.p), 3);
}

/* The page was of a transaction that the feed has not come to. */
static void what_a_page_read_past_is_old_news(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    start_at(&(struct client){.n = 0}, 1, 0, 10);
    proceed();
    join(1, A);
    feed_end(FEED_COMMIT);
    publish(A, 1, 0, "of the first subscription");
    leave_topic(1, A);
    feed_end(FEED_COMMIT);
    join(1, A);
    feed_end(FEED_COMMIT);
    publish(A, 2, 1, "of the second");
    store_put(A, 3, 2, "not for it")->except = str_make(F.session[0].id, SESSION_ID_SIZE);
    feed_stored(&F.stored[F.nstored - 1]);
    feed_end(FEED_COMMIT);
    start(&c, 0);
    pickup_proceed(c.p);
    assert_run(&c, 2, 2);
    proceed();
    assert_int_equal(c.n, 1);
    publish(A, 4, 3, "next");
    proceed();
    assert_int_equal(c.seq[1], 4);
    assert_true(c.flags[1] & MESSAGE_SKIPPED);
}

static void one_that_is_stopped_learns_when_it_reads(void **state)
{
    (void)state;
    struct client c = {.room = 1};
    start(&c, 0);
    proceed();
    publish(1, 1, 0, "full");
    join(1, A);
    store_put(A, 2, 0, "x");
    feed_one(A, 2, 0, "x");
    leave_topic(1, A);
    join(1, B);
    store_put(B, 3, 0, "y");
    feed_one(B, 3, 0, "y");
    feed_end(FEED_COMMIT);
    proceed();
    assert_run(&c, 1, 1);
    c.room = 0;
    pickup_resume(c.p);
    proceed();
    assert_int_equal(c.n, 2);
    assert_int_equal(c.seq[1], 3);
    publish(B, 4, 3, "z");
    proceed();
    assert_int_equal(c.seq[2], 4);
    assert_int_equal(F.pages, 2);
}

static void a_lap_hides_no_subscription(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    join_put(1, A, 0);
    start(&c, 0);
    proceed();
    assert_true(join_take(1, A));
    store_put(A, 1, 0, "x");
    F.last_seq = 1;
    join_put(1, B, 1);
    store_put(B, 2, 0, "y");
    feed_end(FEED_LAP);
    proceed();
    assert_run(&c, 2, 2);
    publish(B, 3, 2, "z");
    publish(A, 4, 1, "not its own");
    proceed();
    assert_run(&c, 2, 3);
}

static void a_topic_made_again_is_another_one(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    join_put(1, A, 0);
    start(&c, 0);
    proceed();
    publish(A, 1, 0, "old");
    leave_topic(1, A);
    F.topic[0].stream = 103;
    join(1, 103);
    store_put(103, 2, 0, "new");
    feed_one(103, 2, 0, "new");
    feed_end(FEED_COMMIT);
    proceed();
    assert_run(&c, 1, 2);
    assert_int_equal(c.stream[0], A);
    assert_int_equal(c.stream[1], 103);
    assert_int_equal(c.flags[1] & MESSAGE_SKIPPED, 0);
    assert_int_equal(F.route->topics.count, 1);
    /* And whoever was away learns it from the store. */
    struct client d = {.n = 0};
    start(&d, 0);
    proceed();
    assert_run(&d, 2, 2);
}

static void a_flooding_topic_holds_up_no_other(void **state)
{
    (void)state;
    enum { N = 100, FLOOD = 2000 };
    static char names[N][16];
    struct client c = {.n = 0};
    uint64_t seq = 0, flood = 0, other[N] = {0};
    for (uint64_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "many:%02d", (int)i);
        store_topic(200 + i, names[i]);
        join_put(1, 200 + i, 0);
    }
    for (int i = 0; i < FLOOD; i++) {
        store_put(200, seq + 1, flood, "flood");
        flood = ++seq;
        if (i % 20 == 0) {
            size_t k = 1 + (size_t)(i / 20) % (N - 1);
            store_put(200 + k, seq + 1, other[k], "drop");
            other[k] = ++seq;
        }
    }
    start_at(&c, 0, 0, 64);
    proceed();
    assert_run(&c, 1, seq); /* in the order of seq: as they came */
    assert_int_equal(F.pages, (seq + 63) / 64);
    for (size_t i = 0; i < c.n; i++)
        assert_false(c.flags[i] & MESSAGE_SKIPPED);
}

static void truncation_names_its_topic_once(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    join_put(1, A, 0);
    F.topic_trimmed[0] = 30;
    for (uint64_t seq = 1; seq <= 20; seq++)
        store_put(1, seq, seq - 1, "mail");
    store_put(A, 31, 30, "after it");
    start_at(&c, 0, 0, 5);
    proceed();
    assert_int_equal(c.n, 21);
    assert_int_equal(c.truncated, 1);
    assert_string_equal(c.lost_stream, "topic:chat:a");
    assert_int_equal(c.lost_from, 1);
    assert_int_equal(c.lost_to, 30);
    assert_false(c.flags[20] & MESSAGE_SKIPPED);
}

static void what_is_not_for_it_is_passed_over_on_the_feed(void **state)
{
    (void)state;
    struct client c = {.n = 0}, d = {.n = 0};
    join_put(1, A, 0);
    join_put(2, A, 0);
    start(&c, 0);
    start_at(&d, 1, 0, 10);
    proceed();
    for (uint64_t seq = 1; seq <= 10; seq++) {
        struct stored *s = store_put(A, seq, seq - 1, "relay");
        s->except = str_make(F.session[seq % 2].id, seq % 5 ? SESSION_ID_SIZE : 0);
        feed_stored(s);
    }
    feed_end(FEED_COMMIT);
    proceed();
    static const uint64_t to_c[] = {1, 3, 5, 7, 9, 10}, to_d[] = {2, 4, 5, 6, 8, 10};
    assert_int_equal(c.n, 6);
    assert_int_equal(d.n, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(c.seq[i], to_c[i]);
        assert_int_equal(d.seq[i], to_d[i]);
        assert_int_equal((c.flags[i] & MESSAGE_SKIPPED) != 0, i != 0 && i != 5);
        assert_int_equal((d.flags[i] & MESSAGE_SKIPPED) != 0, i != 2 && i != 3);
    }
    assert_int_equal(F.pages, 2);
}

static void a_subscription_without_a_topic_is_no_consistent_store(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    join_put(1, 999, 0);
    start(&c, 0);
    proceed();
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.code, CODE_UNAVAILABLE);
}

static void ephemerals_of_a_topic_reach_who_is_subscribed(void **state)
{
    (void)state;
    struct client c = {.n = 0}, d = {.n = 0};
    join_put(1, A, 0);
    start(&c, 0);
    start_at(&d, 1, 0, 10);
    proceed();
    feed_ephemeral(A, "typing");
    struct message m = {.flags = MESSAGE_TEXT | MESSAGE_EPHEMERAL,
                        .payload = STR("not for it"),
                        .except = str_make(F.session[0].id, SESSION_ID_SIZE)};
    struct feed_target t = {.stream = A, .flags = FEED_TARGET_TOPIC};
    feed_message(&t, 1, &m);
    feed_end(FEED_COMMIT);
    publish(A, 1, 0, "stored");
    proceed();
    assert_int_equal(c.n, 2);
    assert_int_equal(c.seq[0], 0);
    assert_int_equal(c.seq[1], 1);
    assert_false(c.flags[1] & MESSAGE_SKIPPED);
    assert_int_equal(d.n, 0);
    assert_int_equal(metric(METRIC_EPHEMERAL_MISSED), 0);
}

static int hear(void *arg)
{
    struct client *c = arg;
    join(1, A);
    feed_end(FEED_COMMIT);
    proceed();
    bool heard = c->p && c->p->topics;
    leave_topic(1, A);
    feed_end(FEED_COMMIT);
    proceed();
    return heard ? 0 : -ENOMEM;
}

/* Without memory for what the feed says the store says it again. */
static void a_subscription_that_found_no_memory_is_read(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    start(&c, 0);
    proceed();
    assert_int_equal(hear(&c), 0);
    assert_int_equal(F.pages, 1);
    for (unsigned long n = 1; n <= 2; n++) { /* the subscription, the topic */
        failmalloc_arm(n);
        assert_int_equal(hear(&c), 0);
        assert_true(failmalloc_disarm());
    }
    assert_int_equal(F.pages, 3);
}

/* --- forms --- */

struct taker {
    struct pickup *p;
    struct buf all; /* what it was handed, one behind the other */
    struct str last;
};

static enum pickup_take take_object(void *arg, uint64_t stream, const struct message *m,
                                    struct str object)
{
    struct taker *t = arg;
    (void)stream;
    (void)m;
    t->last = object;
    buf_append_str(&t->all, object);
    return PICKUP_TAKEN;
}

static void take_pause(void *arg, uint64_t cursor, bool more)
{
    (void)arg;
    (void)cursor;
    (void)more;
}

static const struct pickup_ops takes = {.on_message = take_object, .on_pause = take_pause};

static void each_form_is_made_once_for_all_who_want_it(void **state)
{
    (void)state;
    struct taker t[2 * FORMS] = {{.p = NULL}};
    join_put(1, A, 0);
    for (int i = 0; i < 2 * FORMS; i++) {
        const struct pickup_start s = {.session = &F.session[0],
                                       .page_limit = 10,
                                       .page_bytes = 1 << 20,
                                       .form = (enum pickup_form)(i % FORMS)};
        buf_init(&t[i].all, 4096);
        assert_int_equal(pickup_start(F.route, &s, &takes, &t[i], &t[i].p), 0);
    }
    proceed();
    publish(A, 1, 0, "hello");
    proceed();
    for (int i = 0; i < FORMS; i++) {
        assert_ptr_equal(t[i].last.p, t[i + FORMS].last.p);
        assert_non_null(memmem(t[i].last.p, t[i].last.n, "topic:chat:a", 12));
        assert_non_null(memmem(t[i].last.p, t[i].last.n, "hello", 5));
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(t[i].last.p, t[k].last.p);
    }
    assert_int_equal(t[FORM_JSON].last.p[0], '{');
    assert_non_null(
        memmem(t[FORM_SOCKET_JSON].last.p, t[FORM_SOCKET_JSON].last.n, "\"t\":\"message\"", 13));
    for (int i = 0; i < 2 * FORMS; i++)
        buf_free(&t[i].all);
}

/* --- fencing --- */

static void the_newer_one_fences_off_the_older_ones(void **state)
{
    (void)state;
    struct client c = {.n = 0}, d = {.n = 0}, e = {.n = 0}, get = {.n = 0};
    F.conf.exclusive = true;
    start_as(&c, "websocket", 100);
    start_as(&e, "sse", 102);
    start_as(&get, NULL, 0);
    proceed();
    assert_int_equal(pickup_generation(c.p), 0);
    feed_fence(1, 100, 1);
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(pickup_generation(c.p), 1);
    assert_int_equal(e.ends, 0); /* it is still to take the session */
    start_as(&d, "poll", 101);
    feed_fence(1, 101, 2);
    feed_fence(1, 102, 3);
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.code, CODE_SUPERSEDED);
    assert_int_equal(d.ends, 1);
    assert_int_equal(e.ends, 0);
    assert_int_equal(get.ends, 0);
    assert_int_equal(pickup_generation(e.p), 3);
    assert_int_equal(metric(METRIC_SUPERSEDED), 2);
}

static void one_without_a_connection_goes_when_somebody_takes_the_session(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    F.conf.exclusive = true;
    F.session[0].generation = 4;
    start_as(&c, "poll", 0);
    proceed();
    feed_fence(1, 100, 4); /* before it came */
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.ends, 0);
    assert_int_equal(pickup_generation(c.p), 0);
    feed_fence(1, 101, 5);
    feed_end(FEED_COMMIT);
    proceed();
    assert_int_equal(c.code, CODE_SUPERSEDED);
}

static void a_fence_in_a_lap_is_read_from_the_store(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    F.conf.exclusive = true;
    start_as(&c, "websocket", 100);
    proceed();
    F.session[0].generation = 7; /* its own attachment is still on its way */
    feed_end(FEED_LAP);
    proceed();
    assert_int_equal(c.ends, 0);
    assert_int_equal(pickup_generation(c.p), 0);
    F.attachment = (struct attachment){.connection = 100, .generation = 7};
    feed_end(FEED_LAP);
    proceed();
    assert_int_equal(pickup_generation(c.p), 7);
    F.session[0].generation = 8;
    store_put(1, 1, 0, "for the newer one");
    feed_end(FEED_LAP);
    proceed();
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.code, CODE_SUPERSEDED);
    assert_int_equal(c.n, 0);
    assert_int_equal(metric(METRIC_SUPERSEDED), 1);
}

static void shared_sessions_know_no_fence(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    F.attachment = (struct attachment){.connection = 100, .generation = 1};
    F.session[0].generation = 9;
    start_as(&c, "websocket", 100);
    proceed();
    feed_end(FEED_LAP);
    proceed();
    assert_int_equal(c.ends, 0);
    assert_int_equal(pickup_generation(c.p), 0);
}

static void a_session_that_is_gone_when_it_starts_is_noticed(void **state)
{
    (void)state;
    struct client c = {.n = 0};
    F.ended[0] = true;
    start(&c, 0);
    proceed();
    assert_int_equal(c.code, CODE_SESSION_UNKNOWN);
}

int main(void)
{
#define TOPIC(f) cmocka_unit_test_setup_teardown(f, up, harness_close)
    const struct CMUnitTest tests[] = {
        TOPIC(a_live_one_hears_of_a_subscription),
        TOPIC(what_a_page_read_past_is_old_news),
        TOPIC(one_that_is_stopped_learns_when_it_reads),
        TOPIC(a_lap_hides_no_subscription),
        TOPIC(a_topic_made_again_is_another_one),
        TOPIC(a_flooding_topic_holds_up_no_other),
        TOPIC(truncation_names_its_topic_once),
        TOPIC(what_is_not_for_it_is_passed_over_on_the_feed),
        TOPIC(a_subscription_without_a_topic_is_no_consistent_store),
        TOPIC(ephemerals_of_a_topic_reach_who_is_subscribed),
        TOPIC(a_subscription_that_found_no_memory_is_read),
        TOPIC(each_form_is_made_once_for_all_who_want_it),
        TOPIC(the_newer_one_fences_off_the_older_ones),
        TOPIC(one_without_a_connection_goes_when_somebody_takes_the_session),
        TOPIC(a_fence_in_a_lap_is_read_from_the_store),
        TOPIC(shared_sessions_know_no_fence),
        TOPIC(a_session_that_is_gone_when_it_starts_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
