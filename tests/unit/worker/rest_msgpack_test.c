/* rest_msgpack_test - requests and answers in MessagePack, through the handlers. */
#include "rest_harness.h"

#include "../failmalloc.h"

#define IN "\nContent-Type: application/msgpack"
#define OUT "\nAccept: application/msgpack"

static struct mp_value picked[8];

static struct str packed(const char *json)
{
    static struct buf b;
    struct json_value v;
    buf_free(&b);
    buf_init(&b, 1 << 20);
    assert_int_equal(json_check(str_of(json), &v), 0);
    assert_int_equal(mp_from_json(v, &b), 0);
    return buf_str(&b);
}

/* The answer's members of these names. */
static void expect_answer(int status, const char *const *names, size_t n)
{
    struct mp_value v;
    assert_int_equal(R.answers, 1);
    assert_int_equal(R.ex.out_status, status);
    assert_string_equal(R.ex.out_type, MSGPACK_TYPE);
    assert_int_equal(mp_check(buf_str(&R.ex.out_body), &v), 0);
    assert_int_equal(mp_pick(v, names, n, picked), 0);
}

static void expect_code(int status, const char *code, const char *detail)
{
    static const char *const names[] = {"code", "detail"};
    expect_answer(status, names, 2);
    assert_true(str_is(picked[0].bytes, code));
    if (detail && !memmem(picked[1].bytes.p, picked[1].bytes.n, detail, strlen(detail)))
        fail_msg("%.*s", (int)picked[1].bytes.n, picked[1].bytes.p);
}

