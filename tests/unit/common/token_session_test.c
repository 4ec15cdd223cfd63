/* token_session_test - session tokens, rotation, and what a credential looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/token.h"

static const uint8_t id[SESSION_ID_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255};
static const struct session_keys keys = {
    .key = {{.id = 0x01020304, .secret = {1}}, {.id = 9, .secret = {2}}}};

static void test_round(void **state)
{
    char text[SESSION_TOKEN_TEXT];
    uint8_t got[SESSION_ID_SIZE] = {0};

    (void)state;
    session_token_mint(&keys, id, 1700000000123, text);
    assert_int_equal(strlen(text), SESSION_TOKEN_TEXT - 1);
    /* key id, session id and seconds stand in the open, in network order */
    assert_memory_equal(text, "rs1.AQIDBAECAwQFBgcICQoLDA0OD_8AAAAAZVPxA", 41);
    assert_int_equal(session_token_verify(&keys, str_of(text), got), CODE_OK);
    assert_memory_equal(got, id, sizeof(id));
}

static void test_rotation(void **state)
{
    char text[SESSION_TOKEN_TEXT];
    uint8_t got[SESSION_ID_SIZE];
    struct session_keys later = {.key = {{.id = 7, .secret = {3}}, keys.key[0]}};
    struct session_keys latest = {.key = {{.id = 8, .secret = {4}}, later.key[0]}};
    struct session_keys forged = {.key = {{.id = keys.key[0].id, .secret = {5}}}};
    struct session_keys none = {0};

    (void)state;
    session_token_mint(&keys, id, 1, text);
    assert_int_equal(session_token_verify(&later, str_of(text), got), CODE_OK);
    memset(got, 0x77, sizeof(got));
    assert_int_equal(session_token_verify(&latest, str_of(text), got), CODE_TOKEN_UNKNOWN_KEY);
    uint32_t signer = session_token_signer(str_of(text));
    assert_true(session_keys_have(&keys, signer));
    assert_true(session_keys_have(&later, signer));
    assert_false(session_keys_have(&latest, signer));
    assert_false(session_keys_have(&none, 0));
    assert_int_equal(session_token_signer(STR("rs1.abc")), 0);
    assert_int_equal(session_token_verify(&none, str_of(text), got), CODE_TOKEN_UNKNOWN_KEY);
    assert_int_equal(session_token_verify(&forged, str_of(text), got), CODE_TOKEN_BAD_SIGNATURE);
    assert_int_equal(got[0], 0x77);
}

/* A key slot that is empty (id 0) signs nothing, whoever claims it. */
static void test_key_zero(void **state)
{
    struct session_keys zero = {.key = {{.id = 1}, {.id = 0}}};
    char text[SESSION_TOKEN_TEXT];
    uint8_t got[SESSION_ID_SIZE];

    (void)state;
    session_token_mint(&zero, id, 1, text);
    memcpy(text + 4, "AAAAAA", 6);
    assert_int_equal(session_token_verify(&zero, str_of(text), got), CODE_TOKEN_UNKNOWN_KEY);
}

static void test_changed(void **state)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[SESSION_TOKEN_TEXT], other[SESSION_TOKEN_TEXT + 4];
    uint8_t got[SESSION_ID_SIZE];

    (void)state;
    session_token_mint(&keys, id, 1700000000000, text);
    for (size_t i = 4; text[i]; i++)
        for (int bit = 0; bit < 6; bit++) {
            memcpy(other, text, sizeof(text));
            other[i] = alphabet[(size_t)(strchr(alphabet, text[i]) - alphabet) ^ (1u << bit)];
            assert_int_not_equal(session_token_verify(&keys, str_of(other), got), CODE_OK);
        }
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_int_equal(session_token_verify(&keys, str_make(text, n), got), CODE_TOKEN_MALFORMED);
    memcpy(other, text, sizeof(text));
    strcat(other, "A");
    assert_int_equal(session_token_verify(&keys, str_of(other), got), CODE_TOKEN_MALFORMED);
    memcpy(other, text, sizeof(text));
    other[2] = '2';
    assert_int_equal(session_token_verify(&keys, str_of(other), got), CODE_TOKEN_MALFORMED);
    memcpy(other, text, sizeof(text));
    other[20] = '.';
    assert_int_equal(session_token_verify(&keys, str_of(other), got), CODE_TOKEN_MALFORMED);
    assert_int_equal(session_token_verify(&keys, str_make(NULL, 0), got), CODE_TOKEN_MALFORMED);
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(token_kind_of(STR("rs1.abc")), TOKEN_SESSION);
    assert_int_equal(token_kind_of(STR("rs1.a.b")), TOKEN_SESSION);
    assert_int_equal(token_kind_of(STR("a.b.c")), TOKEN_JWT);
    assert_int_equal(token_kind_of(STR("..")), TOKEN_JWT);
    assert_int_equal(token_kind_of(STR("a.b")), TOKEN_OPAQUE);
    assert_int_equal(token_kind_of(STR("a.b.c.d")), TOKEN_OPAQUE);
    assert_int_equal(token_kind_of(STR("rs1")), TOKEN_OPAQUE);
    assert_int_equal(token_kind_of(str_make(NULL, 0)), TOKEN_OPAQUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),    cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_key_zero), cmocka_unit_test(test_changed),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
