/* presence_diff_test - how changes are gathered and announced: windows, what cancels, cuts, room,
 * and what becomes of them when a writer dies or a transaction is lost. */
#include "presence_fixture.h"

#define ROOM "p:room"
#define LEASE 3600000
#define FOLLOWER 5000

static struct view view;

static uint8_t *id_of(unsigned i)
{
    static uint8_t id[SESSION_ID_SIZE];
    memset(id, 0, sizeof(id));
    id[0] = (uint8_t)(i + 1);
    id[1] = (uint8_t)((i + 1) >> 8);
    id[15] = 1;
    return id;
}

static void come(struct fixture *f, unsigned from, unsigned to)
{
    char subject[16];
    for (unsigned i = from; i < to; i++) {
        snprintf(subject, sizeof(subject), "user%u", i);
        open_session(f, id_of(i), subject);
        connect_by(f, 0, id_of(i), 7, LEASE);
    }
}

/* Someone follows the list, who is no member. */
static int set_up_room(void **state)
{
    int rc = set_up(state);
    struct fixture *f = *state;
    come(f, FOLLOWER, FOLLOWER + 1);
    rig_subscribe(&f->rig, 0, id_of(FOLLOWER), ROOM, 0);
    expect_code(f, CODE_OK);
    view = (struct view){.name = ROOM};
    fetch(f, &view);
    return rc;
}

/* Without their answers being looked at: many commands in one transaction. */
static void say(struct fixture *f, unsigned i, const char *presence)
{
    rig_track(&f->rig, 0, id_of(i), ROOM, presence);
}

static size_t metas_in(const char *text, const char *which)
{
    size_t n = 0;
    cJSON *o = cJSON_Parse(text);
    for (cJSON *key = item(o, which)->child; key; key = key->next)
        n += (size_t)cJSON_GetArraySize(key->child);
    cJSON_Delete(o);
    return n;
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    come(f, 0, 3);
    /* In one transaction it came and went: nobody can have seen it. */
    say(f, 0, "{}");
    say(f, 0, "null");
    settle(f);
    pass_ms(f, WINDOW);
    assert_int_equal(f->ndiffs, 0);
    assert_int_equal(topic_named(f, ROOM).dirty_ms, 0);
    /* Between the two of them someone may have fetched the list. */
    track(f, id_of(0), ROOM, "{}");
    static struct view between;
    between = (struct view){.name = ROOM};
    fetch(f, &between);
    assert_int_equal(between.n, 1);
    track(f, id_of(0), ROOM, "{\"b\":1}");
    track(f, id_of(0), ROOM, "null");
    expect_up_to_date(f, &view);
    expect_up_to_date(f, &between);
    assert_int_equal(f->ndiffs, 1);
    assert_int_equal(metas_in(f->diff[0].text, "joins"), 0);
    assert_true(view.fetched == 1 && between.fetched == 1 && between.n == 0);
    /* Many updates are one, whose prev_ref is the ref that was announced. */
    track(f, id_of(1), ROOM, "{}");
    expect_up_to_date(f, &view);
    char prev[64];
    snprintf(prev, sizeof(prev), "\"prev_ref\":\"%s\"", view.seat[0].ref);
    say(f, 1, "{\"n\":1}");
    track(f, id_of(1), ROOM, "{\"n\":2}");
    say(f, 1, "null");
    track(f, id_of(1), ROOM, "{\"n\":3}");
    expect_up_to_date(f, &view);
    assert_int_equal(f->ndiffs, 3);
    assert_int_equal(metas_in(f->diff[2].text, "joins"), 1);
    assert_int_equal(metas_in(f->diff[2].text, "leaves"), 0);
    assert_non_null(strstr(f->diff[2].text, prev));
    assert_string_equal(view.seat[0].meta, "{\"n\":3}");
    /* And a leave names that one too, whatever came after it. */
    snprintf(prev, sizeof(prev), "\"ref\":\"%s\"", view.seat[0].ref);
    track(f, id_of(1), ROOM, "{\"n\":4}");
    track(f, id_of(1), ROOM, "null");
    expect_up_to_date(f, &view);
    assert_non_null(strstr(f->diff[3].text, prev));
    assert_null(strstr(f->diff[3].text, "prev_ref"));
    assert_int_equal(view.fetched, 1);
}

