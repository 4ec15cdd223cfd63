/* apply_append - publishing: who gets it, was it here before, is there room (rules 6, 7, 16). */
#include "shm/writer/writer_priv.h"

#include <errno.h>
#include <stdlib.h>

/* What one item is doing, over all its streams. */
struct publish {
    const struct command_append_item *item;
    struct message message;
    struct stream_limits limits;
    uint32_t target_flags;       /* FEED_TARGET_TOPIC, or 0 */
    struct feed_target one;      /* all that one stream needs */
    struct feed_target *targets; /* what goes onto the feed; room for `room` */
    size_t ntargets, room;
    bool ephemeral;
};

int sample_usage(struct writer *w)
{
    int err = txn_usage(w->txn, &w->usage);
    if (!err)
        w->usage_since = 0;
    return err;
}

/* The statistics cost a system call, so they are looked at when what was appended since, doubled
 * for half-full pages, could have filled the store; and once a second anyway (sweep.c). */
bool store_full(struct writer *w)
{
    if (!board_store_full(w->usage.used + 2 * w->usage_since, w->usage.limit))
        return false;
    return sample_usage(w) != 0 || board_store_full(w->usage.used, w->usage.limit);
}

static void result(struct writer *w, const uint8_t *session, enum code code, bool duplicate,
                   uint64_t seq)
{
    struct append_result r = {.code = code, .duplicate = duplicate, .seq = seq};
    if (session)
        memcpy(r.session, session, SESSION_ID_SIZE);
    if (buf_reserve(&w->completion, APPEND_RESULT_SIZE) != 0)
        return; /* sticky: judged by apply_append */
    struct pack p = pack_into(w->completion.data + w->completion.len, APPEND_RESULT_SIZE);
    append_result_encode(&p, &r);
    w->completion.len += pack_len(&p);
}

static void item_head(struct writer *w, enum code code, uint32_t n)
{
    uint32_t head[2] = {code, n};
    buf_append(&w->completion, head, sizeof(head));
}

static void count_refusal(struct writer *w, enum code code)
{
    if (code == CODE_MAILBOX_FULL)
        writer_count(w, METRIC_REFUSED_MAILBOX, 1);
    else if (code == CODE_STORE_FULL)
        writer_count(w, METRIC_REFUSED_STORE, 1);
    else if (code == CODE_IDEMPOTENCY_CONFLICT)
        writer_count(w, METRIC_CONFLICTS, 1);
}

static void add_target(struct publish *p, struct feed_target target)
{
    must(p->ntargets < p->room);
    p->targets[p->ntargets++] = target;
}

/* One stream's copy. 0 with code, duplicate and seq; or a store error. */
static int append_one(struct writer *w, struct publish *p, uint64_t stream, enum code *ret_code,
                      bool *ret_duplicate, uint64_t *ret_seq)
{
    const struct command_append_item *item = p->item;
    *ret_code = CODE_OK;
    *ret_duplicate = false;
    *ret_seq = 0;
    if (p->ephemeral) {
        add_target(p, (struct feed_target){.stream = stream, .flags = p->target_flags});
        /* On the feed or nowhere: a batch that outgrows its part of it would lose them all. */
        w->appended_bytes += p->message.payload.n + 256;
        return 0;
    }
    if (item->keyed) {
        uint8_t content[16];
        uint64_t seq;
        int err = dedup_find(w->dedup, w->txn, stream, item->key_hash, w->now_ms, &seq, content);
        if (err == 0) {
            bool same = memcmp(content, item->content_hash, sizeof(content)) == 0;
            *ret_code = same ? CODE_OK : CODE_IDEMPOTENCY_CONFLICT;
            *ret_duplicate = same;
            *ret_seq = same ? seq : 0;
            if (same)
                writer_count(w, METRIC_DUPLICATES, 1);
            else
                count_refusal(w, *ret_code);
            return 0;
        }
        if (err != -ENOENT)
            return err;
    }
    if (store_full(w)) {
        *ret_code = CODE_STORE_FULL;
        count_refusal(w, *ret_code);
        return 0;
    }
    struct message *m = &p->message;
    m->seq = w->meta.last_seq + 1;
    m->flags &= (uint16_t)~MESSAGE_SKIPPED;
    int got = stream_append(w->txn, stream, m, &p->limits, w->now_ms, &w->budget);
    if (got < 0)
        return got;
    if (got > 0) {
        *ret_code = (enum code)got;
        count_refusal(w, *ret_code);
        return 0;
    }
    if (item->keyed) {
        int err = dedup_put(w->dedup, w->txn, stream, item->key_hash, w->now_ms, m->seq,
                            item->content_hash);
        if (err)
            return err;
    }
    w->meta.last_seq = m->seq;
    w->messages++;
    w->appended_bytes += m->payload.n + 256;
    w->usage_since += m->payload.n + 256;
    *ret_seq = m->seq;
    add_target(p, (struct feed_target){.stream = stream,
                                       .seq = m->seq,
                                       .prev = m->prev,
                                       .flags = (m->flags & MESSAGE_SKIPPED) | p->target_flags});
    writer_count(w, METRIC_APPENDED, 1);
    return 0;
}

