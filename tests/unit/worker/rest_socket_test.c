/* rest_socket_test - a WebSocket is asked for: what makes it one, credentials by every way there
 * is, subprotocols, cursors, origins; and nothing changes hands when anything is wrong.
 */
#include "socket_harness.h"

#include "tests/unit/failmalloc.h"

static const struct exchange_transport plain_transport = {.proto = "HTTP/2", .answer = on_answer};

static const char *with_session(int i, const char *more)
{
    static char text[512];
    snprintf(text, sizeof(text), "?session=%s%s", sid(i), more);
    return text;
}

/* Session 0's token without the header around it. */
static const char *bare_token(void)
{
    static char text[SESSION_TOKEN_TEXT];
    struct session_keys keys;
    board_keys_get(F.board, &keys);
    session_token_mint(&keys, F.session[0].id, clock_wall_ms(), text);
    return text;
}

static const char *bearer(const char *token)
{
    static char text[512];
    char encoded[256];
    b64url_encode(token, strlen(token), encoded);
    snprintf(text, sizeof(text), "restante.bearer.%s", encoded);
    return text;
}

static const char *headers_of(const char *format, ...)
{
    static char text[2048];
    va_list args;
    size_t n = (size_t)snprintf(text, sizeof(text), UPGRADE "\n");
    va_start(args, format);
    vsnprintf(text + n, sizeof(text) - n, format, args);
    va_end(args);
    return text;
}

static void assert_not_handed(void)
{
    assert_int_equal(W.handed, 0);
    finish();
}

