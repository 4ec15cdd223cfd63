/* message_test - one entry, one encoding, and nothing read outside of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/message.h"

static void assert_str(struct str got, struct str want)
{
    assert_int_equal(got.n, want.n);
    if (want.n)
        assert_memory_equal(got.p, want.p, want.n);
}

static void assert_same(const struct message *got, const struct message *want)
{
    assert_int_equal(got->prev, want->prev);
    assert_int_equal(got->time_ms, want->time_ms);
    assert_int_equal(got->expires_ms, want->expires_ms);
    assert_int_equal(got->flags, want->flags);
    assert_str(got->id, want->id);
    assert_str(got->event, want->event);
    assert_str(got->content_type, want->content_type);
    assert_str(got->publisher, want->publisher);
    assert_str(got->trace, want->trace);
    assert_str(got->collapse, want->collapse);
    assert_str(got->except, want->except);
    assert_str(got->payload, want->payload);
}

/* In memory of exactly its size, so that the sanitizers and valgrind see every step outside. */
static unsigned char *encoded(const struct message *m, size_t *ret_n)
{
    *ret_n = message_size(m);
    unsigned char *p = malloc(*ret_n);
    assert_non_null(p);
    message_encode(m, p);
    return p;
}

static void round_trip(const struct message *m)
{
    size_t n;
    unsigned char *p = encoded(m, &n);
    struct message got = {.seq = 4242};
    assert_int_equal(message_decode(p, n, &got), 0);
    assert_same(&got, m);
    assert_int_equal(got.seq, 4242); /* the key's, not the value's */
    free(p);
}

/* Sessions 1, 2, 3, ... */
static struct str sessions(size_t n)
{
    static uint8_t ids[MESSAGE_EXCEPT_MAX + 1][SESSION_ID_SIZE];
    for (size_t i = 0; i <= MESSAGE_EXCEPT_MAX; i++)
        ids[i][SESSION_ID_SIZE - 1] = (uint8_t)(i + 1);
    return str_make(ids, n * SESSION_ID_SIZE);
}

static struct message sample(void)
{
    return (struct message){
        .prev = UINT64_MAX - 1,
        .time_ms = 1763899801123,
        .expires_ms = 1763903401123,
        .flags = MESSAGE_JSON | MESSAGE_KEYED | MESSAGE_SKIPPED,
        .id = STR("order-77"),
        .event = STR("order"),
        .content_type = STR("application/json"),
        .publisher = STR("backend"),
        .trace = STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        .collapse = STR("state"),
        .payload = STR("{\"any\":9007199254740993}"),
    };
}

static void test_round_trips(void **state)
{
    (void)state;
    struct message m = sample();
    round_trip(&m);
    m.expires_ms = 0;
    round_trip(&m);
    round_trip(&(struct message){0});
    round_trip(&(struct message){.expires_ms = UINT64_MAX, .payload = STR("")});
    for (unsigned flags = 0; flags < 64; flags++) {
        m.flags = (uint16_t)flags;
        round_trip(&m);
    }
}

static void test_strings_reach_255_bytes(void **state)
{
    (void)state;
    char text[256];
    memset(text, 'x', sizeof(text));
    struct str longest = str_make(text, 255);
    struct message m = {.id = longest,
                        .event = longest,
                        .content_type = longest,
                        .publisher = longest,
                        .trace = longest,
                        .collapse = longest,
                        .payload = longest,
                        .expires_ms = 1};
    round_trip(&m);
    assert_int_equal(message_size(&m), 24 + 8 + 7 * 255);
}

static void test_the_value_is_small(void **state)
{
    (void)state;
    char payload[128] = {0};
    struct message m = {.flags = MESSAGE_TEXT, .payload = str_make(payload, sizeof(payload))};
    assert_int_equal(message_size(&m), 128 + 24);
    m.expires_ms = 1;
    assert_int_equal(message_size(&m), 128 + 32);
    m.except = sessions(2); /* who excepts nobody pays nothing for it */
    assert_int_equal(message_size(&m), 128 + 32 + 1 + 2 * SESSION_ID_SIZE);
}

