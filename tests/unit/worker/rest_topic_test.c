/* rest_topic_test - topics: listed, looked at, emptied, published to, and subscribed to. */
#include "rest_harness.h"

#include "../failmalloc.h"
#include "worker/rate.h"

#define JSON_OUT "Content-Type: application/json"
#define SENDER "Authorization: Bearer secret-2"

static char *scopes_some[] = {"read:chat:b*", "read:chat:a", "publish:chat:a", "sessions:*"};

static char *scopes_other[] = {"read:chat:a", "publish:*", "read:chat:b*", "read:none"};

static int open_topics(void **state)
{
    static const char *const names[] = {"chat:a", "chat:ab", "chat:b", "chat:b:1", "news", "z"};
    int err = rest_open(state);
    for (size_t i = 0; !err && i < sizeof(names) / sizeof(names[0]); i++)
        F.topic[i] = (struct topic){.stream = 100 + i,
                                    .created_ms = 1795434601123,
                                    .subscribers = i,
                                    .name = str_of(names[i])};
    store_put(100, 5, 0, "one");
    store_put(100, 7, 5, "three");
    F.last_seq = 9;
    return err ? err : rate_open(&R.w.rate);
}

static int close_topics(void **state)
{
    rate_close(R.w.rate);
    return rest_close(state);
}

static void one(void **state)
{
    (void)state;
    say("GET /v1/topics/chat%3Aa", KEY, NULL);
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(
        answer(), "{\"topic\":\"chat:a\",\"messages\":2,\"bytes\":8,\"subscribers\":0,"
                  "\"last\":\"9f86d081884c7d65.7\",\"created_at\":\"2026-11-23T11:50:01.123Z\","
                  "\"namespace\":\"chat:*\",\"history\":100,\"ttl\":3600,\"latest\":false,"
                  "\"publish\":\"server\",\"join\":\"open\"}");
    say("GET /v1/topics/z", KEY, NULL); /* of a namespace that is gone */
    assert_string_equal(
        answer(), "{\"topic\":\"z\",\"messages\":0,\"bytes\":0,\"subscribers\":5,\"last\":null,"
                  "\"created_at\":\"2026-11-23T11:50:01.123Z\",\"namespace\":null}");
    say("GET /v1/topics/chat:none", KEY, NULL);
    assert_code(404, "topic_unknown");
    say("GET /v1/topics/%01", KEY, NULL);
    assert_code(400, "bad_request");
    say("GET /v1/topics/chat:a", SENDER, NULL);
    assert_code(403, "forbidden");
    say("GET /v1/topics/chat:a", token_of(0), NULL);
    assert_code(403, "forbidden");
    say("GET /v1/topics/chat:a", NULL, NULL);
    assert_code(401, "token_missing");
}

/* The names in the answer, and what follows. */
static void assert_list(const char *query, const char *names, const char *next)
{
    static char line[256], got[256];
    static const char *const members[] = {"topics", "next"};
    struct json_value v[2], row, name;
    struct json_value root;
    struct json_iter it;
    struct buf b;
    snprintf(line, sizeof(line), "GET /v1/topics%s", query);
    say(line, KEY, NULL);
    assert_int_equal(R.ex.out_status, 200);
    assert_int_equal(json_check(buf_str(&R.ex.out_body), &root), 0);
    assert_int_equal(json_pick(root, members, 2, v), 0);
    buf_fixed(&b, got, sizeof(got));
    json_iter_begin(&it, v[0]);
    while (json_next_item(&it, &row)) {
        static const char *const topic[] = {"topic"};
        assert_int_equal(json_pick(row, topic, 1, &name), 0);
        assert_int_equal(json_string(name, &b), 0);
        buf_append_c(&b, ' ');
    }
    buf_append_c(&b, '\0');
    assert_string_equal(got, names);
    assert_true(str_is(v[1].raw, next));
}

