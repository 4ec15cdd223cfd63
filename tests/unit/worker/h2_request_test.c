/* h2_request: header sections as requests, what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"

static void assert_malformed(uint32_t id)
{
    h2_turn();
    assert_int_equal(answer_of(id)->reset, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(answer_of(id)->heads, 0);
    assert_int_equal(P.goaways, 0);
    assert_int_equal(H.heads, 0);
    assert_string_equal(body_of(get(2001, "/now?alive")), "alive");
}

/* --- malformed requests (RFC 9113 8.1.1): stream errors --- */

struct fields {
    const char *why;
    const char *field[12]; /* names and values */
};

#define GET_H ":method", "GET", ":scheme", "http", ":path", "/now", ":authority", "h"

static const struct fields malformed[] = {
    {"8.3.1 no :method", {":scheme", "http", ":path", "/now", ":authority", "h"}},
    {"8.3.1 no :scheme", {":method", "GET", ":path", "/now", ":authority", "h"}},
    {"8.3.1 no :path", {":method", "GET", ":scheme", "http", ":authority", "h"}},
    {"8.3.1 empty :path", {":method", "GET", ":scheme", "http", ":path", "", ":authority", "h"}},
    {"8.3.1 a relative :path",
     {":method", "GET", ":scheme", "http", ":path", "now", ":authority", "h"}},
    {"8.3 a pseudo field twice", {GET_H, ":path", "/now"}},
    {"8.3 an unknown pseudo field", {GET_H, ":extra", "x"}},
    {"8.3 a pseudo field of answers", {GET_H, ":status", "200"}},
    {"8.3 a pseudo field after the others",
     {":method", "GET", ":scheme", "http", "accept", "*/*", ":path", "/now"}},
    {"8.2.1 an upper-case name", {GET_H, "Accept", "*/*"}},
    {"8.2.1 a space in a name", {GET_H, "a b", "x"}},
    {"8.2.1 an empty name", {GET_H, "", "x"}},
    {"8.2.1 a newline in a value", {GET_H, "a", "x\ny"}},
    {"8.2.1 white space around a value", {GET_H, "a", " x"}},
    {"8.2.2 connection", {GET_H, "connection", "close"}},
    {"8.2.2 keep-alive", {GET_H, "keep-alive", "x"}},
    {"8.2.2 proxy-connection", {GET_H, "proxy-connection", "x"}},
    {"8.2.2 transfer-encoding", {GET_H, "transfer-encoding", "chunked"}},
    {"8.2.2 upgrade", {GET_H, "upgrade", "websocket"}},
    {"8.2.2 te other than trailers", {GET_H, "te", "gzip"}},
    {"content-length that is no number", {GET_H, "content-length", "1x"}},
    {"RFC 8441 is not offered",
     {":method", "CONNECT", ":scheme", "http", ":path", "/now", ":authority", "h", ":protocol",
      "websocket"}},
};

static void put_all(const struct fields *f)
{
    for (size_t i = 0; i + 1 < 12 && f->field[i]; i += 2)
        put_field(f->field[i], f->field[i + 1]);
}

static void test_malformed_requests_cost_their_stream(void **state)
{
    (void)state;
    uint32_t id = 1;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++, id += 2) {
        put_all(&malformed[i]);
        send_block(id, END_HEADERS | END_STREAM);
        h2_turn();
        if (answer_of(id)->reset != NGHTTP2_PROTOCOL_ERROR || answer_of(id)->heads || H.heads)
            fail_msg("%s: reset %u, heads %zu", malformed[i].why, answer_of(id)->reset, H.heads);
    }
    assert_string_equal(body_of(get(id, "/now?alive")), "alive");
    assert_int_equal(P.goaways, 0);
}

static void test_te_trailers_is_fine(void **state)
{
    (void)state;
    put_request("GET", "/now?ok");
    put_field("te", "trailers");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "ok");
}

