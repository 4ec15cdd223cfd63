/* rest_presence_test - who is in a topic, by pages; and where one session is. */
#include "rest_harness.h"

#include "../failmalloc.h"

#define TOPIC 100
#define LINE "GET /v1/topics/chat:1/presence"
#define SINCE "\"since\":\"2026-11-23T11:50:01.123Z\""

static int open_all(void **state)
{
    int err = rest_open(state);
    R.namespaces[0].presence = true;
    store_topic(TOPIC, "chat:1");
    store_topic(TOPIC + 1, "chat:2");
    F.topic[0].version = 17;
    F.topic[0].members = 5;
    return err;
}

/* A member's meta as it is shown. */
static const char *meta(int i, const char *members)
{
    static char text[4][256];
    static int at;
    at = (at + 1) % 4;
    snprintf(text[at], sizeof(text[at]),
             "{%s\"session\":\"%s\"," SINCE ",\"ref\":\"000000000000ab0%d\"}", members, sid(i), i);
    return text[at];
}

static void two_keys(void **state)
{
    (void)state;
    char text[2048], bob[512];
    F.session[4].subject = STR("__proto__");
    store_member(TOPIC, 4, true, "{\"mood\":\"ok\"}");
    store_member(TOPIC, 0, true, "{}");
    store_member(TOPIC, 2, true, "{\"ref\":1}"); /* as it never is */
    store_member(TOPIC, 1, false, "{}");         /* away */
    store_member(TOPIC + 1, 3, true, "{}");      /* elsewhere */
    say(LINE, KEY, NULL);
    assert_int_equal(R.ex.out_status, 200);
    snprintf(bob, sizeof(bob), "{\"key\":\"__proto__\",\"metas\":[%s]}",
             meta(4, "\"mood\":\"ok\","));
    snprintf(text, sizeof(text), "{\"key\":\"alice\",\"metas\":[%s,%s]}", meta(0, ""),
             meta(2, "\"ref\":1,"));
    assert_answer(200, "{\"topic\":\"chat:1\",\"version\":17,\"count\":5,\"members\":[{\"key\":");
    assert_answer(200, bob);
    assert_answer(200, text);
    assert_answer(200, "]}],\"next\":null}");
    assert_null(strstr(answer(), sid(1)));
    assert_null(strstr(answer(), sid(3)));
    assert_true(strlen(answer()) == strlen("{\"topic\":\"chat:1\",\"version\":17,\"count\":5,"
                                           "\"members\":[,],\"next\":null}") +
                                        strlen(bob) + strlen(text));
}

static void anonymous_ones_and_msgpack(void **state)
{
    (void)state;
    char text[512];
    F.session[5].subject = str_make(NULL, 0);
    store_member(TOPIC, 5, true, "{}");
    say(LINE, KEY, NULL);
    snprintf(text, sizeof(text), "\"members\":[{\"key\":\"%s\",\"metas\":[%s]}],", sid(5),
             meta(5, ""));
    assert_answer(200, text);
    say(LINE, KEY "\nAccept: application/msgpack", NULL);
    assert_int_equal(R.ex.out_status, 200);
    struct mp_value v;
    assert_int_equal(mp_check(buf_str(&R.ex.out_body), &v), 0);
    assert_int_equal(v.type, MP_MAP);
    assert_int_equal(v.u, 5);
}

static void nobody_is_there(void **state)
{
    (void)state;
    say("GET /v1/topics/chat:2/presence", KEY, NULL);
    assert_answer(200, "{\"topic\":\"chat:2\",\"version\":0,\"count\":0,\"members\":[],"
                       "\"next\":null}");
    say("GET /v1/topics/chat:never/presence", KEY, NULL); /* not made yet */
    assert_answer(200, "{\"topic\":\"chat:never\",\"version\":0,\"count\":0,\"members\":[],"
                       "\"next\":null}");
    store_member(TOPIC, 0, false, "{}");
    say(LINE, KEY, NULL);
    assert_answer(200, "\"members\":[],\"next\":null}");
    say("GET /v1/topics/nowhere/presence", KEY, NULL);
    assert_code(404, "topic_unknown");
    store_topic(TOPIC + 2, "gone"); /* its namespace is */
    say("GET /v1/topics/gone/presence", KEY, NULL);
    assert_answer(200, "\"members\":[]");
    R.namespaces[0].presence = false;
    say(LINE, KEY, NULL);
    assert_code(403, "forbidden");
}

