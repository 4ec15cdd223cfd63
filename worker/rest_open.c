/* rest_open - POST /v1/sessions: who may have a session, and what it is born with.
 *
 * A bootstrap token names its subject, an API key must name one, and without any credential a
 * session is anonymous, where that is allowed. What the token says of attributes beats the body:
 * the backend signed it.
 */
#include "worker/rest_session.h"

#include "common/attributes.h"

#include <errno.h>
#include <stdlib.h>

enum { B_SUBJECT, B_NAME, B_ATTRIBUTES, B_TTL, B_TOPICS, B_COUNT };
static const char *const names[B_COUNT] = {"subject", "name", "attributes", "ttl", "topics"};

#define CLAIMS_MAX (64u << 10) /* of the topics a token claims, as JSON */
#define TOPICS_MAX ((PAGE_SOURCES) * (1 + ENVELOPE_NAME_MAX)) /* bytes of the names to join */

struct opening {
    struct exchange *ex;
    struct command_open command;
    struct buf texts;      /* decoded subject and name; reserved at once */
    struct buf attributes; /* what the session gets */
    struct buf claims;
    struct buf topics; /* names, each behind its length */
};

void session_open_head(struct exchange *ex)
{
    const struct principal *p = &ex->principal;
    enum code code = CODE_OK;
    if (p->kind == PRINCIPAL_NONE && !ex->worker->conf->anonymous)
        code = CODE_TOKEN_MISSING;
    else if (p->kind == PRINCIPAL_SESSION)
        code = CODE_FORBIDDEN;
    else if (p->kind == PRINCIPAL_KEY)
        code = principal_may(p, "sessions", STR("*"));
    if (rest_is_key(ex, code))
        rest_json_head(ex);
}

static bool bad(struct exchange *ex, const char *why)
{
    exchange_problem(ex, CODE_BAD_REQUEST, 0, "%s", why);
    return false;
}

static bool given(const struct json_value *v)
{
    return v->raw.p && v->type != JSON_NULL;
}

static bool read_text(struct opening *o, const struct json_value *v, struct str *ret)
{
    size_t from = o->texts.len;
    if (!given(v))
        return true;
    if (json_string(*v, &o->texts) != 0)
        return false;
    *ret = str_make(o->texts.data + from, o->texts.len - from);
    return envelope_name_valid(*ret);
}

static bool read_names(struct opening *o, const struct json_value *v)
{
    struct exchange *ex = o->ex;
    const struct principal *p = &ex->principal;
    struct command_open *c = &o->command;
    struct str subject = {NULL, 0};
    if (!read_text(o, &v[B_SUBJECT], &subject))
        return bad(ex, "subject: 1 to 255 bytes without control characters");
    if (!read_text(o, &v[B_NAME], &c->name))
        return bad(ex, "name: 1 to 255 bytes without control characters");
    if (p->kind == PRINCIPAL_KEY && !subject.n)
        return bad(ex, "subject: an API key must name one");
    if (p->kind == PRINCIPAL_BOOTSTRAP) {
        struct str own = str_of(p->claims.subject);
        if (subject.n && !str_eq(subject, own)) {
            exchange_problem(ex, CODE_FORBIDDEN, 0, "the token is for another subject");
            return false;
        }
        subject = own;
    }
    if (p->kind == PRINCIPAL_NONE && subject.n) {
        exchange_problem(ex, CODE_TOKEN_MISSING, 0, "a subject needs a credential");
        return false;
    }
    if (c->name.n && !subject.n) /* or anybody could take anybody's */
        return bad(ex, "name: an anonymous session has none");
    c->subject = subject;
    return true;
}

static bool read_attributes(struct opening *o, const struct json_value *v)
{
    struct exchange *ex = o->ex;
    const struct principal *p = &ex->principal;
    const char *claimed = p->kind == PRINCIPAL_BOOTSTRAP ? p->claims.attributes : NULL;
    if (given(&v[B_ATTRIBUTES]) && v[B_ATTRIBUTES].type != JSON_OBJECT)
        return bad(ex, "attributes: an object");
    struct str body = given(&v[B_ATTRIBUTES]) ? v[B_ATTRIBUTES].raw : str_make(NULL, 0);
    int err = attributes_merge(body, str_of(claimed), &o->attributes);
    if (err == -EMSGSIZE) {
        exchange_problem(ex, CODE_TOO_LARGE, 0, "attributes: at most %llu bytes",
                         (unsigned long long)ex->worker->conf->attributes_size);
        return false;
    }
    if (err) {
        rest_no_memory(ex);
        return false;
    }
    o->command.attributes = buf_str(&o->attributes);
    return true;
}

