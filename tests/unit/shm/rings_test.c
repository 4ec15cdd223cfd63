/* rings_test - every slot's two rings in one region, none of them in another's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shm/ring.h"
#include "tests/unit/failmalloc.h"

#define SLOTS 5u
#define INBOX 3000u
#define REPLY 200u

static void fill_whole(struct ring *r, unsigned char byte)
{
    uint64_t head = ring_head(r);
    void *at;
    while (ring_prepare(r, &head, r->size / 4 - RING_HEADER, &at) == 0)
        memset(at, byte, r->size / 4 - RING_HEADER);
    ring_publish(r, head);
    assert_int_equal(head, r->size);
}

static void drain_whole(struct ring *r, unsigned char byte)
{
    uint64_t pos = ring_tail(r);
    const void *at;
    size_t len;
    while (ring_next(r, &pos, &at, &len) == 1)
        for (size_t i = 0; i < len; i++)
            assert_int_equal(((const unsigned char *)at)[i], byte);
    assert_int_equal(pos, r->size);
}

static void test_each_ring_has_its_own_bytes(void **state)
{
    (void)state;
    int fd = rings_create(SLOTS, INBOX, REPLY);
    assert_true(fd >= 0);
    struct rings ours, theirs;
    assert_int_equal(rings_map(fd, SLOTS, INBOX, REPLY, &ours), 0);
    assert_int_equal(rings_map(fd, SLOTS, INBOX, REPLY, &theirs), 0);
    close(fd);
    assert_int_equal(ours.slots, SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_int_equal(ours.inbox[i].size, 4096);
        assert_int_equal(ours.reply[i].size, 256);
        assert_int_equal((uintptr_t)ours.inbox[i].control % 64, 0);
        assert_int_equal((uintptr_t)ours.reply[i].control % 64, 0);
        fill_whole(&ours.inbox[i], (unsigned char)(2 * i));
        fill_whole(&ours.reply[i], (unsigned char)(2 * i + 1));
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        drain_whole(&theirs.inbox[i], (unsigned char)(2 * i));
        drain_whole(&theirs.reply[i], (unsigned char)(2 * i + 1));
    }
    rings_unmap(&ours);
    rings_unmap(&theirs);
    rings_unmap(&theirs); /* nothing left to do */
}

static void test_other_sizes_are_refused(void **state)
{
    (void)state;
    int fd = rings_create(SLOTS, INBOX, REPLY);
    struct rings r = {.slots = 99};
    assert_int_equal(rings_map(fd, SLOTS + 1, INBOX, REPLY, &r), -EPROTO);
    assert_int_equal(rings_map(fd, SLOTS, 2 * INBOX, REPLY, &r), -EPROTO);
    assert_int_equal(rings_map(fd, SLOTS, INBOX, 2 * REPLY, &r), -EPROTO);
    assert_int_equal(rings_map(fd, 0, INBOX, REPLY, &r), -EINVAL);
    assert_int_equal(rings_map(-1, SLOTS, INBOX, REPLY, &r), -EBADF);
    assert_int_equal(r.slots, 99);
    assert_int_equal(rings_create(0, INBOX, REPLY), -EINVAL);
    close(fd);
}

static int map_and_unmap(void *arg)
{
    struct rings r;
    int err = rings_map(*(int *)arg, SLOTS, INBOX, REPLY, &r);
    if (!err)
        rings_unmap(&r);
    return err;
}

static void test_no_memory(void **state)
{
    (void)state;
    int fd = rings_create(SLOTS, INBOX, REPLY);
    assert_int_equal(failmalloc_each(map_and_unmap, &fd), 2);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_ring_has_its_own_bytes),
        cmocka_unit_test(test_other_sizes_are_refused),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
