/* rest_test - the route table, and what every request is judged by. */
#include "rest_harness.h"

static void paths_and_methods(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *allow; /* NULL: none */
    } rows[] = {
        {"GET /healthz", 200, NULL},
        {"HEAD /healthz", 200, NULL},
        {"POST /healthz", 405, "Allow: GET, HEAD, OPTIONS\r\n"},
        {"OPTIONS /healthz", 204, "Allow: GET, HEAD, OPTIONS\r\n"},
        {"OPTIONS *", 204, "OPTIONS\r\n"},
        {"OPTIONS /v1/sessions", 204, "Allow: POST, GET, HEAD, OPTIONS\r\n"},
        {"OPTIONS /v1/sessions/x", 204, "Allow: GET, HEAD, PATCH, DELETE, OPTIONS\r\n"},
        {"PUT /v1/sessions", 405, "Allow: POST, GET, HEAD, OPTIONS\r\n"},
        {"FROB /v1/sessions", 405, "POST"},
        {"GET /v1/publish", 405, "Allow: POST, OPTIONS\r\n"},
        {"GET /", 404, NULL},
        {"OPTIONS /nothing", 404, NULL},
        {"GET /healthz/", 404, NULL},
        {"GET /Healthz", 404, NULL},
        {"GET /health%7a", 404, NULL},
        {"GET /v1%2fstatus", 404, NULL},
        {"GET //healthz", 404, NULL},
        {"GET /v1/sessions/", 404, NULL},
        {"GET /v1/sessions//messages", 404, NULL},
        {"GET /v1/sessions/a/b/c", 404, NULL},
        {"GET /v1/sessions/a/messages/b/c", 404, NULL},
        {"GET /v1/../healthz", 404, NULL},
        {"GET ", 404, NULL},
        {"GET /v1/sessions/%", 400, NULL},
        {"GET /v1/sessions/%0", 400, NULL},
        {"GET /v1/sessions/%zz", 400, NULL},
        {"GET /v1/sessions/%00", 400, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        say(rows[i].line, NULL, NULL);
        if (R.ex.out_status != rows[i].status)
            fail_msg("%s: %d", rows[i].line, R.ex.out_status);
        if (rows[i].allow && !strstr(head_lines(), rows[i].allow))
            fail_msg("%s: %s", rows[i].line, head_lines());
        if (!rows[i].allow)
            assert_null(strstr(head_lines(), "Allow:"));
    }
}

static void an_encoded_slash_stays_in_its_segment(void **state)
{
    (void)state;
    say("GET /v1/sessions/a%2Fmessages", KEY, NULL);
    assert_code(404, "session_unknown");
    say("GET /v1/sessions/..%2f..", KEY, NULL);
    assert_code(404, "session_unknown");
}

