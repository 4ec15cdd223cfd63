/* ws_scan: where frames end, and each fault of a head, however the bytes arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/ws_scan.h"

#define MAX 1000
#define TEXT 0x81
#define BINARY 0x82
#define PART 0x01 /* the first fragment of a text */
#define MORE 0x00 /* one in the middle */
#define LAST 0x80 /* the last one */
#define CLOSE 0x88
#define PING 0x89
#define PONG 0x8a
#define MASK 1, 2, 3, 4

struct row {
    const char *what;
    unsigned char bytes[64];
    size_t n;
    enum ws_seen seen;
    size_t used; /* 0: all */
};
#define ROW(what, seen, used, ...)                                                                 \
    {                                                                                              \
        what, {__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__}), seen, used                    \
    }

static const struct row rows[] = {
    ROW("empty text", WS_SEEN_ALL, 0, TEXT, 0x80, MASK),
    ROW("text and binary", WS_SEEN_ALL, 0, TEXT, 0x81, MASK, 'a', BINARY, 0x82, MASK, 'a', 'b'),
    ROW("part of a head", WS_SEEN_ALL, 0, TEXT),
    ROW("part of a payload", WS_SEEN_ALL, 0, TEXT, 0x85, MASK, 'a'),
    ROW("fragments", WS_SEEN_ALL, 0, PART, 0x81, MASK, 'a', MORE, 0x80, MASK, LAST, 0x81, MASK,
        'b'),
    ROW("ping between fragments", WS_SEEN_PING, 13, PART, 0x81, MASK, 'a', PING, 0x80, MASK, LAST,
        0x80, MASK),
    ROW("pong", WS_SEEN_ALL, 0, PONG, 0x81, MASK, 'a'),
    ROW("ping", WS_SEEN_PING, 7, PING, 0x81, MASK, 'a', TEXT, 0x80, MASK),
    ROW("close", WS_SEEN_CLOSE, 0, CLOSE, 0x82, MASK, 3, 232),
    ROW("close without a code", WS_SEEN_CLOSE, 6, CLOSE, 0x80, MASK, 'x'),
    ROW("16 bits of length", WS_SEEN_ALL, 0, TEXT, 0xfe, 0, 126, MASK),
    ROW("as large as may be", WS_SEEN_ALL, 0, TEXT, 0xfe, MAX >> 8, MAX & 255, MASK),

    ROW("unmasked text", WS_SEEN_FAULT, 2, TEXT, 0x01, 'a'),
    ROW("unmasked ping", WS_SEEN_FAULT, 2, PING, 0x00),
    ROW("unmasked close", WS_SEEN_FAULT, 2, CLOSE, 0x00),
    ROW("unmasked after a good one", WS_SEEN_FAULT, 8, TEXT, 0x80, MASK, TEXT, 0x01, 'a'),
    ROW("RSV1", WS_SEEN_FAULT, 1, TEXT | 0x40, 0x80, MASK),
    ROW("RSV2", WS_SEEN_FAULT, 1, TEXT | 0x20, 0x80, MASK),
    ROW("RSV3", WS_SEEN_FAULT, 1, PONG | 0x10, 0x80, MASK),
    ROW("opcode 3", WS_SEEN_FAULT, 1, 0x83, 0x80, MASK),
    ROW("opcode 7", WS_SEEN_FAULT, 1, 0x87, 0x80, MASK),
    ROW("opcode 11", WS_SEEN_FAULT, 1, 0x8b, 0x80, MASK),
    ROW("opcode 15", WS_SEEN_FAULT, 1, 0x8f, 0x80, MASK),
    ROW("fragmented ping", WS_SEEN_FAULT, 1, 0x09, 0x80, MASK),
    ROW("fragmented close", WS_SEEN_FAULT, 1, 0x08, 0x80, MASK),
    ROW("long ping", WS_SEEN_FAULT, 2, PING, 0xfe, 0, 126, MASK),
    ROW("longer pong", WS_SEEN_FAULT, 2, PONG, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, MASK),
    ROW("close with half a code", WS_SEEN_FAULT, 2, CLOSE, 0x81, MASK, 3),
    ROW("end without a beginning", WS_SEEN_FAULT, 1, LAST, 0x80, MASK),
    ROW("middle without a beginning", WS_SEEN_FAULT, 1, MORE, 0x80, MASK),
    ROW("end after the end", WS_SEEN_FAULT, 13, PART, 0x80, MASK, LAST, 0x80, MASK, LAST),
    ROW("text inside a text", WS_SEEN_FAULT, 7, PART, 0x80, MASK, TEXT, 0x80, MASK),
    ROW("binary inside a text", WS_SEEN_FAULT, 7, PART, 0x80, MASK, 0x02, 0x80, MASK),
    ROW("16 bits for 125", WS_SEEN_FAULT, 4, TEXT, 0xfe, 0, 125, MASK),
    ROW("64 bits for 65535", WS_SEEN_FAULT, 10, TEXT, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, MASK),
    ROW("sign bit", WS_SEEN_FAULT, 10, TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, MASK),
    ROW("too large", WS_SEEN_LARGE, 4, TEXT, 0xfe, (MAX + 1) >> 8, (MAX + 1) & 255, MASK),
    ROW("far too large", WS_SEEN_LARGE, 10, BINARY, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255),
    ROW("too large with what was before", WS_SEEN_LARGE, 11, PART, 0x81, MASK, 'a', LAST, 0xfe,
        MAX >> 8, MAX & 255, MASK),
};

