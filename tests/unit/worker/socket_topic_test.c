/* socket_topic_test - subscriptions and publishes by WebSocket: what is sent, what is answered, and
 * who may.
 */
#include "socket_harness.h"

#define ERROR(code, why) "{\"t\":\"error\",\"re\":1,\"code\":\"" code "\",\"detail\":\"" why "\"}"
#define FORBIDDEN ERROR("forbidden", "Not allowed")
#define UNKNOWN ERROR("topic_unknown", "No such topic")
#define PUBLISH(topic) "{\"t\":\"publish\",\"n\":1,\"topic\":\"" topic "\",\"data\":7}"

static struct conf_namespace namespaces[] = {
    {.pattern = "chat:*", .history = 10, .client_publish = true},
    {.pattern = "news:*", .history = 10},
    {.pattern = "room:*", .history = 10, .client_publish = true, .join_claim = true},
    {.pattern = "live:*", .history = 0, .client_publish = true},
    {.pattern = "here:*", .presence = true},
};

static int topics_up(void **state)
{
    int err = socket_up(state);
    F.conf.namespaces = namespaces;
    F.conf.nnamespaces = 5;
    return err;
}

/* Session 0 by an API key. */
static void connect_by(const char *key)
{
    char query[128], headers[512];
    snprintf(query, sizeof(query), "?session=%s", sid(0));
    snprintf(headers, sizeof(headers), UPGRADE "\n%s", key);
    ask(query, headers);
    hand_wire();
    hear();
}

static uint64_t expect_change(enum command_type type, const char *topic, const char *presence)
{
    struct unpack body;
    struct command_subscribe c;
    uint64_t id = expect_command(type, &body);
    assert_int_equal(command_subscribe_decode(&body, &c), 0);
    assert_memory_equal(c.session, F.session[0].id, SESSION_ID_SIZE);
    assert_true(str_is(c.topic, topic) && str_is(c.presence, presence));
    return id;
}

static uint64_t expect_subscribe(enum command_type type, const char *topic)
{
    return expect_change(type, topic, "");
}

static void complete_subscribe(uint64_t id, uint64_t join)
{
    unsigned char bytes[COMPLETION_SUBSCRIBE_SIZE];
    struct pack p = pack_into(bytes, sizeof(bytes));
    completion_subscribe_encode(&p, &(struct completion_subscribe){.join = join});
    complete(id, CODE_OK, bytes, sizeof(bytes));
    proceed();
}

/* The item of the APPEND that was sent; views live until the next command. */
static uint64_t expect_append(struct command_append_item *ret)
{
    struct unpack body;
    struct command_append head;
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    assert_int_equal(command_append_decode(&body, &head), 0);
    assert_memory_equal(head.session, F.session[0].id, SESSION_ID_SIZE);
    assert_int_equal(head.count, 1);
    assert_int_equal(command_append_item_decode(&body, ret), 0);
    return id;
}

static void complete_append(uint64_t id, enum code code, uint64_t seq, bool duplicate)
{
    unsigned char bytes[8 + APPEND_RESULT_SIZE];
    struct pack p = pack_into(bytes, sizeof(bytes));
    pack_u32(&p, code);
    pack_u32(&p, code == CODE_OK);
    if (code == CODE_OK)
        append_result_encode(&p, &(struct append_result){.seq = seq, .duplicate = duplicate});
    complete(id, CODE_OK, bytes, code == CODE_OK ? sizeof(bytes) : 8);
    proceed();
}

