/* apply_attach - what connections say: that they are there, what was delivered, what is acked. */
#include "shm/writer/writer_priv.h"

#include <errno.h>

int apply_touch(struct writer *w, struct unpack *body)
{
    struct command_touch c;
    if (command_touch_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = live_session(w, c.session, &s);
    if (err)
        return err == -ENOENT ? 0 : err;
    if (c.delivered > s.delivered && c.delivered <= w->meta.last_seq) {
        s.delivered_prev = s.delivered;
        s.delivered = c.delivered;
        s.delivered_ms = w->now_ms;
    }
    return slide_session(w, &s);
}

int apply_attach(struct writer *w, uint32_t slot, const struct command_header *h,
                 struct unpack *body, enum code *ret_code)
{
    struct command_attach c;
    if (command_attach_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = command_session(w, c.session, 0, &s, ret_code);
    if (err <= 0)
        return err;

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
        .run = atomic_load(&w->board->start_ms),
        .generation = renewed ? old.generation : 0,
        .since_ms = renewed ? old.since_ms : w->now_ms,
        .lease_ms = w->now_ms + c.lease_ms + w->conf->presence_grace,
        .transport = c.transport,
        .remote = c.remote,
    };
    if (c.takes)
        a.generation = ++s.generation;
    err = slide_session(w, &s);
    if (!err)
        err = attachment_put(w->txn, c.session, &a);
    /* One queue row an attachment: a renewed lease is found early and put again by the sweep. */
    if (!err && (!renewed || a.lease_ms < old.lease_ms))
        err = expiry_put(w->txn, a.lease_ms, EXPIRE_ATTACHMENT, str_make(key, sizeof(key)));
    if (!err && s.flags & SESSION_AWAY)
        err = presence_attached(w, c.session);
    if (err)
        return err;
    if (c.takes && w->conf->exclusive)
        prepare_fence(w, &(struct feed_fence){.mailbox = s.stream,
                                              .connection = c.connection,
                                              .generation = s.generation});
    return 0;
}

int apply_detach(struct writer *w, struct unpack *body)
{
    struct command_ack c; /* seq carries the connection */
    if (command_ack_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    if (c.seq == ATTACHMENT_GHOST)
        return 0; /* nobody's connection */
    int err = attachment_del(w->txn, c.session, c.seq);
    if (err)
        return err == -ENOENT ? 0 : err;
    return presence_detached(w, c.session);
}

int apply_ack(struct writer *w, struct unpack *body, enum code *ret_code)
{
    struct command_ack c;
    if (command_ack_decode(body, &c) != 0 || !unpack_done(body))
        return -EBADMSG;
    struct session s;
    int err = command_session(w, c.session, c.generation, &s, ret_code);
    if (err <= 0)
        return err;
    if (c.seq > w->meta.last_seq) {
        *ret_code = CODE_CURSOR_RESET;
        return 0;
    }
    if (c.seq > s.acked) {
        s.acked_prev = s.acked;
        s.acked = c.seq;
        s.acked_ms = w->now_ms;
        if (c.seq > s.delivered) {
            s.delivered_prev = s.delivered;
            s.delivered = c.seq;
            s.delivered_ms = w->now_ms;
        }
        err = slide_session(w, &s);
        if (err)
            return err;
        uint64_t removed = 0;
        struct stream_limits limits = mailbox_limits(w);
        err = stream_ack(w->txn, s.stream, c.seq, w->now_ms, &limits, &w->budget, &removed);
        writer_count(w, METRIC_ACKED, removed);
        return err;
    }
    return slide_session(w, &s);
}
