/* feed_test - what the writer publishes comes out in order, and what makes no sense is not
 * believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/feed.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/shm/feed_harness.h"

static void test_a_new_feed_has_no_start(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r = {.pos = 7, .seq = 8};
    assert_int_equal(feed_start(&x->reader, &r), -EAGAIN);
    assert_int_equal(r.pos, 7);
    add(&x->writer, 0, FEED_COMMIT, 41, 0); /* prepared is not published */
    assert_int_equal(feed_start(&x->reader, &r), -EAGAIN);
    commit(&x->writer, 0, 41);
    assert_int_equal(feed_start(&x->reader, &r), 0);
    assert_int_equal(r.pos, 16);
    assert_int_equal(r.seq, 41);
    expect_code(x, &r, 0);
}

static void test_records_come_out_in_order(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r = {0};
    uint64_t head = add(&x->writer, 0, FEED_MESSAGE, 5, 100);
    head = add(&x->writer, head, FEED_CONTROL, 0, 25);
    head = add(&x->writer, head, FEED_MESSAGE, 0, 1); /* an ephemeral has no seq */
    head = add(&x->writer, head, FEED_MESSAGE, 6, 16);
    expect_code(x, &r, 0);
    commit(&x->writer, head, 9);

    expect(x, &r, FEED_MESSAGE, 5, 100);
    assert_int_equal(r.seq, 5);
    expect(x, &r, FEED_CONTROL, 0, 25);
    expect(x, &r, FEED_MESSAGE, 0, 1);
    assert_int_equal(r.seq, 5);
    expect(x, &r, FEED_MESSAGE, 6, 16);
    assert_int_equal(r.seq, 6);
    expect(x, &r, FEED_COMMIT, 9, 0);
    assert_int_equal(r.seq, 9);
    expect_code(x, &r, 0);
    assert_int_equal(r.pos, feed_published(&x->reader));
}

static void test_a_dropped_batch_is_never_seen_and_reserved_stays(void **state)
{
    struct fixture *x = *state;
    struct feed_reader r = {0};
    uint64_t head = add(&x->writer, 0, FEED_MESSAGE, 5, 400);
    head = add(&x->writer, head, FEED_MESSAGE, 6, 400);
    uint64_t high = reserved(&x->writer);
    assert_int_equal(high, head);

    publish_one(&x->writer, 7, 40); /* the next batch begins where the dropped one began */
    assert_int_equal(reserved(&x->writer), high);
    expect(x, &r, FEED_MESSAGE, 7, 40);
    expect(x, &r, FEED_COMMIT, 7, 0);
    expect_code(x, &r, 0);

    while (feed_published(&x->writer) < high)
        publish_one(&x->writer, 8, 200);
    assert_int_equal(reserved(&x->writer), feed_published(&x->writer));
}

static void test_published_never_moves_back(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    uint64_t head = feed_published(&x->writer);
    feed_publish(&x->writer, 16);
    assert_int_equal(feed_published(&x->writer), head);
    static const uint64_t never[] = {UINT64_MAX, UINT64_MAX - 15, 1u << 20, 16};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) { /* past what was prepared */
        feed_publish(&x->writer, head + never[i]);
        assert_int_equal(feed_published(&x->writer), head);
    }
    add(&x->writer, head, FEED_MESSAGE, 2, 100);
    feed_publish(&x->writer, head + 8);
    assert_int_equal(feed_published(&x->writer), head);
}

static void test_a_batch_is_at_most_a_quarter(void **state)
{
    struct fixture *x = *state;
    uint64_t head = 0;
    void *at = &at;
    assert_int_equal(feed_prepare(&x->writer, &head, FEED_MESSAGE, 1, SIZE / 4 - 15, &at),
                     -EMSGSIZE);
    assert_int_equal(feed_prepare(&x->writer, &head, FEED_MESSAGE, 1, SIZE_MAX, &at), -EMSGSIZE);
    assert_int_equal(head, 0);
    assert_int_equal(reserved(&x->writer), 0);
    assert_ptr_equal(at, &at);

    head = add(&x->writer, 0, FEED_MESSAGE, 1, SIZE / 4 - 16);
    assert_int_equal(feed_prepare(&x->writer, &head, FEED_MESSAGE, 2, 1, &at), -EMSGSIZE);
    assert_int_equal(head, SIZE / 4);
    feed_publish(&x->writer, add(&x->writer, feed_published(&x->writer), FEED_LAP, 2, 0));
    struct feed_reader r = {0};
    expect(x, &r, FEED_LAP, 2, 0);
    assert_int_equal(r.seq, 2);

    head = add(&x->writer, feed_published(&x->writer), FEED_MESSAGE, 3, SIZE / 4 - 16);
    commit(&x->writer, head, 3); /* a full batch still has its end */
    expect(x, &r, FEED_MESSAGE, 3, SIZE / 4 - 16);
    expect(x, &r, FEED_COMMIT, 3, 0);
}

