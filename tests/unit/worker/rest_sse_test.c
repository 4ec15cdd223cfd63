/* rest_sse_test - messages as a stream: what is said, in which order, to whom, and until when. */
#include "rest_sse_harness.h"

#include "../failmalloc.h"

static void what_is_stored_then_what_comes(void **state)
{
    (void)state;
    char want[1024];
    store_put(1, 1, 0, "a");
    F.last_seq = 1;
    feed_end(FEED_COMMIT);
    open_stream("?cursor=9f86d081884c7d65.0");
    assert_non_null(strstr(head_lines(), "X-Accel-Buffering: no\r\n"));
    object(want, sizeof(want), 1, 0, "a");
    assert_string_equal(said(), want);
    publish(1, 2, 1, "b");
    publish(2, 3, 0, "another's");
    proceed();
    object(want, sizeof(want), 2, 1, "b");
    assert_string_equal(said(), want);
    assert_int_equal(metric(METRIC_STREAMS), 1);
    assert_int_equal(route_pickups(F.route), 1);
    leave();
    assert_int_equal(metric(METRIC_STREAMS), 0);
    assert_int_equal(route_pickups(F.route), 0);
    forget();
}

static void the_first_thing_said_is_advice(void **state)
{
    (void)state;
    bool differ = false;
    unsigned long first = 0;
    for (int i = 0; i < 50; i++) {
        open_stream("");
        unsigned long ms;
        assert_int_equal(sscanf(all_said(), "retry: %lu\n\n", &ms), 1);
        assert_in_range(ms, 2000, 3999);
        differ = differ || (i && ms != first);
        first = ms;
        leave();
    }
    assert_true(differ);
    forget();
}

static void ephemerals_have_no_id(void **state)
{
    (void)state;
    open_stream("");
    said();
    feed_ephemeral(1, "typing");
    feed_end(FEED_COMMIT);
    proceed();
    assert_string_equal(said(), "event: message\ndata: {\"ephemeral\":true,\"stream\":\"mailbox\","
                                "\"event\":\"message\",\"time\":\"1970-01-01T00:00:01.000Z\","
                                "\"content_type\":\"text/plain\",\"data\":\"typing\"}\n\n");
    forget();
}

static void last_event_id_beats_the_cursor(void **state)
{
    (void)state;
    char want[1024];
    store_put(1, 1, 0, "a");
    store_put(1, 2, 1, "b");
    atomic_store(&F.board->last_seq, 2);
    open_with("GET", "?cursor=9f86d081884c7d65.0", "Last-Event-ID: 9f86d081884c7d65.1");
    object(want, sizeof(want), 2, 1, "b");
    assert_string_equal(said(), want);
    open_with("GET", "?cursor=9f86d081884c7d65.1", "Last-Event-ID: ");
    forget();
    open_with("GET", "", "Last-Event-ID: not-a-cursor");
    assert_code(400, "bad_request");
    char longest[300] = "Last-Event-ID: ";
    memset(longest + 15, '1', 200);
    open_with("GET", "", longest);
    assert_code(400, "bad_request");
    open_with("GET", "?cursor=x", NULL);
    assert_code(400, "bad_request");
    forget();
}

static void a_foreign_cursor_is_told_and_all_comes_again(void **state)
{
    (void)state;
    char want[1024];
    F.session[0].acked = 1;
    store_put(1, 2, 1, "b");
    atomic_store(&F.board->last_seq, 2);
    static const struct {
        const char *id, *reason;
    } rows[] = {{"0000000000000001.2", "epoch"}, {"9f86d081884c7d65.9", "ahead"}};
    for (size_t i = 0; i < 2; i++) {
        char header[64];
        snprintf(header, sizeof(header), "Last-Event-ID: %s", rows[i].id);
        open_with("GET", "", header);
        int n = snprintf(want, sizeof(want),
                         "id: 9f86d081884c7d65.1\nevent: restante.reset\n"
                         "data: {\"reason\":\"%s\",\"oldest\":\"9f86d081884c7d65.1\","
                         "\"newest\":\"9f86d081884c7d65.2\"}\n\n",
                         rows[i].reason);
        object(want + n, sizeof(want) - (size_t)n, 2, 1, "b");
        assert_string_equal(said(), want);
        leave();
        forget();
    }
}

