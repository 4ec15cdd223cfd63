/* h2_limits: budgets are spent, refilled by time, earned back by useful traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "worker/h2_limits.h"

static struct h2_limits l;

static int up(void **state)
{
    (void)state;
    h2_limits_init(&l, 20, 10, 1000);
    return 0;
}

static void frames(uint8_t type, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h2_limits_frame(&l, type, 0, 8, 1000);
}

static void test_each_kind_has_its_name(void **state)
{
    static const struct {
        uint8_t type;
        enum h2_abuse kind;
        size_t within;
    } rows[] = {
        {NGHTTP2_RST_STREAM, H2_ABUSE_RESETS, 20},
        {NGHTTP2_SETTINGS, H2_ABUSE_SETTINGS, 10},
        {NGHTTP2_PING, H2_ABUSE_PINGS, 10},
        {NGHTTP2_PRIORITY, H2_ABUSE_PRIORITIES, 10},
        {0x10, H2_ABUSE_PRIORITIES, 10},
        {NGHTTP2_WINDOW_UPDATE, H2_ABUSE_WINDOWS, 10},
        {NGHTTP2_CONTINUATION, H2_ABUSE_CONTINUATIONS, 10},
        {NGHTTP2_HEADERS, H2_ABUSE_EMPTY, 10},
        {0xee, H2_ABUSE_UNKNOWN, 10},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        up(state);
        frames(rows[i].type, rows[i].within);
        assert_int_equal(l.abuse, H2_CALM);
        frames(rows[i].type, 1);
        assert_int_equal(l.abuse, rows[i].kind);
        assert_true(strlen(h2_abuse_name(l.abuse)) > 0);
    }
}

static void test_the_first_kind_counts(void **state)
{
    (void)state;
    frames(NGHTTP2_PING, 11);
    frames(NGHTTP2_SETTINGS, 5);
    h2_limits_note(&l, H2_ABUSE_HEADERS);
    assert_int_equal(l.abuse, H2_ABUSE_PINGS);
}

static void test_content_is_free(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        h2_limits_frame(&l, NGHTTP2_DATA, 0, 1, 1000);
        h2_limits_frame(&l, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 0, 1000);
    }
    assert_int_equal(l.abuse, H2_CALM);
    for (int i = 0; i < 10; i++)
        h2_limits_frame(&l, NGHTTP2_DATA, 0, 0, 1000);
    assert_int_equal(l.abuse, H2_CALM);
    h2_limits_empty(&l, 1000);
    assert_int_equal(l.abuse, H2_ABUSE_EMPTY);
}

static void test_time_refills(void **state)
{
    (void)state;
    for (uint64_t now = 1000; now < 1000000; now += H2_REFILL_MS / 10)
        h2_limits_frame(&l, NGHTTP2_PING, 0, 8, now);
    assert_int_equal(l.abuse, H2_CALM);
    /* No more than full, however long it was quiet; and time does not run backwards. */
    for (int i = 0; i < 10; i++)
        h2_limits_frame(&l, NGHTTP2_PING, 0, 8, 10000000 - (uint64_t)i);
    assert_int_equal(l.abuse, H2_CALM);
    h2_limits_frame(&l, NGHTTP2_PING, 0, 8, 10000000);
    assert_int_equal(l.abuse, H2_ABUSE_PINGS);
}

static void test_requests_and_content_earn(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        h2_limits_frame(&l, NGHTTP2_HEADERS, 0, 30, 1000);
        h2_limits_request(&l);
        frames(NGHTTP2_WINDOW_UPDATE, H2_REQUEST_EARNS);
        frames(NGHTTP2_WINDOW_UPDATE, H2_CONTENT_EARNS);
        h2_limits_content(&l);
    }
    assert_int_equal(l.abuse, H2_CALM);
    for (int i = 0; i < 1000; i++)
        h2_limits_content(&l);
    frames(NGHTTP2_WINDOW_UPDATE, 11); /* what was earned is not more than full */
    assert_int_equal(l.abuse, H2_ABUSE_WINDOWS);
}

static void test_answers_earn_resets(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        frames(NGHTTP2_RST_STREAM, 1);
        h2_limits_answered(&l);
    }
    for (int i = 0; i < 20; i++)
        h2_limits_reset(&l, 1000);
    assert_int_equal(l.abuse, H2_CALM);
    h2_limits_reset(&l, 1000);
    assert_int_equal(l.abuse, H2_ABUSE_RESETS);
    assert_int_equal(h2_abuse_metric(l.abuse), METRIC_ABUSE_RESETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_each_kind_has_its_name, up),
        cmocka_unit_test_setup(test_the_first_kind_counts, up),
        cmocka_unit_test_setup(test_content_is_free, up),
        cmocka_unit_test_setup(test_time_refills, up),
        cmocka_unit_test_setup(test_requests_and_content_earn, up),
        cmocka_unit_test_setup(test_answers_earn_resets, up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
