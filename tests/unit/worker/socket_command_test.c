/* socket_command_test - what the client says, in both encodings: acks, pings, what is no command at
 * all, how many may be under way, and what is said when the writer does not answer.
 */
#include "socket_harness.h"

#include "tests/unit/failmalloc.h"

#define OK(n) "{\"t\":\"ok\",\"re\":" n "}"
#define BAD(re, why) "{\"t\":\"error\"," re "\"code\":\"bad_request\",\"detail\":\"" why "\"}"
#define ACK(n, seq) "{\"t\":\"ack\",\"n\":" n ",\"cursor\":\"9f86d081884c7d65." seq "\"}"

static const char *const protocols[] = {JSON_PROTOCOL, MSGPACK_PROTOCOL};

/* The store has so many. */
static void last_seq(uint64_t seq)
{
    F.last_seq = seq;
    feed_end(FEED_COMMIT);
    proceed();
}

static void pings_are_answered_if_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        connect_socket(protocols[i]);
        tell("{\"t\":\"ping\",\"n\":4}");
        assert_hears(OK("4"));
        tell("{\"t\":\"ping\"}");
        tell("{\"t\":\"ping\",\"n\":null}");
        assert_hears_nothing();
        tell("{\"n\":0,\"more\":[1,{\"t\":2}],\"t\":\"ping\"}");
        tell("{\"t\":\"ping\",\"n\":9007199254740992}");
        tell("{\"t\":\"\\u0070ing\",\"n\":1}");
        assert_hears(OK("0") "\n" OK("9007199254740992") "\n" OK("1"));
        expect_no_command();
        close_socket();
    }
    assert_int_equal(metric(METRIC_SOCKET_COMMANDS), 12);
}

static void what_is_no_command(void **state)
{
    (void)state;
    static const char verbs[] = "t: one of ack, subscribe, unsubscribe, publish, ping";
    static const char n[] = "n: a whole number, 0 to 9007199254740992";
    static const struct {
        const char *text, *re, *why;
    } rows[] = {
        {"{\"t\":\"hello\",\"n\":1}", "\"re\":1,", verbs},
        {"{\"n\":1}", "\"re\":1,", verbs},
        {"{\"t\":1,\"n\":1}", "\"re\":1,", verbs},
        {"{\"t\":null}", "", verbs},
        {"{\"t\":\"pingpingpingpingpingpingpingpingping\"}", "", verbs},
        {"{\"t\":\"\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070"
         "\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070"
         "\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\\u0070\"}",
         "", verbs},
        {"{\"t\":\"PING\",\"n\":2}", "\"re\":2,", verbs},
        {"{}", "", verbs},
        {"[]", "", "one object a frame"},
        {"7", "", "one object a frame"},
        {"null", "", "one object a frame"},
        {"{\"t\":\"ping\",\"t\":\"ping\"}", "", "a member stands twice"},
        {"{\"t\":\"ping\",\"n\":-1}", "", n},
        {"{\"t\":\"ping\",\"n\":1.5}", "", n},
        {"{\"t\":\"ping\",\"n\":\"1\"}", "", n},
        {"{\"t\":\"ping\",\"n\":9007199254740993}", "", n},
        {"{\"t\":\"ping\",\"n\":[]}", "", n},
        {"{\"t\":\"ack\",\"n\":1}", "\"re\":1,", "cursor: a cursor is needed"},
        {"{\"t\":\"ack\",\"n\":1,\"cursor\":7}", "\"re\":1,", "cursor: a cursor is needed"},
        {"{\"t\":\"ack\",\"cursor\":\"7\"}", "", "cursor: a cursor is needed"},
        {"{\"t\":\"ack\",\"cursor\":null}", "", "cursor: a cursor is needed"},
        {"{\"t\":\"subscribe\",\"n\":1}", "\"re\":1,",
         "topic: 1 to 255 bytes without control characters"},
        {"{\"t\":\"subscribe\",\"n\":1,\"topic\":\"\"}", "\"re\":1,",
         "topic: 1 to 255 bytes without control characters"},
        {"{\"t\":\"unsubscribe\",\"n\":1,\"topic\":\"a\\u0001\"}", "\"re\":1,",
         "topic: 1 to 255 bytes without control characters"},
    };
    for (size_t p = 0; p < 2; p++) {
        connect_socket(protocols[p]);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            char want[512];
            snprintf(want, sizeof(want),
                     "{\"t\":\"error\",%s\"code\":\"bad_request\",\"detail\":\"%s\"}", rows[i].re,
                     rows[i].why);
            tell(rows[i].text);
            assert_hears(want);
        }
        assert_open();
        close_socket();
    }
    expect_no_command();
    assert_int_equal(metric(METRIC_SOCKET_REFUSALS), 2 * sizeof(rows) / sizeof(rows[0]));
}

