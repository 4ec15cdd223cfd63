/* rest_open_test - POST /v1/sessions: who may, with what, and what it is born with. */
#include "rest_harness.h"

#include "../failmalloc.h"

static uint64_t expect_open(struct command_open *ret)
{
    struct unpack body;
    uint64_t id = expect_command(COMMAND_OPEN, &body);
    assert_int_equal(command_open_decode(&body, ret), 0);
    assert_true(unpack_done(&body));
    return id;
}

/* The writer has put it into the store, with these topics, and says so. */
static void answer_open(uint64_t id, const struct command_open *c, bool created)
{
    struct completion_session s = {.created = created};
    struct session *row = &F.session[SESSIONS - 1];
    *row = (struct session){.stream = SESSIONS,
                            .start_seq = 1041,
                            .expires_ms = 4102444800123,
                            .ttl_ms = c->ttl_ms ? c->ttl_ms : 600000,
                            .subject = c->subject,
                            .name = c->name,
                            .attributes = c->attributes};
    memcpy(row->id, c->session, SESSION_ID_SIZE);
    memcpy(s.session, c->session, SESSION_ID_SIZE);
    unsigned char bytes[COMPLETION_SESSION_SIZE];
    struct pack p = pack_into(bytes, sizeof(bytes));
    completion_session_encode(&p, &s);
    complete(id, CODE_OK, bytes, pack_len(&p));
    proceed();
}

static void with_an_api_key(void **state)
{
    (void)state;
    struct command_open c;
    say_json("POST /v1/sessions", "{\"subject\":\"al\\u0069ce\",\"name\":\"phone\",\"ttl\":90,"
                                  "\"attributes\":{ \"a\" : [1, null] },\"topics\":[],\"x\":1}");
    uint64_t id = expect_open(&c);
    assert_true(str_is(c.subject, "alice"));
    assert_true(str_is(c.name, "phone"));
    assert_true(str_is(c.attributes, "{\"a\":[1,null]}"));
    assert_int_equal(c.claims.n, 0);
    assert_int_equal(c.ttl_ms, 90000);
    answer_open(id, &c, true);
    assert_answer(201, "\"subject\":\"alice\",\"name\":\"phone\",\"epoch\":\"9f86d081884c7d65\","
                       "\"cursor\":\"9f86d081884c7d65.1041\",\"ttl\":90,"
                       "\"expires_at\":\"2100-01-01T00:00:00.123Z\",\"topics\":[],");
    assert_answer(201, "\"token\":\"rs1.");
    say_json("POST /v1/sessions", "{\"subject\":\"alice\",\"name\":\"phone\"}");
    id = expect_open(&c);
    answer_open(id, &c, false);
    assert_int_equal(R.ex.out_status, 200);
}

static void with_a_bootstrap_token(void **state)
{
    (void)state;
    struct command_open c;
    say("POST /v1/sessions",
        bootstrap("[\"chat:*\",\"a\\\"b\"]", "{\"plan\":\"gold\",\"n\":9007199254740993}"), NULL);
    uint64_t id = expect_open(&c);
    assert_true(str_is(c.subject, "alice"));
    assert_int_equal(c.name.n, 0);
    assert_true(str_is(c.claims, "[\"chat:*\",\"a\\\"b\"]"));
    assert_true(str_is(c.attributes, "{\"plan\":\"gold\",\"n\":9007199254740993}"));
    answer_open(id, &c, true);
    assert_answer(201, "\"attributes\":{\"plan\":\"gold\",\"n\":9007199254740993}");
    /* What the token says beats the body. */
    say("POST /v1/sessions", bootstrap("", "{\"plan\":\"gold\"}"),
        "{\"attributes\":{\"plan\":\"free\",\"b\":2},\"subject\":\"alice\"}");
    expect_open(&c);
    assert_true(str_is(c.attributes, "{\"b\":2,\"plan\":\"gold\"}"));
    say("POST /v1/sessions", bootstrap("", ""), "{\"subject\":\"root\"}");
    assert_code(403, "forbidden");
}

