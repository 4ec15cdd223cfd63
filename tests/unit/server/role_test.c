/* role: what is refused between exec and the role's main, and what reaches that main. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "server/role.h"
#include "server/supervisor.h"
#include "shm/region.h"

static struct heritage heritage;

static int main_checks(const struct heritage *h, struct conf *conf)
{
    bool same = memcmp(h, &heritage, sizeof(*h)) == 0;

    return same && conf->workers == 3 && strcmp(conf->state_dir, "/tmp/lib") == 0 &&
                   strcmp(log_role(), "worker") == 0
               ? 42
               : 43;
}

static int main_panics(const struct heritage *h, struct conf *conf)
{
    (void)h;
    (void)conf;
    must(!"the role's own bug");
    return 0;
}

static int text_fd(const char *text)
{
    int fd = region_create("test-config", strlen(text));
    void *map;

    assert_true(fd >= 0);
    assert_int_equal(region_map(fd, strlen(text), true, &map), 0);
    memcpy(map, text, strlen(text));
    region_unmap(map, strlen(text));
    return fd;
}

static const char good[] = "state_dir = \"lib\" workers = 3 listen \"127.0.0.1:0\" { }";

static struct board *heritage_make(const char *config)
{
    struct board *board;

    memset(&heritage, 0, sizeof(heritage));
    heritage.layout = board_layout();
    heritage.role = ROLE_WORKER;
    heritage.slot = 1;
    heritage.generation = 7;
    heritage.nworkers = 3;
    heritage.board_fd = board_create(3, &board);
    heritage.config_fd = text_fd(config);
    heritage.log_fd = STDERR_FILENO;
    strcpy(heritage.config_path, "/tmp/restante.conf");
    assert_true(heritage.board_fd >= 0);
    return board;
}

/* Runs the role in a process of its own; the exit status, or 128 + signal. with: has a heritage. */
static int run(role_main_f *main, bool with)
{
    const struct role_entry roles[] = {{ROLE_WORKER, "worker", true, main}};
    char place[64] = "";
    struct title title = {.area = place, .size = sizeof(place)};
    int status;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = with ? heritage_pack(&heritage) : -1;
        close(HERITAGE_FD);
        if (with && (fd < 0 || dup2(fd, HERITAGE_FD) < 0))
            _exit(99);
        int rc = role_run(roles, 1, &title);
        if (rc == 42 && strcmp(place, "restanted: worker 1") != 0)
            rc = 44;
        _exit(rc);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void done(struct board *b)
{
    board_unmap(b);
    close(heritage.board_fd);
    close(heritage.config_fd);
}

static void test_everything_reaches_the_main(void **state)
{
    struct board *b = heritage_make(good);

    (void)state;
    assert_int_equal(run(main_checks, true), 42);
    assert_int_equal(run(main_checks, true), 42); /* the descriptors' offsets are shared */
    done(b);
}

static void test_no_or_strange_heritage(void **state)
{
    struct board *b = heritage_make(good);

    (void)state;
    assert_int_equal(run(main_checks, false), EXIT_USAGE);
    heritage.role = ROLE_WRITER; /* not in our table */
    assert_int_equal(run(main_checks, true), EXIT_USAGE);
    heritage.role = ROLE_WORKER;
    heritage.layout++; /* of another build */
    assert_int_equal(run(main_checks, true), EXIT_USAGE);
    done(b);
}

static void test_no_board(void **state)
{
    struct board *b = heritage_make(good);
    int board_fd = heritage.board_fd;

    (void)state;
    heritage.board_fd = heritage.config_fd;
    assert_int_equal(run(main_checks, true), EXIT_FAILED);
    heritage.board_fd = board_fd;
    done(b);
}

static void test_a_configuration_that_does_not_load(void **state)
{
    struct board *b = heritage_make("workers = many");
    int config_fd = heritage.config_fd;

    (void)state;
    assert_int_equal(run(main_checks, true), EXIT_CONFIG);
    heritage.config_fd = 900; /* not open */
    assert_int_equal(run(main_checks, true), EXIT_CONFIG);
    heritage.config_fd = config_fd;
    done(b);
}

static void test_last_words_are_on_the_seat(void **state)
{
    struct board *b = heritage_make(good);

    (void)state;
    assert_int_equal(run(main_panics, true), 128 + SIGABRT);
    assert_non_null(strstr(b->seat[1].panic, "the role's own bug"));
    assert_string_equal(b->seat[0].panic, "");
    done(b);
}

/* No descriptor of ours may have the heritage's number. */
static int reserve(void **state)
{
    int fd;

    (void)state;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= HERITAGE_FD);
    return close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_reaches_the_main),
        cmocka_unit_test(test_no_or_strange_heritage),
        cmocka_unit_test(test_no_board),
        cmocka_unit_test(test_a_configuration_that_does_not_load),
        cmocka_unit_test(test_last_words_are_on_the_seat),
    };

    return cmocka_run_group_tests(tests, reserve, NULL);
}
