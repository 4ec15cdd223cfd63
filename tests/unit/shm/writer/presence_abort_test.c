/* The disk fails under changes of who is here, and under what announces them. What was answered
 * with OK is so, the store is sound, and whoever follows the diffs knows what the list says: what
 * an aborted transaction took along, everyone fetches. */
#include "failing_disk.h"
#include "presence_fixture.h"

#define ROOM "p:room"

static const uint8_t alice[SESSION_ID_SIZE] = {1}, bob[SESSION_ID_SIZE] = {2};
static struct view view;

static int set_up_room(void **state)
{
    armed = false;
    int rc = set_up(state);
    struct fixture *f = *state;
    open_session(f, alice, "alice");
    open_session(f, bob, "bob");
    connect_by(f, 0, alice, 7, 3600 * 1000);
    connect_by(f, 0, bob, 8, 3600 * 1000);
    track(f, bob, ROOM, "{}");
    view = (struct view){.name = ROOM};
    expect_up_to_date(f, &view);
    return rc;
}

/* A writer that must leave is followed by a new one; a sweep that failed is tried again later. */
static void run(struct fixture *f)
{
    for (int turn = 0; turn < 20; turn++) {
        storetime_turn(f->writer);
        int took = batch_run(f->writer);
        collect(f);
        if (took < 0) {
            armed = false; /* it opens the store without trouble */
            new_writer(f);
        }
    }
}

static bool is_tracked(struct fixture *f, const uint8_t id[SESSION_ID_SIZE])
{
    static struct view now;
    now.name = ROOM;
    fetch(f, &now);
    return sits(&now, id);
}

static enum code last_answer(struct fixture *f)
{
    struct rig_reply r = {0};
    while (r.id != f->rig.last_id)
        assert_true(rig_reply(&f->rig, 0, &r));
    return r.code;
}

/* times: how many steps fail, from each in its turn. late: only of what announces. */
static void steps_fail(void **state, int with, unsigned times, bool late)
{
    struct fixture *f = *state;
    char meta[32];
    bool tracked = false;
    unsigned at = 0, most = 0;
    do {
        at++;
        snprintf(meta, sizeof(meta), "{\"n\":%u}", at);
        rig_track(&f->rig, 0, bob, ROOM, meta);
        rig_track(&f->rig, 0, alice, ROOM, tracked ? "null" : "{}");
        arm(at, late ? 0 : times, with);
        run(f);
        armed = false;
        most = steps > most ? steps : most;
        enum code code = last_answer(f);
        if (code == CODE_OK)
            tracked = !tracked;
        else
            assert_true(times > 1 && (code == CODE_STORE_FULL || code == CODE_UNAVAILABLE));
        assert_int_equal(is_tracked(f, alice), tracked);
        clock_ms += WINDOW;
        arm(at, times, with);
        run(f);
        armed = false;
        if (at % 2)
            follow(f, &view);
        clock_ms += 3000; /* also for what was lost, and for the next try */
        settle(f);
        expect_up_to_date(f, &view);
        expect_sound(f);
    } while (at < most);
    assert_true(at > 2 && view.fetched > 1);
    uint64_t fetched = view.fetched;
    track(f, bob, ROOM, "{}");
    expect_up_to_date(f, &view);
    assert_int_equal(view.fetched, fetched);
}

static void a_full_disk_at_one_step(void **state)
{
    steps_fail(state, ENOSPC, 1, false);
}

static void a_broken_disk_at_one_step(void **state)
{
    steps_fail(state, EIO, 1, false);
}

/* What is refused has changed nothing, and nobody need know. */
static void a_disk_is_full(void **state)
{
    struct fixture *f = *state;
    rig_track(&f->rig, 0, alice, ROOM, "{}");
    arm(1, 1000000, ENOSPC);
    run(f);
    armed = false;
    assert_int_equal(last_answer(f), CODE_STORE_FULL);
    assert_false(is_tracked(f, alice));
    size_t said = f->ndiffs;
    clock_ms += 3000;
    settle(f);
    expect_up_to_date(f, &view);
    assert_true(view.fetched == 1 && f->ndiffs == said);
}

static void a_disk_stays_full(void **state)
{
    steps_fail(state, ENOSPC, 1000000, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_disk_at_one_step, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_disk_at_one_step, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_is_full, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_stays_full, set_up_room, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
