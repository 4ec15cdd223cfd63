/* route_touch_test - liveness is told seldom enough and often enough (rule 8). */
#include "route_harness.h"

#include "../failmalloc.h"

struct told {
    unsigned touches, attaches, detaches;
    uint64_t delivered; /* of the last touch */
    uint64_t lease_ms;  /* of the last attach */
    char transport[16], remote[80];
};

/* What the worker has told since the last look. */
static struct told told(void)
{
    struct told t = {.touches = 0};
    struct command_header h;
    struct unpack body;
    while (take_command(&h, &body)) {
        struct command_touch touch;
        struct command_attach attach;
        assert_int_equal(h.id, 0);
        if (h.type == COMMAND_TOUCH) {
            assert_int_equal(command_touch_decode(&body, &touch), 0);
            t.touches++;
            t.delivered = touch.delivered;
        } else if (h.type == COMMAND_ATTACH) {
            assert_int_equal(command_attach_decode(&body, &attach), 0);
            assert_int_equal(attach.connection, COMMAND_POLL_CONNECTION);
            t.attaches++;
            t.lease_ms = attach.lease_ms;
            snprintf(t.transport, sizeof(t.transport), "%.*s", (int)attach.transport.n,
                     attach.transport.p);
            snprintf(t.remote, sizeof(t.remote), "%.*s", (int)attach.remote.n, attach.remote.p);
        } else {
            t.detaches++;
        }
    }
    return t;
}

/* The session's row, as a request finds it after `used` of its ttl. */
static struct session row(uint64_t ttl_ms, uint64_t used_ms)
{
    struct session s = F.session[0];
    s.ttl_ms = ttl_ms;
    s.expires_ms = board_now_ms(F.board) + ttl_ms - used_ms;
    return s;
}

static void a_fresh_session_needs_no_touch(void **state)
{
    (void)state;
    struct session s = row(80000, 1000);
    route_touch(F.route, &s, 0);
    assert_int_equal(told().touches, 0);
    assert_int_equal(F.route->touches.count, 0);
}

static void an_eighth_used_is_slid_once(void **state)
{
    (void)state;
    struct session s = row(80000, 11000);
    for (int i = 0; i < 50; i++)
        route_touch(F.route, &s, 0); /* the row does not show the touch yet */
    assert_int_equal(told().touches, 1);
    /* The entry means nothing any more a little later. */
    pass_ms(3000);
    assert_int_equal(F.route->touches.count, 0);
    assert_int_equal(told().touches, 0);
}

static void delivery_is_reported_at_once_then_once_a_second(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    route_touch(F.route, &s, 5);
    struct told t = told();
    assert_int_equal(t.touches, 1);
    assert_int_equal(t.delivered, 5);
    assert_int_equal(route_delivered(F.route, &s), 5);
    for (uint64_t seq = 6; seq <= 50; seq++)
        route_touch(F.route, &s, seq);
    assert_int_equal(told().touches, 0);
    assert_int_equal(route_delivered(F.route, &s), 50);
    pass_ms(1200);
    t = told();
    assert_int_equal(t.touches, 1);
    assert_int_equal(t.delivered, 50);
    route_touch(F.route, &s, 50);
    route_touch(F.route, &s, 20);
    pass_ms(5000);
    assert_int_equal(told().touches, 0);
    assert_int_equal(F.route->touches.count, 0);
}

static void what_the_row_knows_is_not_reported(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    s.delivered = 10;
    route_touch(F.route, &s, 10);
    route_touch(F.route, &s, 9);
    assert_int_equal(told().touches, 0);
}

/* Fills the inbox; returns where it was, for what the writer would do. */
static uint64_t fill_inbox(void)
{
    void *at;
    uint64_t head = F.route->calls.inbox_head;
    while (ring_prepare(&F.inbox, &F.route->calls.inbox_head, 60000, &at) == 0)
        memset(at, 0, 60000);
    while (ring_prepare(&F.inbox, &F.route->calls.inbox_head, 8, &at) == 0)
        memset(at, 0, 8);
    return head;
}

static void a_report_that_found_no_room_is_tried_again(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    uint64_t head = fill_inbox();
    route_touch(F.route, &s, 5);
    assert_int_equal(F.route->calls.inbox_head % 8, 0);
    F.route->calls.inbox_head = head; /* as if the writer had made room */
    pass_ms(1500);
    struct told t = told();
    assert_int_equal(t.touches, 1);
    assert_int_equal(t.delivered, 5);
}

/* --- parked polls --- */

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    (void)arg;
    (void)cursor;
    (void)more;
}

static const struct pickup_ops ops = {.on_pause = on_pause};

