/* envelope_event_test - names of events that only the server may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/datum.h"
#include "worker/envelope.h"

static const struct {
    const char *event;
    bool taken;
} rows[] = {
    {"restante.reset", false}, {"restante.closing", false}, {"restante.truncated", false},
    {"restante.", false},      {"restante.mine", false},    {"restante", true},
    {"restanter", true},       {"Restante.reset", true},    {"a.restante.reset", true},
    {"message", true},
};

static void what_the_server_says_nobody_else_does(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, 4096);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[128];
        struct envelope e;
        struct envelope_error error;
        struct datum d;
        snprintf(text, sizeof(text), "{\"data\":1,\"event\":\"%s\"}", rows[i].event);
        assert_int_equal(datum_check(ENCODING_JSON, str_of(text), &d), 0);
        bool taken = envelope_decode(&d, APPEND_TOPIC, 64, &scratch, &e, &error);
        assert_int_equal(taken, rows[i].taken);
        if (!taken)
            assert_int_equal(error.code, CODE_BAD_REQUEST);

        struct envelope_headers h = {.event = str_of(rows[i].event)};
        taken = envelope_of_payload(&h, STR("x"), 64, &e, &error);
        assert_int_equal(taken, rows[i].taken);
        if (!taken)
            assert_int_equal(error.code, CODE_BAD_REQUEST);
    }
    buf_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_says_nobody_else_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
