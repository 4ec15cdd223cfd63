/* presence_fixture - a writer on a clock of the test's, and a client that keeps the list of a
 * topic: it fetches it from the store, applies the diffs that come, and fetches it again when it
 * missed one. */
#ifndef TESTS_PRESENCE_FIXTURE_H
#define TESTS_PRESENCE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rig.c"

#include "shm/verify.h"

#include <cJSON.h>
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

#define VIEW_MAX 1100
struct seat {
    char session[SESSION_ID_TEXT], key[40], ref[MEMBER_REF_TEXT], meta[80];
};
struct view {
    const char *name; /* of its topic; "": none yet */
    uint64_t version;
    size_t n, applied; /* of f->diff */
    unsigned fetched;  /* how often */
    struct seat seat[VIEW_MAX];
};

static inline struct seat *seat_of(struct view *v, const char *session)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->seat[i].session, session) == 0)
            return &v->seat[i];
    return NULL;
}

static inline bool sits(struct view *v, const uint8_t id[SESSION_ID_SIZE])
{
    char text[SESSION_ID_TEXT];
    session_id_text(id, text);
    return seat_of(v, text) != NULL;
}

static inline void text_of(char *ret, size_t size, struct str s)
{
    must(s.n < size);
    memcpy(ret, s.p, s.n);
    ret[s.n] = 0;
}

/* What the list says now. */
static inline void fetch(struct fixture *f, struct view *v)
{
    uint64_t stream = stream_named(f, v->name);
    struct topic topic = {.version = 0};
    struct member m;
    v->n = 0;
    v->version = 0;
    v->applied = f->ndiffs;
    v->fetched++;
    if (stream == 0)
        return;
    topic = topic_named(f, v->name);
    struct txn *t = look(f);
    int rc = member_first(t, stream, NULL, &m);
    for (; rc == 0; rc = member_next(t, stream, &m)) {
        if (!m.here)
            continue;
        must(v->n < VIEW_MAX);
        struct seat *s = &v->seat[v->n++];
        session_id_text(m.session, s->session);
        member_ref_text(m.ref, s->ref);
        text_of(s->key, sizeof(s->key), m.key);
        text_of(s->meta, sizeof(s->meta), m.meta);
    }
    txn_done(t);
    assert_int_equal(rc, -ENOENT);
    assert_int_equal(topic.members, v->n);
    v->version = topic.version;
}

static inline const char *member_text(const cJSON *meta, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(meta, name);
    assert_true(cJSON_IsString(v));
    return v->valuestring;
}

/* A member as a diff shows it, put back into what it was made of. */
static inline struct seat seat_from(const char *key, cJSON *meta)
{
    struct seat s = {.key = ""};
    text_of(s.key, sizeof(s.key), str_of(key));
    text_of(s.session, sizeof(s.session), str_of(member_text(meta, "session")));
    text_of(s.ref, sizeof(s.ref), str_of(member_text(meta, "ref")));
    assert_int_equal(strlen(member_text(meta, "since")), 24);
    static const char *const own[] = {"session", "ref", "since", "prev_ref"};
    for (size_t i = 0; i < 4; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(meta, own[i]);
    char *rest = cJSON_PrintUnformatted(meta);
    text_of(s.meta, sizeof(s.meta), str_of(rest));
    cJSON_free(rest);
    return s;
}

static inline void apply_joins(struct view *v, cJSON *keys)
{
    for (cJSON *key = keys->child; key; key = key->next)
        for (cJSON *meta = key->child->child; meta; meta = meta->next) {
            struct seat s = seat_from(key->string, meta), *at = seat_of(v, s.session);
            must(at || v->n < VIEW_MAX);
            *(at ? at : &v->seat[v->n++]) = s;
        }
}

static inline void apply_leaves(struct view *v, cJSON *keys)
{
    for (cJSON *key = keys->child; key; key = key->next)
        for (cJSON *meta = key->child->child; meta; meta = meta->next) {
            struct seat s = seat_from(key->string, meta), *at = seat_of(v, s.session);
            if (at)
                *at = v->seat[--v->n];
        }
}

static inline cJSON *item(cJSON *o, const char *name)
{
    cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    assert_non_null(v);
    return v;
}

/* One diff; false: it was not for this version, and the list must be fetched. */
static inline bool apply(struct view *v, const char *text)
{
    cJSON *o = cJSON_Parse(text);
    assert_non_null(o);
    uint64_t version = (uint64_t)item(o, "version")->valuedouble;
    uint64_t prev = (uint64_t)item(o, "prev")->valuedouble;
    assert_int_equal(version, prev + 1);
    bool fits = prev == v->version, old = version <= v->version;
    if (fits) {
        apply_joins(v, item(o, "joins"));
        apply_leaves(v, item(o, "leaves"));
        v->version = version;
    }
    cJSON_Delete(o);
    return fits || old;
}

/* All diffs that came since. */
static inline void follow(struct fixture *f, struct view *v)
{
    uint64_t stream = stream_named(f, v->name);
    while (v->applied < f->ndiffs) {
        size_t i = v->applied++;
        if (f->diff[i].topic == stream && !apply(v, f->diff[i].text))
            fetch(f, v);
    }
}

static inline int by_session(const void *a, const void *b)
{
    return strcmp(((const struct seat *)a)->session, ((const struct seat *)b)->session);
}

static inline void expect_same(struct view *a, struct view *b)
{
    qsort(a->seat, a->n, sizeof(a->seat[0]), by_session);
    qsort(b->seat, b->n, sizeof(b->seat[0]), by_session);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->seat[i].session, b->seat[i].session);
        assert_string_equal(a->seat[i].key, b->seat[i].key);
        assert_string_equal(a->seat[i].ref, b->seat[i].ref);
        assert_string_equal(a->seat[i].meta, b->seat[i].meta);
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