static void what_is_no_document(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "{\"t\":\"ping\"} x", "\xff", "nonsense"};
    connect_socket(JSON_PROTOCOL);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tell(texts[i]);
        assert_hears_of("{\"t\":\"error\",\"code\":\"bad_request\",\"detail\":");
    }
    close_socket();
    connect_socket(MSGPACK_PROTOCOL);
    static const struct str bytes[] = {STR(""), STR("\x81"), STR("\xc1"),
                                       STR("\xdf\xff\xff\xff\xff"), STR("\x81\xa1t\xd4\x01\x01")};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        W.ws.ops->on_message(W.ws.arg, true, bytes[i]);
        assert_hears_of("{\"t\":\"error\",\"code\":\"bad_request\",\"detail\":");
    }
    assert_open();
}

static void acks_go_to_the_writer(void **state)
{
    (void)state;
    struct unpack body;
    struct command_ack c;
    for (size_t i = 0; i < 2; i++) {
        connect_socket(protocols[i]);
        last_seq(9);
        tell(ACK("1", "7"));
        uint64_t id = expect_command(COMMAND_ACK, &body);
        assert_int_equal(command_ack_decode(&body, &c), 0);
        assert_memory_equal(c.session, F.session[0].id, SESSION_ID_SIZE);
        assert_int_equal(c.seq, 7);
        assert_hears_nothing();
        complete(id, CODE_OK, NULL, 0);
        proceed();
        assert_hears(OK("1"));
        /* An older one was said already, and so was the same. */
        tell(ACK("2", "7"));
        tell(ACK("3", "6"));
        assert_hears(OK("2") "\n" OK("3"));
        expect_no_command();
        /* Without a count it is done all the same. */
        tell("{\"t\":\"ack\",\"cursor\":\"9f86d081884c7d65.8\"}");
        id = expect_command(COMMAND_ACK, &body);
        complete(id, CODE_OK, NULL, 0);
        proceed();
        assert_hears_nothing();
        close_socket();
    }
}

static void cursors_that_are_not_ours(void **state)
{
    (void)state;
    connect_socket("");
    last_seq(9);
    tell(ACK("1", "10"));
    assert_hears("{\"t\":\"error\",\"re\":1,\"code\":\"cursor_reset\",\"detail\":"
                 "\"The cursor is not of this store\",\"reason\":\"ahead\","
                 "\"oldest\":\"9f86d081884c7d65.0\",\"newest\":\"9f86d081884c7d65.9\"}");
    tell("{\"t\":\"ack\",\"cursor\":\"0000000000000001.2\"}");
    assert_hears("{\"t\":\"error\",\"code\":\"cursor_reset\",\"detail\":"
                 "\"The cursor is not of this store\",\"reason\":\"epoch\","
                 "\"oldest\":\"9f86d081884c7d65.0\",\"newest\":\"9f86d081884c7d65.9\"}");
    /* The board may lag: then the store decides. */
    F.last_seq = 10;
    tell(ACK("3", "10"));
    struct unpack body;
    expect_command(COMMAND_ACK, &body);
    expect_no_command();
}

static void refusals_of_the_writer(void **state)
{
    (void)state;
    struct unpack body;
    connect_socket("");
    last_seq(9);
    tell(ACK("1", "1"));
    complete(expect_command(COMMAND_ACK, &body), CODE_SUPERSEDED, NULL, 0);
    tell("{\"t\":\"ack\",\"cursor\":\"9f86d081884c7d65.2\"}");
    complete(expect_command(COMMAND_ACK, &body), CODE_SESSION_UNKNOWN, NULL, 0);
    proceed();
    assert_hears("{\"t\":\"error\",\"re\":1,\"code\":\"superseded\",\"detail\":"
                 "\"A newer connection took the session\"}\n"
                 "{\"t\":\"error\",\"code\":\"session_unknown\",\"detail\":\"No such session\"}");
}

static void no_answer_of_the_writer(void **state)
{
    (void)state;
    connect_socket("");
    last_seq(9);
    tell(ACK("1", "1"));
    pass_ms(6000);
    assert_hears("{\"t\":\"error\",\"re\":1,\"code\":\"unavailable\",\"detail\":"
                 "\"no answer in time; it may have been done: repeat it as it is\","
                 "\"outcome\":\"unknown\",\"retry_after_ms\":1000}");
    assert_open();
}

static void too_much_for_the_rings(void **state)
{
    (void)state;
    F.conf.pending = 10000;
    connect_socket("");
    last_seq(5000);
    for (int i = 1; i < 5000; i++) {
        char text[128];
        snprintf(text, sizeof(text), "{\"t\":\"ack\",\"n\":%d,\"cursor\":\"9f86d081884c7d65.%d\"}",
                 i, i);
        tell(text);
        const char *heard = hear();
        if (!*heard)
            continue;
        assert_non_null(strstr(heard,
                               "\"code\":\"unavailable\",\"detail\":\"too much is under way\","
                               "\"outcome\":\"none\",\"retry_after_ms\":1000}"));
        assert_true(i > 100);
        return;
    }
    fail();
}

