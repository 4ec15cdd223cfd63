/* exchange_log: what a request leaves in the log, and what it does not. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/worker/exchange_fake.h"
#include "worker/exchange_log.h"

static const char *logged(enum log_level level, bool gone)
{
    static char text[8192];
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    log_init(level, fd, "test", -1);
    exchange_log(&F.ex, gone);
    log_init(LOG_ERROR, 2, "test", -1);
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static void test_one_line_without_secrets(void **state)
{
    (void)state;
    struct conf_api_key key = {.name = (char *)"backend"};
    strcpy(F.ex.request_id, "id-9");
    F.ex.remote = "10.0.0.1:5";
    F.ex.out_status = 201;
    F.ex.out_bytes = 42;
    F.ex.principal = (struct principal){.kind = PRINCIPAL_KEY, .key = &key};
    const char *line = logged(LOG_INFO, false);
    static const char *const parts[] = {
        "\"event\":\"request\"",
        "\"method\":\"GET\"",
        "\"target\":\"/v1/x?access_token=***\"",
        "\"status\":201",
        "\"code\":\"ok\"",
        "\"bytes\":42",
        "\"gone\":false",
        "\"request_id\":\"id-9\"",
        "\"remote\":\"10.0.0.1:5\"",
        "\"proto\":\"FAKE/1.0\"",
        "\"principal\":\"key\"",
        "\"name\":\"backend\"",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!strstr(line, parts[i]))
            fail_msg("%s is not in %s", parts[i], line);
    }
    assert_null(strstr(line, "secret"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_principals(void **state)
{
    (void)state;
    assert_non_null(strstr(logged(LOG_INFO, true), "\"gone\":true"));
    assert_non_null(strstr(logged(LOG_INFO, true), "\"principal\":\"none\",\"name\":\"\""));
    F.ex.principal = (struct principal){.kind = PRINCIPAL_SESSION};
    assert_non_null(strstr(logged(LOG_INFO, false),
                           "\"principal\":\"session\",\"name\":\"AAAAAAAAAAAAAAAAAAAAAA\""));
    F.ex.principal = (struct principal){.kind = PRINCIPAL_BOOTSTRAP};
    F.ex.principal.claims.subject = strdup("alice");
    assert_non_null(
        strstr(logged(LOG_INFO, false), "\"principal\":\"bootstrap\",\"name\":\"alice\""));
}

static void test_silent_above_info(void **state)
{
    (void)state;
    assert_string_equal(logged(LOG_WARN, false), "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fake_up, fake_down)
    const struct CMUnitTest tests[] = {
        T(test_one_line_without_secrets),
        T(test_principals),
        T(test_silent_above_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
