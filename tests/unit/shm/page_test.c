/* page_test - merging, limits, what is skipped and what is lost. */
#include "tests/unit/shm/stream_fixture.h"

#include "shm/page.h"

struct seen {
    uint64_t seq[8192], stream[8192];
    uint16_t flags[8192];
    size_t n, stop_after, nlost; /* stop_after 0: never; nlost: known at the first message */
};

static struct page p;
static struct page_lost lost[PAGE_SOURCES];
static struct seen seen;

static bool on_message(void *arg, uint64_t stream, const struct message *m)
{
    struct seen *s = arg;
    if (s->n == 0)
        s->nlost = p.nlost;
    s->seq[s->n] = m->seq;
    s->stream[s->n] = stream;
    s->flags[s->n++] = m->flags;
    return s->stop_after == 0 || s->n < s->stop_after;
}

static void read_page(struct fixture *f, const struct page_source *sources, size_t n,
                      uint64_t cursor, size_t limit)
{
    memset(&p, 0, sizeof(p));
    memset(&seen, 0, sizeof(seen));
    p.cursor = cursor;
    p.sources = sources;
    p.nsources = n;
    p.limit = limit;
    p.max_bytes = 1 << 20;
    p.now_ms = f->now_ms;
    p.on_message = on_message;
    p.arg = &seen;
    p.lost = lost;
    assert_int_equal(meta_put(f->txn, &f->meta), 0); /* where last_seq is read */
    assert_int_equal(page_read(f->txn, &p), 0);
}

static void test_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    f->meta.last_seq = 50;
    struct page_source src[2] = {{.stream = new_stream(f, STREAM_MAILBOX)}, {.stream = 999}};
    read_page(f, src, 2, 7, 10);
    assert_int_equal(seen.n, 0);
    assert_int_equal(p.ret_cursor, 50); /* everything up to high is had */
    assert_int_equal(p.ret_high, 50);
    assert_false(p.ret_more);
    read_page(f, NULL, 0, 7, 10);
    assert_int_equal(p.ret_cursor, 50);
}

/* As many sources as a session can have. */
static void test_merge(void **state)
{
    static struct page_source src[PAGE_SOURCES];
    struct fixture *f = *state;
    fixture_write(f);
    for (unsigned i = 0; i < PAGE_SOURCES; i++)
        src[i] = (struct page_source){.stream = new_stream(f, STREAM_TOPIC)};
    uint64_t random = 12345;
    for (unsigned i = 0; i < 3000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        append_many(f, src[(random >> 33) % PAGE_SOURCES].stream, &UNBOUNDED, 1);
    }
    read_page(f, src, PAGE_SOURCES, 0, 5000);
    assert_int_equal(seen.n, 3000);
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(seen.seq[i], i + 1);
    assert_int_equal(p.ret_count, 3000);
    assert_false(p.ret_more);
}

static void test_limit(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_MAILBOX)};
    append_many(f, src.stream, &UNBOUNDED, 10);
    read_page(f, &src, 1, 0, 4);
    assert_int_equal(seen.n, 4);
    assert_true(p.ret_more);
    assert_int_equal(p.ret_cursor, 4);
    /* Exactly what is there: no more. */
    read_page(f, &src, 1, 4, 6);
    assert_int_equal(seen.n, 6);
    assert_false(p.ret_more);
    assert_int_equal(p.ret_cursor, 10);
    /* Only expired ones follow: no more either. */
    assert_int_equal(append_to(f, src.stream, &UNBOUNDED, (struct put){.ttl_ms = 1}, NULL), 0);
    f->now_ms += 1;
    read_page(f, &src, 1, 4, 6);
    assert_false(p.ret_more);
    assert_int_equal(p.ret_cursor, 11);
}

