/* buf: growth up to the ceiling, sticky errors, no memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/buf.h"
#include "tests/unit/failmalloc.h"

static void assert_holds(const struct buf *b, const char *text)
{
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->data, text, b->len);
}

static void test_starts_empty_and_without_memory(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_null(b.data);
    assert_int_equal(buf_str(&b).n, 0);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_null(b.data);
    buf_free(&b);
}

static void test_appends_every_kind(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(buf_append(&b, "ab", 2), 0);
    assert_int_equal(buf_append_str(&b, STR("cd")), 0);
    assert_int_equal(buf_append_z(&b, "ef"), 0);
    assert_int_equal(buf_append_c(&b, 'g'), 0);
    assert_int_equal(buf_append_u64(&b, UINT64_MAX), 0);
    assert_int_equal(buf_append_u64(&b, 0), 0);
    assert_int_equal(buf_printf(&b, "%s-%d", "x", -7), 0);
    assert_holds(&b, "abcdefg184467440737095516150x--7");
    buf_free(&b);
}

static void test_doubles(void **state)
{
    (void)state;
    struct buf b;
    size_t growths = 0, cap = 0;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 1 << 20; i++) {
        assert_int_equal(buf_append_c(&b, (char)i), 0);
        growths += b.cap != cap;
        cap = b.cap;
    }
    assert_in_range(growths, 10, 16);
    for (int i = 0; i < 1 << 20; i++)
        assert_true(b.data[i] == (unsigned char)i);
    buf_free(&b);
}

static void test_takes_exactly_its_ceiling(void **state)
{
    (void)state;
    for (size_t max = 0; max < 200; max++) {
        struct buf b;
        buf_init(&b, max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(buf_append_c(&b, 'x'), 0);
        assert_int_equal(buf_append_c(&b, 'y'), -EMSGSIZE);
        assert_int_equal(b.len, max);
        assert_true(b.cap <= max);
        buf_free(&b);
    }
}

static void test_error_changes_nothing_and_sticks(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_append_z(&b, "abc");
    assert_int_equal(buf_append_z(&b, "de"), -EMSGSIZE);
    assert_holds(&b, "abc");
    /* This one would fit, but the chain is broken. */
    assert_int_equal(buf_append_c(&b, 'd'), -EMSGSIZE);
    assert_int_equal(buf_append_u64(&b, 1), -EMSGSIZE);
    assert_int_equal(buf_printf(&b, "d"), -EMSGSIZE);
    assert_int_equal(buf_reserve(&b, 0), -EMSGSIZE);
    assert_int_equal(buf_append(&b, NULL, 0), -EMSGSIZE);
    assert_holds(&b, "abc");
    buf_reset(&b);
    assert_int_equal(buf_append_z(&b, "wxyz"), 0);
    assert_holds(&b, "wxyz");
    buf_free(&b);
    assert_int_equal(b.max, 4);
    assert_int_equal(buf_append_c(&b, 'a'), 0);
    buf_free(&b);
}

static void test_sizes_that_would_overflow(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_append_c(&b, 'a');
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -EMSGSIZE);
    buf_reset(&b);
    buf_append_c(&b, 'a');
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 1), -ENOMEM);
    assert_int_equal(b.len, 1);
    buf_free(&b);
}

static void test_reserve_leaves_room(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5000);
    assert_int_equal(buf_reserve(&b, 5000), 0);
    const unsigned char *data = b.data;
    for (int i = 0; i < 5000; i++)
        buf_append_c(&b, 'x');
    assert_ptr_equal(b.data, data);
    assert_int_equal(b.error, 0);
    buf_free(&b);
}

static void test_printf_at_every_room(void **state)
{
    (void)state;
    for (size_t before = 0; before < 130; before++) {
        struct buf b;
        buf_init(&b, before + 10);
        for (size_t i = 0; i < before; i++)
            buf_append_c(&b, 'x');
        assert_int_equal(buf_printf(&b, "%s", "0123456789"), 0);
        assert_int_equal(b.len, before + 10);
        assert_memory_equal(b.data + before, "0123456789", 10);
        assert_int_equal(buf_printf(&b, "%s", ""), 0);
        assert_int_equal(buf_printf(&b, "%c", 'a'), -EMSGSIZE);
        assert_int_equal(b.len, before + 10);
        buf_free(&b);
    }
}

static void test_printf_of_nothing_needs_no_memory(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void test_consume(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_append_z(&b, "abcdef");
    buf_consume(&b, 0);
    assert_holds(&b, "abcdef");
    buf_consume(&b, 2);
    assert_holds(&b, "cdef");
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    buf_append_z(&b, "gh");
    assert_holds(&b, "gh");
    buf_free(&b);
}

static void test_fixed_never_grows(void **state)
{
    (void)state;
    char memory[9];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    assert_int_equal(buf_append_z(&b, "1234"), 0);
    assert_int_equal(buf_printf(&b, "%s", "5678"), 0);
    assert_holds(&b, "12345678");
    assert_int_equal(buf_append_c(&b, '9'), -EMSGSIZE);
    assert_ptr_equal(b.data, memory);
    buf_fixed(&b, memory, 1);
    assert_int_equal(buf_append_c(&b, '9'), -EMSGSIZE);
}

static int build(void *arg)
{
    struct buf b;
    (void)arg;
    buf_init(&b, 100000);
    buf_append_z(&b, "start");
    for (int i = 0; i < 2000; i++) {
        size_t was = b.len;
        int before = b.error;
        if (buf_printf(&b, "%d,", i) < 0)
            assert_true(b.len == was && (before == 0 || before == -ENOMEM));
    }
    int rc = buf_append_u64(&b, 1);
    buf_free(&b);
    return rc;
}

static void test_every_allocation_failure(void **state)
{
    (void)state;
    assert_in_range(failmalloc_each(build, NULL), 5, 20);
}

static int reserve(void *arg)
{
    struct buf b;
    (void)arg;
    buf_init(&b, 100);
    int rc = buf_reserve(&b, 10);
    if (rc < 0) {
        assert_null(b.data);
        assert_int_equal(buf_append_c(&b, 'x'), -ENOMEM);
        buf_reset(&b);
        assert_int_equal(buf_append_c(&b, 'x'), 0);
    }
    buf_free(&b);
    return rc;
}

static void test_no_memory_is_over_after_reset(void **state)
{
    (void)state;
    assert_int_equal(failmalloc_each(reserve, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_empty_and_without_memory),
        cmocka_unit_test(test_appends_every_kind),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_takes_exactly_its_ceiling),
        cmocka_unit_test(test_error_changes_nothing_and_sticks),
        cmocka_unit_test(test_sizes_that_would_overflow),
        cmocka_unit_test(test_reserve_leaves_room),
        cmocka_unit_test(test_printf_at_every_room),
        cmocka_unit_test(test_printf_of_nothing_needs_no_memory),
        cmocka_unit_test(test_consume),
        cmocka_unit_test(test_fixed_never_grows),
        cmocka_unit_test(test_every_allocation_failure),
        cmocka_unit_test(test_no_memory_is_over_after_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
