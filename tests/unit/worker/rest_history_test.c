/* rest_history_test - a topic's messages, forward and backward, by pages, in both encodings. */
#include "rest_harness.h"

#include "../failmalloc.h"

#define TOPIC "/v1/topics/chat:1/messages"

static int open_history(void **state)
{
    int err = rest_open(state);
    F.topic[0] = (struct topic){.stream = 100, .name = STR("chat:1")};
    for (uint64_t seq = 2; seq <= 20; seq += 2)
        store_put(100, seq, seq - 2, "payload");
    F.last_seq = 21;
    feed_end(FEED_COMMIT);
    return err;
}

static void get(const char *query)
{
    static char line[256];
    snprintf(line, sizeof(line), "GET " TOPIC "%s", query);
    say(line, KEY, NULL);
}

/* Seqs of the answer, its cursor, whether there is more. */
static void assert_page(const char *query, const char *seqs, uint64_t cursor, bool more)
{
    static const char *const names[] = {"messages", "cursor", "more"};
    struct json_value root, v[3], m, seq;
    struct json_iter it;
    char got[256], text[128];
    struct buf b;
    get(query);
    assert_int_equal(R.ex.out_status, 200);
    assert_int_equal(json_check(buf_str(&R.ex.out_body), &root), 0);
    assert_int_equal(json_pick(root, names, 3, v), 0);
    buf_fixed(&b, got, sizeof(got));
    json_iter_begin(&it, v[0]);
    while (json_next_item(&it, &m)) {
        static const char *const member[] = {"seq"};
        assert_int_equal(json_pick(m, member, 1, &seq), 0);
        buf_append_str(&b, seq.raw);
        buf_append_c(&b, ' ');
    }
    buf_append_c(&b, '\0');
    assert_string_equal(got, seqs);
    assert_true(str_is(v[2].raw, more ? "true" : "false"));
    snprintf(text, sizeof(text), "Restante-Cursor: %s\r\n", cursor_of(cursor));
    assert_non_null(strstr(head_lines(), text));
    snprintf(text, sizeof(text), "\"cursor\":\"%s\",\"more\"", cursor_of(cursor));
    assert_non_null(strstr(answer(), text));
}

#define AT(seq) "cursor=9f86d081884c7d65." #seq

static void forward(void **state)
{
    (void)state;
    assert_page("", "2 4 6 8 10 12 14 16 18 20 ", 20, false);
    assert_page("?limit=3", "2 4 6 ", 6, true);
    assert_page("?limit=3&" AT(6), "8 10 12 ", 12, true);
    assert_page("?" AT(15), "16 18 20 ", 20, false);
    assert_page("?" AT(20), "", 21, false);
    assert_page("?max_bytes=1", "2 ", 2, true);
    assert_answer(200, "\"stream\":\"topic:chat:1\"");
    size_t one = R.ex.out_body.len;
    char query[64];
    snprintf(query, sizeof(query), "?max_bytes=%zu", 3 * one);
    get(query);
    assert_true(R.ex.out_body.len > one && R.ex.out_body.len < 4 * one);
}

static void backward(void **state)
{
    (void)state;
    assert_page("?reverse=1", "20 18 16 14 12 10 8 6 4 2 ", 2, false);
    assert_page("?reverse=1&limit=3", "20 18 16 ", 16, true);
    assert_page("?reverse=1&limit=3&" AT(16), "14 12 10 ", 10, true);
    assert_page("?reverse=1&" AT(5), "4 2 ", 2, false);
    assert_page("?reverse=1&" AT(2), "", 2, false);
    assert_page("?reverse=1&" AT(0), "", 0, false);
    assert_page("?reverse=1&max_bytes=1", "20 ", 20, true);
    assert_page("?reverse=0&limit=1", "2 ", 2, true);
    assert_page("?reverse=true&limit=1", "20 ", 20, true);
    assert_page("?reverse=false&limit=1", "2 ", 2, true);
}

static void truncated_where_it_was_not_seen(void **state)
{
    (void)state;
    F.topic_trimmed[0] = 8;
    get("?" AT(3));
    assert_answer(200, "\"truncated\":[{\"stream\":\"topic:chat:1\",\"from\":4,\"to\":8}]");
    get("?" AT(8));
    assert_null(strstr(answer(), "truncated"));
    get("?reverse=1");
    assert_null(strstr(answer(), "truncated"));
}

