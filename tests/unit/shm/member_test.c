/* member_test - rows of members, the order in which they are listed, and how they are shown. */
#include "tests/unit/shm/store_fixture.h"

#include "shm/member.h"

static struct member make(struct fixture *f, uint64_t topic, struct str key, uint64_t mailbox)
{
    struct member m = {.topic = topic,
                       .mailbox = mailbox,
                       .session = {7, (uint8_t)mailbox},
                       .since_ms = 1000 + mailbox,
                       .ref = 2000 + mailbox,
                       .here = mailbox % 2,
                       .key = key,
                       .meta = STR("{\"a\":1}")};
    assert_int_equal(member_put(f->txn, &m), 0);
    return m;
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct member m, got;
    uint8_t hash[MEMBER_HASH];
    fixture_write(f);
    m = make(f, 5, STR("alice"), 11);
    member_hash(STR("alice"), hash);
    assert_memory_equal(hash, m.hash, sizeof(hash));
    assert_int_equal(member_get(f->txn, 5, hash, 11, &got), 0);
    assert_true(got.topic == 5 && got.mailbox == 11 && got.since_ms == 1011 && got.ref == 2011);
    assert_true(got.here && str_is(got.key, "alice") && str_is(got.meta, "{\"a\":1}"));
    assert_memory_equal(got.session, m.session, SESSION_ID_SIZE);
    assert_memory_equal(got.hash, hash, sizeof(hash));
    m.here = false;
    m.meta = STR("{}");
    assert_int_equal(member_put(f->txn, &m), 0);
    assert_int_equal(member_get(f->txn, 5, hash, 11, &got), 0);
    assert_true(!got.here && str_is(got.meta, "{}"));
    assert_int_equal(txn_entries(f->txn, DB_MEMBER), 1);
    assert_int_equal(member_get(f->txn, 6, hash, 11, &got), -ENOENT);
    assert_int_equal(member_get(f->txn, 5, hash, 12, &got), -ENOENT);
    assert_int_equal(member_del(f->txn, 5, hash, 11), 0);
    assert_int_equal(member_del(f->txn, 5, hash, 11), -ENOENT);
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    struct member m;
    uint8_t last[MEMBER_HASH] = {0};
    char key[16];
    unsigned seen = 0, keys = 0;
    fixture_write(f);
    for (uint64_t topic = 4; topic <= 6; topic++)
        for (int k = 0; k < 20; k++) {
            snprintf(key, sizeof(key), "user-%d", k);
            for (uint64_t i = 0; i < 3; i++)
                make(f, topic, str_of(key), topic * 1000 + (uint64_t)k * 10 + i);
        }
    /* All rows of a topic, those of one key together, in one walk. */
    int rc = member_first(f->txn, 5, NULL, &m);
    for (; rc == 0; rc = member_next(f->txn, 5, &m)) {
        assert_int_equal(m.topic, 5);
        int order = seen ? memcmp(last, m.hash, sizeof(last)) : -1;
        assert_true(order < 0 || (order == 0 && seen % 3));
        keys += order < 0;
        memcpy(last, m.hash, sizeof(last));
        seen++;
    }
    assert_int_equal(rc, -ENOENT);
    assert_true(seen == 60 && keys == 20);
    /* Key by key. */
    unsigned steps = 0;
    const uint8_t *after = NULL;
    while (member_first(f->txn, 5, after, &m) == 0) {
        assert_true(!after || memcmp(m.hash, last, sizeof(last)) > 0);
        memcpy(last, m.hash, sizeof(last));
        after = last;
        steps++;
    }
    assert_int_equal(steps, 20);
    memset(last, 0xff, sizeof(last));
    assert_int_equal(member_first(f->txn, 5, last, &m), -ENOENT);
    assert_int_equal(member_first(f->txn, 3, NULL, &m), -ENOENT);
    assert_int_equal(member_first(f->txn, 7, NULL, &m), -ENOENT);
}

static void test_malformed(void **state)
{
    struct fixture *f = *state;
    struct member m;
    unsigned char key[32];
    fixture_write(f);
    memset(key, 0, sizeof(key));
    key_u64(key, 5);
    assert_int_equal(txn_put(f->txn, DB_MEMBER, str_make(key, 32), STR("short")), 0);
    assert_int_equal(member_first(f->txn, 5, NULL, &m), -EUCLEAN);
    assert_int_equal(txn_put(f->txn, DB_MEMBER, STR("x"), STR("short")), 0);
    assert_int_equal(member_next(f->txn, 5, &m), -EUCLEAN);
}

static void test_key(void **state)
{
    (void)state;
    struct session s = {.id = {1}, .subject = STR("alice")};
    char text[SESSION_ID_TEXT];
    assert_true(str_is(member_key(&s, text), "alice"));
    s.subject = str_make(NULL, 0);
    assert_true(str_is(member_key(&s, text), "AQAAAAAAAAAAAAAAAAAAAA"));
}

static void shows(const char *meta, uint64_t prev_ref, const char *want)
{
    struct buf b;
    struct member m = {.session = {1}, .since_ms = 5, .ref = 0x1f, .meta = str_of(meta)};
    buf_init(&b, 4096);
    assert_int_equal(member_json(&b, &m, prev_ref), 0);
    buf_append_c(&b, '\0');
    assert_string_equal((char *)b.data, want);
    buf_free(&b);
}

static void test_json(void **state)
{
    (void)state;
    shows("{}", 0,
          "{\"session\":\"AQAAAAAAAAAAAAAAAAAAAA\",\"since\":\"1970-01-01T00:00:00.005Z\","
          "\"ref\":\"000000000000001f\"}");
    shows("{\"a\":{}}", UINT64_MAX,
          "{\"a\":{},\"session\":\"AQAAAAAAAAAAAAAAAAAAAA\",\"since\":\"1970-01-01T00:00:00.005Z\","
          "\"ref\":\"000000000000001f\",\"prev_ref\":\"ffffffffffffffff\"}");
}

static void keeps(const char *said, const char *want)
{
    struct json_value v;
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(json_check(str_of(said), &v), 0);
    assert_int_equal(member_meta(v, &b), 0);
    buf_append_c(&b, '\0');
    assert_string_equal((char *)b.data, want);
    buf_free(&b);
}

static void test_meta(void **state)
{
    (void)state;
    struct json_value v;
    struct buf b;
    keeps(" { } ", "{}");
    keeps("{ \"name\" : \"A l\\u00e4\" , \"n\": [ 1, 2 ] }",
          "{\"name\":\"A l\\u00e4\",\"n\":[1,2]}");
    keeps("{\"ref\":1,\"a\":2,\"s\\u0065ssion\":3,\"since\":4,\"prev_ref\":5,\"b\":{\"ref\":6}}",
          "{\"a\":2,\"b\":{\"ref\":6}}");
    keeps("{\"session\":1}", "{}");
    keeps("{\"__proto__\":{\"x\":1},\"\":0}", "{\"__proto__\":{\"x\":1},\"\":0}");
    assert_int_equal(json_check(STR("{\"abc\":1}"), &v), 0);
    buf_init(&b, 8);
    assert_int_equal(member_meta(v, &b), -EMSGSIZE);
    buf_free(&b);
    buf_init(&b, 9);
    assert_int_equal(member_meta(v, &b), 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_round_trip), fixture_test(test_list),     fixture_test(test_malformed),
        cmocka_unit_test(test_key),    cmocka_unit_test(test_json), cmocka_unit_test(test_meta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
