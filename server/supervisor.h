/* supervisor - the process that starts, watches and ends all others.
 *
 * It parses nothing from the network and never opens the store; it holds what must outlive a role:
 * board, rings, feed, bells, listening sockets, locks. One policy per file, each with an
 * `x_proceed` that makes progress and is called from one place, the loop in supervisor.c:
 *
 *   listen.c   listening sockets             spawn.c   birth: fork, exec, what is inherited
 *   steer.c    connections to living slots   reap.c    death: obituary, back-off, giving up
 *   watch.c    hung and stopped roles        stop.c    the orderly end
 *   keys.c     session-token keys            admin.c   the admin socket
 *   lock.c     one server per directory      signals.c what a signal does
 *   backoff.c  how long a successor waits    title.c   names in ps
 *   role.c     the child's side of spawn.c
 *
 * All of it runs in the supervisor (but title.c and role.c, in every process). Killed at any
 * instruction it leaves no damage: roles see the parent-death signal and the life pipe, finish and
 * leave; the locks go with it; the next start makes everything else anew.
 */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include "common/conf.h"
#include "server/admin.h"
#include "server/backoff.h"
#include "server/keys.h"
#include "server/listen.h"
#include "server/reap.h"
#include "server/spawn.h"
#include "server/steer.h"
#include "server/stop.h"
#include "server/watch.h"
#include "shm/bell.h"
#include "shm/heritage.h"

#define SUPERVISOR_TICK_MS 500 /* longest sleep: heartbeats are looked at this often */
#define SUPERVISOR_EAGER_MS 20 /* while a role is starting, whose coming up nobody announces */

#define CHILD_NAME 24

struct child {
    char name[CHILD_NAME]; /* "writer", "worker 0": in logs and ps */
    enum role role;
    uint32_t slot;       /* worker: its slot; else the seat */
    pid_t pid;           /* 0: none now */
    uint32_t generation; /* of the one that lives, or lived last; 0: never started */
    bool wanted;         /* to be (re)started when due */
    bool hung;           /* judged by watch, SIGKILL sent */
    bool told;           /* stop has sent SIGTERM to this process */
    uint64_t due_ms;     /* not to be started before */
    uint64_t started_ms;
    uint64_t stopped_ms;   /* since when it is stopped by a signal; 0 it is not */
    uint64_t sync_seen_ms; /* when watch last saw it inside fsync; 0 never */
    struct backoff backoff;
};

struct supervisor {
    pid_t pid;
    struct conf *conf;       /* owned by the caller of supervisor_main */
    const char *config_path; /* borrowed, absolute */
    struct board *board;     /* mapped until the process ends */
    struct board_seat *seat; /* our own */
    struct bell writer_bell;
    struct bell bell; /* our own */
    struct session_keys keys;

    /* Descriptors, all close-on-exec; spawn.c says which a role inherits. -1: not open. */
    int state_lock, run_lock, signal_fd;
    int board_fd, rings_fd, feed_fd, feed_read_fd, config_fd, log_fd;
    int life_fd[2]; /* pipe; nothing is ever written */
    int bell_fd[BOARD_SEATS];
    struct listens listens;
    struct admin admin;

    uint32_t nworkers;
    uint32_t nchildren;                       /* 1 + nworkers */
    struct child children[1 + BOARD_WORKERS]; /* [0] the writer, started first; then the workers */
    bool serves[BOARD_WORKERS];               /* as steer.c last told the kernel */
    bool announced;                           /* "server_ready" was logged */

    uint64_t now_ms;          /* boot clock at the start of this turn */
    uint64_t resumed_ms;      /* see watch.h */
    uint64_t rotate_again_ms; /* after a failed rotation */
    uint64_t tickets_due_ms;  /* when the keys of TLS tickets change */
    struct stop stop;
};

/* Runs the server until it was stopped. text: the bytes that conf was loaded from, handed on to the
 * roles. The environment's faults are logged. Returns the exit status: EXIT_OK (orderly stop) or
 * EXIT_FAILED. */
int supervisor_main(struct conf *conf, struct str text, const char *config_path);

/* Exit statuses of restanted, also in --help. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 78 /* EX_CONFIG of sysexits.h */
};

struct child *supervisor_writer(struct supervisor *s);
struct child *supervisor_worker(struct supervisor *s, uint32_t slot);
struct board_seat *child_seat(const struct supervisor *s, const struct child *c);
enum seat_state child_state(const struct supervisor *s, const struct child *c);
void child_signal(const struct child *c, int signo); /* only while it lives */

#endif
