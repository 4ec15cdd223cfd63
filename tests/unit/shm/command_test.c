/* command_test - every record both ways, cut at every byte, and past every ceiling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/message.h"

#include "command_codecs.h"

static char text[300]; /* longer than any string may be */
static char ids[20 * SESSION_ID_SIZE];

static struct str x(size_t n)
{
    return str_make(text, n);
}

static int setup(void **state)
{
    (void)state;
    memset(text, 'x', sizeof(text));
    return 0;
}

/* Encodes into memory of exactly its size. */
static unsigned char *encoded(const struct codec *c, const union any *v, size_t *ret_n)
{
    *ret_n = c->size(v);
    unsigned char *p = malloc(*ret_n);
    assert_non_null(p);
    struct pack k = pack_into(p, *ret_n);
    c->encode(&k, v);
    assert_false(k.bad);
    assert_int_equal(pack_len(&k), *ret_n);
    return p;
}

static void expect_refused(const struct codec *c, const unsigned char *p, size_t n)
{
    union any got, before;
    memset(&got, 0xee, sizeof(got));
    before = got;
    struct unpack u = unpack_from(p, n);
    if (c->decode(&u, &got) != -EBADMSG)
        fail_msg("%s of %zu bytes was taken", c->name, n);
    assert_memory_equal(&got, &before, sizeof(got));
}

/* Decodes and encodes to the same bytes; every shorter record is refused; a longer one is left to
 * the caller; an encoder without room says so. */
static void accept(const struct codec *c, const union any *v)
{
    size_t n, again_n;
    unsigned char *p = encoded(c, v, &n);
    union any got;
    memset(&got, 0, sizeof(got));
    struct unpack u = unpack_from(p, n);
    assert_int_equal(c->decode(&u, &got), 0);
    assert_true(unpack_done(&u));
    unsigned char *again = encoded(c, &got, &again_n);
    assert_int_equal(again_n, n);
    assert_memory_equal(again, p, n);

    for (size_t cut = 0; cut < n; cut++) {
        unsigned char *shorter = malloc(cut ? cut : 1);
        memcpy(shorter, p, cut);
        expect_refused(c, shorter, cut);
        struct pack k = pack_into(shorter, cut);
        c->encode(&k, v);
        assert_true(k.bad);
        free(shorter);
    }
    unsigned char *longer = malloc(n + 3);
    memcpy(longer, p, n);
    memset(longer + n, 0, 3);
    u = unpack_from(longer, n + 3);
    assert_int_equal(c->decode(&u, &got), 0);
    assert_false(unpack_done(&u));
    assert_ptr_equal(u.p, longer + n);
    free(longer);
    free(again);
    free(p);
}

static void refuse(const struct codec *c, const union any *v)
{
    size_t n;
    unsigned char *p = encoded(c, v, &n);
    expect_refused(c, p, n);
    free(p);
}

#define ID                                                                                         \
    {                                                                                              \
        1, 2, 3                                                                                    \
    }

static void test_headers(void **state)
{
    (void)state;
    for (uint32_t type = 1; type < COMMAND_TYPES; type++)
        accept(&command_header, &(union any){.header = {.type = type, .generation = 7, .id = 9}});
    accept(&command_header, &(union any){.header = {.type = COMMAND_TOUCH}});
    refuse(&command_header, &(union any){.header = {.type = 0, .id = 9}});
    refuse(&command_header, &(union any){.header = {.type = COMMAND_TYPES, .id = 9}});
    refuse(&command_header, &(union any){.header = {.type = UINT32_MAX, .id = 9}});

    accept(&completion_header, &(union any){.done = {.code = CODE_COUNT - 1, .id = UINT64_MAX}});
    refuse(&completion_header, &(union any){.done = {.code = CODE_COUNT}});
}

static void test_open(void **state)
{
    (void)state;
    accept(&command_open, &(union any){.open = {.session = ID}});
    union any v = {.open = {.session = ID,
                            .subject = x(255),
                            .name = x(255),
                            .attributes = STR("{\"a\":1}"),
                            .claims = STR("[\"chat:*\"]"),
                            .topics = STR("\x01"
                                          "a"
                                          "\x02"
                                          "bc"),
                            .ttl_ms = 600000}};
    accept(&command_open, &v);
    v.open.subject = x(256);
    refuse(&command_open, &v);
    v.open.subject = x(5);
    v.open.name = x(256);
    refuse(&command_open, &v);
    refuse(&command_open, &(union any){.open = {.subject = x(5)}}); /* no session */
}

