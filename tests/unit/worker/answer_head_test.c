/* answer_head: the lines that every answer has, and when it has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/worker/exchange_fake.h"
#include "worker/answer_head.h"

#define BEGIN "Date: D\r\nServer: restante\r\nCache-Control: no-store\r\nX-Request-Id: id\r\n"

static struct answer_date date;

static int up(void **state)
{
    date = (struct answer_date){.second = UINT64_MAX};
    int r = fake_up(state);
    strcpy(F.ex.request_id, "id");
    F.ex.out_status = 200;
    return r;
}

/* The lines, their Date replaced by a D. */
static const char *lines(bool sized)
{
    static char text[8192];
    struct buf b;
    buf_init(&b, 8192);
    answer_head(&b, &date, &F.ex, sized);
    memcpy(text, text_of(&b), b.len + 1);
    buf_free(&b);
    assert_memory_equal(text, "Date: ", 6);
    char *end = strstr(text, "\r\n");
    assert_int_equal(end - text, strlen("Date: Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_memory_equal(end - 4, " GMT", 4);
    memmove(text + 7, end, strlen(end) + 1);
    text[6] = 'D';
    return text;
}

static void test_whole(void **state)
{
    (void)state;
    F.ex.out_type = "text/plain";
    buf_append_z(&F.ex.out_body, "hello");
    exchange_add_header(&F.ex, "Restante-Cursor", STR("e.1"));
    assert_string_equal(lines(true), BEGIN "Content-Type: text/plain\r\nRestante-Cursor: e.1\r\n"
                                           "Content-Length: 5\r\n");
}

static void test_in_pieces(void **state)
{
    (void)state;
    F.ex.out_type = "text/event-stream";
    assert_string_equal(lines(false), BEGIN "Content-Type: text/event-stream\r\n");
}

static void test_without_a_body(void **state)
{
    (void)state;
    F.ex.out_type = "text/plain";
    static const int bodiless[] = {204, 304};
    for (size_t i = 0; i < 2; i++) {
        F.ex.out_status = bodiless[i];
        assert_string_equal(lines(true), BEGIN);
    }
    F.ex.out_status = 200;
    F.ex.out_type = NULL;
    assert_string_equal(lines(true), BEGIN "Content-Length: 0\r\n");
}

static void test_date_is_made_once_a_second(void **state)
{
    (void)state;
    const char *text = answer_date(&date);
    assert_ptr_equal(text, date.text);
    assert_true(date.second > 1700000000 && date.second != UINT64_MAX);
    date.text[0] = '!';
    date.second += 1000; /* another second than now: made anew */
    assert_int_not_equal(answer_date(&date)[0], '!');
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, fake_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole),
        TEST(test_in_pieces),
        TEST(test_without_a_body),
        TEST(test_date_is_made_once_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
