/* ring_garbage_test - whatever the other end left in the ring, nothing outside of it is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "shm/ring.h"
#include "tests/unit/shm/ring_harness.h"

/* Garbage is named as such, and nothing of the caller's is touched. */
static void expect_garbage(struct ring *r, uint64_t pos)
{
    const void *at = &at;
    size_t len = 12345;
    uint64_t was = pos;
    assert_int_equal(ring_next(r, &pos, &at, &len), -EBADMSG);
    assert_int_equal(pos, was);
    assert_ptr_equal(at, &at);
    assert_int_equal(len, 12345);
}

/* The header's words, behind the ring's back. */
static uint32_t *len_at(struct ring *r, uint64_t pos)
{
    return (uint32_t *)(void *)(r->data + (pos & (r->size - 1)));
}

static uint32_t *kind_at(struct ring *r, uint64_t pos)
{
    return len_at(r, pos) + 1;
}

static void test_garbage_in_a_record_header(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0,       49,       56,        SIZE / 2 - 7,   SIZE - 8,
                                       SIZE,    SIZE * 2, INT32_MAX, UINT32_MAX - 7, UINT32_MAX,
                                       1u << 31};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct ring r = ring_new(SIZE);
        put_publish(&r, 48, 1); /* to the head: no record longer than that can be */
        *len_at(&r, 0) = lengths[i];
        expect_garbage(&r, 0);
        ring_drop(&r);
    }
    struct ring full = ring_new(SIZE);
    put_publish(&full, 504, 1);
    put_publish(&full, 496, 2);
    *len_at(&full, 0) = 600; /* over half the ring, though the head is beyond it */
    expect_garbage(&full, 0);
    ring_drop(&full);
    static const uint32_t flips[] = {1, 0x80, 0x10000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
        struct ring r = ring_new(SIZE);
        put_publish(&r, 48, 1);
        *kind_at(&r, 0) ^= flips[i];
        expect_garbage(&r, 0);
        ring_drop(&r);
    }
}

static void test_a_record_across_the_end_is_garbage(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put_publish(&r, 504, 1); /* 512 */
    put_publish(&r, 408, 2); /* 416 */
    uint64_t pos = 0;
    expect(&r, &pos, 504, 1);
    expect(&r, &pos, 408, 2);
    ring_release(&r, pos);
    put_publish(&r, 88, 3); /* 96: exactly to the end */
    put_publish(&r, 88, 4);
    *len_at(&r, pos) = 96;
    expect_garbage(&r, pos);
    ring_drop(&r);
}

/* A ring whose next record (at 928) lies behind a pad of 96 bytes, at 1024. */
static struct ring ring_with_pad(void)
{
    struct ring r = ring_new(SIZE);
    put_publish(&r, 504, 1);
    put_publish(&r, 408, 2);
    ring_release(&r, 928);
    put_publish(&r, 152, 3);
    assert_int_equal(ring_head(&r), 1024 + 160);
    return r;
}

static void test_garbage_in_a_pad(void **state)
{
    (void)state;
    struct ring r = ring_with_pad();
    uint64_t pos = 928;
    expect(&r, &pos, 152, 3);

    static const uint32_t lengths[] = {0, 80, 87, 89, 96, 1024, UINT32_MAX, UINT32_MAX - 7};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        *len_at(&r, 928) = lengths[i];
        expect_garbage(&r, 928);
    }
    *len_at(&r, 928) = 80; /* short of the end, with a header where it ends */
    *kind_at(&r, 1016) = *kind_at(&r, 1024);
    *len_at(&r, 1016) = 8;
    expect_garbage(&r, 928);
    *len_at(&r, 928) = 88;

    *len_at(&r, 1024) = 0; /* the record behind it is judged too */
    expect_garbage(&r, 928);
    *len_at(&r, 1024) = 153;
    expect_garbage(&r, 928);
    *len_at(&r, 1024) = 152;

    atomic_store(&r.control->head, 1024); /* a pad without its record */
    expect_garbage(&r, 928);
    atomic_store(&r.control->head, 936); /* a head inside the pad */
    expect_garbage(&r, 928);
    atomic_store(&r.control->head, 1024 + 160);

    *kind_at(&r, 1024) = *kind_at(&r, 928); /* a pad behind a pad */
    *len_at(&r, 1024) = SIZE - 8;
    expect_garbage(&r, 928);
    ring_drop(&r);
}

