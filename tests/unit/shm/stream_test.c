/* stream_test - heads, and what a reader may be shown. */
#include "tests/unit/shm/stream_fixture.h"

static void test_heads(void **state)
{
    struct fixture *f = *state;
    struct stream_head h, got;
    fixture_write(f);
    uint64_t a = new_stream(f, STREAM_MAILBOX), b = new_stream(f, STREAM_TOPIC);
    assert_int_not_equal(a, b);
    assert_int_equal(head_of(f, a).kind, STREAM_MAILBOX);
    assert_int_equal(head_of(f, b).kind, STREAM_TOPIC);
    memset(&h, 0x5a, sizeof(h));
    assert_int_equal(stream_head_put(f->txn, a, &h), 0);
    assert_int_equal(stream_head(f->txn, a, &got), 0);
    assert_memory_equal(&got, &h, sizeof(h));
    assert_int_equal(head_of(f, b).last, 0);
    assert_int_equal(stream_head(f->txn, 999, &got), -ENOENT);
}

static void test_malformed_head(void **state)
{
    struct fixture *f = *state;
    struct stream_head h;
    unsigned char key[KEY_STREAM];
    fixture_write(f);
    assert_int_equal(txn_put(f->txn, DB_LOG, key_stream(key, 5, STREAM_HEAD_SEQ), STR("short")), 0);
    assert_int_equal(stream_head(f->txn, 5, &h), -EUCLEAN);
}

static void test_visible(void **state)
{
    (void)state;
    struct stream_head h = {.floor = 10};
    struct message m = {.seq = 10, .time_ms = 1000};
    assert_false(stream_visible(&h, &m, 1000, 0)); /* at the floor */
    m.seq = 11;
    assert_true(stream_visible(&h, &m, 1000, 0));
    m.expires_ms = 2000;
    assert_true(stream_visible(&h, &m, 1999, 0));
    assert_false(stream_visible(&h, &m, 2000, 0)); /* expired is expired at once */
    m.expires_ms = 0;
    assert_true(stream_visible(&h, &m, 1499, 500));
    assert_false(stream_visible(&h, &m, 1500, 500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_heads),
        fixture_test(test_malformed_head),
        cmocka_unit_test(test_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