static void subscribes_and_unsubscribes(void **state)
{
    (void)state;
    static const char *const protocols[] = {JSON_PROTOCOL, MSGPACK_PROTOCOL};
    for (size_t i = 0; i < 2; i++) {
        connect_socket(protocols[i]);
        tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"chat:\\\"1\",\"other\":{\"a\":1}}");
        complete_subscribe(expect_subscribe(COMMAND_SUBSCRIBE, "chat:\"1"), 41);
        assert_hears("{\"t\":\"ok\",\"re\":1,\"topic\":\"chat:\\\"1\","
                     "\"cursor\":\"9f86d081884c7d65.41\"}");
        tell("{\"t\":\"subscribe\",\"topic\":\"chat:1\"}");
        complete_subscribe(expect_subscribe(COMMAND_SUBSCRIBE, "chat:1"), 42);
        assert_hears_nothing();
        tell("{\"t\":\"unsubscribe\",\"n\":3,\"topic\":\"chat:1\"}");
        complete(expect_subscribe(COMMAND_UNSUBSCRIBE, "chat:1"), CODE_OK, NULL, 0);
        proceed();
        assert_hears("{\"t\":\"ok\",\"re\":3,\"topic\":\"chat:1\"}");
        close_socket();
    }
}

#define SUBSCRIBE(topic, presence)                                                                 \
    "{\"t\":\"subscribe\",\"n\":1,\"topic\":\"" topic "\",\"presence\":" presence "}"

static void says_who_is_here(void **state)
{
    (void)state;
    static const char *const protocols[] = {JSON_PROTOCOL, MSGPACK_PROTOCOL};
    char large[6000];
    snprintf(large, sizeof(large), SUBSCRIBE("here:1", "{\"a\":\"%05000d\"}"), 0);
    for (size_t i = 0; i < 2; i++) {
        connect_socket(protocols[i]);
        tell(SUBSCRIBE("here:1", "{ \"a\" : [1, \"b\"], \"session\":2 }"));
        complete_subscribe(expect_change(COMMAND_SUBSCRIBE, "here:1", "{\"a\":[1,\"b\"]}"), 41);
        assert_hears("{\"t\":\"ok\",\"re\":1,\"topic\":\"here:1\","
                     "\"cursor\":\"9f86d081884c7d65.41\"}");
        tell(SUBSCRIBE("here:1", "null"));
        complete_subscribe(expect_change(COMMAND_SUBSCRIBE, "here:1", "null"), 41);
        assert_hears_of("\"ok\"");
        tell(SUBSCRIBE("here:1", "[]"));
        assert_hears(ERROR("bad_request", "presence: an object, or null"));
        tell(SUBSCRIBE("chat:1", "{}"));
        assert_hears(ERROR("forbidden", "the topic's namespace has no presence"));
        tell(large);
        assert_hears(ERROR("too_large", "presence: more bytes than limits.presence_meta"));
        expect_no_command();
        /* It is of subscribe alone. */
        tell("{\"t\":\"unsubscribe\",\"topic\":\"here:1\",\"presence\":{}}");
        expect_subscribe(COMMAND_UNSUBSCRIBE, "here:1");
        close_socket();
    }
}

static void says_so_not_too_often(void **state)
{
    (void)state;
    F.conf.pending = 100;
    connect_socket("");
    for (int i = 0; i < 10; i++) {
        tell(SUBSCRIBE("here:1", "{}"));
        expect_change(COMMAND_SUBSCRIBE, "here:1", "{}");
    }
    tell(SUBSCRIBE("here:1", "null"));
    assert_hears_of("rate_limited");
    tell("{\"t\":\"subscribe\",\"topic\":\"here:1\"}");
    assert_hears_of("rate_limited");
    expect_no_command();
    close_socket();
    connect_by(KEY);
    for (int i = 0; i < 20; i++) {
        tell(SUBSCRIBE("here:1", "{}"));
        expect_change(COMMAND_SUBSCRIBE, "here:1", "{}");
    }
}

