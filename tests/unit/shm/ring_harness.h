/* ring_harness - a ring in plain memory, and records whose bytes follow from a number. */
#ifndef TESTS_UNIT_SHM_RING_HARNESS_H
#define TESTS_UNIT_SHM_RING_HARNESS_H

#include <stdlib.h>
#include <string.h>

#include "shm/ring.h"

#define SIZE 1024u /* data bytes of the ring in most tests */

static inline struct ring ring_new(uint64_t size)
{
    void *memory = aligned_alloc(64, ring_footprint(size));
    assert_non_null(memory);
    memset(memory, 0xa5, ring_footprint(size));
    ring_format(memory, size);
    return ring_attach(memory, size);
}

static inline void ring_drop(struct ring *r)
{
    free(r->control);
}

/* A record says its own length and a number; the rest follows from both. */
static inline void fill(unsigned char *p, size_t len, uint32_t n)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)(n * 31 + len * 7 + i);
}

static inline int intact(const void *at, size_t len, uint32_t n)
{
    const unsigned char *p = at;
    for (size_t i = 0; i < len; i++)
        if (p[i] != (unsigned char)(n * 31 + len * 7 + i))
            return 0;
    return 1;
}

static inline uint64_t put(struct ring *r, uint64_t head, size_t len, uint32_t n)
{
    void *at = NULL;
    assert_int_equal(ring_prepare(r, &head, len, &at), 0);
    fill(at, len, n);
    return head;
}

static inline void put_publish(struct ring *r, size_t len, uint32_t n)
{
    ring_publish(r, put(r, ring_head(r), len, n));
}

static inline void expect(struct ring *r, uint64_t *pos, size_t len, uint32_t n)
{
    const void *at = NULL;
    size_t got = 0;
    assert_int_equal(ring_next(r, pos, &at, &got), 1);
    assert_int_equal(got, len);
    assert_true(intact(at, len, n));
}

static inline void expect_none(struct ring *r, uint64_t pos)
{
    const void *at = NULL;
    size_t len = 0;
    uint64_t was = pos;
    assert_int_equal(ring_next(r, &pos, &at, &len), 0);
    assert_int_equal(pos, was);
}

#endif
