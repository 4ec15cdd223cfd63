/* known - where sessions' mailboxes and topics are: looked up once, then remembered. */
#include "shm/writer/writer_priv.h"

#include <errno.h>

#define TOPIC_STORED 1024 /* bytes that a new topic takes: its rows, its head */

int live_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE], struct session *ret)
{
    struct session s;
    int err = session_get(w->txn, id, &s);
    if (err)
        return err;
    if (session_expired(&s, w->now_ms, atomic_load(&w->board->start_ms)))
        return -ENOENT;
    *ret = s;
    return 0;
}

static struct session_memo *memo_of(struct writer *w, const uint8_t id[SESSION_ID_SIZE])
{
    uint32_t at; /* ids are random */
    memcpy(&at, id, sizeof(at));
    return &w->memo[at % WRITER_MEMOS];
}

int live_mailbox(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t *ret_stream)
{
    struct session_memo *m = memo_of(w, id);
    if (w->now_ms >= m->due_ms || memcmp(m->id, id, SESSION_ID_SIZE) != 0) {
        struct session s;
        int err = live_session(w, id, &s);
        if (err)
            return err;
        memcpy(m->id, id, SESSION_ID_SIZE);
        m->stream = s.stream;
        m->due_ms = session_due_ms(w, &s);
    }
    *ret_stream = m->stream;
    return 0;
}

void forget_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE])
{
    memo_of(w, id)->due_ms = 0;
}

static struct topic_memo *topic_memo_of(struct writer *w, struct str name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < name.n; i++)
        hash = (hash ^ (unsigned char)name.p[i]) * 16777619u;
    return &w->topic_memo[hash % WRITER_TOPIC_MEMOS];
}

static void remember_topic(struct topic_memo *m, struct str name, const struct topic_place *at)
{
    m->stream = at->stream;
    m->space = at->space;
    m->name_len = (uint8_t)name.n;
    memcpy(m->name, name.p, name.n);
}

int topic_place(struct writer *w, struct str name, struct topic_place *ret)
{
    struct topic_memo *m = topic_memo_of(w, name);
    if (m->stream && str_eq(str_make(m->name, m->name_len), name)) {
        *ret = (struct topic_place){.stream = m->stream, .space = m->space};
        return 0;
    }
    struct topic_place at = {.space = conf_namespace_of(w->conf, name)};
    int err = topic_find(w->txn, name, &at.stream);
    if (err && err != -ENOENT)
        return err;
    if (!err)
        remember_topic(m, name, &at);
    *ret = at;
    return 0;
}

int topic_make(struct writer *w, struct str name, struct topic_place *at)
{
    int err = topic_create(w->txn, name, w->now_ms, topic_idle_ms(w), &at->stream);
    if (err)
        return err;
    remember_topic(topic_memo_of(w, name), name, at);
    writer_count(w, METRIC_TOPICS_MADE, 1);
    w->usage_since += TOPIC_STORED;
    return 0;
}

uint64_t topic_idle_ms(const struct writer *w)
{
    const struct conf *c = w->conf;
    return c->topic_idle > c->dedup_window ? c->topic_idle : c->dedup_window;
}

static void forget_topics(struct writer *w)
{
    for (size_t i = 0; i < WRITER_TOPIC_MEMOS; i++)
        w->topic_memo[i].stream = 0;
}

void topics_gone(struct writer *w, uint64_t n)
{
    if (n == 0)
        return;
    writer_count(w, METRIC_TOPICS_REMOVED, n);
    forget_topics(w);
}

void forget_all(struct writer *w)
{
    memset(w->memo, 0, sizeof(w->memo));
    forget_topics(w);
    presence_forget(w);
}
