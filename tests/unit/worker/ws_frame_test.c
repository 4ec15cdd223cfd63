/* ws_frame: heads of every length, in place, and what becomes of errors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "worker/ws_frame.h"

static const struct {
    size_t payload, head;
    unsigned char bytes[WS_FRAME_HEAD];
} rows[] = {
    {0, 2, {0x81, 0}},
    {1, 2, {0x81, 1}},
    {125, 2, {0x81, 125}},
    {126, 4, {0x81, 126, 0, 126}},
    {255, 4, {0x81, 126, 0, 255}},
    {256, 4, {0x81, 126, 1, 0}},
    {65535, 4, {0x81, 126, 255, 255}},
    {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
    {16777217, 10, {0x81, 127, 0, 0, 0, 0, 1, 0, 0, 1}},
};

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b;
        buf_init(&b, 1 << 25);
        buf_append_z(&b, "before");
        size_t begin = ws_frame_begin(&b);
        assert_int_equal(buf_reserve(&b, rows[i].payload), 0);
        memset(b.data + b.len, 'p', rows[i].payload);
        b.len += rows[i].payload;
        struct str f = ws_frame_end(&b, begin, WS_TEXT);
        assert_int_equal(f.n, rows[i].head + rows[i].payload);
        assert_memory_equal(f.p, rows[i].bytes, rows[i].head);
        assert_ptr_equal(f.p + f.n, b.data + b.len); /* nothing was moved */
        assert_memory_equal(b.data, "before", 6);
        if (rows[i].payload)
            assert_int_equal(f.p[rows[i].head], 'p');
        buf_free(&b);
    }
}

static void test_opcodes(void **state)
{
    (void)state;
    static const enum ws_opcode opcodes[] = {WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING, WS_PONG};
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        struct buf b;
        buf_init(&b, 64);
        struct str f = ws_frame_end(&b, ws_frame_begin(&b), opcodes[i]);
        assert_int_equal((unsigned char)f.p[0], 0x80 | opcodes[i]);
        buf_free(&b);
    }
}

static void test_an_error_leaves_an_empty_frame(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, WS_FRAME_HEAD + 3);
    size_t begin = ws_frame_begin(&b);
    buf_append_z(&b, "four");
    assert_int_equal(ws_frame_end(&b, begin, WS_TEXT).n, 0);
    assert_int_equal(b.error, -EMSGSIZE);
    buf_free(&b);

    failmalloc_arm(1);
    begin = ws_frame_begin(&b);
    assert_int_equal(ws_frame_end(&b, begin, WS_TEXT).n, 0);
    assert_true(failmalloc_disarm());
    buf_free(&b);
}

static void test_close_frames(void **state)
{
    (void)state;
    unsigned char f[WS_CLOSE_FRAME_MAX];
    static const unsigned char none[] = {0x88, 0}, superseded[] = {0x88, 2, 4409 >> 8, 4409 & 255};
    assert_int_equal(ws_frame_close(f, 0), sizeof(none));
    assert_memory_equal(f, none, sizeof(none));
    assert_int_equal(ws_frame_close(f, 4409), sizeof(superseded));
    assert_memory_equal(f, superseded, sizeof(superseded));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_opcodes),
        cmocka_unit_test(test_an_error_leaves_an_empty_frame),
        cmocka_unit_test(test_close_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
