/* route_call_test - commands and completions: rule 3, timeouts, garbage, memory. */
#include "route_harness.h"

#include "../failmalloc.h"

struct asked {
    unsigned calls;
    enum code code;
    bool unknown;
    uint64_t word; /* of the completion's body */
};

static void on_done(void *arg, enum code code, bool unknown, struct unpack *body)
{
    struct asked *a = arg;
    a->calls++;
    a->code = code;
    a->unknown = unknown;
    if (body)
        a->word = unpack_u64(body);
}

struct wish {
    size_t bytes, reply;
    ssize_t result; /* < 0: given back instead of reply */
};

static ssize_t encode(void *arg, struct pack *p)
{
    const struct wish *w = arg;
    for (size_t i = 0; i < w->bytes; i++)
        pack_u8(p, (uint8_t)i);
    return w->result < 0 ? w->result : (ssize_t)w->reply;
}

static int ask_for(struct wish w, size_t size_max, struct asked *a, struct route_call **ret)
{
    return route_command(F.route, COMMAND_ACK, size_max, encode, &w, on_done, a, ret);
}

static int ask(struct asked *a, struct route_call **ret)
{
    return ask_for((struct wish){.bytes = 24, .reply = 8}, 24, a, ret);
}

static void a_command_is_answered_once(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    struct route_call *call;
    assert_int_equal(ask(&a, &call), 0);
    struct command_header h;
    struct unpack body;
    assert_int_equal(take_command(&h, &body), COMMAND_ACK);
    assert_int_equal(h.generation, GENERATION);
    assert_true(h.id != 0);
    assert_int_equal(body.end - body.p, 24);
    uint64_t word = 42;
    complete(h.id, CODE_FORBIDDEN, &word, sizeof(word));
    assert_int_equal(a.calls, 0); /* never from inside the call that asked */
    proceed();
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.code, CODE_FORBIDDEN);
    assert_false(a.unknown);
    assert_int_equal(a.word, 42);
    complete(h.id, CODE_OK, NULL, 0); /* a completion whose id is not open */
    proceed();
    assert_int_equal(a.calls, 1);
    assert_int_equal(metric(METRIC_COMPLETIONS_STALE), 1);
}