/* A thousand joins in a second: a diff for each window, versions one after another. */
static void test_a_thousand_joins(void **state)
{
    struct fixture *f = *state;
    come(f, 0, 1000);
    uint64_t version = topic_named(f, ROOM).version;
    f->ndiffs = 0;
    for (unsigned i = 0; i < 1000; i++) {
        track(f, id_of(i), ROOM, "{\"name\":\"somebody\"}");
        pass_ms(f, 1);
    }
    assert_in_range(f->ndiffs, 10, 20);
    expect_up_to_date(f, &view);
    assert_true(view.n == 1000 && view.fetched == 1);
    assert_int_equal(view.version, version + f->ndiffs);
    assert_int_equal(f->writer->metrics->v[METRIC_PRESENCE_DIFFS], f->ndiffs);
    assert_int_equal(f->writer->metrics->v[METRIC_PRESENCE_CHANGES], 1000);
}

/* All at once: cut, and no more of it in one transaction than the feed has room for. */
static void test_cut(void **state)
{
    struct fixture *f = *state;
    char meta[70];
    come(f, 0, 300);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(meta, sizeof(meta), "{\"padding\":\"%040u\"}", i);
        say(f, i, meta);
        if (i % 50 == 0)
            settle(f);
    }
    settle(f);
    uint64_t version = topic_named(f, ROOM).version;
    pass_ms(f, WINDOW);
    assert_true(f->ndiffs > 5);
    assert_int_equal(topic_named(f, ROOM).version, version + f->ndiffs);
    for (size_t i = 0; i < f->ndiffs; i++)
        assert_true(strlen(f->diff[i].text) <= f->rig.conf->shm_feed / 8);
    expect_up_to_date(f, &view);
    assert_true(view.n == 300 && view.fetched == 1); /* there was no lap */
    for (unsigned i = 0; i < 300; i++) {
        say(f, i, "null");
        if (i % 50 == 0)
            settle(f);
    }
    expect_up_to_date(f, &view);
    assert_true(view.n == 0 && view.fetched == 1);
}

/* A diff is a little larger than what is left of the feed's quarter behind a batch: it waits for
 * the next transaction. */
static void test_room(void **state)
{
    struct fixture *f = *state;
    char meta[70];
    static char text[7000];
    come(f, 0, 40);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(meta, sizeof(meta), "{\"padding\":\"%040u\"}", i);
        say(f, i, meta);
    }
    settle(f);
    memset(text, '5', sizeof(text) - 1);
    for (int i = 0; i < 2; i++)
        rig_append(&f->rig, 0, id_of(FOLLOWER), NULL, text, MESSAGE_JSON);
    clock_ms += WINDOW;
    assert_int_equal(batch_run(f->writer), 0 + 2);
    expect_up_to_date(f, &view);
    assert_true(view.n == 40 && view.fetched == 1);
}

/* What a dead writer had not announced is never announced: everyone fetches the list. */
static void test_writer_dies(void **state)
{
    struct fixture *f = *state;
    come(f, 0, 3);
    track(f, id_of(0), ROOM, "{}");
    expect_up_to_date(f, &view);
    track(f, id_of(1), ROOM, "{}");
    track(f, id_of(0), ROOM, "null");
    new_writer(f);
    uint64_t version = view.version;
    pass_ms(f, 1000);
    follow(f, &view);
    assert_int_equal(view.version, version);
    pass_ms(f, 1000);
    pass_ms(f, WINDOW);
    follow(f, &view);
    assert_int_equal(view.fetched, 2);
    assert_int_equal(view.version, version + 2);
    assert_true(view.n == 1 && sits(&view, id_of(1)));
    assert_int_equal(metas_in(f->diff[f->ndiffs - 1].text, "joins"), 0);
    size_t said = f->ndiffs;
    pass_ms(f, 5000);
    assert_int_equal(f->ndiffs, said);

    /* The next one has something to say itself before it comes upon what was lost. */
    track(f, id_of(2), ROOM, "{}");
    new_writer(f);
    track(f, id_of(0), ROOM, "{}");
    expect_up_to_date(f, &view);
    assert_int_equal(view.fetched, 3);
    assert_int_equal(view.n, 3);
    expect_sound(f);
    pass_ms(f, 5000);
    assert_int_equal(f->ndiffs, said + 1);
    expect_up_to_date(f, &view);
    assert_int_equal(view.fetched, 3);
}

