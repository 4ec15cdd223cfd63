/* receipt_test - what is told about a message is true, or "unknown". */
#include "tests/unit/shm/stream_fixture.h"

#include "shm/expiry.h"
#include "shm/session.h"

struct box {
    struct fixture *f;
    struct session s;
    struct stream_limits l;
};

static struct box box_of(struct fixture *f)
{
    struct box b = {.f = f,
                    .s = {.ttl_ms = 1u << 30, .expires_ms = 1u << 30},
                    .l = {.messages = 10, .receipts = true, .receipts_ms = 60000}};
    fixture_write(f);
    b.s.id[0] = 1;
    assert_int_equal(session_create(f->txn, &b.s), 0);
    return b;
}

static struct receipt receipt_of(struct box *b, uint64_t seq)
{
    struct receipt r;
    assert_int_equal(stream_receipt(b->f->txn, &b->s, seq, b->f->now_ms, b->l.age_ms, &r), 0);
    return r;
}

static void expect(struct box *b, uint64_t seq, const char *state)
{
    assert_string_equal(receipt_state_text(receipt_of(b, seq).state), state);
}

static void put_one(struct box *b, struct put put)
{
    assert_int_equal(append_to(b->f, b->s.stream, &b->l, put, NULL), 0);
}

static void ack(struct box *b, uint64_t seq)
{
    uint64_t removed;
    b->s.acked_prev = b->s.acked;
    b->s.acked = seq;
    b->s.acked_ms = b->f->now_ms;
    assert_int_equal(
        stream_ack(b->f->txn, b->s.stream, seq, b->f->now_ms, &b->l, &b->f->budget, &removed), 0);
}

static void test_life(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    put_one(&b, (struct put){0});
    put_one(&b, (struct put){0});
    expect(&b, 1, "stored");
    assert_int_equal(receipt_of(&b, 1).time_ms, f->now_ms);
    b.s.delivered = 1;
    b.s.delivered_ms = f->now_ms + 5;
    expect(&b, 1, "delivered");
    assert_int_equal(receipt_of(&b, 1).delivered_ms, f->now_ms + 5);
    expect(&b, 2, "stored");
    f->now_ms += 9;
    ack(&b, 1);
    expect(&b, 1, "acked");
    assert_int_equal(receipt_of(&b, 1).acked_ms, f->now_ms);
    assert_int_equal(receipt_of(&b, 1).delivered_ms, f->now_ms - 4);
    assert_int_equal(receipt_of(&b, 1).time_ms, 0); /* gone with the message: not guessed */
    /* Only the last step of an ack has its time. */
    f->now_ms += 10;
    ack(&b, 2);
    assert_int_equal(receipt_of(&b, 1).acked_ms, 0);
    assert_int_equal(receipt_of(&b, 2).acked_ms, f->now_ms);
}

static void test_removed_unacked(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    bool removed;
    put_one(&b, (struct put){.ttl_ms = 1000});
    put_one(&b, (struct put){.collapse = "k"});
    put_one(&b, (struct put){.collapse = "k"});
    f->now_ms += 1000;
    expect(&b, 1, "expired"); /* not swept yet */
    assert_int_equal(stream_expire_message(f->txn, b.s.stream, 1, f->now_ms, &b.l, &removed), 0);
    expect(&b, 1, "expired");
    assert_int_equal(receipt_of(&b, 1).time_ms, f->now_ms - 1000);
    expect(&b, 2, "replaced");
    for (int i = 0; i < 10; i++)
        put_one(&b, (struct put){0});
    expect(&b, 3, "trimmed");
    ack(&b, f->meta.last_seq); /* what went before it stays told */
    expect(&b, 1, "expired");
    expect(&b, 2, "replaced");
    expect(&b, 3, "trimmed");
    expect(&b, 4, "acked");
}

static void test_aged(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    b.l.age_ms = 1000;
    put_one(&b, (struct put){0});
    f->now_ms += 1000;
    expect(&b, 1, "trimmed"); /* readers judge by age themselves */
    assert_int_equal(stream_expire_age(f->txn, b.s.stream, f->now_ms, &b.l, &f->budget), 0);
    expect(&b, 1, "trimmed");
}

/* Past its ttl when the ack came: it expired, however late its row is made; an ack in time: acked,
 * although the ttl passes before the entry is reclaimed. */
