/* rest_sse_harness - event streams over the fake transport: opening them, what was said since, and
 * what the writer was told.
 */
#ifndef TESTS_UNIT_WORKER_REST_SSE_HARNESS_H
#define TESTS_UNIT_WORKER_REST_SSE_HARNESS_H

#include "rest_harness.h"

#define EVENTS "Accept: text/event-stream"

static int up(void **state)
{
    int err = rest_open(state);
    F.conf.server_keepalive = 15000;
    F.conf.server_retry = 2000;
    return err;
}

HARNESS_UNUSED static void open_with(const char *method, const char *query, const char *more)
{
    char headers[512], rest[256];
    snprintf(headers, sizeof(headers), "%s\n" EVENTS "%s%s", token_of(0), more ? "\n" : "",
             more ? more : "");
    snprintf(rest, sizeof(rest), "/messages%s", query);
    say(at_session(method, 0, rest), headers, NULL);
}

HARNESS_UNUSED static void open_stream(const char *query)
{
    open_with("GET", query, NULL);
    if (R.begun != 1 || R.answers)
        fail_msg("no stream: %d %s", R.ex.out_status, answer());
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(R.ex.out_type, "text/event-stream");
}

/* All that was said on this stream. */
HARNESS_UNUSED static const char *all_said(void)
{
    static char text[1 << 20];
    snprintf(text, sizeof(text), "%.*s", (int)R.stream.len, (const char *)R.stream.data);
    return text;
}

/* What was said since the last look, without the first advice. */
HARNESS_UNUSED static const char *said(void)
{
    static char text[1 << 20];
    static size_t seen;
    if (R.kernel == 0 && R.stream.len < seen)
        seen = 0;
    const char *all = (const char *)R.stream.data;
    snprintf(text, sizeof(text), "%.*s", (int)(R.stream.len - seen), all ? all + seen : "");
    seen = R.stream.len;
    char *advice = strstr(text, "retry: ");
    return advice == text ? strstr(text, "\n\n") + 2 : text;
}

HARNESS_UNUSED static void forget(void) /* before a new stream: said() begins anew */
{
    buf_reset(&R.stream);
    R.kernel = 0;
    said();
}

HARNESS_UNUSED static void object(char *to, size_t size, uint64_t seq, uint64_t prev,
                                  const char *payload)
{
    snprintf(to, size,
             "id: 9f86d081884c7d65.%llu\nevent: message\n"
             "data: {\"seq\":%llu,\"prev\":%llu,\"cursor\":\"9f86d081884c7d65.%llu\","
             "\"stream\":\"mailbox\",\"id\":\"%llu\",\"event\":\"message\","
             "\"time\":\"1970-01-01T00:00:01.000Z\",\"content_type\":\"text/plain\","
             "\"data\":\"%s\"}\n\n",
             (unsigned long long)seq, (unsigned long long)seq, (unsigned long long)prev,
             (unsigned long long)seq, (unsigned long long)seq, payload);
}

static struct {
    unsigned touches, attaches, detaches;
    uint64_t delivered, connection, lease_ms;
} T;

/* What the writer was told since the last look. */
HARNESS_UNUSED static void told(void)
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
            assert_true(str_is(attach.transport, "sse"));
            assert_true(str_is(attach.remote, "127.0.0.1:9"));
            T.attaches++;
            T.connection = attach.connection;
            T.lease_ms = attach.lease_ms;
        } else if (h.type == COMMAND_DETACH) {
            assert_int_equal(command_ack_decode(&body, &detach), 0);
            T.detaches++;
            T.connection = detach.seq;
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, rest_close)

#endif
