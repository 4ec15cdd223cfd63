/* conf_value_test - every setting takes its bounds and refuses what is beyond them. */
#include <unistd.h>

#include "common/conf_setting.h"
#include "common/conf_value.h"
#include "common/units.h"
#include "tests/unit/common/conf_helper.h"

static int store(const struct conf_setting *s, const char *text, void *owner)
{
    const char *wrong = NULL;
    int rc = conf_value_store(s, str_of(text), "/d", owner, &wrong);

    assert_true((rc == -EINVAL) == (wrong != NULL));
    return rc;
}

static bool is_number(enum conf_type t)
{
    return t == CONF_TYPE_COUNT || t == CONF_TYPE_SIZE || t == CONF_TYPE_RING ||
           t == CONF_TYPE_DURATION || t == CONF_TYPE_WORKERS;
}

static uint64_t number(const struct conf_setting *s, const char *text)
{
    union {
        struct conf c;
        struct conf_namespace n;
    } owner = {0};

    assert_int_equal(store(s, text, &owner), 0);
    return *(uint64_t *)conf_field(&owner, s->at);
}

static void test_table(void **state)
{
    char below[32], above[32];
    struct conf c = {0};
    size_t bounded = 0;

    (void)state;
    for (size_t i = 0; i < CONF_SETTINGS; i++) {
        const struct conf_setting *s = &conf_settings[i];
        if (!is_number(s->type))
            continue;
        assert_true(*s->min && *s->max);
        uint64_t min = number(s, s->min), max = number(s, s->max), def = number(s, s->def);
        assert_true(min <= def && def <= max);
        const char *unit = s->type == CONF_TYPE_DURATION ? "ms" : "";
        snprintf(above, sizeof(above), "%llu%s", (unsigned long long)max + 1, unit);
        assert_int_equal(store(s, above, &c), -EINVAL);
        if (min) {
            snprintf(below, sizeof(below), "%llu%s", (unsigned long long)min - 1, unit);
            assert_int_equal(store(s, below, &c), -EINVAL);
            bounded++;
        }
        static const char *const never[] = {
            "", "x", "-1", "1.5", "1 ", " 1", "99999999999999999999999", "0x10", "1e3", "+1"};
        for (size_t k = 0; k < sizeof(never) / sizeof(never[0]); k++)
            if (store(s, never[k], &c) != -EINVAL)
                fail_msg("%s.%s takes \"%s\"", s->section, s->name, never[k]);
    }
    assert_true(bounded > 20);
}

static void test_numbers(void **state)
{
    struct conf c = {.limit_message = 7};

    (void)state;
    assert_int_equal(number(&conf_settings[CONF_SETTING_session_ttl], "90"), 90000);
    assert_int_equal(number(&conf_settings[CONF_SETTING_session_ttl], "1500ms"), 1500);
    assert_int_equal(number(&conf_settings[CONF_SETTING_limit_message], "2000"), 2000);
    assert_int_equal(number(&conf_settings[CONF_SETTING_limit_message], "2K"), 2048);
    assert_int_equal(store(&conf_settings[CONF_SETTING_limit_message], "0", &c), -EINVAL);
    assert_int_equal(c.limit_message, 7);
}

/* Rings are powers of two; what is not is rounded up. */
static void test_rings(void **state)
{
    const struct conf_setting *s = &conf_settings[CONF_SETTING_shm_inbox];

    (void)state;
    assert_int_equal(number(s, "64K"), 65536);
    assert_int_equal(number(s, "65537"), 131072);
    assert_int_equal(number(s, "100K"), 131072);
    assert_int_equal(number(s, "1023M"), 1 << 30);
    assert_int_equal(number(s, "1G"), 1 << 30);
    assert_int_equal(number(&conf_settings[CONF_SETTING_shm_feed], "3G"), 1ull << 32);
}

static void test_workers(void **state)
{
    const struct conf_setting *s = &conf_settings[CONF_SETTING_workers];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    (void)state;
    assert_int_equal(number(s, "64"), 64);
    assert_int_equal(number(s, "auto"), cores > 64 ? 64 : cores);
}