static void anonymously_where_allowed(void **state)
{
    (void)state;
    struct command_open c;
    say("POST /v1/sessions", NULL, NULL);
    assert_code(401, "token_missing");
    F.conf.anonymous = true;
    say("POST /v1/sessions", NULL, NULL);
    uint64_t id = expect_open(&c);
    assert_int_equal(c.subject.n, 0);
    answer_open(id, &c, true);
    assert_answer(201, "\"subject\":null,\"name\":null");
    say("POST /v1/sessions", NULL, "{\"subject\":\"root\"}");
    assert_code(401, "token_missing");
    say("POST /v1/sessions", NULL, "{\"name\":\"phone\"}");
    assert_code(400, "bad_request");
}

static void others_may_not(void **state)
{
    (void)state;
    say("POST /v1/sessions", token_of(0), "{}");
    assert_code(403, "forbidden");
    say("POST /v1/sessions", "Authorization: Bearer secret-2", "{\"subject\":\"a\"}");
    assert_code(403, "forbidden");
    expect_no_command();
}

static void bad_bodies(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "{",
                                      "[]",
                                      "7",
                                      "{\"subject\":\"\"}",
                                      "{\"subject\":7}",
                                      "{\"subject\":null}",
                                      "{\"subject\":\"a\\u0000\"}",
                                      "{\"subject\":\"a\",\"subject\":\"b\"}",
                                      "{\"subject\":\"a\",\"name\":\"\"}",
                                      "{\"subject\":\"a\",\"name\":[]}",
                                      "{\"subject\":\"a\",\"ttl\":0}",
                                      "{\"subject\":\"a\",\"ttl\":\"999ms\"}",
                                      "{\"subject\":\"a\",\"ttl\":\"2d\"}",
                                      "{\"subject\":\"a\",\"ttl\":\"soon\"}",
                                      "{\"subject\":\"a\",\"attributes\":[]}",
                                      "{\"subject\":\"a\",\"topics\":\"x\"}",
                                      "{\"subject\":\"a\",\"topics\":[1]}",
                                      "{\"subject\":\"a\",\"topics\":[\"\"]}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        say_json("POST /v1/sessions", bad[i]);
        if (R.ex.out_status != 400)
            fail_msg("%s: %d", bad[i], R.ex.out_status);
        assert_code(400, "bad_request");
    }
    say_json("POST /v1/sessions", "{\"subject\":\"a\",\"topics\":[\"news\"]}");
    assert_code(404, "topic_unknown");
    expect_no_command();
}

static void with_topics(void **state)
{
    (void)state;
    struct command_open c;
    F.topic[0] = (struct topic){.stream = 101, .name = STR("chat:1")};
    F.topic[1] = (struct topic){.stream = 100, .name = STR("chat:2")};
    for (int i = 0; i < 2; i++) {
        F.subscribed[i].mailbox = SESSIONS;
        F.subscribed[i].s.topic = 100 + (uint64_t)i;
    }
    F.nsubscribed = 2;
    F.conf.max_topics = 3;
    say_json("POST /v1/sessions", "{\"subject\":\"a\",\"topics\":[\"chat:2\",\"chat\\u003a1\"]}");
    uint64_t id = expect_open(&c);
    assert_true(str_is(c.topics, "\6chat:2\6chat:1"));
    answer_open(id, &c, true);
    assert_answer(201, "\"topics\":[\"chat:1\",\"chat:2\"]"); /* by name */
    say_json("POST /v1/sessions", "{\"subject\":\"a\",\"topics\":[\"chat:1\",\"chat:2\","
                                  "\"chat:3\",\"chat:4\"]}");
    assert_code(403, "limit_reached");
    say_json("POST /v1/sessions", "{\"subject\":\"a\",\"topics\":[\"chat:1\",\"news\"]}");
    assert_code(404, "topic_unknown");
    expect_no_command();
}

