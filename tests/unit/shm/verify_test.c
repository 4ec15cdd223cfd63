/* verify_test - the walker says nothing about a sound store, and finds each kind of damage. */
#include "tests/unit/failmalloc.h"
#include "tests/unit/shm/verify_fixture.h"

#include "shm/expiry.h"

static void test_sound(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    uint64_t n = 9;
    fill(f);
    fixture_commit(f);
    store_close(f->store);
    f->store = NULL;
    buf_init(&report, 1 << 16);
    assert_int_equal(verify_store(f->path, &report, &n), 0);
    assert_int_equal(n, 0);
    buf_append_c(&report, '\0');
    assert_non_null(
        strstr((char *)report.data,
               "1 sessions, 2 topics, 1 subscriptions, 1 members, 3 streams, 4109 messages, "
               "2 receipts"));
    buf_free(&report);
}

static void test_new(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    fixture_write(f);
    assert_int_equal(txn_del(f->txn, DB_META, STR("state")), 0);
    assert_int_equal(violations_of(f->txn, &report), 0);
    buf_free(&report);
}

static void test_no_store(void **state)
{
    (void)state;
    struct buf report;
    uint64_t n = 9;
    buf_init(&report, 1 << 16);
    assert_int_equal(verify_store("/dev/shm/restante-unit-nowhere", &report, &n), -ENOENT);
    assert_int_equal(n, 9);
    buf_free(&report);
}

static void change_head(struct fixture *f, uint64_t stream, void (*change)(struct stream_head *))
{
    struct stream_head h = head_of(f, stream);
    change(&h);
    assert_int_equal(stream_head_put(f->txn, stream, &h), 0);
}

static void more_count(struct stream_head *h)
{
    h->count++;
}
static void more_bytes(struct stream_head *h)
{
    h->bytes++;
}
static void more_ttl(struct stream_head *h)
{
    h->with_ttl++;
}
static void more_receipts(struct stream_head *h)
{
    h->receipts++;
}
static void unqueued(struct stream_head *h)
{
    h->reclaim_queued = 0;
}
static void other_kind(struct stream_head *h)
{
    h->kind = 9;
}
static void last_gone(struct stream_head *h)
{
    h->last_gone = 1;
}
static void trimmed_past(struct stream_head *h)
{
    h->trimmed = h->floor + 1;
}

static void head_count(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, more_count);
}
static void head_bytes(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, more_bytes);
}
static void head_ttl(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, more_ttl);
}
static void head_receipts(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, more_receipts);
}
static void head_reclaim(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, unqueued);
}
static void head_kind(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, other_kind);
}
static void head_last_gone(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, last_gone);
}
static void head_trimmed(struct fixture *f, struct session *s)
{
    change_head(f, s->stream, trimmed_past);
}

static void message_lost(struct fixture *f, struct session *s)
{
    unsigned char key[KEY_STREAM];
    assert_int_equal(txn_del(f->txn, DB_LOG, key_stream(key, s->stream, 100)), 0);
}

static void put_message(struct fixture *f, uint64_t stream, struct message m)
{
    unsigned char key[KEY_STREAM];
    void *at;
    m.time_ms = f->now_ms;
    assert_int_equal(
        txn_reserve(f->txn, DB_LOG, key_stream(key, stream, m.seq), message_size(&m), &at), 0);
    message_encode(&m, at);
}

static void prev_broken(struct fixture *f, struct session *s)
{
    put_message(f, s->stream,
                (struct message){.seq = 100, .prev = 98, .payload = STR("0123456789")});
}

static void prev_ahead(struct fixture *f, struct session *s)
{
    put_message(f, s->stream,
                (struct message){.seq = 100, .prev = 100, .payload = STR("0123456789")});
}

static void seq_ahead(struct fixture *f, struct session *s)
{
    uint64_t last = head_of(f, s->stream).last;
    put_message(f, s->stream, (struct message){.seq = f->meta.last_seq + 5, .prev = last});
}

static void seq_twice(struct fixture *f, struct session *s)
{
    put_message(f, s->stream + 1, (struct message){.seq = 100});
}

static void message_malformed(struct fixture *f, struct session *s)
{
    unsigned char key[KEY_STREAM];
    assert_int_equal(txn_put(f->txn, DB_LOG, key_stream(key, s->stream, 100), STR("junk")), 0);
}

static void head_malformed(struct fixture *f, struct session *s)
{
    unsigned char key[KEY_STREAM];
    assert_int_equal(
        txn_put(f->txn, DB_LOG, key_stream(key, s->stream, STREAM_HEAD_SEQ), STR("junk")), 0);
}

static void head_gone(struct fixture *f, struct session *s)
{
    unsigned char key[KEY_STREAM];
    assert_int_equal(txn_del(f->txn, DB_LOG, key_stream(key, s->stream + 1, STREAM_HEAD_SEQ)), 0);
}

