/* presence - who is here: members come, change what they show, go away for a while, and leave.
 *
 * A session is here while one of its leases runs (session.h): its connections', or its ghost's. It
 * leaves all its topics when the last of them is over, and joins them again with its next
 * connection; in between its rows wait. So a connection that comes back within the grace changes
 * nothing, and a session that nobody brings back is gone after it, whatever died.
 *
 * What a member shows is copied before anything is written, since a write may move it; what is to
 * be announced goes to presence_diff.c.
 */
#include "shm/writer/writer_priv.h"

#include <errno.h>

#define MEMBER_STORED 256 /* bytes that one takes besides its meta */

/* A session as far as its members need it, in memory of its own. */
struct who {
    uint8_t id[SESSION_ID_SIZE];
    uint64_t mailbox;
    uint8_t hash[MEMBER_HASH];
    size_t key_len;
    char key[MEMBER_KEY_MAX];
};

static void who_is(struct who *who, const struct session *s)
{
    char text[SESSION_ID_TEXT];
    struct str key = member_key(s, text);
    memcpy(who->id, s->id, SESSION_ID_SIZE);
    who->mailbox = s->stream;
    member_hash(key, who->hash);
    who->key_len = key.n;
    memcpy(who->key, key.p, key.n);
}

struct attachment_run writer_run(const struct writer *w)
{
    return (struct attachment_run){
        .start_ms = atomic_load(&w->board->start_ms),
        .grace_ms = w->conf->presence_grace,
    };
}

/* The member, its meta in the writer's memory until the next call. It must be there. */
static int member_of(struct writer *w, const struct who *who, uint64_t topic, struct member *ret)
{
    struct buf *meta = &w->presence.meta;
    int err = member_get(w->txn, topic, who->hash, who->mailbox, ret);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    if (meta->max == 0)
        buf_init(meta, COMMAND_PRESENCE_MAX);
    buf_reset(meta);
    err = buf_append_str(meta, ret->meta);
    ret->meta = buf_str(meta);
    ret->key = str_make(who->key, who->key_len);
    return err;
}

/* The topic's numbers change. tell: and that is to be announced. */
static int count_in_topic(struct writer *w, uint64_t topic, int tracked, int members, bool tell)
{
    struct topic row;
    int err = topic_get(w->txn, topic, &row);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    if ((tracked < 0 && row.tracked == 0) || (members < 0 && row.members == 0))
        return -EUCLEAN;
    row.tracked += (uint64_t)(int64_t)tracked;
    row.members += (uint64_t)(int64_t)members;
    return tell ? presence_gathers(w, &row) : topic_put(w->txn, &row);
}

/* Puts a member as it is now. was: its ref before, if it was here, else 0; made: it is new. */
static int show(struct writer *w, struct member *m, uint64_t was, bool made)
{
    int err = member_put(w->txn, m);
    if (!err)
        err = count_in_topic(w, m->topic, made, (int)m->here - (was != 0), true);
    return err ? err : presence_note(w, m, was);
}

static uint64_t new_ref(void)
{
    uint64_t ref;
    do
        ref = ids_random_u64();
    while (ref == 0);
    return ref;
}

static int join_again(struct writer *w, const struct who *who, uint64_t topic)
{
    struct member m;
    int err = member_of(w, who, topic, &m);
    if (err || m.here)
        return err ? err : -EUCLEAN;
    m.here = true;
    m.ref = new_ref();
    m.since_ms = w->now_ms;
    return show(w, &m, 0, false);
}

static int go_away(struct writer *w, const struct who *who, uint64_t topic)
{
    struct member m;
    int err = member_of(w, who, topic, &m);
    if (err || !m.here)
        return err ? err : -EUCLEAN;
    m.here = false;
    return show(w, &m, m.ref, false);
}

/* For good; its subscription is the caller's. */
static int drop(struct writer *w, const struct who *who, uint64_t topic)
{
    struct member m;
    int err = member_of(w, who, topic, &m);
    if (!err)
        err = member_del(w->txn, topic, m.hash, m.mailbox);
    if (!err)
        err = count_in_topic(w, topic, -1, -(int)m.here, m.here);
    if (err || !m.here)
        return err;
    m.here = false;
    return presence_note(w, &m, m.ref);
}

static int in_each(struct writer *w, const struct who *who,
                   int (*what)(struct writer *, const struct who *, uint64_t))
{
    struct subscribed has[SESSION_TOPICS_MAX];
    int n = subscribed_list(w->txn, who->mailbox, has, SESSION_TOPICS_MAX);
    int err = n < 0 ? n : 0;
    for (int i = 0; i < n && !err; i++) {
        if (!has[i].tracked)
            continue;
        err = what(w, who, has[i].topic);
        if (w->budget > 0) /* they go, or come, all at once; but a sweep of many is cut */
            w->budget--;
    }
    return err;
}

/* A lease without a connection until the grace is over, unless there is one that ends later. */
static int keep_place(struct writer *w, const uint8_t id[SESSION_ID_SIZE])
{
    struct attachment_run run = writer_run(w);
    struct attachment ghost = {
        .connection = ATTACHMENT_GHOST,
        .since_ms = w->now_ms,
        .lease_ms = w->now_ms + run.grace_ms,
        .run = run.start_ms,
    };
    unsigned char key[SESSION_ID_SIZE + 8];
    uint64_t last = 0;
    int err = attachment_last_end(w->txn, id, &run, &last);
    if (err || last >= ghost.lease_ms)
        return err;
    memcpy(key, id, SESSION_ID_SIZE);
    key_u64(key + SESSION_ID_SIZE, ATTACHMENT_GHOST);
    err = attachment_put(w->txn, id, &ghost);
    return err ? err
               : expiry_put(w->txn, ghost.lease_ms, EXPIRE_ATTACHMENT, str_make(key, sizeof(key)));
}

