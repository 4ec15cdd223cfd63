/* stream_fixture - short ways to append to a stream and to ask about it. */
#ifndef TESTS_STREAM_FIXTURE_H
#define TESTS_STREAM_FIXTURE_H

#include "shm/stream_priv.h"
#include "shm/verify.h"
#include "tests/unit/shm/store_fixture.h"

static const struct stream_limits UNBOUNDED = {.receipts = true, .receipts_ms = 3600000};

struct put {
    uint64_t ttl_ms;
    const char *collapse;
    unsigned bytes;
};

/* Appends a message of put.bytes at the fixture's time; its flags are left in *ret_flags. */
static inline int append_to(struct fixture *f, uint64_t stream, const struct stream_limits *l,
                            struct put put, uint16_t *ret_flags)
{
    static const char text[4096];
    struct message m = {.seq = f->meta.last_seq + 1,
                        .time_ms = f->now_ms,
                        .expires_ms = put.ttl_ms ? f->now_ms + put.ttl_ms : 0,
                        .flags = MESSAGE_TEXT,
                        .collapse = str_of(put.collapse),
                        .payload = str_make(text, put.bytes)};
    int rc = stream_append(f->txn, stream, &m, l, f->now_ms, &f->budget);
    if (rc == 0)
        f->meta.last_seq = m.seq;
    if (ret_flags)
        *ret_flags = m.flags;
    return rc;
}

static inline void append_many(struct fixture *f, uint64_t stream, const struct stream_limits *l,
                               unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(append_to(f, stream, l, (struct put){.bytes = 10}, NULL), 0);
}

static inline struct stream_head head_of(struct fixture *f, uint64_t stream)
{
    struct stream_head h;
    assert_int_equal(stream_head(f->txn, stream, &h), 0);
    return h;
}

static inline bool is_there(struct fixture *f, uint64_t stream, uint64_t seq)
{
    struct entry e;
    int rc = entry_get(f->txn, stream, seq, &e);
    assert_true(rc == 0 || rc == -ENOENT);
    return rc == 0;
}

static inline uint64_t new_stream(struct fixture *f, enum stream_kind kind)
{
    uint64_t id;
    assert_int_equal(stream_create(f->txn, kind, &id), 0);
    return id;
}

static inline uint64_t violations_of(struct txn *t, struct buf *report)
{
    uint64_t n = UINT64_MAX;
    buf_init(report, 1 << 20);
    assert_int_equal(verify_txn(t, report, &n), 0);
    return n;
}

#endif
