/* exchange: identity, headers, one answer, parking, what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/worker/exchange_fake.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"

static void on_gone(struct exchange *ex)
{
    (void)ex;
    F.gone++;
}

static void on_sent(struct exchange *ex)
{
    (void)ex;
    F.sent++;
}

static void test_header_lookup(void **state)
{
    (void)state;
    add_request_header("X-One", "1");
    add_request_header("x-one", "2");
    assert_true(str_is(exchange_header(&F.ex, "x-ONE"), "1"));
    assert_int_equal(exchange_header(&F.ex, "x-on").n, 0);
    assert_int_equal(exchange_header(&F.ex, "x-one-more").n, 0);
}

static void test_given_id_is_honoured(void **state)
{
    (void)state;
    add_request_header("X-Request-Id", "abc:1");
    add_request_header("traceparent", "00-" TRACE "-00f067aa0ba902b7-01");
    exchange_on_head(&F.ex);
    assert_string_equal(F.ex.request_id, "abc:1");
    assert_int_equal(F.ex.traceparent.n, 55);
    assert_int_equal(F.heads, 1);
}

static void test_trace_names_the_request(void **state)
{
    (void)state;
    add_request_header("X-Request-Id", "not valid");
    add_request_header("traceparent", "00-" TRACE "-00f067aa0ba902b7-01");
    exchange_on_head(&F.ex);
    assert_string_equal(F.ex.request_id, TRACE);
}

static void test_id_is_made(void **state)
{
    (void)state;
    add_request_header("traceparent", "00-broken");
    exchange_on_head(&F.ex);
    assert_int_equal(strlen(F.ex.request_id), 16);
    assert_int_equal(F.ex.traceparent.n, 0);
}

static void test_answer_is_counted_by_class(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum metric metric;
    } rows[] = {
        {200, METRIC_REQUESTS_2XX}, {304, METRIC_REQUESTS_3XX}, {404, METRIC_REQUESTS_4XX},
        {507, METRIC_REQUESTS_5XX}, {204, METRIC_REQUESTS_2XX},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = F.metrics->v[rows[i].metric];
        fresh_exchange();
        exchange_answer(&F.ex, rows[i].status, NULL);
        assert_int_equal(F.metrics->v[rows[i].metric], before + 1);
        assert_true(F.ex.answered);
    }
    assert_int_equal(F.answers, sizeof(rows) / sizeof(rows[0]));
}

static void test_answer_counts_its_bytes(void **state)
{
    (void)state;
    buf_append_z(&F.ex.out_body, "12345");
    exchange_answer(&F.ex, 200, "text/plain");
    assert_int_equal(F.ex.out_bytes, 5);
    fresh_exchange();
    F.ex.method = METHOD_HEAD;
    buf_append_z(&F.ex.out_body, "12345");
    exchange_answer(&F.ex, 200, "text/plain");
    assert_int_equal(F.ex.out_bytes, 0);
}

static void test_answer_that_was_lost_is_500(void **state)
{
    (void)state;
    log_init(LOG_ERROR + 1, 2, "test", -1);
    failmalloc_arm(1);
    buf_append_z(&F.ex.out_body, "12345");
    assert_true(failmalloc_disarm());
    exchange_answer(&F.ex, 200, "text/plain");
    assert_int_equal(F.ex.out_status, 500);
    assert_int_equal(F.ex.out_code, CODE_INTERNAL);
    assert_int_equal(F.ex.out_body.len, 0);
    assert_null(F.ex.out_type);
    assert_int_equal(F.metrics->v[METRIC_REQUESTS_2XX], 0);
    assert_int_equal(F.metrics->v[METRIC_REQUESTS_5XX], 1);
}

static void test_accept_chooses_the_encoding(void **state)
{
    (void)state;
    static const struct {
        const char *line[2];
        enum encoding want;
    } rows[] = {
        {{NULL, NULL}, ENCODING_JSON},
        {{"", NULL}, ENCODING_JSON},
        {{"*/*", NULL}, ENCODING_JSON},
        {{"application/msgpack", NULL}, ENCODING_MSGPACK},
        {{"application/msgpack, application/json", NULL}, ENCODING_JSON},
        {{"application/msgpack", "application/json;q=0.9"}, ENCODING_MSGPACK},
        {{"application/msgpack;q=0.8", "*/*;q=0.9"}, ENCODING_JSON},
        {{"application/json;q=0", "*/*"}, ENCODING_MSGPACK},
        {{"application/problem+json, application/msgpack", NULL}, ENCODING_MSGPACK},
        {{"text/html", NULL}, ENCODING_JSON},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fresh_exchange();
        for (int k = 0; k < 2 && rows[i].line[k]; k++)
            add_request_header(k ? "ACCEPT" : "accept", rows[i].line[k]);
        exchange_on_head(&F.ex);
        if (F.ex.encoding != rows[i].want)
            fail_msg("row %zu: %d", i, F.ex.encoding);
    }
    assert_int_equal(exchange_accepts(&F.ex, "text/html"), 1000);
    assert_int_equal(exchange_accepts(&F.ex, "text/plain"), 0);
}

