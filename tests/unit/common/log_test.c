/* log: the shape of a line, its ceiling, and that no reader can make us wait or grow. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/json.h"
#include "common/log.h"
#include "tests/unit/failmalloc.h"

#define LINE_MAX_SIZE 4096

struct pipe {
    int out, in; /* what the log writes; what the test reads */
};

static struct pipe pipe_open(void)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    return (struct pipe){.out = fds[1], .in = fds[0]};
}

/* The log lets go of the pipe first. */
static void pipe_close(struct pipe p)
{
    log_init(LOG_INFO, STDERR_FILENO, "", -1);
    close(p.out);
    close(p.in);
}

/* What waits in the pipe, as one string. */
static size_t take(int fd, char *ret, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, ret + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    ret[n] = '\0';
    return n;
}

/* One line without its time, level and pid, which vary: what follows `"pid":N`. */
static const char *tail_of(const char *line)
{
    const char *pid = strstr(line, "\"pid\":");
    assert_non_null(pid);
    return pid + 6 + strspn(pid + 6, "0123456789");
}

static void test_before_it_is_told_anything(void **state)
{
    (void)state;
    assert_string_equal(log_role(), "");
    assert_int_equal(log_lost(), 0);
    assert_true(log_enabled(LOG_INFO));
    assert_false(log_enabled(LOG_DEBUG));
}

static void test_head_and_every_kind_of_field(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    char line[8192];
    int year, pid;
    log_init(LOG_INFO, p.out, "worker", 3);
    assert_string_equal(log_role(), "worker");
    log_event(LOG_WARN, "thing", LOG_Z("z", "text"), LOG_S("s", str_make("cut here", 3)),
              LOG_U("u", UINT64_MAX), LOG_I("i", INT64_MIN), LOG_I("j", 7), LOG_B("yes", 5),
              LOG_B("no", 0), LOG_E(-ENOENT), LOG_S("empty", str_make(NULL, 0)));
    take(p.in, line, sizeof(line));
    assert_int_equal(sscanf(line,
                            "{\"time\":\"%d-%*d-%*dT%*d:%*d:%*d.%*dZ\",\"level\":\"warn\","
                            "\"event\":\"thing\",\"role\":\"worker\",\"slot\":3,\"pid\":%d,",
                            &year, &pid),
                     2);
    assert_int_equal(pid, getpid());
    assert_string_equal(tail_of(line),
                        ",\"z\":\"text\",\"s\":\"cut\",\"u\":18446744073709551615,"
                        "\"i\":-9223372036854775808,\"j\":7,\"yes\":true,\"no\":false,"
                        "\"error\":\"No such file or directory\",\"empty\":\"\"}\n");
    assert_int_equal(json_check(str_of(line), NULL), 0);
    log_init(LOG_INFO, p.out, "writer", -1);
    log_event(LOG_INFO, "bare");
    take(p.in, line, sizeof(line));
    assert_null(strstr(line, "slot"));
    assert_string_equal(tail_of(line), "}\n");
    pipe_close(p);
}

static void test_error_texts(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    char line[8192];
    log_init(LOG_INFO, p.out, "", -1);
    log_event(LOG_INFO, "e", LOG_E(ENOENT), LOG_E(-99999), LOG_E(INT32_MIN), LOG_E(0));
    take(p.in, line, sizeof(line));
    assert_string_equal(tail_of(line),
                        ",\"error\":\"No such file or directory\",\"error\":\"errno -99999\","
                        "\"error\":\"errno -2147483648\",\"error\":\"Success\"}\n");
    pipe_close(p);
}

static void test_strings_are_escaped(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    char line[8192];
    log_init(LOG_INFO, p.out, "", -1);
    log_event(LOG_INFO, "e", LOG_S("s", STR("a\"b\\c\nd\0e\x1b[31m\xff\xc3\xa9\xed\xa0\x80")));
    take(p.in, line, sizeof(line));
    assert_string_equal(tail_of(line), ",\"s\":\"a\\\"b\\\\c\\nd\\u0000e\\u001b[31m\xef\xbf\xbd"
                                       "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n");
    pipe_close(p);
}