/* A writer that is slow, not dead, comes upon its own topic. */
static void test_late(void **state)
{
    struct fixture *f = *state;
    come(f, 0, 1);
    track(f, id_of(0), ROOM, "{}");
    clock_ms += 5000;
    settle(f);
    follow(f, &view);
    assert_true(view.n == 1 && view.fetched == 1);
    expect_sound(f);
    pass_ms(f, 5000);
    assert_int_equal(f->ndiffs, 1);
}

/* A transaction that is lost takes what was gathered along. */
static void test_abort(void **state)
{
    struct fixture *f = *state;
    come(f, 0, 2);
    track(f, id_of(0), ROOM, "{}");
    forget_all(f->writer);
    pass_ms(f, WINDOW);
    assert_int_equal(f->ndiffs, 0);
    track(f, id_of(1), ROOM, "{}");
    expect_up_to_date(f, &view);
    assert_true(view.n == 2 && view.fetched == 2);
}

/* Nobody is left to be told; and the topic that is made anew is not taken for the old one. */
static void test_topic_goes(void **state)
{
    struct fixture *f = *state;
    come(f, 0, 1);
    track(f, id_of(0), "p:short", "{}");
    uint64_t version = topic_named(f, "p:short").version;
    rig_unsubscribe(&f->rig, 0, id_of(0), "p:short", 0);
    expect_code(f, CODE_OK);
    assert_int_equal(stream_named(f, "p:short"), 0);
    expect_sound(f);
    pass_ms(f, WINDOW);
    assert_int_equal(f->ndiffs, 0);
    track(f, id_of(0), "p:short", "{}");
    assert_true(topic_named(f, "p:short").version > version);
    pass_ms(f, 5000);
    assert_int_equal(f->ndiffs, 1);
}

/* Topics are due in the order in which they began, each in its own time. */
static void test_two_topics(void **state)
{
    struct fixture *f = *state;
    come(f, 0, 2);
    track(f, id_of(0), "p:a", "{}");
    pass_ms(f, WINDOW / 2);
    track(f, id_of(0), "p:b", "{}");
    pass_ms(f, WINDOW / 2);
    assert_int_equal(f->ndiffs, 1);
    assert_int_equal(f->diff[0].topic, stream_named(f, "p:a"));
    track(f, id_of(1), "p:a", "{}");
    pass_ms(f, WINDOW / 2);
    assert_int_equal(f->ndiffs, 2);
    assert_int_equal(f->diff[1].topic, stream_named(f, "p:b"));
    pass_ms(f, WINDOW / 2);
    assert_int_equal(f->ndiffs, 3);
    assert_int_equal(presence_wait_ms(f->writer, 200), 200);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    open_session(f, id_of(0), "__proto__");
    open_session(f, id_of(1), "a\"\\\n");
    track(f, id_of(0), ROOM, "{\"__proto__\":{}}");
    track(f, id_of(1), ROOM, "{}");
    expect_up_to_date(f, &view);
    assert_true(view.n == 2 && view.fetched == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cancel, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_a_thousand_joins, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_cut, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_room, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_writer_dies, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_late, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_abort, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_topic_goes, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_two_topics, set_up_room, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up_room, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
