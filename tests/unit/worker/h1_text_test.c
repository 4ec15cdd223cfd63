/* h1_text: header sections byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/exchange_fake.h"
#include "worker/h1_priv.h"

static struct h1_server *server;
static struct h1_request *rq;

static int up(void **state)
{
    int r = fake_up(state);
    server = calloc(1, sizeof(*server));
    rq = calloc(1, sizeof(*rq));
    if (r < 0 || !server || !rq)
        return -1;
    exchange_init(&rq->ex, &F.w, &fake_transport, NULL);
    strcpy(rq->ex.request_id, "id");
    rq->ex.out_status = 200;
    return 0;
}

static int down(void **state)
{
    exchange_free(&rq->ex);
    free(rq);
    free(server);
    return fake_down(state);
}

/* The section, its Date replaced by a D. */
static const char *head(bool keep)
{
    static char text[8192];
    struct buf b;
    buf_init(&b, 8192);
    h1_answer_head(&b, server, rq, keep);
    memcpy(text, text_of(&b), b.len + 1);
    buf_free(&b);
    char *date = strstr(text, "Date: ");
    assert_non_null(date);
    char *end = strstr(date, "\r\n");
    assert_int_equal(end - date, strlen("Date: Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_memory_equal(end - 4, " GMT", 4);
    memmove(date + 7, end, strlen(end) + 1);
    date[6] = 'D';
    return text;
}

#define COMMON "Date: D\r\nServer: restante\r\nCache-Control: no-store\r\nX-Request-Id: id\r\n"

static void test_whole_answer(void **state)
{
    (void)state;
    rq->ex.out_type = "text/plain";
    buf_append_z(&rq->ex.out_body, "12345");
    exchange_add_header(&rq->ex, "Restante-Cursor", STR("c"));
    assert_string_equal(head(true), "HTTP/1.1 200 OK\r\n" COMMON
                                    "Content-Type: text/plain\r\nRestante-Cursor: c\r\n"
                                    "Content-Length: 5\r\n\r\n");
}

static void test_bodiless(void **state)
{
    (void)state;
    rq->ex.out_type = "text/plain";
    rq->ex.out_status = 204;
    assert_string_equal(head(true), "HTTP/1.1 204 No Content\r\n" COMMON "\r\n");
    rq->ex.out_status = 304;
    assert_string_equal(head(true), "HTTP/1.1 304 Not Modified\r\n" COMMON "\r\n");
}

static void test_persistence(void **state)
{
    (void)state;
    assert_string_equal(head(false), "HTTP/1.1 200 OK\r\n" COMMON
                                     "Content-Length: 0\r\nConnection: close\r\n\r\n");
    rq->http10 = true;
    assert_string_equal(head(true), "HTTP/1.1 200 OK\r\n" COMMON
                                    "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

static void test_streams(void **state)
{
    (void)state;
    rq->stream = true;
    assert_string_equal(head(true),
                        "HTTP/1.1 200 OK\r\n" COMMON "Transfer-Encoding: chunked\r\n\r\n");
    rq->http10 = true;
    assert_string_equal(head(false), "HTTP/1.1 200 OK\r\n" COMMON "Connection: close\r\n\r\n");
}

static void test_every_code_has_a_reason_phrase(void **state)
{
    (void)state;
    for (int c = CODE_OK + 1; c < CODE_COUNT; c++) {
        rq->ex.out_status = code_status((enum code)c);
        const char *text = head(true);
        assert_true(text[13] >= 'A' && text[13] <= 'Z');
    }
    rq->ex.out_status = 299;
    assert_memory_equal(head(true), "HTTP/1.1 299 \r\n", 15);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        T(test_whole_answer),
        T(test_bodiless),
        T(test_persistence),
        T(test_streams),
        T(test_every_code_has_a_reason_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