static void who_may_look(void **state)
{
    (void)state;
    say(LINE, "Authorization: Bearer secret-2", NULL);
    assert_code(403, "forbidden");
    say(LINE, NULL, NULL);
    assert_code(401, "token_missing");
    say(LINE, bootstrap("", ""), NULL);
    assert_code(403, "forbidden");
    say("GET /v1/topics/%01/presence", KEY, NULL);
    assert_code(400, "bad_request");
    say(LINE, token_of(0), NULL);
    assert_code(403, "forbidden");
    say("GET /v1/topics/nowhere/presence", token_of(0), NULL);
    assert_code(403, "forbidden");
    join_put(1, TOPIC + 1, 0);
    say(LINE, token_of(0), NULL);
    assert_code(403, "forbidden");
    join_put(1, TOPIC, 0);
    store_member(TOPIC, 4, true, "{}");
    F.session[0].expires_ms = board_now_ms(F.board) + F.session[0].ttl_ms / 2;
    say(LINE, token_of(0), NULL);
    assert_answer(200, sid(4));
    struct command_header h;
    struct unpack body;
    assert_int_equal(take_command(&h, &body), COMMAND_TOUCH); /* it is a use */
    say(LINE, token_of(1), NULL);
    assert_code(403, "forbidden");
    F.ended[0] = true;
    say(LINE, token_of(0), NULL);
    assert_code(401, "token_revoked");
}

static void bad_queries(void **state)
{
    (void)state;
    static const char *const bad[] = {"limit=0",
                                      "limit=1001",
                                      "limit=x",
                                      "after=",
                                      "after=00",
                                      "after=000000000000000000000000000000zz",
                                      "after=0000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[128];
        snprintf(line, sizeof(line), LINE "?%s", bad[i]);
        say(line, KEY, NULL);
        assert_code(400, "bad_request");
    }
}

/* Rows of many keys: member n of key n / per, in the order of their hashes. */
static void crowd(size_t n, size_t per, bool (*here)(size_t i), const char *shown)
{
    static char keys[MEMBERS][12];
    for (size_t i = 0; i < n; i++) {
        struct member *m = &F.member[i];
        size_t key = i / per;
        *m = (struct member){.topic = TOPIC,
                             .mailbox = 1000 + i,
                             .since_ms = 1,
                             .ref = i + 1,
                             .here = !here || here(i),
                             .meta = str_of(shown)};
        snprintf(keys[i], sizeof(keys[i]), "%zu", key);
        m->key = str_of(keys[i]);
        for (int byte = 0; byte < 8; byte++)
            m->hash[byte] = (uint8_t)(key >> (56 - 8 * byte));
    }
    F.nmembers = n;
}

static unsigned seen[MEMBERS]; /* by ref */

/* All pages; how many they are. largest: bytes of the largest one, empties: those without keys. */
static unsigned read_pages(const char *limit, size_t *ret_largest, unsigned *ret_empty)
{
    static const char *const names[] = {"members", "next"}, *const ofs[] = {"metas", "ref"};
    char line[256];
    unsigned pages = 0;
    memset(seen, 0, sizeof(seen));
    *ret_largest = 0;
    *ret_empty = 0;
    snprintf(line, sizeof(line), LINE "?limit=%s", limit);
    for (bool more = true; more; pages++) {
        struct json_value root, v[2], row, of[2], m;
        struct json_iter keys, metas;
        unsigned n = 0;
        say(line, KEY, NULL);
        assert_int_equal(R.ex.out_status, 200);
        if (R.ex.out_body.len > *ret_largest)
            *ret_largest = R.ex.out_body.len;
        assert_int_equal(json_check(buf_str(&R.ex.out_body), &root), 0);
        assert_int_equal(json_pick(root, names, 2, v), 0);
        json_iter_begin(&keys, v[0]);
        for (; json_next_item(&keys, &row); n++) {
            assert_int_equal(json_pick(row, ofs, 2, of), 0);
            json_iter_begin(&metas, of[0]);
            unsigned count = 0;
            for (; json_next_item(&metas, &m); count++) {
                assert_int_equal(json_pick(m, ofs, 2, of), 0);
                char ref[17] = {0};
                memcpy(ref, of[1].raw.p + 1, 16);
                seen[strtoul(ref, NULL, 16) - 1]++;
            }
            assert_true(count > 0);
        }
        *ret_empty += n == 0;
        assert_true(n <= strtoul(limit, NULL, 10));
        more = v[1].type == JSON_STRING;
        snprintf(line, sizeof(line), LINE "?limit=%s&after=%.32s", limit, v[1].raw.p + 1);
    }
    return pages;
}

static void assert_all_seen(size_t n, bool (*here)(size_t i))
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(seen[i], !here || here(i));
}

static bool every_fifth(size_t i)
{
    return i % 5 == 0;
}

