/* h2_stream: one end for every exchange, parked requests and their weight, answers in pieces. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h2_harness.h"

/* --- ends --- */

static void test_one_end_for_each_exchange(void **state)
{
    (void)state;
    get(1, "/now");
    get(3, "/later");
    get(5, "/park");
    post(7, "/echo");
    assert_int_equal(H.sent, 1);
    close_client();
    h2_turn();
    assert_int_equal(H.gone, 3);
    assert_int_equal(H.heads, 4);
    assert_int_equal(h2_connections(H.w.h2), 0);
    assert_int_equal(counted(METRIC_POLLS_PARKED), 0);
    assert_int_equal(counted(METRIC_REQUESTS_GONE), 3);
}

static void test_reset_ends_its_stream_only(void **state)
{
    (void)state;
    get(1, "/park");
    get(3, "/park");
    send_reset(1, NGHTTP2_CANCEL);
    h2_turn();
    assert_int_equal(H.gone, 1);
    assert_null(H.held[0]);
    answer_text(H.held[1], STR("still here"));
    h2_turn();
    assert_string_equal(body_of(answer_of(3)), "still here");
    assert_int_equal(counted(METRIC_STREAM_RESETS_PEER), 1);
}

static void test_reset_while_the_answer_waits_for_a_window(void **state)
{
    (void)state;
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    get(1, "/now?held");
    send_reset(1, NGHTTP2_CANCEL);
    h2_turn();
    assert_int_equal(H.gone, 1);
    assert_int_equal(H.sent, 0);
}

static void test_reset_in_the_same_read_as_the_answer(void **state)
{
    (void)state;
    get(1, "/later");
    answer_text(H.held[0], STR("too late")); /* noted, not in a frame yet */
    const uint8_t reset[] = {0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8};
    assert_int_equal(send(H.client, reset, sizeof(reset), 0), (ssize_t)sizeof(reset));
    event_base_loop(H.w.base, EVLOOP_NONBLOCK); /* the read comes before h2_proceed */
    h2_turn();
    assert_int_equal(H.gone + H.sent, 1);
    assert_string_equal(body_of(get(3, "/now?alive")), "alive");
}

static void test_answer_to_a_request_that_is_not_whole(void **state)
{
    (void)state;
    struct answer *a = post(1, "/deny");
    assert_int_equal(a->reset, NGHTTP2_NO_ERROR);
    assert_int_equal(H.sent, 1);
    send_data(1, "late", END_STREAM);
    h2_turn();
    assert_int_equal(H.sent + H.gone, 1);
    assert_int_equal(P.goaways, 0);
}

/* --- parked --- */

