/* prepare - beyond the published heads: what a batch will say once it is committed (rule 1).
 *
 * Before the commit, messages go into the feed and completions into the reply rings past their
 * heads, and the note on the board says how far. After it the heads move. A writer that dies in
 * between leaves a note from which its successor finishes the move, or bytes that nobody will see.
 */
#include "shm/writer/writer_priv.h"

#include "common/killpoint.h"
#include "common/log.h"

void prepare_begin(struct writer *w)
{
    memset(&w->out, 0, sizeof(w->out));
    w->out.feed_head = feed_published(&w->feed);
    for (uint32_t i = 0; i < w->rings.slots; i++)
        w->out.reply_head[i] = ring_head(&w->rings.reply[i]);
}

/* Room on the feed for a record, unless the batch has outgrown its quarter. */
static void *feed_room(struct writer *w, enum feed_type type, uint64_t seq, size_t len)
{
    w->out.on_feed = true;
    if (w->out.lap)
        return NULL;
    void *at = NULL;
    uint64_t head = w->out.feed_head;
    w->out.feed_bytes += len + sizeof(struct feed_record);
    if (w->out.feed_bytes > w->feed.size / 4 ||
        feed_prepare(&w->feed, &head, type, seq, len, &at) != 0) {
        w->out.lap = true;
        w->out.feed_head = feed_published(&w->feed);
        return NULL;
    }
    w->out.feed_head = head;
    return at;
}

void prepare_message(struct writer *w, const struct message *m, const struct feed_target *targets,
                     size_t ntargets)
{
    uint64_t seq = targets[ntargets - 1].seq;
    void *at = feed_room(w, FEED_MESSAGE, seq, feed_message_size(m, ntargets));
    if (at)
        feed_message_encode(m, targets, ntargets, at);
}

void prepare_session_end(struct writer *w, const struct session *s)
{
    struct feed_session_end end = {.stream = s->stream};
    memcpy(end.session, s->id, sizeof(end.session));
    void *at = feed_room(w, FEED_CONTROL, 0, FEED_SESSION_END_SIZE);
    if (at) {
        struct pack p = pack_into(at, FEED_SESSION_END_SIZE);
        feed_session_end_encode(&p, &end);
    }
}

void prepare_subscribe(struct writer *w, const struct feed_subscribe *c)
{
    size_t size = feed_subscribe_size(c);
    void *at = feed_room(w, FEED_CONTROL, 0, size);
    if (at) {
        struct pack p = pack_into(at, size);
        feed_subscribe_encode(&p, c);
    }
}

void prepare_unsubscribe(struct writer *w, const struct feed_subscribe *c)
{
    void *at = feed_room(w, FEED_CONTROL, 0, FEED_UNSUBSCRIBE_SIZE);
    if (at) {
        struct pack p = pack_into(at, FEED_UNSUBSCRIBE_SIZE);
        feed_unsubscribe_encode(&p, c);
    }
}

void prepare_fence(struct writer *w, const struct feed_fence *c)
{
    void *at = feed_room(w, FEED_CONTROL, 0, FEED_FENCE_SIZE);
    if (at) {
        struct pack p = pack_into(at, FEED_FENCE_SIZE);
        feed_fence_encode(&p, c);
    }
}

void prepare_completion(struct writer *w, uint32_t slot, const struct command_header *h,
                        enum code code)
{
    struct board_seat *seat = &w->board->seat[slot];
    /* Nobody waits for the completions of a worker that is dead. */
    if (h->id == 0 || h->generation != atomic_load(&seat->generation))
        return;
    struct completion_header c = {.code = code, .generation = h->generation, .id = h->id};
    size_t len = sizeof(c) + w->completion.len;
    void *at = NULL;
    int err = ring_prepare(&w->rings.reply[slot], &w->out.reply_head[slot], len, &at);
    if (err) {
        /* Its reservations should make this impossible (rule 3); the writer never waits. */
        metric_add(w->metrics, METRIC_COMPLETIONS_LOST, 1);
        log_event(LOG_ERROR, "reply_ring_full", LOG_U("slot", slot), LOG_U("bytes", len));
        atomic_store(&seat->condemned, h->generation);
        bell_ring(&w->supervisor_bell);
        return;
    }
    memcpy(at, &c, sizeof(c));
    if (w->completion.len)
        memcpy((char *)at + sizeof(c), w->completion.data, w->completion.len);
    w->out.replied[slot] = true;
}

void prepare_note(struct writer *w)
{
    KILLPOINT("prepared");
    void *at = NULL;
    uint64_t head = w->out.feed_head;
    enum feed_type type = w->out.lap ? FEED_LAP : FEED_COMMIT;
    must(feed_prepare(&w->feed, &head, type, w->meta.last_seq, 0, &at) == 0);
    w->out.feed_head = head;

    struct board_note *note = &w->board->note;
    atomic_store(&note->batch, 0);
    KILLPOINT("note_invalid");
    atomic_store(&note->feed_head, w->out.feed_head);
    for (uint32_t i = 0; i < w->rings.slots; i++)
        atomic_store(&note->reply_head[i], w->out.reply_head[i]);
    KILLPOINT("note_filled");
    atomic_store_explicit(&note->batch, w->meta.batch, memory_order_release);
    KILLPOINT("note_valid");
}

void prepare_publish(struct writer *w)
{
    KILLPOINT("committed");
    atomic_store(&w->board->last_seq, w->meta.last_seq);
    for (uint32_t i = 0; i < w->rings.slots; i++) {
        ring_publish(&w->rings.reply[i], w->out.reply_head[i]);
        if (i == 0)
            KILLPOINT("reply_published");
    }
    feed_publish(&w->feed, w->out.feed_head);
    KILLPOINT("feed_published");
    for (uint32_t i = 0; i < w->rings.slots; i++)
        ring_release(&w->rings.inbox[i], w->meta.inbox_pos[i]);
    atomic_store(&w->board->batch, w->meta.batch);
    KILLPOINT("released");
    for (uint32_t i = 0; i < w->rings.slots; i++) {
        if (w->out.replied[i])
            bell_ring(&w->worker_bell[i]);
        else if (w->out.on_feed) /* a worker that nobody waits on sleeps through it */
            bell_ring_feed(&w->worker_bell[i]);
    }
    KILLPOINT("rung");
}

void prepare_finish_noted(struct writer *w)
{
    struct board_note *note = &w->board->note;
    for (uint32_t i = 0; i < w->rings.slots; i++)
        ring_publish(&w->rings.reply[i], atomic_load(&note->reply_head[i]));
    feed_publish(&w->feed, atomic_load(&note->feed_head));
}
