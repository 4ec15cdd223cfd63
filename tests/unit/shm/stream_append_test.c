/* stream_append_test - prev and skipped, collapse, full mailboxes, lazy trimming. */
#include "tests/unit/shm/stream_fixture.h"

static const struct stream_limits SMALL = {
    .messages = 3, .bytes = 100, .refuse = true, .receipts = true, .receipts_ms = 1000};

static void test_prev_never_restarts(void **state)
{
    struct fixture *f = *state;
    struct entry e;
    uint64_t removed;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &UNBOUNDED, 2);
    f->meta.last_seq = 100; /* seqs of other streams */
    append_many(f, s, &UNBOUNDED, 1);
    assert_int_equal(head_of(f, s).last, 101);
    assert_int_equal(stream_ack(f->txn, s, 101, f->now_ms, &UNBOUNDED, &f->budget, &removed), 0);
    assert_int_equal(removed, 3);
    assert_int_equal(entry_first(f->txn, s, 1, &e), -ENOENT);
    struct message m = {.seq = 200, .payload = STR("x")};
    assert_int_equal(stream_append(f->txn, s, &m, &UNBOUNDED, f->now_ms, &f->budget), 0);
    assert_int_equal(m.prev, 101);
    assert_false(m.flags & MESSAGE_SKIPPED); /* an ack makes no hole */
}

static void test_skipped(void **state)
{
    struct fixture *f = *state;
    struct stream_limits aged = {.age_ms = 5000};
    uint16_t flags;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    assert_int_equal(append_to(f, s, &aged, (struct put){.ttl_ms = 100}, &flags), 0);
    assert_false(flags & MESSAGE_SKIPPED); /* nothing is before it */
    assert_int_equal(append_to(f, s, &aged, (struct put){0}, &flags), 0);
    assert_false(flags & MESSAGE_SKIPPED); /* what is before it lives yet */
    assert_int_equal(append_to(f, s, &aged, (struct put){.ttl_ms = 100}, &flags), 0);
    f->now_ms += 100;
    assert_int_equal(append_to(f, s, &aged, (struct put){.collapse = "k"}, &flags), 0);
    assert_true(flags & MESSAGE_SKIPPED); /* past its ttl, not swept yet */
    assert_int_equal(append_to(f, s, &aged, (struct put){.collapse = "k"}, &flags), 0);
    assert_true(flags & MESSAGE_SKIPPED); /* replaced by this very one */
    assert_int_equal(append_to(f, s, &aged, (struct put){0}, &flags), 0);
    assert_false(flags & MESSAGE_SKIPPED);
    f->now_ms += 5000;
    assert_int_equal(append_to(f, s, &aged, (struct put){0}, &flags), 0);
    assert_true(flags & MESSAGE_SKIPPED); /* past its age */
}

static void test_collapse(void **state)
{
    struct fixture *f = *state;
    struct stream_gone gone = {0};
    struct stream_limits l = UNBOUNDED;
    uint64_t removed;
    l.gone = &gone;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append_to(f, s, &l, (struct put){.collapse = "a", .bytes = 5}, NULL), 0);
        assert_int_equal(append_to(f, s, &l, (struct put){.collapse = "b", .bytes = 7}, NULL), 0);
    }
    assert_int_equal(head_of(f, s).count, 2);
    assert_int_equal(head_of(f, s).bytes, 12);
    assert_int_equal(gone.replaced, 4);
    assert_true(is_there(f, s, 5) && is_there(f, s, 6) && !is_there(f, s, 4));
    assert_int_equal(txn_entries(f->txn, DB_COLLAPSE), 2);
    /* A bearer below the floor is replaced by nobody. */
    f->budget = 0;
    assert_int_equal(stream_ack(f->txn, s, 6, f->now_ms, &l, &f->budget, &removed), 0);
    assert_int_equal(append_to(f, s, &l, (struct put){.collapse = "a"}, NULL), 0);
    assert_int_equal(gone.replaced, 4);
    f->budget = 10;
    assert_int_equal(stream_reclaim(f->txn, s, &f->budget), 0);
    assert_int_equal(txn_entries(f->txn, DB_COLLAPSE), 1);
    assert_true(is_there(f, s, 7));
}

static void test_full(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &SMALL, 3);
    struct stream_head before = head_of(f, s);
    assert_int_equal(append_to(f, s, &SMALL, (struct put){0}, NULL), CODE_MAILBOX_FULL);
    struct stream_head after = head_of(f, s);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(f->meta.last_seq, 3);
    uint64_t b = new_stream(f, STREAM_MAILBOX);
    assert_int_equal(append_to(f, b, &SMALL, (struct put){.bytes = 101}, NULL), CODE_MAILBOX_FULL);
    assert_int_equal(append_to(f, b, &SMALL, (struct put){.bytes = 100}, NULL), 0);
    assert_int_equal(append_to(f, b, &SMALL, (struct put){.bytes = 1}, NULL), CODE_MAILBOX_FULL);
    assert_int_equal(append_to(f, b, &SMALL, (struct put){.bytes = 0}, NULL), 0);
}

