/* rest_ack_test - acks: cumulative, judged, passed on. */
#include "rest_harness.h"

static void ack(const char *body)
{
    say(at_session("POST", 0, "/ack"), token_of(0), body);
}

static void ack_cursor(const char *cursor)
{
    char body[128];
    snprintf(body, sizeof(body), "{\"cursor\":\"%s\"}", cursor);
    ack(body);
}

static void is_passed_on(void **state)
{
    (void)state;
    struct unpack body;
    struct command_ack c;
    F.last_seq = 9;
    atomic_store(&F.board->last_seq, 9);
    ack_cursor(cursor_of(7));
    assert_waits();
    uint64_t id = expect_command(COMMAND_ACK, &body);
    assert_int_equal(command_ack_decode(&body, &c), 0);
    assert_true(unpack_done(&body));
    assert_int_equal(c.seq, 7);
    assert_memory_equal(c.session, F.session[0].id, SESSION_ID_SIZE);
    complete(id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(R.ex.out_status, 204);
    assert_int_equal(R.ex.out_body.len, 0);
}

static void an_older_one_is_no_op(void **state)
{
    (void)state;
    F.last_seq = 9;
    atomic_store(&F.board->last_seq, 9);
    F.session[0].acked = 7;
    ack_cursor(cursor_of(7));
    assert_int_equal(R.ex.out_status, 204);
    ack_cursor(cursor_of(0));
    assert_int_equal(R.ex.out_status, 204);
    expect_no_command();
}

static void of_elsewhere_is_a_reset(void **state)
{
    (void)state;
    F.last_seq = 9;
    ack_cursor(cursor_of(10));
    assert_answer(410, "\"reason\":\"ahead\"");
    ack_cursor("0000000000000001.5");
    assert_answer(410, "\"reason\":\"epoch\"");
    assert_answer(410, "\"newest\":\"9f86d081884c7d65.9\"");
    expect_no_command();
}

static void bad_ones(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"cursor\":null}",
        "{\"cursor\":7}",
        "{\"cursor\":\"\"}",
        "{\"cursor\":\"x\"}",
        "{\"cursor\":\"9f86d081884c7d65.1\",\"cursor\":\"x\"}",
        "{\"cursor\":\"9f86d081884c7d65.1111111111111111111111111\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ack(bad[i]);
        assert_code(400, "bad_request");
    }
    say(at_session("POST", 0, "/ack"), KEY "\nContent-Type: text/plain", "x");
    assert_code(415, "unsupported_media_type");
    say(at_session("POST", 0, "/ack"), token_of(1), "{\"cursor\":\"x\"}");
    assert_code(403, "forbidden");
    say(at_session("POST", 0, "/ack"), NULL, "{\"cursor\":\"x\"}");
    assert_code(401, "token_missing");
    F.ended[0] = true;
    ack_cursor(cursor_of(1));
    assert_code(404, "session_unknown");
    expect_no_command();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(is_passed_on),
        T(an_older_one_is_no_op),
        T(of_elsewhere_is_a_reset),
        T(bad_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
