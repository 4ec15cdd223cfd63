/* backoff - how long a dead role waits before its successor starts, and when to give up.
 *
 * Pure: what is known of the life that ended goes in, milliseconds come out. One struct per role
 * and slot, owned by the supervisor, zero at first. The first death after a steady life costs
 * nothing (clients are waiting); deaths in a row cost BACKOFF_FIRST_MS, doubling to BACKOFF_MAX_MS.
 */
#ifndef SERVER_BACKOFF_H
#define SERVER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_STEADY_MS 1000 /* a life this long, spent serving, ends a row of deaths */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define BACKOFF_GIVE_UP 10      /* failed starts in a row */
#define BACKOFF_GIVE_UP_FIRST 3 /* the same, while the server has never been ready */

struct backoff {
    uint32_t deaths; /* short lives in a row */
    uint32_t failed; /* failed starts in a row */
};

struct life {
    uint64_t uptime_ms;
    bool served;    /* it came to SEAT_RUNNING */
    bool own_fault; /* not ended by a SIGKILL or SIGTERM from elsewhere, nor with exit status 0 */
};

/* Notes the end of a life. Returns the milliseconds to wait, 0..BACKOFF_MAX_MS. */
uint64_t backoff_after(struct backoff *b, const struct life *l);

/* A failed start is a life that never served and ended by its own fault. BACKOFF_GIVE_UP of them in
 * a row are not bad luck but a structural problem: starting once more would not help anyone.
 * ever_ready: the server has been ready before; if not, someone is waiting for the reason. */
bool backoff_hopeless(const struct backoff *b, bool ever_ready);

#endif
