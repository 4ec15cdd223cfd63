/* message_msgpack_test - the message map: member for member what the JSON object says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "common/msgpack.h"
#include "shm/message.h"
#include "worker/route.h"

#define EPOCH UINT64_C(0x9f86d081884c7d65)
#define TIME UINT64_C(1795434601123) /* 2026-11-23T11:50:01.123Z */

/* Bytes are data_b64 in JSON and data here: they are judged apart. */
static const struct message alike[] = {
    {.seq = 1042,
     .prev = 1038,
     .time_ms = TIME,
     .flags = MESSAGE_JSON | MESSAGE_KEYED,
     .id = STR("order-77"),
     .payload = STR("{\"b\":[9007199254740993,-1,0.5,null],\"a\":{\"\":\"\xc3\xa4\\n\"}}")},
    {.seq = UINT64_MAX,
     .prev = UINT64_MAX - 1,
     .time_ms = TIME,
     .expires_ms = TIME + 1000,
     .flags = MESSAGE_TEXT | MESSAGE_SKIPPED,
     .event = STR("a \"b\""),
     .publisher = STR("back\\end"),
     .trace = STR("00-1-2-01"),
     .collapse = STR("not shown"),
     .payload = STR("two\nlines \xc3\xa4")},
    {.seq = 1, .time_ms = TIME, .flags = MESSAGE_MSGPACK, .payload = STR("\x92\xc3\xcd\x01\x00")},
    {.seq = 2, .time_ms = TIME, .flags = MESSAGE_MSGPACK, .payload = STR("\xc0")},
    {.seq = 3,
     .time_ms = TIME,
     .flags = MESSAGE_JSON,
     .content_type = STR("application/vnd.x+json"),
     .payload = STR("18446744073709551615")},
    {.time_ms = TIME, .flags = MESSAGE_EPHEMERAL | MESSAGE_JSON, .payload = STR("\"\\u0000\"")},
    {.time_ms = TIME, .flags = MESSAGE_EPHEMERAL | MESSAGE_TEXT, .id = STR("k")},
};

static void says_what_json_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(alike) / sizeof(alike[0]); i++) {
        struct buf bytes, json, want;
        struct mp_value v;
        buf_init(&bytes, 4096);
        buf_init(&json, 4096);
        buf_init(&want, 4096);
        assert_int_equal(message_msgpack(&alike[i], STR("mailbox"), EPOCH, &bytes), 0);
        assert_int_equal(mp_check(buf_str(&bytes), &v), 0);
        assert_int_equal(bytes.data[0], 0x80 | v.u); /* a header of one byte, to be counted up */
        assert_true(v.u < 15);
        assert_int_equal(mp_to_json(v, &json), 0);
        assert_int_equal(message_json(&alike[i], STR("mailbox"), EPOCH, &want), 0);
        assert_int_equal(json.len, want.len);
        assert_memory_equal(json.data, want.data, want.len);
        buf_free(&bytes);
        buf_free(&json);
        buf_free(&want);
    }
}

static struct mp_value data_of(const struct message *m, struct buf *b)
{
    static const char *const names[] = {"data", "data_b64", "content_type"};
    struct mp_value v, member[3];
    assert_int_equal(message_msgpack(m, STR("topic:x"), EPOCH, b), 0);
    assert_int_equal(mp_check(buf_str(b), &v), 0);
    assert_int_equal(mp_pick(v, names, 3, member), 0);
    assert_null(member[1].raw.p);
    assert_true(str_eq(member[2].bytes, message_content_type(m)));
    return member[0];
}

static void payloads_are_native(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    struct message m = {.seq = 7, .payload = STR("\x00\xff")};
    struct mp_value v = data_of(&m, &b);
    assert_true(v.type == MP_BIN && str_eq(v.bytes, m.payload));
    assert_true(str_is(message_content_type(&m), "application/octet-stream"));
    buf_reset(&b);
    m = (struct message){.seq = 7, .flags = MESSAGE_MSGPACK, .payload = STR("\xd9\x01z")};
    v = data_of(&m, &b);
    assert_true(str_eq(v.raw, m.payload)); /* byte for byte, in the width it came in */
    assert_true(str_is(message_content_type(&m), "application/msgpack"));
    buf_reset(&b);
    m = (struct message){.seq = 7, .flags = MESSAGE_TEXT, .payload = STR("z")};
    v = data_of(&m, &b);
    assert_true(v.type == MP_STR && str_is(v.bytes, "z"));
    buf_free(&b);
}

static void bytes_inside_are_base64_in_json(void **state)
{
    (void)state;
    struct buf b;
    const struct message m = {.seq = 7,
                              .time_ms = TIME,
                              .flags = MESSAGE_MSGPACK,
                              .payload = STR("\x91\xc4\x02\x00\xff")};
    buf_init(&b, 4096);
    assert_int_equal(message_json(&m, STR("mailbox"), EPOCH, &b), 0);
    buf_append_c(&b, '\0');
    assert_non_null(
        strstr((char *)b.data, "\"content_type\":\"application/msgpack\",\"data\":[\"AP8=\"]}"));
    buf_free(&b);
}

static void every_ceiling_is_heeded(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(message_msgpack(&alike[1], STR("mailbox"), EPOCH, &b), 0);
    size_t whole = b.len;
    buf_free(&b);
    for (size_t max = 0; max < whole; max++) {
        buf_init(&b, max);
        assert_int_equal(message_msgpack(&alike[1], STR("mailbox"), EPOCH, &b), -EMSGSIZE);
        buf_free(&b);
    }
}

static int make(void *arg)
{
    struct buf b;
    buf_init(&b, 4096);
    int err = message_msgpack(arg, STR("mailbox"), EPOCH, &b);
    buf_free(&b);
    return err;
}

static void no_memory(void **state)
{
    (void)state;
    struct message m = alike[0];
    assert_true(failmalloc_each(make, &m) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_json_says),
        cmocka_unit_test(payloads_are_native),
        cmocka_unit_test(bytes_inside_are_base64_in_json),
        cmocka_unit_test(every_ceiling_is_heeded),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
