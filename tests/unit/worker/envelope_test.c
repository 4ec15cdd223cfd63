/* envelope_test - what publishers write, row by row: taken as meant, or refused with its code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "shm/message.h"
#include "worker/envelope.h"

#include <errno.h>

#define LIMIT 64

static const struct {
    const char *text, *payload; /* payload NULL: refused */
    unsigned flags;
    uint64_t ttl_ms;
    const char *event, *content_type, *collapse;
    enum code code; /* of a refusal */
} single[] = {
    {"{\"data\":1}", "1", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":null}", "null", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":9007199254740993}", "9007199254740993", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {" { \"data\" : { \"b\" : [ 1 , 2 ] , \"a\" : \" x  y \" } } ",
     "{\"b\":[1,2],\"a\":\" x  y \"}", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":\"a\\u00e4b\"}", "\"a\\u00e4b\"", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":\"a\\u00e4b\",\"content_type\":\"text/plain\"}",
     "a\xc3\xa4"
     "b",
     MESSAGE_TEXT, 0, "", "text/plain", "", CODE_OK},
    {"{\"data\":\"\",\"content_type\":\"TEXT/html\"}", "", MESSAGE_TEXT, 0, "", "TEXT/html", "",
     CODE_OK},
    {"{\"data\":[1],\"content_type\":\"text/plain\"}", "[1]", MESSAGE_JSON, 0, "", "text/plain", "",
     CODE_OK},
    {"{\"data_b64\":\"AAEC\"}", NULL, 0, 0, "", "", "", CODE_OK}, /* judged apart: NUL bytes */
    {"{\"data_b64\":\"aGk=\",\"content_type\":\"image/png\"}", "hi", 0, 0, "", "image/png", "",
     CODE_OK},
    {"{\"data_b64\":\"aG\\u006b=\"}", "hi", 0, 0, "", "", "", CODE_OK},
    {"{\"data_b64\":\"\"}", "", 0, 0, "", "", "", CODE_OK},
    {"{\"data\":1,\"event\":\"order\",\"ttl\":\"1h\",\"collapse\":\"k\"}", "1", MESSAGE_JSON,
     3600000, "order", "", "k", CODE_OK},
    {"{\"data\":1,\"ttl\":5}", "1", MESSAGE_JSON, 5000, "", "", "", CODE_OK},
    {"{\"data\":1,\"ttl\":\"500ms\"}", "1", MESSAGE_JSON, 500, "", "", "", CODE_OK},
    {"{\"data\":1,\"event\":null,\"ttl\":null,\"collapse\":null,\"content_type\":null,"
     "\"ephemeral\":null,\"data_b64\":null}",
     "1", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":1,\"ephemeral\":true}", "1", MESSAGE_JSON | MESSAGE_EPHEMERAL, 0, "", "", "",
     CODE_OK},
    {"{\"data\":1,\"ephemeral\":false}", "1", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":1,\"unknown\":{},\"session\":7,\"except\":null,\"key\":9}", "1", MESSAGE_JSON, 0,
     "", "", "", CODE_OK},
    {"{\"data\":1,\"unknown\":1,\"unknown\":2}", "1", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":{\"a\":1,\"a\":2}}", "{\"a\":1,\"a\":2}", MESSAGE_JSON, 0, "", "", "", CODE_OK},
    {"{\"data\":1,\"ev\\u0065nt\":\"e\\u0301\"}", "1", MESSAGE_JSON, 0, "e\xcc\x81", "", "",
     CODE_OK},

    {"[]", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"\"data\"", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"null", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"event\":\"a\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"data\":2}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"d\\u0061ta\":2}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"event\":\"a\",\"event\":\"a\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"data_b64\":\"aGk=\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data_b64\":7}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data_b64\":\"***\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data_b64\":\"aGk\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"event\":\"\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"event\":7}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"event\":\"a\\nb\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"event\":\"\\u0000\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"event\":\"\\u007f\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"collapse\":\"\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"collapse\":[]}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"content_type\":\"\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":0}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":\"0s\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":-1}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":1.5}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":\"soon\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":true}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":18446744073709551615}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":\"99999999999d\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ttl\":\"40000d\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ephemeral\":1}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
    {"{\"data\":1,\"ephemeral\":\"true\"}", NULL, 0, 0, "", "", "", CODE_BAD_REQUEST},
};