static void test_bytes(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_MAILBOX)};
    append_many(f, src.stream, &UNBOUNDED, 10);
    assert_int_equal(append_to(f, src.stream, &UNBOUNDED, (struct put){.bytes = 4000}, NULL), 0);
    read_page(f, &src, 1, 0, 100);
    p.max_bytes = 35;
    seen.n = 0;
    assert_int_equal(page_read(f->txn, &p), 0);
    assert_int_equal(seen.n, 3);
    assert_int_equal(p.ret_cursor, 3);
    assert_true(p.ret_more);
    /* At least one always fits. */
    p.cursor = 10;
    seen.n = 0;
    assert_int_equal(page_read(f->txn, &p), 0);
    assert_int_equal(seen.n, 1);
    assert_false(p.ret_more);
}

static void test_stop(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_MAILBOX)};
    append_many(f, src.stream, &UNBOUNDED, 5);
    read_page(f, &src, 1, 0, 100);
    seen.n = 0;
    seen.stop_after = 2;
    assert_int_equal(page_read(f->txn, &p), 0);
    assert_int_equal(seen.n, 2);
    assert_int_equal(p.ret_cursor, 2);
    assert_true(p.ret_more);
    seen.n = 0;
    seen.stop_after = 5; /* stopped by the last there is */
    assert_int_equal(page_read(f->txn, &p), 0);
    assert_int_equal(p.ret_cursor, 5);
    assert_false(p.ret_more);
}

/* A later part of a page takes nothing that came after its first part. */
static void test_high(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_MAILBOX)};
    append_many(f, src.stream, &UNBOUNDED, 4);
    read_page(f, &src, 1, 0, 2);
    append_many(f, src.stream, &UNBOUNDED, 4);
    assert_int_equal(meta_put(f->txn, &f->meta), 0);
    p.cursor = p.ret_cursor;
    p.high = p.ret_high;
    p.limit = 100;
    seen.n = 0;
    assert_int_equal(page_read(f->txn, &p), 0);
    assert_int_equal(seen.n, 2);
    assert_int_equal(p.ret_cursor, 4);
    assert_false(p.ret_more);
}

/* Nothing above what the writer has published, though it can be seen in the map already. */
static void test_published(void **state)
{
    struct fixture *f = *state;
    _Atomic uint64_t published = 3;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_MAILBOX)};
    append_many(f, src.stream, &UNBOUNDED, 5);
    read_page(f, &src, 1, 0, 100);
    p.published = &published;
    seen.n = 0;
    assert_int_equal(page_read(f->txn, &p), 0);
    assert_int_equal(seen.n, 3);
    assert_int_equal(p.ret_cursor, 3);
    assert_int_equal(p.ret_high, 3);
    assert_false(p.ret_more);
    published = 9; /* of commits after this snapshot */
    seen.n = 0;
    assert_int_equal(page_read(f->txn, &p), 0);
    assert_int_equal(seen.n, 5);
    assert_int_equal(p.ret_high, 5);
}

static void test_join_and_ack(void **state)
{
    struct fixture *f = *state;
    uint64_t removed;
    fixture_write(f);
    struct page_source src[2] = {{.stream = new_stream(f, STREAM_MAILBOX)},
                                 {.stream = new_stream(f, STREAM_TOPIC)}};
    append_many(f, src[1].stream, &UNBOUNDED, 5);
    append_many(f, src[0].stream, &UNBOUNDED, 5);
    src[1].join = 3;
    f->budget = 0; /* acked ones lie there yet, and are not shown */
    assert_int_equal(
        stream_ack(f->txn, src[0].stream, 7, f->now_ms, &UNBOUNDED, &f->budget, &removed), 0);
    read_page(f, src, 2, 0, 100);
    assert_int_equal(seen.n, 5);
    assert_int_equal(seen.seq[0], 4);
    assert_int_equal(seen.seq[2], 8);
    assert_int_equal(p.nlost, 0);
    /* prev at or below the join cursor needs no word about it. */
    assert_false(seen.flags[0] & MESSAGE_SKIPPED);
}

