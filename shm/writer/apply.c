/* apply - one command inside the running transaction: dispatch, and the short ones. */
#include "shm/writer/writer_priv.h"

#include <errno.h>

struct stream_limits mailbox_limits(struct writer *w)
{
    const struct conf *c = w->conf;
    return (struct stream_limits){
        .messages = c->mailbox_messages,
        .bytes = c->mailbox_bytes,
        .age_ms = c->mailbox_age,
        .refuse = c->mailbox_overflow == CONF_REFUSE,
        .receipts = c->receipts > 0,
        .receipts_ms = c->receipts,
        .gone = &w->gone,
    };
}

uint64_t session_due_ms(const struct writer *w, const struct session *s)
{
    return session_due(s, atomic_load(&w->board->start_ms));
}

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

int no_session(int err, enum code *ret_code)
{
    if (err != -ENOENT)
        return err;
    *ret_code = CODE_SESSION_UNKNOWN;
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

int remove_session(struct writer *w, const struct session *s, enum metric why)
{
    struct stream_head head;
    int err = stream_head(w->txn, s->stream, &head);
    if (err && err != -ENOENT)
        return err;
    uint64_t had = err ? 0 : head.count, topics;
    forget_session(w, s->id);
    struct session ended = *s; /* its texts point into the row that goes */
    err = session_remove(w->txn, s, w->now_ms, w->conf->topic_idle, &w->budget, &topics);
    if (err)
        return err;
    prepare_session_end(w, &ended);
    writer_count(w, METRIC_TOPICS_REMOVED, topics);
    writer_count(w, why, 1);
    writer_count(w, METRIC_ENDED, had);
    return 0;
}

static int apply_touch(struct writer *w, struct unpack *body)
{
    struct command_touch c;
    if (command_touch_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = live_session(w, c.session, &s);
    if (err)
        return err == -ENOENT ? 0 : err;
    s.expires_ms = w->now_ms + s.ttl_ms;
    if (c.delivered > s.delivered && c.delivered <= w->meta.last_seq) {
        s.delivered_prev = s.delivered;
        s.delivered = c.delivered;
        s.delivered_ms = w->now_ms;
    }
    return session_put(w->txn, &s);
}

static int apply_attach(struct writer *w, uint32_t slot, const struct command_header *h,
                        struct unpack *body, enum code *ret_code)
{
    struct command_attach c;
    if (command_attach_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = live_session(w, c.session, &s);
    if (err)
        return no_session(err, ret_code);

    unsigned char key[SESSION_ID_SIZE + 8];
    memcpy(key, c.session, SESSION_ID_SIZE);
    key_u64(key + SESSION_ID_SIZE, c.connection);
    struct attachment old;
    err = attachment_get(w->txn, c.session, c.connection, &old);
    if (err && err != -ENOENT)
        return err;
    bool renewed = err == 0;

    struct attachment a = {
        .connection = c.connection,
        .slot = slot,
        .slot_generation = h->generation,
        .since_ms = renewed ? old.since_ms : w->now_ms,
        .lease_ms = w->now_ms + c.lease_ms + w->conf->presence_grace,
        .transport = c.transport,
        .remote = c.remote,
    };
    err = attachment_put(w->txn, c.session, &a);
    /* One queue row an attachment: a renewed lease is found early and put again by the sweep. */
    if (!err && !renewed)
        err = expiry_put(w->txn, a.lease_ms, EXPIRE_ATTACHMENT, str_make(key, sizeof(key)));
    if (err)
        return err;
    s.expires_ms = w->now_ms + s.ttl_ms;
    *ret_code = CODE_OK;
    return session_put(w->txn, &s);
}

static int apply_detach(struct writer *w, struct unpack *body)
{
    struct command_ack c; /* seq carries the connection */
    if (command_ack_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    int err = attachment_del(w->txn, c.session, c.seq);
    return err == -ENOENT ? 0 : err;
}

static int apply_ack(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_ack c;
    if (command_ack_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = live_session(w, c.session, &s);
    if (err)
        return no_session(err, ret_code);
    if (c.seq > w->meta.last_seq) {
        *ret_code = CODE_CURSOR_RESET;
        return 0;
    }
    *ret_code = CODE_OK;
    s.expires_ms = w->now_ms + s.ttl_ms;
    if (c.seq > s.acked) {
        s.acked_prev = s.acked;
        s.acked = c.seq;
        s.acked_ms = w->now_ms;
        if (c.seq > s.delivered) {
            s.delivered_prev = s.delivered;
            s.delivered = c.seq;
            s.delivered_ms = w->now_ms;
        }
        err = session_put(w->txn, &s);
        if (err)
            return err;
        uint64_t removed = 0;
        struct stream_limits limits = mailbox_limits(w);
        err = stream_ack(w->txn, s.stream, c.seq, w->now_ms, &limits, &w->budget, &removed);
        writer_count(w, METRIC_ACKED, removed);
        return err;
    }
    return session_put(w->txn, &s);
}

int apply_command(struct writer *w, uint32_t slot, const struct command_header *h,
                  struct unpack *body, enum code *ret_code)
{
    switch ((enum command_type)h->type) {
    case COMMAND_OPEN:
        return apply_open(w, body, ret_code);
    case COMMAND_PATCH:
        return apply_patch(w, body, ret_code);
    case COMMAND_END:
        return apply_end(w, body, ret_code);
    case COMMAND_TOUCH:
        return apply_touch(w, body);
    case COMMAND_ATTACH:
        return apply_attach(w, slot, h, body, ret_code);
    case COMMAND_DETACH:
        return apply_detach(w, body);
    case COMMAND_ACK:
        return apply_ack(w, body, ret_code);
    case COMMAND_APPEND:
        return apply_append(w, body, ret_code);
    case COMMAND_SUBSCRIBE:
    case COMMAND_UNSUBSCRIBE:
    case COMMAND_EMPTY:
    case COMMAND_TYPES:
        break;
    }
    return -EBADMSG;
}
