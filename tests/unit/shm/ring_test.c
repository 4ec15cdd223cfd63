/* ring_test - one producer, one consumer, and every way in which either can be mad or dead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/ring.h"

#define SIZE 1024u /* data bytes of the ring in most tests */

static struct ring ring_new(uint64_t size)
{
    void *memory = aligned_alloc(64, ring_footprint(size));
    assert_non_null(memory);
    memset(memory, 0xa5, ring_footprint(size));
    ring_format(memory, size);
    return ring_attach(memory, size);
}

static void ring_drop(struct ring *r)
{
    free(r->control);
}

/* A record says its own length and a number; the rest follows from both. */
static void fill(unsigned char *p, size_t len, uint32_t n)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)(n * 31 + len * 7 + i);
}

static int intact(const void *at, size_t len, uint32_t n)
{
    const unsigned char *p = at;
    for (size_t i = 0; i < len; i++)
        if (p[i] != (unsigned char)(n * 31 + len * 7 + i))
            return 0;
    return 1;
}

static uint64_t put(struct ring *r, uint64_t head, size_t len, uint32_t n)
{
    void *at = NULL;
    assert_int_equal(ring_prepare(r, &head, len, &at), 0);
    fill(at, len, n);
    return head;
}

static void put_publish(struct ring *r, size_t len, uint32_t n)
{
    ring_publish(r, put(r, ring_head(r), len, n));
}

static void expect(struct ring *r, uint64_t *pos, size_t len, uint32_t n)
{
    const void *at = NULL;
    size_t got = 0;
    assert_int_equal(ring_next(r, pos, &at, &got), 1);
    assert_int_equal(got, len);
    assert_true(intact(at, len, n));
}

static void expect_none(struct ring *r, uint64_t pos)
{
    const void *at = NULL;
    size_t len = 0;
    uint64_t was = pos;
    assert_int_equal(ring_next(r, &pos, &at, &len), 0);
    assert_int_equal(pos, was);
}

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

static void test_sizes_round_up(void **state)
{
    (void)state;
    assert_int_equal(ring_footprint(1), RING_CONTROL + 64);
    assert_int_equal(ring_footprint(1000), RING_CONTROL + 1024);
    assert_int_equal(ring_footprint(1024), RING_CONTROL + 1024);
    assert_int_equal(ring_footprint(UINT64_MAX), RING_CONTROL + (UINT64_C(1) << 32));
    struct ring r = ring_new(1000);
    assert_int_equal(r.size, 1024);
    assert_int_equal(r.control->size, 1024);
    ring_drop(&r);
}

static void test_records_come_out_in_order(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    uint64_t pos = 0;
    expect_none(&r, pos);
    put_publish(&r, 1, 1);
    put_publish(&r, 100, 2);
    put_publish(&r, 8, 3);
    expect(&r, &pos, 1, 1);
    expect(&r, &pos, 100, 2);
    expect(&r, &pos, 8, 3);
    expect_none(&r, pos);
    assert_int_equal(pos, ring_head(&r));
    ring_drop(&r);
}

static void test_nothing_is_seen_before_it_is_published(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    uint64_t head = put(&r, 0, 40, 1);
    head = put(&r, head, 50, 2);
    expect_none(&r, 0);
    ring_publish(&r, head);
    uint64_t pos = 0;
    expect(&r, &pos, 40, 1);
    expect(&r, &pos, 50, 2);
    ring_drop(&r);
}

static void test_what_was_prepared_and_dropped_leaves_no_trace(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put(&r, put(&r, 0, 40, 1), 300, 2); /* never published: its producer died */
    put_publish(&r, 24, 3);             /* the successor begins at the published head */
    uint64_t pos = 0;
    expect(&r, &pos, 24, 3);
    expect_none(&r, pos);
    ring_drop(&r);
}

static void test_a_full_ring_refuses_and_changes_nothing(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    for (uint32_t i = 0; i < 8; i++)
        put_publish(&r, SIZE / 8 - RING_HEADER, i);
    unsigned char before[SIZE];
    memcpy(before, r.data, SIZE);
    uint64_t head = ring_head(&r);
    void *at = &at;
    assert_int_equal(ring_prepare(&r, &head, 1, &at), -ENOSPC);
    assert_int_equal(head, SIZE);
    assert_ptr_equal(at, &at);
    assert_memory_equal(before, r.data, SIZE);

    uint64_t pos = 0;
    expect(&r, &pos, SIZE / 8 - RING_HEADER, 0);
    ring_release(&r, pos);
    put_publish(&r, SIZE / 8 - RING_HEADER, 8);
    for (uint32_t i = 1; i <= 8; i++)
        expect(&r, &pos, SIZE / 8 - RING_HEADER, i);
    ring_drop(&r);
}

