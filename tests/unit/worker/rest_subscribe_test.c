/* rest_subscribe_test - what a session says of itself when it subscribes. */
#include "rest_harness.h"

#include "../failmalloc.h"
#include "worker/rate.h"

static int open_all(void **state)
{
    int err = rest_open(state);
    R.namespaces[0].presence = true;
    return err ? err : rate_open(&R.w.rate);
}

static int close_all(void **state)
{
    rate_close(R.w.rate);
    return rest_close(state);
}

static void put(const char *headers, const char *body)
{
    say(at_session("PUT", 0, "/subscriptions/chat:1"), headers, body);
}

/* The command that was sent says this of its presence; it is completed. */
static void expect_presence(const char *presence, enum code code)
{
    struct unpack body;
    struct command_subscribe c;
    unsigned char bytes[COMPLETION_SUBSCRIBE_SIZE];
    struct pack p = pack_into(bytes, sizeof(bytes));
    uint64_t id = expect_command(COMMAND_SUBSCRIBE, &body);
    assert_int_equal(command_subscribe_decode(&body, &c), 0);
    assert_true(unpack_done(&body) && str_is(c.topic, "chat:1"));
    assert_memory_equal(c.session, F.session[0].id, SESSION_ID_SIZE);
    if (!str_is(c.presence, presence))
        fail_msg("%.*s, not %s", (int)c.presence.n, c.presence.p, presence);
    completion_subscribe_encode(&p, &(struct completion_subscribe){.join = 41});
    complete(id, code, bytes, code == CODE_OK ? sizeof(bytes) : 0);
    proceed();
}

static void is_passed_on(void **state)
{
    (void)state;
    static const struct {
        const char *body, *presence;
    } cases[] = {
        {NULL, ""},
        {"{}", ""},
        {"{\"presence\":null}", "null"},
        {"{\"presence\":{}}", "{}"},
        {" { \"presence\" : { \"a\" : [ 1, null ] , \"ref\":7 } } ", "{\"a\":[1,null]}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put(token_of(0), cases[i].body);
        assert_waits();
        expect_presence(cases[i].presence, CODE_OK);
        assert_answer(200, "{\"topic\":\"chat:1\",\"cursor\":\"9f86d081884c7d65.41\"}");
    }
    /* {"presence": {"a": h'00', "b": 1.5}} */
    say_bytes(at_session("PUT", 0, "/subscriptions/chat:1"),
              KEY "\nContent-Type: application/msgpack",
              STR("\x81\xa8presence\x82\xa1"
                  "a\xc4\x01\x01\xa1"
                  "b\xcb\x3f\xf8\0\0\0\0\0\0"));
    expect_presence("{\"a\":\"AQ==\",\"b\":1.5}", CODE_OK);
    assert_int_equal(R.ex.out_status, 200);
    say(at_session("DELETE", 0, "/subscriptions/chat:1"), KEY, NULL);
    struct unpack body;
    struct command_subscribe c;
    expect_command(COMMAND_UNSUBSCRIBE, &body);
    assert_int_equal(command_subscribe_decode(&body, &c), 0);
    assert_int_equal(c.presence.n, 0);
}

static void is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"presence\":7}", "{\"presence\":[]}",
                                      "{\"presence\":\"{}\"}", "{\"presence\":{},\"presence\":{}}",
                                      "{\"presence\":{"};
    char large[8192];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(token_of(0), bad[i]);
        assert_code(400, "bad_request");
    }
    snprintf(large, sizeof(large), "{\"presence\":{\"a\":\"%05000d\"}}", 0);
    put(token_of(0), large);
    assert_code(413, "too_large");
    R.namespaces[0].presence = false;
    put(token_of(0), "{\"presence\":{}}");
    assert_code(403, "forbidden");
    expect_no_command();
    put(token_of(0), "{\"presence\":null}");
    expect_presence("null", CODE_OK);
    R.namespaces[0].presence = true;
    put(token_of(0), "{\"presence\":{}}"); /* what the writer alone can know */
    expect_presence("{}", CODE_LIMIT_REACHED);
    assert_code(403, "limit_reached");
}

static void not_too_often(void **state)
{
    (void)state;
    F.conf.publish_rate = 2;
    for (int i = 0; i < 2; i++) {
        put(token_of(0), i ? "{\"presence\":null}" : "{\"presence\":{}}");
        expect_presence(i ? "null" : "{}", CODE_OK);
    }
    put(token_of(0), "{\"presence\":{}}");
    assert_code(429, "rate_limited");
    assert_non_null(strstr(head_lines(), "Retry-After: 1"));
    put(token_of(0), "{}");
    assert_code(429, "rate_limited");
    assert_int_equal(metric(METRIC_RATE_LIMITED), 2);
    expect_no_command();
    /* What a backend does goes on. */
    put(KEY "\nContent-Type: application/json", "{\"presence\":{}}");
    expect_presence("{}", CODE_OK);
    /* What is refused anyway does not count. */
    F.clock_ms += 1000;
    for (int i = 0; i < 5; i++) {
        put(token_of(0), "{\"presence\":7}");
        assert_code(400, "bad_request");
    }
    put(token_of(0), "{\"presence\":{}}");
    expect_presence("{}", CODE_OK);
}

static void without_memory(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"presence\":{\"a\":1}}", "\x81\xa8presence\x81\xa1"
                                                                     "a\x01"};
    static const char *const types[] = {"json", "msgpack"};
    for (int i = 0; i < 2; i++) {
        char headers[128];
        struct command_header h;
        struct unpack body;
        unsigned refused = 0;
        bool failed = true;
        snprintf(headers, sizeof(headers), KEY "\nContent-Type: application/%s", types[i]);
        for (unsigned long n = 1; failed; n++) {
            failmalloc_arm(n);
            put(headers, bodies[i]);
            failed = failmalloc_disarm();
            if (R.ex.answered) {
                assert_true(R.ex.out_status == 500 || R.ex.out_status == 503);
                refused++;
                expect_no_command();
            }
            while (take_command(&h, &body))
                ;
        }
        assert_true(refused >= 2);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
    const struct CMUnitTest tests[] = {
        T(is_passed_on),
        T(is_refused),
        T(not_too_often),
        T(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