static struct pickup *park(struct session *s, uint64_t wait_ms, const char *remote)
{
    const struct pickup_start start = {
        .session = s,
        .page_limit = 1,
        .page_bytes = 1,
        .transport = "poll",
        .remote = remote,
        .lease_ms = wait_ms,
    };
    struct pickup *p;
    assert_int_equal(pickup_start(F.route, &start, &ops, NULL, &p), 0);
    proceed();
    return p;
}

static void a_parked_poll_has_a_lease(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    struct pickup *p = park(&s, 30000, "127.0.0.1:1");
    struct told t = told();
    assert_int_equal(t.attaches, 1);
    assert_int_equal(t.lease_ms, 30000);
    assert_string_equal(t.transport, "poll");
    assert_string_equal(t.remote, "127.0.0.1:1");
    pickup_stop(p);
    /* It comes again at once: half of the lease is not used. */
    p = park(&s, 30000, "127.0.0.1:2");
    assert_int_equal(told().attaches, 0);
    pass_ms(14000);
    assert_int_equal(told().attaches, 0);
    pass_ms(1500);
    assert_int_equal(told().attaches, 1);
    pickup_stop(p);
    t = told();
    assert_int_equal(t.detaches, 0);
    pass_ms(40000);
    assert_int_equal(F.route->touches.count, 0);
    assert_int_equal(told().attaches, 0);
}

static void several_polls_share_a_lease(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    struct pickup *p[5];
    for (int i = 0; i < 5; i++)
        p[i] = park(&s, 20000, "r");
    assert_int_equal(told().attaches, 1);
    pass_ms(10500);
    assert_int_equal(told().attaches, 1);
    pickup_stop(p[0]);
    pickup_stop(p[4]);
    pass_ms(10500);
    assert_int_equal(told().attaches, 1);
    for (int i = 1; i < 4; i++)
        pickup_stop(p[i]);
}

static void a_parked_poll_keeps_a_short_ttl_alive(void **state)
{
    (void)state;
    struct session s = row(1000, 0);
    struct pickup *p = park(&s, 60000, "r");
    told();
    uint64_t silent = 0, longest = 0;
    for (int i = 0; i < 100; i++) {
        pass_ms(50);
        silent += 50;
        struct told t = told();
        if (t.touches + t.attaches) {
            longest = silent > longest ? silent : longest;
            silent = 0;
        }
    }
    assert_true(longest >= 125 && longest <= 400);
    pickup_stop(p);
}

static void a_long_remote_is_cut(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    char remote[200];
    memset(remote, 'r', sizeof(remote) - 1);
    remote[sizeof(remote) - 1] = '\0';
    struct pickup *p = park(&s, 1000, remote);
    struct told t = told();
    assert_int_equal(t.attaches, 1);
    assert_int_equal(strlen(t.remote), COMMAND_REMOTE_MAX);
    pickup_stop(p);
}

static void a_plain_get_leaves_no_lease(void **state)
{
    (void)state;
    const struct pickup_start start = {.session = &F.session[0], .page_limit = 1, .page_bytes = 1};
    struct pickup *p;
    assert_int_equal(pickup_start(F.route, &start, &ops, NULL, &p), 0);
    proceed();
    assert_int_equal(told().attaches, 0);
    assert_int_equal(F.route->touches.count, 0);
    pickup_stop(p);
}

static void many_sessions_come_and_go(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct session s = row(600000, 0);
    for (uint32_t i = 1; i <= N; i++) {
        memcpy(s.id, &i, sizeof(i));
        route_touch(F.route, &s, i);
        told();
    }
    assert_int_equal(F.route->touches.count, N);
    pass_ms(5000);
    assert_int_equal(F.route->touches.count, 0);
    assert_true(F.route->touches.nbuckets <= 64 * 2);
}

static int touch_one(void *arg)
{
    struct session *s = arg;
    s->delivered = 0;
    route_touch(F.route, s, 7);
    return told().touches ? 0 : -ENOMEM;
}

static void without_memory_the_next_use_tries_again(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    assert_int_equal(failmalloc_each(touch_one, &s), 1);
}

static void each_stream_has_a_lease_of_its_own(void **state)
{
    (void)state;
    struct pickup *p[2];
    struct session s = row(600000, 0);
    for (unsigned i = 0; i < 2; i++) {
        const struct pickup_start start = {
            .session = &s,
            .page_limit = 10,
            .page_bytes = 1000,
            .transport = "sse",
            .remote = "127.0.0.1:9",
            .lease_ms = 60000,
            .connection = 100 + i,
        };
        assert_int_equal(pickup_start(F.route, &start, &ops, NULL, &p[i]), 0);
        proceed();
        pass_ms(10000);
    }
    uint64_t renewed[2] = {0, 0};
    struct command_header h;
    struct unpack body;
    struct command_attach c;
    struct command_ack d;
    pass_ms(60000);
    while (take_command(&h, &body)) {
        assert_int_equal(h.type, COMMAND_ATTACH);
        assert_int_equal(command_attach_decode(&body, &c), 0);
        assert_in_range(c.connection, 100, 101);
        renewed[c.connection - 100]++;
    }
    assert_int_equal(renewed[0], 3); /* at 0, 30 and 60 s */
    assert_int_equal(renewed[1], 3);
    pickup_stop(p[0]);
    assert_int_equal(take_command(&h, &body), COMMAND_DETACH);
    assert_int_equal(command_ack_decode(&body, &d), 0);
    assert_int_equal(d.seq, 100);
    pass_ms(30000); /* the other one goes on */
    assert_int_equal(take_command(&h, &body), COMMAND_ATTACH);
    pickup_stop(p[1]);
    assert_int_equal(take_command(&h, &body), COMMAND_DETACH);
    pass_ms(10000);
    assert_int_equal(F.route->touches.count, 0);
}

