/* ring - a byte ring in shared memory, one producer process and one consumer process.
 *
 * Caveats: the supervisor owns the memory (memfd), so a ring outlives both ends. Positions are u64
 * byte counts that never wrap. A record is 8-byte aligned, has an 8-byte header and never straddles
 * the end (a pad record fills it). The head moves last (release), so a producer killed at any
 * instruction leaves nothing half visible. Neither end trusts the other: the consumer checks length
 * and kind and copies out before use; nothing here ever waits or spins.
 */
#ifndef SHM_RING_H
#define SHM_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RING_HEADER 8    /* bytes before each record */
#define RING_CONTROL 192 /* bytes of struct ring_control before the data */

struct ring_control {                   /* in shared memory */
    _Alignas(64) _Atomic uint64_t head; /* producer: everything before it is complete */
    _Alignas(64) _Atomic uint64_t tail; /* consumer: everything before it may be overwritten */
    _Alignas(64) uint64_t size;         /* power of two; set once by the supervisor */
};

struct ring { /* one process's view; owned by the caller; valid while the map is */
    struct ring_control *control;
    unsigned char *data;
    uint64_t size; /* our own copy: the shared one is not trusted after mapping */
};

/* Bytes to map for a ring of `size` data bytes (rounded up to a power of two, 64 bytes to 4 GiB).
 */
size_t ring_footprint(uint64_t size);
/* memory: ring_footprint(size) bytes, 64-aligned; both calls get the same size. */
void ring_format(void *memory, uint64_t size);        /* supervisor, once */
struct ring ring_attach(void *memory, uint64_t size); /* any process */

/* Bytes of ring that a record of len takes, at worst with its pad; UINT64_MAX if it never can. */
uint64_t ring_need(size_t len);
uint64_t ring_head(const struct ring *r);
uint64_t ring_tail(const struct ring *r);

/* Producer. Finds room for a record of len (at least 1) bytes at *head (its own, not yet published
 * position; begin with ring_head), moves *head past it and hands out where to write. 0; -ENOSPC no
 * room now, or a head or tail that cannot be (a mad consumer wrote it: no room for ever); -EMSGSIZE
 * record and header are over half the ring. On failure nothing changed. */
int ring_prepare(const struct ring *r, uint64_t *head, size_t len, void **ret);
/* Producer. Everything up to head becomes visible. Never moves back: a smaller head is ignored. */
void ring_publish(const struct ring *r, uint64_t head);

/* Consumer. The record at *pos, moving *pos past it (and past pads): 1; 0 none yet; -EBADMSG when
 * the ring holds garbage there, or pos is no position of this ring (then *pos is unchanged). *ret
 * points into the ring: copy out, then judge the copy. */
int ring_next(const struct ring *r, uint64_t *pos, const void **ret, size_t *ret_len);
/* Consumer. Space before pos may be reused. Never moves back. */
void ring_release(const struct ring *r, uint64_t pos);

/* The memfd that holds all rings: slot i has an inbox (worker -> writer) and a reply ring (writer
 * -> worker). The fd is close-on-exec and its size sealed. Supervisor; the fd, -EINVAL no slots, or
 * -errno. */
int rings_create(uint32_t slots, uint64_t inbox, uint64_t reply);
struct rings {
    uint32_t slots;
    struct ring *inbox, *reply; /* owned arrays of `slots` */
    void *map;
    size_t map_size;
};
/* Any role. 0; -EPROTO the region is not of these sizes; -EINVAL, -ENOMEM, -errno of mmap. */
int rings_map(int fd, uint32_t slots, uint64_t inbox, uint64_t reply, struct rings *ret);
void rings_unmap(struct rings *r);

#endif
