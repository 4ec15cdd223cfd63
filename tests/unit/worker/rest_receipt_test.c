/* rest_receipt_test - what became of a message, asked by who may. */
#include "rest_harness.h"

static void ask(const char *seq)
{
    char rest[64];
    snprintf(rest, sizeof(rest), "/messages/%s", seq);
    say(at_session("GET", 0, rest), KEY, NULL);
}

static void says_what_is_known(void **state)
{
    (void)state;
    F.last_seq = 9;
    ask("7");
    assert_answer(200, "{\"seq\":7,\"state\":\"stored\",\"time\":\"1970-01-01T00:00:01.000Z\","
                       "\"delivered_at\":null,\"acked_at\":null}");
    F.session[0].delivered = 8;
    ask("7");
    assert_answer(200, "\"state\":\"delivered\"");
}

static void what_this_worker_handed_out_counts_at_once(void **state)
{
    (void)state;
    store_put(1, 1, 0, "x");
    say(at_session("GET", 0, "/messages"), token_of(0), NULL);
    finish();
    ask("1");
    assert_answer(200, "\"state\":\"delivered\"");
}

static void what_was_never_given_out_is_not_found(void **state)
{
    (void)state;
    F.last_seq = 9;
    static const char *const bad[] = {"0", "10", "x", "-1", "07", "99999999999999999999", "%31x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ask(bad[i]);
        assert_code(404, "not_found");
    }
    ask("%37");
    assert_answer(200, "\"seq\":7");
}

static void who_may(void **state)
{
    (void)state;
    F.last_seq = 9;
    say(at_session("GET", 0, "/messages/7"), token_of(0), NULL);
    assert_code(403, "forbidden");
    say(at_session("GET", 0, "/messages/7"), "Authorization: Bearer secret-2", NULL);
    assert_code(403, "forbidden");
    say(at_session("GET", 0, "/messages/7"), NULL, NULL);
    assert_code(401, "token_missing");
    F.ended[0] = true;
    ask("7");
    assert_code(404, "session_unknown");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(says_what_is_known),
        T(what_this_worker_handed_out_counts_at_once),
        T(what_was_never_given_out_is_not_found),
        T(who_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
