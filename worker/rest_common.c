/* rest_common - what several handlers need: parameters, sessions, cursors, commands.
 *
 * A handler that waits for a completion keeps its state in ex->app. Whatever ends first, the
 * completion, the time or the client, releases it exactly once.
 */
#include "worker/envelope.h"
#include "worker/rate.h"
#include "worker/rest_priv.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

/* --- requests --- */

bool rest_is_type(struct str content_type, const char *type)
{
    size_t n = strlen(type);
    if (content_type.n < n || strncasecmp(content_type.p, type, n) != 0)
        return false;
    return content_type.n == n || strchr("; \t", content_type.p[n]) != NULL;
}

bool rest_json_head(struct exchange *ex)
{
    if (ex->body_limit > JSON_BODY_MAX)
        ex->body_limit = JSON_BODY_MAX;
    enum encoding encoding;
    if (!ex->has_body || rest_encoding(ex, &encoding))
        return true;
    exchange_add_header(ex, "Accept", STR(JSON_TYPE ", " MSGPACK_TYPE));
    exchange_problem(ex, CODE_UNSUPPORTED_MEDIA_TYPE, 0,
                     "the body must be " JSON_TYPE " or " MSGPACK_TYPE);
    return false;
}

bool rest_encoding(const struct exchange *ex, enum encoding *ret)
{
    struct str type = exchange_header(ex, "content-type");
    bool msgpack = rest_is_type(type, MSGPACK_TYPE);
    *ret = msgpack ? ENCODING_MSGPACK : ENCODING_JSON;
    return msgpack || !type.n || rest_is_type(type, JSON_TYPE);
}

static bool pick(struct exchange *ex, enum encoding encoding, const char *const *names, size_t n,
                 struct datum *ret)
{
    struct str text = buf_str(&ex->body);
    struct datum body;
    if (!text.n && ex->route->body != REST_NEEDS_BODY) {
        encoding = ENCODING_JSON;
        text = STR("{}");
    }
    int err = datum_check(encoding, text, &body);
    if (err) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "the body: %s", datum_error_text(encoding, err));
        return false;
    }
    err = datum_pick(&body, names, n, ret);
    if (err)
        exchange_problem(ex, CODE_BAD_REQUEST, 0,
                         err == -EEXIST ? "a member of the body stands twice"
                                        : "the body must be an object");
    return err == 0;
}

bool rest_body(struct exchange *ex, const char *const *names, size_t n, struct datum *ret)
{
    enum encoding encoding;
    rest_encoding(ex, &encoding);
    return pick(ex, encoding, names, n, ret);
}

/* Whether a member is bytes: as JSON it would pass for the text of its base64. */
static bool has_bytes(const struct mp_value *body, const char *const *names, size_t n)
{
    struct mp_value values[DATUM_PICK];
    bool found = false;
    if (mp_pick(*body, names, n, values) != 0)
        return false; /* the JSON will be refused for it */
    for (size_t i = 0; i < n; i++)
        found = found || values[i].type == MP_BIN;
    return found;
}

/* In place of a body in MessagePack, the same as JSON. */
static bool convert_body(struct exchange *ex, const char *const *names, size_t n)
{
    struct mp_value body;
    struct buf json;
    int err = mp_check(buf_str(&ex->body), &body);
    if (err || has_bytes(&body, names, n)) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "the body: %s",
                         err ? mp_error_text(err) : "bytes in the place of text");
        return false;
    }
    buf_init(&json, JSON_BODY_MAX);
    err = mp_to_json(body, &json);
    if (err) {
        buf_free(&json);
        if (err == -EMSGSIZE)
            exchange_problem(ex, CODE_TOO_LARGE, 0, "the body, as JSON, is over %u bytes",
                             JSON_BODY_MAX);
        else
            rest_no_memory(ex);
        return false;
    }
    buf_free(&ex->body);
    ex->body = json;
    return true;
}

bool rest_json_body(struct exchange *ex, const char *const *names, size_t n, struct json_value *ret)
{
    struct datum values[DATUM_PICK];
    enum encoding encoding;
    must(n <= DATUM_PICK);
    rest_encoding(ex, &encoding);
    if (encoding == ENCODING_MSGPACK && ex->body.len && !convert_body(ex, names, n))
        return false;
    if (!pick(ex, ENCODING_JSON, names, n, values))
        return false;
    for (size_t i = 0; i < n; i++)
        ret[i] = values[i].json;
    return true;
}

int rest_query(struct exchange *ex, const char *name, struct buf *b)
{
    buf_reset(b);
    int found = exchange_query(ex, name, b);
    if (found >= 0)
        return found;
    exchange_problem(ex, CODE_BAD_REQUEST, 0, "query parameter %s: %s", name,
                     found == -EMSGSIZE ? "too long" : "badly encoded, or given twice");
    return -1;
}

