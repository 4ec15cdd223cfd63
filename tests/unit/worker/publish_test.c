/* publish_test - whose message it is, where it may go, and what its publisher is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "shm/message.h"
#include "worker/publish.h"

#include <errno.h>

static char *scopes[] = {"publish:chat:*"};
static const struct conf_api_key key = {.name = "alice", .scopes = scopes, .nscopes = 1};
static struct conf_namespace spaces[] = {
    {.pattern = "chat:*", .history = 10, .client_publish = true},
    {.pattern = "live:*", .history = 0},
};
static const struct conf conf = {
    .namespaces = spaces, .nnamespaces = 2, .store_durability = CONF_MEMORY};

static struct envelope envelope(const char *idempotency)
{
    return (struct envelope){.flags = MESSAGE_JSON,
                             .ttl_ms = 5,
                             .event = STR("e"),
                             .collapse = STR("c"),
                             .key = str_of(idempotency),
                             .payload = STR("1"),
                             .except = STR("0123456789abcdef"),
                             .target = APPEND_TOPIC,
                             .name = STR("chat:1")};
}

static void each_publisher_has_its_own_keys(void **state)
{
    (void)state;
    const struct session sessions[] = {
        {.id = {1}, .subject = STR("alice")},
        {.id = {2}, .subject = STR("alice")},
        {.id = {1}},
        {.id = {2}},
    };
    static const struct str shown[] = {STR("alice"), STR("alice"), STR("alice"), {"", 0}, {"", 0}};
    struct command_append_item item[5];
    struct digest *digest = NULL;
    struct envelope e = envelope("k");
    for (int i = 0; i < 5; i++) {
        struct publisher by =
            i ? publisher_session(&sessions[i - 1], STR("t")) : publisher_key(&key, STR("t"));
        assert_int_equal(publish_item(&by, &e, &spaces[0], &digest, &item[i]), 0);
        assert_true(item[i].keyed && str_eq(item[i].publisher, shown[i]));
        assert_true(str_is(item[i].trace, "t") && str_is(item[i].id, "k"));
        assert_memory_equal(item[i].content_hash, item[0].content_hash, 16);
    }
    digest_free(digest);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < i; k++)
            assert_int_equal(memcmp(item[i].key_hash, item[k].key_hash, 16) == 0, i == 2 && k == 1);
}

static void what_is_asked(void **state)
{
    (void)state;
    struct command_append_item item;
    struct digest *digest = NULL;
    struct publisher by = publisher_key(&key, STR(""));
    struct envelope e = envelope("");
    assert_int_equal(publish_item(&by, &e, &spaces[0], &digest, &item), 0);
    assert_true(!item.keyed && item.flags == MESSAGE_JSON && item.target == APPEND_TOPIC);
    assert_true(str_is(item.name, "chat:1") && str_is(item.event, "e") && item.ttl_ms == 5);
    assert_true(str_eq(item.except, e.except) && str_is(item.collapse, "c"));
    e.key = STR("k");
    assert_int_equal(publish_item(&by, &e, &spaces[1], &digest, &item), 0);
    assert_true(!item.keyed && item.flags == (MESSAGE_JSON | MESSAGE_EPHEMERAL));
    e.target = APPEND_SESSION; /* by its id: what it was called is not for the writer */
    assert_int_equal(publish_item(&by, &e, NULL, &digest, &item), 0);
    assert_true(item.keyed && item.name.n == 0);
    digest_free(digest);
    digest = NULL;
    failmalloc_arm(1);
    assert_int_equal(publish_item(&by, &e, NULL, &digest, &item), -ENOMEM);
    assert_true(failmalloc_disarm());
}

