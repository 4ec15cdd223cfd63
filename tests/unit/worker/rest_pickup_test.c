/* rest_pickup_test - GET messages: at once, parked, acked on the way, refused. */
#include "rest_harness.h"

#include "../failmalloc.h"

static const char *line(const char *query)
{
    static char text[512];
    snprintf(text, sizeof(text), "GET /v1/sessions/%s/messages%s", sid(0), query);
    return text;
}

static void get(const char *query)
{
    say(line(query), token_of(0), NULL);
}

static void fill(uint64_t n)
{
    for (uint64_t seq = 1; seq <= n; seq++)
        store_put(1, seq, seq - 1, "payload");
}

static unsigned delivered_touches(uint64_t *ret_last)
{
    struct command_header h;
    struct unpack body;
    unsigned n = 0;
    while (take_command(&h, &body)) {
        struct command_touch c;
        if (h.type != COMMAND_TOUCH)
            continue;
        assert_int_equal(command_touch_decode(&body, &c), 0);
        *ret_last = c.delivered;
        n++;
    }
    return n;
}

static void at_once_with_what_there_is(void **state)
{
    (void)state;
    fill(3);
    get("?cursor=9f86d081884c7d65.1");
    assert_answer(200, "{\"messages\":[{\"seq\":2,");
    assert_answer(200, "],\"cursor\":\"9f86d081884c7d65.3\",\"more\":false}");
    assert_non_null(strstr(head_lines(), "Restante-Cursor: 9f86d081884c7d65.3\r\n"));
    assert_null(strstr(answer(), "truncated"));
    assert_int_equal(route_pickups(F.route), 0);
}

static void empty_at_once_is_an_empty_answer(void **state)
{
    (void)state;
    F.last_seq = 9;
    feed_end(FEED_COMMIT);
    get("");
    assert_answer(200, "{\"messages\":[],\"cursor\":\"9f86d081884c7d65.9\",\"more\":false}");
}

static void delivered_means_the_kernel_took_it(void **state)
{
    (void)state;
    uint64_t last = 0;
    fill(3);
    get("?limit=2");
    assert_answer(200, "\"more\":true");
    assert_int_equal(delivered_touches(&last), 0);
    finish();
    assert_int_equal(delivered_touches(&last), 1);
    assert_int_equal(last, 2);
    F.session[0].delivered = 2;
    atomic_store(&F.board->last_seq, 3);
    pass_ms(5000);
    get("?cursor=9f86d081884c7d65.2");
    assert_answer(200, "\"seq\":3,");
    leave(); /* the client never got it */
    pass_ms(5000);
    assert_int_equal(delivered_touches(&last), 0);
    get("?cursor=9f86d081884c7d65.3"); /* but who asks from there has it */
    assert_int_equal(delivered_touches(&last), 1);
    assert_int_equal(last, 3);
}

static void asking_from_a_cursor_says_that_it_came(void **state)
{
    (void)state;
    uint64_t last = 0;
    fill(5);
    atomic_store(&F.board->last_seq, 5);
    get("?cursor=9f86d081884c7d65.4");
    assert_int_equal(delivered_touches(&last), 1);
    assert_int_equal(last, 4);
}

static void where_a_session_begins_is_no_delivery(void **state)
{
    (void)state;
    uint64_t last = 0;
    F.last_seq = 7;
    F.session[0].start_seq = 7;
    atomic_store(&F.board->last_seq, 7);
    get("?cursor=9f86d081884c7d65.7");
    assert_answer(200, "[]");
    assert_int_equal(delivered_touches(&last), 0);
}

static void limits_are_kept(void **state)
{
    (void)state;
    fill(10);
    get("?limit=4");
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.4\",\"more\":true");
    get("?limit=10");
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.10\",\"more\":false");
    get("?max_bytes=1");
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.1\",\"more\":true");
    get("?max_bytes=500"); /* of message objects, about 190 each */
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.2\",\"more\":true");
    assert_true(R.ex.out_body.len < 600);
}

static void from_the_ack_without_a_cursor(void **state)
{
    (void)state;
    fill(5);
    F.session[0].start_seq = 1;
    get("");
    assert_answer(200, "[{\"seq\":2,");
    F.session[0].acked = 3;
    get("");
    assert_answer(200, "[{\"seq\":4,");
    get("?cursor=9f86d081884c7d65.0");
    assert_answer(200, "[{\"seq\":4,");
}

