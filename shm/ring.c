/* ring - a byte ring in shared memory between one producer and one consumer process.
 *
 * Commands and completions travel here. Both ends may be killed at any instruction, and either end
 * may be a process that went mad: so all state is two positions, a record exists once the head has
 * passed it, and each end judges what the other one wrote before it touches memory by it.
 */
#include "shm/ring.h"

#include "common/log.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Before each record. Read and written as one aligned word, so that a check and the use that
 * follows it see the same header. */
struct ring_record {
    uint32_t len; /* bytes of the record, or of a pad, after this header */
    uint32_t kind;
};

/* Not small numbers: stray data should not look like a header. */
enum ring_kind { RING_RECORD = 0x52454331, RING_PAD = 0x50414431 };

#define RING_ALIGN 8u
#define RING_MIN 64u                 /* data bytes of the smallest ring */
#define RING_MAX (UINT64_C(1) << 32) /* of the largest: half of it fits a header's len */

_Static_assert(sizeof(struct ring_record) == RING_HEADER, "ring header");
_Static_assert(sizeof(struct ring_control) == RING_CONTROL, "ring control block");

static uint64_t power_of_two(uint64_t size)
{
    uint64_t n = RING_MIN;
    while (n < size && n < RING_MAX)
        n <<= 1;
    return n;
}

/* Header and body, rounded up. len must be at most half of 2^64, which every caller has checked. */
static uint64_t record_bytes(uint64_t len)
{
    return RING_HEADER + ((len + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1));
}

/* A distance between two positions that both ends could have come to honestly. */
static bool plausible(const struct ring *r, uint64_t head, uint64_t behind)
{
    return head % RING_ALIGN == 0 && behind % RING_ALIGN == 0 && behind <= head &&
           head - behind <= r->size;
}

static void put_header(const struct ring *r, uint64_t pos, uint32_t kind, uint32_t len)
{
    struct ring_record h = {.len = len, .kind = kind};
    memcpy(r->data + (pos & (r->size - 1)), &h, sizeof(h));
}

/* The producer of garbage may rewrite the header under our eyes: it is loaded once. */
static struct ring_record get_header(const struct ring *r, uint64_t pos)
{
    uint64_t word = *(const volatile uint64_t *)(const void *)(r->data + (pos & (r->size - 1)));
    struct ring_record h;
    memcpy(&h, &word, sizeof(h));
    return h;
}

size_t ring_footprint(uint64_t size)
{
    return RING_CONTROL + (size_t)power_of_two(size);
}

void ring_format(void *memory, uint64_t size)
{
    struct ring_control *c = memory;
    atomic_init(&c->head, 0);
    atomic_init(&c->tail, 0);
    c->size = power_of_two(size);
}

struct ring ring_attach(void *memory, uint64_t size)
{
    return (struct ring){
        .control = memory,
        .data = (unsigned char *)memory + RING_CONTROL,
        .size = power_of_two(size),
    };
}

uint64_t ring_need(size_t len)
{
    if (len > UINT64_MAX / 4)
        return UINT64_MAX;
    /* A pad is always shorter than the record that did not fit. */
    return 2 * record_bytes(len) - RING_ALIGN;
}

/* seq_cst, as the store in ring_publish: whoever has announced sleep and then finds nothing here
 * is sure to be woken (bell.h). */
uint64_t ring_head(const struct ring *r)
{
    return atomic_load(&r->control->head);
}

uint64_t ring_tail(const struct ring *r)
{
    return atomic_load_explicit(&r->control->tail, memory_order_acquire);
}

int ring_prepare(const struct ring *r, uint64_t *head, size_t len, void **ret)
{
    must(len > 0);
    if (len > r->size || record_bytes(len) > r->size / 2)
        return -EMSGSIZE;

    uint64_t at = *head, tail = ring_tail(r);
    if (!plausible(r, at, tail))
        return -ENOSPC; /* a tail that cannot be leaves no room, for ever */
    uint64_t bytes = record_bytes(len);
    uint64_t left = r->size - (at & (r->size - 1));
    uint64_t pad = bytes > left ? left : 0;
    if (at + pad + bytes - tail > r->size)
        return -ENOSPC;

    if (pad) {
        put_header(r, at, RING_PAD, (uint32_t)(pad - RING_HEADER));
        at += pad;
    }
    put_header(r, at, RING_RECORD, (uint32_t)len);
    *ret = r->data + (at & (r->size - 1)) + RING_HEADER;
    *head = at + bytes;
    return 0;
}

void ring_publish(const struct ring *r, uint64_t head)
{
    if (head > atomic_load_explicit(&r->control->head, memory_order_relaxed))
        atomic_store(&r->control->head, head);
}

int ring_next(const struct ring *r, uint64_t *pos, const void **ret, size_t *ret_len)
{
    uint64_t at = *pos, head = ring_head(r);
    if (!plausible(r, head, at))
        return -EBADMSG;
    if (at == head)
        return 0;

    struct ring_record h = get_header(r, at);
    uint64_t offset = at & (r->size - 1);
    if (h.kind == RING_PAD) {
        if (offset + RING_HEADER + h.len != r->size)
            return -EBADMSG;
        at += RING_HEADER + (uint64_t)h.len;
        if (at >= head) /* a pad is published with its record, never alone */
            return -EBADMSG;
        h = get_header(r, at);
        offset = 0;
    }
    uint64_t bytes = record_bytes(h.len);
    if (h.kind != RING_RECORD || h.len == 0 || bytes > r->size / 2 || offset + bytes > r->size ||
        bytes > head - at)
        return -EBADMSG;

    *ret = r->data + offset + RING_HEADER;
    *ret_len = h.len;
    *pos = at + bytes;
    return 1;
}

void ring_release(const struct ring *r, uint64_t pos)
{
    if (pos > atomic_load_explicit(&r->control->tail, memory_order_relaxed))
        atomic_store_explicit(&r->control->tail, pos, memory_order_release);
}