static void of_nothing(void **state)
{
    (void)state;
    say("GET /v1/topics/chat:none/messages", KEY, NULL);
    assert_answer(200, "{\"messages\":[],\"cursor\":\"9f86d081884c7d65.21\",\"more\":false}");
    say("GET /v1/topics/chat:none/messages?reverse=1&" AT(7), KEY, NULL);
    assert_answer(200, "{\"messages\":[],\"cursor\":\"9f86d081884c7d65.7\",\"more\":false}");
    say("GET /v1/topics/nowhere/messages", KEY, NULL);
    assert_code(404, "topic_unknown");
}

static void cursors_are_judged(void **state)
{
    (void)state;
    F.topic_trimmed[0] = 8;
    for (int reverse = 0; reverse < 2; reverse++) {
        get(reverse ? "?reverse=1&" AT(22) : "?" AT(22));
        assert_code(410, "cursor_reset");
        assert_answer(410, "\"reason\":\"ahead\",\"oldest\":\"9f86d081884c7d65.");
        assert_answer(410, "\"newest\":\"9f86d081884c7d65.21\"");
        get(reverse ? "?reverse=1&cursor=0000000000000001.5" : "?cursor=0000000000000001.5");
        assert_answer(410, "\"reason\":\"epoch\"");
    }
    say("GET /v1/topics/chat:none/messages?" AT(22), KEY, NULL);
    assert_answer(410, "\"oldest\":\"9f86d081884c7d65.0\"");
    static const char *const bad[] = {
        "?cursor=",    "?cursor=x",     "?limit=0",  "?limit=1001",
        "?reverse=2",  "?reverse=True", "?reverse=", "?reverse=1&reverse=1",
        "?max_bytes=0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        get(bad[i]);
        assert_code(400, "bad_request");
    }
}

static void who_may(void **state)
{
    (void)state;
    say("GET " TOPIC, NULL, NULL);
    assert_code(401, "token_missing");
    say("GET " TOPIC, token_of(0), NULL);
    assert_code(403, "forbidden");
    F.ended[0] = true;
    say("GET " TOPIC, token_of(0), NULL);
    assert_code(401, "token_revoked");
    say("GET " TOPIC, bootstrap("[\"chat:*\"]", ""), NULL);
    assert_code(403, "forbidden");
    say("GET " TOPIC, "Authorization: Bearer secret-2", NULL);
    assert_code(403, "forbidden");
    say("GET /v1/topics/%7f/messages", KEY, NULL);
    assert_code(400, "bad_request");
}

/* A read that fails half way counts for nothing. */
static void half_a_read(void **state)
{
    (void)state;
    F.fail_reads = 1;
    F.fail_after = 2;
    F.fail_with = -EUCLEAN;
    assert_page("?limit=3", "2 4 6 ", 6, true);
    F.fail_reads = 2;
    get("?limit=3");
    assert_code(500, "internal");
}

static void as_messagepack(void **state)
{
    (void)state;
    say("GET " TOPIC "?reverse=1&limit=2", KEY "\nAccept: application/msgpack", NULL);
    assert_int_equal(R.ex.out_status, 200);
    assert_string_equal(R.ex.out_type, "application/msgpack");
    struct mp_value root;
    struct buf json;
    buf_init(&json, 1 << 16);
    assert_int_equal(mp_check(buf_str(&R.ex.out_body), &root), 0);
    assert_int_equal(mp_to_json(root, &json), 0);
    buf_append_c(&json, '\0');
    assert_non_null(strstr((char *)json.data, "{\"messages\":[{\"seq\":20,"));
    assert_non_null(strstr((char *)json.data, "\"cursor\":\"9f86d081884c7d65.18\",\"more\":true}"));
    buf_free(&json);
}

static void without_memory(void **state)
{
    (void)state;
    unsigned refused = 0;
    bool failed = true;
    for (unsigned long n = 1; failed; n++) {
        failmalloc_arm(n);
        get("?reverse=1");
        failed = failmalloc_disarm();
        if (R.ex.out_status == 200)
            continue;
        assert_true(R.ex.out_status == 500 || R.ex.out_status == 503);
        refused++;
    }
    assert_true(refused >= 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_history, rest_close)
    const struct CMUnitTest tests[] = {
        T(forward),     T(backward),           T(truncated_where_it_was_not_seen),
        T(of_nothing),  T(cursors_are_judged), T(who_may),
        T(half_a_read), T(as_messagepack),     T(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
