/* rest_publish_test - one publish: what reaches the writer, and what its answer becomes. */
#include "rest_harness.h"

#include "../failmalloc.h"

static const char *to_mailbox(void)
{
    return at_session("POST", 0, "/messages");
}

/* The one item of the command. */
static uint64_t expect_item(struct command_append_item *ret)
{
    struct unpack body;
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    assert_int_equal(append_count(&body), 1);
    assert_int_equal(command_append_item_decode(&body, ret), 0);
    assert_true(unpack_done(&body));
    return id;
}

static void answer_item(uint64_t id, enum code code, const struct append_result *results,
                        uint32_t n)
{
    unsigned char bytes[4096];
    struct pack p = pack_into(bytes, sizeof(bytes));
    pack_u32(&p, code);
    pack_u32(&p, n);
    for (uint32_t i = 0; i < n; i++)
        append_result_encode(&p, &results[i]);
    complete(id, CODE_OK, bytes, pack_len(&p));
    proceed();
}

static void answer_seq(uint64_t id, uint64_t seq, bool duplicate)
{
    struct append_result r = {.code = CODE_OK, .duplicate = duplicate, .seq = seq};
    answer_item(id, CODE_OK, &r, 1);
}

static void an_envelope_becomes_a_command(void **state)
{
    (void)state;
    struct command_append_item item;
    say(to_mailbox(),
        KEY "\nContent-Type: application/json\nIdempotency-Key: order-77\n"
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "{\"event\":\"order\",\"data\":{ \"a\" : 1 },\"ttl\":\"1h\",\"collapse\":\"c\"}");
    assert_waits();
    uint64_t id = expect_item(&item);
    assert_int_equal(item.target, APPEND_SESSION);
    assert_memory_equal(item.session, F.session[0].id, SESSION_ID_SIZE);
    assert_int_equal(item.keyed, 1);
    assert_int_equal(item.flags, MESSAGE_JSON);
    assert_int_equal(item.ttl_ms, 3600000);
    assert_true(str_is(item.id, "order-77"));
    assert_true(str_is(item.event, "order"));
    assert_true(str_is(item.collapse, "c"));
    assert_true(str_is(item.payload, "{\"a\":1}"));
    assert_true(str_is(item.publisher, "backend"));
    assert_true(str_is(item.trace, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    answer_seq(id, 1042, false);
    assert_answer(201, "{\"seq\":1042,\"cursor\":\"9f86d081884c7d65.1042\",\"stream\":\"mailbox\","
                       "\"durability\":\"disk\",\"duplicate\":false}");
}

static void a_repeat_is_200(void **state)
{
    (void)state;
    struct command_append_item item;
    F.conf.store_durability = CONF_MEMORY;
    say_json(to_mailbox(), "{\"data\":1}");
    uint64_t id = expect_item(&item);
    assert_int_equal(item.keyed, 0);
    assert_int_equal(item.id.n, 0);
    answer_seq(id, 5, true);
    assert_answer(200, "\"durability\":\"memory\",\"duplicate\":true}");
}

static void equal_requests_have_equal_hashes(void **state)
{
    (void)state;
    struct command_append_item a, b;
    const char *h = KEY "\nContent-Type: application/json\nIdempotency-Key: k";
    say(to_mailbox(), h, "{\"data\":[1,2],\"event\":\"e\"}");
    expect_item(&a);
    leave();
    say(to_mailbox(), h, " {\"event\":\"e\" , \"data\": [1, 2]} ");
    expect_item(&b);
    assert_memory_equal(a.key_hash, b.key_hash, 16);
    assert_memory_equal(a.content_hash, b.content_hash, 16);
    say(to_mailbox(),
        "Authorization: Bearer secret-2\nContent-Type: application/json\n"
        "Idempotency-Key: k",
        "{\"data\":[1,2],\"event\":\"e\"}");
    expect_item(&b);
    assert_memory_not_equal(a.key_hash, b.key_hash, 16); /* another publisher's key */
    assert_memory_equal(a.content_hash, b.content_hash, 16);
}

static void other_types_are_the_payload_itself(void **state)
{
    (void)state;
    struct command_append_item item;
    say(to_mailbox(),
        KEY "\nContent-Type: text/plain; charset=utf-8\nRestante-Event: note\n"
            "Restante-TTL: 90s\nRestante-Collapse: c",
        "{\"data\":1}");
    expect_item(&item);
    assert_int_equal(item.flags, MESSAGE_TEXT);
    assert_true(str_is(item.payload, "{\"data\":1}"));
    assert_true(str_is(item.content_type, "text/plain; charset=utf-8"));
    assert_true(str_is(item.event, "note"));
    assert_int_equal(item.ttl_ms, 90000);
    say(to_mailbox(), KEY, "bytes");
    expect_item(&item);
    assert_int_equal(item.flags, 0);
    assert_int_equal(item.content_type.n, 0);
    say(to_mailbox(), KEY "\nContent-Type: application/x-www-form-urlencoded", "a=b");
    expect_item(&item);
    assert_true(str_is(item.payload, "a=b"));
    say(to_mailbox(), KEY "\nContent-Type: text/plain", "");
    expect_item(&item);
    assert_int_equal(item.payload.n, 0);
    say(to_mailbox(), KEY "\nContent-Type: application/msgpack", "\x80");
    assert_code(400, "bad_request");
    say(to_mailbox(), KEY, NULL);
    assert_code(400, "bad_request");
}

static void ephemerals_are_202(void **state)
{
    (void)state;
    struct command_append_item item;
    say(to_mailbox(), KEY "\nContent-Type: application/json\nIdempotency-Key: k",
        "{\"data\":1,\"ephemeral\":true}");
    uint64_t id = expect_item(&item);
    assert_int_equal(item.flags, MESSAGE_JSON | MESSAGE_EPHEMERAL);
    assert_int_equal(item.keyed, 0);
    answer_seq(id, 0, false);
    assert_answer(202, "{\"seq\":null}");
}

static void refusals_of_the_writer(void **state)
{
    (void)state;
    static const struct {
        enum code code;
        int status;
    } rows[] = {{CODE_SESSION_UNKNOWN, 404},
                {CODE_IDEMPOTENCY_CONFLICT, 409},
                {CODE_MAILBOX_FULL, 507},
                {CODE_STORE_FULL, 507}};
    struct command_append_item item;
    for (size_t i = 0; i < 4; i++) {
        say_json(to_mailbox(), "{\"data\":1}");
        struct append_result r = {.code = rows[i].code};
        answer_item(expect_item(&item), rows[i].code, &r, i % 2);
        assert_answer(rows[i].status, code_text(rows[i].code));
    }
    say_json(to_mailbox(), "{\"data\":1}");
    complete(expect_item(&item), CODE_STORE_FULL, NULL, 0); /* of the whole command */
    proceed();
    assert_code(507, "store_full");
}

static void answers_that_cannot_be(void **state)
{
    (void)state;
    struct command_append_item item;
    struct append_result r = {.code = CODE_OK};
    say_json(to_mailbox(), "{\"data\":1}");
    complete(expect_item(&item), CODE_OK, "x", 1);
    proceed();
    assert_code(500, "internal");
    say_json(to_mailbox(), "{\"data\":1}");
    answer_item(expect_item(&item), CODE_OK, &r, 0);
    assert_code(500, "internal");
    say_json(to_mailbox(), "{\"data\":1}");
    answer_item(expect_item(&item), (enum code)12345, &r, 1);
    assert_code(500, "internal");
}

static void no_answer_in_time_is_unknown(void **state)
{
    (void)state;
    struct command_append_item item;
    say_json(to_mailbox(), "{\"data\":1}");
    uint64_t id = expect_item(&item);
    pass_ms(5200);
    assert_code(503, "unavailable");
    assert_answer(503, "\"outcome\":\"unknown\"");
    assert_non_null(strstr(head_lines(), "Retry-After: 1\r\n"));
    answer_seq(id, 1, false); /* too late */
    assert_int_equal(R.answers, 1);
}

static void no_room_is_no_outcome(void **state)
{
    (void)state;
    atomic_store(&F.board->writer_ready, 0);
    say_json(to_mailbox(), "{\"data\":1}");
    assert_answer(503, "\"outcome\":\"none\"");
    atomic_store(&F.board->writer_ready, 1);
    char body[40000];
    memset(body, 'x', sizeof(body));
    for (int i = 0; i < 100; i++) {
        say_bytes(to_mailbox(), KEY, str_make(body, sizeof(body)));
        if (R.ex.answered)
            break;
        leave();
    }
    assert_answer(503, "\"outcome\":\"none\"");
}

static void a_publisher_that_leaves_is_not_answered(void **state)
{
    (void)state;
    struct command_append_item item;
    say_json(to_mailbox(), "{\"data\":1}");
    uint64_t id = expect_item(&item);
    leave();
    answer_seq(id, 1, false);
    assert_int_equal(R.answers, 0);
}

static void a_subject_reaches_each_session(void **state)
{
    (void)state;
    struct command_append_item item;
    say_json("POST /v1/subjects/al%69ce/messages", "{\"data\":1}");
    uint64_t id = expect_item(&item);
    assert_int_equal(item.target, APPEND_SUBJECT);
    assert_true(str_is(item.name, "alice"));
    struct append_result r[3] = {{.code = CODE_OK, .seq = 7},
                                 {.code = CODE_MAILBOX_FULL},
                                 {.code = CODE_OK, .duplicate = 1, .seq = 3}};
    for (int i = 0; i < 3; i++)
        memcpy(r[i].session, F.session[i].id, SESSION_ID_SIZE);
    answer_item(id, CODE_OK, r, 3);
    char text[256];
    snprintf(text, sizeof(text),
             "{\"results\":[{\"session\":\"%s\",\"status\":201,\"seq\":7,"
             "\"duplicate\":false},",
             sid(0));
    assert_answer(201, text);
    assert_answer(201, "\"status\":507,\"code\":\"mailbox_full\"}");
    assert_answer(201, "\"status\":200,\"seq\":3,\"duplicate\":true}]}");

    static const struct {
        struct append_result r[2];
        int status;
    } rows[] = {{{{.code = CODE_OK, .duplicate = 1}, {.code = CODE_OK, .duplicate = 1}}, 200},
                {{{.code = CODE_OK, .duplicate = 1}, {.code = CODE_MAILBOX_FULL}}, 200},
                {{{.code = CODE_MAILBOX_FULL}, {.code = CODE_MAILBOX_FULL}}, 507},
                {{{.code = CODE_MAILBOX_FULL}, {.code = CODE_OK, .seq = 1}}, 201}};
    for (size_t i = 0; i < 4; i++) {
        say_json("POST /v1/subjects/alice/messages", "{\"data\":1}");
        answer_item(expect_item(&item), CODE_OK, rows[i].r, 2);
        assert_answer(rows[i].status, "\"results\":[");
    }
    say_json("POST /v1/subjects/nobody/messages", "{\"data\":1}");
    answer_item(expect_item(&item), CODE_SUBJECT_UNKNOWN, NULL, 0);
    assert_code(404, "subject_unknown");
}

static void who_may(void **state)
{
    (void)state;
    const char *body = "{\"data\":1}";
    say(to_mailbox(), NULL, body);
    assert_code(401, "token_missing");
    say(to_mailbox(), "Authorization: Bearer secret-3", body);
    assert_code(403, "forbidden");
    say(to_mailbox(), token_of(0), body);
    assert_code(403, "forbidden");
    say(to_mailbox(), bootstrap("", ""), body);
    assert_code(403, "forbidden");
    F.ended[0] = true;
    say(to_mailbox(), token_of(0), body);
    assert_code(401, "token_revoked");
    expect_no_command();
}

static void what_is_bad_never_reaches_the_ring(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{}",
                                         "{\"data\":}",
                                         "{\"data\":1}{",
                                         "{\"data\":1,\"data\":2}",
                                         "{\"data\":\"\xff\"}",
                                         "{\"data\":1,\"ttl\":\"x\"}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        say_json(to_mailbox(), bodies[i]);
        assert_code(400, "bad_request");
    }
    char key[400];
    static const char *const keys[] = {"", "a\x01", "\xff"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(key, sizeof(key), KEY "\nContent-Type: application/json\nIdempotency-Key: %s",
                 keys[i]);
        say(to_mailbox(), key, "{\"data\":1}");
        assert_code(400, "bad_request");
    }
    say_json("POST /v1/sessions/AAAAAAAAAAAAAAAAAAAAAA/messages", "{\"data\":1}");
    assert_code(404, "session_unknown");
    say_json("POST /v1/sessions/x/messages", "{\"data\":1}");
    assert_code(404, "session_unknown");
    say_json("POST /v1/subjects/a%01/messages", "{\"data\":1}");
    assert_code(400, "bad_request");
    say_json("POST /v1/subjects/%ff/messages", "{\"data\":1}");
    assert_code(400, "bad_request");
    expect_no_command();
}

static void sizes_have_ceilings(void **state)
{
    (void)state;
    struct command_append_item item;
    size_t limit = F.conf.limit_message;
    char *body = malloc(limit + 64);
    memset(body, 'x', limit + 64);
    say_bytes(to_mailbox(), KEY, str_make(body, limit));
    expect_item(&item);
    assert_int_equal(item.payload.n, limit);
    say_bytes(to_mailbox(), KEY, str_make(body, limit + 1));
    assert_code(413, "too_large");
    memcpy(body, "{\"data\":\"", 9);
    memcpy(body + 9 + limit, "\"}", 2);
    say_bytes(to_mailbox(), KEY "\nContent-Type: application/json", str_make(body, limit + 11));
    assert_code(413, "too_large");
    free(body);
}

static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    const char *request = to_mailbox();
    struct command_header h;
    struct unpack body;
    unsigned refused = 0;
    bool failed;
    unsigned long n = 0;
    do {
        failmalloc_arm(++n);
        say(request, KEY "\nContent-Type: application/json\nIdempotency-Key: k",
            "{\"data\":{ \"a\":1}}");
        failed = failmalloc_disarm();
        if (R.ex.answered) {
            assert_true(R.ex.out_status == 503 || R.ex.out_status == 500);
            refused++;
            finish();
        } else {
            leave();
        }
        while (take_command(&h, &body))
            ;
    } while (failed);
    assert_true(refused >= 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(an_envelope_becomes_a_command),
        T(a_repeat_is_200),
        T(equal_requests_have_equal_hashes),
        T(other_types_are_the_payload_itself),
        T(ephemerals_are_202),
        T(refusals_of_the_writer),
        T(answers_that_cannot_be),
        T(no_answer_in_time_is_unknown),
        T(no_room_is_no_outcome),
        T(a_publisher_that_leaves_is_not_answered),
        T(a_subject_reaches_each_session),
        T(who_may),
        T(what_is_bad_never_reaches_the_ring),
        T(sizes_have_ceilings),
        T(without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