bool rest_query_u64(struct exchange *ex, const char *name, uint64_t min, uint64_t max,
                    uint64_t *ret)
{
    char memory[64];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(ex, name, &b);
    if (found <= 0)
        return found == 0;
    uint64_t v;
    if (u64_parse(buf_str(&b), &v) == 0 && v >= min && v <= max) {
        *ret = v;
        return true;
    }
    exchange_problem(ex, CODE_BAD_REQUEST, 0, "query parameter %s: a whole number, %llu to %llu",
                     name, (unsigned long long)min, (unsigned long long)max);
    return false;
}

bool rest_query_flag(struct exchange *ex, const char *name, bool *ret)
{
    char memory[16];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(ex, name, &b);
    if (found <= 0)
        return found == 0;
    bool on = str_is(buf_str(&b), "1") || str_is(buf_str(&b), "true");
    if (on || str_is(buf_str(&b), "0") || str_is(buf_str(&b), "false")) {
        *ret = on;
        return true;
    }
    exchange_problem(ex, CODE_BAD_REQUEST, 0, "query parameter %s: 0, 1, false or true", name);
    return false;
}

/* --- sessions --- */

int rest_session_id(struct str text, uint8_t ret[SESSION_ID_SIZE])
{
    static const uint8_t none[SESSION_ID_SIZE];
    uint8_t id[SESSION_ID_SIZE];
    if (session_id_parse(text, id) != 0 || memcmp(id, none, sizeof(id)) == 0)
        return -EINVAL;
    memcpy(ret, id, sizeof(id));
    return 0;
}

void rest_session_head(struct exchange *ex)
{
    enum code code = ex->principal.kind == PRINCIPAL_SESSION
                         ? CODE_OK
                         : principal_may(&ex->principal, "sessions", STR("*"));
    if (code != CODE_OK)
        exchange_problem(ex, code, 0, NULL);
}

/* A session's token on what is not its own: forbidden, or revoked if its session is gone. */
static void refuse_foreign(struct exchange *ex)
{
    struct session_copy own;
    int err = route_session(ex->worker->route, ex->principal.session, &own);
    if (err == 0)
        session_copy_free(&own);
    if (err == 0)
        exchange_problem(ex, CODE_FORBIDDEN, 0, "a session token serves its own session only");
    else if (err == -ENOENT)
        exchange_problem(ex, CODE_TOKEN_REVOKED, 0, "the token's session has ended");
    else
        rest_store_error(ex, err);
}

bool rest_is_key(struct exchange *ex, enum code code)
{
    if (code == CODE_FORBIDDEN && ex->principal.kind == PRINCIPAL_SESSION)
        refuse_foreign(ex);
    else if (code != CODE_OK)
        exchange_problem(ex, code, 0, NULL);
    return code == CODE_OK;
}

bool rest_rate(struct exchange *ex)
{
    struct worker *w = ex->worker;
    uint64_t wait_ms;
    if (ex->principal.kind != PRINCIPAL_SESSION ||
        rate_take(w->rate, ex->principal.session, 1, w->conf->publish_rate, route_boot_ms(w->route),
                  &wait_ms))
        return true;
    metric_add(w->metrics, METRIC_RATE_LIMITED, 1);
    exchange_problem(ex, CODE_RATE_LIMITED, (unsigned)((wait_ms + 999) / 1000),
                     "a session may publish %llu messages a second",
                     (unsigned long long)w->conf->publish_rate);
    return false;
}

int rest_session_find(struct exchange *ex, struct session_copy *ret)
{
    uint8_t id[SESSION_ID_SIZE];
    bool parsed = rest_session_id(ex->param[0], id) == 0;
    if (ex->principal.kind == PRINCIPAL_SESSION &&
        (!parsed || principal_may_session(&ex->principal, id) != CODE_OK)) {
        refuse_foreign(ex);
        return -EPERM;
    }
    int err = parsed ? route_session(ex->worker->route, id, ret) : -ENOENT;
    if (err && err != -ENOENT)
        rest_store_error(ex, err);
    if (!err)
        route_touch(ex->worker->route, &ret->s, 0);
    return err;
}

bool rest_session(struct exchange *ex, struct session_copy *ret)
{
    int err = rest_session_find(ex, ret);
    if (err == -ENOENT)
        exchange_problem(ex, CODE_SESSION_UNKNOWN, 0, NULL);
    return err == 0;
}