static void where_it_may_go(void **state)
{
    (void)state;
    const struct principal by_key = {.kind = PRINCIPAL_KEY, .key = &key};
    const struct principal session = {.kind = PRINCIPAL_SESSION};
    const struct principal nobody = {.kind = PRINCIPAL_NONE},
                           bootstrap = {.kind = PRINCIPAL_BOOTSTRAP};
    const struct conf_namespace *ns = NULL;
    const struct str none = {NULL, 0};
    assert_int_equal(publish_check_topic(&conf, &by_key, none, STR("chat:1"), &ns), CODE_OK);
    assert_ptr_equal(ns, &spaces[0]);
    assert_int_equal(publish_check_topic(&conf, &session, none, STR("chat:1"), &ns), CODE_OK);
    ns = NULL;
    static const struct {
        const char *topic;
        enum code key, session;
    } rows[] = {
        {"live:1", CODE_FORBIDDEN, CODE_FORBIDDEN},
        {"nowhere", CODE_FORBIDDEN, CODE_TOPIC_UNKNOWN},
    };
    for (int i = 0; i < 2; i++) {
        struct str topic = str_of(rows[i].topic);
        assert_int_equal(publish_check_topic(&conf, &by_key, none, topic, &ns), rows[i].key);
        assert_int_equal(publish_check_topic(&conf, &session, none, topic, &ns), rows[i].session);
        assert_int_equal(publish_check_topic(&conf, &nobody, none, topic, &ns), CODE_TOKEN_MISSING);
        assert_int_equal(publish_check_topic(&conf, &bootstrap, none, topic, &ns), CODE_FORBIDDEN);
    }
    const struct conf empty = {.nnamespaces = 0};
    assert_int_equal(publish_check_topic(&empty, &by_key, none, STR("chat:1"), &ns),
                     CODE_TOPIC_UNKNOWN);
    assert_null(ns);
}

static enum code read_result(uint32_t code, uint32_t n, const struct append_result *r, size_t len)
{
    unsigned char bytes[64];
    struct append_result result;
    struct pack p = pack_into(bytes, sizeof(bytes));
    pack_u32(&p, code), pack_u32(&p, n), append_result_encode(&p, r);
    struct unpack u = unpack_from(bytes, len);
    return publish_result_read(&u, &result);
}

static void results(void **state)
{
    (void)state;
    const struct append_result good = {.seq = 7}, full = {.code = CODE_STORE_FULL};
    const struct append_result odd = {.code = CODE_COUNT};
    const size_t whole = 8 + APPEND_RESULT_SIZE;
    assert_int_equal(read_result(CODE_OK, 1, &good, whole), CODE_OK);
    assert_int_equal(read_result(CODE_OK, 1, &full, whole), CODE_STORE_FULL);
    assert_int_equal(read_result(CODE_TOPIC_UNKNOWN, 0, &good, 8), CODE_TOPIC_UNKNOWN);
    assert_int_equal(read_result(CODE_OK, 1, &odd, whole), CODE_INTERNAL);
    assert_int_equal(read_result(CODE_COUNT, 0, &good, 8), CODE_INTERNAL);
    assert_int_equal(read_result(CODE_OK, 2, &good, whole), CODE_INTERNAL);
    assert_int_equal(read_result(CODE_OK, 0, &good, 8), CODE_INTERNAL);
    assert_int_equal(read_result(CODE_OK, 1, &good, whole - 1), CODE_INTERNAL);
    assert_int_equal(read_result(CODE_OK, 1, &good, 3), CODE_INTERNAL);
    assert_int_equal(publish_status(CODE_OK, false, false), 201);
    assert_int_equal(publish_status(CODE_OK, true, false), 200);
    assert_int_equal(publish_status(CODE_OK, false, true), 202);
    assert_int_equal(publish_status(CODE_STORE_FULL, false, true), 507);
}

static void words(void **state)
{
    (void)state;
    char memory[512], name[PUBLISH_STREAM_MAX], text[ENVELOPE_NAME_MAX];
    struct buf b;
    const struct append_result r = {.seq = 7, .duplicate = 1};
    buf_fixed(&b, memory, sizeof(memory));
    publish_members(&b, &conf, 0x9f86d081884c7d65, publish_stream(STR("a\""), name), &r, false);
    publish_members(&b, &conf, 0, STR("mailbox"), &r, true);
    buf_append_c(&b, '\0');
    assert_string_equal(memory, "\"seq\":7,\"cursor\":\"9f86d081884c7d65.7\",\"stream\":"
                                "\"topic:a\\\"\",\"durability\":\"memory\",\"duplicate\":true"
                                "\"seq\":null");
    memset(text, 'x', sizeof(text));
    assert_int_equal(publish_stream(str_make(text, sizeof(text)), name).n, 6 + sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_publisher_has_its_own_keys),
        cmocka_unit_test(what_is_asked),
        cmocka_unit_test(where_it_may_go),
        cmocka_unit_test(results),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
