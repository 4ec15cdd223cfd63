/* board_test - the board is ours or refused; time, keys and heartbeats read back as written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "shm/board.h"
#include "shm/region.h"

static struct board *board_new(int *ret_fd)
{
    struct board *b = NULL;
    int fd = board_create(4, &b);
    assert_true(fd >= 0);
    assert_non_null(b);
    if (ret_fd)
        *ret_fd = fd;
    else
        close(fd);
    return b;
}

static void test_a_fresh_board(void **state)
{
    (void)state;
    int fd;
    struct board *b = board_new(&fd), *other = board_new(NULL), *same = NULL;
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 4096), -1);
    assert_int_equal(b->slots, 4);
    assert_true(b->ring_set != 0);
    assert_true(b->ring_set != other->ring_set);
    assert_int_equal(b->layout, board_layout());
    for (unsigned i = 0; i < BOARD_SEATS; i++)
        assert_int_equal(atomic_load(&b->seat[i].state), SEAT_EMPTY);
    assert_int_equal(atomic_load(&b->note.batch), 0);

    assert_int_equal(board_map(fd, &same), 0);
    atomic_store(&b->last_seq, 1042);
    assert_int_equal(atomic_load(&same->last_seq), 1042);
    board_unmap(b);
    board_unmap(same);
    board_unmap(other);
    board_unmap(NULL);
    close(fd);
}

static void test_slots_are_bounded(void **state)
{
    (void)state;
    struct board *b = (void *)&b;
    assert_int_equal(board_create(0, &b), -EINVAL);
    assert_int_equal(board_create(BOARD_SLOTS + 1, &b), -EINVAL);
    assert_ptr_equal(b, &b);
    int fd = board_create(BOARD_SLOTS, &b);
    assert_true(fd >= 0);
    board_unmap(b);
    close(fd);
}

static void test_another_build_is_refused(void **state)
{
    (void)state;
    int fd;
    struct board *b = board_new(&fd), *got = (void *)&got;
    b->layout ^= 1;
    assert_int_equal(board_map(fd, &got), -EPROTO);
    b->layout ^= 1;
    b->magic ^= 1;
    assert_int_equal(board_map(fd, &got), -EPROTO);
    b->magic ^= 1;
    b->slots = BOARD_SLOTS + 1;
    assert_int_equal(board_map(fd, &got), -EPROTO);
    b->slots = 0;
    assert_int_equal(board_map(fd, &got), -EPROTO);
    int small = region_create("restante-test", sizeof(struct board) - 64);
    assert_int_equal(board_map(small, &got), -EPROTO);
    assert_int_equal(board_map(-1, &got), -EBADF);
    assert_ptr_equal(got, &got);
    close(small);
    board_unmap(b);
    close(fd);
}

static void test_no_two_writers_share_a_cache_line(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct board_seat) % 64, 0);
    assert_int_equal(offsetof(struct board, seat) % 64, 0);
    assert_int_equal(offsetof(struct board, note) % 64, 0);
    assert_int_equal(offsetof(struct board_seat, beat_ms) % 64, 0);
    assert_int_equal(offsetof(struct board_seat, asleep) % 64, 0);
    assert_int_equal(offsetof(struct board_seat, metrics) % 64, 0);
}

static void test_store_time(void **state)
{
    (void)state;
    struct board *b = board_new(NULL);
    static const int64_t offsets[] = {0, INT64_C(1700000000000), 1, 0};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        atomic_store(&b->clock_offset_ms, offsets[i]);
        uint64_t before = clock_boot_ms() + (uint64_t)offsets[i];
        uint64_t now = board_now_ms(b);
        assert_true(now >= before && now <= clock_boot_ms() + (uint64_t)offsets[i]);
    }
    /* A wall clock that was before the boot clock's zero. */
    atomic_store(&b->clock_offset_ms, -(int64_t)clock_boot_ms() / 2);
    assert_true(board_now_ms(b) < clock_boot_ms());
    board_unmap(b);
}

static void test_the_reserve(void **state)
{
    (void)state;
    assert_false(board_store_full(0, 1000));
    assert_false(board_store_full(899, 1000));
    assert_true(board_store_full(900, 1000));
    assert_true(board_store_full(2000, 1000));
    assert_true(board_store_full(0, 0));
    assert_false(board_store_full(UINT64_MAX / 2, UINT64_MAX));
    assert_true(board_store_full(UINT64_MAX, UINT64_MAX));
}

