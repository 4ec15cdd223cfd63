/* board_status_test - the status document, to the byte, and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/version.h"
#include "shm/board.h"
#include "tests/unit/failmalloc.h"

static struct board *board;

static int setup(void **state)
{
    (void)state;
    int fd = board_create(6, &board);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_unmap(board);
    return 0;
}

static void seat(unsigned i, int32_t pid, uint32_t state, uint32_t generation, uint32_t respawns)
{
    struct board_seat *s = &board->seat[i];
    atomic_store(&s->pid, pid);
    atomic_store(&s->state, state);
    atomic_store(&s->generation, generation);
    atomic_store(&s->respawns, respawns);
}

static void expect(const char *text)
{
    struct buf b;
    buf_init(&b, 65536);
    assert_int_equal(board_status_json(board, &b), 0);
    assert_int_equal(buf_append_c(&b, '\0'), 0);
    assert_string_equal((const char *)b.data, text);
    cJSON *json = cJSON_Parse((const char *)b.data);
    assert_non_null(json);
    cJSON_Delete(json);
    buf_free(&b);
}

static void test_before_anyone_lives(void **state)
{
    (void)state;
    expect("{\"version\":\"" RESTANTE_VERSION "\",\"supervisor\":{\"pid\":0},"
           "\"writer\":{\"pid\":0,\"state\":\"empty\",\"generation\":0,\"respawns\":0,"
           "\"uptime\":0,\"ready\":false},"
           "\"workers\":[],\"epoch\":\"0000000000000000\",\"last_seq\":0,"
           "\"store\":{\"used\":0,\"limit\":0,\"file\":0,\"sessions\":0,\"messages\":0,"
           "\"full\":false},\"draining\":false}");
}

static void test_a_server_at_work(void **state)
{
    (void)state;
    seat(BOARD_SUPERVISOR, 100, SEAT_RUNNING, 1, 0);
    seat(BOARD_WRITER, 101, SEAT_RUNNING, 3, 2);
    seat(0, 102, SEAT_RUNNING, 1, 0);
    seat(2, 103, SEAT_DRAINING, 4294967295u, 7);
    seat(3, 0, SEAT_DEAD, 2, 1);
    seat(5, 104, SEAT_STARTING, 1, 0);
    metric_set(&board->seat[0].metrics, METRIC_CONNECTIONS, 12);
    metric_set(&board->seat[0].metrics, METRIC_POLLS_PARKED, 5);
    struct metric_block *m = &board->seat[BOARD_WRITER].metrics;
    metric_set(m, METRIC_STORE_USED, 950);
    metric_set(m, METRIC_STORE_LIMIT, 1000);
    metric_set(m, METRIC_STORE_FILE, 970);
    metric_set(m, METRIC_SESSIONS, 3);
    metric_set(m, METRIC_MESSAGES_STORED, 17);
    atomic_store(&board->epoch, UINT64_C(0x9f86d081884c7d65));
    atomic_store(&board->last_seq, UINT64_MAX);
    atomic_store(&board->writer_ready, 1);
    atomic_store(&board->draining, 1);
    expect("{\"version\":\"" RESTANTE_VERSION "\",\"supervisor\":{\"pid\":100},"
           "\"writer\":{\"pid\":101,\"state\":\"running\",\"generation\":3,\"respawns\":2,"
           "\"uptime\":0,\"ready\":true},\"workers\":["
           "{\"slot\":0,\"pid\":102,\"state\":\"running\",\"generation\":1,\"respawns\":0,"
           "\"uptime\":0,\"connections\":12,\"parked\":5},"
           "{\"slot\":2,\"pid\":103,\"state\":\"draining\",\"generation\":4294967295,"
           "\"respawns\":7,\"uptime\":0,\"connections\":0,\"parked\":0},"
           "{\"slot\":3,\"pid\":0,\"state\":\"dead\",\"generation\":2,\"respawns\":1,"
           "\"uptime\":0,\"connections\":0,\"parked\":0},"
           "{\"slot\":5,\"pid\":104,\"state\":\"starting\",\"generation\":1,\"respawns\":0,"
           "\"uptime\":0,\"connections\":0,\"parked\":0}],"
           "\"epoch\":\"9f86d081884c7d65\",\"last_seq\":18446744073709551615,"
           "\"store\":{\"used\":950,\"limit\":1000,\"file\":970,\"sessions\":3,\"messages\":17,"
           "\"full\":true},\"draining\":true}");
}

static void test_uptime_in_seconds(void **state)
{
    (void)state;
    struct board_seat *s = &board->seat[BOARD_WRITER];
    uint64_t now = clock_boot_ms();
    atomic_store(&s->started_ms, now > 90500 ? now - 90500 : 1);
    uint64_t least = (now - atomic_load(&s->started_ms)) / 1000;
    struct buf b;
    buf_init(&b, 65536);
    assert_int_equal(board_status_json(board, &b), 0);
    buf_append_c(&b, '\0');
    cJSON *json = cJSON_Parse((const char *)b.data);
    double got = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "writer"), "uptime")->valuedouble;
    assert_true(got >= (double)least);
    cJSON_Delete(json);
    atomic_store(&s->started_ms, clock_boot_ms() + 5000); /* not before it was born */
    buf_reset(&b);
    assert_int_equal(board_status_json(board, &b), 0);
    assert_non_null(memmem(b.data, b.len, "\"uptime\":0", 10));
    buf_free(&b);
}

static void test_states_have_names(void **state)
{
    (void)state;
    assert_string_equal(seat_state_text(SEAT_EMPTY), "empty");
    assert_string_equal(seat_state_text(SEAT_DEAD), "dead");
    assert_string_equal(seat_state_text(SEAT_DEAD + 1), "unknown");
    assert_string_equal(seat_state_text(UINT32_MAX), "unknown");
}

static void test_no_room_is_said(void **state)
{
    (void)state;
    struct buf whole, b;
    buf_init(&whole, 65536);
    assert_int_equal(board_status_json(board, &whole), 0);
    for (size_t max = 0; max < whole.len; max += 7) {
        buf_init(&b, max);
        assert_int_equal(board_status_json(board, &b), -EMSGSIZE);
        buf_free(&b);
    }
    buf_free(&whole);
}

static int write_status(void *arg)
{
    (void)arg;
    struct buf b;
    buf_init(&b, 65536);
    int err = board_status_json(board, &b);
    buf_free(&b);
    return err;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(failmalloc_each(write_status, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_before_anyone_lives), T(test_a_server_at_work), T(test_uptime_in_seconds),
        T(test_states_have_names),   T(test_no_room_is_said),  T(test_no_memory),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
