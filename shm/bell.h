/* bell - wake another process's event loop: an eventfd and an `asleep` flag.
 *
 * Owner: the supervisor makes the eventfds before fork and keeps them; everyone inherits them, so a
 * ring for a dead process is found by its successor. Ringer: first publish (seq_cst), then ring;
 * one write(2) per burst. Sleeper: drain; bell_sleep(); look once more; only then block;
 * bell_wake(). Never blocks. Any process may ring; only the owner sleeps on it.
 */
#ifndef SHM_BELL_H
#define SHM_BELL_H

#include "shm/board.h"

struct bell {
    int fd; /* eventfd, non-blocking, readable once rung; not owned; -1: rings are ignored */
    _Atomic uint32_t *asleep; /* on the board */
};

int bell_create(void);                       /* supervisor: an fd (close-on-exec) or -errno */
void bell_ring(const struct bell *b);        /* only if it sleeps */
void bell_ring_feed(const struct bell *b);   /* only if it sleeps and listens to the feed */
void bell_ring_always(const struct bell *b); /* at writer start (rule 1) */
void bell_sleep(const struct bell *b);       /* announces sleep; look at the rings again after it */
void bell_sleep_deaf(const struct bell *b);  /* the same, but the feed alone is no reason to wake */
void bell_wake(const struct bell *b);        /* awake again; swallows pending rings */
void bell_awake(const struct bell *b);       /* awake again; a ring that came stays readable */

#endif
