/* signals: the table, read from a signalfd. */
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

#include "server/signals.h"

#include <signal.h>

static void test_what_each_signal_means(void **state)
{
    static const struct {
        int signo;
        unsigned what;
    } rows[] = {
        {SIGTERM, SIGNALS_STOP},    {SIGINT, SIGNALS_STOP},    {SIGQUIT, SIGNALS_STOP},
        {SIGCHLD, SIGNALS_CHILD},   {SIGHUP, SIGNALS_IGNORED}, {SIGUSR1, SIGNALS_IGNORED},
        {SIGUSR2, SIGNALS_IGNORED},
    };
    int fd = signals_open();

    (void)state;
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        raise(rows[i].signo);
        struct signals got = signals_read(fd);
        assert_int_equal(got.what, rows[i].what);
        assert_int_equal(got.stops, rows[i].what == SIGNALS_STOP);
        assert_int_equal(got.stop_signal, rows[i].what == SIGNALS_STOP ? rows[i].signo : 0);
        assert_int_equal(got.ignored, rows[i].what == SIGNALS_IGNORED ? rows[i].signo : 0);
    }
    assert_int_equal(signals_read(fd).what, 0);
    close(fd);
}

static void test_signals_that_wait_are_all_read_at_once(void **state)
{
    int fd = signals_open();

    (void)state;
    raise(SIGTERM);
    raise(SIGINT);
    raise(SIGCHLD);
    raise(SIGHUP);
    struct signals got = signals_read(fd);
    assert_int_equal(got.what, SIGNALS_STOP | SIGNALS_CHILD | SIGNALS_IGNORED);
    assert_int_equal(got.stops, 2);
    close(fd);
}

static void test_ignored_ones_that_were_inherited_count_again(void **state)
{
    (void)state;
    signal(SIGINT, SIG_IGN); /* as for `restanted &` in a script */
    int fd = signals_open();
    raise(SIGINT);
    assert_int_equal(signals_read(fd).stops, 1);
    close(fd);
}

static void test_a_role_ignores_what_a_terminal_sends_and_blocks_nothing(void **state)
{
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t mask;

    (void)state;
    close(signals_open());
    signals_for_role();
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        struct sigaction a;
        sigaction(ignored[i], NULL, &a);
        assert_ptr_equal(a.sa_handler, SIG_IGN);
        assert_int_equal(sigismember(&mask, ignored[i]), 0);
    }
    struct sigaction term;
    sigaction(SIGTERM, NULL, &term);
    assert_ptr_equal(term.sa_handler, SIG_DFL);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static void test_names_and_help(void **state)
{
    struct buf help;

    (void)state;
    assert_string_equal(signals_name(SIGTERM), "TERM");
    assert_string_equal(signals_name(SIGKILL), "KILL");
    assert_string_equal(signals_name(-1), "unknown");
    buf_init(&help, 4096);
    assert_int_equal(signals_help(&help), 0);
    assert_non_null(memmem(help.data, help.len, "SIGTERM", 7));
    assert_non_null(memmem(help.data, help.len, "SIGHUP", 6));
    buf_free(&help);
    buf_init(&help, 16);
    assert_int_equal(signals_help(&help), -EMSGSIZE);
    buf_free(&help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_each_signal_means),
        cmocka_unit_test(test_signals_that_wait_are_all_read_at_once),
        cmocka_unit_test(test_ignored_ones_that_were_inherited_count_again),
        cmocka_unit_test(test_a_role_ignores_what_a_terminal_sends_and_blocks_nothing),
        cmocka_unit_test(test_names_and_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
