/* topic_priv - what topics, subscriptions and `restante verify` share.
 *
 * Writer process only, inside its transaction, unless marked (R). Results as in store.h.
 */
#ifndef SHM_TOPIC_PRIV_H
#define SHM_TOPIC_PRIV_H

#include "shm/topic.h"

/* (R) 0 or -EUCLEAN. */
int topic_decode(uint64_t stream, struct str value, struct topic *ret);
#define SUBSCRIBED_SIZE (8 + 1)
/* (R) A row of DB_SUBS: 0 or -EUCLEAN. */
int subscribed_decode(struct row row, struct subscribed *ret);
/* Its last subscriber has gone (topic->subscribers is 0 already; its row is not written yet):
 * removed when nothing was ever published to it, else written and queued. */
int topic_left(struct txn *t, struct topic *topic, uint64_t now_ms, uint64_t idle_ms,
               unsigned *budget, bool *ret_removed);

#endif