static void test_patch_touch_ack(void **state)
{
    (void)state;
    accept(&command_patch, &(union any){.patch = {.session = ID}});
    accept(&command_patch, &(union any){.patch = {.session = ID, .attributes = x(300)}});
    refuse(&command_patch, &(union any){.patch = {.ttl_ms = 1}});
    accept(&command_touch, &(union any){.touch = {.session = ID, .delivered = 1042}});
    accept(&command_touch, &(union any){.touch = {.session = ID}});
    refuse(&command_touch, &(union any){.touch = {.delivered = 1}});
    accept(&command_ack,
           &(union any){.ack = {.session = ID, .seq = UINT64_MAX, .generation = UINT64_MAX}});
    accept(&command_ack, &(union any){.ack = {.session = ID}});
    refuse(&command_ack, &(union any){.ack = {.seq = 1}});
}

static void test_attach(void **state)
{
    (void)state;
    const union any good = {.attach = {.session = ID,
                                       .connection = COMMAND_POLL_CONNECTION,
                                       .transport = STR("poll"),
                                       .remote = STR("127.0.0.1:53211"),
                                       .lease_ms = 30000}};
    accept(&command_attach, &good);
    union any v = good;
    v.attach.transport = x(COMMAND_TRANSPORT_MAX);
    v.attach.remote = x(COMMAND_REMOTE_MAX);
    accept(&command_attach, &v);
    v.attach.remote = x(0);
    v.attach.takes = 1;
    accept(&command_attach, &v);
    v.attach.takes = 2;
    refuse(&command_attach, &v);
    v.attach.takes = 0;
    v.attach.remote = x(COMMAND_REMOTE_MAX + 1);
    refuse(&command_attach, &v);
    v = good;
    v.attach.transport = x(COMMAND_TRANSPORT_MAX + 1);
    refuse(&command_attach, &v);
    v.attach.transport = x(0);
    refuse(&command_attach, &v);
    v = good;
    v.attach.connection = 0;
    refuse(&command_attach, &v);
    v = good;
    memset(v.attach.session, 0, SESSION_ID_SIZE);
    refuse(&command_attach, &v);
}

static void test_subscribe_and_empty(void **state)
{
    (void)state;
    union any v = {.subscribe = {.session = ID, .topic = x(1)}};
    accept(&command_subscribe, &v);
    v.subscribe.generation = UINT64_MAX;
    v.subscribe.topic = x(COMMAND_STRING_MAX);
    accept(&command_subscribe, &v);
    v.subscribe.topic = x(COMMAND_STRING_MAX + 1);
    refuse(&command_subscribe, &v);
    v.subscribe.topic = x(0);
    refuse(&command_subscribe, &v);
    refuse(&command_subscribe, &(union any){.subscribe = {.topic = x(5)}}); /* no session */

    v.subscribe.topic = x(5);
    const struct str sound[] = {STR(COMMAND_UNTRACK), STR("{}"), STR("{\"a\":1}")};
    const struct str wrong[] = {STR("nul"), STR("{"), STR("1"), STR("[]"), STR("{]"), STR(" {}")};
    for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
        v.subscribe.presence = sound[i];
        accept(&command_subscribe, &v);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        v.subscribe.presence = wrong[i];
        refuse(&command_subscribe, &v);
    }
    static char large[COMMAND_PRESENCE_MAX + 1];
    memset(large, ' ', sizeof(large));
    large[0] = '{';
    large[COMMAND_PRESENCE_MAX - 1] = large[COMMAND_PRESENCE_MAX] = '}';
    v.subscribe.presence = str_make(large, COMMAND_PRESENCE_MAX);
    accept(&command_subscribe, &v);
    v.subscribe.presence = str_make(large, COMMAND_PRESENCE_MAX + 1);
    refuse(&command_subscribe, &v);

    accept(&command_empty, &(union any){.empty = {.topic = x(1)}});
    accept(&command_empty, &(union any){.empty = {.topic = x(COMMAND_STRING_MAX)}});
    refuse(&command_empty, &(union any){.empty = {.topic = x(COMMAND_STRING_MAX + 1)}});
    refuse(&command_empty, &(union any){.empty = {.topic = x(0)}});

    accept(&completion_subscribe, &(union any){.subscribed = {.join = 0}});
    accept(&completion_subscribe, &(union any){.subscribed = {.join = UINT64_MAX}});
}

static void test_append_heads(void **state)
{
    (void)state;
    accept(&command_append, &(union any){.append = {.count = 1}});
    accept(&command_append, &(union any){.append = {.session = ID, .count = COMMAND_APPEND_ITEMS}});
    accept(&command_append, &(union any){.append = {.session = ID, .generation = 7, .count = 1}});
    refuse(&command_append, &(union any){.append = {.count = 0}});
    refuse(&command_append, &(union any){.append = {.count = COMMAND_APPEND_ITEMS + 1}});
    refuse(&command_append, &(union any){.append = {.count = UINT32_MAX}});
    /* A generation of nobody's. */
    refuse(&command_append, &(union any){.append = {.generation = 7, .count = 1}});
}

