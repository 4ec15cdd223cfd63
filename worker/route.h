/* route - the session router: the only place where transports meet the store.
 *
 * Downwards: commands into the inbox ring, completions from the reply ring, the feed, read
 * transactions. Upwards: calls with callbacks. Everything here runs on the worker's loop. Callbacks
 * of commands run from route_proceed or route_tick, never from inside the call that asked; those of
 * a pick-up also from pickup_proceed. A call that fails at once returns < 0 and never calls back.
 */
#ifndef WORKER_ROUTE_H
#define WORKER_ROUTE_H

#include "common/conf.h"
#include "common/datum.h"
#include "shm/command.h"
#include "shm/member.h"
#include "shm/page.h"
#include "shm/page_reverse.h"
#include "shm/session.h"
#include "shm/topic.h"
#include "worker/wheel.h"

#include <sys/types.h>

struct route;

/* What route reads by; tests put fakes here. Results as in the shm header of each. */
struct route_store_ops {
    int (*read)(void *store, struct txn **ret);
    void (*done)(struct txn *t);
    int (*last_seq)(struct txn *t, uint64_t *ret);
    int (*session)(struct txn *t, const uint8_t id[SESSION_ID_SIZE], struct session *ret);
    int (*head)(struct txn *t, uint64_t stream, struct stream_head *ret);
    int (*attachments)(struct txn *t, const uint8_t id[SESSION_ID_SIZE], struct attachment *ret,
                       size_t max);
    int (*attachment)(struct txn *t, const uint8_t id[SESSION_ID_SIZE], uint64_t connection,
                      struct attachment *ret);
    int (*subject)(struct txn *t, struct str subject, const uint8_t *after,
                   uint8_t (*ret)[SESSION_ID_SIZE], size_t max);
    int (*receipt)(struct txn *t, const struct session *s, uint64_t seq, uint64_t now_ms,
                   uint64_t age_ms, struct receipt *ret);
    int (*page)(struct txn *t, struct page *p);
    int (*page_reverse)(struct txn *t, struct page_reverse *p);
    int (*subscribed)(struct txn *t, uint64_t mailbox, struct subscribed *ret, size_t max);
    int (*subscription)(struct txn *t, uint64_t mailbox, uint64_t topic, struct subscribed *ret);
    int (*topic)(struct txn *t, uint64_t stream, struct topic *ret);
    int (*topic_find)(struct txn *t, struct str name, uint64_t *ret_stream);
    int (*topic_next)(struct txn *t, struct str prefix, struct str after, struct topic *ret);
    int (*member)(struct txn *t, uint64_t topic, const uint8_t hash[MEMBER_HASH], uint64_t mailbox,
                  struct member *ret);
    int (*member_first)(struct txn *t, uint64_t topic, const uint8_t *after, struct member *ret);
    int (*member_next)(struct txn *t, uint64_t topic, struct member *ret);
};

struct bell;
struct feed;
struct ring;

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

/* The parts must outlive it. 0, -ENOMEM, -EAGAIN: the writer has never been ready. */
int route_open(const struct route_parts *parts, struct route **ret);
void route_close(struct route *r); /* calls nothing back */
/* Drains completions and the feed, wakes pick-ups: once per bell, and again after bell_sleep. One
 * call does a bounded amount of work; true when more is waiting: call it again soon, but serve the
 * network in between. */
bool route_proceed(struct route *r);
/* Rings the writer if commands were sent since the last ring: once a turn, after everything that
 * may send and before the loop may sleep, so that one ring serves all that the turn brought. */
void route_ring(struct route *r);
/* Timers and the timeouts of commands. Called about every WHEEL_STEP_MS. */
void route_tick(struct route *r);
uint64_t route_epoch(const struct route *r);
uint64_t route_last_seq(const struct route *r); /* as far as the board tells: may lag a moment */
uint64_t route_now_ms(const struct route *r);   /* store time */
uint64_t route_boot_ms(const struct route *r);  /* boot clock */
/* A timer on route's clock, in from_now_ms; resolution as in wheel.h. Fired by route_tick. */
void route_timer(struct route *r, struct wheel_timer *t, uint64_t from_now_ms,
                 void (*fire)(void *arg), void *arg);

