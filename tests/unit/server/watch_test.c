/* watch: rule 12 at its limits (pure), and on processes: a stopped role, a hung one, a condemned
 * one.
 */
#include "fake_server.h"

#define T 1000000u /* now */

static void assert_verdict(struct watch_view v, enum watch_verdict wanted, uint64_t age)
{
    uint64_t got = 12345;

    assert_int_equal(watch_judge(&v, T, &got), wanted);
    assert_int_equal(got, wanted == WATCH_WELL ? 12345 : age);
}

static void test_stopped(void **state)
{
    struct watch_view v = {.role = ROLE_WORKER, .started_ms = 1, .beat_ms = T};

    (void)state;
    v.stopped_ms = T - WATCH_STOPPED_MS;
    assert_verdict(v, WATCH_WELL, 0);
    v.stopped_ms--;
    assert_verdict(v, WATCH_STOPPED, WATCH_STOPPED_MS + 1);
    v.role = ROLE_WRITER;
    v.sync_since_ms = T - 10; /* whatever it was doing */
    assert_verdict(v, WATCH_STOPPED, WATCH_STOPPED_MS + 1);
}

static void test_worker_in_a_transaction(void **state)
{
    struct watch_view v = {.role = ROLE_WORKER, .started_ms = 1, .beat_ms = T};

    (void)state;
    v.txn_since_ms = T - WATCH_WORKER_TXN_MS;
    assert_verdict(v, WATCH_WELL, 0);
    v.txn_since_ms--;
    assert_verdict(v, WATCH_TXN, WATCH_WORKER_TXN_MS + 1);
}

static void test_writer_in_a_transaction(void **state)
{
    struct watch_view v = {.role = ROLE_WRITER, .started_ms = 1, .beat_ms = T};

    (void)state;
    v.txn_since_ms = T - WATCH_WRITER_TXN_MS;
    assert_verdict(v, WATCH_WELL, 0);
    v.txn_since_ms--;
    assert_verdict(v, WATCH_TXN, WATCH_WRITER_TXN_MS + 1);
}

static void test_fsync_does_not_count(void **state)
{
    struct watch_view v = {.role = ROLE_WRITER, .started_ms = 1};

    (void)state;
    v.beat_ms = v.txn_since_ms = T - 50000;
    v.sync_since_ms = T - 49000;
    v.sync_seen_ms = T;
    assert_verdict(v, WATCH_WELL, 0);
    v.sync_since_ms = 0; /* just out of it, the transaction not closed yet */
    v.sync_seen_ms = T - 400;
    assert_verdict(v, WATCH_WELL, 0);
    v.sync_seen_ms = T - WATCH_WRITER_TXN_MS - 1;
    assert_verdict(v, WATCH_TXN, WATCH_WRITER_TXN_MS + 1);
}

static void test_heartbeat(void **state)
{
    struct watch_view v = {.role = ROLE_WORKER, .started_ms = 1};

    (void)state;
    v.beat_ms = T - WATCH_BEAT_MS;
    assert_verdict(v, WATCH_WELL, 0);
    v.beat_ms--;
    assert_verdict(v, WATCH_BEAT, WATCH_BEAT_MS + 1);
    v.role = ROLE_WRITER;
    assert_verdict(v, WATCH_BEAT, WATCH_BEAT_MS + 1);
    v.sync_since_ms = T - 100;
    v.beat_ms = T - WATCH_SYNC_BEAT_MS;
    assert_verdict(v, WATCH_WELL, 0);
    v.beat_ms--;
    assert_verdict(v, WATCH_BEAT, WATCH_SYNC_BEAT_MS + 1);
}

static void test_a_role_that_never_beat_is_judged_from_its_start(void **state)
{
    struct watch_view v = {.role = ROLE_WORKER, .started_ms = T - WATCH_BEAT_MS};

    (void)state;
    assert_verdict(v, WATCH_WELL, 0);
    v.started_ms--;
    assert_verdict(v, WATCH_BEAT, WATCH_BEAT_MS + 1);
}

static void test_what_a_predecessor_left_is_not_held_against_anyone(void **state)
{
    struct watch_view v = {.role = ROLE_WORKER, .started_ms = T - 100};

    (void)state;
    v.beat_ms = T - 60000;
    v.txn_since_ms = T - 30000;
    assert_verdict(v, WATCH_WELL, 0);
    v.role = ROLE_WRITER;
    v.sync_since_ms = T - 30000;
    assert_verdict(v, WATCH_WELL, 0);
}