static void who_may_subscribe(void **state)
{
    (void)state;
    connect_socket("");
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"nothing\"}");
    assert_hears(UNKNOWN);
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"room:1\"}");
    assert_hears(FORBIDDEN);
    F.session[0].claims = STR("[\"room:1\",\"other:*\"]");
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"room:2\"}");
    assert_hears(FORBIDDEN);
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"room:1\"}");
    complete_subscribe(expect_subscribe(COMMAND_SUBSCRIBE, "room:1"), 1);
    assert_hears_of("\"ok\"");
    /* What may no longer be joined can be left. */
    tell("{\"t\":\"unsubscribe\",\"topic\":\"nothing\"}");
    expect_subscribe(COMMAND_UNSUBSCRIBE, "nothing");
    close_socket();

    F.session[0].claims = str_make(NULL, 0);
    connect_by("Authorization: Bearer secret-3"); /* sessions:* alone */
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"room:1\"}");
    assert_hears(FORBIDDEN);
    close_socket();
    connect_by(KEY); /* and read:* */
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"room:1\"}");
    expect_subscribe(COMMAND_SUBSCRIBE, "room:1");
}

static void a_session_that_is_gone(void **state)
{
    (void)state;
    connect_socket("");
    F.ended[0] = true;
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"room:1\"}");
    assert_hears(ERROR("session_unknown", "No such session"));
}

static void refusals_of_the_writer(void **state)
{
    (void)state;
    static const enum code codes[] = {CODE_LIMIT_REACHED, CODE_STORE_FULL, CODE_TOPIC_UNKNOWN,
                                      CODE_SUPERSEDED};
    F.conf.publish_rate = 100;
    connect_socket("");
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char want[256];
        snprintf(want, sizeof(want), "{\"t\":\"error\",\"re\":1,\"code\":\"%s\",\"detail\":\"%s\"}",
                 code_text(codes[i]), code_title(codes[i]));
        tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"chat:1\"}");
        complete(expect_subscribe(COMMAND_SUBSCRIBE, "chat:1"), codes[i], NULL, 0);
        proceed();
        assert_hears(want);
        struct command_append_item item;
        tell(PUBLISH("chat:1"));
        complete_append(expect_append(&item), codes[i], 0, false);
        assert_hears(want);
        tell(PUBLISH("chat:1"));
        complete(expect_append(&item), codes[i], NULL, 0); /* of the whole command */
        proceed();
        assert_hears(want);
    }
    tell("{\"t\":\"subscribe\",\"n\":1,\"topic\":\"chat:1\"}");
    complete(expect_subscribe(COMMAND_SUBSCRIBE, "chat:1"), CODE_OK, "x", 1);
    proceed();
    assert_hears(ERROR("internal", "Internal error"));
}

static void publishes(void **state)
{
    (void)state;
    struct command_append_item item;
    connect_socket("");
    tell("{\"t\":\"publish\",\"n\":1,\"topic\":\"chat:\\\"1\",\"event\":\"said\",\"data\":{\"a\": "
         "1},"
         "\"key\":\"k1\",\"ttl\":\"1h\",\"collapse\":\"c\",\"except\":[\"AQEBAQEBAQEBAQEBAQEBAQ\"]"
         "}");
    uint64_t id = expect_append(&item);
    assert_int_equal(item.target, APPEND_TOPIC);
    assert_true(str_is(item.name, "chat:\"1"));
    assert_true(str_is(item.event, "said"));
    assert_true(str_is(item.payload, "{\"a\":1}"));
    assert_true(str_is(item.id, "k1"));
    assert_true(str_is(item.collapse, "c"));
    assert_true(str_is(item.publisher, "alice"));
    assert_int_equal(item.ttl_ms, 3600000);
    assert_int_equal(item.keyed, 1);
    assert_int_equal(item.except.n, SESSION_ID_SIZE);
    assert_memory_equal(item.except.p, F.session[0].id, SESSION_ID_SIZE);
    complete_append(id, CODE_OK, 42, false);
    assert_hears("{\"t\":\"ok\",\"re\":1,\"seq\":42,\"cursor\":\"9f86d081884c7d65.42\","
                 "\"stream\":\"topic:chat:\\\"1\",\"durability\":\"disk\",\"duplicate\":false}");
    tell(PUBLISH("chat:1"));
    complete_append(expect_append(&item), CODE_OK, 41, true);
    assert_hears_of("\"duplicate\":true}");
    assert_int_equal(item.keyed, 0);
    tell("{\"t\":\"publish\",\"topic\":\"chat:1\",\"data\":7}");
    complete_append(expect_append(&item), CODE_OK, 43, false);
    assert_hears_nothing();
}