static bool decode(const char *text, bool batch, struct buf *scratch, struct envelope *e,
                   struct envelope_error *error)
{
    struct datum v;
    assert_int_equal(datum_check(ENCODING_JSON, str_of(text), &v), 0);
    return envelope_decode(&v, batch ? 0 : APPEND_SESSION, LIMIT, scratch, e, error);
}

static void assert_str(struct str s, const char *z)
{
    assert_int_equal(s.n, strlen(z));
    assert_memory_equal(s.p ? s.p : "", z, s.n);
}

static void singles(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, 4096);
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        struct envelope e;
        struct envelope_error error = {.code = CODE_OK};
        bool taken = decode(single[i].text, false, &scratch, &e, &error);
        if (taken != (single[i].code == CODE_OK))
            fail_msg("%s: %s", single[i].text, taken ? "taken" : error.why);
        if (!taken) {
            assert_int_equal(error.code, single[i].code);
            assert_true(error.why && *error.why);
            continue;
        }
        if (!single[i].payload)
            continue;
        assert_str(e.payload, single[i].payload);
        assert_int_equal(e.flags, single[i].flags);
        assert_int_equal(e.ttl_ms, single[i].ttl_ms);
        assert_str(e.event, single[i].event);
        assert_str(e.content_type, single[i].content_type);
        assert_str(e.collapse, single[i].collapse);
        assert_int_equal(e.target, APPEND_SESSION);
        assert_int_equal(e.key.n, 0);
    }
    buf_free(&scratch);
}

static void bytes_may_be_any(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, 4096);
    struct envelope e;
    struct envelope_error error;
    assert_true(decode("{\"data_b64\":\"AP8B\"}", false, &scratch, &e, &error));
    assert_int_equal(e.payload.n, 3);
    assert_memory_equal(e.payload.p, "\0\xff\1", 3);
    assert_true(decode("{\"data\":\"a\\u0000b\",\"content_type\":\"text/x\"}", false, &scratch, &e,
                       &error));
    assert_int_equal(e.payload.n, 3);
    assert_memory_equal(e.payload.p, "a\0b", 3);
    buf_free(&scratch);
}

static const struct {
    const char *text;
    int target; /* 0: refused */
    const char *name, *key;
} item[] = {
    {"{\"session\":\"abc\",\"data\":1}", APPEND_SESSION, "abc", ""},
    {"{\"subject\":\"al\\u0069ce\",\"data\":1,\"key\":\"k-1\"}", APPEND_SUBJECT, "alice", "k-1"},
    {"{\"topic\":\"chat:1\",\"data\":1,\"session\":null}", APPEND_TOPIC, "chat:1", ""},
    {"{\"session\":\"abc\",\"data\":1,\"key\":null}", APPEND_SESSION, "abc", ""},
    {"{\"data\":1}", 0, "", ""},
    {"{\"session\":\"a\",\"subject\":\"b\",\"data\":1}", 0, "", ""},
    {"{\"session\":\"a\",\"topic\":\"b\",\"data\":1}", 0, "", ""},
    {"{\"session\":\"a\",\"session\":\"a\",\"data\":1}", 0, "", ""},
    {"{\"session\":7,\"data\":1}", 0, "", ""},
    {"{\"session\":\"\",\"data\":1}", 0, "", ""},
    {"{\"subject\":\"a\\u0001\",\"data\":1}", 0, "", ""},
    {"{\"session\":\"a\",\"data\":1,\"key\":\"\"}", 0, "", ""},
    {"{\"session\":\"a\",\"data\":1,\"key\":1}", 0, "", ""},
    {"{\"session\":\"a\"}", 0, "", ""},
    {"1", 0, "", ""},
    {"[]", 0, "", ""},
};

