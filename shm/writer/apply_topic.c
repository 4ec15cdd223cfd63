/* apply_topic - who is subscribed to what, and what topics are allowed to hold.
 *
 * Joining several topics is one thing: it is judged as a whole before any row is written, so that
 * what is refused has changed nothing. Whether a session may join was judged by its worker.
 */
#include "shm/writer/writer_priv.h"

#include <errno.h>

#define SUBSCRIPTION_STORED 256        /* bytes that one takes */
#define ORPHAN_AGE_MS (60 * 60 * 1000) /* the default of namespace.ttl */

/* A topic whose namespace the configuration no longer has: nobody can publish to it or join it, and
 * nothing says how long to keep what it holds. It goes as a plain namespace's would; the topic
 * itself goes when its last subscriber leaves and it has been idle. */
static const struct conf_namespace ORPHAN = {.ttl_ms = ORPHAN_AGE_MS};

struct stream_limits topic_limits(struct writer *w, const struct conf_namespace *space)
{
    const struct conf_namespace *n = space ? space : &ORPHAN;
    return (struct stream_limits){
        .messages = n->history,
        .bytes = n->bytes,
        .age_ms = n->ttl_ms,
        .gone = &w->gone,
    };
}

enum code topics_have_room(struct writer *w, size_t n)
{
    if (txn_entries(w->txn, DB_TOPIC) + n > w->conf->topics_max) {
        writer_count(w, METRIC_REFUSED_TOPICS, n);
        return CODE_LIMIT_REACHED;
    }
    return store_full(w) ? CODE_STORE_FULL : CODE_OK;
}

static bool join_has(const struct join *j, struct str name)
{
    for (size_t i = 0; i < j->n; i++)
        if (str_eq(j->name[i], name))
            return true;
    return false;
}

int join_read(struct join *j, struct str list)
{
    struct unpack u = unpack_from(list.p, list.n);
    size_t named = 0;
    j->n = 0;
    while (!unpack_done(&u)) {
        uint8_t len = unpack_u8(&u);
        struct str name = str_make(unpack_bytes(&u, len), len);
        if (u.bad || len == 0)
            return -EBADMSG;
        /* All of the list is read, however long, but no more than this is compared. */
        if (++named <= SESSION_TOPICS_MAX && !join_has(j, name))
            j->name[j->n++] = name;
    }
    return named > SESSION_TOPICS_MAX ? -E2BIG : 0;
}

/* How many of them are new to the session, and how many do not exist yet. */
static int join_count(struct writer *w, uint64_t mailbox, const struct join *j, size_t *ret_new,
                      size_t *ret_made, enum code *ret_code)
{
    *ret_new = *ret_made = 0;
    for (size_t i = 0; i < j->n; i++) {
        struct topic_place at;
        struct subscribed s;
        int err = topic_place(w, j->name[i], &at);
        if (err)
            return err;
        if (!at.space) {
            *ret_code = CODE_TOPIC_UNKNOWN;
            return 0;
        }
        err = mailbox && at.stream ? subscribed_get(w->txn, mailbox, at.stream, &s) : -ENOENT;
        if (err && err != -ENOENT)
            return err;
        *ret_new += err != 0;
        *ret_made += at.stream == 0;
    }
    *ret_code = CODE_OK;
    return 0;
}

int join_check(struct writer *w, uint64_t mailbox, const struct join *j, enum code *ret_code)
{
    size_t new, made;
    int err = join_count(w, mailbox, j, &new, &made, ret_code);
    if (err || *ret_code != CODE_OK || new == 0)
        return err;
    struct subscribed has[SESSION_TOPICS_MAX];
    int n = mailbox ? subscribed_list(w->txn, mailbox, has, SESSION_TOPICS_MAX) : 0;
    if (n < 0)
        return n;
    if ((size_t)n + new > w->conf->max_topics)
        *ret_code = CODE_LIMIT_REACHED;
    else if (made)
        *ret_code = topics_have_room(w, made);
    else if (store_full(w))
        *ret_code = CODE_STORE_FULL;
    return 0;
}

