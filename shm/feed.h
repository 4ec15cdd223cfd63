/* feed - the ring of live messages: written by the writer, read by every worker at its own pace.
 *
 * Caveats: nothing ever waits for a reader. `reserved` is stored (seq_cst) before the bytes are and
 * never moves back, not even when a prepared batch is dropped; a reader whose position is more than
 * the size behind `reserved` is lapped, and must ask again AFTER copying a record out, before using
 * it. The feed is an optimisation; the store is the truth: a lapped reader reads on from there.
 * Each published stretch ends with a FEED_COMMIT (or FEED_LAP) record, so the seq at the published
 * head can be read from the record just before it. Workers map it read-only.
 */
#ifndef SHM_FEED_H
#define SHM_FEED_H

#include "common/buf.h"

#include <stdatomic.h>
#include <stdint.h>

enum feed_type {
    FEED_PAD = 1,
    FEED_MESSAGE, /* seq: of its last target. Body: message.h feed_message_* */
    FEED_CONTROL, /* seq 0. Body: u8 enum feed_control, then its own members (command.h) */
    FEED_COMMIT,  /* seq: last_seq of the store; no body; ends a batch */
    FEED_LAP,     /* seq: last_seq; no body; what came before did not fit: read the store */
};

struct feed_record { /* 16 bytes, 16-aligned, in shared memory; the body follows */
    uint32_t len;    /* of the body */
    uint16_t type;
    uint16_t flags; /* 0 */
    uint64_t seq;
};

struct feed_control_block { /* in shared memory */
    _Alignas(64) _Atomic uint64_t reserved;
    _Alignas(64) _Atomic uint64_t published;
    _Alignas(64) uint64_t size; /* power of two */
};

struct feed { /* one process's view */
    struct feed_control_block *control;
    unsigned char *data;
    uint64_t size;
    size_t map_size;
};

/* Supervisor. size is rounded up to a power of two (256 bytes to 8 GiB). The fd (close-on-exec, its
 * size sealed), or -errno. */
int feed_create(uint64_t size);
/* Supervisor. A second descriptor of the same feed that cannot be mapped writable: what workers
 * inherit. The fd (close-on-exec), or -errno. */
int feed_read_only(int fd);
/* 0; -EPROTO the feed is not of that size; -errno. */
int feed_map(int fd, uint64_t size, bool writable, struct feed *ret);
void feed_unmap(struct feed *f);

/* Writer. As ring_prepare, but never without room: it overwrites the oldest. -EMSGSIZE when the
 * batch, from the published head to the end of this record, would be over a quarter of the feed:
 * then begin again at the published head with one FEED_LAP. FEED_COMMIT and FEED_LAP (len 0) always
 * fit. */
int feed_prepare(const struct feed *f, uint64_t *head, enum feed_type type, uint64_t seq,
                 size_t len, void **ret);
/* Writer. Everything up to head becomes visible. Never moves back, and never to what was not
 * prepared: such a head is ignored. */
void feed_publish(const struct feed *f, uint64_t head);
uint64_t feed_published(const struct feed *f);

struct feed_reader {
    uint64_t pos; /* bytes */
    uint64_t seq; /* the highest whose records were passed */
};

/* Worker. Starts at the published head, with the seq stored there. 0; -EAGAIN when the feed was
 * never published (the writer is not ready). */
int feed_start(const struct feed *f, struct feed_reader *ret);
/* Worker. Copies the next record's body into body (reset first) and advances: 1 with *ret filled;
 * 0 nothing new; -EOVERFLOW lapped (the reader was moved to the published head, r->seq is the seq
 * there: everything up to it must be read from the store); -ENOMEM, or -EMSGSIZE past the ceiling
 * of body, which should be a quarter of the feed (the reader stays where it is). After a
 * FEED_COMMIT or FEED_LAP r->seq is its seq; a record that makes no sense counts as lapped. */
int feed_next(const struct feed *f, struct feed_reader *r, struct feed_record *ret,
              struct buf *body);

#endif
