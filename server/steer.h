/* steer - new connections go to workers that live.
 *
 * The kernel spreads connections over a SO_REUSEPORT group by a hash, also to the socket of a
 * worker that is dead, backing off or stopped: they would wait in its queue. While any slot is
 * down, a classic BPF program on the group picks at random among the slots that serve, so the other
 * workers take over at once; with all of them up (or all down) the kernel's own spreading is back.
 * What was already queued on the dead worker's socket waits for its successor: it starts at once
 * after a first death, and after at most BACKOFF_MAX_MS in a crash loop. Measured on Linux 6.18:
 * 400 connections to 4 sockets, one of them down: none to it, the others even.
 */
#ifndef SERVER_STEER_H
#define SERVER_STEER_H

#include "server/listen.h"

struct supervisor;

/* serves[slot] for nslots slots. Needs nothing but a setsockopt per TCP listener. 0 or -errno (then
 * connections to slots that are down wait for their successors). */
int steer_set(const struct listens *l, const bool *serves, uint32_t nslots);

/* Supervisor, each turn: steers when the set of serving slots has changed. */
void steer_proceed(struct supervisor *s);

#endif
