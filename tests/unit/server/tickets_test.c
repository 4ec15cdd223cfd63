/* tickets: random from the start, a new one in front when it is due, three in all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "server/supervisor.h"
#include "server/tickets.h"

static struct conf conf = {.ticket_rotation = 3600000};
static struct supervisor s;

static int up(void **state)
{
    (void)state;
    log_init(LOG_ERROR, STDERR_FILENO, "test", -1);
    memset(&s, 0, sizeof(s));
    s.conf = &conf;
    s.now_ms = 5000;
    s.board_fd = board_create(1, &s.board);
    return s.board_fd < 0;
}

static int down(void **state)
{
    (void)state;
    board_unmap(s.board);
    close(s.board_fd);
    return 0;
}

static struct ticket_keys keys(void)
{
    struct ticket_keys k;
    board_tickets_get(s.board, &k);
    return k;
}

/* An unused place that is all zeros would be a key that everybody knows. */
static void test_every_key_is_random(void **state)
{
    (void)state;
    static const struct ticket_key zero;
    tickets_start(&s);
    struct ticket_keys k = keys();
    for (size_t i = 0; i < TICKET_KEYS; i++) {
        assert_memory_not_equal(k.key[i].name, zero.name, sizeof(zero.name));
        assert_memory_not_equal(k.key[i].aes, zero.aes, sizeof(zero.aes));
        assert_memory_not_equal(k.key[i].hmac, zero.hmac, sizeof(zero.hmac));
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&k.key[i], &k.key[j], sizeof(zero));
    }
}

static void test_rotates_when_due(void **state)
{
    (void)state;
    tickets_start(&s);
    struct ticket_keys first = keys(), second, third;
    s.now_ms += conf.ticket_rotation - 1;
    tickets_proceed(&s);
    second = keys();
    assert_memory_equal(&second, &first, sizeof(first));

    s.now_ms++;
    tickets_proceed(&s);
    tickets_proceed(&s);
    second = keys();
    assert_memory_equal(&second.key[1], &first.key[0], sizeof(first.key[0]));
    assert_memory_equal(&second.key[2], &first.key[1], sizeof(first.key[0]));
    for (size_t i = 0; i < TICKET_KEYS; i++)
        assert_memory_not_equal(&second.key[0], &first.key[i], sizeof(first.key[0]));

    /* However long the machine slept: one step, and the next a whole period later. */
    s.now_ms += 100 * conf.ticket_rotation;
    tickets_proceed(&s);
    tickets_proceed(&s);
    third = keys();
    assert_memory_equal(&third.key[1], &second.key[0], sizeof(first.key[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_key_is_random, up, down),
        cmocka_unit_test_setup_teardown(test_rotates_when_due, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
