/* h1_conn: one end for every exchange, peers that leave, draining, the weight of a parked request.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/worker/h1_harness.h"

static void test_one_end_for_each_exchange(void **state)
{
    (void)state;
    send_text(GET("/now") GET("/later") GET("/park"));
    assert_int_equal(H.sent, 1);
    close_client();
    turn();
    /* /later is work in progress: it may still be answered, but nobody is there to take it. */
    assert_int_equal(H.gone, 0);
    answer_text(H.held[0], STR("late"));
    turn();
    assert_int_equal(H.sent + H.gone, 3);
    assert_int_equal(H.heads, 3);
    assert_int_equal(h1_connections(H.w.h1), 0);
    assert_int_equal(H.metrics->v[METRIC_POLLS_PARKED], 0);
    assert_int_equal(H.metrics->v[METRIC_REQUESTS_GONE], H.gone);
}

static void test_peer_gone_while_parked(void **state)
{
    (void)state;
    send_text(GET("/park"));
    assert_int_equal(H.gone, 0);
    close_client();
    turn();
    assert_int_equal(H.gone, 1);
    assert_int_equal(H.sent, 0);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_half_close_while_parked_is_gone(void **state)
{
    (void)state;
    send_text(GET("/park"));
    shutdown(H.client, SHUT_WR);
    turn();
    assert_int_equal(H.gone, 1);
    assert_true(H.client_eof);
}

static void test_parked_after_the_half_close_is_gone(void **state)
{
    (void)state;
    send_text(GET("/later") GET("/later"));
    shutdown(H.client, SHUT_WR);
    turn();
    exchange_park(H.held[1]);
    turn();
    assert_int_equal(H.gone, 0); /* the one in front is still being worked on */
    answer_text(H.held[0], STR("first"));
    turn();
    assert_non_null(strstr(received(), "\r\n\r\nfirst"));
    assert_int_equal(H.gone, 1);
    assert_int_equal(H.sent, 1);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_stream_ends_when_the_peer_leaves(void **state)
{
    (void)state;
    send_text(GET("/stream"));
    shutdown(H.client, SHUT_WR);
    turn();
    assert_int_equal(H.gone, 1);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

/* Its pipeline is full, so it is not read: it is asked from time to time. */
static void test_peer_gone_while_not_read(void **state)
{
    (void)state;
    send_text(GET("/park") GET("/later") GET("/later") GET("/later"));
    send_text(GET("/now"));
    assert_int_equal(H.heads, 4);
    close_client();
    turn();
    assert_int_equal(H.gone, 0);
    tick_ms(2 * H1_PROBE_MS);
    assert_int_equal(H.gone, 4);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_closing_the_server_ends_everything(void **state)
{
    (void)state;
    send_text(GET("/park") GET("/later") GET("/now"));
    h1_close(H.w.h1);
    H.w.h1 = NULL;
    assert_int_equal(H.gone, 3);
    assert_int_equal(H.metrics->v[METRIC_CONNECTIONS], 0);
}

/* --- draining --- */

static void test_drain_closes_idle_connections(void **state)
{
    (void)state;
    send_text(GET("/now"));
    h1_drain(H.w.h1);
    turn();
    assert_true(H.client_eof);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_drain_closes_a_connection_that_never_spoke(void **state)
{
    (void)state;
    h1_drain(H.w.h1);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_drain_answers_what_is_in_flight(void **state)
{
    (void)state;
    send_text(GET("/later?a") GET("/later?b"));
    h1_drain(H.w.h1);
    turn();
    assert_false(H.client_eof);
    answer_text(H.held[0], STR("first"));
    answer_text(H.held[1], STR("second"));
    turn();
    const char *r = received();
    const char *first = strstr(r, "\r\n\r\nfirst");
    assert_non_null(first);
    assert_true(strstr(r, "Connection: close") > first); /* on the last one only */
    assert_non_null(strstr(r, "\r\n\r\nsecond"));
    assert_true(H.client_eof);
    close_client();
    turn();
    assert_int_equal(h1_connections(H.w.h1), 0);
    assert_int_equal(H.sent, 2);
}

static void test_drain_answers_what_has_just_arrived(void **state)
{
    (void)state;
    send_text(GET("/now"));
    received();
    assert_true(send(H.client, GET("/now?just"), strlen(GET("/now?just")), 0) > 0);
    h1_drain(H.w.h1);
    turn();
    assert_non_null(strstr(received(), "\r\n\r\njust"));
    assert_true(H.client_eof);
}

static void test_drain_lets_a_body_arrive(void **state)
{
    (void)state;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    h1_drain(H.w.h1);
    send_text("lo");
    assert_non_null(strstr(received(), "\r\n\r\nhello"));
    assert_true(H.client_eof);
}

/* --- weight --- */

#define MANY 200

/* Bytes of memory for each of MANY connections that sent text. Skips the test under an allocator
 * that does not tell (sanitizers, valgrind). */
static size_t weigh(const char *text)
{
    int fds[MANY];
    struct mallinfo2 before = mallinfo2();
    close_client();
    turn_unread();
    for (int i = 0; i < MANY; i++) {
        connect_client();
        fds[i] = H.client;
        H.nheld = 0;
        send_bytes(text, strlen(text));
        turn_unread();
    }
    struct mallinfo2 after = mallinfo2();
    size_t bytes = (after.uordblks - before.uordblks) / MANY;
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    H.client = -1;
    turn_unread();
    if (after.uordblks == 0)
        skip();
    return bytes;
}

/* What a parked request costs here, with the headers that a browser sends. The application's own
 * state comes on top. */
static void test_weight_of_a_parked_request(void **state)
{
    (void)state;
    size_t bytes = weigh(
        "GET /park?cursor=9f86d081884c7d65.1041&wait=60 HTTP/1.1\r\nHost: api.example.com\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: application/json\r\nAccept-Language: en-US,en;q=0.5\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nOrigin: https://app.example.com\r\n"
        "Authorization: Bearer rs1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
        "Connection: keep-alive\r\nSec-Fetch-Mode: cors\r\n\r\n");
    print_message("a parked request: %zu bytes\n", bytes);
    assert_in_range(bytes, 500, 3072);
}

static void test_weight_of_an_idle_connection(void **state)
{
    (void)state;
    size_t bytes = weigh(GET("/now"));
    print_message("an idle connection: %zu bytes\n", bytes);
    assert_in_range(bytes, 200, 1536);
}

/* --- no memory --- */

/* Whatever allocation fails: no crash, no leak, at most one answer, one end for each exchange. */
static void test_every_allocation_failure(void **state)
{
    static const char text[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    static const char cut[] =
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3";
    harness_down(state);
    unsigned long n = 0;
    for (bool failed = true; failed;) {
        assert_int_equal(harness_up(state), 0);
        failmalloc_arm(++n);
        send_bytes(text, sizeof(text) - 1);
        turn_unread();
        send_bytes(cut, sizeof(cut) - 1);
        turn_unread();
        send_bytes("\r\nabc\r\n0\r\n\r\n", 12);
        turn_unread();
        failed = failmalloc_disarm();
        turn();
        assert_true(count_of(received(), "\r\nServer: ") <= H.heads);
        assert_int_equal(harness_down(state), 0);
        assert_int_equal(H.sent + H.gone, H.heads);
    }
    assert_true(n > 3);
    assert_int_equal(harness_up(state), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, harness_up, harness_down)
    const struct CMUnitTest tests[] = {
        T(test_one_end_for_each_exchange),
        T(test_peer_gone_while_parked),
        T(test_half_close_while_parked_is_gone),
        T(test_parked_after_the_half_close_is_gone),
        T(test_stream_ends_when_the_peer_leaves),
        T(test_peer_gone_while_not_read),
        T(test_closing_the_server_ends_everything),
        T(test_drain_closes_idle_connections),
        T(test_drain_closes_a_connection_that_never_spoke),
        T(test_drain_answers_what_is_in_flight),
        T(test_drain_answers_what_has_just_arrived),
        T(test_drain_lets_a_body_arrive),
        T(test_weight_of_a_parked_request),
        T(test_weight_of_an_idle_connection),
        T(test_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