static void acks(void **state)
{
    (void)state;
    struct unpack body;
    struct command_ack c;
    char json[128];
    F.last_seq = 9;
    atomic_store(&F.board->last_seq, 9);
    snprintf(json, sizeof(json), "{\"cursor\":\"%s\",\"unknown\":[1,{}]}", cursor_of(7));
    say_bytes(at_session("POST", 0, "/ack"), KEY IN, packed(json));
    assert_waits();
    uint64_t id = expect_command(COMMAND_ACK, &body);
    assert_int_equal(command_ack_decode(&body, &c), 0);
    assert_int_equal(c.seq, 7);
    complete(id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(R.ex.out_status, 204);
}

static void control_bodies_are_judged(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        const char *detail;
    } rows[] = {
        {STR("\x81"), "not MessagePack"},
        {STR("\xdf\xff\xff\xff\xff"), "not MessagePack"},
        {STR("\x80\x80"), "not MessagePack"},
        {STR("\x90"), "object"},
        {STR("\x81\xa6"
             "cursor\xc4\x01z"),
         "bytes"},
        {STR("\x82\xa6"
             "cursor\xa1z\xa6"
             "cursor\xa1z"),
         "twice"},
        {STR("\x81\x01\x02"), "key"},
        {STR("\x81\xa1k\xd4\x01\x00"), "extension"},
        {STR("\x81\xa6"
             "cursor\x07"),
         "cursor"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        say_bytes(at_session("POST", 0, "/ack"), KEY IN OUT, rows[i].bytes);
        expect_code(400, "bad_request", rows[i].detail);
    }
    say(at_session("POST", 0, "/ack"), KEY IN OUT, "");
    expect_code(400, "bad_request", NULL);
    say(at_session("POST", 0, "/ack"), KEY OUT "\nContent-Type: application/cbor", "x");
    expect_code(415, "unsupported_media_type", NULL);
    assert_non_null(strstr(head_lines(), "Accept: application/json, application/msgpack\r\n"));
    expect_no_command();
}

static void a_control_body_grows_to_a_ceiling(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    size_t at = mp_map_begin(&b);
    mp_put_str(&b, STR("attributes"));
    size_t text = b.len;
    buf_append_c(&b, 0);
    for (int i = 0; i < 300000; i++)
        buf_append_c(&b, 1); /* six bytes each in JSON */
    mp_put_header(&b, text, MP_STR, 300000);
    mp_map_end(&b, at, 1);
    say_bytes(at_session("PATCH", 0, ""), KEY IN OUT, buf_str(&b));
    buf_free(&b);
    expect_code(413, "too_large", NULL);
}

static void a_body_may_be_empty_where_none_is_needed(void **state)
{
    (void)state;
    struct unpack body;
    say("POST /v1/sessions", KEY IN OUT, "");
    expect_code(400, "bad_request", "subject"); /* of the empty object */
    say_bytes("POST /v1/sessions", KEY IN, packed("{\"subject\":\"alice\",\"ttl\":\"90s\"}"));
    assert_waits();
    expect_command(COMMAND_OPEN, &body);
}

static void publishes(void **state)
{
    (void)state;
    struct unpack body;
    struct command_append_item item;
    const struct str envelope = STR("\x83\xa4"
                                    "data\x81\xa1n\xcf\x80\x00\x00\x00\x00\x00\x00\x01\xa3ttl\x05"
                                    "\xa5"
                                    "event\xa1"
                                    "e");
    say_bytes(at_session("POST", 0, "/messages"), KEY IN "\nIdempotency-Key: k", envelope);
    assert_waits();
    expect_command(COMMAND_APPEND, &body);
    assert_int_equal(append_count(&body), 1);
    assert_int_equal(command_append_item_decode(&body, &item), 0);
    assert_int_equal(item.flags, MESSAGE_MSGPACK);
    assert_int_equal(item.ttl_ms, 5000);
    assert_int_equal(item.keyed, 1);
    assert_true(str_eq(item.payload, STR("\x81\xa1n\xcf\x80\x00\x00\x00\x00\x00\x00\x01")));
    say_bytes(at_session("POST", 0, "/messages"), KEY IN OUT,
              STR("\x81\xa4"
                  "data\xd4\x01\x00"));
    expect_code(400, "bad_request", "extension");
    say_bytes(at_session("POST", 0, "/messages"), KEY IN OUT, STR("\x91\x01"));
    expect_code(400, "bad_request", "map");
    expect_no_command();
}

static void batches(void **state)
{
    (void)state;
    struct unpack body;
    struct command_append_item item;
    char json[512];
    snprintf(
        json, sizeof(json),
        "{\"messages\":[{\"session\":\"%s\",\"data\":[1],\"key\":\"k\"},7,{\"session\":\"%s\"},"
        "{\"session\":\"%s\",\"data\":\"t\",\"content_type\":\"text/plain\"}]}",
        sid(0), sid(0), sid(1));
    say_bytes("POST /v1/publish", KEY IN OUT, packed(json));
    assert_waits();
    uint64_t id = expect_command(COMMAND_APPEND, &body);
    assert_int_equal(append_count(&body), 2);
    assert_int_equal(command_append_item_decode(&body, &item), 0);
    assert_true(item.flags == MESSAGE_MSGPACK && str_eq(item.payload, STR("\x91\x01")));
    assert_int_equal(command_append_item_decode(&body, &item), 0);
    assert_true(item.flags == MESSAGE_TEXT && str_is(item.payload, "t"));
    unsigned char bytes[256];
    struct pack p = pack_into(bytes, sizeof(bytes));
    for (uint64_t seq = 5; seq < 7; seq++) {
        const struct append_result r = {.code = CODE_OK, .seq = seq};
        pack_u32(&p, CODE_OK);
        pack_u32(&p, 1);
        append_result_encode(&p, &r);
    }
    complete(id, CODE_OK, bytes, pack_len(&p));
    proceed();
    static const char *const names[] = {"results"}, *const row_names[] = {"status", "seq"};
    static const uint64_t want[] = {201, 400, 400, 201};
    expect_answer(200, names, 1);
    struct mp_iter it;
    struct mp_value row, member[2];
    size_t i = 0;
    mp_iter_begin(&it, picked[0]);
    while (mp_next_item(&it, &row)) {
        assert_int_equal(mp_pick(row, row_names, 2, member), 0);
        assert_true(i < 4 && member[0].u == want[i]);
        i++;
    }
    assert_int_equal(i, 4);
    say_bytes("POST /v1/publish", KEY IN OUT, packed("{\"messages\":{}}"));
    expect_code(400, "bad_request", "array");
    say_bytes("POST /v1/publish", KEY IN OUT, STR("\xc1"));
    expect_code(400, "bad_request", "not MessagePack");
}

static const char *const list_names[] = {"messages", "cursor", "more"};

static void picks_up(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 20; seq++)
        store_put(1, seq, seq - 1, "payload");
    say(at_session("GET", 0, "/messages?limit=16"), KEY OUT, NULL);
    expect_answer(200, list_names, 3);
    assert_true(picked[0].type == MP_ARRAY && picked[0].u == 16);
    assert_true(str_is(picked[1].bytes, cursor_of(16)));
    assert_int_equal(picked[2].type, MP_TRUE);
    say(at_session("GET", 0, "/messages?cursor=9f86d081884c7d65.20"), KEY OUT, NULL);
    expect_answer(200, list_names, 3);
    assert_true(picked[0].type == MP_ARRAY && picked[0].u == 0);
    say(at_session("GET", 0, "/messages?limit=0"), KEY OUT, NULL);
    expect_code(400, "bad_request", "limit");
}

