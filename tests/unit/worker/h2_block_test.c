/* h2_block: a header section field by field, its first fault, its ceilings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "worker/h2_priv.h"

static struct h2_block *b;

static int up(void **state)
{
    (void)state;
    b = h2_block_new(1000);
    return b ? 0 : -1;
}

static int down(void **state)
{
    (void)state;
    h2_block_free(b);
    return 0;
}

static void add(const char *name, const char *value)
{
    h2_block_add(b, str_of(name), str_of(value), 100);
}

static struct str view(struct h2_span s)
{
    return str_make(b->text.data + s.at, s.n);
}

static void test_fields_are_kept_in_order(void **state)
{
    (void)state;
    add(":method", "GET");
    add(":scheme", "http");
    add(":authority", "h");
    add(":path", "/x");
    add("a", "1");
    add("b", "");
    assert_int_equal(b->fault, H1_FINE);
    assert_true(str_is(view(b->method), "GET"));
    assert_true(str_is(view(b->authority), "h"));
    assert_true(str_is(view(b->path), "/x"));
    assert_int_equal(b->nfields, 2);
    assert_true(str_is(view(b->field[0].name), "a"));
    assert_true(str_is(view(b->field[0].value), "1"));
    assert_true(str_is(view(b->field[1].name), "b"));
    assert_int_equal(b->field[1].value.n, 0);
}

static void test_cleared_is_empty(void **state)
{
    (void)state;
    add(":method", "GET");
    add("a", "1");
    b->fault = H1_HEADERS_SIZE;
    h2_block_clear(b, 2000);
    assert_int_equal(b->method.n, 0);
    assert_int_equal(b->nfields, 0);
    assert_int_equal(b->fault, H1_FINE);
    assert_int_equal(b->text.len, 0);
    assert_int_equal(b->text.max, 2000);
}

static void test_count_with_and_without_authority(void **state)
{
    (void)state;
    for (int i = 0; i < EXCHANGE_HEADERS; i++)
        add("a", "b");
    assert_int_equal(b->fault, H1_FINE);
    add("a", "b");
    assert_int_equal(b->fault, H1_HEADERS_COUNT);
    h2_block_clear(b, 1000);
    add(":authority", "h");
    for (int i = 0; i < EXCHANGE_HEADERS - 1; i++)
        add("a", "b");
    assert_int_equal(b->fault, H1_FINE);
    add("a", "b");
    assert_int_equal(b->fault, H1_HEADERS_COUNT);
    assert_int_equal(b->nfields, EXCHANGE_HEADERS - 1);
}

static void test_size(void **state)
{
    (void)state;
    static char value[1001];
    memset(value, 'v', 999);
    add("a", value);
    assert_int_equal(b->fault, H1_FINE);
    add("b", "");
    assert_int_equal(b->fault, H1_HEADERS_SIZE);
    add(":method", "GET"); /* after a fault nothing is kept */
    assert_int_equal(b->method.n, 0);
}

static void test_target(void **state)
{
    (void)state;
    static char path[102];
    memset(path, '/', 101);
    add(":path", path);
    assert_int_equal(b->fault, H1_TARGET_LONG);
    assert_int_equal(b->path.n, 0);
    h2_block_clear(b, 1000);
    path[100] = '\0';
    add(":path", path);
    assert_int_equal(b->fault, H1_FINE);
}

static void test_memory(void **state)
{
    (void)state;
    failmalloc_arm(1);
    assert_null(h2_block_new(1000));
    failmalloc_disarm();
    failmalloc_arm(1);
    add(":method", "GET");
    failmalloc_disarm();
    assert_int_equal(b->fault, H1_MEMORY);
    assert_int_equal(b->method.n, 0); /* what was not kept is not there */
    h2_block_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fields_are_kept_in_order),
        TEST(test_cleared_is_empty),
        TEST(test_count_with_and_without_authority),
        TEST(test_size),
        TEST(test_target),
        TEST(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
