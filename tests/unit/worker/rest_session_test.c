/* rest_session_test - sessions shown, listed, changed, ended, given a fresh token. */
#include "rest_harness.h"

static size_t session_completion(unsigned char *bytes, size_t size, int i)
{
    struct completion_session c = {.created = 0};
    memcpy(c.session, F.session[i].id, SESSION_ID_SIZE);
    struct pack p = pack_into(bytes, size);
    completion_session_encode(&p, &c);
    assert_false(p.bad);
    return pack_len(&p);
}

static void shows_itself(void **state)
{
    (void)state;
    struct session *s = &F.session[0];
    s->name = STR("phone \"1\"");
    s->attributes = STR("{\"plan\":9007199254740993}");
    s->ttl_ms = 1500;
    s->start_seq = 2;
    store_put(1, 3, 0, "abc");
    store_put(1, 4, 3, "de");
    say(at_session("GET", 0, ""), token_of(0), NULL);
    char text[512];
    snprintf(text, sizeof(text),
             "{\"session\":\"%s\",\"subject\":\"alice\",\"name\":\"phone \\\"1\\\"\","
             "\"epoch\":\"9f86d081884c7d65\",\"cursor\":\"9f86d081884c7d65.2\",\"ttl\":\"1500ms\","
             "\"expires_at\":\"",
             sid(0));
    assert_answer(200, text);
    snprintf(text, sizeof(text),
             "\"topics\":[],\"attributes\":{\"plan\":9007199254740993},\"urls\":{\"messages\":"
             "\"/v1/sessions/%s/messages\",\"socket\":\"/v1/socket?session=%s\"},",
             sid(0), sid(0));
    assert_answer(200, text);
    assert_answer(200, "\"connections\":[{\"transport\":\"poll\",\"since\":"
                       "\"1970-01-01T00:00:01.000Z\",\"remote\":\"127.0.0.1:1\"}],");
    /* Before the first ack and delivery: where the session began. */
    assert_answer(200, "\"acked\":\"9f86d081884c7d65.2\",\"delivered\":\"9f86d081884c7d65.2\","
                       "\"pending\":2,\"pending_bytes\":5,\"presence\":[]}");
    assert_null(strstr(answer(), "token"));
    s->acked = 3;
    s->delivered = 4;
    say(at_session("GET", 0, ""), KEY, NULL);
    assert_answer(200, "\"cursor\":\"9f86d081884c7d65.3\"");
    assert_answer(200, "\"acked\":\"9f86d081884c7d65.3\",\"delivered\":\"9f86d081884c7d65.4\"");
    s->subject = s->name = str_make(NULL, 0);
    say(at_session("GET", 0, ""), KEY, NULL);
    assert_answer(200, "\"subject\":null,\"name\":null");
}

static void a_use_slides_the_ttl(void **state)
{
    (void)state;
    F.session[0].expires_ms = board_now_ms(F.board) + F.session[0].ttl_ms / 2;
    say(at_session("GET", 0, ""), token_of(0), NULL);
    struct command_header h;
    struct unpack body;
    assert_int_equal(take_command(&h, &body), COMMAND_TOUCH);
}

static void is_listed_by_subject(void **state)
{
    (void)state;
    say("GET /v1/sessions?subject=alice", KEY, NULL);
    assert_answer(200, "],\"next\":null}");
    for (int i = 0; i < 4; i++)
        assert_answer(200, sid(i));
    assert_null(strstr(answer(), sid(4)));
    struct command_header h;
    struct unpack body;
    assert_int_equal(take_command(&h, &body), 0); /* listing is no use */

    char line[256];
    F.ended[1] = true;
    say("GET /v1/sessions?subject=alice&limit=2", KEY, NULL);
    snprintf(line, sizeof(line), "],\"next\":\"%s\"}", sid(2));
    assert_answer(200, line);
    snprintf(line, sizeof(line), "GET /v1/sessions?subject=alice&limit=2&after=%s", sid(2));
    say(line, KEY, NULL);
    assert_answer(200, sid(3));
    assert_answer(200, "],\"next\":null}");
    say("GET /v1/sessions?subject=alice&limit=3", KEY, NULL);
    assert_answer(200, "],\"next\":null}"); /* exactly all of them */
    say("GET /v1/sessions?subject=nobody", KEY, NULL);
    assert_answer(200, "{\"sessions\":[],\"next\":null}");
}

