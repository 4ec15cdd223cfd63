/* batch - group commit: everything that waits, in one transaction.
 *
 * Commands are copied out of the inbox rings and applied one after another; the rings' tails stay
 * where they are until the commit, so a batch that aborts is simply read again, one command a
 * transaction (rule 6). A command that fails alone is answered without a commit: nothing of it was
 * stored, and its place in the ring is given up on the board.
 */
#include "shm/writer/writer_priv.h"

#include "common/clock.h"
#include "common/killpoint.h"
#include "common/log.h"

#include <errno.h>

#define SLOT_TURN 32 /* commands taken of one slot before the next one has its turn */

/* A record that is garbage: the slot's inbox is skipped to its head, its worker must die. */
static void condemn(struct writer *w, uint32_t slot)
{
    struct board_seat *seat = &w->board->seat[slot];
    uint64_t head = ring_head(&w->rings.inbox[slot]);
    if (head > w->meta.inbox_pos[slot])
        w->meta.inbox_pos[slot] = head;
    atomic_store(&seat->condemned, atomic_load(&seat->generation));
    metric_add(w->metrics, METRIC_COMMANDS_BAD, 1);
    log_event(LOG_ERROR, "bad_ring_record", LOG_U("slot", slot),
              LOG_I("worker", atomic_load(&seat->pid)));
    bell_ring_always(&w->supervisor_bell);
    w->changed = true;
    w->must_commit = true;
}

/* Copies the next command of a slot into w->scratch. 1, 0 none, -EBADMSG, -ENOMEM. */
static int take(struct writer *w, uint32_t slot, struct command_header *ret,
                struct unpack *ret_body)
{
    const void *record;
    size_t len;
    int got = ring_next(&w->rings.inbox[slot], &w->meta.inbox_pos[slot], &record, &len);
    if (got <= 0)
        return got;
    if (len < sizeof(*ret))
        return -EBADMSG;
    buf_reset(&w->scratch);
    int err = buf_append(&w->scratch, record, len);
    if (err)
        return err;
    memcpy(ret, w->scratch.data, sizeof(*ret));
    *ret_body = unpack_from(w->scratch.data + sizeof(*ret), len - sizeof(*ret));
    return 1;
}

/* Applies one command of a slot. 1 done, 0 none waits, < 0 abort. */
static int step(struct writer *w, uint32_t slot)
{
    struct command_header h;
    struct unpack body;
    int got = take(w, slot, &h, &body);
    if (got == 0)
        return 0;
    enum code code = CODE_INTERNAL;
    int err = got < 0 ? got : 0;
    if (!err) {
        buf_reset(&w->completion);
        w->ephemeral = false;
        err = apply_command(w, slot, &h, &body, &code);
    }
    if (err == -EBADMSG) {
        condemn(w, slot);
        return 1;
    }
    if (err)
        return err;
    prepare_completion(w, slot, &h, code);
    writer_count(w, METRIC_COMMANDS_APPLIED, 1);
    w->changed = true;
    /* Refusals are committed too: were the command run again after a death, it might succeed. */
    if (!w->ephemeral)
        w->must_commit = true;
    KILLPOINT("applied");
    return 1;
}

/* Takes at most `most` commands, in turns over the slots. The number taken, or < 0. */
static int take_round(struct writer *w, int most)
{
    uint64_t until = clock_boot_ms() + WRITER_BATCH_MS;
    int taken = 0;
    bool any = true;
    uint32_t slots = w->rings.slots, first = w->first_slot;
    /* Whatever ends this round: who was first in it is not so in the next one. */
    w->first_slot = (first + 1) % slots;
    while (any && taken < most) {
        any = false;
        for (uint32_t n = 0; n < slots && taken < most; n++) {
            uint32_t slot = (first + n) % slots;
            for (int i = 0; i < SLOT_TURN && taken < most; i++) {
                if (w->messages >= WRITER_BATCH_MESSAGES || w->appended_bytes >= w->feed.size / 8)
                    return taken;
                int got = step(w, slot);
                if (got < 0)
                    return got;
                if (got == 0)
                    break;
                any = true;
                taken++;
                /* Some commands are long ones by themselves: the end of a session with a thousand
                 * topics. They must not come in dozens. */
                if (w->budget == 0 && clock_boot_ms() >= until)
                    return taken;
            }
        }
        if (clock_boot_ms() >= until)
            break;
    }
    return taken;
}

static void batch_begin(struct writer *w)
{
    prepare_begin(w);
    memset(w->count, 0, sizeof(w->count));
    w->gone = (struct stream_gone){0};
    w->budget = WRITER_DELETES;
    w->messages = 0;
    w->appended_bytes = 0;
    w->changed = false;
    w->must_commit = false;
}

/* Ephemerals only: nothing to store, so no transaction is committed. */
static void publish_uncommitted(struct writer *w)
{
    txn_done(w->txn);
    w->txn = NULL;
    void *at;
    must(feed_prepare(&w->feed, &w->out.feed_head, w->out.lap ? FEED_LAP : FEED_COMMIT,
                      w->meta.last_seq, 0, &at) == 0);
    prepare_publish(w);
}

static void count_batch(struct writer *w)
{
    w->count[METRIC_TRIMMED] += w->gone.trimmed;
    w->count[METRIC_EXPIRED] += w->gone.expired;
    w->count[METRIC_REPLACED] += w->gone.replaced;
    for (int i = 0; i < METRIC_COUNT; i++)
        if (w->count[i])
            metric_add(w->metrics, (enum metric)i, w->count[i]);
}

/* Begins a transaction, if the store is still ours: two writers are impossible, and should one yet
 * have come between, this one leaves (rule 11). 0, -ESTALE, or a store error. */
