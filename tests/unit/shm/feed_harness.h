/* feed_harness - a feed mapped by a writer and, read-only, by a reader. */
#ifndef TESTS_UNIT_SHM_FEED_HARNESS_H
#define TESTS_UNIT_SHM_FEED_HARNESS_H

#include <stdlib.h>
#include <unistd.h>

#include "shm/feed.h"

#define SIZE 4096u

struct fixture {
    int fd;
    struct feed writer, reader;
    struct buf body;
};

static inline void open_feed(struct fixture *x, uint64_t size)
{
    x->fd = feed_create(size);
    assert_true(x->fd >= 0);
    assert_int_equal(feed_map(x->fd, size, true, &x->writer), 0);
    int ro = feed_read_only(x->fd);
    assert_true(ro >= 0);
    assert_int_equal(feed_map(ro, size, false, &x->reader), 0);
    close(ro);
    buf_init(&x->body, size / 4);
}

static inline void close_feed(struct fixture *x)
{
    buf_free(&x->body);
    feed_unmap(&x->writer);
    feed_unmap(&x->reader);
    close(x->fd);
}

static inline int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));
    assert_non_null(x);
    open_feed(x, SIZE);
    *state = x;
    return 0;
}

static inline int teardown(void **state)
{
    close_feed(*state);
    free(*state);
    return 0;
}

static inline uint64_t reserved(const struct feed *f)
{
    return atomic_load(&f->control->reserved);
}

/* Bytes that follow from seq and position, so that a torn body shows. */
static inline void fill(unsigned char *p, size_t len, uint64_t seq)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)(seq * 131 + i * (seq | 1));
}

static inline bool intact(const struct buf *b, uint64_t seq)
{
    for (size_t i = 0; i < b->len; i++)
        if (b->data[i] != (unsigned char)(seq * 131 + i * (seq | 1)))
            return false;
    return true;
}

static inline uint64_t add(const struct feed *f, uint64_t head, enum feed_type type, uint64_t seq,
                           size_t len)
{
    void *at = NULL;
    assert_int_equal(feed_prepare(f, &head, type, seq, len, &at), 0);
    fill(at, len, seq);
    return head;
}

static inline void commit(const struct feed *f, uint64_t head, uint64_t seq)
{
    feed_publish(f, add(f, head, FEED_COMMIT, seq, 0));
}

static inline void publish_one(const struct feed *f, uint64_t seq, size_t len)
{
    commit(f, add(f, feed_published(f), FEED_MESSAGE, seq, len), seq);
}

static inline void expect(struct fixture *x, struct feed_reader *r, enum feed_type type,
                          uint64_t seq, size_t len)
{
    struct feed_record rec;
    assert_int_equal(feed_next(&x->reader, r, &rec, &x->body), 1);
    assert_int_equal(rec.type, type);
    assert_int_equal(rec.seq, seq);
    assert_int_equal(rec.len, len);
    assert_int_equal(x->body.len, len);
    assert_true(intact(&x->body, seq));
}

static inline void expect_code(struct fixture *x, struct feed_reader *r, int code)
{
    struct feed_record rec = {.type = 77};
    assert_int_equal(feed_next(&x->reader, r, &rec, &x->body), code);
    assert_int_equal(rec.type, 77);
}

#endif
