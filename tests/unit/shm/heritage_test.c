/* heritage_test - what the supervisor packs is what a role receives, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shm/heritage.h"
#include "shm/region.h"

static struct heritage sample(void)
{
    struct heritage h;
    memset(&h, 0, sizeof(h));
    h.layout = board_layout();
    h.role = ROLE_WORKER;
    h.slot = 3;
    h.generation = 9;
    h.nworkers = 4;
    h.board_fd = 10;
    h.rings_fd = 11;
    h.feed_fd = 12;
    h.config_fd = 13;
    h.life_fd = 14;
    for (unsigned i = 0; i < BOARD_SEATS; i++)
        h.bell_fd[i] = (int32_t)i - 1;
    h.nlistens = HERITAGE_LISTENS;
    for (int i = 0; i < HERITAGE_LISTENS; i++)
        h.listen_fd[i] = 100 + i;
    h.log_fd = 2;
    strcpy(h.config_path, "/etc/restante.conf");
    return h;
}

/* Puts fd where a role finds it. */
static void place(int fd)
{
    if (fd != HERITAGE_FD) {
        assert_int_equal(dup2(fd, HERITAGE_FD), HERITAGE_FD);
        close(fd);
    }
}

static void assert_closed(void)
{
    assert_int_equal(fcntl(HERITAGE_FD, F_GETFD), -1);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct heritage h = sample(), got;
    int fd = heritage_pack(&h);
    assert_true(fd >= 0);
    place(fd);
    memset(&got, 0xee, sizeof(got));
    assert_int_equal(heritage_receive(&got), 0);
    assert_memory_equal(&got, &h, sizeof(h));
    assert_closed();
}

static void expect_refused(const struct heritage *h)
{
    struct heritage got, before;
    memset(&got, 0xee, sizeof(got));
    before = got;
    place(heritage_pack(h));
    assert_int_equal(heritage_receive(&got), -EPROTO);
    assert_memory_equal(&got, &before, sizeof(got));
    assert_closed();
}

static void test_what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct heritage h = sample();
    h.layout ^= 1; /* another build */
    expect_refused(&h);
    h = sample();
    h.role = ROLE_WRITER + 1;
    expect_refused(&h);
    h = sample();
    h.slot = BOARD_SEATS;
    expect_refused(&h);
    h = sample();
    h.nworkers = BOARD_WORKERS + 1;
    expect_refused(&h);
    h = sample();
    h.nlistens = HERITAGE_LISTENS + 1;
    expect_refused(&h);
    h = sample();
    h.nlistens = -1;
    expect_refused(&h);
    h = sample();
    memset(h.config_path, 'x', sizeof(h.config_path)); /* no end */
    expect_refused(&h);
}

static void test_no_heritage(void **state)
{
    (void)state;
    struct heritage got = {.role = 77};
    close(HERITAGE_FD);
    assert_int_equal(heritage_receive(&got), -EBADF);
    place(region_create("restante-test", sizeof(struct heritage) + 1));
    assert_int_equal(heritage_receive(&got), -EPROTO);
    assert_closed();
    place(open("/dev/null", O_RDONLY));
    assert_int_equal(heritage_receive(&got), -EPROTO);
    assert_closed();
    assert_int_equal(got.role, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_no_heritage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
