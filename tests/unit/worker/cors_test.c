/* cors: which origins are covered, and what an answer says to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/exchange_fake.h"
#include "worker/cors.h"

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *item, *origin;
        bool covered;
    } rows[] = {
        {"https://a.example", "https://a.example", true},
        {"https://a.example", "http://a.example", false},
        {"https://a.example", "https://a.example:8443", false},
        {"https://a.example", "https://b.a.example", false},
        {"https://a.example", "https://a.example.evil", false},
        {"https://a.example", "", false},
        {"https://*.a.example", "https://b.a.example", true},
        {"https://*.a.example", "https://c-2.b.a.example", true},
        {"https://*.a.example", "https://a.example", false},
        {"https://*.a.example", "https://.a.example", false},
        {"https://*.a.example", "https://b..a.example", false},
        {"https://*.a.example", "http://b.a.example", false},
        {"https://*.a.example", "https://b.a.example:8443", false},
        {"https://*.a.example", "https://evil/.a.example", false},
        {"https://*.a.example", "https://evil:1.a.example", false},
        {"https://*.a.example", "https://evil#.a.example", false},
        {"https://*.a.example", "https://e@b.a.example", false},
        {"https://*.a.example", "https://B.a.example", false},
        {"https://*.a.example", "https://eviL.a.example", false},
        {"https://*.a.example", "https://evila.example", false},
        {"https://*.a.example", "https://*.a.example", false},
        {"https://*.a.example:8443", "https://b.a.example:8443", true},
        {"https://*.a.example:8443", "https://b.a.example", false},
        {"https://a.example", "null", false},
        {"https://*.a.example", "null", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (cors_matches(str_of(rows[i].item), str_of(rows[i].origin)) != rows[i].covered)
            fail_msg("%s and %s", rows[i].item, rows[i].origin);
    }
}

static char *two[] = {"https://a.example", "https://*.b.example"};
static char *all[] = {"https://a.example", "*"};

static void configure(char **origins, size_t n)
{
    F.conf.cors_origins = origins;
    F.conf.ncors_origins = n;
    F.conf.cors_max_age = 90000;
}

/* The lines about origins of an answer to this one. */
static const char *lines_for(const char *origin)
{
    fresh_exchange();
    if (origin)
        add_request_header("oRiGin", origin);
    exchange_answer(&F.ex, 204, NULL);
    const char *head = text_of(&F.ex.out_head);
    assert_int_equal(strncmp(head, EXCHANGE_BROWSER_LINES, strlen(EXCHANGE_BROWSER_LINES)), 0);
    return head + strlen(EXCHANGE_BROWSER_LINES);
}

#define EXPOSED "Access-Control-Expose-Headers: Restante-Cursor, Retry-After, X-Request-Id\r\n"

static void test_answers(void **state)
{
    (void)state;
    assert_string_equal(lines_for("https://a.example"), "");
    configure(two, 2);
    assert_string_equal(lines_for(NULL), "Vary: Origin\r\n");
    assert_string_equal(lines_for("https://evil.example"), "Vary: Origin\r\n");
    assert_string_equal(lines_for("null"), "Vary: Origin\r\n");
    assert_string_equal(lines_for("https://a.example"),
                        "Vary: Origin\r\n"
                        "Access-Control-Allow-Origin: https://a.example\r\n" EXPOSED);
    assert_string_equal(lines_for("https://x.b.example"),
                        "Vary: Origin\r\n"
                        "Access-Control-Allow-Origin: https://x.b.example\r\n" EXPOSED);
    configure(all, 2);
    assert_string_equal(lines_for(NULL), "");
    assert_string_equal(lines_for("null"), "Access-Control-Allow-Origin: *\r\n" EXPOSED);
    assert_string_equal(lines_for("https://a.example"),
                        "Access-Control-Allow-Origin: *\r\n" EXPOSED);
}

static void test_an_origin_has_a_ceiling(void **state)
{
    (void)state;
    char origin[CORS_ORIGIN_MAX + 2];
    configure(two, 2);
    memset(origin, 'x', sizeof(origin));
    memcpy(origin, "https://", 8);
    strcpy(origin + CORS_ORIGIN_MAX - 10, ".b.example");
    assert_non_null(strstr(lines_for(origin), "Access-Control-Allow-Origin: https://xxx"));
    memset(origin + CORS_ORIGIN_MAX - 10, 'x', 12);
    strcpy(origin + CORS_ORIGIN_MAX - 9, ".b.example");
    assert_string_equal(lines_for(origin), "Vary: Origin\r\n");
}

static void test_problems_and_streams_too(void **state)
{
    (void)state;
    configure(two, 2);
    fresh_exchange();
    add_request_header("Origin", "https://a.example");
    exchange_problem(&F.ex, CODE_NOT_FOUND, 0, NULL);
    assert_non_null(strstr(text_of(&F.ex.out_head), "Allow-Origin: https://a.example\r\n"));
    fresh_exchange();
    F.ex.nheaders = 1;
    exchange_stream_begin(&F.ex, 200, "text/event-stream");
    assert_non_null(strstr(text_of(&F.ex.out_head), "Allow-Origin: https://a.example\r\n"));
    assert_non_null(strstr(text_of(&F.ex.out_head), EXCHANGE_BROWSER_LINES));
}

static const char *preflight_of(const char *origin, const char *method)
{
    fresh_exchange();
    if (origin)
        add_request_header("Origin", origin);
    if (method)
        add_request_header("Access-Control-Request-Method", method);
    cors_preflight(&F.ex, STR("GET, HEAD, OPTIONS"));
    return text_of(&F.ex.out_head);
}

static void test_preflight(void **state)
{
    (void)state;
    assert_string_equal(preflight_of("https://a.example", "GET"), "");
    configure(two, 2);
    assert_string_equal(
        preflight_of("https://a.example", "GET"),
        "Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
        "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key, "
        "Last-Event-ID, Restante-Event, Restante-TTL, Restante-Collapse, X-Request-Id, "
        "traceparent\r\n"
        "Access-Control-Max-Age: 90\r\n");
    assert_string_equal(preflight_of("https://evil.example", "GET"), "");
    assert_string_equal(preflight_of("https://a.example", NULL), "");
    assert_string_equal(preflight_of(NULL, "GET"), "");
    configure(all, 2);
    assert_non_null(strstr(preflight_of("null", "GET"), "Allow-Methods"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_matches, fake_up, fake_down),
        cmocka_unit_test_setup_teardown(test_answers, fake_up, fake_down),
        cmocka_unit_test_setup_teardown(test_an_origin_has_a_ceiling, fake_up, fake_down),
        cmocka_unit_test_setup_teardown(test_problems_and_streams_too, fake_up, fake_down),
        cmocka_unit_test_setup_teardown(test_preflight, fake_up, fake_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
