/* page_reverse_test - backwards, by pages: what is shown, what is passed over, where it goes on. */
#include "tests/unit/shm/stream_fixture.h"

#include "shm/page.h"
#include "shm/page_reverse.h"

static struct {
    uint64_t seq[8192], prev[8192];
    uint16_t flags[8192];
    size_t n, refuse_at; /* 0: never */
} seen;
static struct page_reverse p;

static bool on_message(void *arg, const struct message *m)
{
    (void)arg;
    if (seen.refuse_at && seen.n + 1 == seen.refuse_at)
        return false;
    seen.seq[seen.n] = m->seq;
    seen.prev[seen.n] = m->prev;
    seen.flags[seen.n++] = m->flags;
    return true;
}

static int try_page(struct fixture *f, uint64_t stream, uint64_t before, size_t limit)
{
    size_t refuse_at = seen.refuse_at;
    memset(&seen, 0, sizeof(seen));
    seen.refuse_at = refuse_at;
    p.stream = stream;
    p.before = before;
    p.limit = limit;
    p.now_ms = f->now_ms;
    p.on_message = on_message;
    assert_int_equal(meta_put(f->txn, &f->meta), 0); /* where last_seq is read */
    return page_reverse(f->txn, &p);
}

static void read_page(struct fixture *f, uint64_t stream, uint64_t before, size_t limit)
{
    assert_int_equal(try_page(f, stream, before, limit), 0);
}

static uint64_t begin(struct fixture *f)
{
    fixture_write(f);
    memset(&p, 0, sizeof(p));
    memset(&seen, 0, sizeof(seen));
    new_stream(f, STREAM_TOPIC);
    uint64_t stream = new_stream(f, STREAM_TOPIC);
    new_stream(f, STREAM_TOPIC);
    return stream;
}

static void append_brief(struct fixture *f, uint64_t stream)
{
    assert_int_equal(append_to(f, stream, &UNBOUNDED, (struct put){.ttl_ms = 100}, NULL), 0);
}

static void test_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t stream = begin(f);
    assert_int_equal(try_page(f, 999, 0, 10), -ENOENT);
    f->meta.last_seq = 50;
    read_page(f, stream, 0, 10);
    assert_int_equal(seen.n, 0);
    assert_int_equal(p.ret_count, 0);
    assert_int_equal(p.ret_before, 51);
    assert_false(p.ret_more);
    read_page(f, stream, 7, 10);
    assert_int_equal(p.ret_before, 7);
    assert_false(p.ret_more);
}

/* Of three streams that lie beside each other, with their messages interleaved. */
static void test_pages(void **state)
{
    struct fixture *f = *state;
    uint64_t stream = begin(f);
    for (int i = 0; i < 100; i++)
        for (uint64_t s = stream - 1; s <= stream + 1; s++)
            append_many(f, s, &UNBOUNDED, 1);
    for (size_t limit = 1; limit <= 128; limit *= 2) {
        uint64_t want = 299, before = 0;
        size_t total = 0;
        do {
            read_page(f, stream, before, limit);
            assert_true(seen.n <= limit);
            for (size_t i = 0; i < seen.n; i++, want -= 3) {
                assert_int_equal(seen.seq[i], want);
                assert_int_equal(seen.prev[i], want > 3 ? want - 3 : 0);
                assert_int_equal(seen.flags[i] & MESSAGE_SKIPPED, 0);
            }
            assert_int_equal(p.ret_count, seen.n);
            total += seen.n;
            assert_int_equal(p.ret_more, total < 100);
            before = p.ret_before;
        } while (p.ret_more);
        assert_int_equal(total, 100);
        assert_int_equal(before, 2);
        read_page(f, stream, before, limit);
        assert_int_equal(seen.n, 0);
        assert_int_equal(p.ret_before, before);
    }
    read_page(f, stream, 100000, 1); /* past the end is the end */
    assert_int_equal(seen.seq[0], 299);
    read_page(f, stream, 299, 1);
    assert_int_equal(seen.seq[0], 296);
}

/* What was refused comes first the next time. */
static void test_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t stream = begin(f);
    append_many(f, stream, &UNBOUNDED, 10);
    seen.refuse_at = 4;
    read_page(f, stream, 0, 100);
    assert_int_equal(seen.n, 3);
    assert_int_equal(p.ret_before, 8);
    assert_true(p.ret_more);
    seen.refuse_at = 0;
    read_page(f, stream, p.ret_before, 100);
    assert_int_equal(seen.seq[0], 7);
    assert_int_equal(seen.n, 7);
}

static void test_published(void **state)
{
    struct fixture *f = *state;
    uint64_t stream = begin(f);
    append_many(f, stream, &UNBOUNDED, 10);
    _Atomic uint64_t published = 6;
    p.published = &published;
    read_page(f, stream, 0, 2);
    assert_int_equal(seen.seq[0], 6);
    read_page(f, stream, 9, 2);
    assert_int_equal(seen.seq[0], 6);
}

/* Acked, emptied: below the floor. Too old, expired: passed over. The next says skipped, but for
 * what retention took. */
static void test_gone(void **state)
{
    struct fixture *f = *state;
    uint64_t stream = begin(f);
    append_many(f, stream, &UNBOUNDED, 2);
    append_brief(f, stream);
    append_many(f, stream, &UNBOUNDED, 2);
    f->now_ms += 100;
    read_page(f, stream, 0, 10);
    assert_int_equal(seen.n, 4);
    assert_int_equal(seen.seq[1], 4);
    assert_int_equal(seen.flags[0] & MESSAGE_SKIPPED, 0);
    assert_true(seen.flags[1] & MESSAGE_SKIPPED);
    assert_int_equal(seen.flags[2] & MESSAGE_SKIPPED, 0);
    assert_int_equal(seen.flags[3] & MESSAGE_SKIPPED, 0);

    unsigned budget = 100;
    assert_int_equal(stream_empty(f->txn, stream, &budget), 0);
    read_page(f, stream, 0, 10);
    assert_int_equal(seen.n, 0);
    append_many(f, stream, &UNBOUNDED, 1);
    read_page(f, stream, 0, 10);
    assert_int_equal(seen.n, 1);
    assert_true(seen.flags[0] & MESSAGE_SKIPPED);

    const struct stream_limits two = {.messages = 2};
    append_many(f, stream, &two, 5);
    read_page(f, stream, 0, 10);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.flags[1] & MESSAGE_SKIPPED, 0);
    p.age_ms = 10;
    f->now_ms += 10;
    read_page(f, stream, 0, 10);
    assert_int_equal(seen.n, 0);
}

/* A long stretch that is not shown is walked in parts. */
static void test_walk(void **state)
{
    struct fixture *f = *state;
    uint64_t stream = begin(f);
    append_many(f, stream, &UNBOUNDED, 1);
    for (int i = 0; i < PAGE_WALK + 10; i++)
        append_brief(f, stream);
    f->now_ms += 100;
    read_page(f, stream, 0, 10);
    assert_int_equal(seen.n, 0);
    assert_true(p.ret_more);
    assert_int_equal(p.ret_before, 12);
    read_page(f, stream, p.ret_before, 10);
    assert_int_equal(seen.n, 1);
    assert_false(p.ret_more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_nothing),   fixture_test(test_pages), fixture_test(test_refused),
        fixture_test(test_published), fixture_test(test_gone),  fixture_test(test_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