static void claims_open_topics(void **state)
{
    (void)state;
    struct command_open c;
    R.namespaces[0].join_claim = true;
    F.conf.max_topics = 3;
    say("POST /v1/sessions", bootstrap("[\"chat:1*\"]", ""), "{\"topics\":[\"chat:11\"]}");
    expect_open(&c);
    assert_true(str_is(c.topics, "\7chat:11"));
    say("POST /v1/sessions", bootstrap("[\"chat:1*\"]", ""),
        "{\"topics\":[\"chat:11\",\"chat:2\"]}");
    assert_code(403, "forbidden");
    say("POST /v1/sessions", bootstrap("", ""), "{\"topics\":[\"chat:11\"]}");
    assert_code(403, "forbidden");
    /* A key by its scope read:*, or not at all. */
    say_json("POST /v1/sessions", "{\"subject\":\"a\",\"topics\":[\"chat:11\"]}");
    expect_open(&c);
    say("POST /v1/sessions", "Authorization: Bearer secret-3",
        "{\"subject\":\"a\",\"topics\":[\"chat:11\"]}");
    assert_code(403, "forbidden");
    expect_no_command();
}

/* The newest token says what its session may join, also when that is nothing. */
static void a_token_without_claims_takes_them_back(void **state)
{
    (void)state;
    struct command_open c;
    say("POST /v1/sessions", bootstrap("", ""), "{\"name\":\"phone\"}");
    expect_open(&c);
    assert_true(str_is(c.claims, "[]"));
    say("POST /v1/sessions", bootstrap("[]", ""), "{\"name\":\"phone\"}");
    expect_open(&c);
    assert_true(str_is(c.claims, "[]"));
}

static void attributes_have_a_ceiling(void **state)
{
    (void)state;
    char body[8192] = "{\"subject\":\"a\",\"attributes\":{\"a\":\"";
    size_t n = strlen(body);
    memset(body + n, 'x', 5000);
    strcpy(body + n + 5000, "\"}}");
    say_json("POST /v1/sessions", body);
    assert_code(413, "too_large");
    static char huge[JSON_BODY_MAX + 2];
    memset(huge, ' ', sizeof(huge) - 1);
    say_json("POST /v1/sessions", huge);
    assert_code(413, "too_large");
}

static void what_the_writer_says(void **state)
{
    (void)state;
    struct command_open c;
    say_json("POST /v1/sessions", "{\"subject\":\"a\"}");
    complete(expect_open(&c), CODE_LIMIT_REACHED, NULL, 0);
    proceed();
    assert_code(403, "limit_reached");
    say_json("POST /v1/sessions", "{\"subject\":\"a\"}");
    complete(expect_open(&c), CODE_OK, "short", 5);
    proceed();
    assert_code(500, "internal");
    say_json("POST /v1/sessions", "{\"subject\":\"a\"}");
    pass_ms(6000);
    assert_answer(503, "\"outcome\":\"unknown\"");
}

static void ids_are_random(void **state)
{
    (void)state;
    struct command_open a, b;
    uint8_t first[SESSION_ID_SIZE];
    say_json("POST /v1/sessions", "{\"subject\":\"a\"}");
    expect_open(&a);
    memcpy(first, a.session, sizeof(first));
    say_json("POST /v1/sessions", "{\"subject\":\"a\"}");
    expect_open(&b);
    assert_memory_not_equal(first, b.session, sizeof(first));
}

static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    const char *header = bootstrap("[\"a*\"]", "{\"plan\":\"gold\"}");
    struct command_header h;
    struct unpack body;
    unsigned refused = 0;
    bool failed;
    unsigned long n = 0;
    do {
        failmalloc_arm(++n);
        say("POST /v1/sessions", header, "{\"name\":\"n\",\"attributes\":{\"b\":1}}");
        failed = failmalloc_disarm();
        if (R.ex.answered) {
            if (R.ex.out_status != 500 && R.ex.out_status != 503)
                fail_msg("%lu: %d %s", n, R.ex.out_status, answer());
            refused++;
            finish();
        } else {
            leave();
        }
        while (take_command(&h, &body))
            ;
    } while (failed);
    assert_true(refused >= 5);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(with_an_api_key),
        T(with_a_bootstrap_token),
        T(anonymously_where_allowed),
        T(others_may_not),
        T(bad_bodies),
        T(with_topics),
        T(claims_open_topics),
        T(a_token_without_claims_takes_them_back),
        T(attributes_have_a_ceiling),
        T(what_the_writer_says),
        T(ids_are_random),
        T(without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