static void test_nobody_is_judged_by_what_the_supervisor_slept_through(void **state)
{
    struct watch_view v = {.role = ROLE_WORKER, .started_ms = 1, .resumed_ms = T - 100};

    (void)state;
    v.beat_ms = v.txn_since_ms = v.stopped_ms = T - 90000;
    assert_verdict(v, WATCH_WELL, 0);
    v.resumed_ms = T - WATCH_STOPPED_MS - 1;
    assert_verdict(v, WATCH_STOPPED, WATCH_STOPPED_MS + 1);
}

static void test_times_ahead_of_ours_are_fresh(void **state)
{
    struct watch_view v = {.role = ROLE_WRITER, .started_ms = 1};

    (void)state;
    v.beat_ms = v.txn_since_ms = T + 3;
    assert_verdict(v, WATCH_WELL, 0);
    v.sync_since_ms = T + 3;
    assert_verdict(v, WATCH_WELL, 0);
}

static void assert_put_down(struct fake_server *s, const char *event, const char *who,
                            const char *reason)
{
    char word[32];

    snprintf(word, sizeof(word), "\"who\":\"%s\"", who);
    const char *line = FAKE_WAIT(s, 1, event, word);
    assert_non_null(strstr(line, reason));
    line = FAKE_WAIT(s, 1, "\"role_ended\"", word);
    assert_non_null(strstr(line, "\"signal\":\"KILL\""));
    FAKE_WAIT(s, 2, "\"role_started\"", word);
    assert_int_equal(fake_stop(s), EXIT_OK);
    fake_remove(s);
}

static void test_a_stopped_worker_is_replaced(void **state)
{
    struct fake_server s;

    (void)state;
    fake_start(&s, "listen \"127.0.0.1:0\" { } workers = 2");
    kill(fake_pid_of(&s, "worker 0", 1), SIGSTOP);
    FAKE_WAIT(&s, 1, "\"role_stopped\"", "\"signal\":\"STOP\"");
    assert_put_down(&s, "\"role_hung\"", "worker 0", "stopped");
}

static void test_a_worker_that_goes_on_in_time_lives(void **state)
{
    struct fake_server s;

    (void)state;
    fake_start(&s, "listen \"127.0.0.1:0\" { } workers = 1");
    pid_t pid = fake_pid_of(&s, "worker 0", 1);
    kill(pid, SIGSTOP);
    FAKE_WAIT(&s, 1, "\"role_stopped\"");
    kill(pid, SIGCONT);
    FAKE_WAIT(&s, 1, "\"role_continued\"");
    assert_int_equal(fake_stop(&s), EXIT_OK);
    assert_string_equal(FAKE_FIND(&s, 1, "\"role_hung\""), "");
    fake_remove(&s);
}

static void test_a_worker_that_hangs_in_a_transaction_is_replaced(void **state)
{
    struct fake_server s;

    (void)state;
    setenv("FAKE_WORKER_1", "txn", 1);
    fake_start(&s, "listen \"127.0.0.1:0\" { } workers = 2");
    unsetenv("FAKE_WORKER_1");
    assert_put_down(&s, "\"role_hung\"", "worker 1", "transaction");
}

static void test_a_condemned_worker_is_replaced(void **state)
{
    struct fake_server s;

    (void)state;
    setenv("FAKE_WORKER_0", "condemned", 1);
    fake_dir(&s);
    fake_fork(&s, "listen \"127.0.0.1:0\" { } workers = 1");
    unsetenv("FAKE_WORKER_0");
    assert_put_down(&s, "\"role_condemned\"", "worker 0", "garbage");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_worker_in_a_transaction),
        cmocka_unit_test(test_writer_in_a_transaction),
        cmocka_unit_test(test_fsync_does_not_count),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_a_role_that_never_beat_is_judged_from_its_start),
        cmocka_unit_test(test_what_a_predecessor_left_is_not_held_against_anyone),
        cmocka_unit_test(test_nobody_is_judged_by_what_the_supervisor_slept_through),
        cmocka_unit_test(test_times_ahead_of_ours_are_fresh),
        cmocka_unit_test(test_a_stopped_worker_is_replaced),
        cmocka_unit_test(test_a_worker_that_goes_on_in_time_lives),
        cmocka_unit_test(test_a_worker_that_hangs_in_a_transaction_is_replaced),
        cmocka_unit_test(test_a_condemned_worker_is_replaced),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
