/* presence_model_test - sessions come and go at random, on workers that are killed, under writers
 * that die and servers that start again. Nobody leaves before the grace is over, nobody stays after
 * it, and whoever applies the diffs to the list that he fetched once, and fetches it again when a
 * version is missing, knows at last what the list says. */
#include "presence_fixture.h"

#define SESSIONS 8
#define TOPICS 2
#define VIEWS 4
#define ROUNDS 100
#define STEPS 150

static const char *const names[TOPICS] = {"p:one", "p:two"};

struct lease {
    bool is;
    uint64_t connection, end_ms;
    uint32_t slot;
};
#define LEASES 4 /* of which the last one is the ghost */

struct model {
    uint8_t id[SESSION_ID_SIZE];
    bool exists;
    struct lease lease[LEASES];
    char meta[TOPICS][32]; /* "": not tracked */
    char ref[TOPICS][MEMBER_REF_TEXT];
    bool away;
};

static struct model model[SESSIONS];
static struct view view[VIEWS];
static uint64_t connections, metas;
static uint32_t generation[2];

static unsigned pick(unsigned n)
{
    return (unsigned)rand() % n;
}

static bool is_tracked(const struct model *m)
{
    return m->meta[0][0] || m->meta[1][0];
}

static uint64_t last_end(const struct model *m)
{
    uint64_t last = 0;
    for (int i = 0; i < LEASES; i++)
        if (m->lease[i].is && m->lease[i].end_ms > last)
            last = m->lease[i].end_ms;
    return last;
}

static void keep_place(struct model *m)
{
    uint64_t until = clock_ms + GRACE;
    if (last_end(m) < until)
        m->lease[LEASES - 1] = (struct lease){.is = true, .end_ms = until};
}

static void forget_refs(struct model *m)
{
    m->ref[0][0] = m->ref[1][0] = 0;
}

/* --- what may happen --- */

static void exist(struct fixture *f, struct model *m, unsigned i)
{
    static unsigned made;
    char subject[8] = "";
    if (i % 4) /* some share a subject, some have none */
        snprintf(subject, sizeof(subject), "s%u", i % 4);
    uint8_t id[SESSION_ID_SIZE] = {(uint8_t)(i + 1), 0, (uint8_t)++made, (uint8_t)(made >> 8)};
    *m = (struct model){.exists = true};
    memcpy(m->id, id, sizeof(id));
    open_session(f, id, subject);
}

static void says(struct fixture *f, struct model *m)
{
    unsigned topic = pick(TOPICS);
    char *meta = m->meta[topic];
    char was[32];
    memcpy(was, meta, sizeof(was));
    if (meta[0] == 0 || pick(4)) {
        if (meta[0] == 0 || pick(3))
            snprintf(meta, sizeof(was), "{\"n\":%u}", (unsigned)++metas);
        if (m->away)
            forget_refs(m);
        m->away = false;
        if (strcmp(meta, was) != 0)
            m->ref[topic][0] = 0;
        track(f, m->id, names[topic], meta);
        keep_place(m);
        return;
    }
    meta[0] = 0;
    m->ref[topic][0] = 0;
    m->away = m->away && is_tracked(m);
    if (pick(2)) {
        track(f, m->id, names[topic], "null");
        return;
    }
    rig_unsubscribe(&f->rig, 0, m->id, names[topic], 0);
    expect_code(f, CODE_OK);
}

static void connects(struct fixture *f, struct model *m)
{
    static const uint64_t leases[] = {0, 1000, 5000, 30000, 60000};
    unsigned at = pick(LEASES - 1);
    uint64_t lease_ms = leases[pick(5)];
    struct lease *l = &m->lease[at];
    if (!l->is)
        *l = (struct lease){.is = true, .connection = 100 + ++connections};
    l->slot = pick(2);
    l->end_ms = clock_ms + lease_ms + GRACE;
    struct command_attach c = {
        .connection = l->connection, .lease_ms = lease_ms, .transport = STR("sse")};
    memcpy(c.session, m->id, SESSION_ID_SIZE);
    rig_attach(&f->rig, l->slot, &c);
    settle(f);
    if (m->away)
        forget_refs(m);
    m->away = false;
}

static void disconnects(struct fixture *f, struct model *m)
{
    struct lease *l = &m->lease[pick(LEASES - 1)];
    struct attachment a;
    if (!l->is)
        return;
    uint64_t connection = l->connection;
    struct txn *t = look(f);
    int err = attachment_get(t, m->id, connection, &a); /* swept, it has no place to keep */
    txn_done(t);
    *l = (struct lease){.is = false};
    if (!err && is_tracked(m) && !m->away)
        keep_place(m);
    disconnect(f, m->id, 100 + connections + 1); /* one that is not there */
    disconnect(f, m->id, connection);
}

static void ends(struct fixture *f, struct model *m)
{
    rig_end(&f->rig, 0, m->id);
    expect_code(f, CODE_OK);
    m->exists = false;
}

static void worker_dies(struct fixture *f)
{
    uint32_t slot = pick(2);
    struct board_seat *seat = &f->rig.board->seat[slot];
    atomic_store(&seat->dead_generation, generation[slot]);
    atomic_store(&seat->generation, ++generation[slot]);
    settle(f);
    for (int i = 0; i < SESSIONS; i++)
        for (int k = 0; k < LEASES - 1; k++) {
            struct lease *l = &model[i].lease[k];
            if (l->slot == slot && l->end_ms > clock_ms + GRACE)
                l->end_ms = clock_ms + GRACE;
        }
}