/* What it replaces makes the room. */
static void test_full_but_replacing(void **state)
{
    struct fixture *f = *state;
    struct put keyed = {.bytes = 10, .collapse = "k"};
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    assert_int_equal(append_to(f, s, &SMALL, keyed, NULL), 0);
    append_many(f, s, &SMALL, 2);
    assert_int_equal(append_to(f, s, &SMALL, keyed, NULL), 0);
    assert_int_equal(head_of(f, s).count, 3);
    keyed.bytes = 81; /* 20 others and 81 are too much, whatever goes */
    assert_int_equal(append_to(f, s, &SMALL, keyed, NULL), CODE_MAILBOX_FULL);
    assert_int_equal(head_of(f, s).bytes, 30);
}

/* Expired ones do not count, swept or not. */
static void test_full_of_expired(void **state)
{
    struct fixture *f = *state;
    struct stream_gone gone = {0};
    struct stream_limits l = SMALL;
    l.gone = &gone;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &l, 1);
    assert_int_equal(append_to(f, s, &l, (struct put){.ttl_ms = 50}, NULL), 0);
    assert_int_equal(append_to(f, s, &l, (struct put){.ttl_ms = 90}, NULL), 0);
    f->now_ms += 49;
    assert_int_equal(append_to(f, s, &l, (struct put){0}, NULL), CODE_MAILBOX_FULL);
    f->now_ms += 1;
    assert_int_equal(append_to(f, s, &l, (struct put){0}, NULL), 0);
    assert_int_equal(append_to(f, s, &l, (struct put){0}, NULL), CODE_MAILBOX_FULL);
    assert_int_equal(gone.expired, 1);
    f->now_ms += 40;
    assert_int_equal(append_to(f, s, &l, (struct put){0}, NULL), 0);
    assert_int_equal(gone.expired, 2);
}

static void test_full_of_aged(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = SMALL;
    l.age_ms = 1000;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_MAILBOX);
    append_many(f, s, &l, 3);
    f->now_ms += 1000;
    f->budget = 0;
    append_many(f, s, &l, 1);
    assert_int_equal(head_of(f, s).count, 2); /* two an append, budget or not */
    assert_int_equal(head_of(f, s).trimmed, 2);
}

static void test_trim_small_bound_exactly(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.messages = 5};
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    f->budget = 0;
    for (unsigned i = 1; i <= 40; i++) {
        append_many(f, s, &l, 1);
        assert_int_equal(head_of(f, s).count, i < 5 ? i : 5);
    }
    assert_int_equal(head_of(f, s).trimmed, 35);
    assert_int_equal(head_of(f, s).floor, 35);
    assert_false(is_there(f, s, 35));
    assert_true(is_there(f, s, 36));
}

static void test_trim_large_bound_lazily(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.messages = 256};
    uint64_t most = 0;
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    for (unsigned i = 0; i < 1000; i++) {
        f->budget = 512;
        append_many(f, s, &l, 1);
        uint64_t count = head_of(f, s).count;
        most = count > most ? count : most;
    }
    assert_int_equal(most, 256 + 32);
    assert_true(head_of(f, s).count >= 256);
}

/* Out of budget it does not cut to the bound, but it never grows past it either. */
static void test_trim_without_budget(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.messages = 300, .bytes = 3000};
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    f->budget = 0;
    for (unsigned i = 0; i < 2000; i++) {
        append_many(f, s, &l, 1);
        assert_true(head_of(f, s).count <= 300 + 37);
    }
}

static void test_trim_bytes_keeps_newest(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.bytes = 100};
    fixture_write(f);
    uint64_t s = new_stream(f, STREAM_TOPIC);
    append_many(f, s, &l, 10);
    assert_int_equal(head_of(f, s).bytes, 100);
    assert_int_equal(append_to(f, s, &l, (struct put){.bytes = 500}, NULL), 0);
    assert_int_equal(head_of(f, s).count, 1);
    assert_true(is_there(f, s, 11));
    append_many(f, s, &l, 1);
    assert_int_equal(head_of(f, s).bytes, 10);
}

static void test_no_such_stream(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    assert_int_equal(append_to(f, 77, &UNBOUNDED, (struct put){0}, NULL), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_prev_never_restarts),
        fixture_test(test_skipped),
        fixture_test(test_collapse),
        fixture_test(test_full),
        fixture_test(test_full_but_replacing),
        fixture_test(test_full_of_expired),
        fixture_test(test_full_of_aged),
        fixture_test(test_trim_small_bound_exactly),
        fixture_test(test_trim_large_bound_lazily),
        fixture_test(test_trim_without_budget),
        fixture_test(test_trim_bytes_keeps_newest),
        fixture_test(test_no_such_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