static void test_append_items(void **state)
{
    (void)state;
    union any v = {.item = {.target = APPEND_SESSION, .session = ID, .flags = MESSAGE_TEXT}};
    accept(&command_append_item, &v);
    v.item.target = APPEND_SUBJECT;
    v.item.name = STR("alice");
    accept(&command_append_item, &v);
    v.item.target = APPEND_TOPIC;
    v.item.name = x(255);
    v.item.keyed = 1;
    memset(v.item.key_hash, 1, sizeof(v.item.key_hash));
    memset(v.item.content_hash, 2, sizeof(v.item.content_hash));
    v.item.ttl_ms = 1;
    v.item.id = v.item.event = v.item.content_type = x(255);
    v.item.publisher = v.item.trace = v.item.collapse = x(255);
    v.item.payload = x(300);
    accept(&command_append_item, &v);
    for (size_t n = 1; n <= MESSAGE_EXCEPT_MAX; n++) {
        v.item.except = x(n * SESSION_ID_SIZE);
        accept(&command_append_item, &v);
    }
}

static void test_append_items_carry_only_what_applies(void **state)
{
    (void)state;
    union any v = {.item = {.target = APPEND_SESSION, .session = ID, .name = STR("lost")}};
    memset(v.item.key_hash, 1, sizeof(v.item.key_hash));
    size_t n;
    unsigned char *p = encoded(&command_append_item, &v, &n);
    struct unpack u = unpack_from(p, n);
    struct command_append_item got;
    assert_int_equal(command_append_item_decode(&u, &got), 0);
    assert_int_equal(got.name.n, 0);
    static const uint8_t zero[16];
    assert_memory_equal(got.key_hash, zero, sizeof(zero));
    free(p);
}

static void test_bad_append_items(void **state)
{
    (void)state;
    const union any good = {.item = {.target = APPEND_SESSION, .session = ID}};
    static const size_t strings[] = {
        offsetof(struct command_append_item, id),
        offsetof(struct command_append_item, event),
        offsetof(struct command_append_item, content_type),
        offsetof(struct command_append_item, publisher),
        offsetof(struct command_append_item, trace),
        offsetof(struct command_append_item, collapse),
    };
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        union any v = good;
        struct str over = x(256);
        memcpy((char *)&v.item + strings[i], &over, sizeof(over));
        refuse(&command_append_item, &v);
    }
    union any v = good;
    memset(v.item.session, 0, SESSION_ID_SIZE);
    refuse(&command_append_item, &v);
    for (unsigned target = 0; target < 256; target += target == 0 ? 4 : 1) {
        v = good;
        v.item.target = (uint8_t)target;
        v.item.name = x(5);
        refuse(&command_append_item, &v);
    }
    for (uint8_t target = APPEND_SUBJECT; target <= APPEND_TOPIC; target++) {
        v = good;
        v.item.target = target;
        refuse(&command_append_item, &v); /* no name */
        v.item.name = x(256);
        refuse(&command_append_item, &v);
    }
    v = good;
    v.item.keyed = 2;
    refuse(&command_append_item, &v);
    for (uint8_t target = APPEND_SESSION; target <= APPEND_TOPIC; target++) {
        v = good;
        v.item.target = target;
        v.item.name = x(5);
        static const size_t whole[] = {1, MESSAGE_EXCEPT_MAX, MESSAGE_EXCEPT_MAX + 1, 20};
        for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
            v.item.except = str_make(ids, whole[i] * SESSION_ID_SIZE);
            if (target != APPEND_TOPIC || whole[i] > MESSAGE_EXCEPT_MAX)
                refuse(&command_append_item, &v); /* of topics only; too many */
            v.item.except.n--;
            refuse(&command_append_item, &v); /* not whole ids */
        }
    }
}

static void test_append_flags(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 65536; flags++) {
        unsigned formats = flags & (MESSAGE_JSON | MESSAGE_TEXT | MESSAGE_MSGPACK);
        unsigned rest = flags & ~formats & ~(unsigned)MESSAGE_EPHEMERAL;
        bool good = rest == 0 && (formats == 0 || formats == MESSAGE_JSON ||
                                  formats == MESSAGE_TEXT || formats == MESSAGE_MSGPACK);
        union any v = {.item = {.target = APPEND_SESSION, .session = ID, .flags = (uint16_t)flags}};
        unsigned char p[256];
        struct pack k = pack_into(p, sizeof(p));
        command_append_item_encode(&k, &v.item);
        struct unpack u = unpack_from(p, pack_len(&k));
        assert_int_equal(command_append_item_decode(&u, &v.item), good ? 0 : -EBADMSG);
    }
}

