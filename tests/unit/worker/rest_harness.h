/* rest_harness - requests against the handlers, over the fake store and a fake transport.
 *
 * say() makes an exchange, takes it through head and body and keeps it; the answer is read from it.
 * finish() plays the kernel that took the last byte, leave() the client that went away.
 */
#ifndef TESTS_UNIT_WORKER_REST_HARNESS_H
#define TESTS_UNIT_WORKER_REST_HARNESS_H

#include "route_harness.h"

#include "common/digest.h"
#include "common/json.h"
#include "worker/exchange.h"
#include "worker/rest_priv.h"

#define KEY "Authorization: Bearer secret-1"

static char *scopes_all[] = {"sessions:*", "send:*", "publish:*", "read:*", "admin"};
static char *scopes_send[] = {"send:*"};
static char *scopes_sessions[] = {"sessions:*"};

static struct {
    struct worker w;
    struct conf_api_key keys[3];
    struct conf_token_key token_key;
    struct conf_namespace namespaces[1];
    unsigned answers;
    struct buf stream; /* what was written to a stream */
    size_t room;       /* bytes of it before the transport has enough */
    size_t kernel;     /* bytes of it that the kernel has taken */
    unsigned begun, ended;
    const struct exchange_transport *transport;
    struct exchange ex;
    struct header headers[16];
    bool open;
} R;

static void on_answer(struct exchange *ex)
{
    (void)ex;
    R.answers++;
}

static void on_stream_begin(struct exchange *ex)
{
    (void)ex;
    R.begun++;
}

static int on_stream_write(struct exchange *ex, struct str bytes)
{
    (void)ex;
    assert_int_equal(R.begun, 1);
    assert_int_equal(R.ended, 0);
    assert_int_equal(buf_append_str(&R.stream, bytes), 0);
    return R.stream.len - R.kernel > R.room ? -EAGAIN : 0;
}

static void on_stream_end(struct exchange *ex)
{
    (void)ex;
    R.ended++;
}

static size_t on_stream_backlog(const struct exchange *ex)
{
    (void)ex;
    return R.stream.len - R.kernel;
}

static const struct exchange_transport fake_transport = {
    .proto = "test",
    .answer = on_answer,
    .stream_begin = on_stream_begin,
    .stream_write = on_stream_write,
    .stream_end = on_stream_end,
    .stream_backlog = on_stream_backlog,
};

static int rest_open_sized(uint64_t inbox, uint64_t reply)
{
    memset(&R, 0, sizeof(R));
    buf_init(&R.stream, 64 << 20);
    R.transport = &fake_transport;
    assert_int_equal(buf_reserve(&R.stream, 128 << 10), 0); /* its memory is not what may fail */
    int err = harness_open_sized(inbox, reply, 1 << 20);
    if (err)
        return err;
    R.keys[0] = (struct conf_api_key){.name = "backend", .scopes = scopes_all, .nscopes = 5};
    R.keys[1] = (struct conf_api_key){.name = "sender", .scopes = scopes_send, .nscopes = 1};
    R.keys[2] = (struct conf_api_key){.name = "keeper", .scopes = scopes_sessions, .nscopes = 1};
    sha256("secret-1", 8, R.keys[0].sha256);
    sha256("secret-2", 8, R.keys[1].sha256);
    sha256("secret-3", 8, R.keys[2].sha256);
    R.token_key =
        (struct conf_token_key){.kid = "main",
                                .secret = (unsigned char *)"0123456789012345678901234567890123",
                                .secret_len = 34};
    R.namespaces[0] =
        (struct conf_namespace){.pattern = "chat:*", .history = 100, .ttl_ms = 3600000};
    F.conf.api_keys = R.keys;
    F.conf.napi_keys = 3;
    F.conf.token_keys = &R.token_key;
    F.conf.ntoken_keys = 1;
    F.conf.max_topics = 100;
    F.conf.publish_rate = 1000;
    F.conf.presence_meta = 4096;
    F.conf.namespaces = R.namespaces;
    F.conf.nnamespaces = 1;
    F.conf.store_durability = CONF_DISK;
    struct session_keys keys = {.key = {{.id = 5, .secret = {1, 2, 3}}}};
    board_keys_set(F.board, &keys);
    R.w = (struct worker){
        .conf = &F.conf,
        .board = F.board,
        .seat = &F.board->seat[0],
        .metrics = &F.board->seat[0].metrics,
        .route = F.route,
        .request_seed = 1,
        .bell = {.fd = -1, .asleep = &F.board->seat[0].asleep},
        .writer_bell = F.bell,
        .supervisor_bell = {.fd = -1, .asleep = &F.board->seat[BOARD_SUPERVISOR].asleep}};
    return 0;
}