static void server_starts_again(struct fixture *f)
{
    rig_stop(f->writer);
    clock_ms += 1 + pick(20000);
    rig_restart(&f->rig);
    f->rig.reader = (struct feed_reader){0};
    f->writer = rig_writer(&f->rig);
    generation[0] = generation[1] = 1;
    settle(f);
    for (int i = 0; i < SESSIONS; i++)
        for (int k = 0; k < LEASES; k++)
            model[i].lease[k].end_ms = clock_ms + GRACE;
}

/* --- what must be so --- */

/* A lease that is over is there until it is swept. */
static void drop_what_is_swept(struct fixture *f, struct model *m)
{
    struct attachment a;
    struct txn *t = look(f);
    for (int k = 0; k < LEASES; k++) {
        struct lease *l = &m->lease[k];
        if (!l->is || l->end_ms > clock_ms)
            continue;
        int err = attachment_get(t, m->id, l->connection, &a);
        assert_true(err == -ENOENT || (err == 0 && l->end_ms + 1000 > clock_ms));
        l->is = err == 0;
    }
    txn_done(t);
}

/* The sessions as they are, against the model; between the end of a lease and the second in which
 * the queue has it either may be. */
static void check_sessions(struct fixture *f)
{
    static struct view now;
    for (int i = 0; i < SESSIONS; i++) {
        struct model *m = &model[i];
        struct session s;
        if (!m->exists)
            continue;
        struct txn *t = look(f);
        assert_int_equal(session_get(t, m->id, &s), 0);
        txn_done(t);
        bool away = s.flags & SESSION_AWAY;
        if (last_end(m) > clock_ms)
            assert_true(m->away || !away);
        if (is_tracked(m) && last_end(m) + 1000 <= clock_ms)
            assert_true(away);
        if (m->away)
            assert_true(away);
        if (away && !m->away)
            forget_refs(m);
        m->away = away;
        drop_what_is_swept(f, m);
    }
    for (int topic = 0; topic < TOPICS; topic++) {
        size_t n = 0;
        now.name = names[topic];
        fetch(f, &now);
        for (int i = 0; i < SESSIONS; i++) {
            struct model *m = &model[i];
            char text[SESSION_ID_TEXT];
            session_id_text(m->id, text);
            struct seat *s = m->exists ? seat_of(&now, text) : NULL;
            bool wanted = m->exists && m->meta[topic][0] && !m->away;
            assert_int_equal(s != NULL, wanted);
            if (!s)
                continue;
            n++;
            assert_string_equal(s->meta, m->meta[topic]);
            if (m->ref[topic][0]) /* as long as it stays, under one meta, it keeps its ref */
                assert_string_equal(s->ref, m->ref[topic]);
            memcpy(m->ref[topic], s->ref, sizeof(s->ref));
        }
        assert_int_equal(now.n, n);
    }
}

static void something_happens(struct fixture *f)
{
    unsigned i = pick(SESSIONS), what = pick(100);
    struct model *m = &model[i];
    if (what < 25)
        pass_ms(f, pick(4) ? pick(2 * WINDOW) : pick(6000));
    else if (what < 28)
        pass_ms(f, GRACE + pick(2000));
    else if (what < 30)
        new_writer(f);
    else if (what < 31)
        server_starts_again(f);
    else if (what < 33)
        worker_dies(f);
    else if (what < 34)
        forget_all(f->writer);
    else if (!m->exists)
        exist(f, m, i);
    else if (what < 60)
        says(f, m);
    else if (what < 80)
        connects(f, m);
    else if (what < 98)
        disconnects(f, m);
    else
        ends(f, m);
}

static void one_round(unsigned seed)
{
    void *state;
    struct fixture *f;
    srand(seed);
    assert_int_equal(set_up(&state), 0);
    f = state;
    f->rig.conf->session_ttl = 3600 * 1000;
    memset(model, 0, sizeof(model));
    generation[0] = generation[1] = 1;
    /* Someone stays subscribed to both, so that the topics stay. */
    uint8_t follower[SESSION_ID_SIZE] = {99};
    open_session(f, follower, "follower");
    for (int i = 0; i < TOPICS; i++) {
        rig_subscribe(&f->rig, 0, follower, names[i], 0);
        expect_code(f, CODE_OK);
    }
    for (int i = 0; i < VIEWS; i++) {
        view[i] = (struct view){.name = names[i % TOPICS]};
        fetch(f, &view[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        something_happens(f);
        settle(f);
        check_sessions(f);
        if (step % 10 == 0)
            expect_sound(f);
        struct view *v = &view[pick(VIEWS)];
        if (pick(3) == 0)
            follow(f, v);
        else if (pick(20) == 0)
            fetch(f, v);
    }
    pass_ms(f, 3000); /* also what a dead writer left */
    for (int i = 0; i < VIEWS; i++)
        expect_up_to_date(f, &view[i]);
    pass_ms(f, 2 * 60000 + GRACE + 1000);
    check_sessions(f);
    for (int i = 0; i < VIEWS; i++) {
        expect_up_to_date(f, &view[i]);
        assert_int_equal(view[i].n, 0);
    }
    tear_down(&state);
}

static void test_model(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        print_message("seed %u\n", seed);
        one_round(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
