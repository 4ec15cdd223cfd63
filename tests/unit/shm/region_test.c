/* region_test - sealed, sized, and mapped only as what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/racy.h"
#include "shm/region.h"

static void test_a_region_is_zero_sealed_and_shared(void **state)
{
    (void)state;
    int fd = region_create("restante-test", 5000);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 10), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 10000), -1);

    void *a = NULL, *b = NULL;
    assert_int_equal(region_map(fd, 5000, true, &a), 0);
    assert_int_equal(region_map(fd, 5000, false, &b), 0);
    close(fd); /* the maps live on */
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(((char *)a)[i], 0);
    ((char *)a)[4999] = 7;
    assert_int_equal(((char *)b)[4999], 7);
    region_unmap(a, 5000);
    region_unmap(b, 5000);
    region_unmap(NULL, 5000);
}

static void test_what_is_not_the_region_is_refused(void **state)
{
    (void)state;
    int fd = region_create("restante-test", 4096);
    void *map = &map;
    assert_int_equal(region_map(fd, 4095, true, &map), -EPROTO);
    assert_int_equal(region_map(fd, 8192, true, &map), -EPROTO);
    assert_int_equal(region_map(-1, 4096, true, &map), -EBADF);
    assert_ptr_equal(map, &map);
    close(fd);
    assert_int_equal(region_map(fd, 4096, true, &map), -EBADF);
    assert_true(region_create("restante-test", SIZE_MAX / 2 + 2) < 0); /* a negative size */
}

static void test_racy_copy_takes_whole_words(void **state)
{
    (void)state;
    static const uint64_t from[4] = {1, 2, 3, 4};
    uint64_t to[4] = {9, 9, 9, 9};
    racy_copy(to, from, 0);
    assert_int_equal(to[0], 9);
    racy_copy(to, from, 17);
    assert_memory_equal(to, from, 24);
    assert_int_equal(to[3], 9);
    unsigned char odd[25];
    racy_copy(odd + 1, from, 24); /* the copy may lie anywhere */
    assert_memory_equal(odd + 1, from, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_region_is_zero_sealed_and_shared),
        cmocka_unit_test(test_what_is_not_the_region_is_refused),
        cmocka_unit_test(test_racy_copy_takes_whole_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