static void what_retention_took_is_told(void **state)
{
    (void)state;
    F.trimmed = 4;
    store_put(1, 5, 4, "e");
    atomic_store(&F.board->last_seq, 5);
    open_stream("?cursor=9f86d081884c7d65.1");
    const char *text = said();
    const char *lost = strstr(text, "event: restante.truncated\ndata: {\"streams\":["
                                    "{\"stream\":\"mailbox\",\"from\":2,\"to\":4}]}\n\n");
    assert_non_null(lost);
    assert_null(strstr(text, "restante.reset"));
    assert_non_null(strstr(text, "id: 9f86d081884c7d65.5\n"));
    forget();
}

static void who_is_unknown_is_not_asked_back(void **state)
{
    (void)state;
    F.ended[0] = true;
    open_with("GET", "", NULL);
    assert_int_equal(R.answers, 1);
    assert_int_equal(R.ex.out_status, 204);
    say("GET /v1/sessions/nonsense/messages", KEY "\n" EVENTS, NULL);
    assert_int_equal(R.ex.out_status, 204);
    say(at_session("GET", 1, "/messages"), EVENTS, NULL);
    assert_code(401, "token_missing");
    F.ended[0] = false;
    char headers[512];
    snprintf(headers, sizeof(headers), "%s\n" EVENTS, token_of(0));
    say(at_session("GET", 1, "/messages"), headers, NULL);
    assert_code(403, "forbidden");
}

static void the_rest_of_the_query_is_judged(void **state)
{
    (void)state;
    static const char *const bad[] = {"?wait=61", "?limit=0", "?max_bytes=0", "?ack=2",
                                      "?limit=1&limit=1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        open_with("GET", bad[i], NULL);
        assert_code(400, "bad_request");
    }
    open_stream("?wait=5&limit=1&max_bytes=1");
    store_put(1, 1, 0, "a");
    publish(1, 2, 1, "b");
    proceed();
    assert_non_null(strstr(said(), "\"seq\":2,"));
    forget();
}

static void what_accept_prefers(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool events;
    } rows[] = {
        {"text/event-stream", true},
        {"text/event-stream, application/json;q=0.9", true},
        {"text/event-stream, */*;q=0.1", true},
        {"text/*", true},
        {"*/*", false},
        {"application/json, text/event-stream", false},
        {"application/json, text/event-stream;q=0.5", false},
        {"text/event-stream;q=0, */*", false},
        {"application/msgpack, text/event-stream;q=0.5", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char headers[512];
        snprintf(headers, sizeof(headers), "%s\nAccept: %s", token_of(0), rows[i].accept);
        say(at_session("GET", 0, "/messages"), headers, NULL);
        if ((R.begun == 1) != rows[i].events)
            fail_msg("%s: status %d", rows[i].accept, R.ex.out_status);
    }
    say(at_session("GET", 0, "/messages"), KEY "\nAccept: text/html", NULL);
    assert_code(406, "not_acceptable");
    forget();
}

static void head_has_no_body_and_no_end_to_wait_for(void **state)
{
    (void)state;
    store_put(1, 1, 0, "a");
    open_with("HEAD", "", NULL);
    assert_int_equal(R.begun, 1);
    assert_int_equal(R.ended, 1);
    assert_int_equal(R.stream.len, 0);
    assert_int_equal(route_pickups(F.route), 0);
    told();
    assert_int_equal(T.attaches, 0);
}

static void assert_closing(const char *reason)
{
    char text[512];
    unsigned long first, second;
    snprintf(text, sizeof(text), "%.*s", (int)R.stream.len, (char *)R.stream.data);
    const char *at = strrchr(text, 'r');
    while (at > text && strncmp(at, "retry: ", 7) != 0)
        at--;
    char got[64];
    assert_int_equal(sscanf(at,
                            "retry: %lu\n\nevent: restante.closing\n"
                            "data: {\"reason\":\"%[a-z_]\",\"retry_after_ms\":%lu}\n\n",
                            &first, got, &second),
                     3);
    assert_string_equal(got, reason);
    assert_int_equal(first, second);
    assert_in_range(first, 2000, 3999);
    assert_int_equal(R.ended, 1);
    assert_int_equal(route_pickups(F.route), 0);
}

static void a_session_that_ends_ends_it(void **state)
{
    (void)state;
    open_stream("");
    feed_session_end(0);
    feed_end(FEED_COMMIT);
    proceed();
    assert_closing("session_unknown");
    finish();
    assert_int_equal(metric(METRIC_STREAMS), 0);
    forget();
}