static void test_garbage_in_the_head(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put_publish(&r, 400, 1);
    uint64_t pos = 0, head;
    expect(&r, &pos, 400, 1);
    head = pos;
    static const int64_t off[] = {SIZE + 8, -8, -408, 1, 4, 7, INT64_MAX - 7, INT64_MIN};
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
        atomic_store(&r.control->head, head + (uint64_t)off[i]);
        expect_garbage(&r, pos);
    }
    atomic_store(&r.control->head, head);
    expect_none(&r, pos);
    expect_garbage(&r, pos - 4); /* a position that is none of ours */
    expect_garbage(&r, pos + 8);
    /* Before a good record, too. */
    for (uint64_t odd = 1; odd < 8; odd++) {
        atomic_store(&r.control->head, head + odd);
        expect_garbage(&r, 0);
    }
    atomic_store(&r.control->head, SIZE + 8);
    expect_garbage(&r, 0);
    ring_drop(&r);
}

/* Whatever lies in the ring, what comes out lies inside it. */
static void test_noise_stays_inside(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put_publish(&r, 8, 0);
    uint32_t record = *kind_at(&r, 0);
    struct ring padded = ring_with_pad();
    uint32_t pad = *kind_at(&padded, 928);
    ring_drop(&padded);
    unsigned seed = 99;
    unsigned accepted = 0;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t at = (uint64_t)rand_r(&seed) % 128 * 8;
        *kind_at(&r, at) = rand_r(&seed) % 2 ? record : pad;
        *len_at(&r, at) = (uint32_t)rand_r(&seed) % 1100;
        uint64_t pos = (uint64_t)rand_r(&seed) % 512 * 8, was = pos;
        atomic_store(&r.control->head, pos + (uint64_t)rand_r(&seed) % 160 * 8);
        const void *ret = NULL;
        size_t len = 0;
        if (ring_next(&r, &pos, &ret, &len) == 1) {
            const unsigned char *p = ret;
            assert_true(p >= r.data + RING_HEADER && p + len <= r.data + SIZE && len > 0);
            assert_true(pos > was && pos <= ring_head(&r));
            accepted++;
        } else {
            assert_int_equal(pos, was);
        }
    }
    assert_true(accepted > 100);
    ring_drop(&r);
}

static void test_impossible_positions_are_no_room(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put_publish(&r, 40, 1);
    static const uint64_t tails[] = {56, 4, 1, UINT64_MAX, UINT64_MAX - 7, INT64_MAX - 7};
    void *at;
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        atomic_store(&r.control->tail, tails[i]);
        uint64_t head = ring_head(&r);
        assert_int_equal(ring_prepare(&r, &head, 8, &at), -ENOSPC);
        assert_int_equal(head, 48);
    }
    atomic_store(&r.control->tail, SIZE - 8);
    for (uint64_t bad = 1; bad < 8; bad++) {
        uint64_t head = SIZE - 8 + bad; /* a header here would pass the end */
        assert_int_equal(ring_prepare(&r, &head, 8, &at), -ENOSPC);
    }
    ring_drop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_garbage_in_a_record_header),
        cmocka_unit_test(test_a_record_across_the_end_is_garbage),
        cmocka_unit_test(test_garbage_in_a_pad),
        cmocka_unit_test(test_garbage_in_the_head),
        cmocka_unit_test(test_noise_stays_inside),
        cmocka_unit_test(test_impossible_positions_are_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