static unsigned attached(uint64_t connection)
{
    struct command_header h;
    struct unpack body;
    struct command_attach c;
    unsigned n = 0;
    while (take_command(&h, &body))
        n += h.type == COMMAND_ATTACH && command_attach_decode(&body, &c) == 0 &&
             c.connection == connection;
    return n;
}

/* The entry is not looked through for each that comes and goes; no lease may end for that. */
static void a_shorter_lease_is_renewed_among_longer_ones(void **state)
{
    (void)state;
    struct pickup *p[3];
    static const uint64_t lease_ms[3] = {120000, 10000, 120000};
    struct session s = row(3600000, 0);
    for (unsigned i = 0; i < 3; i++) {
        const struct pickup_start start = {
            .session = &s,
            .page_limit = 10,
            .page_bytes = 1000,
            .transport = "sse",
            .remote = "127.0.0.1:9",
            .lease_ms = lease_ms[i],
            .connection = 100 + i,
        };
        assert_int_equal(pickup_start(F.route, &start, &ops, NULL, &p[i]), 0);
    }
    proceed();
    assert_int_equal(attached(101), 1);
    pass_ms(6000);
    assert_int_equal(attached(101), 1);
    pickup_stop(p[1]);
    pickup_stop(p[2]);
    pass_ms(30000);
    assert_int_equal(attached(100), 0);
    pass_ms(30000);
    assert_int_equal(attached(100), 1);
    pickup_stop(p[0]);
    pass_ms(10000);
    assert_int_equal(F.route->touches.count, 0);
}

/* Rule 15: it takes the session once, with the first attachment that goes through. */
static void a_connection_takes_the_session_once(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    const struct pickup_start start = {
        .session = &s,
        .page_limit = 10,
        .page_bytes = 1000,
        .transport = "poll",
        .remote = "127.0.0.1:9",
        .lease_ms = 4000,
        .connection = 100,
    };
    struct pickup *p;
    uint64_t head = fill_inbox();
    assert_int_equal(pickup_start(F.route, &start, &ops, NULL, &p), 0);
    pass_ms(500);
    F.route->calls.inbox_head = head;
    pass_ms(4000);
    struct command_header h;
    struct unpack body;
    struct command_attach c;
    int attached = 0;
    for (; take_command(&h, &body) == COMMAND_ATTACH; attached++) {
        assert_int_equal(command_attach_decode(&body, &c), 0);
        assert_int_equal(c.connection, 100);
        assert_int_equal(c.takes, attached == 0);
    }
    assert_in_range(attached, 2, 3);
    pickup_stop(p);
    assert_int_equal(take_command(&h, &body), COMMAND_DETACH);
}

static void what_all_polls_share_takes_nothing(void **state)
{
    (void)state;
    struct session s = row(600000, 0);
    struct pickup *p = park(&s, 30000, "r");
    struct command_header h;
    struct unpack body;
    struct command_attach c;
    assert_int_equal(take_command(&h, &body), COMMAND_ATTACH);
    assert_int_equal(command_attach_decode(&body, &c), 0);
    assert_int_equal(c.takes, 0);
    pickup_stop(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, harness_open, harness_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_shorter_lease_is_renewed_among_longer_ones, harness_open,
                                        harness_close),
        cmocka_unit_test_setup_teardown(each_stream_has_a_lease_of_its_own, harness_open,
                                        harness_close),
        T(a_connection_takes_the_session_once),
        T(what_all_polls_share_takes_nothing),
        T(a_fresh_session_needs_no_touch),
        T(an_eighth_used_is_slid_once),
        T(delivery_is_reported_at_once_then_once_a_second),
        T(what_the_row_knows_is_not_reported),
        T(a_report_that_found_no_room_is_tried_again),
        T(a_parked_poll_has_a_lease),
        T(several_polls_share_a_lease),
        T(a_parked_poll_keeps_a_short_ttl_alive),
        T(a_long_remote_is_cut),
        T(a_plain_get_leaves_no_lease),
        T(many_sessions_come_and_go),
        T(without_memory_the_next_use_tries_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
