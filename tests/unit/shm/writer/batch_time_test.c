/* How long one batch may take: what is long by itself does not come in dozens. */
#include "topic_fixture.h"

#define SESSIONS 30
#define TOPICS 1000

static int set_up(void **state)
{
    return set_up_with(state, "session { max_topics = 1000 }\n");
}

static void open_with_topics(struct fixture *f, int session)
{
    unsigned char names[TOPICS * 16];
    char subject[16];
    struct pack p = pack_into(names, sizeof(names));
    snprintf(subject, sizeof(subject), "s%d", session);
    for (int i = 0; i < TOPICS; i++) {
        char name[16];
        int n = snprintf(name, sizeof(name), "t:%d", session * TOPICS + i);
        pack_u8(&p, (uint8_t)n);
        pack_bytes(&p, name, (size_t)n);
    }
    struct command_open c = {
        .session = {(uint8_t)session + 1},
        .subject = str_of(subject),
        .topics = str_make(names, pack_len(&p)),
    };
    rig_open_as(&f->rig, 0, &c);
    expect_code(f, CODE_OK);
}

/* All of them at once would be a hundred thousand deletes in one transaction. */
static void ends_of_sessions_with_many_topics_are_cut(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < SESSIONS; i++)
        open_with_topics(f, i);
    for (int i = 0; i < SESSIONS; i++) {
        const uint8_t id[SESSION_ID_SIZE] = {(uint8_t)i + 1};
        rig_end(&f->rig, 0, id);
    }
    int taken = batch_run(f->writer);
    assert_in_range(taken, 1, SESSIONS - 1);
    assert_int_equal(run(f).code, CODE_OK);
    assert_int_equal(rows(f, DB_SESSION), 0);
    assert_int_equal(rows(f, DB_TOPIC), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ends_of_sessions_with_many_topics_are_cut, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