static void publishes_bytes(void **state)
{
    (void)state;
    struct command_append_item item;
    connect_socket("");
    tell("{\"t\":\"publish\",\"topic\":\"chat:1\",\"data_b64\":\"AAEC\",\"content_type\":\"image/"
         "png\"}");
    expect_append(&item);
    assert_int_equal(item.payload.n, 3);
    assert_memory_equal(item.payload.p, "\0\1\2", 3);
    assert_true(str_is(item.content_type, "image/png"));
    close_socket();
    connect_socket(MSGPACK_PROTOCOL);
    static const char bytes[] = "\x83\xa1t\xa7publish\xa5topic\xa6"
                                "chat:1\xa4"
                                "data\xc4\x02\x00\x01";
    W.ws.ops->on_message(W.ws.arg, true, str_make(bytes, sizeof(bytes) - 1));
    expect_append(&item);
    assert_int_equal(item.payload.n, 2);
    assert_int_equal(item.flags, 0);
    tell("{\"t\":\"publish\",\"topic\":\"chat:1\",\"data\":[1,2]}");
    expect_append(&item);
    assert_int_equal(item.flags, MESSAGE_MSGPACK);
    assert_memory_equal(item.payload.p, "\x92\x01\x02", 3);
}

static void ephemerals(void **state)
{
    (void)state;
    struct command_append_item item;
    static const char *const texts[] = {
        "{\"t\":\"publish\",\"n\":1,\"topic\":\"chat:1\",\"data\":7,\"ephemeral\":true}",
        PUBLISH("live:1"), /* keeps nothing, so all are */
    };
    connect_socket("");
    for (size_t i = 0; i < 2; i++) {
        tell(texts[i]);
        uint64_t id = expect_append(&item);
        assert_int_equal(item.flags, MESSAGE_JSON | MESSAGE_EPHEMERAL);
        complete_append(id, CODE_OK, 0, false);
        assert_hears("{\"t\":\"ok\",\"re\":1,\"seq\":null}");
    }
}

static void what_is_no_publish(void **state)
{
    (void)state;
    static const struct {
        const char *text, *code;
    } rows[] = {
        {"{\"t\":\"publish\",\"topic\":\"chat:1\"}", "bad_request"},
        {"{\"t\":\"publish\",\"data\":1}", "bad_request"},
        {"{\"t\":\"publish\",\"topic\":\"\",\"data\":1}", "bad_request"},
        {"{\"t\":\"publish\",\"topic\":7,\"data\":1}", "bad_request"},
        {"{\"t\":\"publish\",\"topic\":\"chat:1\",\"subject\":\"a\",\"data\":1}", "bad_request"},
        {"{\"t\":\"publish\",\"topic\":\"chat:1\",\"data\":1,\"data_b64\":\"AA==\"}",
         "bad_request"},
        {"{\"t\":\"publish\",\"topic\":\"chat:1\",\"data\":1,\"ttl\":-1}", "bad_request"},
        {"{\"t\":\"publish\",\"topic\":\"chat:1\",\"data\":1,\"key\":\"\"}", "bad_request"},
        {"{\"t\":\"publish\",\"topic\":\"chat:1\",\"data\":1,\"except\":[\"x\"]}", "bad_request"},
        {"{\"t\":\"publish\",\"subject\":\"alice\",\"data\":1}", "forbidden"},
        {"{\"t\":\"publish\",\"session\":\"AQEBAQEBAQEBAQEBAQEBAQ\",\"data\":1}", "forbidden"},
        {"{\"t\":\"publish\",\"topic\":\"nothing\",\"data\":1}", "topic_unknown"},
        {"{\"t\":\"publish\",\"topic\":\"news:1\",\"data\":1}", "forbidden"},
        {"{\"t\":\"publish\",\"topic\":\"room:1\",\"data\":1}", "forbidden"},
    };
    connect_socket("");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char want[64];
        snprintf(want, sizeof(want), "{\"t\":\"error\",\"code\":\"%s\",", rows[i].code);
        tell(rows[i].text);
        assert_hears_of(want);
    }
    expect_no_command();
    F.conf.limit_message = 10;
    tell("{\"t\":\"publish\",\"n\":1,\"topic\":\"chat:1\",\"data\":\"0123456789\"}");
    assert_hears(ERROR("too_large", "the payload is over limits.message"));
}

