/* h1_fault: every fault has its own reason, a refusal's code, and a document that says both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "tests/unit/worker/exchange_fake.h"
#include "worker/h1_fault.h"

static void test_reasons_differ(void **state)
{
    (void)state;
    for (int a = 0; a < H1_FAULTS; a++) {
        for (int b = a + 1; b < H1_FAULTS; b++)
            assert_string_not_equal(h1_fault_reason((enum h1_fault)a),
                                    h1_fault_reason((enum h1_fault)b));
    }
}

static void test_documents(void **state)
{
    (void)state;
    for (int f = H1_FINE + 1; f < H1_FAULTS; f++) {
        char reason[128];
        struct json_value v;
        fresh_exchange();
        h1_fault_answer(&F.ex, (enum h1_fault)f);
        assert_true(F.ex.out_status >= 400);
        assert_int_equal(F.ex.out_code, h1_fault_code((enum h1_fault)f));
        assert_int_equal(json_check(buf_str(&F.ex.out_body), &v), 0);
        snprintf(reason, sizeof(reason), "\"reason\":\"%s\"", h1_fault_reason((enum h1_fault)f));
        assert_non_null(strstr(text_of(&F.ex.out_body), reason));
        assert_non_null(strstr(text_of(&F.ex.out_body), "\"detail\":"));
    }
    assert_int_equal(h1_fault_code(H1_FINE), CODE_OK);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fake_up, fake_down)
    const struct CMUnitTest tests[] = {T(test_reasons_differ), T(test_documents)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