/* A length that says more than there is, up to the largest. */
static void test_lying_lengths(void **state)
{
    (void)state;
    union any v = {.open = {.session = ID, .subject = x(10)}};
    static const uint32_t lies[] = {55, 200, 255, 256, 65536, INT32_MAX, UINT32_MAX};
    size_t n;
    unsigned char *p = encoded(&command_open, &v, &n);
    for (size_t at = SESSION_ID_SIZE; at <= n - 4; at++) {
        unsigned char was[4];
        memcpy(was, p + at, 4);
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
            memcpy(p + at, &lies[i], 4);
            struct unpack u = unpack_from(p, n);
            struct command_open got;
            if (command_open_decode(&u, &got) == 0)
                assert_true(got.subject.n <= 255 && u.p <= u.end);
        }
        memcpy(p + at, was, 4);
    }
    memcpy(p + SESSION_ID_SIZE, &lies[6], 4);
    expect_refused(&command_open, p, n);
    free(p);
}

static void test_completions(void **state)
{
    (void)state;
    union any v = {.session = {.session = ID, .created = 1}};
    accept(&completion_session, &v);
    v.session.created = 2;
    refuse(&completion_session, &v);
    v.session.created = 0;
    accept(&completion_session, &v);
    memset(v.session.session, 0, SESSION_ID_SIZE);
    refuse(&completion_session, &v);

    accept(&append_result, &(union any){.result = {.code = CODE_OK, .duplicate = 1, .seq = 7}});
    accept(&append_result, &(union any){.result = {.session = ID, .code = CODE_MAILBOX_FULL}});
    refuse(&append_result, &(union any){.result = {.code = CODE_COUNT}});
    refuse(&append_result, &(union any){.result = {.duplicate = 2}});
}

static void test_the_largest_completion(void **state)
{
    (void)state;
    assert_int_equal(append_completion_max(0, 0, 100), 0);
    assert_int_equal(append_completion_max(1, 0, 100), 8 + APPEND_RESULT_SIZE);
    assert_int_equal(append_completion_max(2, 3, 100),
                     2 * (8 + APPEND_RESULT_SIZE) + 3 * (8 + 100 * APPEND_RESULT_SIZE));
    assert_true(append_completion_max(SIZE_MAX, 0, 0) == SIZE_MAX);
    assert_true(append_completion_max(0, SIZE_MAX, 1) == SIZE_MAX);
    assert_true(append_completion_max(0, 1, SIZE_MAX) == SIZE_MAX);
    assert_true(append_completion_max(1, 1, SIZE_MAX / APPEND_RESULT_SIZE) == SIZE_MAX);
    assert_true(append_completion_max(SIZE_MAX / 50, SIZE_MAX / 50, 1) == SIZE_MAX);
}

static void test_control_records(void **state)
{
    (void)state;
    accept(&feed_session_end, &(union any){.end = {.stream = 77, .session = ID}});
    refuse(&feed_session_end, &(union any){.end = {.session = ID}});
    refuse(&feed_session_end, &(union any){.end = {.stream = 77}});

    const union any joined = {.fed = {.mailbox = 1, .topic = 2, .name = STR("chat:lobby")}};
    union any v = joined;
    accept(&feed_subscribe, &v); /* before anything was ever published */
    v.fed.join = UINT64_MAX;
    v.fed.name = x(COMMAND_STRING_MAX);
    accept(&feed_subscribe, &v);
    accept(&feed_unsubscribe, &v);
    v.fed.name = x(COMMAND_STRING_MAX + 1);
    refuse(&feed_subscribe, &v);
    v.fed.name = x(0);
    refuse(&feed_subscribe, &v);
    for (int i = 0; i < 2; i++) {
        v = joined;
        *(i ? &v.fed.mailbox : &v.fed.topic) = 0;
        refuse(&feed_subscribe, &v);
        refuse(&feed_unsubscribe, &v);
    }

    const union any fence = {.fence = {.mailbox = 1, .connection = UINT64_MAX, .generation = 9}};
    accept(&feed_fence, &fence);
    for (size_t i = 0; i < 3; i++) {
        v = fence;
        uint64_t *const member[] = {&v.fence.mailbox, &v.fence.connection, &v.fence.generation};
        *member[i] = 0;
        refuse(&feed_fence, &v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_patch_touch_ack),
        cmocka_unit_test(test_attach),
        cmocka_unit_test(test_subscribe_and_empty),
        cmocka_unit_test(test_append_heads),
        cmocka_unit_test(test_append_items),
        cmocka_unit_test(test_append_items_carry_only_what_applies),
        cmocka_unit_test(test_bad_append_items),
        cmocka_unit_test(test_append_flags),
        cmocka_unit_test(test_lying_lengths),
        cmocka_unit_test(test_completions),
        cmocka_unit_test(test_the_largest_completion),
        cmocka_unit_test(test_control_records),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