enum rest_cursor rest_cursor_judge(struct exchange *ex, const struct session *s, struct str text,
                                   uint64_t *ret_seq, struct cursor_reset *ret_reset)
{
    int verdict = cursor_judge(ex->worker->route, s, text, ret_seq, ret_reset);
    if (verdict == -EINVAL)
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "not a cursor");
    else if (verdict < 0)
        rest_store_error(ex, verdict);
    return verdict < 0 ? REST_CURSOR_REFUSED : verdict ? REST_CURSOR_RESET : REST_CURSOR_OURS;
}

void rest_cursor_reset(struct exchange *ex, const struct cursor_reset *reset)
{
    char memory[256];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    buf_append_c(&b, ',');
    cursor_reset_members(&b, route_epoch(ex->worker->route), reset);
    exchange_problem_with(ex, CODE_CURSOR_RESET, 0, buf_str(&b), NULL);
}

bool rest_cursor(struct exchange *ex, const struct session *s, struct str text, uint64_t *ret_seq)
{
    struct cursor_reset reset;
    enum rest_cursor verdict = rest_cursor_judge(ex, s, text, ret_seq, &reset);
    if (verdict == REST_CURSOR_RESET)
        rest_cursor_reset(ex, &reset);
    return verdict == REST_CURSOR_OURS;
}

bool rest_topic_name(struct exchange *ex, struct str name)
{
    if (envelope_name_valid(name))
        return true;
    exchange_problem(ex, CODE_BAD_REQUEST, 0,
                     "a topic is 1 to 255 bytes of UTF-8 without control characters");
    return false;
}

/* --- commands --- */

static void on_gone(struct exchange *ex)
{
    struct rest_ask *ask = ex->app;
    rest_release(ask);
}

void rest_done(void *arg, enum code code, bool unknown, struct unpack *body)
{
    struct rest_ask *ask = arg;
    struct exchange *ex = ask->ex;
    ask->call = NULL;
    if (!unknown && (code == CODE_OK || code == ask->fine)) {
        ask->on_done(ask, body);
        return;
    }
    rest_release(ask);
    if (unknown)
        exchange_problem_with(ex, CODE_UNAVAILABLE, 1, STR(",\"outcome\":\"unknown\""),
                              "no answer in time; it may have been done: repeat it as it is");
    else
        exchange_problem(ex, code, 0, NULL);
}

void rest_release(struct rest_ask *ask)
{
    struct exchange *ex = ask->ex;
    if (ask->call)
        route_forget(ex->worker->route, ask->call);
    ask->call = NULL;
    ex->app = NULL;
    ex->on_gone = NULL;
    ask->release(ask);
}

void rest_wait(struct exchange *ex, struct rest_ask *ask)
{
    ask->ex = ex;
    ex->app = ask;
    ex->on_gone = on_gone;
}

bool rest_send(struct exchange *ex, struct rest_ask *ask, enum command_type type, size_t size_max,
               route_encode_f *encode, void *encode_arg)
{
    ask->call = NULL;
    rest_wait(ex, ask);
    int err = route_command(ex->worker->route, type, size_max, encode, encode_arg, rest_done, ask,
                            &ask->call);
    if (!err)
        return true;
    rest_release(ask);
    rest_not_sent(ex, err);
    return false;
}

static void release_plain(struct rest_ask *ask)
{
    free(ask);
}

bool rest_command(struct exchange *ex, enum command_type type, size_t size_max,
                  route_encode_f *encode, void *encode_arg,
                  void (*done)(struct rest_ask *ask, struct unpack *body))
{
    struct rest_ask *ask = malloc(sizeof(*ask));
    if (!ask) {
        rest_no_memory(ex);
        return false;
    }
    *ask = (struct rest_ask){.on_done = done, .release = release_plain};
    return rest_send(ex, ask, type, size_max, encode, encode_arg);
}

void rest_not_sent(struct exchange *ex, int err)
{
    if (err == -EMSGSIZE)
        exchange_problem(ex, CODE_TOO_LARGE, 0, "more than one command may carry or be answered");
    else if (err == -EAGAIN || err == -ESHUTDOWN || err == -ENOMEM)
        exchange_problem_with(ex, CODE_UNAVAILABLE, 1, STR(",\"outcome\":\"none\""),
                              err == -ESHUTDOWN ? "the store is not ready yet"
                                                : "too much is under way");
    else
        rest_store_error(ex, err);
}

void rest_store_error(struct exchange *ex, int err)
{
    log_event(LOG_ERROR, "request_failed", LOG_Z("request_id", ex->request_id), LOG_E(err));
    exchange_problem(ex, CODE_INTERNAL, 0, NULL);
}

void rest_no_memory(struct exchange *ex)
{
    rest_not_sent(ex, -ENOMEM);
}
