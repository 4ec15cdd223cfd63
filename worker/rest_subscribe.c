/* rest_subscribe - what a session is subscribed to, and what it says of itself there: of the
 * session, not of a connection. */
#include "worker/presence.h"
#include "worker/rest_priv.h"

void subscribe_head(struct exchange *ex)
{
    rest_session_head(ex);
    if (!ex->answered && rest_topic_name(ex, ex->param[1]))
        rest_json_head(ex);
}

static ssize_t encode(void *arg, struct pack *p)
{
    command_subscribe_encode(p, arg);
    return COMPLETION_SUBSCRIBE_SIZE;
}

static void on_subscribed(struct rest_ask *ask, struct unpack *body)
{
    struct exchange *ex = ask->ex;
    struct completion_subscribe c;
    bool good = completion_subscribe_decode(body, &c) == 0;
    rest_release(ask);
    if (!good) {
        exchange_problem(ex, CODE_INTERNAL, 0, NULL);
        return;
    }
    buf_append_c(&ex->out_body, '{');
    rest_text_member(&ex->out_body, "topic", ex->param[1]);
    buf_append_c(&ex->out_body, ',');
    rest_cursor_member(ex, &ex->out_body, "cursor", c.join);
    buf_append_c(&ex->out_body, '}');
    exchange_answer(ex, 200, JSON_TYPE);
}

static void on_unsubscribed(struct rest_ask *ask, struct unpack *body)
{
    struct exchange *ex = ask->ex;
    (void)body;
    rest_release(ask);
    exchange_answer(ex, 204, NULL);
}

static void ask_writer(struct exchange *ex, enum command_type type, const struct session *s,
                       struct str presence,
                       void (*on_done)(struct rest_ask *ask, struct unpack *body))
{
    struct command_subscribe c = {.topic = ex->param[1], .presence = presence};
    memcpy(c.session, s->id, SESSION_ID_SIZE);
    rest_command(ex, type, command_subscribe_size(&c), encode, &c, on_done);
}

static void subscribe(struct exchange *ex, const struct session *s, const struct conf_namespace *ns)
{
    static const char *const names[] = {"presence"};
    struct datum said = {.encoding = ENCODING_JSON};
    struct buf b;
    struct str presence;
    const char *why;
    if (!rest_json_body(ex, names, 1, &said.json))
        return;
    enum code code = presence_read(ex->worker->conf, ns, &said, &b, &presence, &why);
    if (code == CODE_UNAVAILABLE)
        rest_no_memory(ex);
    else if (code != CODE_OK)
        exchange_problem(ex, code, 0, why ? "%s" : NULL, why);
    else if (rest_rate(ex))
        ask_writer(ex, COMMAND_SUBSCRIBE, s, presence, on_subscribed);
    buf_free(&b);
}

void subscribe_body(struct exchange *ex)
{
    struct session_copy copy;
    if (!rest_session(ex, &copy))
        return;
    const struct conf_namespace *ns = conf_namespace_of(ex->worker->conf, ex->param[1]);
    enum code code = CODE_TOPIC_UNKNOWN;
    if (ns)
        code = principal_may_join(&ex->principal, ns, copy.s.claims, ex->param[1]);
    if (code != CODE_OK)
        exchange_problem(ex, code, 0, NULL);
    else
        subscribe(ex, &copy.s, ns);
    session_copy_free(&copy);
}

/* Also from what may no longer be joined. */
void unsubscribe_body(struct exchange *ex)
{
    struct session_copy copy;
    if (!rest_session(ex, &copy))
        return;
    ask_writer(ex, COMMAND_UNSUBSCRIBE, &copy.s, str_make(NULL, 0), on_unsubscribed);
    session_copy_free(&copy);
}