/* --- commands: one in, one completion out --- */

/* code: of the completion; UNAVAILABLE with unknown = true when the outcome did not come in
 * publish.timeout. body: the completion's members; valid during the call; NULL when unknown. */
typedef void route_done_f(void *arg, enum code code, bool unknown, struct unpack *body);
/* Writes the command's members, at most size_max bytes, and returns the bytes of the largest
 * completion after its header (rule 3). < 0 gives up: nothing is sent, route_command returns it. */
typedef ssize_t route_encode_f(void *arg, struct pack *p);
struct route_call; /* an open command; its id is never reused */

/* Encodes straight into the ring, at once; the arguments may go afterwards. 0 with *ret for
 * route_forget; -EAGAIN ring full or too many open (answer 503, outcome none); -EMSGSIZE larger
 * than a ring could ever take, or its completion is; -ENOMEM; -ESHUTDOWN writer not ready yet; or
 * what encode said. */
int route_command(struct route *r, enum command_type type, size_t size_max, route_encode_f *encode,
                  void *encode_arg, route_done_f *done, void *arg, struct route_call **ret);
/* The asker is gone: the command runs, nobody is called. Only while it has not called back. */
void route_forget(struct route *r, struct route_call *call);
/* Without completion: touch, attach, detach. -EAGAIN (counted) when the ring is full: it is lost.
 */
int route_notify(struct route *r, enum command_type type, size_t size_max, route_encode_f *encode,
                 void *encode_arg);

/* --- reading --- */

/* A copy of a session's row that owns its strings. */
struct session_copy {
    struct session s;
    struct buf text;
};
/* 0, -ENOENT (unknown, ended or expired), a store error. */
int route_session(struct route *r, const uint8_t id[SESSION_ID_SIZE], struct session_copy *ret);
void session_copy_free(struct session_copy *c);
/* The same inside a transaction, without a copy. */
int route_session_in(struct route *r, struct txn *t, const uint8_t id[SESSION_ID_SIZE],
                     struct session *ret);
/* Runs fn inside one read transaction; after -EUCLEAN once more, so fn must begin anew each time.
 * fn must copy out. Returns what fn does, or a store error. */
int route_read(struct route *r, int (*fn)(void *arg, struct txn *t), void *arg);
const struct route_store_ops *route_ops(const struct route *r);
/* Slides the ttl: at most every ttl/8 a session, coalesced. delivered: 0 or a seq (rule 8). */
void route_touch(struct route *r, const struct session *s, uint64_t delivered);
/* The session's delivered seq: its row's, or what this worker has told since, or is about to. */
uint64_t route_delivered(const struct route *r, const struct session *s);

/* --- pick-ups: a cursor that reads on from the store, then lives on the feed --- */

struct pickup;

enum pickup_take {
    PICKUP_TAKEN,  /* and there is room for more */
    PICKUP_FULL,   /* taken; the advance stops until pickup_resume */
    PICKUP_REFUSED /* no room, not taken; the advance stops before it */
};

/* What on_message is handed: made once for all receivers of a message that want the same form. */
enum pickup_form {
    FORM_JSON, /* the message object of api.md */
    FORM_MSGPACK,
    FORM_SOCKET_JSON, /* a whole frame of restante.v1.json: {"t":"message",...} (socket_frame.h) */
    FORM_SOCKET_MSGPACK, /* the same of restante.v1.msgpack */
    FORMS
};

struct pickup_lost {
    struct str stream; /* "mailbox" or "topic:<name>"; during the call */
    uint64_t from, to; /* the first and the last seq that may be missing */
};

