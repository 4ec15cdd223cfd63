/* apply_session - sessions are made, changed and ended. */
#include "shm/writer/writer_priv.h"

#include "common/attributes.h"

#include <errno.h>
#include <stdlib.h>

/* The completion of OPEN and PATCH. */
static int answer_session(struct writer *w, const struct session *s, bool created)
{
    struct completion_session c = {.created = created};
    memcpy(c.session, s->id, SESSION_ID_SIZE);
    int err = buf_reserve(&w->completion, COMPLETION_SESSION_SIZE);
    if (err)
        return err;
    struct pack p = pack_into(w->completion.data, COMPLETION_SESSION_SIZE);
    completion_session_encode(&p, &c);
    w->completion.len = pack_len(&p);
    return 0;
}

/* Whether the subject has room for one more session. 1, 0, or < 0. */
static int subject_has_room(struct writer *w, struct str subject)
{
    uint64_t max = w->conf->max_per_subject;
    uint8_t(*ids)[SESSION_ID_SIZE] = malloc(max * 2 * SESSION_ID_SIZE);
    if (!ids)
        return -ENOMEM;
    /* Expired ones are swept soon; up to as many again may still lie there. */
    int n = subject_sessions(w->txn, subject, NULL, ids, max * 2);
    uint64_t live = 0;
    int err = n < 0 ? n : 0;
    for (int i = 0; i < n && !err; i++) {
        struct session s;
        err = live_session(w, ids[i], &s);
        if (err == 0)
            live++;
        else if (err == -ENOENT)
            err = 0;
    }
    free(ids);
    return err ? err : live < max && (uint64_t)n < max * 2;
}

static int open_existing(struct writer *w, struct session *s, const struct command_open *c,
                         const struct join *topics, enum code *ret_code)
{
    int err = join_check(w, s->stream, topics, ret_code);
    if (err || *ret_code != CODE_OK)
        return err;
    if (c->claims.n)
        s->claims = c->claims; /* the newest token says what it may join */
    err = slide_session(w, s);
    uint64_t join;
    if (!err)
        err = join_all(w, s->stream, topics, true, &join);
    return err ? err : answer_session(w, s, false);
}

int apply_open(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_open c;
    if (command_open_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct join topics;
    int err = join_read(&topics, c.topics);
    if (err == -E2BIG) {
        *ret_code = CODE_LIMIT_REACHED;
        return 0;
    }
    if (err)
        return err;
    struct session s;
    if (c.name.n) {
        uint8_t id[SESSION_ID_SIZE];
        err = session_by_name(w->txn, c.subject, c.name, id);
        if (err == 0) {
            err = live_session(w, id, &s);
            if (err == 0)
                return open_existing(w, &s, &c, &topics, ret_code);
            if (err != -ENOENT)
                return err;
            err = session_get(w->txn, id, &s); /* expired, not swept yet: its name is free */
            if (err == 0)
                err = remove_session(w, &s, METRIC_SESSIONS_EXPIRED);
        }
        if (err && err != -ENOENT)
            return err;
    }
    err = session_get(w->txn, c.session, &s);
    if (err == 0) { /* a worker proposes random ids: this one is not random */
        *ret_code = CODE_INTERNAL;
        return 0;
    }
    if (err != -ENOENT)
        return err;
    if (c.subject.n) {
        int room = subject_has_room(w, c.subject);
        if (room < 0)
            return room;
        if (room == 0) {
            *ret_code = CODE_LIMIT_REACHED;
            return 0;
        }
    }
    if (store_full(w)) {
        *ret_code = CODE_STORE_FULL;
        return 0;
    }
    err = join_check(w, 0, &topics, ret_code);
    if (err || *ret_code != CODE_OK)
        return err;
    uint64_t ttl = c.ttl_ms ? c.ttl_ms : w->conf->session_ttl;
    s = (struct session){
        .created_ms = w->now_ms,
        .expires_ms = w->now_ms + ttl,
        .ttl_ms = ttl,
        .start_seq = w->meta.last_seq,
        .flags = c.subject.n ? 0 : SESSION_ANONYMOUS,
        .subject = c.subject,
        .name = c.name,
        .attributes = c.attributes.n ? c.attributes : STR("{}"),
        .claims = c.claims,
    };
    memcpy(s.id, c.session, SESSION_ID_SIZE);
    err = session_create(w->txn, &s);
    uint64_t join;
    if (!err) /* nobody is connected to it yet */
        err = join_all(w, s.stream, &topics, false, &join);
    if (err)
        return err;
    writer_count(w, METRIC_SESSIONS_OPENED, 1);
    return answer_session(w, &s, true);
}

int apply_patch(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_patch c;
    if (command_patch_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = command_session(w, c.session, 0, &s, ret_code);
    if (err <= 0)
        return err;
    struct buf merged;
    buf_init(&merged, w->conf->attributes_size);
    if (c.attributes.n) {
        err = attributes_merge(s.attributes, c.attributes, &merged);
        if (err == -EMSGSIZE || err == -EINVAL) {
            *ret_code = err == -EINVAL ? CODE_BAD_REQUEST : CODE_TOO_LARGE;
            buf_free(&merged);
            return 0;
        }
        s.attributes = buf_str(&merged);
    }
    if (!err) {
        uint64_t was_due = session_due_ms(w, &s);
        forget_session(w, s.id);
        if (c.ttl_ms)
            s.ttl_ms = c.ttl_ms;
        s.expires_ms = w->now_ms + s.ttl_ms;
        err = session_put(w->txn, &s);
        /* A shorter life is due before its row in the queue. */
        if (!err && session_due_ms(w, &s) < was_due)
            err = expiry_put(w->txn, session_due_ms(w, &s), EXPIRE_SESSION,
                             str_make(s.id, SESSION_ID_SIZE));
    }
    if (!err)
        err = answer_session(w, &s, false);
    buf_free(&merged);
    return err;
}

int apply_end(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_ack c;
    if (command_ack_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = command_session(w, c.session, 0, &s, ret_code);
    if (err <= 0)
        return err;
    return remove_session(w, &s, METRIC_SESSIONS_ENDED);
}
