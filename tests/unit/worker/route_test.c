/* route_test - opening, reading, sessions, time. */
#include "route_harness.h"

#include "../failmalloc.h"

static void a_feed_never_written_is_too_early(void **state)
{
    (void)state;
    route_close(F.route);
    F.route = NULL;
    struct feed fresh;
    int fd = feed_create(1 << 16);
    assert_true(fd >= 0);
    assert_int_equal(feed_map(fd, 1 << 16, true, &fresh), 0);
    struct feed kept = F.feed;
    F.feed = fresh;
    assert_int_equal(harness_open_route(), -EAGAIN);
    assert_null(F.route);
    F.feed = kept;
    feed_unmap(&fresh);
    close(fd);
}

static int open_and_close(void *arg)
{
    (void)arg;
    int err = harness_open_route();
    if (!err)
        route_close(F.route);
    F.route = NULL;
    return err;
}

static void no_memory_opens_nothing(void **state)
{
    (void)state;
    route_close(F.route);
    assert_true(failmalloc_each(open_and_close, NULL) >= 4);
    assert_int_equal(harness_open_route(), 0);
}

static void a_session_is_copied_with_its_texts(void **state)
{
    (void)state;
    char subject[] = "alice", name[] = "phone", attributes[] = "{\"a\":1}", claims[] = "[\"x*\"]";
    F.session[2].subject = str_of(subject);
    F.session[2].name = str_of(name);
    F.session[2].attributes = str_of(attributes);
    F.session[2].claims = str_of(claims);
    struct session_copy c;
    assert_int_equal(route_session(F.route, F.session[2].id, &c), 0);
    memset(subject, 'x', 5);
    memset(name, 'x', 5);
    memset(attributes, 'x', 7);
    memset(claims, 'x', 6);
    assert_true(str_is(c.s.subject, "alice"));
    assert_true(str_is(c.s.name, "phone"));
    assert_true(str_is(c.s.attributes, "{\"a\":1}"));
    assert_true(str_is(c.s.claims, "[\"x*\"]"));
    assert_int_equal(c.s.stream, 3);
    session_copy_free(&c);
}

static void a_session_without_texts_is_copied_too(void **state)
{
    (void)state;
    F.session[0].subject = F.session[0].attributes = str_make(NULL, 0);
    struct session_copy c;
    assert_int_equal(route_session(F.route, F.session[0].id, &c), 0);
    assert_int_equal(c.s.subject.n, 0);
    session_copy_free(&c);
}

static void expired_is_unknown_at_once(void **state)
{
    (void)state;
    struct session_copy c;
    uint64_t now = board_now_ms(F.board);
    atomic_store(&F.board->start_ms, now - 86400000);
    F.session[0].ttl_ms = 8000;
    F.session[0].expires_ms = now - 500; /* the renewal may be on its way for an eighth */
    assert_int_equal(route_session(F.route, F.session[0].id, &c), 0);
    session_copy_free(&c);
    F.session[0].expires_ms = now - 1001;
    assert_int_equal(route_session(F.route, F.session[0].id, &c), -ENOENT);
    uint8_t nobody[SESSION_ID_SIZE] = {0xff};
    assert_int_equal(route_session(F.route, nobody, &c), -ENOENT);
}

static int copy_a_session(void *arg)
{
    struct session_copy *c = arg;
    int err = route_session(F.route, F.session[0].id, c);
    if (!err)
        session_copy_free(c);
    return err;
}

static void a_session_needs_memory(void **state)
{
    (void)state;
    struct session_copy c;
    assert_true(failmalloc_each(copy_a_session, &c) >= 1);
}

struct reading {
    int calls, fail;
    int with;
};

static int read_some(void *arg, struct txn *t)
{
    struct reading *r = arg;
    assert_non_null(t);
    assert_true(F.in_txn);
    return r->calls++ < r->fail ? r->with : 0;
}

static void reads_are_repeated_once(void **state)
{
    (void)state;
    struct reading once = {.fail = 1, .with = -EUCLEAN}, ever = {.fail = 9, .with = -EUCLEAN};
    struct reading bad = {.fail = 9, .with = -EIO};
    assert_int_equal(route_read(F.route, read_some, &once), 0);
    assert_int_equal(once.calls, 2);
    assert_int_equal(route_read(F.route, read_some, &ever), -EUCLEAN);
    assert_int_equal(ever.calls, 2);
    assert_int_equal(route_read(F.route, read_some, &bad), -EIO);
    assert_int_equal(bad.calls, 1);
    assert_false(F.in_txn);
    assert_int_equal(metric(METRIC_READER_RETRIES), 2);
}

static void the_newest_seq_is_what_anyone_told(void **state)
{
    (void)state;
    assert_int_equal(route_last_seq(F.route), 0);
    atomic_store(&F.board->last_seq, 5);
    assert_int_equal(route_last_seq(F.route), 5);
    atomic_store(&F.board->last_seq, 0);
    F.last_seq = 9;
    feed_end(FEED_COMMIT);
    atomic_store(&F.board->last_seq, 0);
    proceed();
    assert_int_equal(route_last_seq(F.route), 9);
    assert_int_equal(route_epoch(F.route), EPOCH);
}

static unsigned fired;
static void on_fire(void *arg)
{
    (void)arg;
    fired++;
}

static void timers_run_on_its_clock(void **state)
{
    (void)state;
    struct wheel_timer t = {.prev = NULL};
    fired = 0;
    route_timer(F.route, &t, 1500, on_fire, NULL);
    pass_ms(1400);
    assert_int_equal(fired, 0);
    pass_ms(200);
    assert_int_equal(fired, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, harness_open, harness_close)
    const struct CMUnitTest tests[] = {
        T(a_feed_never_written_is_too_early),
        T(no_memory_opens_nothing),
        T(a_session_is_copied_with_its_texts),
        T(a_session_without_texts_is_copied_too),
        T(expired_is_unknown_at_once),
        T(a_session_needs_memory),
        T(reads_are_repeated_once),
        T(the_newest_seq_is_what_anyone_told),
        T(timers_run_on_its_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
