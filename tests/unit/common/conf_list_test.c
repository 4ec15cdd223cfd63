/* conf_list_test - what may stand in each kind of list. */
#include "common/conf_setting.h"
#include "common/conf_value.h"
#include "tests/unit/common/conf_helper.h"

static void test_items(void **state)
{
    static const struct {
        enum conf_setting_index s;
        const char *item;
        bool good;
    } rows[] = {
        {CONF_SETTING_conf_api_key_scopes, "admin", true},
        {CONF_SETTING_conf_api_key_scopes, "sessions:*", true},
        {CONF_SETTING_conf_api_key_scopes, "send:*", true},
        {CONF_SETTING_conf_api_key_scopes, "publish:*", true},
        {CONF_SETTING_conf_api_key_scopes, "publish:chat:1", true},
        {CONF_SETTING_conf_api_key_scopes, "read:chat:*", true},
        {CONF_SETTING_conf_api_key_scopes, "", false},
        {CONF_SETTING_conf_api_key_scopes, "admin:*", false},
        {CONF_SETTING_conf_api_key_scopes, "Admin", false},
        {CONF_SETTING_conf_api_key_scopes, "sessions", false},
        {CONF_SETTING_conf_api_key_scopes, "sessions:a", false},
        {CONF_SETTING_conf_api_key_scopes, "send:a", false},
        {CONF_SETTING_conf_api_key_scopes, "publish", false},
        {CONF_SETTING_conf_api_key_scopes, "publish:", false},
        {CONF_SETTING_conf_api_key_scopes, "publish:a*b", false},
        {CONF_SETTING_conf_api_key_scopes, "publish:**", false},
        {CONF_SETTING_conf_api_key_scopes, "read:a\n", false},
        {CONF_SETTING_conf_cors_origins, "*", true},
        {CONF_SETTING_conf_cors_origins, "https://a.example", true},
        {CONF_SETTING_conf_cors_origins, "http://[::1]:3000", true},
        {CONF_SETTING_conf_cors_origins, "capacitor://localhost", true},
        {CONF_SETTING_conf_cors_origins, "https://*.a.example", true},
        {CONF_SETTING_conf_cors_origins, "https://*.a.example:8443", true},
        {CONF_SETTING_conf_cors_origins, "https://a.*.example", false},
        {CONF_SETTING_conf_cors_origins, "https://*a.example", false},
        {CONF_SETTING_conf_cors_origins, "https://*.*.example", false},
        {CONF_SETTING_conf_cors_origins, "https://*.", false},
        {CONF_SETTING_conf_cors_origins, "https://*", false},
        {CONF_SETTING_conf_cors_origins, "*://a.example", false},
        {CONF_SETTING_conf_cors_origins, "https://a.example/", false},
        {CONF_SETTING_conf_cors_origins, "https://", false},
        {CONF_SETTING_conf_cors_origins, "://a", false},
        {CONF_SETTING_conf_cors_origins, "//a", false},
        {CONF_SETTING_conf_cors_origins, "a.example", false},
        {CONF_SETTING_conf_cors_origins, "HTTPS://a", false},
        {CONF_SETTING_conf_cors_origins, "https://u@a", false},
        {CONF_SETTING_conf_cors_origins, "https://\xc3\xa4", false},
        {CONF_SETTING_conf_phoenix_check_origin, "//a.example", true},
        {CONF_SETTING_conf_phoenix_check_origin, "//*.a.example", true},
        {CONF_SETTING_conf_phoenix_check_origin, "https://a.example:1", true},
        {CONF_SETTING_conf_phoenix_check_origin, "*", false},
        {CONF_SETTING_conf_phoenix_check_origin, "//", false},
        {CONF_SETTING_conf_phoenix_mounts, "/socket", true},
        {CONF_SETTING_conf_phoenix_mounts, "/realtime/v1", true},
        {CONF_SETTING_conf_phoenix_mounts, "/", false},
        {CONF_SETTING_conf_phoenix_mounts, "socket", false},
        {CONF_SETTING_conf_phoenix_mounts, "/socket/", false},
        {CONF_SETTING_conf_phoenix_mounts, "/a?b", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!conf_list_item(&conf_settings[rows[i].s], str_of(rows[i].item)) != rows[i].good)
            fail_msg("%s: \"%s\"", conf_settings[rows[i].s].name, rows[i].item);
}

static void test_ceiling(void **state)
{
    char item[256] = "/";
    const struct conf_setting *s = &conf_settings[CONF_SETTING_conf_phoenix_mounts];

    (void)state;
    memset(item + 1, 'x', 255);
    assert_null(conf_list_item(s, str_make(item, 255)));
    assert_non_null(conf_list_item(s, str_make(item, 256)));
}

static void test_near(void **state)
{
    static const struct {
        const char *item, *near;
    } rows[] = {
        {"pubish:chat:*", "publish:chat:*"},
        {"publish", "publish:*"},
        {"raed:a", "read:a"},
        {"session:*", "sessions:*"},
        {"sessions:a", "sessions:*"},
        {"ADMIN", "admin"},
        {"admn:x", "admin"},
        {"nothing", ""},
        {"", ""},
        {":", ""},
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(conf_list_near(&conf_settings[CONF_SETTING_conf_api_key_scopes],
                                           str_of(rows[i].item), text, sizeof(text)),
                            rows[i].near);
    assert_string_equal(conf_list_near(&conf_settings[CONF_SETTING_conf_cors_origins], STR("x"),
                                       text, sizeof(text)),
                        "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
