/* socket_test - the life of a session over a WebSocket: hello, messages in order, what room and
 * memory allow, and what was delivered.
 */
#include "socket_harness.h"

#define HELLO(cursor)                                                                              \
    "{\"t\":\"hello\",\"session\":\"AQEBAQEBAQEBAQEBAQEBAQ\",\"cursor\":"                          \
    "\"9f86d081884c7d65." cursor "\",\"heartbeat\":25}"

static const char *message(uint64_t seq, uint64_t prev, const char *payload)
{
    static char text[512];
    snprintf(text, sizeof(text),
             "{\"t\":\"message\",\"seq\":%llu,\"prev\":%llu,\"cursor\":\"9f86d081884c7d65.%llu\","
             "\"stream\":\"mailbox\",\"id\":\"%llu\",\"event\":\"message\","
             "\"time\":\"1970-01-01T00:00:01.000Z\",\"content_type\":\"text/plain\","
             "\"data\":\"%s\"}",
             (unsigned long long)seq, (unsigned long long)prev, (unsigned long long)seq,
             (unsigned long long)seq, payload);
    return text;
}

static struct {
    unsigned touches, attaches, detaches;
    uint64_t delivered, connection, lease_ms;
    uint8_t takes;
} T;

/* What the writer was told since the last look. */
static void told(void)
{
    struct command_header h;
    struct unpack body;
    memset(&T, 0, sizeof(T));
    while (take_command(&h, &body)) {
        struct command_touch touch;
        struct command_attach attach;
        struct command_ack detach;
        if (h.type == COMMAND_TOUCH) {
            assert_int_equal(command_touch_decode(&body, &touch), 0);
            T.touches++;
            if (touch.delivered)
                T.delivered = touch.delivered;
        } else if (h.type == COMMAND_ATTACH) {
            assert_int_equal(command_attach_decode(&body, &attach), 0);
            assert_true(str_is(attach.transport, "websocket"));
            assert_true(str_is(attach.remote, "127.0.0.1:9"));
            T.attaches++;
            T.connection = attach.connection;
            T.lease_ms = attach.lease_ms;
            T.takes = attach.takes;
        } else if (h.type == COMMAND_DETACH) {
            assert_int_equal(command_ack_decode(&body, &detach), 0);
            T.detaches++;
            T.connection = detach.seq;
        }
    }
}

static void hello_then_messages(void **state)
{
    (void)state;
    store_put(1, 1, 0, "a");
    atomic_store(&F.board->last_seq, 1);
    open_socket("", "");
    char want[1024];
    snprintf(want, sizeof(want), "%s\n%s", HELLO("0"), message(1, 0, "a"));
    assert_hears(want);
    assert_string_equal(W.protocol, "");
    assert_string_equal(W.key, "dGhlIHNhbXBsZSBub25jZQ==");
    publish(1, 2, 1, "b");
    publish(1, 3, 2, "c");
    proceed();
    snprintf(want, sizeof(want), "%s\n", message(2, 1, "b"));
    strcat(want, message(3, 2, "c"));
    assert_hears(want);
    assert_open();
}

static void in_msgpack_all_the_same(void **state)
{
    (void)state;
    open_socket("", MSGPACK_PROTOCOL);
    assert_string_equal(W.protocol, "restante.v1.msgpack");
    assert_hears(HELLO("0"));
    publish(1, 1, 0, "a");
    proceed();
    assert_hears(message(1, 0, "a"));
}

static void from_a_cursor(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 3; seq++)
        store_put(1, seq, seq - 1, "a");
    atomic_store(&F.board->last_seq, 3);
    open_socket("&cursor=9f86d081884c7d65.2", JSON_PROTOCOL);
    char want[1024];
    snprintf(want, sizeof(want), "%s\n%s", HELLO("2"), message(3, 2, "a"));
    assert_hears(want);
}