static void test_heartbeats(void **state)
{
    (void)state;
    struct board *b = board_new(NULL);
    struct board_seat *s = &b->seat[2];
    uint64_t before = clock_boot_ms();
    seat_beat(s);
    assert_true(atomic_load(&s->beat_ms) >= before);
    assert_true(atomic_load(&s->beat_ms) <= clock_boot_ms());
    assert_int_equal(atomic_load(&s->txn_since_ms), 0);
    seat_txn_begin(s);
    assert_true(atomic_load(&s->txn_since_ms) >= before);
    seat_txn_end(s);
    assert_int_equal(atomic_load(&s->txn_since_ms), 0);
    board_unmap(b);
}

/* --- keys --- */

static struct session_keys keys_of(uint32_t n)
{
    struct session_keys k;
    memset(&k, (int)(n % 251), sizeof(k));
    k.key[0].id = n + 1;
    k.key[1].id = n;
    return k;
}

static void test_keys_read_back(void **state)
{
    (void)state;
    struct board *b = board_new(NULL);
    for (uint32_t n = 0; n < 5; n++) {
        struct session_keys set = keys_of(n), got;
        board_keys_set(b, &set);
        board_keys_get(b, &got);
        assert_memory_equal(&got, &set, sizeof(set));
    }
    board_unmap(b);
}

/* A supervisor killed while it wrote: the copy in force is untouched. */
static void test_half_written_keys_are_not_read(void **state)
{
    (void)state;
    struct board *b = board_new(NULL);
    struct session_keys set = keys_of(7), got;
    board_keys_set(b, &set);
    memset(&b->keys[(atomic_load(&b->keys_current) + 1) & 1], 0xff, sizeof(set) / 2);
    board_keys_get(b, &got);
    assert_memory_equal(&got, &set, sizeof(set));
    board_unmap(b);
}

struct rotation {
    struct board *board;
    _Atomic uint32_t stop;
};

static void *rotate(void *arg)
{
    struct rotation *r = arg;
    for (uint32_t n = 1; !atomic_load(&r->stop); n++) {
        struct session_keys set = keys_of(n);
        board_keys_set(r->board, &set);
        sched_yield();
    }
    return NULL;
}

static void test_keys_are_never_torn(void **state)
{
    (void)state;
    struct rotation r = {.board = board_new(NULL)};
    struct session_keys first = keys_of(0);
    board_keys_set(r.board, &first);
    pthread_t supervisor;
    assert_int_equal(pthread_create(&supervisor, NULL, rotate, &r), 0);
    uint32_t changes = 0, last = 0;
    while (changes < 300) {
        struct session_keys got, want;
        board_keys_get(r.board, &got);
        want = keys_of(got.key[1].id);
        assert_memory_equal(&got, &want, sizeof(got));
        assert_true(got.key[1].id >= last);
        changes += got.key[1].id != last;
        last = got.key[1].id;
    }
    atomic_store(&r.stop, 1);
    assert_int_equal(pthread_join(supervisor, NULL), 0);
    board_unmap(r.board);
}

/* Another pair of copies, which the session keys do not touch. */
static void test_ticket_keys_read_back(void **state)
{
    (void)state;
    struct board *b = board_new(NULL);
    struct ticket_keys set, got;
    for (int n = 1; n < 6; n++) {
        struct session_keys other = keys_of((uint32_t)n);
        memset(&set, n, sizeof(set));
        board_tickets_set(b, &set);
        board_keys_set(b, &other);
        memset(&b->tickets[(atomic_load(&b->tickets_current) + 1) & 1], 0xff, sizeof(set) / 2);
        board_tickets_get(b, &got);
        assert_memory_equal(&got, &set, sizeof(set));
    }
    board_unmap(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fresh_board),
        cmocka_unit_test(test_slots_are_bounded),
        cmocka_unit_test(test_another_build_is_refused),
        cmocka_unit_test(test_no_two_writers_share_a_cache_line),
        cmocka_unit_test(test_store_time),
        cmocka_unit_test(test_the_reserve),
        cmocka_unit_test(test_heartbeats),
        cmocka_unit_test(test_keys_read_back),
        cmocka_unit_test(test_half_written_keys_are_not_read),
        cmocka_unit_test(test_keys_are_never_torn),
        cmocka_unit_test(test_ticket_keys_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
