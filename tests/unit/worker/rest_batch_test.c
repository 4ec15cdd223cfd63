/* rest_batch_test - /v1/publish: one command, one answer an item, in order. */
#include "rest_harness.h"

#include "../failmalloc.h"

static struct buf text;

static int open_batch(void **state)
{
    buf_init(&text, 1 << 20);
    return rest_open(state);
}

static int close_batch(void **state)
{
    buf_free(&text);
    return rest_close(state);
}

static void say_batch(const char *header)
{
    say_bytes("POST /v1/publish", header, buf_str(&text));
}

#define JSON_KEY KEY "\nContent-Type: application/json"

static void each_item_has_its_answer(void **state)
{
    (void)state;
    buf_printf(&text,
               "{\"messages\":["
               "{\"session\":\"%s\",\"data\":1,\"key\":\"b1\"},"
               "{\"session\":\"nonsense\",\"data\":2},"
               "{\"subject\":\"alice\",\"data\":3,\"event\":\"e\"},"
               "{\"data\":4},"
               "{\"topic\":\"chat:1\",\"data\":5,\"except\":[\"%s\"]},"
               "{\"topic\":\"news\",\"data\":5},"
               "7,"
               "{\"session\":\"%s\",\"data\":6,\"ephemeral\":true},"
               "{\"subject\":\"nobody\",\"data\":7},"
               "{\"session\":\"%s\",\"data\":8}"
               "],\"other\":[]}",
               sid(0), sid(3), sid(1), sid(2));
    say_batch(JSON_KEY);
    assert_waits();
    struct unpack body;
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    assert_int_equal(append_count(&body), 6);
    struct command_append_item item[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(command_append_item_decode(&body, &item[i]), 0);
    assert_true(unpack_done(&body));
    assert_true(item[0].keyed && !item[1].keyed);
    assert_true(str_is(item[0].id, "b1"));
    assert_true(str_is(item[1].name, "alice") && str_is(item[1].event, "e"));
    assert_true(item[2].target == APPEND_TOPIC && str_is(item[2].name, "chat:1"));
    assert_memory_equal(item[2].except.p, F.session[3].id, SESSION_ID_SIZE);
    assert_memory_equal(item[3].session, F.session[1].id, SESSION_ID_SIZE);
    assert_true(str_is(item[5].payload, "8"));

    unsigned char bytes[1024];
    struct pack p = pack_into(bytes, sizeof(bytes));
    struct append_result r = {.code = CODE_OK, .seq = 11};
    pack_u32(&p, CODE_OK), pack_u32(&p, 1), append_result_encode(&p, &r);
    pack_u32(&p, CODE_OK), pack_u32(&p, 2);
    memcpy(r.session, F.session[0].id, SESSION_ID_SIZE);
    r.seq = 12, append_result_encode(&p, &r);
    r.seq = 0, r.code = CODE_MAILBOX_FULL, append_result_encode(&p, &r);
    r = (struct append_result){.code = CODE_OK, .seq = 13};
    pack_u32(&p, CODE_OK), pack_u32(&p, 1), append_result_encode(&p, &r);
    r.seq = 0;
    pack_u32(&p, CODE_OK), pack_u32(&p, 1), append_result_encode(&p, &r);
    pack_u32(&p, CODE_SUBJECT_UNKNOWN), pack_u32(&p, 0);
    r.code = CODE_IDEMPOTENCY_CONFLICT;
    pack_u32(&p, r.code), pack_u32(&p, 1), append_result_encode(&p, &r);
    complete(id, CODE_OK, bytes, pack_len(&p));
    proceed();

    char expected[2048];
    snprintf(expected, sizeof(expected),
             "{\"results\":["
             "{\"status\":201,\"seq\":11,\"duplicate\":false},"
             "{\"status\":404,\"code\":\"session_unknown\"},"
             "{\"status\":201,\"results\":[{\"session\":\"%s\",\"status\":201,\"seq\":12,"
             "\"duplicate\":false},{\"session\":\"%s\",\"status\":507,\"code\":\"mailbox_full\"}]},"
             "{\"status\":400,\"code\":\"bad_request\",\"detail\":\"one of session, subject and "
             "topic is needed\"},"
             "{\"status\":201,\"seq\":13,\"duplicate\":false},"
             "{\"status\":404,\"code\":\"topic_unknown\"},"
             "{\"status\":400,\"code\":\"bad_request\",\"detail\":\"a JSON object is needed\"},"
             "{\"status\":202,\"seq\":null},"
             "{\"status\":404,\"code\":\"subject_unknown\"},"
             "{\"status\":409,\"code\":\"idempotency_conflict\"}]}",
             sid(0), sid(0));
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(answer(), expected);
}

static void nothing_to_send_is_answered_at_once(void **state)
{
    (void)state;
    buf_append_z(&text, "{\"messages\":[]}");
    say_batch(JSON_KEY);
    assert_answer(200, "{\"results\":[]}");
    buf_reset(&text);
    buf_append_z(&text, "{\"messages\":[{},{\"session\":\"x\",\"data\":1}]}");
    say_batch(JSON_KEY);
    assert_answer(200, "\"status\":400");
    assert_answer(200, "{\"status\":404,\"code\":\"session_unknown\"}]}");
    expect_no_command();
    assert_int_equal(F.route->calls.reserved, 0);
}

static void what_is_no_batch_is_refused_whole(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{",
                                         "[]",
                                         "{}",
                                         "{\"messages\":{}}",
                                         "{\"messages\":null}",
                                         "{\"messages\":\"x\"}",
                                         "{\"messages\":[],\"messages\":[]}",
                                         "{\"messages\":[{\"session\":\"x\",\"data\":\"\xff\"}]}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        say_json("POST /v1/publish", bodies[i]);
        assert_code(400, "bad_request");
    }
    expect_no_command();
}

static void fill(int n)
{
    buf_reset(&text);
    buf_append_z(&text, "{\"messages\":[");
    for (int i = 0; i < n; i++)
        buf_printf(&text, "%s{\"session\":\"%s\",\"data\":%d}", i ? "," : "", sid(0), i);
    buf_append_z(&text, "]}");
}

static void a_thousand_and_no_more(void **state)
{
    (void)state;
    fill(1001);
    say_batch(JSON_KEY);
    assert_code(400, "bad_request");
    expect_no_command();
    fill(1000);
    say_batch(JSON_KEY);
    assert_waits();
    struct unpack body;
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    assert_int_equal(append_count(&body), 1000);
    static unsigned char bytes[1000 * (8 + APPEND_RESULT_SIZE)];
    struct pack p = pack_into(bytes, sizeof(bytes));
    for (uint64_t i = 0; i < 1000; i++) {
        struct append_result r = {.code = CODE_OK, .seq = i + 1};
        pack_u32(&p, CODE_OK), pack_u32(&p, 1), append_result_encode(&p, &r);
    }
    complete(id, CODE_OK, bytes, pack_len(&p));
    proceed();
    assert_answer(200, "{\"status\":201,\"seq\":1000,\"duplicate\":false}]}");
}

static void each_item_needs_its_scope(void **state)
{
    (void)state;
    buf_printf(&text,
               "{\"messages\":[{\"session\":\"%s\",\"data\":1},{\"subject\":\"a\",\"data\":1},"
               "{\"topic\":\"chat:1\",\"data\":1}]}",
               sid(0));
    say_batch("Authorization: Bearer secret-3\nContent-Type: application/json");
    assert_answer(200, "{\"results\":[{\"status\":403,\"code\":\"forbidden\"},"
                       "{\"status\":403,\"code\":\"forbidden\"},"
                       "{\"status\":403,\"code\":\"forbidden\"}]}");
    say_batch("Content-Type: application/json");
    assert_code(401, "token_missing");
    say_batch(bootstrap("", ""));
    assert_code(403, "forbidden");
    say_batch(token_of(0));
    assert_code(403, "forbidden");
    expect_no_command();
}

static void a_message_over_its_limit_costs_only_itself(void **state)
{
    (void)state;
    char *big = malloc(F.conf.limit_message + 1);
    memset(big, 'x', F.conf.limit_message);
    big[F.conf.limit_message] = '\0';
    buf_printf(
        &text,
        "{\"messages\":[{\"session\":\"%s\",\"data\":1},{\"session\":\"%s\",\"data\":\"%s\"}]}",
        sid(0), sid(0), big);
    free(big);
    say_batch(JSON_KEY);
    struct unpack body;
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    assert_int_equal(append_count(&body), 1);
    unsigned char bytes[64];
    struct pack p = pack_into(bytes, sizeof(bytes));
    struct append_result r = {.code = CODE_OK, .seq = 1};
    pack_u32(&p, CODE_OK), pack_u32(&p, 1), append_result_encode(&p, &r);
    complete(id, CODE_OK, bytes, pack_len(&p));
    proceed();
    assert_answer(200, "{\"status\":413,\"code\":\"too_large\",");
}

static void a_completion_cut_short_is_internal(void **state)
{
    (void)state;
    fill(3);
    say_batch(JSON_KEY);
    struct unpack body;
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    unsigned char bytes[12] = {0};
    complete(id, CODE_OK, bytes, sizeof(bytes));
    proceed();
    assert_code(500, "internal");
}

static void its_outcome_may_be_unknown(void **state)
{
    (void)state;
    fill(3);
    say_batch(JSON_KEY);
    pass_ms(5200);
    assert_answer(503, "\"outcome\":\"unknown\"");
    fill(2);
    say_batch(JSON_KEY);
    leave();
    proceed();
}

static void subjects_that_could_never_be_answered(void **state)
{
    (void)state;
    F.conf.max_per_subject = 10000;
    buf_append_z(&text, "{\"messages\":[{\"subject\":\"a\",\"data\":1}]}");
    say_batch(JSON_KEY);
    assert_code(413, "too_large");
    expect_no_command();
    F.conf.max_per_subject = 1000; /* two fit, four are too many at once, ever */
    buf_reset(&text);
    buf_append_z(&text, "{\"messages\":[{\"subject\":\"a\",\"data\":1}]}");
    say_batch(JSON_KEY);
    assert_waits();
}

static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    fill(2);
    buf_consume(&text, 0);
    struct command_header h;
    struct unpack body;
    unsigned refused = 0;
    bool failed;
    unsigned long n = 0;
    do {
        failmalloc_arm(++n);
        say_batch(JSON_KEY);
        failed = failmalloc_disarm();
        if (R.ex.answered) {
            assert_true(R.ex.out_status >= 500 || strstr(answer(), "unavailable"));
            refused++;
            finish();
        } else {
            leave();
        }
        while (take_command(&h, &body))
            ;
    } while (failed);
    assert_true(refused >= 3);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_batch, close_batch)
    const struct CMUnitTest tests[] = {
        T(each_item_has_its_answer),
        T(nothing_to_send_is_answered_at_once),
        T(what_is_no_batch_is_refused_whole),
        T(a_thousand_and_no_more),
        T(each_item_needs_its_scope),
        T(a_message_over_its_limit_costs_only_itself),
        T(a_completion_cut_short_is_internal),
        T(its_outcome_may_be_unknown),
        T(subjects_that_could_never_be_answered),
        T(without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
