/* recover - what every writer does first: finish, or forget, what the one before it prepared.
 *
 * The batch number and the ring positions are read inside the first WRITE transaction: after a
 * death inside commit a read transaction may still show the state before it. The transaction then
 * commits our own id, which also makes a predecessor's meta page durable before anything of it is
 * published.
 */
#include "shm/writer/writer_priv.h"

#include "common/clock.h"
#include "common/killpoint.h"
#include "common/log.h"

#include <errno.h>

static void fresh_meta(struct meta *m)
{
    memset(m, 0, sizeof(*m));
    m->schema = META_SCHEMA;
    m->epoch = ids_random_u64();
}

/* Positions are of these rings, or they are nothing (rule 2). */
static void take_positions(struct writer *w)
{
    struct meta *m = &w->meta;
    bool same = m->ring_set == w->board->ring_set;
    for (uint32_t i = 0; i < BOARD_SLOTS; i++) {
        uint64_t at = same ? m->inbox_pos[i] : 0;
        uint64_t tail = i < w->rings.slots ? ring_tail(&w->rings.inbox[i]) : 0;
        m->inbox_pos[i] = at > tail ? at : tail;
    }
    m->ring_set = w->board->ring_set;
    m->slots = w->rings.slots;
}

int writer_recover(struct writer *w)
{
    struct txn *t;
    int err = store_write(w->store, &t);
    if (err)
        return err;
    err = meta_get(t, &w->meta);
    bool fresh = err == -ENOENT;
    if (fresh) {
        fresh_meta(&w->meta);
        err = 0;
    }
    if (!err)
        err = dedup_open(t, w->conf->dedup_window, &w->dedup);
    bool finish = false;
    if (!err) {
        uint64_t noted = atomic_load_explicit(&w->board->note.batch, memory_order_acquire);
        finish = noted != 0 && noted == w->meta.batch && w->meta.ring_set == w->board->ring_set;
        take_positions(w);
        storetime_start(w);
        w->meta.writer = ids_random_u64();
        w->meta.time_ms = w->now_ms;
        err = meta_put(t, &w->meta);
    }
    if (err) {
        txn_done(t);
        return err;
    }
    KILLPOINT("recover_commit");
    err = txn_commit(t);
    if (err)
        return err;
    KILLPOINT("recover_committed");

    atomic_store(&w->board->epoch, w->meta.epoch);
    atomic_store(&w->board->last_seq, w->meta.last_seq);
    if (finish)
        prepare_finish_noted(w);
    KILLPOINT("recover_finished");
    for (uint32_t i = 0; i < w->rings.slots; i++)
        ring_release(&w->rings.inbox[i], w->meta.inbox_pos[i]);
    atomic_store(&w->board->batch, w->meta.batch);

    /* The feed ends with the store's last seq, also when it is new. A lap, not a commit: should the
     * noted head have been unusable, live readers must not be carried past what they never saw. */
    uint64_t head = feed_published(&w->feed);
    void *at;
    must(feed_prepare(&w->feed, &head, FEED_LAP, w->meta.last_seq, 0, &at) == 0);
    feed_publish(&w->feed, head);

    log_event(LOG_INFO, "store_opened", LOG_B("new", fresh), LOG_B("finished_batch", finish),
              LOG_U("last_seq", w->meta.last_seq), LOG_U("batch", w->meta.batch));
    for (uint32_t i = 0; i < w->rings.slots; i++)
        bell_ring_always(&w->worker_bell[i]);
    return 0;
}