static void test_words(void **state)
{
    struct conf c = {0};
    struct conf_namespace n = {0};

    (void)state;
    assert_int_equal(store(&conf_settings[CONF_SETTING_anonymous], "true", &c), 0);
    assert_true(c.anonymous);
    assert_int_equal(store(&conf_settings[CONF_SETTING_anonymous], "yes", &c), -EINVAL);
    assert_true(c.anonymous);
    assert_int_equal(store(&conf_settings[CONF_SETTING_anonymous], "false", &c), 0);
    assert_false(c.anonymous);
    assert_int_equal(store(&conf_settings[CONF_SETTING_log_level], "error", &c), 0);
    assert_int_equal(c.log_level, 3);
    assert_int_equal(store(&conf_settings[CONF_SETTING_log_level], "Error", &c), -EINVAL);
    assert_int_equal(store(&conf_settings[CONF_SETTING_log_level], "debug|info", &c), -EINVAL);
    assert_int_equal(store(&conf_settings[CONF_SETTING_log_level], "", &c), -EINVAL);
    assert_int_equal(store(&conf_settings[CONF_SETTING_store_durability], "memory", &c), 0);
    assert_int_equal(c.store_durability, CONF_MEMORY);
    assert_int_equal(store(&conf_settings[CONF_SETTING_mailbox_overflow], "drop_oldest", &c), 0);
    assert_int_equal(c.mailbox_overflow, CONF_DROP_OLDEST);
    assert_int_equal(store(&conf_settings[CONF_SETTING_conf_namespace_join_claim], "claim", &n), 0);
    assert_true(n.join_claim);
    assert_int_equal(store(&conf_settings[CONF_SETTING_conf_namespace_join_claim], "open", &n), 0);
    assert_false(n.join_claim);
    assert_int_equal(store(&conf_settings[CONF_SETTING_conf_namespace_on_push], "deny", &n), 0);
    assert_int_equal(n.on_push, 4);
}

static void test_paths(void **state)
{
    const struct conf_setting *s = &conf_settings[CONF_SETTING_state_dir];
    static char text[5000];
    struct conf c = {0};

    (void)state;
    assert_int_equal(store(s, "a/b", &c), 0);
    assert_string_equal(c.state_dir, "/d/a/b");
    assert_int_equal(store(s, "/a", &c), 0);
    assert_string_equal(c.state_dir, "/a");
    assert_int_equal(store(s, "", &c), -EINVAL);
    assert_int_equal(store(s, "a\nb", &c), -EINVAL);
    memset(text, 'x', 4095 - 3);
    assert_int_equal(store(s, text, &c), 0);
    assert_int_equal(strlen(c.state_dir), 4095);
    text[4095 - 3] = 'x';
    assert_int_equal(store(s, text, &c), -EINVAL);
    conf_value_free(s, &c);
    assert_null(c.state_dir);
    s = &conf_settings[CONF_SETTING_store_path];
    assert_int_equal(store(s, "", &c), 0);
    assert_string_equal(c.store_path, "");
    conf_value_free(s, &c);
    char *root = conf_path("/", STR("a"));
    assert_string_equal(root, "/a");
    free(root);
}

static void test_keys(void **state)
{
    struct conf_token_key t = {0};
    struct conf_api_key a = {0};
    const struct conf_setting *secret = &conf_settings[CONF_SETTING_conf_token_key_secret];
    const struct conf_setting *hash = &conf_settings[CONF_SETTING_conf_api_key_sha256];

    (void)state;
    assert_int_equal(store(secret, "0123456789012345678901234567890", &t), -EINVAL);
    assert_null(t.secret);
    assert_int_equal(store(secret, "01234567890123456789012345678901", &t), 0);
    assert_int_equal(t.secret_len, 32);
    assert_int_equal(store(secret, "012345678901234567890123456789012", &t), 0);
    assert_int_equal(t.secret_len, 33);
    assert_string_equal((char *)t.secret, "012345678901234567890123456789012");
    conf_value_free(secret, &t);
    assert_null(t.secret);

    assert_int_equal(
        store(hash, "00ff000000000000000000000000000000000000000000000000000000000001", &a), 0);
    assert_int_equal(a.sha256[1], 0xff);
    assert_int_equal(a.sha256[31], 1);
    assert_int_equal(
        store(hash, "0ff000000000000000000000000000000000000000000000000000000000001", &a),
        -EINVAL);
    assert_int_equal(
        store(hash, "00ff0000000000000000000000000000000000000000000000000000000000010", &a),
        -EINVAL);
    assert_int_equal(
        store(hash, "g0ff000000000000000000000000000000000000000000000000000000000001", &a),
        -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_rings), cmocka_unit_test(test_workers),
        cmocka_unit_test(test_words), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