static void test_a_record_without_room_after_its_pad_writes_no_pad(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put_publish(&r, 496, 1); /* 504 bytes */
    put_publish(&r, 400, 2); /* 408: 912 used, 112 to the end */
    unsigned char before[SIZE];
    memcpy(before, r.data, SIZE);
    uint64_t head = ring_head(&r);
    void *at;
    assert_int_equal(ring_prepare(&r, &head, 200, &at), -ENOSPC);
    assert_int_equal(head, 912);
    assert_memory_equal(before, r.data, SIZE);
    ring_drop(&r);
}

static void test_half_the_ring_is_the_largest_record(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    uint64_t head = 0;
    void *at;
    assert_int_equal(ring_prepare(&r, &head, SIZE / 2 - RING_HEADER + 1, &at), -EMSGSIZE);
    assert_int_equal(ring_prepare(&r, &head, SIZE, &at), -EMSGSIZE);
    assert_int_equal(ring_prepare(&r, &head, SIZE_MAX, &at), -EMSGSIZE);
    assert_int_equal(head, 0);

    /* It fits from every position of an empty ring. */
    for (uint64_t from = 0; from < SIZE; from += 8) {
        atomic_store(&r.control->head, from);
        atomic_store(&r.control->tail, from);
        uint64_t pos = from;
        put_publish(&r, SIZE / 2 - RING_HEADER, (uint32_t)from);
        assert_true(ring_head(&r) - from <= ring_need(SIZE / 2 - RING_HEADER));
        expect(&r, &pos, SIZE / 2 - RING_HEADER, (uint32_t)from);
        expect_none(&r, pos);
    }
    ring_drop(&r);
}

static void test_need_covers_the_worst_pad(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 200; len++) {
        uint64_t worst = 0;
        for (uint64_t from = 0; from < SIZE; from += 8) {
            struct ring r = ring_new(SIZE);
            atomic_store(&r.control->tail, from);
            uint64_t head = put(&r, from, len, 0);
            worst = head - from > worst ? head - from : worst;
            ring_drop(&r);
        }
        assert_int_equal(worst, ring_need(len));
    }
    assert_true(ring_need(SIZE_MAX) == UINT64_MAX);
}

static void test_a_pad_of_eight_bytes(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put_publish(&r, 504, 1); /* 512 */
    put_publish(&r, 496, 2); /* 504: 8 bytes to the end, a header without a body */
    uint64_t pos = 0;
    expect(&r, &pos, 504, 1);
    expect(&r, &pos, 496, 2);
    ring_release(&r, pos);
    put_publish(&r, 16, 3);
    expect(&r, &pos, 16, 3);
    assert_int_equal(pos, SIZE + 24);
    ring_drop(&r);
}

static void test_positions_never_move_back(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    put_publish(&r, 40, 1);
    uint64_t head = ring_head(&r);
    ring_publish(&r, 0);
    ring_publish(&r, head - 8);
    assert_int_equal(ring_head(&r), head);
    ring_release(&r, head);
    ring_release(&r, 0);
    assert_int_equal(ring_tail(&r), head);
    ring_drop(&r);
}

static void test_random_lengths_round_and_round(void **state)
{
    (void)state;
    struct ring r = ring_new(SIZE);
    unsigned seed = 4711;
    uint64_t pos = 0;
    uint32_t in = 0, out = 0;
    size_t length[256];
    while (out < 20000) {
        size_t len = (size_t)rand_r(&seed) % (SIZE / 2 - RING_HEADER) + 1;
        uint64_t head = ring_head(&r);
        void *at;
        if (rand_r(&seed) % 2 && ring_prepare(&r, &head, len, &at) == 0) {
            fill(at, len, in);
            length[in++ % 256] = len;
            ring_publish(&r, head);
        } else if (out < in) {
            expect(&r, &pos, length[out % 256], out);
            out++;
            ring_release(&r, pos);
        } else {
            expect_none(&r, pos);
        }
    }
    assert_true(pos > 100 * SIZE);
    ring_drop(&r);
}

