/* ring_test - one producer, one consumer, in order and whole, also when one of them is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/ring.h"
#include "tests/unit/shm/ring_harness.h"

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
    for (uint32_t round = 0; round < 20; round++) {
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
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_a_producer_killed_at_any_instruction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
