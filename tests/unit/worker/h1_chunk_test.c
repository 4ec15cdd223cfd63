/* h1_chunk: bodies in any pieces, and every malformed line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/h1_chunk.h"

#define EXTRA 100

struct outcome {
    enum h1_fault fault;
    bool end;
    char body[256];
    size_t len, used;
};

/* Feeds n bytes in pieces of at most `piece`. */
static struct outcome decode(const char *data, size_t n, size_t piece)
{
    struct outcome o = {0};
    struct h1_chunk k;
    h1_chunk_init(&k, EXTRA);
    while (o.used < n && !o.end && o.fault == H1_FINE) {
        size_t give = n - o.used < piece ? n - o.used : piece, used = 0;
        struct str bytes;
        switch (h1_chunk_next(&k, data + o.used, give, &used, &bytes, &o.fault)) {
        case H1_PIECE_DATA:
            assert_true(o.len + bytes.n <= sizeof(o.body));
            memcpy(o.body + o.len, bytes.p, bytes.n);
            o.len += bytes.n;
            break;
        case H1_PIECE_END:
            o.end = true;
            break;
        case H1_PIECE_NONE:
            assert_int_equal(used, give);
            break;
        case H1_PIECE_SIZED:
            assert_true(k.left > 0);
            break;
        case H1_PIECE_BAD:
            assert_true(o.fault != H1_FINE);
            break;
        }
        o.used += used;
    }
    return o;
}

static struct outcome decode_text(const char *text)
{
    struct outcome whole = decode(text, strlen(text), SIZE_MAX);
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct outcome o = decode(text, strlen(text), piece);
        assert_int_equal(o.fault, whole.fault);
        assert_int_equal(o.end, whole.end);
        assert_int_equal(o.len, whole.len);
        assert_int_equal(o.used, whole.used);
        assert_memory_equal(o.body, whole.body, o.len);
    }
    return whole;
}

static void test_decodes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *body;
    } rows[] = {
        {"0\r\n\r\n", ""},
        {"5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"},
        {"0000000000000005\r\nhello\r\n00\r\n\r\n", "hello"},
        {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
        {"5;x=y\r\nhello\r\n0;z\r\n\r\n", "hello"},
        {"5 \t;x=\"a;b\"\r\nhello\r\n0\r\n\r\n", "hello"},
        {"5\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n"},
        {"1\r\na\r\n0\r\nTrailer: v\r\nOther:\r\n\r\n", "a"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome o = decode_text(rows[i].text);
        assert_string_equal(h1_fault_reason(o.fault), "fine");
        assert_true(o.end);
        assert_int_equal(o.used, strlen(rows[i].text));
        assert_int_equal(o.len, strlen(rows[i].body));
        assert_memory_equal(o.body, rows[i].body, o.len);
    }
}

static void test_stops_at_the_end(void **state)
{
    (void)state;
    struct outcome o = decode_text("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    assert_true(o.end);
    assert_int_equal(o.used, strlen("1\r\na\r\n0\r\n\r\n"));
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum h1_fault fault;
    } rows[] = {
        {"\r\n", H1_CHUNK_SIZE},
        {"x\r\n", H1_CHUNK_SIZE},
        {"-1\r\n", H1_CHUNK_SIZE},
        {"+1\r\n", H1_CHUNK_SIZE},
        {"0x1\r\n", H1_CHUNK_SIZE},
        {" 1\r\n", H1_CHUNK_SIZE},
        {";x\r\n", H1_CHUNK_SIZE},
        {"1\na\r\n", H1_CHUNK_SIZE},
        {"1\r1", H1_CHUNK_SIZE},
        {"00000000000000001\r\n", H1_CHUNK_SIZE},
        {"10000000000000000\r\n", H1_CHUNK_SIZE},
        {"1 \r\na", H1_CHUNK_EXTENSION},
        {"1 2\r\na", H1_CHUNK_EXTENSION},
        {"2;\nxx\r\nab\r\n", H1_CHUNK_EXTENSION},
        {"2;x\x01\r\n", H1_CHUNK_EXTENSION},
        {"1\r\nab\r\n", H1_CHUNK_END},
        {"1\r\na\n0\r\n", H1_CHUNK_END},
        {"1\r\na\rX", H1_CHUNK_END},
        {"0\r\nno-colon\r\n\r\n", H1_TRAILER},
        {"0\r\n: v\r\n\r\n", H1_TRAILER},
        {"0\r\n A: v\r\n\r\n", H1_TRAILER},
        {"0\r\nA : v\r\n\r\n", H1_TRAILER},
        {"0\r\nA: v\n\r\n", H1_TRAILER},
        {"0\r\nA: v\rx", H1_TRAILER},
        {"0\r\nA: \x02\r\n\r\n", H1_TRAILER},
        {"0\r\n\n", H1_TRAILER},
        {"0\r\n\rx", H1_TRAILER},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome o = decode_text(rows[i].text);
        if (o.fault != rows[i].fault)
            print_error("row %zu: %s\n", i, rows[i].text);
        assert_string_equal(h1_fault_reason(o.fault), h1_fault_reason(rows[i].fault));
        assert_false(o.end);
    }
    assert_int_equal(decode("0\r\nA: \0\r\n\r\n", 11, 99).fault, H1_TRAILER);
}

static void test_extras_are_bounded_over_the_whole_body(void **state)
{
    (void)state;
    char text[1024];
    for (int chunks = 99; chunks <= 102; chunks++) { /* one byte of extension each */
        int n = 0;
        for (int i = 0; i < chunks; i++)
            n += snprintf(text + n, sizeof(text) - (size_t)n, "1;x\r\na\r\n");
        snprintf(text + n, sizeof(text) - (size_t)n, "0\r\n\r\n");
        struct outcome o = decode(text, strlen(text), SIZE_MAX);
        assert_int_equal(o.fault, chunks <= EXTRA ? H1_FINE : H1_CHUNK_EXTENSION);
    }
    for (int value = 97; value <= 100; value++) {
        snprintf(text, sizeof(text), "0\r\nA:%0*d\r\n\r\n", value, 0);
        struct outcome o = decode_text(text);
        assert_int_equal(o.fault, value + 2 <= EXTRA ? H1_FINE : H1_TRAILER);
    }
}

static void test_tells_the_size_before_the_data(void **state)
{
    (void)state;
    struct h1_chunk k;
    struct str piece;
    enum h1_fault f;
    size_t used;
    h1_chunk_init(&k, EXTRA);
    assert_int_equal(h1_chunk_next(&k, "fFfFfFfFfFfFfFfF\r\nabc", 21, &used, &piece, &f),
                     H1_PIECE_SIZED);
    assert_int_equal(used, 18);
    assert_true(k.left == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decodes),
        cmocka_unit_test(test_stops_at_the_end),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_extras_are_bounded_over_the_whole_body),
        cmocka_unit_test(test_tells_the_size_before_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