static void test_levels(void **state)
{
    (void)state;
    static const char *const names[] = {"debug", "info", "warn", "error"};
    static const char *const bad[] = {"", "INFO", "inf", "infos", "warning"};
    struct pipe p = pipe_open();
    char line[8192];
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        log_init((enum log_level)least, p.out, "", -1);
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            enum log_level parsed = LOG_DEBUG;
            assert_int_equal(log_level_parse(str_of(names[level]), &parsed), 0);
            assert_int_equal(parsed, level);
            log_event(parsed, "e");
            assert_int_equal(take(p.in, line, sizeof(line)) > 0, level >= least);
            if (level >= least)
                assert_non_null(strstr(line, names[level]));
        }
    }
    enum log_level untouched = LOG_WARN;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(log_level_parse(str_of(bad[i]), &untouched), -EINVAL);
    assert_int_equal(untouched, LOG_WARN);
    pipe_close(p);
}

/* Every length around the ceiling: whole, or without the field and marked; always one JSON line. */
static void test_cut_at_a_field(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    char line[8192], text[5000];
    size_t longest = 0;
    int cuts = 0;
    memset(text, 'x', sizeof(text));
    log_init(LOG_INFO, p.out, "worker", 0);
    for (size_t n = 3900; n < 4200; n++) {
        log_event(LOG_INFO, "e", LOG_U("before", 1), LOG_S("long", str_make(text, n)),
                  LOG_U("after", 2));
        size_t len = take(p.in, line, sizeof(line));
        assert_true(len <= LINE_MAX_SIZE);
        assert_int_equal(line[len - 1], '\n');
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
        assert_int_equal(json_check(str_make(line, len), NULL), 0);
        if (strstr(line, "\"cut\":true}")) {
            cuts++;
            assert_non_null(strstr(line, "\"before\":1,"));
            assert_null(strstr(line, "\"after\""));
        } else {
            assert_non_null(strstr(line, "xxx\",\"after\":2}\n"));
            assert_int_equal(cuts, 0);
            longest = len;
        }
    }
    assert_true(cuts > 0);
    assert_in_range(longest, LINE_MAX_SIZE - 40, LINE_MAX_SIZE);
    log_event(LOG_INFO, "e", LOG_S("huge", str_make(text, sizeof(text))));
    take(p.in, line, sizeof(line));
    assert_string_equal(tail_of(line), ",\"cut\":true}\n");
    assert_int_equal(log_lost(), 0);
    pipe_close(p);
}

static void test_needs_no_memory_and_keeps_errno(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    log_init(LOG_INFO, p.out, "worker", 0);
    failmalloc_arm(1);
    errno = EXDEV;
    log_event(LOG_ERROR, "e", LOG_Z("a", "\x01\xff"), LOG_U("u", 1), LOG_E(-EIO));
    assert_int_equal(errno, EXDEV);
    assert_false(failmalloc_disarm());
    pipe_close(p);
}

/* Fills what fd leads to until it takes no more. */
static void fill(int fd)
{
    char page[4096] = {0};
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, page, sizeof(page)) > 0)
        ;
    while (write(fd, page, 1) > 0)
        ;
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

static void assert_drops_when_full(int out, int in)
{
    static char sink[1 << 20];
    uint64_t lost = log_lost();
    log_init(LOG_INFO, out, "worker", 0);
    fill(out);
    log_event(LOG_INFO, "dropped");
    log_event(LOG_INFO, "dropped");
    assert_int_equal(log_lost(), lost + 2);
    assert_int_equal(fcntl(out, F_GETFL) & O_NONBLOCK, 0);
    take(in, sink, sizeof(sink));
    log_event(LOG_INFO, "kept");
    take(in, sink, sizeof(sink));
    assert_non_null(strstr(sink, "\"event\":\"kept\""));
    assert_int_equal(log_lost(), lost + 2);
}

static void test_full_pipe_does_not_block(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    assert_drops_when_full(p.out, p.in);
    pipe_close(p);
}

