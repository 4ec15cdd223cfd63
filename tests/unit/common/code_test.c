/* code: the table is complete, its codes are distinct and are what the contract says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "common/code.h"

static void test_every_row(void **state)
{
    (void)state;
    for (int c = 0; c < CODE_COUNT; c++) {
        int status = code_status((enum code)c);
        assert_true(c == CODE_OK ? status == 200 : status >= 400 && status < 600);
        assert_true(strlen(code_title((enum code)c)) > 0);
        for (const char *p = code_text((enum code)c); *p; p++)
            assert_true(islower((unsigned char)*p) || *p == '_');
        for (int d = 0; d < c; d++)
            assert_string_not_equal(code_text((enum code)c), code_text((enum code)d));
    }
}

static void test_contract(void **state)
{
    (void)state;
    assert_string_equal(code_text(CODE_OK), "ok");
    assert_int_equal(code_status(CODE_SESSION_UNKNOWN), 404);
    assert_string_equal(code_text(CODE_SESSION_UNKNOWN), "session_unknown");
    assert_int_equal(code_status(CODE_CURSOR_RESET), 410);
    assert_int_equal(code_status(CODE_STORE_FULL), 507);
    assert_int_equal(code_status(CODE_TOKEN_EXPIRED), 401);
}

static void test_out_of_range_is_internal(void **state)
{
    (void)state;
    static const int outside[] = {CODE_COUNT, -1, 1 << 30};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(code_status((enum code)outside[i]), 500);
        assert_string_equal(code_text((enum code)outside[i]), "internal");
        assert_string_equal(code_title((enum code)outside[i]), code_title(CODE_INTERNAL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_contract),
        cmocka_unit_test(test_out_of_range_is_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