static void test_except(void **state)
{
    (void)state;
    struct message m = sample(), got;
    for (size_t n = 0; n <= MESSAGE_EXCEPT_MAX; n++) {
        m.except = sessions(n);
        round_trip(&m);
        for (size_t i = 0; i <= MESSAGE_EXCEPT_MAX; i++) {
            const uint8_t *id = (const uint8_t *)sessions(0).p + i * SESSION_ID_SIZE;
            assert_int_equal(message_excepts(&m, id), i < n);
        }
    }
    m.except = sessions(1);
    m.expires_ms = 0;
    m.payload = str_make(NULL, 0);
    size_t n;
    unsigned char *p = encoded(&m, &n);
    assert_int_equal(p[24], 1);
    assert_int_equal(message_decode(p, n, &got), 0);
    p[24] = 10; /* more than there are */
    assert_int_equal(message_decode(p, n, &got), -EBADMSG);
    free(p);
    static const char zeros[300 * SESSION_ID_SIZE];
    m.payload = str_make(zeros, sizeof(zeros));
    p = encoded(&m, &n);
    assert_int_equal(message_decode(p, n, &got), 0);
    /* None is not written at all; more than there can be, though the bytes are there. */
    static const uint8_t bad[] = {0, MESSAGE_EXCEPT_MAX + 1, 255};
    for (size_t i = 0; i < sizeof(bad); i++) {
        p[24] = bad[i];
        assert_int_equal(message_decode(p, n, &got), -EBADMSG);
    }
    free(p);
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    struct message m = sample();
    m.except = sessions(3);
    size_t whole, fixed;
    unsigned char *p = encoded(&m, &whole);
    fixed = whole - m.payload.n;
    for (size_t n = 0; n <= whole; n++) {
        unsigned char *cut = malloc(n ? n : 1);
        memcpy(cut, p, n);
        struct message got = {.flags = 99};
        /* The payload is what remains, so only what stands before it can be missed. */
        assert_int_equal(message_decode(cut, n, &got), n < fixed ? -EBADMSG : 0);
        assert_int_equal(got.flags, n < fixed ? 99 : m.flags);
        free(cut);
    }
    free(p);
}

static void test_what_we_never_write_is_refused(void **state)
{
    (void)state;
    struct message m = sample(), got;
    size_t n;
    unsigned char *p = encoded(&m, &n);
    uint16_t flags;
    memcpy(&flags, p + 16, 2);
    for (unsigned bit = 0x40; bit < 0x8000; bit <<= 1) { /* flags of no message */
        uint16_t bad = (uint16_t)(flags | bit);
        memcpy(p + 16, &bad, 2);
        assert_int_equal(message_decode(p, n, &got), -EBADMSG);
    }
    memcpy(p + 16, &flags, 2);
    assert_int_equal(message_decode(p, n, &got), 0);
    memset(p + 24, 0, 8); /* an expiry that is none */
    assert_int_equal(message_decode(p, n, &got), -EBADMSG);
    free(p);
}

/* --- feed bodies --- */

static void test_feed_bodies(void **state)
{
    (void)state;
    struct message m = sample(), got = {.seq = 5};
    m.except = sessions(2);
    struct feed_target targets[3] = {
        {.stream = 1, .seq = 10, .prev = 4},
        {.stream = 2, .seq = 11, .prev = 0, .flags = MESSAGE_SKIPPED},
        {.stream = UINT64_MAX, .seq = 0, .flags = FEED_TARGET_TOPIC | MESSAGE_SKIPPED},
    };
    for (size_t n = 1; n <= 3; n++) {
        size_t size = feed_message_size(&m, n);
        assert_int_equal(size, 4 + 32 * n + message_size(&m));
        unsigned char *p = malloc(size);
        feed_message_encode(&m, targets, n, p);
        const unsigned char *at = NULL;
        uint32_t count = 0;
        assert_int_equal(feed_message_decode(str_make(p, size), &got, &at, &count), 0);
        assert_int_equal(count, n);
        assert_memory_equal(at, targets, n * sizeof(targets[0]));
        assert_same(&got, &m);
        free(p);
    }
}

static void test_bad_feed_bodies(void **state)
{
    (void)state;
    struct message m = sample();
    struct feed_target targets[2] = {{.stream = 1, .seq = 10}, {.stream = 2, .seq = 11}};
    size_t size = feed_message_size(&m, 2), fixed = size - m.payload.n;
    unsigned char *p = malloc(size);
    feed_message_encode(&m, targets, 2, p);
    const unsigned char *at = p;
    uint32_t count = 77;
    struct message got = {.flags = 99};
    for (size_t n = 0; n < fixed; n++) {
        unsigned char *cut = malloc(n ? n : 1);
        memcpy(cut, p, n);
        assert_int_equal(feed_message_decode(str_make(cut, n), &got, &at, &count), -EBADMSG);
        free(cut);
    }
    static const uint32_t counts[] = {0, 1000, 1u << 27, (1u << 27) + 2, UINT32_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        memcpy(p, &counts[i], 4);
        assert_int_equal(feed_message_decode(str_make(p, size), &got, &at, &count), -EBADMSG);
    }
    assert_ptr_equal(at, p);
    assert_int_equal(count, 77);
    assert_int_equal(got.flags, 99);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_strings_reach_255_bytes),
        cmocka_unit_test(test_the_value_is_small),
        cmocka_unit_test(test_except),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_what_we_never_write_is_refused),
        cmocka_unit_test(test_feed_bodies),
        cmocka_unit_test(test_bad_feed_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