HARNESS_UNUSED static int rest_open(void **state)
{
    (void)state;
    return rest_open_sized(1 << 20, 256 << 10);
}

HARNESS_UNUSED static void finish(void)
{
    assert_true(R.open);
    exchange_sent(&R.ex);
    exchange_free(&R.ex);
    R.open = false;
}

HARNESS_UNUSED static void leave(void)
{
    assert_true(R.open);
    exchange_gone(&R.ex);
    exchange_free(&R.ex);
    R.open = false;
}

static int rest_close(void **state)
{
    if (R.open)
        leave();
    buf_free(&R.stream);
    return harness_close(state);
}

static enum method method_of(struct str text)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (int i = 0; i < 7; i++)
        if (str_is(text, names[i]))
            return (enum method)i;
    return METHOD_OTHER;
}

/* "GET /path?query", headers as "Name: value" lines joined by '\n', body or NULL. */
static void say_bytes(const char *line, const char *headers, struct str body)
{
    if (R.open) {
        if (R.ex.answered && R.begun == R.ended)
            finish();
        else
            leave();
    }
    struct exchange *ex = &R.ex;
    exchange_init(ex, &R.w, R.transport, NULL);
    R.open = true;
    R.answers = R.begun = R.ended = 0;
    buf_reset(&R.stream);
    R.kernel = 0;
    R.room = 64 << 10;
    const char *space = strchr(line, ' ');
    ex->method_text = str_make(line, (size_t)(space - line));
    ex->method = method_of(ex->method_text);
    ex->target = str_of(space + 1);
    const char *mark = strchr(space, '?');
    ex->path = mark ? str_make(space + 1, (size_t)(mark - space - 1)) : ex->target;
    ex->query = mark ? str_of(mark + 1) : str_make(NULL, 0);
    ex->remote = "127.0.0.1:9";
    ex->headers = R.headers;
    for (const char *p = headers; p && *p;) {
        const char *end = strchrnul(p, '\n'), *colon = memchr(p, ':', (size_t)(end - p));
        struct header *h = &R.headers[ex->nheaders++];
        h->name = str_make(p, (size_t)(colon - p));
        h->value = str_make(colon + 2, (size_t)(end - colon - 2));
        p = *end ? end + 1 : end;
    }
    ex->has_body = body.p != NULL;
    exchange_on_head(ex);
    if (ex->answered)
        return;
    if (body.n > ex->body_limit) {
        exchange_problem(ex, CODE_TOO_LARGE, 0, NULL); /* as a transport does */
        return;
    }
    if (buf_append_str(&ex->body, body) == 0)
        exchange_on_body(ex);
    else
        exchange_problem(ex, CODE_UNAVAILABLE, 0, NULL);
}

HARNESS_UNUSED static void say(const char *line, const char *headers, const char *body)
{
    say_bytes(line, headers, body ? str_of(body) : str_make(NULL, 0));
}

HARNESS_UNUSED static void say_json(const char *line, const char *body)
{
    say(line, KEY "\nContent-Type: application/json", body);
}

HARNESS_UNUSED static const char *answer(void)
{
    static char text[1 << 16];
    snprintf(text, sizeof(text), "%.*s", (int)R.ex.out_body.len,
             R.ex.out_body.data ? (char *)R.ex.out_body.data : "");
    return text;
}

HARNESS_UNUSED static const char *head_lines(void)
{
    static char text[1 << 12];
    snprintf(text, sizeof(text), "%.*s", (int)R.ex.out_head.len,
             R.ex.out_head.data ? (char *)R.ex.out_head.data : "");
    return text;
}