static void a_foreign_cursor_is_told_and_all_comes(void **state)
{
    (void)state;
    store_put(1, 5, 0, "a");
    atomic_store(&F.board->last_seq, 5);
    static const char *const cursors[][2] = {{"0123456789abcdef.3", "epoch"},
                                             {"9f86d081884c7d65.6", "ahead"}};
    for (size_t i = 0; i < 2; i++) {
        char query[64], want[1024];
        snprintf(query, sizeof(query), "&cursor=%s", cursors[i][0]);
        open_socket(query, "");
        snprintf(want, sizeof(want),
                 "%s\n{\"t\":\"reset\",\"reason\":\"%s\",\"oldest\":\"9f86d081884c7d65.0\","
                 "\"newest\":\"9f86d081884c7d65.5\"}\n%s",
                 HELLO("0"), cursors[i][1], message(5, 0, "a"));
        assert_hears(want);
        close_socket();
    }
}

static void a_heartbeat_of_odd_length(void **state)
{
    (void)state;
    F.conf.server_heartbeat = 1500;
    open_socket("", "");
    assert_hears_of("\"heartbeat\":1.500}");
}

static void what_retention_took_is_told(void **state)
{
    (void)state;
    F.trimmed = 3;
    store_put(1, 4, 3, "a");
    atomic_store(&F.board->last_seq, 4);
    open_socket("&cursor=9f86d081884c7d65.1", MSGPACK_PROTOCOL);
    const char *heard = hear();
    assert_non_null(strstr(heard, message(4, 3, "a")));
    assert_non_null(strstr(heard, "\n{\"t\":\"truncated\",\"streams\":[{\"stream\":"
                                  "\"mailbox\",\"from\":2,\"to\":3}]}"));
}

static void a_read_that_fails_is_taken_back(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 3; seq++)
        store_put(1, seq, seq - 1, "a");
    atomic_store(&F.board->last_seq, 3);
    F.fail_reads = 1;
    F.fail_with = -EUCLEAN;
    F.fail_after = 2;
    open_socket("", "");
    const char *heard = hear();
    const char *first = strstr(heard, "\"seq\":1,");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"seq\":1,"));
    assert_non_null(strstr(first, "\"seq\":3,"));
}

static void who_does_not_read_stops_and_loses_nothing(void **state)
{
    (void)state;
    connect_socket("");
    W.ws.room = 10;
    W.ws.kernel = W.ws.out.len;
    publish(1, 1, 0, "a");
    proceed();
    assert_hears(message(1, 0, "a"));
    assert_true(W.ws.paused); /* nor is it read from */
    size_t held = W.ws.out.len;
    for (uint64_t seq = 2; seq <= 50; seq++)
        publish(1, seq, seq - 1, "b");
    feed_ephemeral(1, "lost");
    feed_end(FEED_COMMIT);
    proceed();
    pass_ms(60000);
    proceed();
    assert_int_equal(W.ws.out.len, held);
    assert_int_equal(metric(METRIC_EPHEMERAL_MISSED), 1);

    W.ws.room = WS_OUT_MAX;
    drain_socket();
    assert_false(W.ws.paused);
    assert_true(route_due(F.route));
    proceed();
    const char *at = hear();
    for (uint64_t seq = 2; seq <= 50; seq++) {
        char id[64];
        snprintf(id, sizeof(id), "{\"t\":\"message\",\"seq\":%llu,", (unsigned long long)seq);
        assert_int_equal(strncmp(at, id, strlen(id)), 0);
        at = strchrnul(at, '\n') + 1;
    }
    publish(1, 51, 50, "live");
    proceed();
    assert_hears(message(51, 50, "live"));
}

static void a_long_way_behind_is_read_in_batches(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 2500; seq++)
        store_put(1, seq, seq - 1, "payload-of-some-bytes");
    atomic_store(&F.board->last_seq, 2500);
    open_socket("", "");
    assert_true(W.ws.out.len < 80 << 10); /* one batch, then the others have their turn */
    for (int i = 0; i < 100; i++) {
        proceed();
        assert_true(ws_backlog(&W.ws) < 160 << 10);
        drain_socket();
    }
    const char *at = hear();
    for (int seq = 1; seq <= 2500; seq++) {
        char id[64];
        snprintf(id, sizeof(id), "\"seq\":%d,\"prev\":%d,", seq, seq - 1);
        at = strstr(at, id);
        assert_non_null(at);
    }
    assert_open();
}