/* In pieces of `piece` bytes, as reads bring them. */
static void scan_row(const struct row *r, size_t piece)
{
    struct ws_scan s = {0};
    struct ws_run run = {.seen = WS_SEEN_ALL};
    size_t at = 0;
    while (at < r->n && run.seen == WS_SEEN_ALL) {
        run = ws_scan(&s, r->bytes + at, r->n - at < piece ? r->n - at : piece, MAX);
        at += run.used;
    }
    if (run.seen != r->seen || at != (r->used ? r->used : r->n))
        fail_msg("%s in pieces of %zu: saw %d after %zu bytes", r->what, piece, run.seen, at);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t piece = 1; piece <= rows[i].n; piece++)
            scan_row(&rows[i], piece);
    }
}

static void test_a_message_counts_all_its_fragments(void **state)
{
    (void)state;
    static const unsigned char part[] = {PART, 0xfe, 1, 244, MASK}, last[] = {LAST, 0xfe, 1, 244};
    static const unsigned char payload[500];
    for (int more = 0; more < 2; more++) { /* a new message begins from nothing */
        struct ws_scan s = {0};
        assert_int_equal(ws_scan(&s, part, sizeof(part), MAX).seen, WS_SEEN_ALL);
        assert_int_equal(ws_scan(&s, payload, 500, MAX).used, 500);
        assert_int_equal(ws_scan(&s, last, sizeof(last), MAX - (uint64_t)more).seen,
                         more ? WS_SEEN_LARGE : WS_SEEN_ALL);
    }
}

static void test_runs_tell_what_ended(void **state)
{
    (void)state;
    static const unsigned char two[] = {PART, 0x81, MASK, 'a',  LAST, 0x81,
                                        MASK, 'b',  PONG, 0x80, MASK};
    struct ws_scan s = {0};
    struct ws_run r = ws_scan(&s, two, 14, MAX);
    assert_int_equal(r.frames, 2);
    assert_true(r.whole);
    r = ws_scan(&s, two + 14, 6, MAX);
    assert_int_equal(r.frames, 0);
    assert_false(r.whole);
    s = (struct ws_scan){0};
    r = ws_scan(&s, two, 13, MAX);
    assert_int_equal(r.frames, 1);
    assert_false(r.whole);
}

static void test_a_burst_pauses(void **state)
{
    (void)state;
    unsigned char many[6 * (2 * WS_SCAN_BURST)];
    static const unsigned char one[] = {TEXT, 0x80, MASK};
    for (size_t i = 0; i < sizeof(many); i += sizeof(one))
        memcpy(many + i, one, sizeof(one));
    struct ws_scan s = {0};
    struct ws_run r = ws_scan(&s, many, sizeof(many), MAX);
    assert_int_equal(r.seen, WS_SEEN_BURST);
    assert_int_equal(r.used, sizeof(many) / 2);
    assert_int_equal(r.frames, WS_SCAN_BURST);
    assert_true(r.whole);
    r = ws_scan(&s, many + r.used, sizeof(many) - r.used, MAX);
    assert_int_equal(r.seen, WS_SEEN_ALL); /* they are all */
    assert_int_equal(r.used, sizeof(many) / 2);
}

/* Whatever was wrong with a frame, the next one is found, and so the peer's close. */
static void test_goes_on_after_a_fault(void **state)
{
    (void)state;
    static const unsigned char close_frame[] = {CLOSE, 0x80, MASK};
    static const unsigned char bad[][8] = {
        {TEXT, 0x02, 'a', 'b'},         /* unmasked */
        {TEXT | 0x40, 0x81, MASK, 'a'}, /* RSV1 */
        {0x83, 0x80, MASK},             /* opcode 3 */
        {TEXT, 0x00},                   /* unmasked and empty */
    };
    static const size_t lengths[] = {4, 7, 6, 2};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        unsigned char bytes[16];
        memcpy(bytes, bad[i], lengths[i]);
        memcpy(bytes + lengths[i], close_frame, sizeof(close_frame));
        struct ws_scan s = {0};
        size_t at = 0, n = lengths[i] + sizeof(close_frame);
        struct ws_run r = {.seen = WS_SEEN_ALL};
        bool faulty = false;
        while (at < n && r.seen != WS_SEEN_CLOSE) {
            r = ws_scan(&s, bytes + at, n - at, UINT64_MAX);
            at += r.used;
            faulty = faulty || r.seen == WS_SEEN_FAULT;
        }
        assert_true(faulty);
        assert_int_equal(r.seen, WS_SEEN_CLOSE);
        assert_int_equal(at, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_a_message_counts_all_its_fragments),
        cmocka_unit_test(test_runs_tell_what_ended),
        cmocka_unit_test(test_a_burst_pauses),
        cmocka_unit_test(test_goes_on_after_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