static void items(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, 4096);
    for (size_t i = 0; i < sizeof(item) / sizeof(item[0]); i++) {
        struct envelope e;
        struct envelope_error error;
        bool taken = decode(item[i].text, true, &scratch, &e, &error);
        if (taken != (item[i].target != 0))
            fail_msg("%s", item[i].text);
        if (!taken) {
            assert_int_equal(error.code, CODE_BAD_REQUEST);
            continue;
        }
        assert_int_equal(e.target, item[i].target);
        assert_str(e.name, item[i].name);
        assert_str(e.key, item[i].key);
    }
    buf_free(&scratch);
}

/* The same JSON text as MessagePack, decoded. */
static bool decode_as_msgpack(const char *text, bool batch, struct buf *bytes, struct buf *scratch,
                              struct envelope *e, struct envelope_error *error)
{
    struct json_value json;
    struct datum v;
    buf_reset(bytes);
    assert_int_equal(json_check(str_of(text), &json), 0);
    assert_int_equal(mp_from_json(json, bytes), 0);
    assert_int_equal(datum_check(ENCODING_MSGPACK, buf_str(bytes), &v), 0);
    return envelope_decode(&v, batch ? 0 : APPEND_SESSION, LIMIT, scratch, e, error);
}

/* The payload that the same JSON value is in MessagePack. */
static void assert_msgpack_payload(struct str payload, const char *json)
{
    struct buf want;
    struct json_value v;
    buf_init(&want, 4096);
    assert_int_equal(json_check(str_of(json), &v), 0);
    assert_int_equal(mp_from_json(v, &want), 0);
    assert_true(str_eq(payload, buf_str(&want)));
    buf_free(&want);
}

static void singles_as_msgpack(void **state)
{
    (void)state;
    struct buf bytes, scratch;
    buf_init(&bytes, 4096);
    buf_init(&scratch, 4096);
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        struct envelope e;
        struct envelope_error error = {.code = CODE_OK};
        bool taken = decode_as_msgpack(single[i].text, false, &bytes, &scratch, &e, &error);
        if (taken != (single[i].code == CODE_OK))
            fail_msg("%s: %s", single[i].text, taken ? "taken" : error.why);
        if (!taken || !single[i].payload)
            continue;
        if (single[i].flags & MESSAGE_JSON)
            assert_msgpack_payload(e.payload, single[i].payload);
        else
            assert_str(e.payload, single[i].payload);
        unsigned json = single[i].flags & MESSAGE_JSON;
        assert_int_equal(e.flags, (single[i].flags & ~json) | (json ? MESSAGE_MSGPACK : 0));
        assert_int_equal(e.ttl_ms, single[i].ttl_ms);
        assert_str(e.event, single[i].event);
        assert_str(e.content_type, single[i].content_type);
        assert_str(e.collapse, single[i].collapse);
    }
    for (size_t i = 0; i < sizeof(item) / sizeof(item[0]); i++) {
        struct envelope e;
        struct envelope_error error;
        bool taken = decode_as_msgpack(item[i].text, true, &bytes, &scratch, &e, &error);
        if (taken != (item[i].target != 0))
            fail_msg("%s", item[i].text);
        if (!taken)
            continue;
        assert_int_equal(e.target, item[i].target);
        assert_str(e.name, item[i].name);
        assert_str(e.key, item[i].key);
    }
    buf_free(&bytes);
    buf_free(&scratch);
}