static void a_poll_waits_and_is_woken(void **state)
{
    (void)state;
    get("?wait=30");
    assert_waits();
    assert_true(R.ex.parked);
    assert_int_equal(metric(METRIC_POLLS_PARKED), 1);
    proceed();
    assert_waits();
    publish(2, 1, 0, "another's");
    proceed();
    assert_waits();
    publish(1, 2, 0, "mine");
    proceed();
    assert_answer(200, "\"data\":\"mine\"");
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.2\",\"more\":false}");
    assert_int_equal(metric(METRIC_POLLS_PARKED), 0);
    assert_int_equal(route_pickups(F.route), 0);
    finish();
    pass_ms(60000); /* its timer is gone */
}

static void one_wake_brings_all_of_a_batch(void **state)
{
    (void)state;
    get("?wait=30");
    for (uint64_t seq = 1; seq <= 3; seq++) {
        store_put(1, seq, seq - 1, "x");
        feed_one(1, seq, seq - 1, "x");
    }
    feed_end(FEED_COMMIT);
    proceed();
    assert_answer(200, "\"seq\":1,");
    assert_answer(200, "\"seq\":3,");
}

static void a_poll_with_something_waiting_does_not_wait(void **state)
{
    (void)state;
    fill(1);
    get("?wait=60s");
    assert_answer(200, "\"seq\":1,");
}

static void a_wait_that_is_over_is_204(void **state)
{
    (void)state;
    get("?wait=2");
    publish(2, 5, 0, "another's");
    proceed();
    pass_ms(1900);
    assert_waits();
    pass_ms(300);
    assert_int_equal(R.answers, 1);
    assert_int_equal(R.ex.out_status, 204);
    assert_int_equal(R.ex.out_body.len, 0);
    assert_non_null(strstr(head_lines(), "Restante-Cursor: 9f86d081884c7d65.5\r\n"));
    assert_int_equal(route_pickups(F.route), 0);
}

static void a_wait_over_with_something_taken_gives_it(void **state)
{
    (void)state;
    get("?wait=2");
    publish(1, 1, 0, "x");
    assert_false(feed_proceed(F.route)); /* taken; its turn did not come before the tick */
    pass_ms(2100);
    assert_answer(200, "\"seq\":1,");
    finish();
    proceed();
}

static void a_client_that_leaves_takes_everything_with_it(void **state)
{
    (void)state;
    get("?wait=30");
    leave();
    assert_int_equal(route_pickups(F.route), 0);
    assert_int_equal(metric(METRIC_POLLS_PARKED), 0);
    publish(1, 1, 0, "x");
    proceed();
    pass_ms(60000);
}

static void an_ended_session_is_unknown(void **state)
{
    (void)state;
    get("?wait=30");
    feed_session_end(0);
    feed_end(FEED_COMMIT);
    proceed();
    assert_code(404, "session_unknown");
}

static void a_drain_sends_polls_home_with_their_cursor(void **state)
{
    (void)state;
    F.last_seq = 4;
    feed_end(FEED_COMMIT);
    get("?wait=30");
    R.w.draining = true;
    publish(1, 5, 0, "not any more");
    route_drain(F.route);
    proceed();
    assert_int_equal(R.ex.out_status, 204);
    assert_non_null(strstr(head_lines(), "Restante-Cursor: 9f86d081884c7d65.4\r\n"));
    get("?wait=30");
    assert_int_equal(R.answers, 1);
}

static void a_store_that_cannot_be_read_is_unavailable(void **state)
{
    (void)state;
    fill(3);
    F.fail_reads = 2;
    F.fail_with = -EIO;
    F.fail_after = 2;
    get("");
    assert_code(503, "unavailable");
    F.fail_reads = 1;
    F.fail_with = -EUCLEAN;
    get("");
    assert_answer(200, "[{\"seq\":1,");
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.3\"");
}