static void test_skipped(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_MAILBOX)};
    append_many(f, src.stream, &UNBOUNDED, 1);
    assert_int_equal(append_to(f, src.stream, &UNBOUNDED, (struct put){.ttl_ms = 10}, NULL), 0);
    append_many(f, src.stream, &UNBOUNDED, 2);
    read_page(f, &src, 1, 0, 100);
    assert_int_equal(seen.n, 4);
    assert_false(seen.flags[2] & MESSAGE_SKIPPED);
    f->now_ms += 10;
    read_page(f, &src, 1, 0, 100);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.seq[1], 3);
    assert_true(seen.flags[1] & MESSAGE_SKIPPED); /* not swept yet: told all the same */
    assert_false(seen.flags[2] & MESSAGE_SKIPPED);
    /* The same from any cursor: stateless. */
    read_page(f, &src, 1, 2, 100);
    assert_true(seen.flags[0] & MESSAGE_SKIPPED);
    bool removed;
    assert_int_equal(stream_expire_message(f->txn, src.stream, 2, f->now_ms, &UNBOUNDED, &removed),
                     0);
    read_page(f, &src, 1, 0, 100);
    assert_true(seen.flags[1] & MESSAGE_SKIPPED);
    src.join = 2; /* acked that far: nothing to say */
    read_page(f, &src, 1, 0, 100);
    assert_false(seen.flags[0] & MESSAGE_SKIPPED);
}

static void test_lost(void **state)
{
    struct fixture *f = *state;
    struct stream_limits l = {.messages = 3};
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_TOPIC)};
    append_many(f, src.stream, &l, 10);
    read_page(f, &src, 1, 2, 100);
    assert_int_equal(seen.n, 3);
    assert_int_equal(p.nlost, 1);
    assert_int_equal(seen.nlost, 1); /* known before what follows on it */
    assert_int_equal(p.lost[0].stream, src.stream);
    assert_int_equal(p.lost[0].from, 3);
    assert_int_equal(p.lost[0].to, 7);
    assert_false(seen.flags[0] & MESSAGE_SKIPPED); /* told as lost */
    read_page(f, &src, 1, 7, 100);
    assert_int_equal(p.nlost, 0);
    src.join = 7;
    read_page(f, &src, 1, 0, 100);
    assert_int_equal(p.nlost, 0);
}

/* Each stream that lost something is told, in the order of the sources; the others are not. */
static void test_lost_of_several(void **state)
{
    static struct page_source src[PAGE_SOURCES];
    struct fixture *f = *state;
    struct stream_limits l = {.messages = 2};
    size_t told = 0;
    fixture_write(f);
    for (unsigned i = 0; i < PAGE_SOURCES; i++)
        src[i] = (struct page_source){.stream = new_stream(f, STREAM_TOPIC)};
    for (unsigned i = 0; i < PAGE_SOURCES; i++)
        append_many(f, src[i].stream, i % 3 ? &l : &UNBOUNDED, 3);
    src[4].join = 3 * 4 + 1; /* what went it was never to have */
    read_page(f, src, PAGE_SOURCES, 3 * 100 + 1, 5000);
    for (unsigned i = 0; i < PAGE_SOURCES; i++) {
        uint64_t gone = 3 * i + 1;
        if (i % 3 == 0 || gone <= p.cursor)
            continue;
        assert_true(told < p.nlost);
        assert_int_equal(lost[told].stream, src[i].stream);
        assert_int_equal(lost[told].from, p.cursor + 1);
        assert_int_equal(lost[told++].to, gone);
    }
    assert_int_equal(told, p.nlost);
    assert_true(told > 500);
    read_page(f, src, 5, 0, 5000);
    assert_int_equal(p.nlost, 2); /* of 1, 2 and 4; not of 4 */
    assert_int_equal(lost[1].stream, src[2].stream);
    /* All of them, from the beginning. */
    src[4].join = 0;
    for (unsigned i = 0; i < PAGE_SOURCES; i++)
        append_many(f, src[i].stream, &l, 3);
    read_page(f, src, PAGE_SOURCES, 0, 5000);
    assert_int_equal(p.nlost, PAGE_SOURCES);
}