static void what_only_msgpack_can_say(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        bool taken;
        struct str payload;
        unsigned flags;
    } rows[] = {
        {STR("\x81\xa4"
             "data\xc4\x03\x00\xff\x01"),
         true, STR("\x00\xff\x01"), 0},
        {STR("\x82\xa4"
             "data\xc4\x02hi\xac"
             "content_type\xa9image/png"),
         true, STR("hi"), 0},
        {STR("\x81\xa4"
             "data\x91\xc4\x01z"),
         true, STR("\x91\xc4\x01z"), MESSAGE_MSGPACK},
        /* widths that nobody needs are kept */
        {STR("\xdf\x00\x00\x00\x01\xd9\x04"
             "data\xd3\x00\x00\x00\x00\x00\x00\x00\x01"),
         true, STR("\xd3\x00\x00\x00\x00\x00\x00\x00\x01"), MESSAGE_MSGPACK},
        /* bytes are no text */
        {STR("\x82\xa4"
             "data\x01\xa5"
             "event\xc4\x01z"),
         false, STR(""), 0},
        {STR("\x81\xa8"
             "data_b64\xc4\x04"
             "aGk="),
         false, STR(""), 0},
        {STR("\x91\x01"), false, STR(""), 0},
    };
    struct buf scratch;
    buf_init(&scratch, 4096);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct envelope e;
        struct envelope_error error;
        struct datum v;
        assert_int_equal(datum_check(ENCODING_MSGPACK, rows[i].bytes, &v), 0);
        assert_int_equal(envelope_decode(&v, APPEND_SESSION, LIMIT, &scratch, &e, &error),
                         rows[i].taken);
        if (!rows[i].taken) {
            assert_int_equal(error.code, CODE_BAD_REQUEST);
            continue;
        }
        assert_true(str_eq(e.payload, rows[i].payload));
        assert_int_equal(e.flags, rows[i].flags);
    }
    buf_free(&scratch);
}

static void msgpack_payload_ceiling(void **state)
{
    (void)state;
    struct buf bytes, scratch;
    buf_init(&bytes, 4096);
    buf_init(&scratch, 4096);
    for (size_t n = LIMIT - 3; n <= LIMIT + 1; n++) {
        struct envelope e;
        struct envelope_error error;
        struct datum v;
        char fill[LIMIT + 1];
        memset(fill, 'x', sizeof(fill));
        buf_reset(&bytes);
        size_t at = mp_map_begin(&bytes);
        mp_put_str(&bytes, STR("data"));
        mp_put_str(&bytes, str_make(fill, n)); /* two bytes longer with its header */
        mp_map_end(&bytes, at, 1);
        assert_int_equal(datum_check(ENCODING_MSGPACK, buf_str(&bytes), &v), 0);
        bool taken = envelope_decode(&v, APPEND_SESSION, LIMIT, &scratch, &e, &error);
        assert_int_equal(taken, n + 2 <= LIMIT);
        if (!taken)
            assert_int_equal(error.code, CODE_TOO_LARGE);
    }
    buf_free(&bytes);
    buf_free(&scratch);
}

static void ceilings(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, 1 << 16);
    struct envelope e;
    struct envelope_error error;
    char text[2048], name[300];
    memset(name, 'n', sizeof(name));
    for (int n = 254; n <= 256; n++) {
        const char *members[] = {"event", "collapse", "content_type", "key", "subject"};
        for (size_t i = 0; i < 5; i++) {
            snprintf(text, sizeof(text), "{\"data\":1,%s\"%s\":\"%.*s\"}",
                     i == 4 ? "" : "\"session\":\"s\",", members[i], n, name);
            assert_int_equal(decode(text, true, &scratch, &e, &error), n <= ENVELOPE_NAME_MAX);
        }
    }
    /* The payload, as it would be stored: quotes count in JSON, not in text. */
    for (int n = LIMIT - 1; n <= LIMIT + 1; n++) {
        snprintf(text, sizeof(text), "{\"data\":\"%.*s\"}", n - 2, name);
        assert_int_equal(decode(text, false, &scratch, &e, &error), n <= LIMIT);
        snprintf(text, sizeof(text), "{\"data\":\"%.*s\",\"content_type\":\"text/a\"}", n, name);
        bool taken = decode(text, false, &scratch, &e, &error);
        assert_int_equal(taken, n <= LIMIT);
        if (!taken)
            assert_int_equal(error.code, CODE_TOO_LARGE);
    }
    buf_free(&scratch);
}