static void answer_in_msgpack(const char *body, const char *type)
{
    fresh_exchange();
    add_request_header("accept", "application/msgpack");
    exchange_on_head(&F.ex);
    buf_append_z(&F.ex.out_body, body);
    exchange_answer(&F.ex, 200, type);
}

static void test_json_is_translated(void **state)
{
    (void)state;
    answer_in_msgpack("{\"a\":[1,\"x\"]}", JSON_TYPE);
    assert_string_equal(F.ex.out_type, MSGPACK_TYPE);
    assert_true(str_eq(buf_str(&F.ex.out_body), STR("\x81\xa1"
                                                    "a\x92\x01\xa1x")));
    assert_int_equal(F.ex.out_bytes, 7);
    answer_in_msgpack("\x80", MSGPACK_TYPE); /* is already */
    assert_true(str_is(buf_str(&F.ex.out_body), "\x80"));
    answer_in_msgpack("{}", "text/plain");
    assert_string_equal(F.ex.out_type, "text/plain");
    assert_true(str_is(buf_str(&F.ex.out_body), "{}"));
    answer_in_msgpack("", NULL);
    assert_null(F.ex.out_type);
    assert_int_equal(F.ex.out_body.len, 0);
    fresh_exchange();
    buf_append_z(&F.ex.out_body, "{}");
    exchange_answer(&F.ex, 200, JSON_TYPE);
    assert_string_equal(F.ex.out_type, JSON_TYPE);
}

static void test_problems_are_translated(void **state)
{
    (void)state;
    static const char *const names[] = {"status", "code", "detail", "outcome"};
    struct mp_value v, member[4];
    add_request_header("accept", "application/msgpack");
    exchange_on_head(&F.ex);
    exchange_problem(&F.ex, CODE_UNAVAILABLE, 3, "a \"detail\"");
    assert_string_equal(F.ex.out_type, MSGPACK_TYPE);
    assert_int_equal(mp_check(buf_str(&F.ex.out_body), &v), 0);
    assert_int_equal(mp_pick(v, names, 4, member), 0);
    assert_true(member[0].type == MP_UINT && member[0].u == 503);
    assert_true(str_is(member[1].bytes, "unavailable"));
    assert_true(str_is(member[2].bytes, "a \"detail\""));
    assert_true(str_is(member[3].bytes, "none"));
    assert_non_null(strstr(text_of(&F.ex.out_head), "Retry-After: 3\r\n"));
}

static void test_no_memory_to_translate(void **state)
{
    (void)state;
    log_init(LOG_ERROR + 1, 2, "test", -1);
    fresh_exchange();
    F.ex.encoding = ENCODING_MSGPACK;
    buf_append_z(&F.ex.out_body, "{\"a\":1}");
    failmalloc_arm(1);
    exchange_answer(&F.ex, 200, JSON_TYPE);
    assert_true(failmalloc_disarm());
    assert_int_equal(F.ex.out_status, 500);
    assert_null(F.ex.out_type);
    assert_int_equal(F.ex.out_body.len, 0);
    /* A refusal keeps its status. */
    fresh_exchange();
    F.ex.encoding = ENCODING_MSGPACK;
    F.ex.out_code = CODE_NOT_FOUND;
    buf_append_z(&F.ex.out_body, "{\"a\":1}");
    failmalloc_arm(1);
    exchange_answer(&F.ex, 404, PROBLEM_TYPE);
    assert_true(failmalloc_disarm());
    assert_int_equal(F.ex.out_status, 404);
    assert_null(F.ex.out_type);
    assert_int_equal(F.ex.out_body.len, 0);
}

static void test_header_lines(void **state)
{
    (void)state;
    log_init(LOG_ERROR + 1, 2, "test", -1);
    exchange_add_header(&F.ex, "Allow", STR("GET,\tHEAD"));
    exchange_add_header(&F.ex, "Evil", STR("a\r\nSet-Cookie: x"));
    exchange_add_header(&F.ex, "Evil", STR("a\nb"));
    exchange_add_header(&F.ex, "Evil", str_make("a\0b", 3));
    exchange_add_header(&F.ex, "Evil", STR("a\x7f"));
    assert_string_equal(text_of(&F.ex.out_head), "Allow: GET,\tHEAD\r\n");
}

