/* board - the notice board in shared memory: who lives, what time it is, what was prepared.
 *
 * Caveats: a memfd made and sized by the supervisor, mapped read-write by every process, alive as
 * long as one of them is. There are no locks: every field has ONE writing process, named beside it,
 * and every field that others read is atomic (or covered by an atomic stored after it). Any process
 * may be killed between any two stores; each field says what a reader then sees. The layout number
 * is made of sizes, so that differently built programs refuse each other.
 */
#ifndef SHM_BOARD_H
#define SHM_BOARD_H

#include "common/metric.h"
#include "common/token.h"

#include <stdatomic.h>
#include <stdint.h>

#define BOARD_WORKERS 64                /* most workers of one generation */
#define BOARD_SLOTS (2 * BOARD_WORKERS) /* an upgrade has two generations */
#define BOARD_WRITER BOARD_SLOTS        /* seats after the worker slots */
#define BOARD_SUPERVISOR (BOARD_SLOTS + 1)
#define BOARD_SEATS (BOARD_SLOTS + 2)

enum seat_state { SEAT_EMPTY, SEAT_STARTING, SEAT_RUNNING, SEAT_DRAINING, SEAT_DEAD };

/* A key of TLS session tickets: its name travels in the ticket. */
struct ticket_key {
    unsigned char name[16], aes[32], hmac[32];
};

#define TICKET_KEYS 3
struct ticket_keys {
    struct ticket_key key[TICKET_KEYS]; /* the first seals; all of them open */
};

/* One per process. `S` = the supervisor writes it, `P` = the seat's own process. */
struct board_seat {
    _Alignas(64) _Atomic uint32_t generation; /* S, raised before a successor starts; from 1 */
    _Atomic uint32_t dead_generation; /* S: the highest generation known to be dead (rule 9) */
    _Atomic int32_t pid;              /* S, 0 when empty */
    _Atomic uint32_t state;           /* P: RUNNING, DRAINING; S: the others */
    _Atomic uint64_t started_ms;      /* S, boot clock */
    _Atomic uint32_t respawns;        /* S */
    _Atomic uint32_t condemned; /* writer: this generation put garbage into its ring; S kills it */
    _Alignas(64) _Atomic uint64_t beat_ms; /* P: boot clock of its last loop turn, idle ones too */
    _Atomic uint64_t txn_since_ms;  /* P: boot clock at which a store transaction began; 0 none */
    _Atomic uint64_t sync_since_ms; /* P (writer): set around a commit that may fsync; 0 else */
    _Alignas(64) _Atomic uint32_t asleep; /* P before it sleeps; ringers reset it (bell.h) */
    _Alignas(64) char panic[192];         /* P: NUL-terminated last words, for S after death */
    struct metric_block metrics;          /* P */
};

/* The writer's note of what it prepared for the next commit (rule 1). batch 0 = no note. It is
 * invalidated first, filled, and batch is stored last with release. */
struct board_note {
    _Alignas(64) _Atomic uint64_t batch;
    _Atomic uint64_t feed_head;
    _Atomic uint64_t reply_head[BOARD_SLOTS];
};

struct board {
    uint64_t magic;
    uint64_t layout;                              /* board_layout() of the build that made it */
    uint32_t slots;                               /* worker slots that have rings */
    uint64_t ring_set;                            /* random; names this set of rings (rule 2) */
    _Alignas(64) _Atomic int64_t clock_offset_ms; /* writer: store time - boot clock (rule 13) */
    _Atomic uint64_t start_ms; /* writer: store time at server start; 0 until the first writer */
    _Atomic uint64_t epoch;    /* writer, before it is ready */
    _Atomic uint64_t last_seq; /* writer, after each commit */
    _Atomic uint64_t batch;    /* writer: last batch published */
    _Atomic uint32_t
        writer_ready;          /* writer 1 once workers may open the store; S 0 never: it stays */
    _Atomic uint32_t draining; /* S: 1 = readiness fails, no more accepts */
    _Alignas(64) _Atomic uint64_t rotate_wanted; /* any worker: adds 1, then rings the supervisor */
    _Atomic uint64_t rotate_done;                /* S: = wanted once new keys are in place */
    /* S: session-token keys, double-buffered: copy [current & 1], re-read current, repeat. */
    _Atomic uint64_t keys_current;
    struct session_keys keys[2];
    /* S: keys of TLS session tickets, likewise. */
    _Atomic uint64_t tickets_current;
    struct ticket_keys tickets[2];
    struct board_note note;
    struct board_seat seat[BOARD_SEATS];
};

/* Raised by hand when records in shared memory change their packed form or their meaning without
 * changing a size that board_layout() sees. */
#define BOARD_FORMAT 1

uint64_t board_layout(void);
/* Supervisor: a sealed-size memfd with a fresh board. slots: 1..BOARD_SLOTS. Returns the fd
 * (close-on-exec) and, mapped, the board; -EINVAL; or -errno. */
int board_create(uint32_t slots, struct board **ret);
/* Any role, after exec. 0; -EPROTO size, magic or layout differ; -errno of mmap. */
int board_map(int fd, struct board **ret);
void board_unmap(struct board *b); /* NULL is fine; the memory lives on in other processes */

/* Store time in milliseconds since 1970; monotonic within a server's life. Any process. */
uint64_t board_now_ms(const struct board *b);
void board_keys_set(struct board *b, const struct session_keys *keys); /* supervisor only */
void board_keys_get(const struct board *b, struct session_keys *ret);  /* a consistent copy */

void board_tickets_set(struct board *b, const struct ticket_keys *keys); /* supervisor only */
void board_tickets_get(const struct board *b, struct ticket_keys *ret);  /* a consistent copy */

/* The reserve: at 90 % of what the store may use publishes are refused, so that deletes always have
 * room. Any process. */
#define STORE_RESERVE_PERCENT 10
bool board_store_full(uint64_t used, uint64_t limit);

/* Each turn of a loop: heartbeat. txn_begin/txn_end bracket every store transaction. */
void seat_beat(struct board_seat *s);
void seat_txn_begin(struct board_seat *s);
void seat_txn_end(struct board_seat *s);

const char *seat_state_text(uint32_t state); /* "empty" .. "dead"; "unknown" out of range */

/* Appends, on one line and with exactly these members:
 *
 *   {"version":"0.1.0",
 *    "supervisor":{"pid":1},
 *    "writer":{"pid":2,"state":"running","generation":1,"respawns":0,"uptime":12,"ready":true},
 *    "workers":[{"slot":0,"pid":3,"state":"running","generation":1,"respawns":0,"uptime":12,
 *                "connections":7,"parked":2}],
 *    "epoch":"9f86d081884c7d65","last_seq":1042,
 *    "store":{"used":8192,"limit":65536,"file":16384,"sessions":3,"messages":17,"full":false},
 *    "draining":false}
 *
 * workers: seats that are not empty, by slot. uptime: whole seconds; bytes in store. Each number is
 * read by itself, so two of them may be a moment apart. 0 or a buf error. Any process. */
int board_status_json(const struct board *b, struct buf *out);

#endif
