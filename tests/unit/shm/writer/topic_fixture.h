/* topic_fixture - a writer with namespaces, and short ways to ask what it did. */
#ifndef TESTS_TOPIC_FIXTURE_H
#define TESTS_TOPIC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rig.c"

#include "shm/verify.h"

#include <errno.h>

#define NAMESPACES                                                                                 \
    "namespace \"t:*\" { }\n"                                                                      \
    "namespace \"few:*\" { history = 2 }\n"                                                        \
    "namespace \"short:*\" { ttl = \"20m\" }\n"                                                    \
    "namespace \"price:*\" { latest = true }\n"                                                    \
    "namespace \"typing:*\" { history = 0 }\n"

static const uint8_t alice[SESSION_ID_SIZE] = {1}, bob[SESSION_ID_SIZE] = {2};

struct fixture {
    struct rig rig;
    struct writer *writer;
};

static inline int set_up_with(void **state, const char *extra)
{
    char text[2048];
    struct fixture *f = calloc(1, sizeof(*f));
    must(f);
    snprintf(text, sizeof(text), "%s%s", NAMESPACES, extra);
    rig_open(&f->rig, text);
    f->writer = rig_writer(&f->rig);
    *state = f;
    return 0;
}

static inline struct txn *look(struct fixture *f)
{
    struct txn *t;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    return t;
}

/* Whatever a test did, the store must be as the walker wants it. */
static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    uint64_t violations;
    buf_init(&report, 1 << 20);
    struct txn *t = look(f);
    must(verify_txn(t, &report, &violations) == 0);
    txn_done(t);
    if (violations)
        fprintf(stderr, "%.*s\n", (int)report.len, report.data);
    buf_free(&report);
    rig_stop(f->writer);
    rig_close(&f->rig);
    free(f);
    return violations != 0;
}

/* Runs what waits, and takes the answer to the last command, which is of slot 0. */
static inline struct rig_reply run(struct fixture *f)
{
    struct rig_reply r = {0};
    rig_run(f->writer);
    while (r.id != f->rig.last_id)
        assert_true(rig_reply(&f->rig, 0, &r));
    return r;
}

#define expect_code(f, want) assert_int_equal(run(f).code, want)
#define expect_item(f, want) assert_int_equal(run(f).item, want)

static inline uint64_t metric_of(struct fixture *f, enum metric m)
{
    return f->writer->metrics->v[m];
}

static inline void skip_feed(struct fixture *f)
{
    struct rig_fed fed;
    while (rig_fed(&f->rig, &fed))
        ;
}

/* The next record that says something. */
static inline bool next_fed(struct fixture *f, struct rig_fed *ret)
{
    while (rig_fed(&f->rig, ret)) {
        assert_int_not_equal(ret->rec.type, FEED_PAD);
        if (ret->rec.type == FEED_MESSAGE || ret->rec.type == FEED_CONTROL)
            return true;
    }
    return false;
}

static inline void expect_silence(struct fixture *f)
{
    struct rig_fed fed;
    assert_false(next_fed(f, &fed));
}

static inline uint64_t rows(struct fixture *f, enum store_db db)
{
    struct txn *t = look(f);
    uint64_t n = txn_entries(t, db);
    txn_done(t);
    return n;
}

/* 0: there is no such topic. */
static inline uint64_t stream_named(struct fixture *f, const char *name)
{
    struct txn *t = look(f);
    uint64_t stream = 0;
    int err = topic_find(t, str_of(name), &stream);
    txn_done(t);
    assert_true(err == 0 || err == -ENOENT);
    return stream;
}

static inline struct stream_head head_named(struct fixture *f, const char *name)
{
    struct stream_head h;
    uint64_t stream = stream_named(f, name);
    struct txn *t = look(f);
    assert_int_equal(stream_head(t, stream, &h), 0);
    txn_done(t);
    return h;
}

static inline uint64_t mailbox_of(struct fixture *f, const uint8_t id[SESSION_ID_SIZE])
{
    struct txn *t = look(f);
    struct session s = {0};
    int err = session_get(t, id, &s);
    txn_done(t);
    return err ? 0 : s.stream;
}

#endif