static void draining_ends_it_with_advice(void **state)
{
    (void)state;
    open_stream("");
    publish(1, 1, 0, "a");
    proceed();
    told();
    route_drain(F.route);
    proceed();
    assert_closing("unavailable");
    told();
    assert_int_equal(T.detaches, 1);
    finish();
    told();
    assert_int_equal(T.delivered, 1); /* the kernel took the end, so it took all */
    open_stream("");                  /* one who comes now hears it at once */
    assert_closing("unavailable");
    forget();
}

static void a_failing_store_ends_it(void **state)
{
    (void)state;
    open_stream("");
    F.fail_with = -EIO;
    F.fail_reads = 1;
    pickup_lapped(TAILQ_FIRST(&F.route->all));
    proceed();
    assert_closing("unavailable");
    forget();
}

static void half_a_read_is_not_said(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 4; seq++)
        store_put(1, seq, seq - 1, "a");
    atomic_store(&F.board->last_seq, 4);
    F.fail_with = -EUCLEAN;
    F.fail_reads = 1;
    F.fail_after = 2;
    open_stream("?cursor=9f86d081884c7d65.0");
    const char *text = said();
    const char *first = strstr(text, "id: 9f86d081884c7d65.1\n");
    assert_ptr_equal(first, text);
    assert_null(strstr(first + 1, "id: 9f86d081884c7d65.1\n"));
    assert_non_null(strstr(text, "id: 9f86d081884c7d65.4\n"));
    forget();
}

static void an_ack_comes_first(void **state)
{
    (void)state;
    struct unpack body;
    store_put(1, 1, 0, "a");
    store_put(1, 2, 1, "b");
    atomic_store(&F.board->last_seq, 2);
    open_with("GET", "?ack=1", "Last-Event-ID: 9f86d081884c7d65.1");
    assert_waits();
    assert_int_equal(R.begun, 0);
    uint64_t id = expect_command(COMMAND_ACK, &body);
    struct command_ack c;
    assert_int_equal(command_ack_decode(&body, &c), 0);
    assert_int_equal(c.seq, 1);
    complete(id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(R.begun, 1);
    assert_non_null(strstr(said(), "\"seq\":2,"));
    open_with("GET", "?ack=1", "Last-Event-ID: 9f86d081884c7d65.1");
    id = expect_command(COMMAND_ACK, &body);
    leave(); /* while it waits */
    complete(id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(route_pickups(F.route), 0);
    forget();
}

static int one_stream(void *arg)
{
    (void)arg;
    open_with("GET", "?cursor=9f86d081884c7d65.0", NULL);
    if (R.begun == 1) {
        publish(1, F.last_seq + 1, F.last_seq, "live");
        proceed();
    }
    bool failed = R.begun != 1 || R.ended;
    bool closed = R.begun == 1 && R.ended == 1;
    if (R.answers)
        assert_true(R.ex.out_status == 503 || R.ex.out_status == 500);
    else
        assert_true(R.begun == 1);
    if (!failed)
        assert_non_null(strstr(all_said(), "live"));
    if (closed)
        assert_non_null(strstr(all_said(), "restante.closing"));
    leave();
    assert_int_equal(route_pickups(F.route), 0);
    assert_int_equal(metric(METRIC_STREAMS), 0);
    return failed ? -ENOMEM : 0;
}

static void no_memory_is_survived(void **state)
{
    (void)state;
    store_put(1, 1, 0, "a");
    atomic_store(&F.board->last_seq, 1);
    for (unsigned long n = 1;; n++) {
        failmalloc_arm(n);
        int err = one_stream(NULL);
        if (!failmalloc_disarm()) {
            assert_int_equal(err, 0);
            assert_true(n > 3);
            break;
        }
    }
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_stored_then_what_comes),
        TEST(the_first_thing_said_is_advice),
        TEST(ephemerals_have_no_id),
        TEST(last_event_id_beats_the_cursor),
        TEST(a_foreign_cursor_is_told_and_all_comes_again),
        TEST(what_retention_took_is_told),
        TEST(who_is_unknown_is_not_asked_back),
        TEST(the_rest_of_the_query_is_judged),
        TEST(what_accept_prefers),
        TEST(head_has_no_body_and_no_end_to_wait_for),
        TEST(a_session_that_ends_ends_it),
        TEST(draining_ends_it_with_advice),
        TEST(a_failing_store_ends_it),
        TEST(half_a_read_is_not_said),
        TEST(an_ack_comes_first),
        TEST(no_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
