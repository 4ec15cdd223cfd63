/* verify_member - members agree with their sessions, their subscriptions and their topics, and the
 * other way round. */
#include <errno.h>
#include <inttypes.h>

#include "shm/member.h"
#include "shm/verify_priv.h"

static void complain(struct verify *v, const struct member *m, const char *what)
{
    violation(v, "stream %" PRIu64 ": a member of %" PRIu64 ": %s", m->mailbox, m->topic, what);
}

static int check_session(struct verify *v, const struct member *m)
{
    struct session s;
    char text[SESSION_ID_TEXT];
    uint8_t hash[MEMBER_HASH];
    int rc = verify_soft(v, m->mailbox, 0, session_get(v->txn, m->session, &s));
    if (rc == -ENOENT)
        complain(v, m, "of no session");
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (s.stream != m->mailbox)
        complain(v, m, "not the mailbox of its session");
    member_hash(m->key, hash);
    if (!str_eq(m->key, member_key(&s, text)) || memcmp(hash, m->hash, sizeof(hash)) != 0)
        complain(v, m, "a key that its session does not have");
    if (m->here != !(s.flags & SESSION_AWAY))
        complain(v, m, m->here ? "here, while its session is away" : "away without its session");
    return 0;
}

static int check_member(struct verify *v, const struct member *m)
{
    unsigned char topic[8], mailbox[8];
    struct subscribed sub = {.tracked = false};
    key_u64(topic, m->topic);
    key_u64(mailbox, m->mailbox);
    int rc = check_session(v, m);
    if (rc == 0)
        rc = verify_soft(v, m->mailbox, 0, subscribed_get(v->txn, m->mailbox, m->topic, &sub));
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (!sub.tracked)
        complain(v, m, "its subscription does not say so");
    if (m->ref == 0)
        complain(v, m, "without a ref");
    rc = keyset_add(&v->tracked, topic);
    if (rc == 0 && m->here)
        rc = keyset_add(&v->here, topic);
    return rc < 0 ? rc : keyset_add(&v->memberships, mailbox);
}

int verify_members(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_MEMBER, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_MEMBER, &row)) {
        struct member m;
        v->members++;
        if (member_decode(row, &m) < 0) {
            violation(v, "member: a malformed row");
            continue;
        }
        int err = check_member(v, &m);
        if (err < 0)
            return err;
    }
    return rc == -ENOENT ? 0 : rc;
}

/* One that is here and has no lease would stay for ever. */
static int check_lease(struct verify *v, const struct session *s)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_ATTACH, str_make(s->id, SESSION_ID_SIZE), &row);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (rc < 0 || row.key.n < SESSION_ID_SIZE || memcmp(row.key.p, s->id, SESSION_ID_SIZE) != 0)
        violation(v, "stream %" PRIu64 ": here in topics without a lease", s->stream);
    return 0;
}

static int check_count(struct verify *v, const struct session *s)
{
    unsigned char mailbox[8];
    key_u64(mailbox, s->stream);
    size_t memberships = keyset_count(&v->memberships, mailbox);
    if (s->tracked != memberships)
        violation(v, "stream %" PRIu64 ": says that it is tracked in %" PRIu64 " topics, not %zu",
                  s->stream, s->tracked, memberships);
    if (s->tracked == 0 && s->flags & SESSION_AWAY)
        violation(v, "stream %" PRIu64 ": away from nowhere", s->stream);
    return s->tracked && !(s->flags & SESSION_AWAY) ? check_lease(v, s) : 0;
}

static int walk_sessions(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_SESSION, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_SESSION, &row)) {
        struct session s;
        if (row.key.n != SESSION_ID_SIZE || session_get(v->txn, (const uint8_t *)row.key.p, &s) < 0)
            continue; /* told already */
        int err = check_count(v, &s);
        if (err < 0)
            return err;
    }
    return rc == -ENOENT ? 0 : rc;
}

int verify_tracked(struct verify *v)
{
    if (v->tracking != v->members)
        violation(v, "subs: %" PRIu64 " say that there is a member, there are %" PRIu64,
                  v->tracking, v->members);
    if (v->dirty != v->dirty_queued)
        violation(v, "expiry: %" PRIu64 " rows of topics with changes, of which %" PRIu64 " know",
                  v->dirty_queued, v->dirty);
    return walk_sessions(v);
}
