/* steer: no connection to a slot that is down; and with processes: other workers serve meanwhile.
 */
#include "fake_server.h"

#include <netinet/in.h>

#define SLOTS 4
#define BURST 200

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void open_group(struct listens *l)
{
    struct conf_listen one = {.address = "127.0.0.1:0"};
    struct conf conf = {.listens = &one, .nlistens = 1};

    assert_int_equal(listen_open(&conf, SLOTS, l), 0);
}

/* BURST connections, and how many each slot's socket got. */
static void burst(const struct listens *l, int ret[SLOTS])
{
    for (int i = 0; i < BURST; i++)
        close(connect_to(l->of[0].address.port));
    for (uint32_t i = 0; i < SLOTS; i++) {
        ret[i] = 0;
        for (;;) {
            int fd = accept4(listen_fd_of(&l->of[0], i), NULL, NULL, SOCK_CLOEXEC);
            if (fd < 0)
                break;
            close(fd);
            ret[i]++;
        }
    }
}

static void test_slots_that_are_down_get_nothing(void **state)
{
    static const bool sets[][SLOTS] = {
        {true, false, true, true},
        {false, false, false, true},
        {true, false, false, false},
        {false, true, true, false},
    };
    struct listens l;
    int got[SLOTS];

    (void)state;
    open_group(&l);
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        int sum = 0;
        assert_int_equal(steer_set(&l, sets[i], SLOTS), 0);
        burst(&l, got);
        for (size_t slot = 0; slot < SLOTS; slot++) {
            if (sets[i][slot])
                assert_true(got[slot] > 0);
            else
                assert_int_equal(got[slot], 0);
            sum += got[slot];
        }
        assert_int_equal(sum, BURST);
    }
    listen_close(&l);
}

static void test_all_up_or_all_down_is_the_kernels_own_spreading(void **state)
{
    static const bool one[SLOTS] = {true}, all[SLOTS] = {true, true, true, true}, none[SLOTS];
    struct listens l;
    int got[SLOTS];

    (void)state;
    open_group(&l);
    assert_int_equal(steer_set(&l, all, SLOTS), 0); /* nothing attached yet: no error */
    for (int round = 0; round < 2; round++) {
        assert_int_equal(steer_set(&l, one, SLOTS), 0);
        assert_int_equal(steer_set(&l, round ? all : none, SLOTS), 0);
        burst(&l, got);
        for (size_t slot = 0; slot < SLOTS; slot++)
            assert_true(got[slot] > 0);
    }
    listen_close(&l);
}

static void test_unix_sockets_and_single_workers_need_none(void **state)
{
    static const bool down[1];
    struct listens l = {.n = 1};

    (void)state;
    l.of[0].address.kind = ADDRESS_UNIX;
    l.of[0].nfds = 1;
    l.of[0].fd[0] = -1; /* touching it would be an error */
    assert_int_equal(steer_set(&l, down, 1), 0);
}

/* The slot that serves the connection, which is then closed. */
static char served_by(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char slot = '?';

    assert_int_equal(poll(&p, 1, FAKE_PATIENCE_MS), 1);
    if (recv(p.fd, &slot, 1, 0) != 1)
        slot = '?';
    close(p.fd);
    return slot;
}

static uint16_t port_of(const struct fake_server *s)
{
    const char *line = FAKE_WAIT(s, 1, "\"listening\"", "127.0.0.1:");

    return (uint16_t)strtoul(strstr(line, "127.0.0.1:") + 10, NULL, 10);
}

/* Waits until `then` stands somewhere after the first `first` in the log. */
static void wait_after(const struct fake_server *s, const char *first, const char *then)
{
    uint64_t end = clock_boot_ms() + FAKE_PATIENCE_MS;
    bool found = false;

    while (!found) {
        char *text = fake_read(s->log);
        const char *at = strstr(text, first);
        found = at && strstr(at, then);
        free(text);
        if (clock_boot_ms() > end)
            fake_fail(s, then);
        poll(NULL, 0, 5);
    }
}

/* Rule 9. Worker 0 is stopped: it would take connections and never answer. It is killed for it, and
 * what its successor serves proves nothing: all connections are made before there is one.
 */
static void test_other_workers_serve_while_one_is_stopped(void **state)
{
    struct fake_server s;
    int fd[BURST];

    (void)state;
    fake_start(&s, "listen \"127.0.0.1:0\" { } workers = 2 log { level = \"debug\" }");
    uint16_t port = port_of(&s);
    kill(fake_pid_of(&s, "worker 0", 1), SIGSTOP);
    wait_after(&s, "\"role_stopped\"", "\"steered\"");
    for (int i = 0; i < BURST; i++)
        fd[i] = connect_to(port);
    bool alone = !*FAKE_FIND(&s, 2, "\"role_started\"", "\"who\":\"worker 0\"");
    for (int i = 0; i < BURST; i++) {
        char slot = served_by(fd[i]);
        assert_true(slot == '1' || (!alone && slot == '0'));
    }
    if (!alone)
        print_message("the machine is too slow to tell\n");
    wait_after(&s, "\"generation\":2", "\"serving\":2"); /* its successor */
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

/* Connections queued for a worker that was killed are answered by its successor. */
static void test_queued_connections_survive_their_worker(void **state)
{
    struct fake_server s;
    struct pollfd p[20];
    char c;

    (void)state;
    fake_start(&s, "listen \"127.0.0.1:0\" { } workers = 1");
    uint16_t port = port_of(&s);
    pid_t pid = fake_pid_of(&s, "worker 0", 1);
    kill(pid, SIGSTOP);
    FAKE_WAIT(&s, 1, "\"role_stopped\"");
    for (size_t i = 0; i < 20; i++)
        p[i] = (struct pollfd){.fd = connect_to(port), .events = POLLIN};
    kill(pid, SIGKILL);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(poll(&p[i], 1, FAKE_PATIENCE_MS), 1);
        assert_int_equal(recv(p[i].fd, &c, 1, 0), 1);
        close(p[i].fd);
    }
    assert_int_equal(fake_stop(&s), EXIT_OK);
    fake_remove(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_that_are_down_get_nothing),
        cmocka_unit_test(test_all_up_or_all_down_is_the_kernels_own_spreading),
        cmocka_unit_test(test_unix_sockets_and_single_workers_need_none),
        cmocka_unit_test(test_other_workers_serve_while_one_is_stopped),
        cmocka_unit_test(test_queued_connections_survive_their_worker),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