static void session_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_SESSION);
}
static void subject_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_SUBJECT);
}
static void name_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_NAME);
}
static void receipt_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_RECEIPT);
}
static void tally_gone(struct fixture *f, struct session *s)
{
    unsigned char key[KEY_STREAM], row[32] = {0};
    drop_first(f, DB_TALLY);
    key_u64(row, 1);
    assert_int_equal(
        txn_put(f->txn, DB_TALLY, key_stream(key, s->stream, STREAM_RUN), str_make(row, 32)), 0);
}
static void collapse_gone(struct fixture *f, struct session *s)
{
    (void)s;
    drop_first(f, DB_COLLAPSE);
}
static void queue_gone(struct fixture *f, struct session *s)
{
    struct expiry_row row;
    (void)s;
    while (expiry_take(f->txn, UINT64_MAX, &row) == 0)
        ;
}
static void ttl_of_nothing(struct fixture *f, struct session *s)
{
    assert_int_equal(entry_queue_ttl(f->txn, s->stream, 100, 5000), 0);
}
static void mark_ahead(struct fixture *f, struct session *s)
{
    s->acked = f->meta.last_seq + 1;
    assert_int_equal(session_put(f->txn, s), 0);
}
static void pending_acked(struct fixture *f, struct session *s)
{
    s->acked = 50;
    assert_int_equal(session_put(f->txn, s), 0);
}
static void mailbox_of_nobody(struct fixture *f, struct session *s)
{
    (void)s;
    new_stream(f, STREAM_MAILBOX);
}
static void key_ahead(struct fixture *f, struct session *s)
{
    struct row row;
    unsigned char value[32] = {0xff}, key[28];
    (void)s;
    assert_int_equal(txn_seek(f->txn, DB_DEDUP, str_make(NULL, 0), &row), 0);
    memcpy(key, row.key.p, sizeof(key));
    assert_int_equal(
        txn_put(f->txn, DB_DEDUP, str_make(key, sizeof(key)), str_make(value, sizeof(value))), 0);
}
static void no_epoch(struct fixture *f, struct session *s)
{
    (void)s;
    f->meta.epoch = 0;
}
static void attachment_of_nobody(struct fixture *f, struct session *s)
{
    struct attachment a = {.connection = 1};
    uint8_t id[SESSION_ID_SIZE] = {77};
    (void)s;
    assert_int_equal(attachment_put(f->txn, id, &a), 0);
}

static const struct damage DAMAGES[] = {
    {head_count, "count"},
    {head_bytes, "bytes"},
    {head_ttl, "with_ttl"},
    {head_receipts, "receipts"},
    {head_reclaim, "nothing queued"},
    {head_kind, "kind 9"},
    {head_last_gone, "called gone"},
    {head_trimmed, "trimmed"},
    {message_lost, "count"},
    {prev_broken, "prev 98"},
    {prev_ahead, "prev 100"},
    {seq_ahead, "past the store's last seq"},
    {seq_twice, "occur more than once"},
    {message_malformed, "seq 100: malformed"},
    {head_gone, "without a head"},
    {session_gone, "a mailbox of no session"},
    {subject_gone, "does not list it"},
    {name_gone, "does not lead to it"},
    {receipt_gone, "receipts"},
    {tally_gone, "the run up to"},
    {collapse_gone, "collapse key names seq 0"},
    {queue_gone, "its end is not queued"},
    {ttl_of_nothing, "of no message"},
    {mark_ahead, "past the store's last seq"},
    {pending_acked, "a message at or below its ack"},
    {mailbox_of_nobody, "a mailbox of no session"},
    {key_ahead, "never given"},
    {no_epoch, "no epoch"},
    {attachment_of_nobody, "an attachment"},
    {head_malformed, "its head is malformed"},
};

static void test_damage(void **state)
{
    find_damages(*state, DAMAGES, sizeof(DAMAGES) / sizeof(DAMAGES[0]));
}

/* More violations than lines, and less room than lines. */
static void test_ceilings(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    struct row row;
    uint64_t n = 0, lines = 0;
    struct session s = fill(f);
    fixture_commit(f);
    fixture_write(f);
    for (uint64_t seq = 10; seq < 10 + VERIFY_LINES_MAX + 50; seq++)
        assert_int_equal(entry_queue_ttl(f->txn, s.stream, seq, 5000), 0);
    assert_int_equal(txn_seek(f->txn, DB_EXPIRY, str_make(NULL, 0), &row), 0);
    n = damaged(f, &report);
    assert_int_equal(n, VERIFY_LINES_MAX + 50);
    for (size_t i = 0; i < report.len; i++)
        lines += report.data[i] == '\n';
    assert_int_equal(lines, VERIFY_LINES_MAX + 1);
    buf_free(&report);
    buf_init(&report, 1000);
    assert_int_equal(verify_txn(f->txn, &report, &n), -EMSGSIZE);
    buf_free(&report);
}

static void test_keyset_without_memory(void **state)
{
    struct fixture *f = *state;
    struct buf report;
    fill(f);
    fixture_commit(f);
    struct txn *t = fixture_read(f);
    unsigned failed = 0;
    for (unsigned long i = 1;; i++) {
        uint64_t n = 0;
        buf_init(&report, 1 << 16);
        assert_int_equal(buf_reserve(&report, 1 << 15), 0);
        failmalloc_arm(i);
        int rc = verify_txn(t, &report, &n);
        bool hit = failmalloc_disarm();
        buf_free(&report);
        if (!hit)
            break;
        assert_int_equal(rc, -ENOMEM);
        failed++;
    }
    assert_true(failed >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_sound),        fixture_test(test_new),
        cmocka_unit_test(test_no_store), fixture_test(test_damage),
        fixture_test(test_ceilings),     fixture_test(test_keyset_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