static void live_messages_go_as_they_are(void **state)
{
    (void)state;
    connect_socket("");
    unsigned pages = F.pages;
    size_t writes = W.ws.writes;
    for (uint64_t seq = 1; seq <= 10; seq++)
        publish(1, seq, seq - 1, "a");
    proceed();
    assert_int_equal(F.pages, pages);
    assert_int_equal(W.ws.writes, writes + 10);
}

static void delivered_is_what_the_kernel_took(void **state)
{
    (void)state;
    connect_socket("");
    W.ws.kernel = W.ws.out.len;
    told();
    publish(1, 1, 0, "a");
    proceed();
    pass_ms(5000);
    told();
    assert_int_equal(T.delivered, 0);
    W.ws.kernel = W.ws.out.len;
    pass_ms(1200);
    told();
    assert_int_equal(T.delivered, 1);

    publish(1, 2, 1, "b");
    proceed();
    size_t upto = W.ws.out.len;
    publish(1, 3, 2, "c");
    proceed();
    pass_ms(3000);
    told();
    assert_int_equal(T.delivered, 0);
    W.ws.kernel = upto; /* the second, and not the third */
    pass_ms(3000);
    told();
    assert_int_equal(T.delivered, 2);
    W.ws.kernel = upto + 1; /* a part of the third */
    close_socket();
    told();
    assert_int_equal(T.delivered, 0);
}

static void what_is_out_when_it_closes_counts(void **state)
{
    (void)state;
    connect_socket("");
    told();
    publish(1, 1, 0, "a");
    proceed();
    W.ws.kernel = W.ws.out.len;
    close_socket();
    told();
    assert_int_equal(T.delivered, 1);
}

static void many_messages_are_told_once_a_second(void **state)
{
    (void)state;
    connect_socket("");
    told();
    for (uint64_t seq = 1; seq <= 100; seq++) {
        publish(1, seq, seq - 1, "a");
        proceed();
        W.ws.kernel = W.ws.out.len;
        pass_ms(100);
    }
    told();
    assert_in_range(T.touches, 8, 12);
    assert_in_range(T.delivered, 89, 100);
}

static void it_is_attached_from_start_to_end(void **state)
{
    (void)state;
    connect_socket("");
    told();
    assert_int_equal(T.attaches, 1);
    assert_int_equal(T.lease_ms, 62500);
    assert_int_equal(T.takes, 1);
    uint64_t connection = T.connection;
    assert_true(connection > COMMAND_POLL_CONNECTION);
    pass_ms(31000);
    told();
    assert_int_equal(T.attaches, 0);
    pass_ms(500);
    told();
    assert_int_equal(T.attaches, 1);
    assert_int_equal(T.connection, connection);
    close_socket();
    told();
    assert_int_equal(T.detaches, 1);
    assert_int_equal(T.connection, connection);
    pass_ms(120000);
    told();
    assert_int_equal(T.attaches + T.touches, 0);
    assert_int_equal(route_pickups(F.route), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_then_messages),
        TEST(in_msgpack_all_the_same),
        TEST(from_a_cursor),
        TEST(a_foreign_cursor_is_told_and_all_comes),
        TEST(a_heartbeat_of_odd_length),
        TEST(what_retention_took_is_told),
        TEST(a_read_that_fails_is_taken_back),
        TEST(who_does_not_read_stops_and_loses_nothing),
        TEST(a_long_way_behind_is_read_in_batches),
        TEST(live_messages_go_as_they_are),
        TEST(delivered_is_what_the_kernel_took),
        TEST(what_is_out_when_it_closes_counts),
        TEST(many_messages_are_told_once_a_second),
        TEST(it_is_attached_from_start_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
