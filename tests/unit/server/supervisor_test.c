/* supervisor: the loop hears its bell, and what it cannot even begin with. */
#include "fake_server.h"

#include "../failmalloc.h"

#define LISTEN "listen \"127.0.0.1:0\" { } workers = 2"

static void test_a_worker_that_wants_new_keys_gets_them(void **state)
{
    struct fake_server s;
    struct session_keys keys;
    char dir[96];

    (void)state;
    setenv("FAKE_WORKER_1", "rotate", 1);
    fake_start(&s, LISTEN);
    unsetenv("FAKE_WORKER_1");
    uint64_t id = fake_number(FAKE_WAIT(&s, 1, "\"keys_rotated\""), "key");
    snprintf(dir, sizeof(dir), "%s/lib", s.dir);
    assert_int_equal(keys_load(dir, &keys), 0);
    assert_int_equal(keys.key[0].id, id);
    assert_int_not_equal(keys.key[1].id, 0);
    assert_int_equal(fake_stop(&s), EXIT_OK);
    assert_string_equal(FAKE_FIND(&s, 2, "\"keys_rotated\""), ""); /* once for one wish */
    fake_remove(&s);
}

static void test_no_memory_to_begin_with(void **state)
{
    struct conf conf = {.workers = 1, .log_level = LOG_ERROR};

    (void)state;
    failmalloc_arm(1);
    assert_int_equal(supervisor_main(&conf, STR(""), "/x"), EXIT_FAILED);
    assert_true(failmalloc_disarm());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_that_wants_new_keys_gets_them),
        cmocka_unit_test(test_no_memory_to_begin_with),
    };

    if (fake_is_role(argc, argv))
        return fake_role(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
