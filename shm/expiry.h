/* expiry - the queue of things that are due: swept from its front in small batches.
 *
 * Due times are kept in whole seconds, rounded up, so that a sweep finds batches, not single rows.
 * A row is only a hint to look: the truth is in what it names, so a row may be early (it is put
 * again at the real time) or late. Expired is expired at once for readers; the sweep only reclaims.
 * Writer process only, inside its transaction.
 */
#ifndef SHM_EXPIRY_H
#define SHM_EXPIRY_H

#include "common/ids.h"
#include "shm/store.h"

enum expiry_kind {
    EXPIRE_SESSION = 1, /* session id 16 */
    EXPIRE_MESSAGE,     /* stream 8 + seq 8 */
    EXPIRE_RECLAIM,     /* stream 8 */
    EXPIRE_RECEIPTS,    /* stream 8 */
    EXPIRE_ATTACHMENT,  /* session id 16 + connection 8 */
    EXPIRE_AGE,         /* stream 8: retention (stream_trim) */
    EXPIRE_TOPIC,       /* stream 8: a topic that nobody is subscribed to (topic.h) */
    EXPIRE_PRESENCE,    /* stream 8: a topic whose changes of presence were to be announced */
};

int expiry_put(struct txn *t, uint64_t due_ms, enum expiry_kind kind, struct str id);
int expiry_del(struct txn *t, uint64_t due_ms, enum expiry_kind kind, struct str id); /* -ENOENT */

#define EXPIRY_ID_MAX 32
#define EXPIRY_KEY (8 + 1 + EXPIRY_ID_MAX)
struct expiry_row {
    uint64_t due_ms;
    enum expiry_kind kind;
    unsigned char id[EXPIRY_ID_MAX];
    size_t id_len;
};
/* Takes (deletes) the first row that is due: 0, or -ENOENT when none is due. A first row that names
 * nothing is deleted too, so that it cannot stand before the others for ever: -EUCLEAN. */
int expiry_take(struct txn *t, uint64_t now_ms, struct expiry_row *ret);
/* When the first row is due; UINT64_MAX when there is none, 0 when it names nothing. */
int expiry_next(struct txn *t, uint64_t *ret_due_ms);
/* (R) Whether there is exactly this row: 0 or -ENOENT. */
int expiry_has(struct txn *t, uint64_t due_ms, enum expiry_kind kind, struct str id);
/* The row a key names (R). 0 or -EUCLEAN. */
int expiry_decode(struct str key, struct expiry_row *ret);

#endif