/* A mailbox and topics, each with a join cursor of its own, in the order of their seqs. */
static void test_mailbox_and_topics(void **state)
{
    struct fixture *f = *state;
    uint64_t removed;
    fixture_write(f);
    struct page_source src[4] = {{.stream = new_stream(f, STREAM_MAILBOX)},
                                 {.stream = new_stream(f, STREAM_TOPIC)},
                                 {.stream = new_stream(f, STREAM_TOPIC)},
                                 {.stream = new_stream(f, STREAM_TOPIC)}};
    for (unsigned i = 0; i < 20; i++)
        append_many(f, src[i % 4].stream, &UNBOUNDED, 1); /* seq i + 1 */
    assert_int_equal(
        stream_ack(f->txn, src[0].stream, 5, f->now_ms, &UNBOUNDED, &f->budget, &removed), 0);
    src[0].join = 5;
    src[1].join = 6;
    src[2].join = 7;  /* exactly one of its own */
    src[3].join = 20; /* nothing came since */
    static const uint64_t want[] = {9, 10, 11, 13, 14, 15, 17, 18, 19};
    for (uint64_t cursor = 0; cursor <= 20; cursor++) {
        size_t from = 0, n = sizeof(want) / sizeof(want[0]);
        while (from < n && want[from] <= cursor)
            from++;
        read_page(f, src, 4, cursor, 3);
        for (;;) {
            for (size_t i = 0; i < seen.n; i++, from++) {
                assert_true(from < n);
                assert_int_equal(seen.seq[i], want[from]);
                assert_int_equal(seen.stream[i], src[(want[from] - 1) % 4].stream);
                assert_false(seen.flags[i] & MESSAGE_SKIPPED);
            }
            if (!p.ret_more)
                break;
            read_page(f, src, 4, p.ret_cursor, 3);
        }
        assert_int_equal(from, n);
        assert_int_equal(p.ret_cursor, 20);
        assert_int_equal(p.nlost, 0);
    }
}

static void append_except(struct fixture *f, uint64_t stream, const uint8_t *sessions, size_t n)
{
    struct message m = {.seq = ++f->meta.last_seq,
                        .time_ms = f->now_ms,
                        .flags = MESSAGE_TEXT,
                        .except = str_make(sessions, n * SESSION_ID_SIZE),
                        .payload = STR("for some")};
    assert_int_equal(stream_append(f->txn, stream, &m, &UNBOUNDED, f->now_ms, &f->budget), 0);
}

static void read_as(struct fixture *f, const struct page_source *src, const uint8_t *session,
                    uint64_t cursor, size_t limit)
{
    read_page(f, src, 1, cursor, limit);
    p.session = session;
    seen.n = 0;
    assert_int_equal(page_read(f->txn, &p), 0);
}

/* What is not for this reader is passed over, and the next of that stream says so: also to one who
 * begins after it, and not to the others. */
static void test_except(void **state)
{
    static const uint8_t who[3][SESSION_ID_SIZE] = {{1}, {2}, {3}};
    struct fixture *f = *state;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_TOPIC)};
    append_many(f, src.stream, &UNBOUNDED, 1); /* 1 */
    append_except(f, src.stream, who[0], 2);   /* 2: not for 1 and 2 */
    append_except(f, src.stream, who[1], 1);   /* 3: not for 2 */
    append_many(f, src.stream, &UNBOUNDED, 1); /* 4 */
    append_except(f, src.stream, who[0], 1);   /* 5: not for 1 */
    read_as(f, &src, who[0], 0, 100);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.seq[1], 3);
    assert_int_equal(seen.seq[2], 4);
    assert_false(seen.flags[0] & MESSAGE_SKIPPED);
    assert_true(seen.flags[1] & MESSAGE_SKIPPED);
    assert_false(seen.flags[2] & MESSAGE_SKIPPED);
    assert_int_equal(p.ret_cursor, 5); /* had, as far as it goes for this one */
    assert_false(p.ret_more);
    read_as(f, &src, who[0], 2, 100);
    assert_int_equal(seen.seq[0], 3);
    assert_true(seen.flags[0] & MESSAGE_SKIPPED);
    read_as(f, &src, who[1], 0, 100);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.seq[1], 4);
    assert_true(seen.flags[1] & MESSAGE_SKIPPED);
    for (int i = 0; i < 2; i++) { /* a third session; somebody who has none */
        read_as(f, &src, i ? NULL : who[2], 0, 100);
        assert_int_equal(seen.n, 5);
        for (size_t k = 0; k < seen.n; k++)
            assert_false(seen.flags[k] & MESSAGE_SKIPPED);
    }
    src.join = 2; /* before its time: nothing to say */
    read_as(f, &src, who[0], 0, 100);
    assert_false(seen.flags[0] & MESSAGE_SKIPPED);
    /* Only what is not for it follows: no more. */
    read_as(f, &src, who[0], 3, 1);
    assert_int_equal(seen.n, 1);
    assert_false(p.ret_more);
    assert_int_equal(p.ret_cursor, 5);
}

