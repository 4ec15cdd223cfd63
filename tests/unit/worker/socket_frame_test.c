/* socket_frame_test - the same objects as frames of both subprotocols, of every length of head. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "worker/route.h"
#include "worker/socket_frame.h"

#define EPOCH UINT64_C(0x9f86d081884c7d65)
#define MEMBERS                                                                                    \
    "\"seq\":7,\"prev\":3,\"cursor\":\"9f86d081884c7d65.7\",\"stream\":\"topic:chat:1\","          \
    "\"id\":\"7\",\"event\":\"message\",\"time\":\"1970-01-01T00:00:01.000Z\","                    \
    "\"content_type\":\"application/json\",\"data\":[1,2]"

static const struct message stored = {
    .seq = 7, .prev = 3, .time_ms = 1000, .flags = MESSAGE_JSON, .payload = STR("[1,2]")};
static const struct message ephemeral = {
    .time_ms = 1000, .flags = MESSAGE_TEXT | MESSAGE_EPHEMERAL, .payload = STR("x")};

/* The payload of the only frame. */
static struct str payload_of(struct str frame, enum ws_opcode opcode)
{
    const unsigned char *p = (const unsigned char *)frame.p;
    assert_true(frame.n > 2);
    assert_int_equal(p[0], 0x80 | opcode);
    size_t n = p[1], head = 2;
    assert_true(n < 128); /* no mask */
    if (n >= 126) {
        head += n == 126 ? 2 : 8;
        n = 0;
        for (size_t i = 2; i < head; i++)
            n = n << 8 | p[i];
        assert_true(n >= (head == 4 ? 126 : 65536));
    }
    assert_int_equal(frame.n, head + n);
    return str_make(frame.p + head, n);
}

static void assert_json(struct str text, const char *want)
{
    if (!str_is(text, want))
        fail_msg("%.*s\nexpected %s", (int)text.n, text.p, want);
}

static void assert_msgpack(struct str text, const char *want)
{
    struct mp_value v;
    struct buf b;
    assert_int_equal(mp_check(text, &v), 0);
    buf_init(&b, 1 << 20);
    assert_int_equal(mp_to_json(v, &b), 0);
    assert_json(buf_str(&b), want);
    buf_free(&b);
}

static void messages_say_what_they_are(void **state)
{
    (void)state;
    struct buf b;
    struct str frame;
    buf_init(&b, 1 << 20);
    assert_int_equal(socket_message_json(&stored, STR("topic:chat:1"), EPOCH, &b, &frame), 0);
    assert_json(payload_of(frame, WS_TEXT), "{\"t\":\"message\"," MEMBERS "}");
    assert_int_equal(socket_message_msgpack(&stored, STR("topic:chat:1"), EPOCH, &b, &frame), 0);
    assert_msgpack(payload_of(frame, WS_BINARY), "{\"t\":\"message\"," MEMBERS "}");
    buf_free(&b);
}

static void ephemerals_too(void **state)
{
    (void)state;
    static const char want[] = "{\"t\":\"message\",\"ephemeral\":true,\"stream\":\"mailbox\","
                               "\"event\":\"message\",\"time\":\"1970-01-01T00:00:01.000Z\","
                               "\"content_type\":\"text/plain\",\"data\":\"x\"}";
    struct buf b;
    struct str frame;
    buf_init(&b, 1 << 20);
    assert_int_equal(socket_message_json(&ephemeral, STR("mailbox"), EPOCH, &b, &frame), 0);
    assert_json(payload_of(frame, WS_TEXT), want);
    assert_int_equal(socket_message_msgpack(&ephemeral, STR("mailbox"), EPOCH, &b, &frame), 0);
    assert_msgpack(payload_of(frame, WS_BINARY), want);
    buf_free(&b);
}

/* As many members as a message can have: the map still has a header of one byte. */
static void the_largest_map(void **state)
{
    (void)state;
    struct message m = stored;
    struct buf b;
    struct str frame;
    struct mp_value v;
    m.flags |= MESSAGE_SKIPPED;
    m.id = STR("key");
    m.event = STR("event");
    m.content_type = STR("application/json");
    m.publisher = STR("backend");
    m.trace = STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    m.expires_ms = 2000;
    buf_init(&b, 1 << 20);
    assert_int_equal(socket_message_msgpack(&m, STR("topic:chat:1"), EPOCH, &b, &frame), 0);
    assert_int_equal(mp_check(payload_of(frame, WS_BINARY), &v), 0);
    assert_int_equal(v.type, MP_MAP);
    assert_int_equal(v.u, 14);
    buf_free(&b);
}

static void heads_of_all_lengths(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 20, 125, 126, 1000, 65535, 65536, 200000};
    struct buf b, text;
    struct str frame;
    buf_init(&b, 1 << 20);
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        buf_reset(&text);
        buf_append_c(&text, '"');
        while (text.len < sizes[i] + 1)
            buf_append_c(&text, 'a');
        buf_append_c(&text, '"');
        for (int e = 0; e < ENCODINGS; e++) {
            assert_int_equal(socket_frame((enum encoding)e, buf_str(&text), &b, &frame), 0);
            struct str payload = payload_of(frame, e == ENCODING_JSON ? WS_TEXT : WS_BINARY);
            struct mp_value v;
            if (e == ENCODING_JSON) {
                assert_true(str_eq(payload, buf_str(&text)));
            } else {
                assert_int_equal(mp_check(payload, &v), 0);
                assert_int_equal(v.bytes.n, sizes[i]);
            }
        }
    }
    buf_free(&b);
    buf_free(&text);
}

static int make_all(void *arg)
{
    (void)arg;
    struct buf b;
    struct str frame;
    int err = 0;
    for (int i = 0; i < 4 && !err; i++) {
        buf_init(&b, 1 << 20);
        if (i == 0)
            err = socket_message_json(&stored, STR("mailbox"), EPOCH, &b, &frame);
        else if (i == 1)
            err = socket_message_msgpack(&stored, STR("mailbox"), EPOCH, &b, &frame);
        else
            err = socket_frame(i == 2 ? ENCODING_JSON : ENCODING_MSGPACK, STR("{\"a\":1}"), &b,
                               &frame);
        buf_free(&b);
    }
    return err;
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    assert_true(failmalloc_each(make_all, NULL) >= 4);
    struct buf b;
    struct str frame;
    buf_init(&b, 40);
    assert_int_equal(socket_message_json(&stored, STR("mailbox"), EPOCH, &b, &frame), -EMSGSIZE);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_say_what_they_are),
        cmocka_unit_test(ephemerals_too),
        cmocka_unit_test(the_largest_map),
        cmocka_unit_test(heads_of_all_lengths),
        cmocka_unit_test(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