struct pickup_ops {
    /* One message of one of its streams, in seq order, valid during the call. MESSAGE_SKIPPED is
     * set as rule 7 wants for what this pick-up has handed out. object: the message in the form of
     * pickup_start. A refused ephemeral is gone. */
    enum pickup_take (*on_message)(void *arg, uint64_t stream, const struct message *m,
                                   struct str object);
    /* Retention took messages of these streams unseen (rule 7). Before the next on_pause, and
     * before the messages of its pass where the store says it in time. */
    void (*on_truncated)(void *arg, const struct pickup_lost *lost, size_t n);
    /* A read failed half way: what was handed out since the last on_pause does not count and comes
     * again. */
    void (*on_undo)(void *arg);
    /* After each pass that handed out something, after each stop, and once when it first goes live.
     * cursor: everything up to it was handed out. more: something is known to lie behind it. Of all
     * callbacks of a pick-up this is the only one that may stop it. */
    void (*on_pause)(void *arg, uint64_t cursor, bool more);
    /* SESSION_UNKNOWN: ended or expired; SUPERSEDED: a newer connection took the exclusive session
     * (rule 15); UNAVAILABLE: drain or store error. The pick-up is freed when this returns: do not
     * stop it. */
    void (*on_end)(void *arg, enum code code, uint64_t cursor);
};

struct pickup_start {
    const struct session *session; /* needed during the call only */
    uint64_t cursor;               /* judged by the caller: not above the store's last seq */
    size_t page_limit;             /* messages a store read takes at most: 1..1000 */
    size_t page_bytes;
    const char *transport; /* "poll", "sse", static; NULL: a plain GET that leaves no attachment */
    const char *remote;    /* borrowed while it runs */
    uint64_t lease_ms;     /* of its attachment, renewed when half of it is used */
    /* An attachment of its own from the start to the end, under this random number, above
     * COMMAND_POLL_CONNECTION; it takes the session (rule 15). 0: the one that all long-polls of a
     * session share, attached when it goes live and left to its lease. */
    uint64_t connection;
    enum pickup_form form; /* of what on_message gets */
};
/* Subscribes to the feed; reads from the next route_proceed on, or from pickup_proceed, which the
 * caller may call right away. 0, -ENOMEM. */
int pickup_start(struct route *r, const struct pickup_start *start, const struct pickup_ops *ops,
                 void *arg, struct pickup **ret);
void pickup_proceed(struct pickup *p);
void pickup_resume(struct pickup *p);           /* after PICKUP_FULL or PICKUP_REFUSED */
void pickup_stop(struct pickup *p);             /* frees; calls nothing */
uint64_t pickup_cursor(const struct pickup *p); /* everything up to it was handed out */
/* What on_message gets now comes from the feed: it is never taken back by on_undo. */
bool pickup_is_live(const struct pickup *p);
/* What commands that come by its connection carry (rule 15): 0 until its attachment has been
 * answered by the feed, and where sessions are shared. */
uint64_t pickup_generation(const struct pickup *p);
size_t route_pickups(const struct route *r);
/* Some pick-up has something to do at once: resumed since route_proceed, for instance. */
bool route_due(const struct route *r);
/* Drain: every pick-up ends with UNAVAILABLE. */
void route_drain(struct route *r);

/* --- message objects --- */

/* The message object of api.md, appended to out. stream: "mailbox" or "topic:<name>". A payload
 * that was published in the other encoding is converted as msgpack.h says. 0 or the buffer's error.
 */
int message_json(const struct message *m, struct str stream, uint64_t epoch, struct buf *out);
/* Its map has a header of one byte and fewer than 15 pairs: it can be counted up by one. */
int message_msgpack(const struct message *m, struct str stream, uint64_t epoch, struct buf *out);
/* What it was published as; where nothing was said, by the kind of its payload. */
struct str message_content_type(const struct message *m);

#endif
