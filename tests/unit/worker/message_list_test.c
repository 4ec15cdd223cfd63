/* message_list_test - the list of a pick-up: the same in both encodings, whatever its length. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../failmalloc.h"
#include "worker/message_list.h"

#define OBJECT_JSON STR("{\"seq\":7}")
#define OBJECT_MSGPACK STR("\x81\xa3seq\x07")

static void add(struct message_list *l, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        message_list_add(l, l->encoding == ENCODING_JSON ? OBJECT_JSON : OBJECT_MSGPACK);
}

/* A list of n messages and so many lost rows, as JSON text. */
static void make(enum encoding encoding, unsigned n, unsigned lost, struct buf *ret)
{
    struct buf out;
    struct message_list l;
    struct mp_value v;
    buf_init(&out, 1 << 20);
    message_list_init(&l, &out, encoding);
    for (unsigned i = 0; i < lost; i++)
        message_list_lost(&l, i ? STR("topic:\xc3\xa4\"") : STR("mailbox"), i, UINT64_MAX);
    add(&l, n);
    message_list_end(&l, STR("9f.7"), n > 0);
    assert_int_equal(out.error, 0);
    if (encoding == ENCODING_JSON) {
        assert_int_equal(json_check(buf_str(&out), NULL), 0);
        buf_append_str(ret, buf_str(&out));
    } else {
        assert_int_equal(mp_check(buf_str(&out), &v), 0);
        assert_int_equal(mp_to_json(v, ret), 0);
    }
    message_list_free(&l);
    buf_free(&out);
}

static void both_encodings_say_the_same(void **state)
{
    (void)state;
    static const unsigned counts[] = {0, 1, 2, 15, 16, 255, 256, MESSAGE_LIST_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        for (unsigned lost = 0; lost < 20; lost += 1 + lost) {
            struct buf a, b;
            buf_init(&a, 1 << 20);
            buf_init(&b, 1 << 20);
            make(ENCODING_JSON, counts[i], lost, &a);
            make(ENCODING_MSGPACK, counts[i], lost, &b);
            assert_true(str_eq(buf_str(&a), buf_str(&b)));
            buf_free(&a);
            buf_free(&b);
        }
    }
}

static void exact_text(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    make(ENCODING_JSON, 2, 2, &b);
    assert_true(str_eq(
        buf_str(&b),
        STR("{\"messages\":[{\"seq\":7},{\"seq\":7}],\"cursor\":\"9f.7\",\"more\":true,"
            "\"truncated\":[{\"stream\":\"mailbox\",\"from\":0,\"to\":18446744073709551615},"
            "{\"stream\":\"topic:\xc3\xa4\\\"\",\"from\":1,\"to\":18446744073709551615}]}")));
    buf_reset(&b);
    make(ENCODING_JSON, 0, 0, &b);
    assert_true(str_is(buf_str(&b), "{\"messages\":[],\"cursor\":\"9f.7\",\"more\":false}"));
    buf_free(&b);
}

static void a_reset_begins_anew(void **state)
{
    (void)state;
    for (int e = 0; e < ENCODINGS; e++) {
        struct buf out, want;
        struct message_list l;
        buf_init(&out, 1 << 20);
        buf_init(&want, 1 << 20);
        message_list_init(&l, &out, (enum encoding)e);
        add(&l, 20);
        message_list_lost(&l, STR("mailbox"), 1, 2);
        message_list_reset(&l);
        add(&l, 1);
        message_list_end(&l, STR("9f.7"), true);
        message_list_free(&l);
        if (e == ENCODING_JSON) {
            make(ENCODING_JSON, 1, 0, &want);
            assert_true(str_eq(buf_str(&out), buf_str(&want)));
        } else {
            assert_int_equal(out.data[0], 0x83);
            assert_int_equal(mp_check(buf_str(&out), NULL), 0);
        }
        buf_free(&out);
        buf_free(&want);
    }
}

/* A session's every stream may have lost something, whatever it is called. */
static void all_streams_at_once(void **state)
{
    (void)state;
    char name[6 + 255];
    memcpy(name, "topic:", 6);
    memset(name + 6, '"', 255);
    for (int e = 0; e < ENCODINGS; e++) {
        struct buf out;
        struct message_list l;
        buf_init(&out, 16 << 20);
        message_list_init(&l, &out, (enum encoding)e);
        for (unsigned i = 0; i < PAGE_SOURCES; i++)
            message_list_lost(&l, str_make(name, sizeof(name)), UINT64_MAX - 1, UINT64_MAX);
        message_list_end(&l, STR("9f.7"), false);
        assert_int_equal(out.error, 0);
        assert_int_equal(l.nlost, PAGE_SOURCES);
        message_list_free(&l);
        buf_free(&out);
    }
}

/* Neither half a list nor half of what was lost. */
static void what_does_not_fit_is_an_error(void **state)
{
    (void)state;
    static char name[30000];
    memset(name, 'x', sizeof(name));
    for (int e = 0; e < ENCODINGS; e++) {
        struct buf out;
        struct message_list l;
        buf_init(&out, 40);
        message_list_init(&l, &out, (enum encoding)e);
        add(&l, 10);
        message_list_end(&l, STR("9f.7"), false);
        assert_int_equal(out.error, -EMSGSIZE);
        message_list_free(&l);
        buf_free(&out);
        buf_init(&out, 16 << 20);
        message_list_init(&l, &out, (enum encoding)e);
        for (int i = 0; i < 100; i++)
            message_list_lost(&l, str_make(name, sizeof(name)), 1, 2);
        message_list_end(&l, STR("9f.7"), false);
        assert_int_equal(out.error, -EMSGSIZE);
        message_list_free(&l);
        buf_free(&out);
    }
}

static int run(void *arg)
{
    struct buf out;
    struct message_list l;
    buf_init(&out, 1 << 20);
    message_list_init(&l, &out, *(enum encoding *)arg);
    message_list_lost(&l, STR("mailbox"), 1, 2);
    add(&l, 100);
    message_list_end(&l, STR("9f.7"), false);
    int err = out.error;
    message_list_free(&l);
    buf_free(&out);
    return err;
}

static void no_memory(void **state)
{
    (void)state;
    for (enum encoding e = ENCODING_JSON; e < ENCODINGS; e++)
        assert_true(failmalloc_each(run, &e) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_encodings_say_the_same),   cmocka_unit_test(exact_text),
        cmocka_unit_test(a_reset_begins_anew),           cmocka_unit_test(all_streams_at_once),
        cmocka_unit_test(what_does_not_fit_is_an_error), cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