static void test_ack_after_ttl(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    put_one(&b, (struct put){.ttl_ms = 100});
    put_one(&b, (struct put){.ttl_ms = 5000});
    put_one(&b, (struct put){0});
    f->now_ms += 100;
    f->budget = 0;
    ack(&b, 2);
    expect(&b, 1, "expired");
    expect(&b, 2, "acked");
    f->now_ms += 10000;
    expect(&b, 2, "acked"); /* in the log still, and past its ttl by now */
    ack(&b, 3);
    f->budget = 10;
    assert_int_equal(stream_reclaim(f->txn, b.s.stream, &f->budget), 0);
    assert_int_equal(head_of(f, b.s.stream).receipts, 1);
    expect(&b, 1, "expired");
    expect(&b, 2, "acked");
    expect(&b, 3, "acked");
}

static void test_cap(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    for (int i = 0; i < 30; i++) /* 29 replaced, 10 headers */
        put_one(&b, (struct put){.collapse = "k"});
    assert_int_equal(head_of(f, b.s.stream).receipts, 10);
    assert_int_equal(head_of(f, b.s.stream).receipt_lost, 19);
    expect(&b, 19, "unknown");
    expect(&b, 20, "replaced");
    expect(&b, 29, "replaced");
    ack(&b, 30);
    expect(&b, 19, "unknown"); /* at or below the ack, and never a guess */
    expect(&b, 30, "acked");
}

/* Headers stay for the receipts time, looked at in as many portions as the budget wants. */
static void test_age_out(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    struct expiry_row row;
    unsigned rounds = 0;
    b.l.messages = 100;
    for (int i = 0; i < 40; i++, f->now_ms += 1000)
        put_one(&b, (struct put){.collapse = "k"});
    uint64_t end = f->now_ms + 59000;
    while (f->now_ms < end) {
        f->now_ms += 1000;
        while (expiry_take(f->txn, f->now_ms, &row) == 0) {
            f->budget = 7;
            assert_int_equal(row.kind, EXPIRE_RECEIPTS);
            assert_int_equal(
                stream_expire_receipts(f->txn, b.s.stream, f->now_ms, &b.l, &f->budget), 0);
            rounds++;
            if (f->budget == 0)
                break;
        }
        /* Seq n was replaced at 1,000,000 + 1000 n. */
        uint64_t young = f->now_ms - 1000000 > 60000 ? (f->now_ms - 1000000 - 60000) / 1000 + 1 : 1;
        if (young < 40)
            expect(&b, young, "replaced");
    }
    assert_true(rounds > 10);
    /* Rows may stay a sixteenth longer, not more. */
    for (int i = 0; i < 5; i++) {
        f->now_ms += 4000;
        while (expiry_take(f->txn, f->now_ms, &row) == 0) {
            f->budget = 100;
            assert_int_equal(
                stream_expire_receipts(f->txn, b.s.stream, f->now_ms, &b.l, &f->budget), 0);
        }
    }
    assert_int_equal(head_of(f, b.s.stream).receipts, 0);
    assert_int_equal(txn_entries(f->txn, DB_RECEIPT), 0);
    assert_int_equal(head_of(f, b.s.stream).receipts_due_ms, 0);
    expect(&b, 39, "unknown");
    assert_int_equal(stream_expire_receipts(f->txn, 99, f->now_ms, &b.l, &f->budget), 0);
}

static void test_without_receipts(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    b.l.receipts = false;
    put_one(&b, (struct put){.collapse = "k"});
    put_one(&b, (struct put){.collapse = "k"});
    assert_int_equal(txn_entries(f->txn, DB_RECEIPT), 0);
    ack(&b, 2);
    expect(&b, 1, "unknown");
    expect(&b, 2, "acked");
}

static void test_never_was(void **state)
{
    struct fixture *f = *state;
    struct box b = box_of(f);
    put_one(&b, (struct put){0});
    expect(&b, 0, "unknown");
    expect(&b, 2, "unknown");
    b.s.stream = 99;
    struct receipt r;
    assert_int_equal(stream_receipt(f->txn, &b.s, 1, f->now_ms, 0, &r), -ENOENT);
}

static void test_malformed(void **state)
{
    (void)state;
    enum receipt_state s;
    uint64_t a, b;
    unsigned char row[17] = {RECEIPT_ACKED};
    assert_int_equal(receipt_decode(STR("short"), &s, &a, &b), -EUCLEAN);
    assert_int_equal(receipt_decode(str_make(row, sizeof(row)), &s, &a, &b), -EUCLEAN);
    row[0] = RECEIPT_EXPIRED;
    assert_int_equal(receipt_decode(str_make(row, sizeof(row)), &s, &a, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_life),
        fixture_test(test_removed_unacked),
        fixture_test(test_aged),
        fixture_test(test_ack_after_ttl),
        fixture_test(test_cap),
        fixture_test(test_age_out),
        fixture_test(test_without_receipts),
        fixture_test(test_never_was),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