static void test_full_socket_does_not_block(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_drops_when_full(fds[1], fds[0]);
    pipe_close((struct pipe){.out = fds[1], .in = fds[0]});
}

static void test_reader_is_gone(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    uint64_t lost = log_lost();
    log_init(LOG_INFO, p.out, "worker", 0);
    close(p.in);
    log_event(LOG_INFO, "dropped");
    log_init(LOG_INFO, p.out, "worker", 0); /* now it cannot be opened again */
    log_event(LOG_INFO, "dropped");
    log_init(LOG_INFO, -1, "worker", 0);
    log_event(LOG_INFO, "dropped");
    assert_int_equal(log_lost(), lost + 3);
    log_init(LOG_INFO, STDERR_FILENO, "", -1);
    close(p.out);
}

/* A disk that takes half a line: the half is counted, and the next line stands on its own. */
static void test_torn_line_spoils_only_itself(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    struct rlimit was, small;
    char text[8192] = {0};
    uint64_t lost = log_lost();
    assert_non_null(file);
    log_init(LOG_INFO, fileno(file), "worker", 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = (struct rlimit){.rlim_cur = 20, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_event(LOG_INFO, "torn");
    log_event(LOG_INFO, "dropped");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(log_lost(), lost + 2);
    log_event(LOG_INFO, "one");
    log_event(LOG_INFO, "two");
    assert_int_equal(log_lost(), lost + 2);
    assert_true(pread(fileno(file), text, sizeof(text) - 1, 0) > 0);
    char *one = strchr(text, '\n') + 1;
    char *two = strchr(one, '\n') + 1;
    assert_int_equal(one - text, 21);
    assert_int_equal(json_check(str_make(one, (size_t)(two - one)), NULL), 0);
    assert_int_equal(json_check(str_of(two), NULL), 0);
    log_init(LOG_INFO, STDERR_FILENO, "", -1);
    fclose(file);
}

static void test_again_and_again_keeps_no_descriptor(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    log_init(LOG_INFO, p.out, "", -1);
    int before = fcntl(p.out, F_DUPFD_CLOEXEC, 100);
    for (int i = 0; i < 100; i++)
        log_init(LOG_INFO, p.out, "", -1);
    int after = fcntl(p.out, F_DUPFD_CLOEXEC, 100);
    assert_in_range(after, before, before + 1);
    close(before);
    close(after);
    pipe_close(p);
}

static void die(int fd, char *panic, size_t size)
{
    const struct rlimit no_core = {0, 0};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        log_init(LOG_INFO, fd, "writer", -1);
        log_panic_text(panic, size);
        must(1 + 1 == 2);
        must(1 + 1 == 3);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_panic(void **state)
{
    (void)state;
    struct pipe p = pipe_open();
    char line[8192];
    char *panic = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(panic, MAP_FAILED);
    die(p.out, panic, 192);
    take(p.in, line, sizeof(line));
    assert_non_null(strstr(line, "\"level\":\"error\",\"event\":\"panic\",\"role\":\"writer\""));
    assert_non_null(
        strstr(line, "\"what\":\"1 + 1 == 3\",\"file\":\"tests/unit/common/log_test.c\""));
    assert_non_null(strstr(panic, "log_test.c:"));
    assert_non_null(strstr(panic, ": 1 + 1 == 3"));
    memset(panic, '#', 100);
    die(p.out, panic, 8);
    assert_memory_equal(panic, "tests/u\0#", 9);
    die(p.out, NULL, 0);
    die(p.out, panic, 0);
    munmap(panic, 4096);
    pipe_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_it_is_told_anything),
        cmocka_unit_test(test_head_and_every_kind_of_field),
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_cut_at_a_field),
        cmocka_unit_test(test_needs_no_memory_and_keeps_errno),
        cmocka_unit_test(test_full_pipe_does_not_block),
        cmocka_unit_test(test_full_socket_does_not_block),
        cmocka_unit_test(test_reader_is_gone),
        cmocka_unit_test(test_torn_line_spoils_only_itself),
        cmocka_unit_test(test_again_and_again_keeps_no_descriptor),
        cmocka_unit_test(test_panic),
    };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
