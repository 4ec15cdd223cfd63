/* The writer dies at every step of batches that change who is here, and of those that announce it.
 * Afterwards each command was answered once, the store is sound, the list says what it must, and
 * whoever followed the diffs knows it. */
#include "kill_driver.h"
#include "presence_view.h"

#include <sys/mman.h>

#define ROOM "p:room"

static const uint8_t bob[SESSION_ID_SIZE] = {2}, carol[SESSION_ID_SIZE] = {3};

/* What is due, to the last word of it; also what a dead one left. */
static void announce_all(struct writer *w)
{
    for (int turn = 0; turn < 20; turn++) {
        if (w->presence.first)
            w->boot_ms = w->presence.first->due_ms;
        else
            w->now_ms += 1000;
        int took = batch_run(w);
        if (took < 0)
            _exit(DIED); /* as the role does: a new one comes */
    }
}

static void attach(struct rig *r, const uint8_t id[SESSION_ID_SIZE], uint64_t connection)
{
    struct command_attach c = {
        .connection = connection, .lease_ms = 3600 * 1000, .transport = STR("sse")};
    memcpy(c.session, id, SESSION_ID_SIZE);
    rig_attach(r, 0, &c);
}

/* The room is there, with someone in it, and nothing is left to be announced. */
static void begin_room(struct rig *r)
{
    struct rig_reply reply;
    rig_open(r, "namespace \"p:*\" { presence = true }\n");
    rig_open_session(r, 0, alice, "alice");
    rig_open_session(r, 0, bob, "bob");
    rig_open_session(r, 0, carol, "alice");
    attach(r, alice, 7);
    attach(r, bob, 8);
    attach(r, carol, 9);
    rig_track(r, 0, bob, ROOM, "{}");
    assert_int_equal(run_writer(r, 0, NULL), 0);
    while (rig_reply(r, 0, &reply))
        assert_int_equal(reply.code, CODE_OK);
}

#define ANSWERS 7 /* of the changes; who detaches waits for none */
static void put_changes(struct rig *r)
{
    rig_track(r, 0, alice, ROOM, "{\"n\":1}");
    rig_track(r, 0, carol, ROOM, "{\"n\":2}");
    rig_track(r, 0, alice, ROOM, "{\"n\":3}");
    rig_track(r, 0, alice, "p:other", "{}");
    rig_track(r, 0, bob, ROOM, "null");
    rig_detach(r, 0, carol, 9);
    attach(r, carol, 10);
    rig_unsubscribe(r, 0, alice, "p:other", 0);
}

static struct store *open_read(struct rig *r, struct txn **ret)
{
    char path[128];
    struct store *store;
    snprintf(path, sizeof(path), "%s/store", r->dir);
    struct store_options o = {
        .path = path, .map_size = r->conf->store_map_size, .mode = STORE_READER, .max_readers = 16};
    must(store_open(&o, &store) == 0 && store_read(store, ret) == 0);
    return store;
}

static void in_child(struct rig *r, struct view *v, void (*look)(struct rig *, struct view *))
{
    fflush(NULL);
    pid_t pid = fork();
    int status;
    assert_true(pid >= 0);
    if (pid == 0) {
        look(r, v);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fetch_first(struct rig *r, struct view *v)
{
    struct txn *t;
    open_read(r, &t);
    view_fetch(t, v);
    must(v->n == 1);
}

static void expect_sound(struct txn *t)
{
    struct buf report;
    uint64_t violations;
    buf_init(&report, 1 << 20);
    must(verify_txn(t, &report, &violations) == 0);
    if (violations)
        fprintf(stderr, "%.*s\n", (int)report.len, report.data);
    must(violations == 0);
}

static bool shows(struct view *v, const uint8_t id[SESSION_ID_SIZE], const char *meta)
{
    char text[SESSION_ID_TEXT];
    session_id_text(id, text);
    struct seat *s = seat_of(v, text);
    return s && strcmp(s->meta, meta) == 0;
}

/* He fetched the list before; now he takes what came by the feed. */
static void follow_feed(struct rig *r, struct view *v)
{
    static struct view now;
    struct rig_fed fed;
    struct txn *t;
    char text[4096];
    open_read(r, &t);
    expect_sound(t);
    while (rig_fed(r, &fed)) {
        if (fed.rec.type != FEED_MESSAGE || !str_is(fed.message.event, "presence"))
            continue;
        uint64_t stream;
        must(topic_find(t, STR(ROOM), &stream) == 0);
        text_of(text, sizeof(text), fed.message.payload);
        if (fed.target.stream == stream && !view_apply(v, text))
            view_fetch(t, v);
    }
    now.name = ROOM;
    view_fetch(t, &now);
    expect_same(v, &now);
    must(now.n == 2 && shows(&now, alice, "{\"n\":3}") && shows(&now, carol, "{\"n\":2}"));
}

/* Fetched in a child, like all that has the store open. */
static struct view begun;

static void view_before(struct rig *r)
{
    struct view *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
    *shared = (struct view){.name = ROOM};
    in_child(r, shared, fetch_first);
    begun = *shared;
    munmap(shared, sizeof(*shared));
}

static unsigned replies(struct rig *r)
{
    struct rig_reply reply;
    uint64_t last = 0;
    unsigned n = 0;
    while (rig_reply(r, 0, &reply)) {
        assert_true(reply.id > last); /* each once, in order */
        assert_int_equal(reply.code, CODE_OK);
        last = reply.id;
        n++;
    }
    return n;
}

static void die_at_every_step(void **state)
{
    (void)state;
    unsigned total = 0, deaths = 0;
    go_on = announce_all;
    disk_fills = false;
    for (unsigned at = 0; at == 0 || at <= total; at++) {
        struct rig r;
        begin_room(&r);
        view_before(&r);
        put_changes(&r);
        int status = run_writer(&r, at, at ? NULL : &total);
        assert_int_equal(status, at ? DIED : 0);
        deaths += at != 0;
        if (at)
            assert_int_equal(run_writer(&r, 0, NULL), 0);
        assert_int_equal(replies(&r), ANSWERS);
        in_child(&r, &begun, follow_feed);
        rig_close(&r);
    }
    assert_true(deaths > 60);
    print_message("%u deaths\n", deaths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(die_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