static void who_may_publish(void **state)
{
    (void)state;
    struct command_append_item item;
    F.session[0].claims = STR("[\"room:*\"]");
    connect_socket("");
    tell(PUBLISH("room:1"));
    expect_append(&item);
    tell(PUBLISH("news:1"));
    assert_hears(FORBIDDEN);
    close_socket();

    connect_by(KEY); /* by its own scope, in its own name */
    tell(PUBLISH("news:1"));
    expect_append(&item);
    assert_true(str_is(item.publisher, "backend"));
    tell(PUBLISH("nothing"));
    assert_hears(UNKNOWN);
    close_socket();

    connect_by("Authorization: Bearer secret-3"); /* for the session, in its name */
    tell(PUBLISH("chat:1"));
    expect_append(&item);
    assert_true(str_is(item.publisher, "alice"));
    tell(PUBLISH("news:1"));
    assert_hears(FORBIDDEN);
}

static void not_too_often(void **state)
{
    (void)state;
    struct command_append_item item;
    F.conf.pending = 100;
    connect_socket("");
    for (int i = 0; i < 10; i++) {
        tell(PUBLISH("chat:1"));
        expect_append(&item);
    }
    tell(PUBLISH("chat:1"));
    unsigned long ms = 0;
    assert_int_equal(sscanf(hear(),
                            "{\"t\":\"error\",\"re\":1,\"code\":\"rate_limited\",\"detail\":"
                            "\"Too many requests\",\"retry_after_ms\":%lu}",
                            &ms),
                     1);
    assert_in_range(ms, 1, 100);
    expect_no_command();
    assert_int_equal(metric(METRIC_RATE_LIMITED), 1);
    /* What is refused for another reason costs nothing, nor do other commands. */
    tell(PUBLISH("news:1"));
    assert_hears(FORBIDDEN);
    tell("{\"t\":\"ping\",\"n\":1}");
    assert_hears("{\"t\":\"ok\",\"re\":1}");
    pass_ms(ms + 100);
    tell(PUBLISH("chat:1"));
    expect_append(&item);
    close_socket();
    connect_by(KEY); /* a key is not counted */
    for (int i = 0; i < 20; i++) {
        tell(PUBLISH("chat:1"));
        expect_append(&item);
    }
}

#define TOPICS_TEST(f) cmocka_unit_test_setup_teardown(f, topics_up, socket_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOPICS_TEST(subscribes_and_unsubscribes),
        TOPICS_TEST(says_who_is_here),
        TOPICS_TEST(says_so_not_too_often),
        TOPICS_TEST(who_may_subscribe),
        TOPICS_TEST(a_session_that_is_gone),
        TOPICS_TEST(refusals_of_the_writer),
        TOPICS_TEST(publishes),
        TOPICS_TEST(publishes_bytes),
        TOPICS_TEST(ephemerals),
        TOPICS_TEST(what_is_no_publish),
        TOPICS_TEST(who_may_publish),
        TOPICS_TEST(not_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
