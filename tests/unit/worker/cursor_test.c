/* cursor_test - what is ours, what is not, and where to go on from then. */
#include "route_harness.h"

#include "worker/cursor.h"

static struct cursor_reset reset;
static uint64_t seq;

static int judge(const char *text)
{
    return cursor_judge(F.route, &F.session[0], str_of(text), &seq, &reset);
}

static void ours(void **state)
{
    (void)state;
    F.last_seq = 9;
    assert_int_equal(judge("9f86d081884c7d65.9"), 0);
    assert_int_equal(seq, 9); /* the board does not know it yet */
    feed_end(FEED_COMMIT);
    proceed();
    unsigned reads = F.reads;
    assert_int_equal(judge("9f86d081884c7d65.0"), 0);
    assert_int_equal(seq, 0);
    assert_int_equal(F.reads, reads);
    assert_int_equal(judge(""), -EINVAL);
    assert_int_equal(judge("9f86d081884c7d65"), -EINVAL);
    assert_int_equal(judge("9f86d081884c7d65.01"), -EINVAL);
}

static void not_ours(void **state)
{
    (void)state;
    F.last_seq = 9;
    assert_int_equal(judge("9f86d081884c7d65.10"), 1);
    assert_string_equal(reset.reason, "ahead");
    assert_int_equal(reset.oldest, 0);
    assert_int_equal(reset.newest, 9);
    assert_int_equal(judge("9f86d081884c7d66.1"), 1);
    assert_string_equal(reset.reason, "epoch");
    F.session[0].acked = 4;
    assert_int_equal(judge("9f86d081884c7d66.1"), 1);
    assert_int_equal(reset.oldest, 4);
    F.trimmed = 7;
    assert_int_equal(judge("9f86d081884c7d66.1"), 1);
    assert_int_equal(reset.oldest, 7);
}

/* The mailbox was trimmed beyond what lies unread in a topic. */
static void the_oldest_of_all_streams(void **state)
{
    (void)state;
    static const struct {
        uint64_t acked, join, want;
    } rows[] = {{2, 3, 3}, {4, 3, 4}, {2, 8, 7}, {9, 3, 9}};
    F.last_seq = 9;
    F.trimmed = 7;
    F.topic[0] = (struct topic){.stream = 100, .name = STR("t")};
    F.subscribed[0].mailbox = F.session[0].stream;
    F.subscribed[0].s.topic = 100;
    F.nsubscribed = 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        F.session[0].acked = rows[i].acked;
        F.subscribed[0].s.join = rows[i].join;
        assert_int_equal(judge("9f86d081884c7d66.1"), 1);
        assert_int_equal(reset.oldest, rows[i].want);
    }
}

static void as_text(void **state)
{
    (void)state;
    char memory[256];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    cursor_reset_members(&b, EPOCH, &(struct cursor_reset){"epoch", 1, 23});
    buf_append_c(&b, '\0');
    assert_string_equal(memory, "\"reason\":\"epoch\",\"oldest\":\"9f86d081884c7d65.1\","
                                "\"newest\":\"9f86d081884c7d65.23\"");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, harness_open, harness_close)
    const struct CMUnitTest tests[] = {
        T(ours),
        T(not_ours),
        T(the_oldest_of_all_streams),
        T(as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
