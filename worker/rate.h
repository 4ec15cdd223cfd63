/* rate - how often a session may publish: a token bucket each (limits.publish_rate).
 *
 * A fixed table by session id: what collides takes the older one's place, which then begins full
 * again. One per worker, so a session that spreads over all workers gets as much from each. Pure
 * but for its memory.
 */
#ifndef WORKER_RATE_H
#define WORKER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ids.h"

struct rate;

int rate_open(struct rate **ret); /* 0 or -ENOMEM */
void rate_close(struct rate *r);  /* NULL is allowed */
/* Takes n of at most per_second a second, per_second at once. True; or false with the milliseconds
 * until n would be there (n above per_second: never; counts as one full bucket). */
bool rate_take(struct rate *r, const uint8_t session[SESSION_ID_SIZE], uint64_t n,
               uint64_t per_second, uint64_t now_ms, uint64_t *ret_wait_ms);

#endif
