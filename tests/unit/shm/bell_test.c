/* bell_test - no ring is lost, none is written for nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "shm/bell.h"
#include "shm/ring.h"

static _Atomic uint32_t asleep;

static struct bell bell_new(void)
{
    atomic_store(&asleep, 0);
    struct bell b = {.fd = bell_create(), .asleep = &asleep};
    assert_true(b.fd >= 0);
    return b;
}

static bool readable(const struct bell *b)
{
    struct pollfd p = {.fd = b->fd, .events = POLLIN};
    assert_true(poll(&p, 1, 0) >= 0);
    return p.revents & POLLIN;
}

static void test_the_descriptor(void **state)
{
    (void)state;
    struct bell b = bell_new();
    assert_true(fcntl(b.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(b.fd, F_GETFL) & O_NONBLOCK);
    close(b.fd);
}

static void test_only_a_sleeper_is_rung(void **state)
{
    (void)state;
    struct bell b = bell_new();
    bell_ring(&b);
    assert_false(readable(&b));

    bell_sleep(&b);
    bell_ring(&b);
    assert_true(readable(&b));
    assert_int_equal(atomic_load(&asleep), 0);
    uint64_t rings;
    bell_ring(&b); /* a burst is one write */
    assert_int_equal(read(b.fd, &rings, sizeof(rings)), sizeof(rings));
    assert_int_equal(rings, 1);
    close(b.fd);
}

static void test_waking_swallows_rings(void **state)
{
    (void)state;
    struct bell b = bell_new();
    bell_wake(&b); /* none pending: does not block */
    bell_sleep(&b);
    bell_wake(&b);
    bell_ring(&b);
    assert_false(readable(&b));
    bell_ring_always(&b);
    bell_ring_always(&b);
    assert_true(readable(&b));
    bell_wake(&b);
    assert_false(readable(&b));
    close(b.fd);
}

/* The sleeper died; who comes after it finds the descriptor readable. */
static void test_a_ring_for_the_dead_waits_for_the_successor(void **state)
{
    (void)state;
    struct bell b = bell_new();
    bell_sleep(&b);
    bell_ring(&b);
    struct bell successor = {.fd = dup(b.fd), .asleep = &asleep};
    close(b.fd);
    assert_true(readable(&successor));
    bell_wake(&successor);
    close(successor.fd);
}

static void test_a_counter_at_its_limit_still_rings(void **state)
{
    (void)state;
    struct bell b = bell_new();
    uint64_t most = UINT64_MAX - 1;
    assert_int_equal(write(b.fd, &most, sizeof(most)), sizeof(most));
    bell_ring_always(&b);
    assert_true(readable(&b));
    bell_wake(&b);
    assert_false(readable(&b));
    close(b.fd);
}

static void test_no_descriptor_is_no_bell(void **state)
{
    (void)state;
    atomic_store(&asleep, 1);
    struct bell b = {.fd = -1, .asleep = &asleep};
    bell_ring(&b);
    bell_ring_always(&b);
    assert_int_equal(atomic_load(&asleep), 0);
}

/* --- ring, bell, sleeper: the whole protocol, with a real block in poll --- */

#define WAKES 20000u

struct road {
    struct ring ring;
    struct bell bell;
    struct bell back; /* the consumer says it has taken one */
};

static void wait_on(const struct bell *b)
{
    struct pollfd p = {.fd = b->fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1); /* a lost wake-up shows as a time-out */
}

static void *consume(void *arg)
{
    struct road *road = arg;
    uint64_t pos = 0;
    for (uint32_t n = 0; n < WAKES;) {
        const void *at;
        size_t len;
        if (ring_next(&road->ring, &pos, &at, &len) == 1) {
            n++;
            ring_release(&road->ring, pos);
            bell_ring(&road->back);
            continue;
        }
        bell_sleep(&road->bell);
        if (ring_head(&road->ring) == pos)
            wait_on(&road->bell);
        bell_wake(&road->bell);
    }
    return NULL;
}

static void test_no_wake_up_is_lost(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char memory[RING_CONTROL + 64];
    static _Atomic uint32_t back_asleep;
    ring_format(memory, 64);
    struct road road = {
        .ring = ring_attach(memory, 64),
        .bell = bell_new(),
        .back = {.fd = bell_create(), .asleep = &back_asleep},
    };
    pthread_t consumer;
    assert_int_equal(pthread_create(&consumer, NULL, consume, &road), 0);
    uint64_t head = 0;
    for (uint32_t n = 0; n < WAKES;) {
        void *at;
        if (ring_prepare(&road.ring, &head, 8, &at) == 0) {
            *(uint64_t *)at = n++;
            ring_publish(&road.ring, head);
            bell_ring(&road.bell);
            continue;
        }
        bell_sleep(&road.back); /* full: the producer sleeps in its turn */
        if (head - ring_tail(&road.ring) == 64)
            wait_on(&road.back);
        bell_wake(&road.back);
    }
    assert_int_equal(pthread_join(consumer, NULL), 0);
    close(road.bell.fd);
    close(road.back.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_descriptor),
        cmocka_unit_test(test_only_a_sleeper_is_rung),
        cmocka_unit_test(test_waking_swallows_rings),
        cmocka_unit_test(test_a_ring_for_the_dead_waits_for_the_successor),
        cmocka_unit_test(test_a_counter_at_its_limit_still_rings),
        cmocka_unit_test(test_no_descriptor_is_no_bell),
        cmocka_unit_test(test_no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