static void test_parked_keeps_what_the_log_needs(void **state)
{
    (void)state;
    put_request("GET", "/park?cursor=1");
    put_field("user-agent", "somebody");
    put_field("origin", "https://a.example");
    put_field("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    put_field("authorization", "Bearer secret");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    const struct exchange *ex = H.held[0];
    assert_true(str_is(ex->method_text, "GET"));
    assert_true(str_is(ex->target, "/park?cursor=1"));
    assert_true(str_is(ex->path, "/park"));
    assert_true(str_is(ex->query, "cursor=1"));
    assert_int_equal(ex->traceparent.n, 55);
    assert_true(str_is(exchange_header(ex, "Origin"), "https://a.example"));
    assert_int_equal(exchange_header(ex, "authorization").n, 0);
    assert_int_equal(exchange_header(ex, "user-agent").n, 0);
}

static void test_parked_without_a_query_or_origin(void **state)
{
    (void)state;
    get(1, "/park");
    assert_true(str_is(H.held[0]->path, "/park"));
    assert_int_equal(H.held[0]->query.n, 0);
    assert_int_equal(exchange_header(H.held[0], "origin").n, 0);
    answer_text(H.held[0], STR("x"));
    h2_turn();
    assert_string_equal(body_of(answer_of(1)), "x");
}

#define MANY 50 /* HELD_MAX is 64 */

static void park(uint32_t id)
{
    char path[256];
    snprintf(path, sizeof(path), "/park?cursor=5ecf6d0aee78e5c9.%u&wait=30s", id);
    put_request("GET", path);
    put_field("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
                            "Gecko) Chrome/120.0.0.0 Safari/537.36");
    put_field("accept", "application/json");
    put_field("accept-language", "en-US,en;q=0.9");
    put_field("accept-encoding", "gzip, deflate, br");
    put_field("authorization", "Bearer rs1.qzMivhTbkw_rCb9jNOYnten9jq0AAAAAawYt5uZk6fBNJyhfcz5");
    put_field("sec-fetch-mode", "cors");
    put_field("sec-fetch-site", "same-origin");
    send_block(id, END_HEADERS | END_STREAM);
    h2_turn();
}

/* What a browser's long-poll costs this worker, nghttp2's part of it included. */
static void test_weight_of_a_parked_request(void **state)
{
    (void)state;
    park(1); /* what is made once a connection */
    answer_text(H.held[0], STR("x"));
    h2_turn();
    struct mallinfo2 before = mallinfo2();
    for (uint32_t id = 3; id < 3 + 2 * MANY; id += 2)
        park(id);
    size_t notes = 0;
    struct mallinfo2 after = mallinfo2();
    (void)notes;
    if (after.uordblks == 0)
        skip();
    size_t bytes = (after.uordblks - before.uordblks) / MANY;
    print_message("parked: %zu bytes\n", bytes);
    assert_in_range(bytes, 500, 1536);
}

/* --- answers in pieces --- */

static void test_stream_in_pieces(void **state)
{
    (void)state;
    struct answer *a = get(1, "/stream");
    assert_int_equal(a->heads, 1);
    assert_true(has_field(a, "content-type: text/event-stream\n"));
    assert_false(has_field(a, "content-length"));
    assert_false(a->ended);
    struct exchange *ex = H.held[0];
    assert_int_equal(exchange_stream_write(ex, STR("one ")), 0);
    h2_turn();
    assert_string_equal(body_of(a), "one ");
    exchange_stream_write(ex, STR("two "));
    exchange_stream_write(ex, STR("three"));
    exchange_stream_end(ex);
    h2_turn();
    assert_string_equal(body_of(a), "one two three");
    assert_true(a->ended);
    assert_int_equal(a->frames, 2);
    assert_int_equal(H.sent, 1);
}

static void test_stream_that_ends_later(void **state)
{
    (void)state;
    struct answer *a = get(1, "/stream");
    exchange_stream_write(H.held[0], STR("all"));
    h2_turn();
    assert_false(a->ended);
    exchange_stream_end(H.held[0]);
    h2_turn();
    assert_true(a->ended);
    assert_int_equal(H.sent, 1);
}

static void test_head_of_a_stream(void **state)
{
    (void)state;
    put_request("HEAD", "/stream");
    send_block(1, END_HEADERS | END_STREAM);
    h2_turn();
    exchange_stream_write(H.held[0], STR("unseen"));
    h2_turn();
    assert_int_equal(answer_of(1)->body.len, 0);
    exchange_stream_end(H.held[0]);
    h2_turn();
    assert_true(answer_of(1)->ended);
    assert_int_equal(answer_of(1)->body.len, 0);
}

static void test_writer_is_told_to_wait_and_to_go_on(void **state)
{
    (void)state;
    static char bytes[H2_STREAM_HIGH + 1];
    memset(bytes, 's', sizeof(bytes));
    struct answer *a = get(1, "/stream");
    struct exchange *ex = H.held[0];
    h2_turn();
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    h2_turn();
    assert_int_equal(exchange_stream_write(ex, str_make(bytes, H2_STREAM_HIGH)), 0);
    assert_int_equal(exchange_stream_write(ex, str_make(bytes, 1)), -EAGAIN);
    assert_int_equal(exchange_stream_backlog(ex), H2_STREAM_HIGH + 1);
    h2_turn();
    assert_int_equal(H.drained, 0);
    assert_int_equal(a->body.len, 0);
    send_window(1, H2_STREAM_HIGH / 2);
    h2_turn();
    assert_int_equal(H.drained, 0);
    send_window(1, 1);
    h2_turn();
    assert_int_equal(H.drained, 1);
    assert_int_equal(exchange_stream_backlog(ex), H2_STREAM_HIGH / 2);
    assert_int_equal(a->body.len, H2_STREAM_HIGH / 2 + 1);
    assert_int_equal(exchange_stream_write(ex, str_make(bytes, 1)), 0);
}

static void test_stream_of_a_client_that_leaves(void **state)
{
    (void)state;
    get(1, "/stream");
    exchange_stream_write(H.held[0], STR("x"));
    send_reset(1, NGHTTP2_CANCEL);
    h2_turn();
    assert_int_equal(H.gone, 1);
    assert_string_equal(body_of(get(3, "/now?alive")), "alive");
}

/* A long stream keeps nothing of what was sent. */
static void test_stream_costs_what_waits(void **state)
{
    (void)state;
    static char bytes[1000];
    struct answer *a = get(1, "/stream");
    send_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30);
    send_window(0, 1 << 30);
    h2_turn();
    for (int i = 0; i < 5000; i++) {
        exchange_stream_write(H.held[0], str_make(bytes, sizeof(bytes)));
        h2_turn();
    }
    assert_int_equal(a->body.len, 5000 * sizeof(bytes));
    assert_null(H.held[0]->out_body.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        H2_TEST(test_one_end_for_each_exchange),
        H2_TEST(test_reset_ends_its_stream_only),
        H2_TEST(test_reset_while_the_answer_waits_for_a_window),
        H2_TEST(test_reset_in_the_same_read_as_the_answer),
        H2_TEST(test_answer_to_a_request_that_is_not_whole),
        H2_TEST(test_parked_keeps_what_the_log_needs),
        H2_TEST(test_parked_without_a_query_or_origin),
        H2_TEST(test_weight_of_a_parked_request),
        H2_TEST(test_stream_in_pieces),
        H2_TEST(test_stream_that_ends_later),
        H2_TEST(test_head_of_a_stream),
        H2_TEST(test_writer_is_told_to_wait_and_to_go_on),
        H2_TEST(test_stream_of_a_client_that_leaves),
        H2_TEST(test_stream_costs_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