static void test_parking(void **state)
{
    (void)state;
    F.ex.on_gone = on_gone;
    F.ex.on_sent = on_sent;
    exchange_park(&F.ex);
    assert_int_equal(F.metrics->v[METRIC_POLLS_PARKED], 1);
    assert_int_equal(F.parks, 1);
    exchange_answer(&F.ex, 200, NULL);
    assert_false(F.ex.parked);
    assert_int_equal(F.metrics->v[METRIC_POLLS_PARKED], 0);
    exchange_sent(&F.ex);
    fresh_exchange();
    F.ex.on_gone = on_gone;
    exchange_park(&F.ex);
    exchange_gone(&F.ex);
    assert_int_equal(F.metrics->v[METRIC_POLLS_PARKED], 0);
    assert_int_equal(F.metrics->v[METRIC_REQUESTS_GONE], 1);
    assert_int_equal(F.sent, 1);
    assert_int_equal(F.gone, 1);
}

static void test_ends_without_callbacks(void **state)
{
    (void)state;
    exchange_gone(&F.ex);
    fresh_exchange();
    exchange_answer(&F.ex, 200, NULL);
    exchange_sent(&F.ex);
}

static void test_streams_reach_the_transport(void **state)
{
    (void)state;
    exchange_stream_begin(&F.ex, 200, "text/event-stream");
    assert_int_equal(exchange_stream_write(&F.ex, STR("abc")), 0);
    exchange_stream_end(&F.ex);
    assert_int_equal(F.begins + F.writes + F.ends, 3);
    assert_int_equal(F.answers, 0);
    assert_int_equal(F.ex.out_bytes, 3);
    assert_int_equal(F.metrics->v[METRIC_REQUESTS_2XX], 1);
}

static int handed_fd;
static char handed_remote[16];

static void on_wire(struct exchange *ex, struct wire wire, const char *remote)
{
    assert_ptr_equal(ex, &F.ex);
    handed_fd = wire.fd;
    snprintf(handed_remote, sizeof(handed_remote), "%s", remote);
}

static void test_the_connection_instead_of_an_answer(void **state)
{
    (void)state;
    assert_false(exchange_may_upgrade(&F.ex));
    F.may_upgrade = true;
    assert_true(exchange_may_upgrade(&F.ex));
    F.ex.on_gone = on_gone;
    F.ex.on_sent = on_sent;
    F.ex.remote = "peer:1";
    exchange_hand_over(&F.ex, on_wire);
    assert_true(F.ex.answered);
    assert_int_equal(F.handed, 1);
    assert_int_equal(F.answers + F.begins, 0);
    assert_int_equal(handed_fd, 0);
    exchange_handed(&F.ex, wire_clear(77));
    assert_int_equal(handed_fd, 77);
    assert_string_equal(handed_remote, "peer:1");
    assert_int_equal(F.ex.out_status, 101);
    assert_int_equal(F.gone + F.sent, 0);
}

/* The connection broke before its turn. */
static void test_a_connection_that_is_never_handed(void **state)
{
    (void)state;
    F.may_upgrade = true;
    F.ex.on_gone = on_gone;
    exchange_hand_over(&F.ex, on_wire);
    exchange_gone(&F.ex);
    assert_int_equal(F.gone, 1);
}

static void test_transports_that_never_give_theirs(void **state)
{
    (void)state;
    struct exchange_transport without = fake_transport;
    without.may_upgrade = NULL;
    F.may_upgrade = true;
    F.ex.transport = &without;
    assert_false(exchange_may_upgrade(&F.ex));
}

static void test_body_goes_to_the_application(void **state)
{
    (void)state;
    exchange_on_body(&F.ex);
    assert_int_equal(F.bodies, 1);
    assert_int_equal(F.ex.body_limit, F.conf.limit_request);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fake_up, fake_down)
    const struct CMUnitTest tests[] = {
        T(test_header_lookup),
        T(test_given_id_is_honoured),
        T(test_trace_names_the_request),
        T(test_id_is_made),
        T(test_answer_is_counted_by_class),
        T(test_answer_counts_its_bytes),
        T(test_answer_that_was_lost_is_500),
        T(test_accept_chooses_the_encoding),
        T(test_json_is_translated),
        T(test_problems_are_translated),
        T(test_no_memory_to_translate),
        T(test_header_lines),
        T(test_parking),
        T(test_ends_without_callbacks),
        T(test_streams_reach_the_transport),
        T(test_the_connection_instead_of_an_answer),
        T(test_a_connection_that_is_never_handed),
        T(test_transports_that_never_give_theirs),
        T(test_body_goes_to_the_application),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