static void lists(void **state)
{
    (void)state;
    assert_list("", "chat:a chat:ab chat:b chat:b:1 news z ", "null");
    assert_list("?prefix=chat:b", "chat:b chat:b:1 ", "null");
    assert_list("?limit=2", "chat:a chat:ab ", "\"chat:ab\"");
    assert_list("?limit=2&after=chat%3Aab", "chat:b chat:b:1 ", "\"chat:b:1\"");
    assert_list("?limit=2&after=chat%3Ab%3A1", "news z ", "null");
    assert_list("?after=z", "", "null");
    assert_list("?prefix=x", "", "null");
    R.keys[0].scopes = scopes_some;
    R.keys[0].nscopes = 4;
    assert_list("", "chat:a chat:b chat:b:1 ", "null");
    assert_list("?limit=1", "chat:a ", "\"chat:a\"");
    assert_list("?limit=1&after=chat:a", "chat:b ", "\"chat:b\"");
    assert_list("?prefix=chat:a", "chat:a ", "null");
    assert_list("?prefix=chat:ab", "", "null");
    assert_list("?prefix=chat:b:", "chat:b:1 ", "null");
    assert_list("?prefix=chat", "chat:a chat:b chat:b:1 ", "null");
    assert_list("?prefix=news", "", "null");
    R.keys[0].scopes = scopes_other;
    assert_list("", "chat:a chat:b chat:b:1 ", "null");
    static const char *const bad[] = {"limit=0", "limit=1001", "prefix=%00", "after=%0",
                                      "after=a&after=b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "GET /v1/topics?%s", bad[i]);
        say(line, KEY, NULL);
        assert_code(400, "bad_request");
    }
    say("GET /v1/topics", SENDER, NULL);
    assert_code(403, "forbidden");
    say("GET /v1/topics", token_of(0), NULL);
    assert_code(403, "forbidden");
    say("GET /v1/topics", NULL, NULL);
    assert_code(401, "token_missing");
}

static void expect_empty(const char *name, enum code code)
{
    struct unpack body;
    struct command_empty c;
    uint64_t id = expect_command(COMMAND_EMPTY, &body);
    assert_int_equal(command_empty_decode(&body, &c), 0);
    assert_true(unpack_done(&body) && str_is(c.topic, name));
    complete(id, code, NULL, 0);
    proceed();
}

static void emptied(void **state)
{
    (void)state;
    say("DELETE /v1/topics/chat%3Aa/messages", KEY, NULL);
    assert_waits();
    expect_empty("chat:a", CODE_OK);
    assert_int_equal(R.ex.out_status, 204);
    say("DELETE /v1/topics/chat:none/messages", KEY, NULL);
    expect_empty("chat:none", CODE_TOPIC_UNKNOWN);
    assert_int_equal(R.ex.out_status, 204);
    say("DELETE /v1/topics/nowhere/messages", KEY, NULL);
    expect_empty("nowhere", CODE_TOPIC_UNKNOWN);
    assert_code(404, "topic_unknown");
    say("DELETE /v1/topics/chat:a/messages", SENDER, NULL);
    assert_code(403, "forbidden");
    say("DELETE /v1/topics/chat:a/messages", token_of(0), NULL);
    assert_code(403, "forbidden");
    expect_no_command();
}

static uint64_t expect_item(struct command_append_item *ret)
{
    struct unpack body;
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    assert_int_equal(append_count(&body), 1);
    assert_int_equal(command_append_item_decode(&body, ret), 0);
    assert_true(unpack_done(&body));
    assert_int_equal(ret->target, APPEND_TOPIC);
    return id;
}

static void answer_item(uint64_t id, struct append_result r)
{
    unsigned char bytes[64];
    struct pack p = pack_into(bytes, sizeof(bytes));
    pack_u32(&p, r.code), pack_u32(&p, 1), append_result_encode(&p, &r);
    complete(id, CODE_OK, bytes, pack_len(&p));
    proceed();
}

