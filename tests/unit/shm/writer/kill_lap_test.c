/* As kill_test, with messages that do not fit the feed: a batch each, and laps in their place. A
 * program of its own, since it is many deaths more. */
#include "kill_driver.h"

static void death_with_a_lapped_feed(void **state)
{
    (void)state;
    die_everywhere(true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(death_with_a_lapped_feed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