static int join_one(struct writer *w, uint64_t mailbox, struct str name, bool tell,
                    uint64_t *ret_join)
{
    struct topic_place at;
    int err = topic_place(w, name, &at);
    if (!err && at.stream == 0)
        err = topic_make(w, name, &at);
    if (err)
        return err;
    struct subscribed s;
    err = subscribed_get(w->txn, mailbox, at.stream, &s);
    if (err == 0)
        *ret_join = s.join;
    if (err != -ENOENT)
        return err;
    *ret_join = w->meta.last_seq;
    err = subscribed_add(w->txn, mailbox, at.stream, *ret_join);
    if (err)
        return err;
    w->usage_since += SUBSCRIPTION_STORED;
    if (tell)
        prepare_subscribe(
            w, &(struct feed_subscribe){
                   .mailbox = mailbox, .topic = at.stream, .join = *ret_join, .name = name});
    return 0;
}

int join_all(struct writer *w, uint64_t mailbox, const struct join *j, bool tell,
             uint64_t *ret_join)
{
    int err = 0;
    for (size_t i = 0; i < j->n && !err; i++)
        err = join_one(w, mailbox, j->name[i], tell, ret_join);
    return err;
}

static int answer_join(struct writer *w, uint64_t join)
{
    struct completion_subscribe c = {.join = join};
    int err = buf_reserve(&w->completion, COMPLETION_SUBSCRIBE_SIZE);
    if (err)
        return err;
    struct pack p = pack_into(w->completion.data, COMPLETION_SUBSCRIBE_SIZE);
    completion_subscribe_encode(&p, &c);
    w->completion.len = pack_len(&p);
    return 0;
}

static int set_presence(struct writer *w, const struct command_subscribe *c)
{
    struct topic_place at;
    int err = topic_place(w, c->topic, &at);
    if (err)
        return err;
    return str_is(c->presence, COMMAND_UNTRACK)
               ? presence_untrack(w, c->session, at.stream)
               : presence_track(w, c->session, at.stream, c->presence);
}

int apply_subscribe(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_subscribe c;
    if (command_subscribe_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = command_session(w, c.session, c.generation, &s, ret_code);
    if (err <= 0)
        return err;
    struct join j;
    j.name[0] = c.topic;
    j.n = 1;
    err = join_check(w, s.stream, &j, ret_code);
    if (!err && *ret_code == CODE_OK)
        err = presence_check(w, s.stream, c.topic, c.presence, ret_code);
    if (err || *ret_code != CODE_OK)
        return err;
    uint64_t join = 0;
    err = slide_session(w, &s);
    if (!err)
        err = join_all(w, s.stream, &j, true, &join);
    if (!err && c.presence.n)
        err = set_presence(w, &c);
    return err ? err : answer_join(w, join);
}

static int leave(struct writer *w, uint64_t mailbox, uint64_t topic)
{
    bool removed;
    int err =
        subscribed_del(w->txn, mailbox, topic, w->now_ms, topic_idle_ms(w), &w->budget, &removed);
    if (err)
        return err == -ENOENT ? 0 : err; /* it was not subscribed: nothing to tell */
    topics_gone(w, removed);
    prepare_unsubscribe(w, &(struct feed_subscribe){.mailbox = mailbox, .topic = topic});
    return 0;
}

int apply_unsubscribe(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_subscribe c;
    if (command_subscribe_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = command_session(w, c.session, c.generation, &s, ret_code);
    if (err <= 0)
        return err;
    struct topic_place at;
    err = topic_place(w, c.topic, &at);
    if (!err)
        err = slide_session(w, &s);
    if (!err && at.stream)
        err = presence_untrack(w, c.session, at.stream);
    if (!err && at.stream)
        err = leave(w, s.stream, at.stream);
    return err;
}

int apply_empty(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_empty c;
    if (command_empty_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct topic_place at;
    int err = topic_place(w, c.topic, &at);
    if (err)
        return err;
    if (at.stream == 0) {
        *ret_code = CODE_TOPIC_UNKNOWN;
        return 0;
    }
    struct stream_head head;
    err = stream_head(w->txn, at.stream, &head);
    if (!err)
        err = stream_empty(w->txn, at.stream, &w->budget);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    writer_count(w, METRIC_EMPTIED, head.count);
    *ret_code = CODE_OK;
    return 0;
}