/* --- a parked poll of each encoding, and one message on the feed --- */

struct receiver {
    struct pickup *p;
    struct str object; /* where it was made */
    struct buf copy;
    unsigned n;
};

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str object)
{
    struct receiver *r = arg;
    (void)stream;
    (void)m;
    r->object = object;
    r->n++;
    buf_reset(&r->copy);
    buf_append_str(&r->copy, object);
    return PICKUP_TAKEN;
}

static void on_truncated(void *arg, const struct pickup_lost *lost, size_t n)
{
    (void)arg;
    (void)lost;
    (void)n;
}

static void on_undo(void *arg)
{
    (void)arg;
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    (void)arg;
    (void)cursor;
    (void)more;
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    struct receiver *r = arg;
    (void)code;
    (void)cursor;
    r->p = NULL;
}

static const struct pickup_ops ops = {
    .on_message = on_message,
    .on_truncated = on_truncated,
    .on_undo = on_undo,
    .on_pause = on_pause,
    .on_end = on_end,
};

static void one_message_is_made_once_an_encoding(void **state)
{
    (void)state;
    struct receiver r[4] = {{.n = 0}};
    for (int i = 0; i < 4; i++) {
        const struct pickup_start s = {.session = &F.session[0],
                                       .page_limit = 10,
                                       .page_bytes = 1 << 20,
                                       .form = i % 2 ? FORM_MSGPACK : FORM_JSON};
        buf_init(&r[i].copy, 4096);
        assert_int_equal(pickup_start(F.route, &s, &ops, &r[i], &r[i].p), 0);
    }
    proceed();
    publish(1, 1, 0, "one");
    proceed();
    for (int i = 0; i < 4; i++)
        assert_int_equal(r[i].n, 1);
    assert_ptr_equal(r[0].object.p, r[2].object.p);
    assert_ptr_equal(r[1].object.p, r[3].object.p);
    assert_ptr_not_equal(r[0].object.p, r[1].object.p);
    assert_int_equal(json_check(buf_str(&r[2].copy), NULL), 0);
    assert_int_equal(mp_check(buf_str(&r[3].copy), NULL), 0);
    publish(1, 2, 1, "two, and longer");
    proceed();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(r[i].n, 2);
        assert_non_null(memmem(r[i].copy.data, r[i].copy.len, "two", 3));
        pickup_stop(r[i].p);
        buf_free(&r[i].copy);
    }
}

static void no_memory_is_the_servers_fault(void **state)
{
    (void)state;
    struct str bytes = packed("{\"cursor\":\"x\"}");
    unsigned long n = 0;
    unsigned unavailable = 0;
    bool failed = true;
    while (failed) {
        failmalloc_arm(++n);
        say_bytes(at_session("POST", 0, "/ack"), KEY IN, bytes);
        failed = failmalloc_disarm();
        if (!failed || R.ex.out_status / 100 == 4) /* some memory can be done without */
            assert_int_equal(R.ex.out_status, 400);
        unavailable += R.ex.out_status == 503;
    }
    assert_true(unavailable >= 2); /* the body, and its JSON */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rest_open, rest_close)
    const struct CMUnitTest tests[] = {
        T(acks),
        T(control_bodies_are_judged),
        T(a_control_body_grows_to_a_ceiling),
        T(a_body_may_be_empty_where_none_is_needed),
        T(publishes),
        T(batches),
        T(picks_up),
        T(one_message_is_made_once_an_encoding),
        T(no_memory_is_the_servers_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