static void what_is_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool json, text;
    } rows[] = {
        {"*/*", true, true},
        {"application/json", true, false},
        {"APPLICATION/JSON", true, false},
        {"application/json;q=0.5", true, false},
        {"application/json;q=0", false, false},
        {"application/json; q=0.000", false, false},
        {"application/json;charset=utf-8;q=0.0", false, false},
        {"text/html, application/*;q=0.1", true, false},
        {"text/html,*/*;q=0", false, false},
        {"application/problem+json", true, false},
        {"image/png", false, false},
        {"text/event-stream", false, false},
        {"application/msgpack", true, false},
        {"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true, true},
        {"text/*", false, true},
        {"  ,, application/json", true, false},
        {"garbage", false, false},
        {";q=0", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char header[128];
        snprintf(header, sizeof(header), "Accept: %s", rows[i].accept);
        say("GET /healthz", header, NULL);
        if ((R.ex.out_status == 200) != rows[i].json)
            fail_msg("%s: %d", rows[i].accept, R.ex.out_status);
        say("GET /metrics", header, NULL);
        if ((R.ex.out_status == 200) != rows[i].text)
            fail_msg("%s: metrics %d", rows[i].accept, R.ex.out_status);
    }
    say("GET /healthz", "Accept: image/png", NULL);
    assert_code(406, "not_acceptable");
}

static void the_credential_is_judged_before_the_handler(void **state)
{
    (void)state;
    say("GET /v1/status", NULL, NULL);
    assert_code(401, "token_missing");
    assert_non_null(strstr(head_lines(), "WWW-Authenticate: Bearer"));
    say("GET /v1/status", "Authorization: Basic x", NULL);
    assert_code(401, "token_malformed");
    say("GET /v1/status", "Authorization: Bearer nobody", NULL);
    assert_code(401, "token_unknown_key");
    say("GET /v1/status?access_token=secret-1", NULL, NULL);
    assert_answer(200, "\"supervisor\"");
    say("GET /v1/status?access_token=", NULL, NULL);
    assert_code(401, "token_malformed");
    say("GET /v1/status?access_token=secret-1&access_token=secret-1", NULL, NULL);
    assert_code(401, "token_malformed");
    say("GET /v1/status?access_token=%zz", NULL, NULL);
    assert_code(401, "token_malformed");
    say("GET /v1/status?access_token=secret-1", "Authorization: Bearer nobody", NULL);
    assert_code(401, "token_unknown_key");
    say("GET /healthz?access_token=nobody", "Authorization: Bearer nobody", NULL);
    assert_answer(200, "ok");
}

static void a_needed_body_is_needed(void **state)
{
    (void)state;
    say("POST /v1/publish", KEY, NULL);
    assert_code(400, "bad_request");
    say(at_session("POST", 0, "/ack"), KEY, NULL);
    assert_code(400, "bad_request");
    say(at_session("PATCH", 0, ""), KEY, NULL);
    assert_code(400, "bad_request");
}

static void bodies_must_be_json(void **state)
{
    (void)state;
    static const char *const lines[] = {"POST /v1/sessions", "POST /v1/publish"};
    for (size_t i = 0; i < 2; i++) {
        say(lines[i], KEY "\nContent-Type: text/xml", "<a/>");
        assert_code(415, "unsupported_media_type");
        assert_non_null(strstr(head_lines(), "Accept: application/json"));
        say(lines[i], KEY "\nContent-Type: application/jsonx", "{}");
        assert_code(415, "unsupported_media_type");
        say(lines[i], KEY "\nContent-Type: Application/JSON ; charset=utf-8", "[]");
        assert_code(400, "bad_request");
        say(lines[i], KEY, "nonsense");
        assert_code(400, "bad_request");
    }
}

/* A coding that would be lost, and headers that contradict each other. */
static void what_could_be_misread_is_refused(void **state)
{
    (void)state;
    say("POST /v1/publish", KEY "\nContent-Encoding: gzip\nContent-Type: application/json", "{}");
    assert_code(415, "unsupported_media_type");
    assert_non_null(strstr(head_lines(), "Accept-Encoding: identity"));
    say("POST /v1/publish", KEY "\nContent-Encoding: Identity\nContent-Type: application/json",
        "{\"messages\":[]}");
    assert_answer(200, "{\"results\":[]}");
    say("GET /healthz", "Content-Encoding: gzip", NULL);
    assert_answer(200, "ok");

    static const char *const twice[] = {KEY "\n" KEY,
                                        KEY "\nIdempotency-Key: a\nIdempotency-key: b",
                                        KEY "\nContent-Type: text/plain\nContent-Type: a/b"};
    for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
        say("POST /v1/publish", twice[i], "{}");
        assert_code(400, "bad_request");
    }
}

static void every_row_has_its_own_place(void **state)
{
    (void)state;
    static const char *const lines[] = {"POST /v1/sessions",
                                        "GET /v1/sessions",
                                        "GET /v1/sessions/a",
                                        "PATCH /v1/sessions/a",
                                        "DELETE /v1/sessions/a",
                                        "POST /v1/sessions/a/token",
                                        "GET /v1/sessions/a/messages",
                                        "POST /v1/sessions/a/messages",
                                        "GET /v1/sessions/a/messages/b",
                                        "POST /v1/sessions/a/ack",
                                        "POST /v1/subjects/a/messages",
                                        "POST /v1/publish",
                                        "GET /v1/status",
                                        "POST /v1/rotate",
                                        "GET /healthz",
                                        "GET /readyz",
                                        "GET /metrics"};
    const struct rest_route *seen[32];
    size_t n = sizeof(lines) / sizeof(lines[0]);
    for (size_t i = 0; i < n; i++) {
        const char *space = strchr(lines[i], ' ');
        struct str param[REST_PARAMS];
        size_t nparams;
        struct buf allow;
        buf_init(&allow, 128);
        assert_int_equal(rest_find(method_of(str_make(lines[i], (size_t)(space - lines[i]))),
                                   str_of(space + 1), &seen[i], param, &nparams, &allow),
                         CODE_OK);
        buf_free(&allow);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(seen[i], seen[k]);
        for (size_t k = 0; k < nparams; k++)
            assert_true(str_is(param[k], k ? "b" : "a"));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(paths_and_methods),
        T(an_encoded_slash_stays_in_its_segment),
        T(what_is_accepted),
        T(the_credential_is_judged_before_the_handler),
        T(a_needed_body_is_needed),
        T(bodies_must_be_json),
        T(what_could_be_misread_is_refused),
        T(every_row_has_its_own_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
