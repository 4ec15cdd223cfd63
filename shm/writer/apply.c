/* apply - one command inside the running transaction: dispatch, and what commands share. */
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

int command_session(struct writer *w, const uint8_t id[SESSION_ID_SIZE], uint64_t generation,
                    struct session *ret, enum code *ret_code)
{
    int err = live_session(w, id, ret);
    if (err == -ENOENT) {
        *ret_code = CODE_SESSION_UNKNOWN;
        return 0;
    }
    if (err)
        return err;
    /* Rule 15: what a fenced-off connection still had under way must not count. */
    if (w->conf->exclusive && generation && generation < ret->generation) {
        *ret_code = CODE_SUPERSEDED;
        return 0;
    }
    *ret_code = CODE_OK;
    return 1;
}

int slide_session(struct writer *w, struct session *s)
{
    s->expires_ms = w->now_ms + s->ttl_ms;
    return session_put(w->txn, s);
}

int remove_session(struct writer *w, const struct session *s, enum metric why)
{
    struct stream_head head;
    int err = stream_head(w->txn, s->stream, &head);
    if (err && err != -ENOENT)
        return err;
    uint64_t had = err ? 0 : head.count, topics = 0;
    forget_session(w, s->id);
    struct session ended = *s, still; /* its texts point into the row that goes */
    err = presence_end(w, s);
    if (!err)
        err = session_get(w->txn, ended.id, &still); /* what was written may have moved it */
    if (!err)
        err = session_remove(w->txn, &still, w->now_ms, topic_idle_ms(w), &w->budget, &topics);
    if (err)
        return err;
    prepare_session_end(w, &ended);
    topics_gone(w, topics);
    writer_count(w, why, 1);
    writer_count(w, METRIC_ENDED, had);
    return 0;
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
        return apply_subscribe(w, body, ret_code);
    case COMMAND_UNSUBSCRIBE:
        return apply_unsubscribe(w, body, ret_code);
    case COMMAND_EMPTY:
        return apply_empty(w, body, ret_code);
    case COMMAND_TYPES:
        break;
    }
    return -EBADMSG;
}