static void published(void **state)
{
    (void)state;
    struct command_append_item item;
    char body[128];
    snprintf(body, sizeof(body), "{\"data\":1,\"except\":[\"%s\"]}", sid(2));
    say("POST /v1/topics/chat%3A%2F/messages", KEY "\n" JSON_OUT "\nIdempotency-Key: k", body);
    uint64_t id = expect_item(&item);
    assert_true(str_is(item.name, "chat:/") && str_is(item.publisher, "backend") && item.keyed);
    assert_memory_equal(item.except.p, F.session[2].id, SESSION_ID_SIZE);
    answer_item(id, (struct append_result){.seq = 12});
    assert_int_equal(R.ex.out_status, 201);
    assert_string_equal(answer(), "{\"seq\":12,\"cursor\":\"9f86d081884c7d65.12\",\"stream\":"
                                  "\"topic:chat:/\",\"durability\":\"disk\",\"duplicate\":false}");
    say("POST /v1/topics/chat:1/messages", KEY "\n" JSON_OUT, "{\"data\":1}");
    answer_item(expect_item(&item), (struct append_result){.seq = 12, .duplicate = 1});
    assert_answer(200, "\"duplicate\":true");
    for (size_t i = 0; i < 3; i++) {
        static const enum code codes[] = {CODE_LIMIT_REACHED, CODE_STORE_FULL, CODE_TOPIC_UNKNOWN};
        say("POST /v1/topics/chat:1/messages", KEY "\n" JSON_OUT, "{\"data\":1}");
        answer_item(expect_item(&item), (struct append_result){.code = codes[i]});
        assert_answer(code_status(codes[i]), code_text(codes[i]));
    }
    R.namespaces[0].history = 0; /* nothing is kept: neither is the key */
    say("POST /v1/topics/chat:1/messages", KEY "\n" JSON_OUT "\nIdempotency-Key: k",
        "{\"data\":1}");
    id = expect_item(&item);
    assert_true((item.flags & MESSAGE_EPHEMERAL) && !item.keyed);
    answer_item(id, (struct append_result){.seq = 0});
    assert_answer(202, "{\"seq\":null}");
    say("POST /v1/topics/nowhere/messages", KEY "\n" JSON_OUT, "{\"data\":1}");
    assert_code(404, "topic_unknown");
    say("POST /v1/topics/nowhere/messages", SENDER "\n" JSON_OUT, "{\"data\":1}");
    assert_code(403, "forbidden");
    say("POST /v1/topics/chat:1/messages", bootstrap("", ""), "x");
    assert_code(403, "forbidden");
    say("POST /v1/topics/%ff/messages", KEY, "x");
    assert_code(400, "bad_request");
    expect_no_command();
}

static void published_by_sessions(void **state)
{
    (void)state;
    struct command_append_item item;
    uint8_t first[16];
    say("POST /v1/topics/chat:1/messages", token_of(0), "{\"data\":1}");
    assert_code(403, "forbidden");
    say("POST /v1/topics/nowhere/messages", token_of(0), "{\"data\":1}");
    assert_code(404, "topic_unknown");
    R.namespaces[0].client_publish = true;
    char header[512];
    for (int i = 0; i < 5; i += 4) { /* alice's and bob's */
        snprintf(header, sizeof(header), "%s\nIdempotency-Key: k", token_of(i));
        say("POST /v1/topics/chat:1/messages", header, "{\"data\":1}");
        uint64_t id = expect_item(&item);
        assert_true(str_is(item.publisher, i ? "bob" : "alice"));
        if (i)
            assert_memory_not_equal(item.key_hash, first, 16);
        memcpy(first, item.key_hash, 16);
        answer_item(id, (struct append_result){.seq = 12});
        assert_int_equal(R.ex.out_status, 201);
    }
    R.namespaces[0].join_claim = true;
    say("POST /v1/topics/chat:1/messages", token_of(0), "{\"data\":1}");
    assert_code(403, "forbidden");
    F.session[0].claims = STR("[\"chat:1\"]");
    say("POST /v1/topics/chat:1/messages", token_of(0), "{\"data\":1}");
    expect_item(&item);
    F.ended[0] = true;
    say("POST /v1/topics/chat:1/messages", token_of(0), "{\"data\":1}");
    assert_code(401, "token_revoked");
    expect_no_command();
}

static void not_too_often(void **state)
{
    (void)state;
    struct command_append_item item;
    R.namespaces[0].client_publish = true;
    F.conf.publish_rate = 2;
    for (int i = 0; i < 2; i++) {
        say("POST /v1/topics/chat:1/messages", token_of(0), "{\"data\":1}");
        expect_item(&item);
    }
    say("POST /v1/topics/chat:1/messages", token_of(0), "{\"data\":1}");
    assert_code(429, "rate_limited");
    assert_non_null(strstr(head_lines(), "Retry-After: 1\r\n"));
    assert_int_equal(metric(METRIC_RATE_LIMITED), 1);
    say("POST /v1/topics/chat:1/messages", token_of(1), "{\"data\":1}");
    expect_item(&item);
    for (int i = 0; i < 5; i++) {
        say("POST /v1/topics/chat:1/messages", KEY "\n" JSON_OUT, "{\"data\":1}");
        expect_item(&item);
    }
    pass_ms(500);
    say("POST /v1/topics/chat:1/messages", token_of(0), "{\"data\":1}");
    expect_item(&item);
    expect_no_command();
}

static uint64_t expect_subscribe(enum command_type type, int session, const char *topic)
{
    struct unpack body;
    struct command_subscribe c;
    uint64_t id = expect_command(type, &body);
    assert_int_equal(command_subscribe_decode(&body, &c), 0);
    assert_true(unpack_done(&body) && str_is(c.topic, topic));
    assert_memory_equal(c.session, F.session[session].id, SESSION_ID_SIZE);
    assert_int_equal(c.generation, 0);
    return id;
}