static void payloads_with_headers(void **state)
{
    (void)state;
    struct envelope e;
    struct envelope_error error;
    struct envelope_headers none = {.event = {NULL, 0}};
    assert_true(envelope_of_payload(&none, STR("\xff\0"), LIMIT, &e, &error));
    assert_int_equal(e.flags, 0);
    assert_int_equal(e.payload.n, 2);
    assert_int_equal(e.content_type.n, 0);

    struct envelope_headers all = {.content_type = STR("text/plain; charset=utf-8"),
                                   .event = STR("note"),
                                   .ttl = STR("90s"),
                                   .collapse = STR("k")};
    assert_true(envelope_of_payload(&all, STR("h\xc3\xa4"), LIMIT, &e, &error));
    assert_int_equal(e.flags, MESSAGE_TEXT);
    assert_int_equal(e.ttl_ms, 90000);
    assert_str(e.event, "note");
    assert_str(e.collapse, "k");
    assert_true(envelope_of_payload(&all, STR("\xff"), LIMIT, &e, &error));
    assert_int_equal(e.flags, 0); /* text that is none */

    struct envelope_headers bad[] = {{.ttl = STR("soon")},
                                     {.ttl = STR("0")},
                                     {.ttl = STR("")},
                                     {.event = STR("")},
                                     {.event = STR("a\xff")},
                                     {.collapse = STR("")},
                                     {.content_type = STR("a\x01")}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(envelope_of_payload(&bad[i], STR("x"), LIMIT, &e, &error));
        assert_int_equal(error.code, CODE_BAD_REQUEST);
    }
    char big[LIMIT + 1] = {0};
    assert_true(envelope_of_payload(&none, str_make(big, LIMIT), LIMIT, &e, &error));
    assert_false(envelope_of_payload(&none, str_make(big, LIMIT + 1), LIMIT, &e, &error));
    assert_int_equal(error.code, CODE_TOO_LARGE);
}

static void hashes(void **state)
{
    (void)state;
    struct digest *d;
    assert_int_equal(digest_new(&d), 0);
    uint8_t a[16], b[16];
    envelope_key_hash(d, STR("key"), STR("ab"), STR("c"), a);
    envelope_key_hash(d, STR("key"), STR("a"), STR("bc"), b);
    assert_memory_not_equal(a, b, 16);
    envelope_key_hash(d, STR("key"), STR("ab"), STR("c"), b);
    assert_memory_equal(a, b, 16);

    const struct envelope base = {.flags = MESSAGE_JSON,
                                  .ttl_ms = 1,
                                  .event = STR("e"),
                                  .content_type = STR("c"),
                                  .collapse = STR("k"),
                                  .payload = STR("1")};
    envelope_content_hash(d, &base, a);
    struct envelope other = base;
    other.key = STR("not content");
    other.name = STR("nor this");
    envelope_content_hash(d, &other, b);
    assert_memory_equal(a, b, 16);
    for (int i = 0; i < 7; i++) {
        other = base;
        if (i == 0)
            other.flags = MESSAGE_TEXT;
        if (i == 1)
            other.ttl_ms = 2;
        if (i == 2)
            other.event = STR("");
        if (i == 3)
            other.content_type = STR("d");
        if (i == 4)
            other.collapse = STR("");
        if (i == 5)
            other.payload = STR("2");
        if (i == 6)
            other.except = STR("0123456789abcdef");
        envelope_content_hash(d, &other, b);
        assert_memory_not_equal(a, b, 16);
    }
    digest_free(d);
}

static int decode_once(void *arg)
{
    (void)arg;
    struct buf scratch;
    buf_init(&scratch, 4096);
    struct envelope e;
    struct envelope_error error = {.code = CODE_OK};
    bool taken =
        decode("{\"data\":\"\\n\",\"content_type\":\"text/a\"}", false, &scratch, &e, &error);
    buf_free(&scratch);
    if (!taken)
        assert_int_equal(error.code, CODE_UNAVAILABLE);
    return taken ? 0 : -ENOMEM;
}

static void no_memory_is_unavailable(void **state)
{
    (void)state;
    assert_true(failmalloc_each(decode_once, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(singles),
        cmocka_unit_test(bytes_may_be_any),
        cmocka_unit_test(items),
        cmocka_unit_test(singles_as_msgpack),
        cmocka_unit_test(what_only_msgpack_can_say),
        cmocka_unit_test(msgpack_payload_ceiling),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(payloads_with_headers),
        cmocka_unit_test(hashes),
        cmocka_unit_test(no_memory_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
