/* pattern: exact names, prefixes, and which of several is the best. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/pattern.h"

struct row {
    const char *pattern, *name;
    bool matches;
};

static const struct row rows[] = {
    {"chat:1", "chat:1", true},
    {"chat:1", "chat:12", false},
    {"chat:1", "chat:", false},
    {"chat:*", "chat:1", true},
    {"chat:*", "chat:", true},
    {"chat:*", "chat", false},
    {"chat:*", "chats:1", false},
    {"*", "", true},
    {"*", "anything", true},
    {"", "", true},
    {"", "a", false},
    {"a*b", "a*b", true},
    {"a*b", "axb", false},
    {"a*b*", "a*bc", true},
    {"a*b*", "axbc", false},
    {"chat:*", "chat:*", true},
    {"**", "*", true},
    {"**", "a", false},
    {"Chat:*", "chat:1", false},
};

static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(pattern_matches(str_of(rows[i].pattern), str_of(rows[i].name)),
                         rows[i].matches);
}

static void test_bytes_beyond_the_name_are_not_read(void **state)
{
    (void)state;
    assert_false(pattern_matches(STR("chat:1"), str_make("chat:1", 5)));
    assert_true(pattern_matches(str_make("chat:**", 6), STR("chat:x")));
    assert_true(pattern_matches(STR("*"), str_make(NULL, 0)));
    assert_false(pattern_matches(STR("a*"), str_make(NULL, 0)));
}

static struct str at(void *arg, size_t i)
{
    return str_of(((const char *const *)arg)[i]);
}

static int best(const char *name, const char *const *patterns, size_t n)
{
    return pattern_best(str_of(name), n, at, (void *)patterns);
}

static void test_best(void **state)
{
    (void)state;
    static const char *const patterns[] = {"*",           "chat:*", "chat:room:*",
                                           "chat:room:1", "chat:*", "news"};
    assert_int_equal(best("x", patterns, 6), 0);
    assert_int_equal(best("chat:x", patterns, 6), 1); /* the first of equals */
    assert_int_equal(best("chat:room:2", patterns, 6), 2);
    assert_int_equal(best("chat:room:1", patterns, 6), 3);
    assert_int_equal(best("chat:room:12", patterns, 6), 2);
    assert_int_equal(best("news", patterns, 6), 5);
    assert_int_equal(best("newsy", patterns, 6), 0);
    assert_int_equal(best("news", patterns + 1, 4), -1);
    assert_int_equal(best("x", patterns, 0), -1);
}

static void test_exact_beats_a_longer_prefix_pattern(void **state)
{
    (void)state;
    static const char *const patterns[] = {"chat:1*", "chat:1"};
    assert_int_equal(best("chat:1", patterns, 2), 1);
    assert_int_equal(best("chat:11", patterns, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_bytes_beyond_the_name_are_not_read),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_exact_beats_a_longer_prefix_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