/* The patterns that the token claims, as a JSON array. A token that claims none says that too: of a
 * session that exists already it takes back what an older one had claimed. */
static bool write_claims(struct opening *o)
{
    const struct token_claims *c = &o->ex->principal.claims;
    if (o->ex->principal.kind != PRINCIPAL_BOOTSTRAP)
        return true;
    buf_append_c(&o->claims, '[');
    for (size_t i = 0; i < c->ntopics; i++) {
        if (i)
            buf_append_c(&o->claims, ',');
        json_quote(&o->claims, str_of(c->topics[i]));
    }
    if (buf_append_c(&o->claims, ']') != 0) {
        rest_no_memory(o->ex);
        return false;
    }
    o->command.claims = buf_str(&o->claims);
    return true;
}

static bool refuse(struct exchange *ex, enum code code)
{
    exchange_problem(ex, code, 0, NULL);
    return false;
}

/* One topic of the list: judged, and put into the command. */
static bool add_topic(struct opening *o, struct str name)
{
    struct exchange *ex = o->ex;
    const struct conf_namespace *ns = conf_namespace_of(ex->worker->conf, name);
    if (!ns)
        return refuse(ex, CODE_TOPIC_UNKNOWN);
    enum code code = principal_may_join(&ex->principal, ns, o->command.claims, name);
    if (code != CODE_OK)
        return refuse(ex, code);
    buf_append_c(&o->topics, (char)name.n);
    if (buf_append_str(&o->topics, name) == 0)
        return true;
    rest_no_memory(ex);
    return false;
}

static bool read_topics(struct opening *o, const struct json_value *v)
{
    struct exchange *ex = o->ex;
    if (!given(v))
        return true;
    if (v->type != JSON_ARRAY)
        return bad(ex, "topics: an array of names");
    char memory[ENVELOPE_NAME_MAX + 1];
    struct buf name;
    struct json_iter it;
    struct json_value item;
    uint64_t n = 0;
    json_iter_begin(&it, *v);
    while (json_next_item(&it, &item)) {
        buf_fixed(&name, memory, sizeof(memory));
        if (json_string(item, &name) != 0 || !envelope_name_valid(buf_str(&name)))
            return bad(ex, "topics: names of 1 to 255 bytes");
        if (n++ == ex->worker->conf->max_topics)
            return refuse(ex, CODE_LIMIT_REACHED);
        if (!add_topic(o, buf_str(&name)))
            return false;
    }
    o->command.topics = buf_str(&o->topics);
    return true;
}

static ssize_t encode(void *arg, struct pack *p)
{
    const struct opening *o = arg;
    command_open_encode(p, &o->command);
    return COMPLETION_SESSION_SIZE;
}

static void on_opened(struct rest_ask *ask, struct unpack *body)
{
    struct exchange *ex = ask->ex;
    struct completion_session c;
    bool good = completion_session_decode(body, &c) == 0;
    rest_release(ask);
    if (good)
        session_show_opened(ex, &c);
    else
        exchange_problem(ex, CODE_INTERNAL, 0, NULL);
}

static bool read_body(struct opening *o)
{
    struct json_value v[B_COUNT];
    return rest_json_body(o->ex, names, B_COUNT, v) && read_names(o, v) &&
           session_ttl(o->ex, v[B_TTL], &o->command.ttl_ms) && read_attributes(o, v) &&
           write_claims(o) && read_topics(o, &v[B_TOPICS]);
}

#define B64URL_DASH 62 /* the value of '-' */

void session_open_body(struct exchange *ex)
{
    struct opening o = {.ex = ex};
    buf_init(&o.texts, JSON_BODY_MAX);
    buf_init(&o.attributes, ex->worker->conf->attributes_size);
    buf_init(&o.claims, CLAIMS_MAX);
    buf_init(&o.topics, TOPICS_MAX);
    /* An id is an argument of commands too: none begins with a dash. */
    do
        ids_random(o.command.session, SESSION_ID_SIZE);
    while (o.command.session[0] >> 2 == B64URL_DASH);
    if (buf_reserve(&o.texts, ex->body.len) != 0)
        rest_no_memory(ex);
    else if (read_body(&o))
        rest_command(ex, COMMAND_OPEN, command_open_size(&o.command), encode, &o, on_opened);
    buf_free(&o.texts);
    buf_free(&o.attributes);
    buf_free(&o.claims);
    buf_free(&o.topics);
}