static void to_feed(struct writer *w, struct publish *p)
{
    if (p->ntargets == 0)
        return;
    /* prev and skipped are each target's own. */
    p->message.prev = 0;
    p->message.flags &= (uint16_t)~MESSAGE_SKIPPED;
    prepare_message(w, &p->message, p->targets, p->ntargets);
    if (p->ephemeral)
        writer_count(w, METRIC_EPHEMERAL, 1);
}

static int to_one(struct writer *w, struct publish *p, uint64_t stream)
{
    p->targets = &p->one;
    p->room = 1;
    enum code code;
    bool duplicate;
    uint64_t seq;
    int err = append_one(w, p, stream, &code, &duplicate, &seq);
    if (err)
        return err;
    item_head(w, code, 1);
    result(w, NULL, code, duplicate, seq);
    to_feed(w, p);
    return 0;
}

static int to_session(struct writer *w, struct publish *p)
{
    uint64_t stream;
    int err = live_mailbox(w, p->item->session, &stream);
    if (err == -ENOENT) {
        item_head(w, CODE_SESSION_UNKNOWN, 0);
        return 0;
    }
    return err ? err : to_one(w, p, stream);
}

/* Into each live session of the subject; one full mailbox does not refuse the others. */
static int to_subject(struct writer *w, struct publish *p)
{
    /* Expired sessions that were not swept yet lie among the live ones. */
    size_t max = 2 * w->conf->max_per_subject;
    uint8_t(*ids)[SESSION_ID_SIZE] = malloc(max * SESSION_ID_SIZE);
    p->targets = malloc(max * sizeof(*p->targets));
    p->room = max;
    size_t at = w->completion.len;
    int err = ids && p->targets ? 0 : -ENOMEM;
    int n = err ? 0 : subject_sessions(w->txn, p->item->name, NULL, ids, max);
    if (n < 0)
        err = n;
    uint32_t live = 0;
    item_head(w, CODE_OK, 0);
    for (int i = 0; i < n && !err; i++) {
        struct session s;
        err = live_session(w, ids[i], &s);
        if (err == -ENOENT) {
            err = 0;
            continue;
        }
        if (err || live == w->conf->max_per_subject)
            break;
        enum code code;
        bool duplicate;
        uint64_t seq;
        err = append_one(w, p, s.stream, &code, &duplicate, &seq);
        if (!err) {
            result(w, ids[i], code, duplicate, seq);
            live++;
        }
    }
    if (!err && !w->completion.error) {
        uint32_t head[2] = {live ? CODE_OK : CODE_SUBJECT_UNKNOWN, live};
        memcpy(w->completion.data + at, head, sizeof(head));
        to_feed(w, p);
    }
    free(ids);
    free(p->targets);
    p->targets = NULL;
    return err;
}

static void make_ephemeral(struct publish *p)
{
    p->ephemeral = true;
    p->message.flags |= MESSAGE_EPHEMERAL;
    p->message.expires_ms = 0;
}

/* Where a topic's message goes: 0 and CODE_OK, or why not; or a store error. A topic is made to
 * hold something, so an ephemeral may find that there is none: nobody is subscribed. */