/* One answer, of this status, holding this text. */
HARNESS_UNUSED static void assert_answer_at(int status, const char *text, int line)
{
    if (R.answers != 1 || R.ex.out_status != status || !strstr(answer(), text))
        fail_msg("line %d: %u answers, status %d: %s; expected %d with %s", line, R.answers,
                 R.ex.out_status, answer(), status, text);
    assert_true(!R.ex.out_body.len || json_check(buf_str(&R.ex.out_body), NULL) == 0 ||
                R.ex.route->produces == REST_TEXT);
}
#define assert_answer(status, text) assert_answer_at((status), (text), __LINE__)
#define assert_code(status, code) assert_answer_at((status), "\"code\":\"" code "\"", __LINE__)
#define assert_waits() assert_int_equal(R.answers, 0)

/* The text of session i's id. */
HARNESS_UNUSED static const char *sid(int i)
{
    static char text[4][SESSION_ID_TEXT];
    static int at;
    at = (at + 1) % 4;
    session_id_text(F.session[i].id, text[at]);
    return text[at];
}

/* "GET /v1/sessions/<id of i><rest>" */
HARNESS_UNUSED static const char *at_session(const char *method, int i, const char *rest)
{
    static char line[1024];
    snprintf(line, sizeof(line), "%s /v1/sessions/%s%s", method, sid(i), rest);
    return line;
}

/* In the store: session i is tracked in a topic. */
HARNESS_UNUSED static struct member *store_member(uint64_t topic, int i, bool here,
                                                  const char *meta)
{
    static char texts[SESSIONS][SESSION_ID_TEXT];
    const struct session *s = &F.session[i];
    struct member m = {.topic = topic,
                       .mailbox = s->stream,
                       .since_ms = 1795434601123,
                       .ref = 0xab00 + (uint64_t)i,
                       .here = here,
                       .key = member_key(s, texts[i]),
                       .meta = str_of(meta)};
    memcpy(m.session, s->id, SESSION_ID_SIZE);
    member_hash(m.key, m.hash);
    assert_true(F.nmembers < MEMBERS);
    size_t at = F.nmembers++;
    for (; at > 0; at--) {
        const struct member *before = &F.member[at - 1];
        int order = memcmp(before->hash, m.hash, MEMBER_HASH);
        if (before->topic < topic || (before->topic == topic && order < 0) ||
            (before->topic == topic && order == 0 && before->mailbox < m.mailbox))
            break;
        F.member[at] = *before;
    }
    F.member[at] = m;
    return &F.member[at];
}

/* Authorization of session i's own token. */
HARNESS_UNUSED static const char *token_of(int i)
{
    static char header[256];
    struct session_keys keys;
    char token[SESSION_TOKEN_TEXT];
    board_keys_get(F.board, &keys);
    session_token_mint(&keys, F.session[i].id, clock_wall_ms(), token);
    snprintf(header, sizeof(header), "Authorization: Bearer %s\nContent-Type: application/json",
             token);
    return header;
}

HARNESS_UNUSED static const char *bootstrap(const char *topics, const char *attributes)
{
    static char header[2048];
    struct buf b;
    buf_init(&b, sizeof(header));
    assert_int_equal(token_jwt_mint(&R.token_key, STR("alice"), str_of(topics), str_of(attributes),
                                    clock_wall_ms(), 60000, &b),
                     0);
    snprintf(header, sizeof(header), "Authorization: Bearer %.*s", (int)b.len, (char *)b.data);
    buf_free(&b);
    return header;
}

HARNESS_UNUSED static const char *cursor_of(uint64_t seq)
{
    static char text[CURSOR_TEXT];
    cursor_text(EPOCH, seq, text);
    return text;
}

/* The next command that wants an answer must be of this type; its id and body. */
HARNESS_UNUSED static uint64_t expect_command(enum command_type type, struct unpack *ret_body)
{
    struct command_header h;
    assert_int_equal(take_asked(&h, ret_body), type);
    return h.id;
}

/* The head of an APPEND: nobody's connection; the number of its items. */
HARNESS_UNUSED static uint32_t append_count(struct unpack *body)
{
    static const uint8_t nobody[SESSION_ID_SIZE];
    struct command_append head;
    assert_int_equal(command_append_decode(body, &head), 0);
    assert_memory_equal(head.session, nobody, SESSION_ID_SIZE);
    return head.count;
}

HARNESS_UNUSED static void expect_no_command(void)
{
    struct command_header h;
    struct unpack body;
    assert_int_equal(take_asked(&h, &body), 0);
}

#endif