static void the_record_ends_where_the_members_do(void **state)
{
    (void)state;
    struct asked a;
    struct route_call *call;
    struct command_header h;
    struct unpack body;
    /* A bound that does not fit before the end of the ring, again and again, with members that
     * do: they are moved to where a record of their size belongs. */
    for (int i = 0; i < 2000; i++) {
        size_t n = (size_t)(i * 7 % 600);
        assert_int_equal(ask_for((struct wish){.bytes = n}, 200000, &a, &call), 0);
        assert_int_equal(take_command(&h, &body), COMMAND_ACK);
        assert_int_equal(body.end - body.p, n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(unpack_u8(&body), (uint8_t)k);
        complete(h.id, CODE_OK, NULL, 0);
        proceed();
    }
}

static void another_generation_is_ignored(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    struct route_call *call;
    struct command_header h;
    struct unpack body;
    assert_int_equal(ask(&a, &call), 0);
    take_command(&h, &body);
    complete_as(GENERATION - 1, h.id, CODE_OK, NULL, 0);
    complete_as(GENERATION + 1, h.id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(a.calls, 0);
    assert_int_equal(metric(METRIC_COMPLETIONS_STALE), 2);
    complete(h.id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(a.calls, 1);
}

static void what_a_predecessor_left_is_skipped(void **state)
{
    (void)state;
    for (uint64_t id = 1; id < 5; id++)
        complete_as(GENERATION - 1, id, CODE_OK, NULL, 0);
    route_close(F.route);
    assert_int_equal(harness_open_route(), 0);
    struct asked a = {.calls = 0};
    struct route_call *call;
    assert_int_equal(ask(&a, &call), 0);
    proceed();
    assert_int_equal(a.calls, 0);
    assert_int_equal(metric(METRIC_COMPLETIONS_STALE), 4);
    assert_true(ring_tail(&F.reply) == ring_head(&F.reply));
}

static void open_reservations_fill_half_the_reply_ring(void **state)
{
    (void)state;
    struct asked a[400] = {{.calls = 0}};
    struct route_call *call;
    struct command_header h;
    struct unpack body;
    size_t reply = 1000, open = 0;
    struct wish wish = {.bytes = 1, .reply = reply};
    int err = 0;
    while (err == 0) {
        err = ask_for(wish, 1, &a[open], &call);
        open += err == 0;
    }
    assert_int_equal(err, -EAGAIN);
    assert_int_equal(open, F.reply.size / 2 / ring_need(sizeof(struct completion_header) + reply));
    assert_int_equal(metric(METRIC_COMMANDS_REFUSED), 1);
    assert_int_equal(metric(METRIC_COMMANDS), open);
    /* Nothing of the refused one is visible. */
    for (size_t i = 0; i < open; i++)
        assert_int_equal(take_command(&h, &body), COMMAND_ACK);
    assert_int_equal(take_command(&h, &body), 0);
    complete(1, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(ask_for((struct wish){.bytes = 1, .reply = reply}, 1, &a[0], &call), 0);
}

static void what_can_never_be_answered_is_too_large(void **state)
{
    (void)state;
    struct asked a;
    struct route_call *call;
    assert_int_equal(ask_for((struct wish){.bytes = 1, .reply = F.reply.size}, 1, &a, &call),
                     -EMSGSIZE);
    assert_int_equal(ask_for((struct wish){.bytes = 1}, F.inbox.size, &a, &call), -EMSGSIZE);
}

static void an_encoder_may_give_up(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    struct route_call *call;
    struct command_header h;
    struct unpack body;
    assert_int_equal(ask_for((struct wish){.bytes = 9, .result = -E2BIG}, 9, &a, &call), -E2BIG);
    assert_int_equal(take_command(&h, &body), 0);
    assert_int_equal(ask(&a, &call), 0);
    assert_int_equal(take_command(&h, &body), COMMAND_ACK);
}

static void a_full_inbox_refuses(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    struct route_call *call;
    struct wish w = {.bytes = 100000};
    int err = 0, n = 0;
    while (err == 0) {
        err = ask_for(w, 100000, &a, &call);
        n += err == 0;
    }
    assert_int_equal(err, -EAGAIN);
    assert_true(n >= 9);
    assert_int_equal(route_notify(F.route, COMMAND_TOUCH, 100000, encode, &w), -EAGAIN);
    assert_int_equal(metric(METRIC_COMMANDS_REFUSED), 2);
}

static void no_outcome_in_time_is_unknown(void **state)
{
    (void)state;
    struct asked a[2] = {{.calls = 0}};
    struct route_call *call;
    assert_int_equal(ask(&a[0], &call), 0);
    pass_ms(3000);
    assert_int_equal(ask(&a[1], &call), 0);
    pass_ms(1900);
    assert_int_equal(a[0].calls, 0);
    pass_ms(200);
    assert_int_equal(a[0].calls, 1);
    assert_true(a[0].unknown);
    assert_int_equal(a[0].code, CODE_UNAVAILABLE);
    assert_int_equal(a[1].calls, 0);
    assert_int_equal(metric(METRIC_COMMANDS_UNKNOWN), 1);
    /* It comes after all: nobody is called a second time, and its room is free again. */
    uint64_t reserved = F.route->calls.reserved;
    complete(1, CODE_OK, NULL, 0);
    complete(2, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(a[0].calls, 1);
    assert_int_equal(a[1].calls, 1);
    assert_false(a[1].unknown);
    assert_true(reserved > 0);
    assert_int_equal(F.route->calls.reserved, 0);
}

static void a_forgotten_command_runs_unheard(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    struct route_call *call;
    struct command_header h;
    struct unpack body;
    assert_int_equal(ask(&a, &call), 0);
    route_forget(F.route, call);
    assert_int_equal(take_command(&h, &body), COMMAND_ACK);
    pass_ms(6000);
    complete(h.id, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(a.calls, 0);
    assert_int_equal(F.route->calls.reserved, 0);
    assert_int_equal(metric(METRIC_COMPLETIONS_STALE), 0);
}

static void completions_may_come_in_any_order(void **state)
{
    (void)state;
    enum { N = 300 };
    struct asked a[N] = {{.calls = 0}};
    struct route_call *call;
    for (int i = 0; i < N; i++)
        assert_int_equal(ask(&a[i], &call), 0);
    for (uint64_t id = N; id >= 1; id--)
        complete(id, CODE_OK, NULL, 0);
    proceed();
    for (int i = 0; i < N; i++)
        assert_int_equal(a[i].calls, 1);
    assert_int_equal(F.route->calls.reserved, 0);
}

static void a_writer_that_is_not_ready_is_no_place_to_send(void **state)
{
    (void)state;
    struct asked a;
    struct route_call *call;
    atomic_store(&F.board->writer_ready, 0);
    assert_int_equal(ask(&a, &call), -ESHUTDOWN);
}

static void garbage_in_the_reply_ring_costs_only_what_was_open(void **state)
{
    (void)state;
    struct asked a = {.calls = 0}, b = {.calls = 0};
    struct route_call *call;
    assert_int_equal(ask(&a, &call), 0);
    complete(1, CODE_OK, NULL, 0);
    memset(F.reply.data, 0xa5, 64);
    proceed();
    assert_int_equal(a.calls, 1);
    assert_true(a.unknown);
    assert_int_equal(F.route->calls.reserved, 0);
    /* And it goes on. */
    assert_int_equal(ask(&b, &call), 0);
    complete(2, CODE_OK, NULL, 0);
    proceed();
    assert_int_equal(b.calls, 1);
    assert_false(b.unknown);
}

static void a_completion_too_short_is_garbage(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    struct route_call *call;
    void *at;
    assert_int_equal(ask(&a, &call), 0);
    assert_int_equal(ring_prepare(&F.reply, &F.reply_head, 4, &at), 0);
    memset(at, 1, 4);
    ring_publish(&F.reply, F.reply_head);
    proceed();
    assert_int_equal(a.calls, 1);
    assert_true(a.unknown);
}

static void an_unknown_code_is_internal(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    struct route_call *call;
    assert_int_equal(ask(&a, &call), 0);
    complete(1, (enum code)9999, NULL, 0);
    proceed();
    assert_int_equal(a.code, CODE_INTERNAL);
}

static int ask_and_answer(void *arg)
{
    struct asked *a = arg;
    struct route_call *call;
    int err = 0;
    uint64_t first = F.route->calls.next;
    for (int i = 0; i < 100 && !err; i++)
        err = ask(a, &call);
    for (uint64_t id = first; id < F.route->calls.next; id++)
        complete(id, CODE_OK, NULL, 0);
    struct command_header h;
    struct unpack body;
    while (take_command(&h, &body))
        ;
    proceed();
    return err;
}

static void no_memory_is_no_command(void **state)
{
    (void)state;
    struct asked a = {.calls = 0};
    assert_true(failmalloc_each(ask_and_answer, &a) > 0);
    assert_int_equal(F.route->calls.reserved, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, harness_open, harness_close)
    const struct CMUnitTest tests[] = {
        T(a_command_is_answered_once),
        T(the_record_ends_where_the_members_do),
        T(another_generation_is_ignored),
        T(what_a_predecessor_left_is_skipped),
        T(open_reservations_fill_half_the_reply_ring),
        T(what_can_never_be_answered_is_too_large),
        T(an_encoder_may_give_up),
        T(a_full_inbox_refuses),
        T(no_outcome_in_time_is_unknown),
        T(a_forgotten_command_runs_unheard),
        T(completions_may_come_in_any_order),
        T(a_writer_that_is_not_ready_is_no_place_to_send),
        T(garbage_in_the_reply_ring_costs_only_what_was_open),
        T(a_completion_too_short_is_garbage),
        T(an_unknown_code_is_internal),
        T(no_memory_is_no_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