static bool first_and_last(size_t i)
{
    return i == 0 || i == 15999;
}

static bool none(size_t i)
{
    (void)i;
    return false;
}

static void pages(void **state)
{
    (void)state;
    size_t largest;
    unsigned empty;
    crowd(30, 3, NULL, "{}");
    assert_int_equal(read_pages("4", &largest, &empty), 3);
    assert_all_seen(30, NULL);
    assert_int_equal(read_pages("5", &largest, &empty), 2); /* exactly all of them */
    assert_int_equal(read_pages("1", &largest, &empty), 10);
    assert_all_seen(30, NULL);
    assert_int_equal(empty, 0);
    /* Where sessions are away, pages are as full, and keys of which nobody is here are not shown.
     */
    crowd(30, 3, every_fifth, "{}");
    assert_int_equal(read_pages("3", &largest, &empty), 2);
    assert_all_seen(30, every_fifth);
    assert_int_equal(empty, 0);
}

static void pages_of_much(void **state)
{
    (void)state;
    static char large[4096];
    size_t largest;
    unsigned empty;
    snprintf(large, sizeof(large), "{\"a\":\"%03900d\"}", 0);
    crowd(1000, 2, NULL, large);
    assert_int_equal(read_pages("1000", &largest, &empty), 4);
    assert_all_seen(1000, NULL);
    assert_in_range(largest, 1 << 20, (1 << 20) + 3 * sizeof(large));
    crowd(600, 600, NULL, large); /* a key is never split */
    assert_int_equal(read_pages("1", &largest, &empty), 1);
    assert_all_seen(600, NULL);
}

/* Those who are away are not walked over in one go. */
static void pages_of_few(void **state)
{
    (void)state;
    size_t largest;
    unsigned empty;
    crowd(16000, 1, first_and_last, "{}");
    assert_int_equal(read_pages("1000", &largest, &empty), 2);
    assert_all_seen(16000, first_and_last);
    crowd(16000, 1, none, "{}");
    assert_int_equal(read_pages("1000", &largest, &empty), 2);
    assert_int_equal(empty, 2);
}

static void where_a_session_is(void **state)
{
    (void)state;
    char text[1024];
    join_put(1, TOPIC, 0);
    join_put(1, TOPIC + 1, 0);
    join_put(1, TOPIC + 2, 0);
    store_topic(TOPIC + 2, "chat:untracked");
    for (size_t i = 0; i < F.nsubscribed; i++)
        F.subscribed[i].s.tracked = F.subscribed[i].s.topic != TOPIC + 2;
    store_member(TOPIC, 0, true, "{\"a\":1}");
    store_member(TOPIC + 1, 0, false, "{}");
    say(at_session("GET", 0, ""), token_of(0), NULL);
    snprintf(
        text, sizeof(text),
        ",\"presence\":[{\"topic\":\"chat:1\",\"here\":true,\"ref\":\"000000000000ab00\"," SINCE
        ",\"meta\":{\"a\":1}},{\"topic\":\"chat:2\",\"here\":false,\"ref\":"
        "\"000000000000ab00\"," SINCE ",\"meta\":{}}]}");
    assert_answer(200, text);
    say(at_session("GET", 1, ""), KEY, NULL);
    assert_answer(200, ",\"presence\":[]}");
    say("GET /v1/sessions?subject=alice", KEY, NULL); /* a list would be long */
    assert_int_equal(R.ex.out_status, 200);
    assert_null(strstr(answer(), "presence"));
    F.nmembers = 0; /* a store that contradicts itself */
    say(at_session("GET", 0, ""), KEY, NULL);
    assert_code(500, "internal");
}

static void without_memory(void **state)
{
    (void)state;
    store_member(TOPIC, 0, true, "{}");
    join_put(1, TOPIC, 0);
    for (int i = 0; i < 2; i++) {
        unsigned refused = 0;
        bool failed = true;
        for (unsigned long n = 1; failed; n++) {
            char header[512];
            snprintf(header, sizeof(header), "%s", i ? token_of(0) : KEY);
            failmalloc_arm(n);
            say(LINE, header, NULL);
            failed = failmalloc_disarm();
            if (R.ex.out_status != 200) {
                assert_true(R.ex.out_status == 500 || R.ex.out_status == 503);
                refused++;
            }
        }
        assert_true(refused >= 1);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_all, rest_close)
    const struct CMUnitTest tests[] = {
        T(two_keys),       T(anonymous_ones_and_msgpack),
        T(who_may_look),   T(nobody_is_there),
        T(bad_queries),    T(pages),
        T(pages_of_few),   T(pages_of_much),
        T(without_memory), T(where_a_session_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
