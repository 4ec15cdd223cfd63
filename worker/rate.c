/* rate - token buckets in a table of small sets.
 *
 * A session's bucket lies in one of the few places of its set. Whoever is used least lately gives
 * way, so that a session in a hurry keeps its own bucket, however many others come by.
 */
#include "worker/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETS 2048 /* a power of two */
#define PLACES 4

struct bucket {
    uint8_t session[SESSION_ID_SIZE];
    uint64_t thousandths; /* of messages that may still come */
    uint64_t at_ms;       /* as of then; 0: nobody's */
};

struct rate {
    struct bucket bucket[SETS][PLACES];
};

int rate_open(struct rate **ret)
{
    struct rate *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    *ret = r;
    return 0;
}

void rate_close(struct rate *r)
{
    free(r);
}

/* Ids are random: any part of one spreads them. */
static struct bucket *bucket_of(struct rate *r, const uint8_t session[SESSION_ID_SIZE],
                                uint64_t full, uint64_t now_ms)
{
    uint32_t hash;
    memcpy(&hash, session, sizeof(hash));
    struct bucket *set = r->bucket[hash & (SETS - 1)], *oldest = set;
    for (int i = 0; i < PLACES; i++) {
        if (set[i].at_ms && memcmp(set[i].session, session, SESSION_ID_SIZE) == 0)
            return &set[i];
        if (set[i].at_ms < oldest->at_ms)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.thousandths = full, .at_ms = now_ms};
    memcpy(oldest->session, session, SESSION_ID_SIZE);
    return oldest;
}

bool rate_take(struct rate *r, const uint8_t session[SESSION_ID_SIZE], uint64_t n,
               uint64_t per_second, uint64_t now_ms, uint64_t *ret_wait_ms)
{
    uint64_t full = per_second * 1000;
    uint64_t need = n < per_second ? n * 1000 : full;
    struct bucket *b = bucket_of(r, session, full, now_ms);
    uint64_t passed = now_ms - b->at_ms; /* a second fills it */
    b->thousandths += (passed < 1000 ? passed : 1000) * per_second;
    if (b->thousandths > full)
        b->thousandths = full;
    b->at_ms = now_ms;
    if (b->thousandths < need) {
        *ret_wait_ms = (need - b->thousandths + per_second - 1) / per_second;
        return false;
    }
    b->thousandths -= need;
    return true;
}