int presence_detached(struct writer *w, const uint8_t id[SESSION_ID_SIZE])
{
    struct session s;
    int err = session_get(w->txn, id, &s);
    if (err)
        return err == -ENOENT ? 0 : err;
    return s.tracked && !(s.flags & SESSION_AWAY) ? keep_place(w, id) : 0;
}

int presence_attached(struct writer *w, const uint8_t id[SESSION_ID_SIZE])
{
    struct session s;
    struct who who;
    int err = session_get(w->txn, id, &s);
    if (err || !(s.flags & SESSION_AWAY))
        return err;
    who_is(&who, &s);
    s.flags &= ~SESSION_AWAY;
    err = session_put(w->txn, &s);
    return err ? err : in_each(w, &who, join_again);
}

int presence_lease_over(struct writer *w, const uint8_t id[SESSION_ID_SIZE])
{
    struct attachment_run run = writer_run(w);
    struct session s;
    struct who who;
    uint64_t last;
    int err = session_get(w->txn, id, &s);
    if (err || s.tracked == 0 || s.flags & SESSION_AWAY)
        return err == -ENOENT ? 0 : err;
    err = attachment_last_end(w->txn, id, &run, &last);
    if (err || last > w->now_ms)
        return err;
    who_is(&who, &s);
    s.flags |= SESSION_AWAY;
    err = session_put(w->txn, &s);
    return err ? err : in_each(w, &who, go_away);
}

int presence_end(struct writer *w, const struct session *s)
{
    struct who who;
    if (s->tracked == 0)
        return 0;
    who_is(&who, s);
    return in_each(w, &who, drop);
}

int presence_check(struct writer *w, uint64_t mailbox, struct str topic, struct str presence,
                   enum code *ret_code)
{
    struct topic_place at;
    struct topic row = {.tracked = 0};
    struct subscribed s = {.tracked = false};
    if (presence.n == 0 || str_is(presence, COMMAND_UNTRACK))
        return 0;
    int err = topic_place(w, topic, &at);
    if (err)
        return err;
    if (at.stream) {
        err = subscribed_get(w->txn, mailbox, at.stream, &s);
        if (!err || err == -ENOENT)
            err = topic_get(w->txn, at.stream, &row);
        if (err)
            return err == -ENOENT ? -EUCLEAN : err;
    }
    if (!at.space->presence)
        *ret_code = CODE_FORBIDDEN;
    else if (presence.n > w->conf->presence_meta)
        *ret_code = CODE_TOO_LARGE;
    else if (!s.tracked && row.tracked >= w->conf->topics_members)
        *ret_code = CODE_LIMIT_REACHED;
    else if (store_full(w))
        *ret_code = CODE_STORE_FULL;
    return 0;
}

int presence_untrack(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t topic)
{
    struct session s;
    struct subscribed sub = {.tracked = false};
    struct who who;
    int err = session_get(w->txn, id, &s);
    if (err)
        return err == -ENOENT ? 0 : err;
    err = subscribed_get(w->txn, s.stream, topic, &sub);
    if (err || !sub.tracked)
        return err == -ENOENT ? 0 : err;
    if (s.tracked == 0)
        return -EUCLEAN;
    who_is(&who, &s);
    if (--s.tracked == 0)
        s.flags &= ~SESSION_AWAY;
    err = session_put(w->txn, &s);
    if (!err)
        err = drop(w, &who, topic);
    return err ? err : subscribed_track(w->txn, who.mailbox, topic, false);
}

/* It is subscribed, and here. */
static int track(struct writer *w, const struct who *who, uint64_t topic, bool made,
                 struct str meta)
{
    struct member m = {.topic = topic, .mailbox = who->mailbox, .since_ms = w->now_ms};
    uint64_t was = 0;
    if (!made) {
        int err = member_of(w, who, topic, &m);
        if (err || str_eq(m.meta, meta))
            return err;
        was = m.ref;
    }
    memcpy(m.session, who->id, SESSION_ID_SIZE);
    m.key = str_make(who->key, who->key_len);
    m.meta = meta;
    m.here = true;
    m.ref = new_ref();
    w->usage_since += meta.n + MEMBER_STORED;
    int err = show(w, &m, was, made);
    return err || !made ? err : subscribed_track(w->txn, who->mailbox, topic, true);
}

int presence_track(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t topic,
                   struct str meta)
{
    struct session s;
    struct subscribed sub = {.tracked = false};
    struct who who;
    /* Where it was away, it comes back to all its topics: whoever speaks is here. */
    int err = presence_attached(w, id);
    if (!err)
        err = session_get(w->txn, id, &s);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    err = subscribed_get(w->txn, s.stream, topic, &sub);
    if (err)
        return err == -ENOENT ? -EUCLEAN : err;
    who_is(&who, &s);
    if (!sub.tracked) {
        s.tracked++;
        err = session_put(w->txn, &s);
    }
    if (!err)
        err = track(w, &who, topic, !sub.tracked, meta);
    return err ? err : keep_place(w, id); /* nobody may be connected to it, or not yet */
}
