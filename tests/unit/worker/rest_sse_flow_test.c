/* rest_sse_flow_test - how fast, how far behind, in silence: and what the writer is told meanwhile.
 */
#include "rest_sse_harness.h"

static void life_is_shown_in_silence_only(void **state)
{
    (void)state;
    open_stream("");
    said();
    pass_ms(14900);
    assert_string_equal(said(), "");
    pass_ms(200);
    assert_string_equal(said(), ":\n\n");
    pass_ms(10000);
    publish(1, 1, 0, "a");
    proceed();
    assert_non_null(strstr(said(), "\"seq\":1,"));
    pass_ms(14000);
    assert_string_equal(said(), "");
    pass_ms(1200);
    assert_string_equal(said(), ":\n\n");
    forget();
}

static void a_slow_reader_stops_it_and_loses_nothing(void **state)
{
    (void)state;
    open_stream("");
    R.kernel = R.stream.len;
    said();
    R.room = 10;
    publish(1, 1, 0, "a");
    proceed();
    size_t full = R.stream.len;
    assert_non_null(strstr(said(), "\"seq\":1,"));
    for (uint64_t seq = 2; seq <= 50; seq++)
        publish(1, seq, seq - 1, "b");
    feed_ephemeral(1, "lost");
    feed_end(FEED_COMMIT);
    proceed();
    pass_ms(60000); /* nor does it show life to one who does not look */
    assert_int_equal(R.stream.len, full);
    assert_int_equal(metric(METRIC_EPHEMERAL_MISSED), 1);

    R.kernel = R.stream.len;
    R.room = 64 << 10;
    R.ex.on_drain(&R.ex);
    assert_true(route_due(F.route));
    proceed();
    const char *rest = said();
    uint64_t seq = 2;
    for (const char *at = rest; (at = strstr(at, "\nid: ")) || seq == 2; seq++) {
        char id[64];
        if (seq == 2)
            at = rest - 1;
        snprintf(id, sizeof(id), "id: 9f86d081884c7d65.%llu\n", (unsigned long long)seq);
        assert_int_equal(strncmp(at + 1, id, strlen(id)), 0);
        at++;
    }
    assert_int_equal(seq, 51);
    publish(1, 51, 50, "live again");
    proceed();
    assert_non_null(strstr(said(), "live again"));
    forget();
}

static void a_long_way_behind_is_read_in_pieces(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 2500; seq++)
        store_put(1, seq, seq - 1, "payload-of-some-bytes");
    atomic_store(&F.board->last_seq, 2500);
    open_stream("?cursor=9f86d081884c7d65.0");
    assert_true(R.stream.len < 80 << 10); /* one batch, then the others have their turn */
    R.room = SIZE_MAX;
    while (route_due(F.route) || R.ex.on_drain) {
        R.kernel = R.stream.len;
        R.ex.on_drain(&R.ex);
        size_t before = R.stream.len;
        proceed();
        if (R.stream.len == before)
            break;
    }
    const char *text = said();
    char id[64];
    const char *at = text;
    for (int seq = 1; seq <= 2500; seq++) {
        snprintf(id, sizeof(id), "id: 9f86d081884c7d65.%d\n", seq);
        at = strstr(at, id);
        assert_non_null(at);
    }
    assert_null(strstr(at + 1, "\nid: "));
    forget();
}

static void delivered_is_what_the_kernel_took(void **state)
{
    (void)state;
    open_stream("");
    told();
    publish(1, 1, 0, "a");
    proceed();
    pass_ms(5000);
    told();
    assert_int_equal(T.delivered, 0);
    R.kernel = R.stream.len; /* all of it */
    pass_ms(1200);
    told();
    assert_int_equal(T.delivered, 1);

    publish(1, 2, 1, "b");
    proceed();
    size_t upto = R.stream.len;
    publish(1, 3, 2, "c");
    proceed();
    pass_ms(3000);
    told();
    assert_int_equal(T.delivered, 0);
    R.kernel = upto; /* the second, and not the third */
    pass_ms(3000);
    told();
    assert_int_equal(T.delivered, 2);
    R.kernel = upto + 1; /* a part of the third */
    pass_ms(3000);
    leave();
    told();
    assert_int_equal(T.delivered, 0);
    forget();
}

static void many_messages_are_told_once_a_second(void **state)
{
    (void)state;
    open_stream("");
    told();
    for (uint64_t seq = 1; seq <= 100; seq++) {
        publish(1, seq, seq - 1, "a");
        proceed();
        R.kernel = R.stream.len;
        pass_ms(100);
    }
    told();
    assert_in_range(T.touches, 8, 12);
    leave();
    pass_ms(2000);
    told();
    assert_int_equal(T.delivered, 100);
    forget();
}

static void it_is_attached_from_start_to_end(void **state)
{
    (void)state;
    open_stream("");
    told();
    assert_int_equal(T.attaches, 1);
    assert_int_equal(T.lease_ms, 60000);
    uint64_t connection = T.connection;
    assert_true(connection > COMMAND_POLL_CONNECTION);
    pass_ms(29000);
    told();
    assert_int_equal(T.attaches, 0);
    pass_ms(1200);
    told();
    assert_int_equal(T.attaches, 1);
    assert_int_equal(T.connection, connection);
    leave();
    told();
    assert_int_equal(T.detaches, 1);
    assert_int_equal(T.connection, connection);
    pass_ms(120000);
    told();
    assert_int_equal(T.attaches + T.touches, 0);
    assert_int_equal(F.route->touches.count, 0);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(life_is_shown_in_silence_only),        TEST(a_slow_reader_stops_it_and_loses_nothing),
        TEST(a_long_way_behind_is_read_in_pieces),  TEST(delivered_is_what_the_kernel_took),
        TEST(many_messages_are_told_once_a_second), TEST(it_is_attached_from_start_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