static void truncation_is_told(void **state)
{
    (void)state;
    F.trimmed = 7;
    F.last_seq = 7;
    store_put(1, 8, 7, "x");
    get("?cursor=9f86d081884c7d65.2");
    assert_answer(200, "\"truncated\":[{\"stream\":\"mailbox\",\"from\":3,\"to\":7}]");
    F.nstored = 0;
    get("?cursor=9f86d081884c7d65.2&wait=30"); /* news enough to answer at once */
    assert_answer(200, "{\"messages\":[],\"cursor\":\"9f86d081884c7d65.8\"");
    assert_answer(200, "\"from\":3,\"to\":7}");
}

static void ephemerals_reach_a_parked_poll(void **state)
{
    (void)state;
    F.last_seq = 3;
    feed_end(FEED_COMMIT);
    get("?wait=30");
    feed_ephemeral(1, "now");
    feed_end(FEED_COMMIT);
    proceed();
    assert_answer(200, "{\"ephemeral\":true,\"stream\":\"mailbox\",\"event\"");
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.3\"");
}

static void ack_1_acks_before_it_reads(void **state)
{
    (void)state;
    fill(4);
    atomic_store(&F.board->last_seq, 4);
    get("?cursor=9f86d081884c7d65.2&ack=1");
    assert_waits();
    struct unpack body;
    struct command_ack c;
    uint64_t id = expect_command(COMMAND_ACK, &body);
    assert_int_equal(command_ack_decode(&body, &c), 0);
    assert_int_equal(c.seq, 2);
    F.session[0].acked = 2;
    complete(id, CODE_OK, NULL, 0);
    proceed();
    assert_answer(200, "[{\"seq\":3,");
    /* What is acked already is not acked again; neither is what was not named. */
    get("?cursor=9f86d081884c7d65.2&ack=1");
    assert_answer(200, "[{\"seq\":3,");
    get("?ack=1");
    assert_answer(200, "[{\"seq\":3,");
    get("?cursor=9f86d081884c7d65.3&ack=0");
    assert_answer(200, "[{\"seq\":4,");
    expect_no_command();
}

static void an_ack_that_fails_is_the_answer(void **state)
{
    (void)state;
    fill(4);
    atomic_store(&F.board->last_seq, 4);
    struct unpack body;
    get("?cursor=9f86d081884c7d65.2&ack=true");
    complete(expect_command(COMMAND_ACK, &body), CODE_SESSION_UNKNOWN, NULL, 0);
    proceed();
    assert_code(404, "session_unknown");
    get("?cursor=9f86d081884c7d65.2&ack=1");
    pass_ms(6000);
    assert_answer(503, "\"outcome\":\"unknown\"");
    get("?cursor=9f86d081884c7d65.2&ack=1");
    leave();
    proceed();
}

static void bad_queries(void **state)
{
    (void)state;
    static const char *const bad[] = {"limit=0",
                                      "limit=1001",
                                      "limit=-1",
                                      "limit=x",
                                      "limit=",
                                      "limit=1.5",
                                      "limit=01",
                                      "limit=99999999999999999999",
                                      "wait=61",
                                      "wait=-1",
                                      "wait=soon",
                                      "wait=61s",
                                      "wait=2m",
                                      "wait=",
                                      "max_bytes=0",
                                      "max_bytes=x",
                                      "max_bytes=67108865",
                                      "limit=1&limit=2",
                                      "cursor=",
                                      "cursor=x",
                                      "cursor=1",
                                      "cursor=.",
                                      "cursor=9f86d081884c7d65.5x",
                                      "cursor=9f86d081884c7d65.-1",
                                      "cursor=9f86d081884c7d65.05",
                                      "cursor=9F86D081884C7D65.5",
                                      "cursor=9f86d081884c7d65.99999999999999999999",
                                      "cursor=%00",
                                      "cursor=%zz",
                                      "limit=%",
                                      "limit=%3",
                                      "ack=maybe",
                                      "ack=2",
                                      "ack="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char query[128];
        snprintf(query, sizeof(query), "?%s", bad[i]);
        get(query);
        if (R.ex.out_status != 400)
            fail_msg("%s: %d", bad[i], R.ex.out_status);
        assert_code(400, "bad_request");
    }
    static const char *const good[] = {"limit=1",   "limit=1000", "wait=0",
                                       "wait=0s",   "unknown=1",  "max_bytes=67108864",
                                       "limit=%31", "l%69mit=1",  "ack=false"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char query[128];
        snprintf(query, sizeof(query), "?%s", good[i]);
        get(query);
        assert_answer(200, "messages");
    }
    assert_int_equal(route_pickups(F.route), 0);
}

