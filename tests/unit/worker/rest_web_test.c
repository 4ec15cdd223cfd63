/* rest_web_test - the files for browsers: whole, asked for again, and when there is no example. */
#include "rest_harness.h"

static char head[8192];

static void get(const char *line, const char *headers)
{
    say(line, headers, NULL);
    struct str text = buf_str(&R.ex.out_head);
    assert_true(text.n < sizeof(head));
    memcpy(head, text.p ? text.p : "", text.n);
    head[text.n] = '\0';
}

/* The value of a line that must be there once. */
static const char *value_of(const char *name)
{
    static char value[512];
    const char *at = strstr(head, name);
    assert_non_null(at);
    at += strlen(name) + 2;
    assert_null(strstr(at, name));
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static void test_whole(void **state)
{
    (void)state;
    get("GET /restante.js", "Accept: text/html");
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(R.ex.out_type, "text/javascript; charset=utf-8");
    assert_non_null(memmem(R.ex.out_body.data, R.ex.out_body.len, "export class Restante", 21));
    assert_string_equal(value_of("Cache-Control"), "no-cache");
    assert_string_equal(value_of("Cross-Origin-Resource-Policy"), "cross-origin");
    assert_string_equal(value_of("X-Content-Type-Options"), "nosniff");
    assert_true(R.ex.out_own_lines);
    get("GET /restante.d.ts", "Accept: application/msgpack");
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(R.ex.out_type, "application/typescript; charset=utf-8");
}

static void test_asked_again(void **state)
{
    (void)state;
    get("GET /restante.js", NULL);
    char etag[64], line[256];
    snprintf(etag, sizeof(etag), "%s", value_of("ETag"));
    assert_int_equal(strlen(etag), 34);
    static const char *const same[] = {"%s", "W/%s", "\"a\", %s, \"b\"", "*"};
    for (size_t i = 0; i < 4; i++) {
        char list[128];
        snprintf(list, sizeof(list), same[i], etag);
        snprintf(line, sizeof(line), "If-None-Match: %s", list);
        get("GET /restante.js", line);
        assert_int_equal(R.ex.out_status, 304);
        assert_int_equal(R.ex.out_body.len, 0);
        assert_string_equal(value_of("ETag"), etag);
        assert_string_equal(value_of("Cache-Control"), "no-cache");
    }
    /* Another file's is not it. */
    snprintf(line, sizeof(line), "If-None-Match: %s", etag);
    get("GET /restante.d.ts", line);
    assert_int_equal(R.ex.out_status, 200);
}

static void test_example(void **state)
{
    (void)state;
    get("GET /example", NULL);
    assert_int_equal(R.ex.out_status, 404);
    assert_null(strstr(head, "ETag"));
    assert_false(R.ex.out_own_lines);
    get("GET /example.js", NULL);
    assert_int_equal(R.ex.out_status, 404);
    F.conf.server_example = true;
    get("GET /example", NULL);
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(R.ex.out_type, "text/html; charset=utf-8");
    assert_non_null(strstr(value_of("Content-Security-Policy"), "default-src 'none'"));
    assert_string_equal(value_of("Cross-Origin-Resource-Policy"), "same-origin");
    get("GET /example.js", NULL);
    assert_int_equal(R.ex.out_status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, rest_open, rest_close),
        cmocka_unit_test_setup_teardown(test_asked_again, rest_open, rest_close),
        cmocka_unit_test_setup_teardown(test_example, rest_open, rest_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
