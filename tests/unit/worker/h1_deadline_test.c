/* h1_deadline: every deadline, on the test's own clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/h1_harness.h"

static uint64_t closed_by(enum metric m)
{
    return H.metrics->v[m];
}

static void test_a_client_that_says_nothing(void **state)
{
    (void)state;
    tick_ms(9900);
    assert_false(H.client_eof);
    tick_ms(200);
    assert_true(H.client_eof);
    assert_string_equal(received(), "");
    assert_int_equal(closed_by(METRIC_CLOSED_TIMEOUT), 1);
}

static void test_trickling_does_not_move_the_deadline(void **state)
{
    (void)state;
    static const char text[] = "GET /now HTTP/1.1\r\nHost: h\r\n";
    tick_ms(5000); /* counts from accept */
    for (size_t i = 0; i < 24; i++) {
        send_bytes(text + i, 1);
        tick_ms(200);
    }
    assert_false(H.client_eof);
    tick_ms(400);
    const char *r = received();
    assert_non_null(strstr(r, "HTTP/1.1 408 Request Timeout\r\n"));
    assert_non_null(strstr(r, "\"reason\":\"head_timeout\""));
    assert_true(H.client_eof);
    assert_int_equal(closed_by(METRIC_CLOSED_TIMEOUT), 1);
}

static void test_second_head_counts_from_its_first_byte(void **state)
{
    (void)state;
    send_text(GET("/now"));
    received();
    tick_ms(30000); /* idle is something else */
    assert_false(H.client_eof);
    send_text("G");
    tick_ms(9900);
    assert_false(H.client_eof);
    tick_ms(200);
    assert_non_null(strstr(received(), "HTTP/1.1 408 "));
}

static void test_idle_closes_silently(void **state)
{
    (void)state;
    send_text(GET("/now"));
    received();
    tick_ms(74000);
    send_text(GET("/now"));
    assert_non_null(strstr(received(), "HTTP/1.1 200 "));
    tick_ms(74000);
    assert_false(H.client_eof);
    tick_ms(1200);
    assert_true(H.client_eof);
    assert_string_equal(received(), "");
}

static void test_body_has_its_time(void **state)
{
    (void)state;
    send_text("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n");
    for (int i = 0; i < 29; i++) {
        send_bytes("x", 1);
        tick_ms(1000);
    }
    assert_false(H.client_eof);
    tick_ms(1200);
    const char *r = received();
    assert_non_null(strstr(r, "HTTP/1.1 408 "));
    assert_non_null(strstr(r, "\"reason\":\"body_timeout\""));
    assert_true(H.client_eof);
    assert_int_equal(H.bodies, 0);
}

static void test_dropped_body_has_its_time(void **state)
{
    (void)state;
    send_text("POST /deny HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n");
    assert_non_null(strstr(received(), "HTTP/1.1 401 "));
    tick_ms(30200);
    assert_true(H.client_eof);
    assert_string_equal(received(), "");
    tick_ms(H1_LINGER_MS + 100);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_the_body_of_expect_waits_for_our_word(void **state)
{
    (void)state;
    send_text(GET("/later") "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
                            "Expect: 100-continue\r\n\r\n");
    tick_ms(60000);
    assert_false(H.client_eof); /* its time has not begun: another answer is due first */
    answer_text(H.held[0], STR(""));
    turn();
    assert_non_null(strstr(received(), "100 Continue"));
    tick_ms(29000);
    assert_false(H.client_eof);
    tick_ms(1200);
    assert_non_null(strstr(received(), "HTTP/1.1 408 "));
}

static void test_work_in_progress_has_no_deadline_here(void **state)
{
    (void)state;
    send_text(GET("/park"));
    for (int i = 0; i < 20; i++)
        tick_ms(60000);
    assert_int_equal(H.gone, 0);
    answer_text(H.held[0], STR("after"));
    turn();
    assert_non_null(strstr(received(), "\r\n\r\nafter"));
}

static void test_a_client_that_never_reads(void **state)
{
    (void)state;
    send_bytes(GET("/big?1000000"), strlen(GET("/big?1000000")));
    turn_unread();
    H.now_ms += 29000;
    h1_tick(H.w.h1);
    turn_unread();
    assert_int_equal(H.gone, 0);
    /* A sign of life: the client reads until the server could write on. */
    char some[10000];
    uint64_t out = H.metrics->v[METRIC_BYTES_OUT];
    while (H.metrics->v[METRIC_BYTES_OUT] == out) {
        assert_true(recv(H.client, some, sizeof(some), MSG_DONTWAIT) > 0);
        turn_unread();
    }
    H.now_ms += 29000;
    h1_tick(H.w.h1);
    turn_unread();
    assert_int_equal(H.gone, 0);
    H.now_ms += 1200;
    h1_tick(H.w.h1);
    turn_unread();
    assert_int_equal(H.gone, 1);
    assert_int_equal(H.sent, 0);
    assert_int_equal(closed_by(METRIC_CLOSED_SLOW), 1);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_lingering_ends(void **state)
{
    (void)state;
    send_text("nonsense\r\n");
    assert_non_null(strstr(received(), "HTTP/1.1 400 "));
    assert_true(H.client_eof);
    assert_int_equal(h1_connections(H.w.h1), 1);
    tick_ms(H1_LINGER_MS - 100);
    assert_int_equal(h1_connections(H.w.h1), 1);
    tick_ms(200);
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_lingering_ends_with_the_peer(void **state)
{
    (void)state;
    send_text("nonsense\r\n");
    close_client();
    turn();
    assert_int_equal(h1_connections(H.w.h1), 0);
}

static void test_time_does_not_run_while_nobody_reads(void **state)
{
    (void)state;
    send_text(GET("/later") GET("/later") GET("/later") GET("/later"));
    send_text("GET /now?late HTTP/1.1\r\n");
    tick_ms(60000);
    assert_false(H.client_eof);
    for (size_t i = 0; i < 4; i++)
        answer_text(H.held[i], STR(""));
    turn();
    received();
    tick_ms(9900);
    assert_false(H.client_eof);
    send_text("Host: h\r\n\r\n");
    assert_non_null(strstr(received(), "\r\n\r\nlate"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, harness_up, harness_down)
    const struct CMUnitTest tests[] = {
        T(test_a_client_that_says_nothing),
        T(test_trickling_does_not_move_the_deadline),
        T(test_second_head_counts_from_its_first_byte),
        T(test_idle_closes_silently),
        T(test_body_has_its_time),
        T(test_dropped_body_has_its_time),
        T(test_the_body_of_expect_waits_for_our_word),
        T(test_work_in_progress_has_no_deadline_here),
        T(test_a_client_that_never_reads),
        T(test_lingering_ends),
        T(test_lingering_ends_with_the_peer),
        T(test_time_does_not_run_while_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