static void test_less_body_than_content_length(void **state)
{
    (void)state;
    put_request("POST", "/echo");
    put_field("content-length", "5");
    send_block(1, END_HEADERS);
    send_data(1, "four", END_STREAM);
    h2_turn();
    assert_int_equal(answer_of(1)->reset, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(H.bodies, 0);
    assert_int_equal(H.gone, 1);
}

static void test_more_body_than_content_length(void **state)
{
    (void)state;
    put_request("POST", "/echo");
    put_field("content-length", "3");
    send_block(1, END_HEADERS);
    send_data(1, "four", END_STREAM);
    h2_turn();
    assert_int_equal(answer_of(1)->reset, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(H.bodies, 0);
    assert_int_equal(H.gone, 1);
}

static void test_content_length_without_body(void **state)
{
    (void)state;
    put_request("POST", "/echo");
    put_field("content-length", "3");
    send_block(1, END_HEADERS | END_STREAM);
    assert_malformed(1);
}

/* --- requests that are refused with an answer --- */

static const struct {
    const char *status, *reason;
    const char *field[12];
} refused[] = {
    {"501", "method", {":method", "FETCH", ":scheme", "http", ":path", "/now", ":authority", "h"}},
    {"501", "connect", {":method", "CONNECT", ":authority", "h:443"}},
    {"400", "target", {":method", "GET", ":scheme", "ftp", ":path", "now", ":authority", "h"}},
    {"400", "host_differs", {GET_H, "host", "other"}},
    {"400",
     "host_invalid",
     {":method", "GET", ":scheme", "http", ":path", "/now", ":authority", "me@h"}},
    {"417", "expect", {GET_H, "expect", "a-miracle"}},
};

static void test_refused_requests(void **state)
{
    (void)state;
    uint32_t id = 1;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++, id += 2) {
        for (size_t f = 0; f + 1 < 12 && refused[i].field[f]; f += 2)
            put_field(refused[i].field[f], refused[i].field[f + 1]);
        send_block(id, END_HEADERS | END_STREAM);
        h2_turn();
        assert_refused(answer_of(id), refused[i].status, refused[i].reason);
    }
    assert_int_equal(H.heads, 0);
    assert_string_equal(body_of(get(id, "/now?alive")), "alive");
}

static void test_host_instead_of_authority(void **state)
{
    (void)state;
    put_field(":method", "GET");
    put_field(":scheme", "http");
    put_field(":path", "/later");
    put_field("host", "h:1");
    send_block(1, END_HEADERS | END_STREAM);
    put_request("GET", "/later");
    put_field("host", "H");
    send_block(3, END_HEADERS | END_STREAM);
    h2_turn();
    assert_int_equal(H.nheld, 2);
    assert_true(str_is(exchange_header(H.held[0], "Host"), "h:1"));
    assert_true(str_is(exchange_header(H.held[1], "Host"), "H"));
}

static void test_what_the_application_sees(void **state)
{
    (void)state;
    put_request("PUT", "/later?a=1&b=%20");
    put_field("x-request-id", "mine");
    put_field("accept", "*/*");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    const struct exchange *ex = H.held[0];
    assert_int_equal(ex->method, METHOD_PUT);
    assert_true(str_is(ex->method_text, "PUT"));
    assert_true(str_is(ex->target, "/later?a=1&b=%20"));
    assert_true(str_is(ex->path, "/later"));
    assert_true(str_is(ex->query, "a=1&b=%20"));
    assert_true(str_is(exchange_header(ex, "host"), "h"));
    assert_true(str_is(exchange_header(ex, "Accept"), "*/*"));
    assert_string_equal(ex->request_id, "mine");
    assert_string_equal(ex->remote, "test:2");
    assert_string_equal(ex->transport->proto, "HTTP/2");
    assert_false(ex->has_body);
    assert_null(ex->tls);
}

static void test_options_of_the_server(void **state)
{
    (void)state;
    put_request("OPTIONS", "*");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    assert_true(has_field(answer_of(1), ":status: 200\n"));
}

/* --- sizes --- */

static void test_header_section_over_the_limit(void **state)
{
    (void)state;
    assert_int_equal(P.settings[NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE], H.conf.limit_header);
    char *value = filled('v', 9000);
    put_request("GET", "/now");
    put_field("a", value);
    send_block(1, END_STREAM); /* within one frame there is no room for both */
    put_field("b", value);
    send_frame(NGHTTP2_CONTINUATION, END_HEADERS, 1, P.block.data, P.block.len);
    buf_reset(&P.block);
    h2_turn();
    free(value);
    assert_refused(answer_of(1), "431", "header_size");
    assert_int_equal(H.heads, 0);
    assert_string_equal(body_of(get(3, "/now?alive")), "alive");
}

static void test_header_section_at_the_limit(void **state)
{
    (void)state;
    size_t others = 7 + 3 + 7 + 4 + 10 + 1 + 5 + 4 + 1 + 5 * 32;
    char *value = filled('v', H.conf.limit_header - others);
    put_request("GET", "/now");
    put_field("a", value);
    send_block(1, END_HEADERS | END_STREAM);
    put_request("GET", "/now");
    put_field("aa", value); /* one more */
    send_block(3, END_HEADERS | END_STREAM);
    h2_turn();
    assert_true(has_field(answer_of(1), ":status: 200\n"));
    assert_refused(answer_of(3), "431", "header_size");
    free(value);
}

static void test_header_fields_over_the_limit(void **state)
{
    (void)state;
    put_request("GET", "/now");
    for (int i = 0; i < EXCHANGE_HEADERS - 1; i++) /* :authority is one */
        put_field("a", "b");
    send_block(1, END_HEADERS | END_STREAM);
    put_request("GET", "/now");
    for (int i = 0; i < EXCHANGE_HEADERS; i++)
        put_field("a", "b");
    send_block(3, END_HEADERS | END_STREAM);
    h2_turn();
    assert_true(has_field(answer_of(1), ":status: 200\n"));
    assert_refused(answer_of(3), "431", "header_count");
}

static void test_target_over_the_limit(void **state)
{
    (void)state;
    char *path = filled('p', H.conf.limit_header / 2);
    path[0] = '/';
    put_request("GET", path);
    send_block(1, END_HEADERS | END_STREAM);
    free(path);
    path = filled('p', H.conf.limit_header / 2 + 1);
    path[0] = '/';
    put_request("GET", path);
    send_block(3, END_HEADERS | END_STREAM);
    free(path);
    h2_turn();
    assert_true(has_field(answer_of(1), ":status: 200\n"));
    assert_refused(answer_of(3), "414", "target_length");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H2_TEST(test_malformed_requests_cost_their_stream),
        H2_TEST(test_te_trailers_is_fine),
        H2_TEST(test_less_body_than_content_length),
        H2_TEST(test_more_body_than_content_length),
        H2_TEST(test_content_length_without_body),
        H2_TEST(test_refused_requests),
        H2_TEST(test_host_instead_of_authority),
        H2_TEST(test_what_the_application_sees),
        H2_TEST(test_options_of_the_server),
        H2_TEST(test_header_section_over_the_limit),
        H2_TEST(test_header_section_at_the_limit),
        H2_TEST(test_header_fields_over_the_limit),
        H2_TEST(test_target_over_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