/* --- garbage --- */

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
    atomic_store(&r.control->tail, 0);
    for (uint64_t bad = 1; bad < 8; bad++) {
        uint64_t head = SIZE - 8 + bad; /* a header here would pass the end */
        assert_int_equal(ring_prepare(&r, &head, 8, &at), -ENOSPC);
    }
    ring_drop(&r);
}

/* --- two ends at once --- */

#define RECORDS 100000u

static size_t length_of(uint32_t n)
{
    return 4 + n * 2654435761u % 300;
}

static void *produce(void *arg)
{
    struct ring *r = arg;
    uint64_t head = ring_head(r);
    for (uint32_t n = 0; n < RECORDS;) {
        void *at;
        if (ring_prepare(r, &head, length_of(n), &at)) {
            ring_publish(r, head);
            sched_yield();
            continue;
        }
        fill(at, length_of(n), n);
        n++;
        if (n % 7 == 0) /* several at a time, as the writer does */
            ring_publish(r, head);
    }
    ring_publish(r, head);
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    struct ring r = ring_new(4096);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &r), 0);
    uint64_t pos = 0;
    for (uint32_t n = 0; n < RECORDS;) {
        const void *at;
        size_t len;
        int got = ring_next(&r, &pos, &at, &len);
        assert_true(got >= 0);
        if (!got) {
            sched_yield();
            continue;
        }
        assert_int_equal(len, length_of(n));
        assert_true(intact(at, len, n));
        n++;
        if (n % 3 == 0 || pos == ring_head(&r))
            ring_release(&r, pos);
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    expect_none(&r, pos);
    ring_drop(&r);
}

/* A producer is killed while it works; what was published is whole, and a successor goes on. */
static void test_a_producer_killed_at_any_instruction(void **state)
{
    (void)state;
    size_t bytes = ring_footprint(4096);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    ring_format(memory, 4096);
    struct ring r = ring_attach(memory, 4096);
    uint64_t pos = 0;
    for (uint32_t round = 0; round < 50; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed assertion must not leave us behind */
            uint64_t head = ring_head(&r);
            for (uint32_t n = 0;; n++) {
                void *at;
                while (ring_prepare(&r, &head, length_of(n), &at))
                    ;
                fill(at, length_of(n), n);
                ring_publish(&r, head);
            }
        }
        uint32_t wanted = 1 + round * 13, n = 0;
        for (int killed = 0;;) {
            const void *at;
            size_t len;
            int got = ring_next(&r, &pos, &at, &len);
            assert_true(got >= 0);
            if (got) {
                assert_int_equal(len, length_of(n));
                assert_true(intact(at, len, n));
                n++;
                ring_release(&r, pos);
            } else if (killed) {
                break;
            }
            if (n >= wanted && !killed) {
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                killed = 1;
            }
        }
        assert_true(n >= wanted);
    }
    munmap(memory, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_round_up),
        cmocka_unit_test(test_records_come_out_in_order),
        cmocka_unit_test(test_nothing_is_seen_before_it_is_published),
        cmocka_unit_test(test_what_was_prepared_and_dropped_leaves_no_trace),
        cmocka_unit_test(test_a_full_ring_refuses_and_changes_nothing),
        cmocka_unit_test(test_a_record_without_room_after_its_pad_writes_no_pad),
        cmocka_unit_test(test_half_the_ring_is_the_largest_record),
        cmocka_unit_test(test_need_covers_the_worst_pad),
        cmocka_unit_test(test_a_pad_of_eight_bytes),
        cmocka_unit_test(test_positions_never_move_back),
        cmocka_unit_test(test_random_lengths_round_and_round),
        cmocka_unit_test(test_garbage_in_a_record_header),
        cmocka_unit_test(test_a_record_across_the_end_is_garbage),
        cmocka_unit_test(test_garbage_in_a_pad),
        cmocka_unit_test(test_garbage_in_the_head),
        cmocka_unit_test(test_noise_stays_inside),
        cmocka_unit_test(test_impossible_positions_are_no_room),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_a_producer_killed_at_any_instruction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