static void test_except_is_bounded(void **state)
{
    static const uint8_t me[SESSION_ID_SIZE] = {1};
    struct fixture *f = *state;
    unsigned pages = 1;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_TOPIC)};
    for (unsigned i = 0; i < 2 * PAGE_WALK; i++)
        append_except(f, src.stream, me, 1);
    append_many(f, src.stream, &UNBOUNDED, 1);
    read_as(f, &src, me, 0, 10);
    for (; p.ret_more; pages++) {
        assert_int_equal(seen.n, 0);
        assert_int_equal(p.ret_cursor, PAGE_WALK * pages);
        p.cursor = p.ret_cursor;
        assert_int_equal(page_read(f->txn, &p), 0);
    }
    assert_int_equal(pages, 2);
    assert_int_equal(seen.n, 1);
    assert_true(seen.flags[0] & MESSAGE_SKIPPED);
}

static void test_age(void **state)
{
    struct fixture *f = *state;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_TOPIC), .age_ms = 1000};
    append_many(f, src.stream, &UNBOUNDED, 2);
    f->now_ms += 500;
    append_many(f, src.stream, &UNBOUNDED, 2);
    f->now_ms += 500;
    read_page(f, &src, 1, 0, 100);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.seq[0], 3);
    assert_true(seen.flags[0] & MESSAGE_SKIPPED);
}

/* A long stretch of expired ones is passed over in portions that make progress. */
static void test_walk_is_bounded(void **state)
{
    struct fixture *f = *state;
    unsigned pages = 1;
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_TOPIC)};
    for (unsigned i = 0; i < 3 * PAGE_WALK; i++)
        assert_int_equal(append_to(f, src.stream, &UNBOUNDED, (struct put){.ttl_ms = 1}, NULL), 0);
    append_many(f, src.stream, &UNBOUNDED, 1);
    f->now_ms += 1;
    read_page(f, &src, 1, 0, 10);
    for (; p.ret_more; pages++) {
        assert_int_equal(seen.n, 0);
        assert_true(p.ret_cursor > p.cursor);
        p.cursor = p.ret_cursor;
        assert_int_equal(page_read(f->txn, &p), 0);
    }
    assert_int_equal(seen.n, 1);
    assert_int_equal(pages, 3);
}

static void test_malformed_message(void **state)
{
    struct fixture *f = *state;
    unsigned char key[KEY_STREAM];
    fixture_write(f);
    struct page_source src = {.stream = new_stream(f, STREAM_TOPIC)};
    append_many(f, src.stream, &UNBOUNDED, 2);
    assert_int_equal(txn_put(f->txn, DB_LOG, key_stream(key, src.stream, 2), STR("junk")), 0);
    read_page(f, &src, 1, 2, 10);
    p.cursor = 0;
    p.ret_cursor = 77;
    assert_int_equal(page_read(f->txn, &p), -EUCLEAN);
    assert_int_equal(p.ret_cursor, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_nothing),
        fixture_test(test_merge),
        fixture_test(test_limit),
        fixture_test(test_bytes),
        fixture_test(test_stop),
        fixture_test(test_published),
        fixture_test(test_high),
        fixture_test(test_join_and_ack),
        fixture_test(test_skipped),
        fixture_test(test_lost),
        fixture_test(test_lost_of_several),
        fixture_test(test_mailbox_and_topics),
        fixture_test(test_except),
        fixture_test(test_except_is_bounded),
        fixture_test(test_age),
        fixture_test(test_walk_is_bounded),
        fixture_test(test_malformed_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