static void cursors_of_elsewhere(void **state)
{
    (void)state;
    fill(5);
    F.session[0].acked = 2;
    get("?cursor=0000000000000001.3");
    assert_code(410, "cursor_reset");
    assert_answer(410, ",\"reason\":\"epoch\",\"oldest\":\"9f86d081884c7d65.2\","
                       "\"newest\":\"9f86d081884c7d65.5\",");
    F.trimmed = 4;
    get("?cursor=9f86d081884c7d65.6&wait=30");
    assert_answer(410, "\"reason\":\"ahead\",\"oldest\":\"9f86d081884c7d65.4\"");
    /* The board lags: the store knows better. */
    F.trimmed = 0;
    atomic_store(&F.board->last_seq, 1);
    get("?cursor=9f86d081884c7d65.5");
    assert_answer(200, "{\"messages\":[]");
}

static void the_session_is_judged_before_the_cursor(void **state)
{
    (void)state;
    say("GET /v1/sessions/AQEBAQEBAQEBAQEBAQEBAA/messages?cursor=x", KEY, NULL);
    assert_code(404, "session_unknown");
    say("GET /v1/sessions/AAAAAAAAAAAAAAAAAAAAAA/messages", KEY, NULL);
    assert_code(404, "session_unknown");
    F.ended[0] = true;
    get("?cursor=x");
    assert_code(404, "session_unknown");
}

static void who_may(void **state)
{
    (void)state;
    say(line(""), NULL, NULL);
    assert_code(401, "token_missing");
    say(line(""), "Authorization: Bearer secret-2", NULL);
    assert_code(403, "forbidden");
    say(line(""), "Authorization: Bearer secret-3", NULL);
    assert_answer(200, "[]");
    say(line(""), bootstrap("", ""), NULL);
    assert_code(403, "forbidden");
    say(line(""), token_of(1), NULL);
    assert_code(403, "forbidden");
    F.ended[1] = true;
    say(line(""), token_of(1), NULL);
    assert_code(401, "token_revoked");
    say("GET /v1/sessions/nonsense/messages", token_of(0), NULL);
    assert_code(403, "forbidden");
}

/* Some of it is done without (the touch of the session); the rest is a 503, never a leak. */
static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    const char *token = token_of(0), *request = line("?wait=30");
    unsigned refused = 0;
    bool failed;
    unsigned long n = 0;
    do {
        failmalloc_arm(++n);
        say(request, token, NULL);
        failed = failmalloc_disarm();
        if (R.ex.answered) {
            assert_int_equal(R.answers, 1);
            assert_true(R.ex.out_status >= 500);
            refused++;
            finish();
        } else {
            leave();
        }
        proceed();
        assert_int_equal(route_pickups(F.route), 0);
    } while (failed);
    assert_true(refused >= 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(at_once_with_what_there_is),
        T(empty_at_once_is_an_empty_answer),
        T(delivered_means_the_kernel_took_it),
        T(asking_from_a_cursor_says_that_it_came),
        T(where_a_session_begins_is_no_delivery),
        T(limits_are_kept),
        T(from_the_ack_without_a_cursor),
        T(a_poll_waits_and_is_woken),
        T(one_wake_brings_all_of_a_batch),
        T(a_poll_with_something_waiting_does_not_wait),
        T(a_wait_that_is_over_is_204),
        T(a_wait_over_with_something_taken_gives_it),
        T(a_client_that_leaves_takes_everything_with_it),
        T(an_ended_session_is_unknown),
        T(a_drain_sends_polls_home_with_their_cursor),
        T(a_store_that_cannot_be_read_is_unavailable),
        T(truncation_is_told),
        T(ephemerals_reach_a_parked_poll),
        T(ack_1_acks_before_it_reads),
        T(an_ack_that_fails_is_the_answer),
        T(bad_queries),
        T(cursors_of_elsewhere),
        T(the_session_is_judged_before_the_cursor),
        T(who_may),
        T(without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
