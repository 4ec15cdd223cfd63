/* auth_test - every kind of credential, right and wrong, and what each may do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/digest.h"
#include "worker/auth.h"

#define NOW UINT64_C(1795434601123)

static char *all[] = {"sessions:*", "send:*", "publish:chat:*", "read:*", "admin"};
static char *few[] = {"publish:chat:1"};
static struct conf_api_key api_keys[3] = {
    {.name = "backend", .scopes = all, .nscopes = 5},
    {.name = "narrow", .scopes = few, .nscopes = 1},
    {.name = "odd", .scopes = few, .nscopes = 1},
};
static struct conf_token_key token_keys[1] = {
    {.kid = "main",
     .secret = (unsigned char *)"0123456789012345678901234567890123",
     .secret_len = 34}};
static struct conf conf = {.api_keys = api_keys,
                           .napi_keys = 3,
                           .token_keys = token_keys,
                           .ntoken_keys = 1,
                           .token_max_age = 300000};
static struct session_keys keys = {.key = {{.id = 5, .secret = {1, 2, 3}}}};
static char jwt[1024], token[SESSION_TOKEN_TEXT];
static const uint8_t id[SESSION_ID_SIZE] = {9, 8, 7};

static int setup(void **state)
{
    (void)state;
    sha256("secret-1", 8, api_keys[0].sha256);
    sha256("secret-2", 8, api_keys[1].sha256);
    sha256("looks.like.jwt", 14, api_keys[2].sha256);
    struct buf b;
    buf_init(&b, sizeof(jwt));
    assert_int_equal(token_jwt_mint(&token_keys[0], STR("alice"), STR(""), STR(""), NOW, 60000, &b),
                     0);
    snprintf(jwt, sizeof(jwt), "%.*s", (int)b.len, (char *)b.data);
    buf_free(&b);
    session_token_mint(&keys, id, NOW, token);
    return 0;
}

static enum code judge(const char *header, const char *query, struct principal *p)
{
    p->kind = PRINCIPAL_NONE;
    return principal_of(&conf, &keys, str_of(header), str_of(query), NOW, p);
}

static void nothing_is_nobody(void **state)
{
    (void)state;
    struct principal p;
    assert_int_equal(judge("", "", &p), CODE_OK);
    assert_int_equal(p.kind, PRINCIPAL_NONE);
    assert_int_equal(principal_may_session(&p, id), CODE_TOKEN_MISSING);
    assert_int_equal(principal_may_send(&p), CODE_TOKEN_MISSING);
    assert_int_equal(principal_may(&p, "admin", STR("")), CODE_TOKEN_MISSING);
}

static void wrong_ones(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum code code;
    } rows[] = {
        {"Basic YTpi", CODE_TOKEN_MALFORMED},        {"Bearer", CODE_TOKEN_MALFORMED},
        {"Bearer ", CODE_TOKEN_MALFORMED},           {"Bearersecret-1", CODE_TOKEN_MALFORMED},
        {"Bearer no-such", CODE_TOKEN_UNKNOWN_KEY},  {"Bearer secret-1 ", CODE_TOKEN_UNKNOWN_KEY},
        {"Bearer SECRET-1", CODE_TOKEN_UNKNOWN_KEY}, {"Bearer a.b.c", CODE_TOKEN_MALFORMED},
        {"Bearer ..", CODE_TOKEN_MALFORMED},         {"Bearer rs1.", CODE_TOKEN_MALFORMED},
        {"Bearer rs1.AAAA", CODE_TOKEN_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct principal p;
        enum code code = judge(rows[i].header, "", &p);
        if (code != rows[i].code)
            fail_msg("%s: %s", rows[i].header, code_text(code));
        assert_int_equal(p.kind, PRINCIPAL_NONE);
    }
    char *big = malloc(TOKEN_MAX + 20);
    memset(big, 'x', TOKEN_MAX + 19);
    memcpy(big, "Bearer ", 7);
    struct principal p;
    big[7 + TOKEN_MAX + 1] = '\0';
    assert_int_equal(judge(big, "", &p), CODE_TOKEN_MALFORMED);
    big[7 + TOKEN_MAX] = '\0';
    assert_int_equal(judge(big, "", &p), CODE_TOKEN_UNKNOWN_KEY);
    free(big);
}

static void keys_have_scopes(void **state)
{
    (void)state;
    struct principal p;
    assert_int_equal(judge("Bearer secret-1", "", &p), CODE_OK);
    assert_int_equal(p.kind, PRINCIPAL_KEY);
    assert_string_equal(p.key->name, "backend");
    assert_int_equal(principal_may_session(&p, id), CODE_OK);
    assert_int_equal(principal_may_send(&p), CODE_OK);
    assert_int_equal(principal_may(&p, "admin", STR("")), CODE_OK);
    assert_int_equal(principal_may(&p, "publish", STR("chat:7")), CODE_OK);
    assert_int_equal(principal_may(&p, "publish", STR("news")), CODE_FORBIDDEN);

    assert_int_equal(judge("bearer   secret-2", "", &p), CODE_OK);
    assert_string_equal(p.key->name, "narrow");
    assert_int_equal(principal_may_session(&p, id), CODE_FORBIDDEN);
    assert_int_equal(principal_may_send(&p), CODE_FORBIDDEN);
    assert_int_equal(principal_may(&p, "admin", STR("")), CODE_FORBIDDEN);
    assert_int_equal(principal_may(&p, "publish", STR("chat:1")), CODE_OK);

    assert_int_equal(judge("Bearer looks.like.jwt", "", &p), CODE_OK);
    assert_string_equal(p.key->name, "odd");
}

static void a_session_token_is_good_for_its_own(void **state)
{
    (void)state;
    struct principal p;
    char header[128];
    snprintf(header, sizeof(header), "Bearer %s", token);
    assert_int_equal(judge(header, "", &p), CODE_OK);
    assert_int_equal(p.kind, PRINCIPAL_SESSION);
    assert_int_equal(principal_may_session(&p, id), CODE_OK);
    static const uint8_t other[SESSION_ID_SIZE] = {1};
    assert_int_equal(principal_may_session(&p, other), CODE_FORBIDDEN);
    assert_int_equal(principal_may_send(&p), CODE_FORBIDDEN);
    assert_int_equal(principal_may(&p, "admin", STR("")), CODE_FORBIDDEN);
    principal_free(&p);

    header[30] = header[30] == 'A' ? 'B' : 'A';
    assert_int_equal(judge(header, "", &p), CODE_TOKEN_BAD_SIGNATURE);
}

static void a_bootstrap_token_bears_claims(void **state)
{
    (void)state;
    struct principal p;
    char header[1100];
    snprintf(header, sizeof(header), "Bearer %s", jwt);
    assert_int_equal(judge(header, "", &p), CODE_OK);
    assert_int_equal(p.kind, PRINCIPAL_BOOTSTRAP);
    assert_string_equal(p.claims.subject, "alice");
    assert_int_equal(principal_may_session(&p, id), CODE_FORBIDDEN);
    assert_int_equal(principal_may_send(&p), CODE_FORBIDDEN);
    principal_free(&p);
    assert_int_equal(p.kind, PRINCIPAL_NONE);
    principal_free(&p);
}

static void the_header_wins_over_the_query(void **state)
{
    (void)state;
    struct principal p;
    assert_int_equal(judge("", "secret-2", &p), CODE_OK);
    assert_string_equal(p.key->name, "narrow");
    assert_int_equal(judge("Bearer secret-1", "secret-2", &p), CODE_OK);
    assert_string_equal(p.key->name, "backend");
    assert_int_equal(judge("Bearer nobody", "secret-2", &p), CODE_TOKEN_UNKNOWN_KEY);
    assert_int_equal(judge("Basic x", "secret-2", &p), CODE_TOKEN_MALFORMED);
}

static void who_may_join_and_publish(void **state)
{
    (void)state;
    static char *scopes[] = {"publish:news", "read:closed:1"};
    static const struct conf_api_key key = {.name = "k", .scopes = scopes, .nscopes = 2};
    const struct principal by_key = {.kind = PRINCIPAL_KEY, .key = &key};
    const struct principal session = {.kind = PRINCIPAL_SESSION};
    const struct principal nobody = {.kind = PRINCIPAL_NONE};
    const struct principal bootstrap = {.kind = PRINCIPAL_BOOTSTRAP};
    const struct conf_namespace open = {.client_publish = true};
    const struct conf_namespace closed = {.client_publish = true, .join_claim = true};
    const struct conf_namespace server = {.client_publish = false};
    const struct str claims = STR("[\"x\",\"clo\\u0073ed:2*\"]"), none = {NULL, 0};
    static const struct {
        const char *topic;
        enum code key, session;
    } joins[] = {
        {"closed:1", CODE_OK, CODE_FORBIDDEN},
        {"closed:2", CODE_OK, CODE_OK},
        {"closed:22", CODE_OK, CODE_OK},
        {"closed:3", CODE_FORBIDDEN, CODE_FORBIDDEN},
        {"x", CODE_OK, CODE_OK},
        {"xx", CODE_FORBIDDEN, CODE_FORBIDDEN},
    };
    for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++) {
        struct str topic = str_of(joins[i].topic);
        assert_int_equal(principal_may_join(&by_key, &closed, claims, topic), joins[i].key);
        assert_int_equal(principal_may_join(&session, &closed, claims, topic), joins[i].session);
        assert_int_equal(principal_may_publish(&session, &closed, claims, topic), joins[i].session);
        assert_int_equal(principal_may_join(&session, &open, none, topic), CODE_OK);
        assert_int_equal(principal_may_join(&session, &closed, none, topic), CODE_FORBIDDEN);
    }
    assert_int_equal(principal_may_join(&session, &closed, STR("[7,\"x"), STR("x")),
                     CODE_FORBIDDEN);
    assert_int_equal(principal_may_join(&session, &closed, STR("[7,\"x\"]"), STR("x")), CODE_OK);
    assert_int_equal(principal_may_publish(&session, &open, none, STR("a")), CODE_OK);
    assert_int_equal(principal_may_publish(&session, &server, none, STR("a")), CODE_FORBIDDEN);
    assert_int_equal(principal_may_publish(&by_key, &server, none, STR("news")), CODE_OK);
    assert_int_equal(principal_may_publish(&by_key, &open, none, STR("a")), CODE_FORBIDDEN);
    assert_int_equal(principal_may_publish(&nobody, &open, none, STR("a")), CODE_TOKEN_MISSING);
    assert_int_equal(principal_may_publish(&bootstrap, &open, none, STR("a")), CODE_FORBIDDEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_nobody),
        cmocka_unit_test(wrong_ones),
        cmocka_unit_test(keys_have_scopes),
        cmocka_unit_test(a_session_token_is_good_for_its_own),
        cmocka_unit_test(a_bootstrap_token_bears_claims),
        cmocka_unit_test(the_header_wins_over_the_query),
        cmocka_unit_test(who_may_join_and_publish),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