/* Rule of the head: whatever the sizes, 16 bytes before it lies the record that has the seq. */
static void test_the_head_always_follows_a_commit(void **state)
{
    struct fixture *x = *state;
    unsigned seed = 3;
    struct feed_reader r = {0}, fresh;
    unsigned pads = 0;
    for (uint64_t seq = 1; seq < 20000; seq++) {
        uint64_t before = feed_published(&x->writer);
        size_t len = (size_t)rand_r(&seed) % 400;
        publish_one(&x->writer, seq, len);
        pads += feed_published(&x->writer) - before > 32 + ((len + 15) & ~15u);
        assert_int_equal(feed_start(&x->reader, &fresh), 0);
        assert_int_equal(fresh.seq, seq);
        assert_int_equal(fresh.pos, feed_published(&x->writer));
        expect(x, &r, FEED_MESSAGE, seq, len);
        expect(x, &r, FEED_COMMIT, seq, 0);
        assert_int_equal(r.pos, fresh.pos);
    }
    assert_true(pads > 100);
}

static void test_what_makes_no_sense_counts_as_lapped(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100); /* header at 0, body to 128, commit at 128 */
    publish_one(&x->writer, 2, 100);
    struct feed_record *rec = (struct feed_record *)(void *)x->writer.data;
    const struct feed_record good = *rec;
    const struct feed_record bad[] = {
        {.len = UINT32_MAX, .type = FEED_MESSAGE},
        {.len = SIZE, .type = FEED_MESSAGE},
        {.len = 300, .type = FEED_MESSAGE},
        {.len = 300, .type = FEED_PAD},
        {.len = 100, .type = 0},
        {.len = 100, .type = FEED_LAP + 1},
        {.len = 100, .type = UINT16_MAX},
        {.len = 16, .type = FEED_COMMIT},
        {.len = 16, .type = FEED_LAP},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        *rec = bad[i];
        struct feed_reader r = {0};
        expect_code(x, &r, -EOVERFLOW);
        assert_int_equal(r.seq, 2);
    }
    *rec = good;
    add(&x->writer, add(&x->writer, feed_published(&x->writer), FEED_MESSAGE, 3, 0), FEED_MESSAGE,
        4, 0); /* whole, but not published */
    for (uint64_t by = 16; by <= 48; by += 16) {
        struct feed_reader ahead = {.pos = feed_published(&x->reader) + by};
        expect_code(x, &ahead, -EOVERFLOW);
        assert_int_equal(ahead.pos, feed_published(&x->reader));
    }
}

/* Not even the head can be read: the reader stays where it is, and does not spin for ever. */
static void test_no_seq_at_the_head(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    memset(x->writer.data, 0xff, SIZE);
    struct feed_reader r = {0};
    expect_code(x, &r, 0);
    assert_int_equal(r.pos, 0);
    assert_int_equal(feed_start(&x->reader, &r), -EAGAIN);
}

static void test_a_body_over_its_buffer_keeps_the_reader(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    struct buf small;
    buf_init(&small, 64);
    struct feed_reader r = {0};
    struct feed_record rec;
    assert_int_equal(feed_next(&x->reader, &r, &rec, &small), -EMSGSIZE);
    assert_int_equal(r.pos, 0);
    buf_free(&small);
    expect(x, &r, FEED_MESSAGE, 1, 100);
}

static void test_no_memory_keeps_the_reader(void **state)
{
    struct fixture *x = *state;
    publish_one(&x->writer, 1, 100);
    struct feed_reader r = {0};
    failmalloc_arm(1);
    expect_code(x, &r, -ENOMEM);
    assert_true(failmalloc_disarm());
    assert_int_equal(r.pos, 0);
    expect(x, &r, FEED_MESSAGE, 1, 100);
}

static void test_maps_are_judged(void **state)
{
    struct fixture *x = *state;
    struct feed f = {0};
    assert_int_equal(feed_map(x->fd, 2 * SIZE, true, &f), -EPROTO);
    assert_int_equal(feed_map(-1, SIZE, true, &f), -EBADF);
    assert_null(f.control);
    x->writer.control->size = 512; /* says something else than the file */
    assert_int_equal(feed_map(x->fd, SIZE, true, &f), -EPROTO);
    x->writer.control->size = SIZE;
    int ro = feed_read_only(x->fd);
    assert_int_equal(feed_map(ro, SIZE, true, &f), -EACCES); /* not even by a worker that tries */
    assert_true(mprotect(x->reader.control, SIZE, PROT_READ | PROT_WRITE) < 0);
    close(ro);
    assert_int_equal(feed_read_only(-1), -ENOENT);
    assert_int_equal(ftruncate(x->fd, 16), -1);
    int tiny = feed_create(1);
    assert_int_equal(feed_map(tiny, 256, true, &f), 0);
    assert_int_equal(f.size, 256);
    feed_unmap(&f);
    feed_unmap(&f); /* nothing left to do */
    close(tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_a_new_feed_has_no_start),
        T(test_records_come_out_in_order),
        T(test_a_dropped_batch_is_never_seen_and_reserved_stays),
        T(test_published_never_moves_back),
        T(test_a_batch_is_at_most_a_quarter),
        T(test_the_head_always_follows_a_commit),
        T(test_what_makes_no_sense_counts_as_lapped),
        T(test_no_seq_at_the_head),
        T(test_a_body_over_its_buffer_keeps_the_reader),
        T(test_no_memory_keeps_the_reader),
        T(test_maps_are_judged),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
