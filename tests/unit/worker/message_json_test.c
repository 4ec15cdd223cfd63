/* message_json_test - the message object, to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "common/json.h"
#include "shm/message.h"
#include "worker/route.h"

#include <errno.h>

#define EPOCH UINT64_C(0x9f86d081884c7d65)
#define TIME UINT64_C(1795434601123) /* 2026-11-23T11:50:01.123Z */

static const struct {
    struct message m;
    const char *text;
} golden[] = {
    {{.seq = 1042,
      .prev = 1038,
      .time_ms = TIME,
      .flags = MESSAGE_JSON | MESSAGE_KEYED,
      .id = STR("order-77"),
      .payload = STR("{\"any\":\"json\"}")},
     "{\"seq\":1042,\"prev\":1038,\"cursor\":\"9f86d081884c7d65.1042\",\"stream\":\"mailbox\","
     "\"id\":\"order-77\",\"event\":\"message\",\"time\":\"2026-11-23T11:50:01.123Z\","
     "\"content_type\":\"application/json\",\"data\":{\"any\":\"json\"}}"},
    {{.seq = 7,
      .prev = 3,
      .time_ms = TIME,
      .expires_ms = TIME + 1000,
      .flags = MESSAGE_TEXT | MESSAGE_SKIPPED,
      .event = STR("a \"b\""),
      .publisher = STR("back\\end"),
      .trace = STR("00-1-2-01"),
      .collapse = STR("not shown"),
      .payload = STR("two\nlines \xc3\xa4")},
     "{\"seq\":7,\"prev\":3,\"cursor\":\"9f86d081884c7d65.7\",\"skipped\":true,"
     "\"stream\":\"mailbox\",\"id\":\"7\",\"event\":\"a \\\"b\\\"\","
     "\"time\":\"2026-11-23T11:50:01.123Z\",\"content_type\":\"text/plain\","
     "\"data\":\"two\\nlines \xc3\xa4\",\"publisher\":\"back\\\\end\",\"trace\":\"00-1-2-01\","
     "\"expires_at\":\"2026-11-23T11:50:02.123Z\"}"},
    {{.seq = UINT64_MAX,
      .time_ms = TIME,
      .content_type = STR("image/png"),
      .payload = {"\x00\xff\x10\x80", 4}},
     "{\"seq\":18446744073709551615,\"prev\":0,"
     "\"cursor\":\"9f86d081884c7d65.18446744073709551615\",\"stream\":\"mailbox\","
     "\"id\":\"18446744073709551615\",\"event\":\"message\",\"time\":\"2026-11-23T11:50:01.123Z\","
     "\"content_type\":\"image/png\",\"data_b64\":\"AP8QgA==\"}"},
    {{.time_ms = TIME, .flags = MESSAGE_EPHEMERAL},
     "{\"ephemeral\":true,\"stream\":\"mailbox\",\"event\":\"message\","
     "\"time\":\"2026-11-23T11:50:01.123Z\",\"content_type\":\"application/octet-stream\","
     "\"data_b64\":\"\"}"},
    {{.time_ms = TIME,
      .flags = MESSAGE_EPHEMERAL | MESSAGE_TEXT,
      .id = STR("k"),
      .payload = STR("")},
     "{\"ephemeral\":true,\"stream\":\"mailbox\",\"id\":\"k\",\"event\":\"message\","
     "\"time\":\"2026-11-23T11:50:01.123Z\",\"content_type\":\"text/plain\",\"data\":\"\"}"},
};

static void golden_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        struct buf b;
        buf_init(&b, 4096);
        assert_int_equal(message_json(&golden[i].m, STR("mailbox"), EPOCH, &b), 0);
        buf_append_c(&b, '\0');
        assert_string_equal((const char *)b.data, golden[i].text);
        assert_int_equal(json_check(str_of(golden[i].text), NULL), 0);
        buf_free(&b);
    }
}

static void it_appends(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    buf_append_c(&b, '[');
    assert_int_equal(message_json(&golden[0].m, STR("topic:chat \"1\""), EPOCH, &b), 0);
    assert_memory_equal(b.data, "[{\"seq\":1042", 12);
    buf_append_c(&b, '\0');
    assert_non_null(strstr((const char *)b.data, "\"stream\":\"topic:chat \\\"1\\\"\""));
    buf_free(&b);
}

static void past_the_ceiling_is_an_error(void **state)
{
    (void)state;
    for (size_t max = 0; max < strlen(golden[2].text); max++) {
        struct buf b;
        buf_init(&b, max);
        assert_int_equal(message_json(&golden[2].m, STR("mailbox"), EPOCH, &b), -EMSGSIZE);
        buf_free(&b);
    }
}

static int render(void *arg)
{
    (void)arg;
    struct buf b;
    buf_init(&b, 4096);
    int err = message_json(&golden[1].m, STR("mailbox"), EPOCH, &b);
    buf_free(&b);
    return err;
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(failmalloc_each(render, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_texts),
        cmocka_unit_test(it_appends),
        cmocka_unit_test(past_the_ceiling_is_an_error),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
