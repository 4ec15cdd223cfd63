/* The writer dies at every step of its batch and of its recovery, and between the pages that its
 * commit writes; whoever comes next finishes or forgets. Afterwards every command was answered
 * once, every accepted message is in the store and on the feed exactly once, in order (rules 1 and
 * 2), and so is every word about subscriptions and fences (rule 5). */
#include "kill_driver.h"

static void one_death(void **state)
{
    (void)state;
    die_everywhere(false, false);
}

static void death_and_deaths_in_recovery(void **state)
{
    (void)state;
    die_everywhere(false, true);
}

/* A session without commands, all answered. */
static void open_alice(struct rig *r)
{
    struct rig_reply reply;
    rig_open(r, "");
    uint64_t id = rig_open_session(r, 0, alice, "alice");
    disk_fills = false;
    assert_int_equal(run_writer(r, 0, NULL), 0);
    assert_true(rig_reply(r, 0, &reply) && reply.id == id);
}

/* A refusal is as final as a success: it is committed, so that no successor runs it again. */
static void death_over_a_refusal(void **state)
{
    (void)state;
    unsigned total = 0;
    for (unsigned at = 0; at == 0 || at <= total; at++) {
        struct rig r;
        struct rig_reply reply, more;
        open_alice(&r);
        uint64_t id = rig_ack(&r, 0, alice, 99);
        assert_int_equal(run_writer(&r, at, &total), at ? DIED : 0);
        if (at)
            assert_int_equal(run_writer(&r, 0, NULL), 0);
        assert_true(rig_reply(&r, 0, &reply));
        assert_true(reply.id == id && reply.code == CODE_CURSOR_RESET);
        assert_false(rig_reply(&r, 0, &more));
        rig_close(&r);
    }
    assert_true(total > 10);
}

/* The disk is full and the writer dies while it says so: what was refused as not stored is not
 * stored, and nothing is answered twice. */
static void death_over_a_full_disk(void **state)
{
    (void)state;
    unsigned total = 0;
    for (unsigned at = 0; at == 0 || at <= total; at++) {
        struct rig r;
        struct rig_reply reply, more;
        open_alice(&r);
        uint64_t id = rig_append(&r, 0, alice, NULL, "1", MESSAGE_JSON);
        disk_fills = true;
        assert_int_equal(run_writer(&r, at, &total), at ? DIED : 0);
        disk_fills = false;
        assert_int_equal(run_writer(&r, 0, NULL), 0);
        uint64_t stored = atomic_load(&r.board->last_seq);
        if (rig_reply(&r, 0, &reply)) {
            assert_int_equal(reply.id, id);
            if (reply.code == CODE_STORE_FULL)
                assert_int_equal(stored, 0);
            else
                assert_true(reply.item == CODE_OK && reply.seq == 1 && stored == 1);
        } else {
            assert_true(at != 0);
            assert_int_equal(stored, 0);
        }
        assert_false(rig_reply(&r, 0, &more));
        rig_close(&r);
    }
    assert_true(total > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_death),
        cmocka_unit_test(death_and_deaths_in_recovery),
        cmocka_unit_test(death_over_a_refusal),
        cmocka_unit_test(death_over_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