static void subscribed(void **state)
{
    (void)state;
    unsigned char bytes[COMPLETION_SUBSCRIBE_SIZE];
    struct pack p = pack_into(bytes, sizeof(bytes));
    completion_subscribe_encode(&p, &(struct completion_subscribe){.join = 41});
    say(at_session("PUT", 0, "/subscriptions/chat%3A%22"), token_of(0), NULL);
    complete(expect_subscribe(COMMAND_SUBSCRIBE, 0, "chat:\""), CODE_OK, bytes, sizeof(bytes));
    proceed();
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(answer(), "{\"topic\":\"chat:\\\"\",\"cursor\":\"9f86d081884c7d65.41\"}");
    say_json(at_session("PUT", 0, "/subscriptions/chat:1"), "{\"other\":{\"a\":1}}");
    complete(expect_subscribe(COMMAND_SUBSCRIBE, 0, "chat:1"), CODE_LIMIT_REACHED, NULL, 0);
    proceed();
    assert_code(403, "limit_reached");
    say_json(at_session("PUT", 0, "/subscriptions/chat:1"), NULL);
    complete(expect_subscribe(COMMAND_SUBSCRIBE, 0, "chat:1"), CODE_OK, NULL, 0);
    proceed();
    assert_code(500, "internal");
    say(at_session("DELETE", 0, "/subscriptions/nowhere"), KEY, NULL);
    complete(expect_subscribe(COMMAND_UNSUBSCRIBE, 0, "nowhere"), CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(R.ex.out_status, 204);
}

static void not_subscribed(void **state)
{
    (void)state;
    static const char *const bad[] = {"{", "[]", "7"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        say_json(at_session("PUT", 0, "/subscriptions/chat:1"), bad[i]);
        assert_code(400, "bad_request");
    }
    say_json(at_session("PUT", 0, "/subscriptions/chat:%0a"), NULL);
    assert_code(400, "bad_request");
    say(at_session("PUT", 0, "/subscriptions/chat:1"), KEY "\nContent-Type: text/x", "x");
    assert_code(415, "unsupported_media_type");
    say(at_session("PUT", 0, "/subscriptions/nowhere"), KEY, NULL);
    assert_code(404, "topic_unknown");
    say(at_session("PUT", 0, "/subscriptions/chat:1"), token_of(1), NULL);
    assert_code(403, "forbidden");
    say("PUT /v1/sessions/nobody/subscriptions/chat:1", KEY, NULL);
    assert_code(404, "session_unknown");
    say(at_session("PUT", 0, "/subscriptions/chat:1"), bootstrap("", ""), NULL);
    assert_code(403, "forbidden");
    say(at_session("DELETE", 0, "/subscriptions/chat:1"), SENDER, NULL);
    assert_code(403, "forbidden");
    R.namespaces[0].join_claim = true;
    say(at_session("PUT", 0, "/subscriptions/chat:1"), token_of(0), NULL);
    assert_code(403, "forbidden");
    expect_no_command();
    F.session[0].claims = STR("[\"chat:*\"]");
    say(at_session("PUT", 0, "/subscriptions/chat:1"), token_of(0), NULL);
    expect_subscribe(COMMAND_SUBSCRIBE, 0, "chat:1");
    say(at_session("PUT", 1, "/subscriptions/chat:1"), KEY, NULL); /* it has read:* */
    expect_subscribe(COMMAND_SUBSCRIBE, 1, "chat:1");
}

static void without_memory(void **state)
{
    (void)state;
    static const char *const lines[] = {"GET /v1/topics", "GET /v1/topics/chat:a",
                                        "DELETE /v1/topics/chat:a/messages",
                                        "POST /v1/topics/chat:a/messages"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct command_header h;
        struct unpack body;
        unsigned refused = 0;
        bool failed = true;
        for (unsigned long n = 1; failed; n++) {
            failmalloc_arm(n);
            say(lines[i], KEY, strncmp(lines[i], "POST", 4) == 0 ? "x" : NULL);
            failed = failmalloc_disarm();
            if (R.ex.answered && R.ex.out_status != 200) {
                assert_true(R.ex.out_status == 500 || R.ex.out_status == 503);
                refused++;
            }
            while (take_command(&h, &body))
                ;
        }
        assert_true(refused >= 1);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_topics, close_topics)
    const struct CMUnitTest tests[] = {
        T(one),
        T(lists),
        T(emptied),
        T(published),
        T(published_by_sessions),
        T(not_too_often),
        T(subscribed),
        T(not_subscribed),
        T(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
