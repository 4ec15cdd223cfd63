/* presence_fixture - a writer on a clock of the test's, and a client that keeps the list of a
 * topic: it fetches it from the store, applies the diffs that come, and fetches it again when it
 * missed one. */
#ifndef TESTS_PRESENCE_FIXTURE_H
#define TESTS_PRESENCE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "presence_view.h"
#include "rig.c"

#include "shm/verify.h"

#include <errno.h>

#define START 1764072000000ull
#define GRACE 10000
#define WINDOW 50

static uint64_t clock_ms; /* store time, and the boot clock */

/* Instead of storetime.c. */
void storetime_start(struct writer *w)
{
    if (atomic_load(&w->board->start_ms) == 0)
        atomic_store(&w->board->start_ms, clock_ms);
    w->now_ms = w->boot_ms = clock_ms;
}

void storetime_turn(struct writer *w)
{
    w->now_ms = w->boot_ms = clock_ms;
}

#define PAYLOADS 4096
struct fixture {
    struct rig rig;
    struct writer *writer;
    struct {
        uint64_t topic;
        char *text;
    } diff[PAYLOADS]; /* as they came by the feed */
    size_t ndiffs;
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    must(f);
    clock_ms = START;
    rig_open(&f->rig, "namespace \"p:*\" { presence = true }\nnamespace \"t:*\" { }\n");
    f->writer = rig_writer(&f->rig);
    *state = f;
    return 0;
}

static inline struct txn *look(struct fixture *f)
{
    struct txn *t;
    assert_int_equal(store_write(f->writer->store, &t), 0);
    return t;
}

static inline void expect_sound(struct fixture *f)
{
    struct buf report;
    uint64_t violations;
    buf_init(&report, 1 << 20);
    struct txn *t = look(f);
    must(verify_txn(t, &report, &violations) == 0);
    txn_done(t);
    if (violations)
        fprintf(stderr, "%.*s\n", (int)report.len, report.data);
    buf_free(&report);
    assert_int_equal(violations, 0);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    expect_sound(f);
    rig_stop(f->writer);
    rig_close(&f->rig);
    for (size_t i = 0; i < f->ndiffs; i++)
        free(f->diff[i].text);
    free(f);
    return 0;
}

static inline void collect(struct fixture *f)
{
    struct rig_fed fed;
    while (rig_fed(&f->rig, &fed)) {
        if (fed.rec.type != FEED_MESSAGE || !str_is(fed.message.event, "presence"))
            continue;
        must(f->ndiffs < PAYLOADS);
        assert_int_equal(fed.message.flags, MESSAGE_JSON | MESSAGE_EPHEMERAL);
        assert_true(fed.target.flags == FEED_TARGET_TOPIC && fed.target.seq == 0);
        f->diff[f->ndiffs].topic = fed.target.stream;
        f->diff[f->ndiffs].text = strndup(fed.message.payload.p, fed.message.payload.n);
        must(f->diff[f->ndiffs++].text);
    }
}

/* The writer's turns until it has nothing to do at this time, and what it says. */
static inline void settle(struct fixture *f)
{
    do {
        rig_run(f->writer);
        collect(f);
    } while (sweep_waits(f->writer));
}

static inline void pass_ms(struct fixture *f, uint64_t ms)
{
    clock_ms += ms;
    settle(f);
}

/* Runs what waits, and what was answered to the last command, which is of slot 0. */
static inline enum code answer(struct fixture *f)
{
    struct rig_reply r = {0};
    settle(f);
    while (r.id != f->rig.last_id)
        assert_true(rig_reply(&f->rig, 0, &r));
    return r.code;
}
#define expect_code(f, want) assert_int_equal(answer(f), want)

/* The writer dies: what it had in memory is gone. */
static inline void new_writer(struct fixture *f)
{
    rig_stop(f->writer);
    f->writer = rig_writer(&f->rig);
}

static inline uint64_t stream_named(struct fixture *f, const char *name)
{
    struct txn *t = look(f);
    uint64_t stream = 0;
    int err = topic_find(t, str_of(name), &stream);
    txn_done(t);
    assert_true(err == 0 || err == -ENOENT);
    return stream;
}

static inline struct topic topic_named(struct fixture *f, const char *name)
{
    uint64_t stream = stream_named(f, name);
    struct txn *t = look(f);
    struct topic topic;
    assert_int_equal(topic_get(t, stream, &topic), 0);
    txn_done(t);
    topic.name = str_make(NULL, 0);
    return topic;
}

static inline void open_session(struct fixture *f, const uint8_t id[SESSION_ID_SIZE],
                                const char *subject)
{
    rig_open_session(&f->rig, 0, id, subject);
    expect_code(f, CODE_OK);
}

/* By slot 0 or 1. */
static inline void connect_by(struct fixture *f, uint32_t slot, const uint8_t id[SESSION_ID_SIZE],
                              uint64_t connection, uint64_t lease_ms)
{
    struct command_attach c = {
        .connection = connection, .lease_ms = lease_ms, .transport = STR("websocket")};
    memcpy(c.session, id, SESSION_ID_SIZE);
    rig_attach(&f->rig, slot, &c);
    settle(f);
}

static inline void disconnect(struct fixture *f, const uint8_t id[SESSION_ID_SIZE],
                              uint64_t connection)
{
    rig_detach(&f->rig, 0, id, connection);
    settle(f);
}

static inline void track(struct fixture *f, const uint8_t id[SESSION_ID_SIZE], const char *topic,
                         const char *meta)
{
    rig_track(&f->rig, 0, id, topic, meta);
    expect_code(f, CODE_OK);
}

/* --- the client --- */

static inline void fetch(struct fixture *f, struct view *v)
{
    struct txn *t = look(f);
    view_fetch(t, v);
    txn_done(t);
    v->applied = f->ndiffs;
}

/* All diffs that came since. */
static inline void follow(struct fixture *f, struct view *v)
{
    uint64_t stream = stream_named(f, v->name);
    while (v->applied < f->ndiffs) {
        size_t i = v->applied++;
        if (f->diff[i].topic == stream && !view_apply(v, f->diff[i].text))
            fetch(f, v);
    }
}

/* Whoever followed the diffs knows what the list says, once all was announced. */
static inline void expect_up_to_date(struct fixture *f, struct view *v)
{
    static struct view now;
    do /* while time passes, someone's lease may end */
        pass_ms(f, WINDOW);
    while (f->writer->presence.first);
    follow(f, v);
    now.name = v->name;
    fetch(f, &now);
    expect_same(v, &now);
}

#endif