static int begin_ours(struct writer *w)
{
    uint64_t owner;
    int err = store_write(w->store, &w->txn);
    if (err)
        return err;
    err = meta_writer(w->txn, &owner);
    if (!err && owner == w->meta.writer)
        return 0;
    txn_done(w->txn);
    w->txn = NULL;
    return err ? err : -ESTALE;
}

/* One transaction of at most `most` commands. Taken commands; < 0: aborted, nothing changed. */
static int transaction(struct writer *w, int most, bool sweep)
{
    struct meta before = w->meta;
    batch_begin(w);
    int err = begin_ours(w);
    if (err)
        return err;
    KILLPOINT("begun");
    uint64_t began = clock_boot_ns();
    err = w->usage.limit ? 0 : sample_usage(w);
    int taken = err ? err : take_round(w, most);
    if (taken >= 0 && sweep) {
        err = sweep_run(w);
        if (err)
            taken = err;
    }
    if (taken >= 0) {
        err = sweep_peek(w);
        if (err)
            taken = err;
    }
    if (taken >= 0 && w->changed && !w->must_commit) {
        publish_uncommitted(w);
        count_batch(w);
        return taken;
    }
    if (taken >= 0 && w->changed) {
        w->meta.batch = before.batch + 1;
        w->meta.time_ms = w->now_ms;
        err = meta_put(w->txn, &w->meta);
        if (err)
            taken = err;
    }
    if (taken < 0 || !w->changed) {
        txn_done(w->txn);
        w->txn = NULL;
        w->meta = before;
        if (taken < 0)
            forget_all(w); /* what was learned in it may never have been */
        return taken;
    }
    prepare_note(w);
    uint64_t applied = clock_boot_ns();
    KILLPOINT("commit");
    err = txn_commit(w->txn);
    w->txn = NULL;
    if (err) {
        w->meta = before;
        forget_all(w);
        return err;
    }
    prepare_publish(w);
    count_batch(w);
    metric_add(w->metrics, METRIC_BATCHES, 1);
    metric_add(w->metrics, METRIC_APPLY_US, (applied - began) / 1000);
    metric_add(w->metrics, METRIC_COMMIT_US, (clock_boot_ns() - applied) / 1000);
    return taken;
}

/* Damage does not pass: whoever asks again gets the same. */
static enum code code_of_failure(int err)
{
    return err == -ENOSPC ? CODE_STORE_FULL : err == -EUCLEAN ? CODE_INTERNAL : CODE_UNAVAILABLE;
}

/* The command at the front of a slot failed alone: say so, give up its place. Nothing is stored, so
 * nothing is committed; the position is kept on the board and goes into the next commit. */
static void answer_failed(struct writer *w, uint32_t slot, int why)
{
    struct command_header h;
    struct unpack body;
    batch_begin(w);
    int got = take(w, slot, &h, &body);
    if (got <= 0)
        return;
    log_event(LOG_ERROR, "command_failed", LOG_U("slot", slot), LOG_U("type", h.type), LOG_E(why));
    buf_reset(&w->completion);
    prepare_completion(w, slot, &h, code_of_failure(why));
    /* Its place goes first: a death in between leaves it unanswered (outcome unknown), never
     * refused and yet run by the next writer. */
    ring_release(&w->rings.inbox[slot], w->meta.inbox_pos[slot]);
    void *at;
    must(feed_prepare(&w->feed, &w->out.feed_head, FEED_COMMIT, w->meta.last_seq, 0, &at) == 0);
    prepare_publish(w);
}

/* The batch aborted: its commands again, one transaction each. */
static int one_by_one(struct writer *w, int why)
{
    metric_add(w->metrics, METRIC_BATCHES_ABORTED, 1);
    log_event(LOG_WARN, "batch_aborted", LOG_E(why));
    uint64_t until[BOARD_SLOTS];
    for (uint32_t i = 0; i < w->rings.slots; i++)
        until[i] = ring_head(&w->rings.inbox[i]);
    int taken = 0;
    uint32_t slots = w->rings.slots;
    for (uint32_t slot = 0; slot < slots; slot++) {
        while (w->meta.inbox_pos[slot] < until[slot]) {
            w->first_slot = slot;
            uint64_t at = w->meta.inbox_pos[slot];
            seat_beat(w->seat);
            int got = transaction(w, 1, false);
            if (got == -ESTALE)
                return got;
            if (got < 0) {
                struct txn *probe;
                int err = store_write(w->store, &probe);
                if (err) /* LMDB has given up this environment: a new writer opens it afresh */
                    return err;
                txn_done(probe);
                answer_failed(w, slot, got);
            }
            taken++;
            if (w->meta.inbox_pos[slot] == at)
                break;
        }
    }
    return taken;
}

static bool inbox_waits(struct writer *w)
{
    for (uint32_t i = 0; i < w->rings.slots; i++)
        if (ring_head(&w->rings.inbox[i]) != w->meta.inbox_pos[i])
            return true;
    return false;
}

int batch_run(struct writer *w)
{
    bool sweep = sweep_waits(w);
    if (!sweep && !inbox_waits(w))
        return 0;
    int taken = transaction(w, WRITER_BATCH_MESSAGES, sweep);
    if (taken >= 0 || taken == -ESTALE)
        return taken;
    uint64_t before = atomic_load(&w->board->last_seq);
    struct txn *t;
    int err = store_write(w->store, &t);
    if (err)
        return err;
    err = dedup_reload(w->dedup, t);
    txn_done(t);
    if (err)
        return err;
    must(before == w->meta.last_seq);
    if (!inbox_waits(w)) /* the sweep alone failed; it knows when to try again */
        return 0;
    return one_by_one(w, taken);
}