static int topic_for(struct writer *w, struct publish *p, struct topic_place *ret,
                     enum code *ret_code)
{
    struct str name = p->item->name;
    int err = topic_place(w, name, ret);
    if (err)
        return err;
    if (!ret->space) {
        *ret_code = CODE_TOPIC_UNKNOWN;
        return 0;
    }
    if (ret->space->history == 0)
        make_ephemeral(p);
    *ret_code = CODE_OK;
    if (ret->stream || p->ephemeral)
        return 0;
    *ret_code = topics_have_room(w, 1);
    return *ret_code == CODE_OK ? topic_make(w, name, ret) : 0;
}

/* Once, however many are subscribed. */
static int to_topic(struct writer *w, struct publish *p)
{
    struct topic_place at;
    enum code code;
    int err = topic_for(w, p, &at, &code);
    if (err)
        return err;
    if (code != CODE_OK) {
        count_refusal(w, code);
        item_head(w, code, 0);
        return 0;
    }
    p->limits = topic_limits(w, at.space);
    p->target_flags = FEED_TARGET_TOPIC;
    /* One key for all of them: each replaces the one before it. */
    if (at.space->latest)
        p->message.collapse = STR("latest");
    if (at.stream)
        return to_one(w, p, at.stream);
    item_head(w, CODE_OK, 1);
    result(w, NULL, CODE_OK, false, 0);
    writer_count(w, METRIC_EPHEMERAL, 1);
    return 0;
}

static int apply_item(struct writer *w, const struct command_append_item *item)
{
    struct publish p = {
        .item = item,
        .limits = mailbox_limits(w),
        .ephemeral = (item->flags & MESSAGE_EPHEMERAL) != 0,
    };
    p.message = (struct message){
        .time_ms = w->now_ms,
        .expires_ms = item->ttl_ms && !p.ephemeral ? w->now_ms + item->ttl_ms : 0,
        .flags = (uint16_t)((item->flags &
                             (MESSAGE_JSON | MESSAGE_TEXT | MESSAGE_EPHEMERAL | MESSAGE_MSGPACK)) |
                            (item->keyed ? MESSAGE_KEYED : 0)),
        .id = item->id,
        .event = item->event,
        .content_type = item->content_type,
        .publisher = item->publisher,
        .trace = item->trace,
        .collapse = item->collapse,
        .except = item->except,
        .payload = item->payload,
    };
    int err = -EBADMSG;
    switch ((enum append_target)item->target) {
    case APPEND_SESSION:
        err = to_session(w, &p);
        break;
    case APPEND_SUBJECT:
        err = to_subject(w, &p);
        break;
    case APPEND_TOPIC:
        err = to_topic(w, &p);
        break;
    }
    if (!p.ephemeral)
        w->ephemeral = false;
    return err;
}

/* Whether who sent it may still do so. 1; 0: refused as a whole, for *ret_code; or a store error.
 */
static int judge_sender(struct writer *w, const struct command_append *head, enum code *ret_code)
{
    static const uint8_t nobody[SESSION_ID_SIZE];
    struct session s;
    if (memcmp(head->session, nobody, SESSION_ID_SIZE) == 0)
        return 1;
    return command_session(w, head->session, head->generation, &s, ret_code);
}

int apply_append(struct writer *w, struct unpack *body, enum code *ret_code)
{
    /* A record that turns out bad half way must not leave its first items behind. */
    struct unpack check = *body;
    struct command_append head;
    if (command_append_decode(&check, &head) != 0)
        return -EBADMSG;
    struct command_append_item item;
    for (uint32_t i = 0; i < head.count; i++)
        if (command_append_item_decode(&check, &item) != 0)
            return -EBADMSG;
    if (!unpack_done(&check))
        return -EBADMSG;

    must(command_append_decode(body, &head) == 0);
    int err = judge_sender(w, &head, ret_code);
    if (err <= 0)
        return err;
    w->ephemeral = true;
    for (uint32_t i = 0; i < head.count; i++) {
        must(command_append_item_decode(body, &item) == 0);
        err = apply_item(w, &item);
        if (err)
            return err;
    }
    *ret_code = CODE_OK;
    return w->completion.error;
}