static void what_is_no_upgrade(void **state)
{
    (void)state;
    W.upgradable = false;
    ask(with_session(0, ""), headers_of("%s", token_of(0)));
    assert_code(426, "upgrade_required");
    assert_non_null(strstr(head_lines(), "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
    assert_not_handed();
    /* Whoever it is. */
    ask("", UPGRADE);
    assert_code(426, "upgrade_required");
    assert_not_handed();
    say("HEAD /v1/socket", UPGRADE, NULL);
    assert_int_equal(R.ex.out_status, 426);
    R.transport = &plain_transport; /* HTTP/2 has no such fields */
    ask(with_session(0, ""), headers_of("%s", token_of(0)));
    assert_code(426, "upgrade_required");
    assert_null(strstr(head_lines(), "Upgrade"));
    say("POST /v1/socket", KEY, NULL);
    assert_code(405, "method_not_allowed");
}

static void versions_and_keys(void **state)
{
    (void)state;
    static const char *const versions[] = {"", "\nSec-WebSocket-Version: 8",
                                           "\nSec-WebSocket-Version: 013"};
    for (size_t i = 0; i < 3; i++) {
        char headers[256];
        snprintf(headers, sizeof(headers), KEY "\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==%s",
                 versions[i]);
        ask(with_session(0, ""), headers);
        assert_code(426, "upgrade_required");
        assert_non_null(strstr(head_lines(), "Sec-WebSocket-Version: 13\r\n"));
        assert_non_null(strstr(head_lines(), "Upgrade: websocket\r\n"));
        assert_not_handed();
    }
    static const char *const keys[] = {"", "\nSec-WebSocket-Key: dGhl",
                                       "\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==x"};
    for (size_t i = 0; i < 3; i++) {
        char headers[256];
        snprintf(headers, sizeof(headers), KEY "\nSec-WebSocket-Version: 13%s", keys[i]);
        ask(with_session(0, ""), headers);
        assert_code(400, "bad_request");
        assert_not_handed();
    }
}

static void which_session(void **state)
{
    (void)state;
    ask("", headers_of(KEY));
    assert_code(400, "bad_request");
    assert_not_handed();
    ask("?session=%zz", headers_of(KEY));
    assert_code(400, "bad_request");
    assert_not_handed();
    ask("?session=nonsense", headers_of(KEY));
    assert_code(404, "session_unknown");
    assert_not_handed();
    F.ended[1] = true;
    ask(with_session(1, ""), headers_of(KEY));
    assert_code(404, "session_unknown");
    assert_not_handed();
    ask(with_session(2, ""), headers_of("%s", token_of(0)));
    assert_code(403, "forbidden");
    assert_not_handed();
    ask(with_session(2, ""), headers_of("%s", token_of(1)));
    assert_code(401, "token_revoked");
    assert_not_handed();
}

static void who_may(void **state)
{
    (void)state;
    ask(with_session(0, ""), UPGRADE);
    assert_code(401, "token_missing");
    assert_not_handed();
    ask(with_session(0, ""), headers_of("Authorization: Bearer nonsense"));
    assert_code(401, "token_unknown_key");
    assert_not_handed();
    ask(with_session(0, ""), headers_of("Authorization: Bearer secret-2"));
    assert_code(403, "forbidden");
    assert_not_handed();
    ask(with_session(0, ""), headers_of("%s", bootstrap("", "")));
    assert_code(403, "forbidden");
    assert_not_handed();
    ask(with_session(0, ""), headers_of("Authorization: Bearer secret-3"));
    assert_int_equal(W.handed, 1);
    leave();
}

static void credentials_by_every_way(void **state)
{
    (void)state;
    char query[256];
    ask(with_session(0, ""), headers_of("%s", token_of(0)));
    hand_wire();
    close_socket();
    snprintf(query, sizeof(query), "&access_token=%s", bare_token());
    ask(with_session(0, query), UPGRADE);
    hand_wire();
    close_socket();
    ask(with_session(0, ""),
        headers_of("Sec-WebSocket-Protocol: restante.v1.json, %s", bearer(bare_token())));
    hand_wire();
    assert_string_equal(W.protocol, "restante.v1.json");
    close_socket();
    ask(with_session(0, ""), headers_of("Sec-WebSocket-Protocol: %s\nSec-WebSocket-Protocol: "
                                        "restante.v1.msgpack",
                                        bearer("secret-1")));
    hand_wire();
    assert_string_equal(W.protocol, "restante.v1.msgpack");
    close_socket();
    /* A header is what counts, where there is one. */
    ask(with_session(0, ""),
        headers_of("Authorization: Bearer nonsense\nSec-WebSocket-Protocol: restante.v1.json, %s",
                   bearer(bare_token())));
    assert_code(401, "token_unknown_key");
}

static void bearers_that_are_none(void **state)
{
    (void)state;
    static const char *const entries[][2] = {
        {"restante.bearer.", "token_malformed"},
        {"restante.bearer.!!!", "token_malformed"},
        {"restante.bearer.bm9uc2Vuc2U", "token_unknown_key"},
        {"restante.bearer.cnMxLmFiYw", "token_malformed"},
    };
    for (size_t i = 0; i < 4; i++) {
        ask(with_session(0, ""),
            headers_of("Sec-WebSocket-Protocol: restante.v1.json, %s", entries[i][0]));
        assert_int_equal(R.ex.out_status, 401);
        assert_non_null(strstr(answer(), entries[i][1]));
        assert_null(strstr(answer(), "bm9uc2Vuc2U"));
        assert_not_handed();
    }
}

static void subprotocols(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"restante.v1.json", "restante.v1.json"},
        {"restante.v1.msgpack", "restante.v1.msgpack"},
        {"restante.v1.msgpack, restante.v1.json", "restante.v1.msgpack"},
        {" other ,,\trestante.v1.json\t,restante.v1.msgpack", "restante.v1.json"},
        {"other\nSec-WebSocket-Protocol: restante.v1.json", "restante.v1.json"},
        {"", ""},
        {" , ", ""},
        {"other", NULL},
        {"Restante.V1.Json", NULL},
        {"restante.v1.json2", NULL},
        {"restante.bearer.bm9uc2Vuc2U", ""},
        {"restante.bearer.bm9uc2Vuc2U, other", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(with_session(0, ""), headers_of(KEY "\nSec-WebSocket-Protocol: %s", rows[i][0]));
        if (!rows[i][1]) {
            assert_code(400, "bad_request");
            assert_not_handed();
            continue;
        }
        hand_wire();
        assert_string_equal(W.protocol, rows[i][1]);
        close_socket();
    }
}

static void cursors(void **state)
{
    (void)state;
    F.session[0].start_seq = 2;
    F.last_seq = 9;
    feed_end(FEED_COMMIT);
    ask(with_session(0, "&cursor=7"), headers_of(KEY));
    assert_code(400, "bad_request");
    assert_not_handed();
    ask(with_session(0, ""), headers_of(KEY));
    hand_wire();
    assert_hears_of("\"cursor\":\"9f86d081884c7d65.2\"");
    close_socket();
    F.session[0].acked = 4;
    ask(with_session(0, ""), headers_of(KEY));
    hand_wire();
    assert_hears_of("\"cursor\":\"9f86d081884c7d65.4\"");
    close_socket();
    ask(with_session(0, "&cursor=9f86d081884c7d65.10"), headers_of(KEY));
    hand_wire();
    const char *heard = hear();
    assert_non_null(strstr(heard, "\"cursor\":\"9f86d081884c7d65.4\""));
    assert_non_null(strstr(heard, "\"t\":\"reset\",\"reason\":\"ahead\""));
}

static void who_asks_from_there_has_it(void **state)
{
    (void)state;
    struct command_header h;
    struct unpack body;
    struct command_touch touch;
    uint64_t delivered = 0;
    F.last_seq = 9;
    feed_end(FEED_COMMIT);
    ask(with_session(0, "&cursor=9f86d081884c7d65.6"), headers_of(KEY));
    while (take_command(&h, &body)) {
        assert_int_equal(h.type, COMMAND_TOUCH);
        assert_int_equal(command_touch_decode(&body, &touch), 0);
        if (touch.delivered)
            delivered = touch.delivered;
    }
    assert_int_equal(delivered, 6);
    leave();
}

static void origins(void **state)
{
    (void)state;
    static char *allowed[] = {"https://app.example", "https://*.example.org"};
    static char *all[] = {"*"};
    static const struct {
        const char *origin;
        bool listed;
    } rows[] = {
        {"https://app.example", true},
        {"https://x.example.org", true},
        {"http://here", true},
        {"https://here", true},
        {"http://HERE", true},
        {"http://here:81", false},
        {"http://app.example", false},
        {"https://away.example", false},
        {"https://here.evil", false},
        {"https://evil.here", false},
        {"null", false},
        {"file://", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        F.conf.cors_origins = NULL;
        F.conf.ncors_origins = 0;
        ask(with_session(0, ""), headers_of(KEY "\nOrigin: %s", rows[i].origin));
        assert_int_equal(W.handed, 1);
        leave();
        F.conf.cors_origins = all;
        F.conf.ncors_origins = 1;
        ask(with_session(0, ""), headers_of(KEY "\nOrigin: %s", rows[i].origin));
        assert_int_equal(W.handed, 1);
        leave();
        F.conf.cors_origins = allowed;
        F.conf.ncors_origins = 2;
        ask(with_session(0, ""), headers_of(KEY "\nOrigin: %s", rows[i].origin));
        assert_int_equal(W.handed, rows[i].listed);
        if (rows[i].listed) {
            leave();
            continue;
        }
        assert_code(403, "forbidden");
        finish();
    }
    ask(with_session(0, ""), headers_of(KEY)); /* no browser */
    assert_int_equal(W.handed, 1);
    leave();
}

static void while_we_leave(void **state)
{
    (void)state;
    R.w.draining = true;
    ask(with_session(0, ""), headers_of(KEY));
    assert_code(503, "unavailable");
    assert_not_handed();
}

static void the_peer_leaves_before_its_turn(void **state)
{
    (void)state;
    ask(with_session(0, ""), headers_of(KEY));
    assert_int_equal(W.handed, 1);
    leave();
    assert_false(W.open);
    assert_int_equal(route_pickups(F.route), 0);
}

static void without_memory(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 100; n++) {
        failmalloc_arm(n);
        ask(with_session(0, "&cursor=9f86d081884c7d65.0"), headers_of(KEY "\n" MSGPACK_PROTOCOL));
        bool failed = failmalloc_disarm();
        if (W.handed) {
            leave();
            assert_true(n > 2);
            if (!failed)
                return;
            continue;
        }
        assert_int_equal(R.answers, 1);
        assert_true(R.ex.out_status >= 400);
        finish();
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_upgrade),
        TEST(versions_and_keys),
        TEST(which_session),
        TEST(who_may),
        TEST(credentials_by_every_way),
        TEST(bearers_that_are_none),
        TEST(subprotocols),
        TEST(cursors),
        TEST(who_asks_from_there_has_it),
        TEST(origins),
        TEST(while_we_leave),
        TEST(the_peer_leaves_before_its_turn),
        TEST(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