static void answers_come_in_order(void **state)
{
    (void)state;
    struct unpack body;
    uint64_t id[3];
    connect_socket("");
    last_seq(9);
    tell(ACK("1", "1"));
    tell(ACK("2", "2"));
    tell("{\"t\":\"ping\",\"n\":3}");
    for (int i = 0; i < 2; i++)
        id[i] = expect_command(COMMAND_ACK, &body);
    assert_hears(OK("3")); /* nothing of it is the writer's */
    complete(id[0], CODE_OK, NULL, 0);
    complete(id[1], CODE_OK, NULL, 0);
    proceed();
    assert_hears(OK("1") "\n" OK("2"));
}

static void so_many_may_be_under_way(void **state)
{
    (void)state;
    struct unpack body;
    uint64_t id[5];
    connect_socket("");
    last_seq(9);
    for (int i = 0; i < 4; i++) {
        assert_false(W.ws.paused);
        char text[128];
        snprintf(text, sizeof(text), "{\"t\":\"ack\",\"n\":%d,\"cursor\":\"9f86d081884c7d65.%d\"}",
                 i + 1, i + 1);
        tell(text);
        id[i] = expect_command(COMMAND_ACK, &body);
    }
    assert_true(W.ws.paused);
    tell(ACK("5", "5")); /* had been read before */
    id[4] = expect_command(COMMAND_ACK, &body);
    complete(id[0], CODE_OK, NULL, 0);
    proceed();
    assert_true(W.ws.paused);
    complete(id[1], CODE_OK, NULL, 0);
    proceed();
    assert_false(W.ws.paused);
    assert_hears(OK("1") "\n" OK("2"));
}

static void answers_wait_for_room(void **state)
{
    (void)state;
    connect_socket("");
    W.ws.kernel = W.ws.out.len;
    W.ws.room = 10;
    tell("{\"t\":\"ping\",\"n\":1}");
    assert_true(W.ws.paused);
    tell("{\"t\":\"ping\",\"n\":2}"); /* these had been read before */
    tell("{\"t\":\"ping\",\"n\":3}");
    assert_hears(OK("1"));
    W.ws.room = WS_OUT_MAX;
    drain_socket();
    assert_hears(OK("2") "\n" OK("3"));
    assert_false(W.ws.paused);
    tell("{\"t\":\"ping\",\"n\":4}");
    assert_hears(OK("4"));
}

static void messages_wait_for_the_room_that_answers_took(void **state)
{
    (void)state;
    connect_socket("");
    W.ws.kernel = W.ws.out.len;
    W.ws.room = 10;
    tell("{\"t\":\"ping\",\"n\":1}");
    assert_hears(OK("1"));
    publish(1, 1, 0, "a");
    proceed();
    assert_hears_nothing();
    W.ws.room = WS_OUT_MAX;
    drain_socket();
    proceed();
    assert_hears_of("{\"t\":\"message\",\"seq\":1,");
}

static void the_end_waits_for_room_too(void **state)
{
    (void)state;
    connect_socket("");
    W.ws.kernel = W.ws.out.len;
    W.ws.room = 10;
    tell("{\"t\":\"ping\",\"n\":1}");
    R.w.draining = true;
    route_drain(F.route);
    proceed();
    assert_open();
    hear();
    drain_socket(); /* and what waited fills it again */
    assert_hears_of("\"t\":\"closing\"");
    assert_open();
    drain_socket();
    assert_ended(WS_RESTARTING, METRIC_SOCKET_CLOSED_DRAIN);
}

static void without_memory_for_an_answer(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 100; n++) {
        connect_socket("");
        failmalloc_arm(n);
        tell("{\"t\":\"ping\",\"n\":1}");
        if (!failmalloc_disarm()) {
            assert_hears(OK("1"));
            assert_true(n > 1);
            return;
        }
        assert_ended(WS_OVERLOADED, METRIC_SOCKET_CLOSED_OVERLOAD);
        close_socket();
    }
    fail();
}

static void without_memory_for_a_command(void **state)
{
    (void)state;
    struct unpack body;
    for (unsigned long n = 1; n < 100; n++) {
        connect_socket("");
        last_seq(9);
        failmalloc_arm(n);
        tell(ACK("1", "1"));
        bool failed = failmalloc_disarm();
        const char *heard = hear();
        if (!failed) {
            complete(expect_command(COMMAND_ACK, &body), CODE_OK, NULL, 0);
            proceed();
            assert_hears(OK("1"));
            assert_true(n > 1);
            return;
        }
        assert_non_null(strstr(heard, "\"code\":\"unavailable\""));
        assert_non_null(strstr(heard, "\"outcome\":\"none\""));
        expect_no_command();
        close_socket();
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pings_are_answered_if_counted), TEST(what_is_no_command),
        TEST(what_is_no_document),           TEST(acks_go_to_the_writer),
        TEST(cursors_that_are_not_ours),     TEST(refusals_of_the_writer),
        TEST(no_answer_of_the_writer),       TEST(too_much_for_the_rings),
        TEST(answers_come_in_order),         TEST(so_many_may_be_under_way),
        TEST(answers_wait_for_room),         TEST(messages_wait_for_the_room_that_answers_took),
        TEST(the_end_waits_for_room_too),    TEST(without_memory_for_an_answer),
        TEST(without_memory_for_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
