/* route - the session router: the only place where transports meet the store.
 *
 * Downwards: commands into the inbox ring, completions from the reply ring, the feed, read
 * transactions. Upwards: calls with callbacks. Everything here runs on the worker's loop; callbacks
 * run from route_proceed (completions, feed) or from a timer, never from inside the call that
 * asked. A call that fails at once returns < 0 and never calls back.
 */
#ifndef WORKER_ROUTE_H
#define WORKER_ROUTE_H

#include "common/conf.h"
#include "shm/command.h"
#include "shm/page.h"
#include "shm/session.h"
#include "shm/stream.h"

struct route;
struct event_base;

/* What route is built on; tests put fakes here (function tables). */
struct route_store_ops {
    int (*read)(void *store, struct txn **ret);
    void (*done)(struct txn *t);
    int (*session)(struct txn *t, const uint8_t id[SESSION_ID_SIZE], struct session *ret);
    int (*page)(struct txn *t, struct page *p);
};
struct route_parts {
    const struct conf *conf;
    struct board *board;
    struct board_seat *seat; /* ours */
    uint32_t slot, generation;
    struct ring *inbox, *reply;
    struct feed *feed;
    struct bell *writer_bell;
    void *store;                             /* struct store * */
    const struct route_store_ops *store_ops; /* NULL: the real ones */
    uint64_t (*now_ms)(void *arg);           /* boot clock; NULL: the real one */
    void *now_arg;
};

int route_open(const struct route_parts *parts, struct route **ret); /* 0, -ENOMEM, -EAGAIN */
void route_close(struct route *r);                                   /* calls nothing back */
/* Drains completions and the feed, wakes pick-ups. Called once per bell and once per timer tick. */
void route_proceed(struct route *r);
/* Timeouts of commands, long-poll touches. Called about every 100 ms. */
void route_tick(struct route *r);
uint64_t route_epoch(const struct route *r);
uint64_t route_last_seq(const struct route *r);
uint64_t route_now_ms(const struct route *r); /* store time */

/* --- commands: one in, one completion out --- */

/* code: of the completion; UNAVAILABLE with unknown = true when the outcome did not come in
 * publish.timeout. body: the completion's members; valid during the call. */
typedef void route_done_f(void *arg, enum code code, bool unknown, struct unpack *body);
struct route_call; /* an open command; the id is never reused */

/* Encodes into the ring at once; the arguments may go afterwards. reply_max: bytes of the largest
 * completion after its header (rule 3). 0 with *ret for route_forget; -EAGAIN ring full or too many
 * open (answer 503, outcome none); -EMSGSIZE; -ENOMEM; -ESHUTDOWN writer not ready yet. */
int route_command(struct route *r, enum command_type type, size_t size_max,
                  void (*encode)(void *arg, struct pack *p), void *encode_arg, size_t reply_max,
                  route_done_f *done, void *arg, struct route_call **ret);
/* The asker is gone: the command runs, nobody is called. */
void route_forget(struct route *r, struct route_call *call);
/* Without completion: touch, attach, detach. Dropped (and counted) when the ring is full. */
int route_notify(struct route *r, enum command_type type, size_t size_max,
                 void (*encode)(void *arg, struct pack *p), void *encode_arg);

/* --- reading --- */

/* A copy of a session's row that owns its strings; 0, -ENOENT (unknown, ended or expired), a store
 * error. */
struct session_copy {
    struct session s;
    struct buf text;
};
int route_session(struct route *r, const uint8_t id[SESSION_ID_SIZE], struct session_copy *ret);
void session_copy_free(struct session_copy *c);
/* Runs fn inside one read transaction (retried once on -EUCLEAN). fn must copy out. */
int route_read(struct route *r, int (*fn)(void *arg, struct txn *t), void *arg);
/* Slides the ttl: at most every ttl/8 a session, coalesced. delivered: 0 or a seq (rule 8). */
void route_touch(struct route *r, const struct session *s, uint64_t delivered);

/* --- pick-ups: a cursor that reads on from the store, then lives on the feed --- */

struct pickup;
struct pickup_ops {
    /* One message of one of its streams, in seq order, valid during the call. json: the message
     * object as JSON text, made once for all receivers. Return true while there is room for more;
     * false stops the advance (this one was taken) until pickup_resume. */
    bool (*on_message)(void *arg, uint64_t stream, const struct message *m, struct str json);
    /* Retention took messages of these streams unseen (rule 7). Before the next message. */
    void (*on_truncated)(void *arg, const struct page_lost *lost, size_t n);
    /* Everything up to the feed position was handed out; cursor is the seq reached. Called after
     * each pass that handed out something, and once when it first goes live. more: false. Also
     * called with more = true when on_message stopped the advance. The pick-up may be stopped here
     * (and only here, or outside any callback). */
    void (*on_pause)(void *arg, uint64_t cursor, bool more);
    /* SESSION_UNKNOWN: ended or expired; UNAVAILABLE: drain or store error; the pick-up is stopped.
     */
    void (*on_end)(void *arg, enum code code);
};

struct pickup_start {
    const struct session *session;
    uint64_t cursor;
    size_t page_limit; /* messages a store read takes at most: 1..1000 */
    size_t page_bytes;
    const char *transport; /* "poll"; NULL: a plain GET that leaves no attachment */
    const char *remote;
    uint64_t lease_ms;
};
/* Subscribes to the feed, then reads; callbacks may come from the next route_proceed on, or from
 * pickup_proceed, which the caller may call right away. 0, -ENOMEM. */
int pickup_start(struct route *r, const struct pickup_start *start, const struct pickup_ops *ops,
                 void *arg, struct pickup **ret);
void pickup_proceed(struct pickup *p);
void pickup_resume(struct pickup *p);
void pickup_stop(struct pickup *p); /* frees */
size_t route_pickups(const struct route *r);
/* Drain: every pick-up ends with UNAVAILABLE. */
void route_drain(struct route *r);

/* --- text --- */

/* The message object of api.md. stream: STREAM text "mailbox" or "topic:<name>". Appends to out. */
int message_json(const struct message *m, struct str stream, uint64_t epoch, struct buf *out);

#endif