static void lists_have_their_rules(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "?subject=",
                                      "?subject=%00",
                                      "?subject=a%01",
                                      "?subject=a&limit=0",
                                      "?subject=a&limit=1001",
                                      "?subject=a&after=x",
                                      "?subject=a&after=",
                                      "?subject=a&subject=b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[128];
        snprintf(line, sizeof(line), "GET /v1/sessions%s", bad[i]);
        say(line, KEY, NULL);
        assert_code(400, "bad_request");
    }
    char line[400] = "GET /v1/sessions?subject=";
    memset(line + strlen(line), 'x', 256);
    say(line, KEY, NULL);
    assert_code(400, "bad_request");
    say("GET /v1/sessions?subject=alice", token_of(0), NULL);
    assert_code(403, "forbidden");
    say("GET /v1/sessions?subject=alice", "Authorization: Bearer secret-2", NULL);
    assert_code(403, "forbidden");
    say("GET /v1/sessions?subject=alice", NULL, NULL);
    assert_code(401, "token_missing");
}

static void is_patched(void **state)
{
    (void)state;
    struct unpack body;
    struct command_patch c;
    unsigned char bytes[512];
    say(at_session("PATCH", 0, ""), token_of(0), "{\"attributes\":{\"a\":null},\"ttl\":\"5m\"}");
    uint64_t id = expect_command(COMMAND_PATCH, &body);
    assert_int_equal(command_patch_decode(&body, &c), 0);
    assert_true(unpack_done(&body));
    assert_true(str_is(c.attributes, "{\"a\":null}"));
    assert_int_equal(c.ttl_ms, 300000);
    complete(id, CODE_OK, bytes, session_completion(bytes, sizeof(bytes), 0));
    proceed();
    assert_answer(200, "\"connections\":[");
    /* It may be gone by the time it is shown. */
    say(at_session("PATCH", 0, ""), KEY, "{}");
    id = expect_command(COMMAND_PATCH, &body);
    F.ended[0] = true;
    complete(id, CODE_OK, bytes, session_completion(bytes, sizeof(bytes), 0));
    proceed();
    assert_code(404, "session_unknown");
    F.ended[0] = false;
    say(at_session("PATCH", 0, ""), KEY, "{}");
    complete(expect_command(COMMAND_PATCH, &body), CODE_TOO_LARGE, NULL, 0);
    proceed();
    assert_code(413, "too_large");
    say(at_session("PATCH", 0, ""), KEY, "{}");
    complete(expect_command(COMMAND_PATCH, &body), CODE_OK, "x", 1);
    proceed();
    assert_code(500, "internal");
}

static void bad_patches(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"ttl\":\"soon\"}",
                                      "{\"ttl\":\"999ms\"}",
                                      "{\"ttl\":\"400d\"}",
                                      "{\"ttl\":-1}",
                                      "{\"ttl\":{}}",
                                      "{\"attributes\":[]}",
                                      "{\"attributes\":\"x\"}",
                                      "{\"ttl\":5,\"ttl\":6}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        say(at_session("PATCH", 0, ""), KEY, bad[i]);
        assert_code(400, "bad_request");
    }
    say(at_session("PATCH", 0, ""), token_of(1), "{}");
    assert_code(403, "forbidden");
    expect_no_command();
}

static void is_ended(void **state)
{
    (void)state;
    struct unpack body;
    struct command_ack c;
    say(at_session("DELETE", 0, ""), token_of(0), NULL);
    uint64_t id = expect_command(COMMAND_END, &body);
    assert_int_equal(command_ack_decode(&body, &c), 0);
    assert_memory_equal(c.session, F.session[0].id, SESSION_ID_SIZE);
    complete(id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(R.ex.out_status, 204);
    assert_int_equal(R.ex.out_body.len, 0);
    F.ended[0] = true;
    say(at_session("DELETE", 0, ""), KEY, NULL);
    assert_code(404, "session_unknown");
    say(at_session("DELETE", 0, ""), token_of(0), NULL);
    assert_code(404, "session_unknown");
}

static void gets_a_fresh_token(void **state)
{
    (void)state;
    say(at_session("POST", 0, "/token"), token_of(0), NULL);
    assert_answer(200, "{\"token\":\"rs1.");
    struct session_keys keys;
    uint8_t id[SESSION_ID_SIZE];
    board_keys_get(F.board, &keys);
    struct str token = str_make(R.ex.out_body.data + 10, R.ex.out_body.len - 12);
    assert_int_equal(session_token_verify(&keys, token, id), CODE_OK);
    assert_memory_equal(id, F.session[0].id, SESSION_ID_SIZE);
    say(at_session("POST", 0, "/token"), token_of(1), NULL);
    assert_code(403, "forbidden");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(shows_itself),
        T(a_use_slides_the_ttl),
        T(is_listed_by_subject),
        T(lists_have_their_rules),
        T(is_patched),
        T(bad_patches),
        T(is_ended),
        T(gets_a_fresh_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
