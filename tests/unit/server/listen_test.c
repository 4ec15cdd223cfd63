/* listen: addresses, shared ports, taken ports, unix sockets and what they leave behind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/listen.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/restante-listen-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static const char *in(const char *name)
{
    static char path[96];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int open_one(const char *address, uint32_t nworkers, struct listens *ret)
{
    static char text[256];
    static struct conf_listen listen = {.address = text};
    struct conf conf = {.listens = &listen, .nlistens = 1};

    snprintf(text, sizeof(text), "%s", address);
    return listen_open(&conf, nworkers, ret);
}

static int port_of(int fd)
{
    struct sockaddr_in6 a; /* the port is at the same place in both families */
    socklen_t len = sizeof(a);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin6_port);
}

static void test_one_socket_per_worker_on_one_port(void **state)
{
    struct listens l;
    char text[LISTEN_TEXT], wanted[LISTEN_TEXT];

    (void)state;
    assert_int_equal(open_one("127.0.0.1:0", 4, &l), 0);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.of[0].nfds, 4);
    for (uint32_t i = 0; i < 4; i++) {
        int fd = listen_fd_of(&l.of[0], i);
        assert_int_equal(port_of(fd), l.of[0].address.port);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_int_equal(accept(fd, NULL, NULL), -1);
        assert_int_equal(errno, EAGAIN); /* it listens */
    }
    snprintf(wanted, sizeof(wanted), "127.0.0.1:%d", l.of[0].address.port);
    assert_string_equal(listen_text(&l.of[0], text), wanted);
    listen_close(&l);
    assert_int_equal(l.n, 0);
}

/* SO_REUSEPORT alone would let a second server in. */
static void test_a_taken_port_is_refused(void **state)
{
    struct listens l, second = {.n = 77};
    char address[LISTEN_TEXT];

    (void)state;
    assert_int_equal(open_one("127.0.0.1:0", 2, &l), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%d", l.of[0].address.port);
    assert_int_equal(open_one(address, 2, &second), -EADDRINUSE);
    snprintf(address, sizeof(address), "*:%d", l.of[0].address.port);
    assert_int_equal(open_one(address, 2, &second), -EADDRINUSE);
    assert_int_equal(second.n, 77);
    listen_close(&l);
    snprintf(address, sizeof(address), "127.0.0.1:%d", l.of[0].address.port);
    assert_int_equal(open_one(address, 2, &second), 0);
    listen_close(&second);
}

static void test_ipv6_and_every_interface(void **state)
{
    struct listens l;
    char text[LISTEN_TEXT];

    (void)state;
    if (open_one("[::1]:0", 2, &l) == 0) { /* not every machine has it */
        assert_memory_equal(listen_text(&l.of[0], text), "[::1]:", 6);
        listen_close(&l);
    }
    assert_int_equal(open_one("*:0", 2, &l), 0);
    listen_text(&l.of[0], text);
    assert_true(memcmp(text, "*:", 2) == 0 || memcmp(text, "0.0.0.0:", 8) == 0);
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons(l.of[0].address.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
    close(fd);
    listen_close(&l);
}

static void test_an_address_that_is_not_ours(void **state)
{
    struct listens l = {.n = 77};

    (void)state;
    assert_int_equal(open_one("192.0.2.1:0", 1, &l), -EADDRNOTAVAIL);
    assert_int_equal(open_one("localhost:80", 1, &l), -EINVAL);
    assert_int_equal(open_one("unix:/nonexistent/restante/x", 1, &l), -ENOENT);
    assert_int_equal(l.n, 77);
}

static void test_too_many_addresses(void **state)
{
    struct conf_listen many[HERITAGE_LISTENS + 1];
    struct conf conf = {.listens = many, .nlistens = HERITAGE_LISTENS + 1};
    struct listens l = {0};

    (void)state;
    for (size_t i = 0; i <= HERITAGE_LISTENS; i++)
        many[i] = (struct conf_listen){.address = "127.0.0.1:0"};
    assert_int_equal(listen_open(&conf, 1, &l), -E2BIG);
    conf.nlistens = HERITAGE_LISTENS;
    assert_int_equal(listen_open(&conf, 1, &l), 0);
    assert_int_equal(l.n, HERITAGE_LISTENS);
    listen_close(&l);
}

static void test_one_failure_closes_all(void **state)
{
    struct conf_listen two[] = {{.address = "127.0.0.1:0"}, {.address = "192.0.2.1:0"}};
    struct conf conf = {.listens = two, .nlistens = 2};
    struct listens l;

    (void)state;
    int before = dup(0);
    close(before);
    assert_int_equal(listen_open(&conf, 3, &l), -EADDRNOTAVAIL);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before); /* the lowest free descriptor is the same */
}

static void test_a_unix_socket_is_shared_and_removed(void **state)
{
    char address[128];
    struct listens l;
    struct stat st;

    (void)state;
    snprintf(address, sizeof(address), "unix:%s", in("s"));
    assert_int_equal(open_one(address, 3, &l), 0);
    assert_int_equal(l.of[0].nfds, 1);
    assert_int_equal(listen_fd_of(&l.of[0], 0), listen_fd_of(&l.of[0], 2));
    assert_int_equal(stat(in("s"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_string_equal(listen_text(&l.of[0], NULL), address);
    listen_close(&l);
    assert_int_equal(access(in("s"), F_OK), -1);
}

static void test_a_stale_unix_socket_is_replaced_and_a_living_one_is_not(void **state)
{
    char address[128];
    struct listens l, second;

    (void)state;
    snprintf(address, sizeof(address), "unix:%s", in("s"));
    assert_int_equal(open_one(address, 1, &l), 0);
    assert_int_equal(open_one(address, 1, &second), -EADDRINUSE);
    assert_int_equal(access(in("s"), F_OK), 0);
    close(l.of[0].fd[0]); /* killed: nobody removed it */
    assert_int_equal(open_one(address, 1, &second), 0);
    listen_close(&second);
}

static void test_a_path_that_became_anothers_is_not_removed(void **state)
{
    char address[128];
    struct listens l, second;

    (void)state;
    snprintf(address, sizeof(address), "unix:%s", in("s"));
    assert_int_equal(open_one(address, 1, &l), 0);
    unlink(in("s"));
    assert_int_equal(open_one(address, 1, &second), 0);
    listen_close(&l);
    assert_int_equal(access(in("s"), F_OK), 0);
    listen_close(&second);
    assert_int_equal(access(in("s"), F_OK), -1);
}

static void test_a_file_in_the_way_of_a_unix_socket_stays(void **state)
{
    char address[128];
    struct listens l;

    (void)state;
    snprintf(address, sizeof(address), "unix:%s", in("s"));
    close(open(in("s"), O_CREAT | O_WRONLY, 0600));
    assert_int_equal(open_one(address, 1, &l), -EADDRINUSE);
    assert_int_equal(unlink(in("s")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_socket_per_worker_on_one_port),
        cmocka_unit_test(test_a_taken_port_is_refused),
        cmocka_unit_test(test_ipv6_and_every_interface),
        cmocka_unit_test(test_an_address_that_is_not_ours),
        cmocka_unit_test(test_too_many_addresses),
        cmocka_unit_test(test_one_failure_closes_all),
        cmocka_unit_test(test_a_unix_socket_is_shared_and_removed),
        cmocka_unit_test(test_a_stale_unix_socket_is_replaced_and_a_living_one_is_not),
        cmocka_unit_test(test_a_path_that_became_anothers_is_not_removed),
        cmocka_unit_test(test_a_file_in_the_way_of_a_unix_socket_stays),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
