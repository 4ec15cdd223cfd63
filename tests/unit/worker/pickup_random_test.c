/* pickup_random_test - two sessions, their mailboxes and four topics, and everything that can come
 * between: each pick-up hands out what is its session's once, in seq order, with the chain of rule
 * 7 unbroken for whoever looks at nothing but the messages.
 *
 * The model knows who was subscribed when; what it lets be seen and what must have been seen follow
 * from that alone. Rounds are short and many, and each says its seed.
 */
#include "route_harness.h"

#define ROUNDS 400
#define STEPS 160
#define CLIENTS 5
#define STREAMS 6 /* the mailboxes of two sessions, then topics */
#define TOPIC_0 2
#define PERIODS 200
#define LOG 2048

struct period { /* one subscription: what lies in (join, end] is its session's */
    uint64_t join, end;
};

struct view { /* what somebody who only looks at messages knows */
    size_t n;
    uint64_t last;          /* stored */
    uint64_t ephemeral;     /* number of the last one */
    uint64_t had[STREAMS];  /* of this pick-up; 0 none */
    uint64_t told[STREAMS]; /* the end of the last truncation */
};

struct client {
    struct pickup *p;
    int session;
    uint64_t begin; /* the cursor it was started with */
    uint64_t log[LOG];
    struct view now, mark; /* mark: at the last pause */
    uint64_t cursor;       /* of the last pause */
    size_t room;           /* takes so many, then is full or refuses */
    bool refuses;
};

static struct {
    unsigned seed;
    struct client client[CLIENTS];
    struct period period[2][STREAMS][PERIODS];
    size_t nperiods[2][STREAMS];
    uint64_t last[STREAMS];
    uint64_t ephemerals;
    bool pending; /* a batch is in the store and not on the feed */
} M;

static unsigned chance(unsigned n)
{
    return (unsigned)rand_r(&M.seed) % n;
}

static uint64_t stream_of(int i)
{
    return i < TOPIC_0 ? (uint64_t)i + 1 : (uint64_t)(100 + i);
}

static int index_of(uint64_t stream)
{
    return stream <= TOPIC_0 ? (int)stream - 1 : (int)stream - 100;
}

/* Its period of a session that has seq; NULL: it is not the session's. */
static const struct period *period_of(int session, int stream, uint64_t seq)
{
    for (size_t i = 0; i < M.nperiods[session][stream]; i++) {
        const struct period *p = &M.period[session][stream][i];
        if (seq > p->join && seq <= p->end)
            return p;
    }
    return NULL;
}

static struct period *open_period(int session, int stream)
{
    size_t n = M.nperiods[session][stream];
    struct period *p = n ? &M.period[session][stream][n - 1] : NULL;
    return p && p->end == UINT64_MAX ? p : NULL;
}

/* --- those who look --- */

static const struct stored *stored_at(uint64_t seq)
{
    for (size_t i = 0; i < F.nstored; i++)
        if (F.stored[i].seq == seq)
            return &F.stored[i];
    fail();
    return NULL;
}

/* Rule 7, for everybody to see. */
static void check_chain(const struct client *c, int stream, const struct message *m)
{
    const struct period *p = period_of(c->session, stream, m->seq);
    assert_non_null(p); /* not, or no longer, its session's */
    uint64_t begin = c->begin > p->join ? c->begin : p->join;
    uint64_t had = c->now.had[stream];
    bool first = had == 0 || period_of(c->session, stream, had) != p;
    if (m->flags & MESSAGE_SKIPPED && !first && m->prev == had) { /* is that so? */
        assert_true(stored_at(m->seq)->flags & MESSAGE_SKIPPED || stored_at(had)->gone ||
                    m->prev <= c->now.told[stream]);
    }
    if (m->flags & MESSAGE_SKIPPED || m->prev <= c->now.told[stream])
        return;
    if (first ? m->prev > begin : m->prev != had)
        fail_msg("stream %d: %llu after %llu, had %llu, begin %llu", stream,
                 (unsigned long long)m->seq, (unsigned long long)m->prev, (unsigned long long)had,
                 (unsigned long long)begin);
}

static void take_ephemeral(struct client *c, const struct message *m)
{
    unsigned long long number, after;
    assert_int_equal(sscanf(m->payload.p, "%llu %llu", &number, &after), 2);
    assert_true(number > c->now.ephemeral);
    assert_true(c->now.last <= after); /* nothing that came later was before it */
    c->now.ephemeral = number;
}

static void take_stored(struct client *c, int stream, const struct message *m)
{
    const struct stored *s = stored_at(m->seq);
    assert_true(m->seq > c->now.last);
    assert_true(m->seq > c->begin);
    assert_true(m->seq <= atomic_load(&F.board->last_seq) || pickup_is_live(c->p)); /* published */
    assert_int_equal(s->expires_ms, 0);
    assert_int_equal(s->stream, stream_of(stream));
    assert_false(message_excepts(m, F.session[c->session].id));
    check_chain(c, stream, m);
    c->now.had[stream] = c->now.last = m->seq;
    assert_true(c->now.n < LOG);
    c->log[c->now.n++] = m->seq;
}

static enum pickup_take on_message(void *arg, uint64_t stream, const struct message *m,
                                   struct str object)
{
    struct client *c = arg;
    bool skipped = memmem(object.p, object.n, "\"skipped\":true", 14) != NULL;
    assert_int_equal(skipped, (m->flags & MESSAGE_SKIPPED) != 0);
    assert_non_null(memmem(object.p, object.n, m->payload.p, m->payload.n));
    if (c->room == 1 && c->refuses)
        return PICKUP_REFUSED;
    if (m->flags & MESSAGE_EPHEMERAL)
        take_ephemeral(c, m);
    else
        take_stored(c, index_of(stream), m);
    if (c->room == 0)
        return PICKUP_TAKEN;
    c->room--;
    return c->room ? PICKUP_TAKEN : PICKUP_FULL;
}

static void on_truncated(void *arg, const struct pickup_lost *lost, size_t n)
{
    struct client *c = arg;
    for (size_t i = 0; i < n; i++) {
        int stream = c->session;
        if (!str_is(lost[i].stream, "mailbox"))
            stream = TOPIC_0 + lost[i].stream.p[lost[i].stream.n - 1] - '0';
        assert_true(lost[i].from <= lost[i].to);
        assert_true(lost[i].from > c->now.told[stream]);
        c->now.told[stream] = lost[i].to;
    }
}

static void on_undo(void *arg)
{
    struct client *c = arg;
    c->now = c->mark;
}

static void on_pause(void *arg, uint64_t cursor, bool more)
{
    struct client *c = arg;
    (void)more;
    assert_true(cursor >= c->now.last);
    c->cursor = cursor;
    c->mark = c->now;
}

static void on_end(void *arg, enum code code, uint64_t cursor)
{
    (void)arg;
    (void)cursor;
    fail_msg("ended: %s", code_text(code));
}

static const struct pickup_ops ops = {
    .on_message = on_message,
    .on_truncated = on_truncated,
    .on_undo = on_undo,
    .on_pause = on_pause,
    .on_end = on_end,
};

static void start(struct client *c, uint64_t cursor)
{
    const struct pickup_start s = {.session = &F.session[c->session],
                                   .cursor = cursor,
                                   .page_limit = 1 + chance(12),
                                   .page_bytes = 1 << 20};
    c->begin = cursor;
    memset(c->now.had, 0, sizeof(c->now.had));
    memset(c->now.told, 0, sizeof(c->now.told));
    c->mark = c->now;
    assert_int_equal(pickup_start(F.route, &s, &ops, c, &c->p), 0);
}

static void come_again(struct client *c)
{
    uint64_t cursor = c->cursor > c->now.last ? c->cursor : c->now.last;
    pickup_stop(c->p);
    start(c, cursor);
}

/* --- the writer --- */

static void put_ephemeral(int stream)
{
    char text[64];
    snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)++M.ephemerals,
             (unsigned long long)F.last_seq);
    feed_ephemeral(stream_of(stream), text);
}

/* A message, and what it replaces. */
static struct stored *put_message(int stream)
{
    uint64_t seq = F.last_seq + 1 + chance(2); /* some go to streams of nobody here */
    char text[24];
    snprintf(text, sizeof(text), "m%llu", (unsigned long long)seq);
    struct stored *s = store_put(stream_of(stream), seq, M.last[stream], text);
    for (size_t i = F.nstored - 1; i > 0 && chance(8) == 0; i--) {
        struct stored *old = &F.stored[i - 1];
        if (old->stream != s->stream || old->gone)
            continue;
        old->gone = true;
        break;
    }
    if (s->prev && stored_at(s->prev)->gone)
        s->flags |= MESSAGE_SKIPPED;
    if (chance(10) == 0)
        s->expires_ms = 1;
    if (stream >= TOPIC_0 && chance(3) == 0)
        s->except = str_make(F.session[chance(3)].id, SESSION_ID_SIZE);
    M.last[stream] = seq;
    return s;
}

static void put_join(int session, int stream, bool lap)
{
    uint64_t mailbox = F.session[session].stream, topic = stream_of(stream);
    size_t *n = &M.nperiods[session][stream];
    assert_true(*n < PERIODS);
    M.period[session][stream][(*n)++] = (struct period){F.last_seq, UINT64_MAX};
    join_put(mailbox, topic, F.last_seq);
    if (!lap)
        feed_join(mailbox, topic, F.last_seq);
}

static void put_leave(int session, int stream, bool lap)
{
    uint64_t mailbox = F.session[session].stream, topic = stream_of(stream);
    open_period(session, stream)->end = F.last_seq;
    assert_true(join_take(mailbox, topic));
    if (!lap)
        feed_leave(mailbox, topic);
}

static void trim(int stream)
{
    uint64_t to = M.last[stream];
    if (!to || chance(40))
        return;
    if (stream == 0)
        F.trimmed = to;
    else if (stream >= TOPIC_0)
        F.topic_trimmed[stream - TOPIC_0] = to;
}

static void put_anything(bool lap)
{
    int stream = (int)chance(STREAMS), session = (int)chance(2);
    unsigned what = chance(12);
    trim(stream);
    if (what < 3 && stream >= TOPIC_0) {
        bool in = open_period(session, stream) != NULL;
        if (in)
            put_leave(session, stream, lap);
        if (!in || what == 0)
            put_join(session, stream, lap);
    } else if (what < 5) {
        if (!lap)
            put_ephemeral(stream);
    } else {
        struct stored *s = put_message(stream);
        if (!lap)
            feed_stored(s);
    }
}

/* A worker may see of a batch: its transaction; what the board says of it; half of its records;
 * all. Steps come between; that the board is told first is nothing that a reader relies on. */
static void publish_pending(void)
{
    bool late = chance(4) == 0;
    if (!M.pending)
        return;
    if (!late)
        atomic_store(&F.board->last_seq, F.last_seq);
    if (chance(3) == 0)
        pickup_proceed(M.client[chance(CLIENTS)].p);
    feed_publish(&F.feed, F.feed_head);
    if (late)
        route_proceed(F.route);
    atomic_store(&F.board->last_seq, F.last_seq);
    M.pending = false;
}

static void batch(void)
{
    bool lap = chance(12) == 0;
    publish_pending();
    uint64_t half = 0;
    unsigned n = 1 + chance(5);
    if (F.nstored + n >= LOG)
        return;
    for (unsigned i = 0; i < n; i++) {
        put_anything(lap);
        if (i == n / 2)
            half = F.feed_head;
    }
    void *at;
    assert_int_equal(
        feed_prepare(&F.feed, &F.feed_head, lap ? FEED_LAP : FEED_COMMIT, F.last_seq, 0, &at), 0);
    M.pending = true;
    if (chance(3) == 0)
        return;
    if (!lap && chance(3) == 0) { /* as when the turn of a worker ends in the midst of it */
        if (chance(2))
            atomic_store(&F.board->last_seq, F.last_seq);
        feed_publish(&F.feed, half);
        feed_proceed(F.route);
        pickups_proceed(F.route);
    }
    publish_pending();
}

/* --- a round --- */

static void step(void)
{
    struct client *c = &M.client[chance(CLIENTS)];
    switch (chance(12)) {
    case 0:
        c->room = 1 + chance(4);
        c->refuses = chance(2);
        break;
    case 1:
    case 2:
        c->room = 0;
        pickup_resume(c->p);
        break;
    case 3:
        if (chance(4) == 0)
            come_again(c);
        break;
    case 4:
        F.fail_reads = chance(3) == 0;
        F.fail_with = -EUCLEAN;
        F.fail_after = chance(4);
        break;
    case 5:
        pickup_proceed(c->p);
        break;
    case 6:
        feed_proceed(F.route);
        break;
    case 7:
    case 8:
        route_proceed(F.route);
        break;
    default:
        batch();
        break;
    }
}

/* What still is its session's, and is still there, it must have had. */
static void check_all_seen(const struct client *c)
{
    size_t k = 0;
    for (size_t i = 0; i < F.nstored; i++) {
        const struct stored *s = &F.stored[i];
        while (k < c->now.n && c->log[k] < s->seq)
            k++;
        bool seen = k < c->now.n && c->log[k] == s->seq;
        const struct message m = {.except = s->except};
        const struct period *p = period_of(c->session, index_of(s->stream), s->seq);
        bool must = p && p->end == UINT64_MAX && !s->gone && !s->expires_ms &&
                    s->seq > fake_trimmed(s->stream) &&
                    !message_excepts(&m, F.session[c->session].id);
        if (must && !seen)
            fail_msg("stream %d: %llu was not handed out", index_of(s->stream),
                     (unsigned long long)s->seq);
    }
}

static void one_round(void)
{
    static const char *const names[] = {"chat:0", "chat:1", "chat:2", "chat:3"};
    assert_int_equal(harness_open_sized(64 << 10, 64 << 10, 8 << 10), 0);
    F.bounded = true;
    for (int i = 0; i < STREAMS - TOPIC_0; i++)
        store_topic(stream_of(TOPIC_0 + i), names[i]);
    for (int i = 0; i < TOPIC_0; i++)
        M.period[i][i][M.nperiods[i][i]++] = (struct period){0, UINT64_MAX};
    for (int i = 0; i < CLIENTS; i++) {
        M.client[i].session = i == CLIENTS - 1;
        start(&M.client[i], 0);
    }
    for (int i = 0; i < STEPS; i++)
        step();
    publish_pending();
    F.fail_reads = 0;
    for (int i = 0; i < CLIENTS; i++) {
        M.client[i].room = 0;
        pickup_resume(M.client[i].p);
    }
    proceed();
    for (int i = 0; i < CLIENTS; i++)
        check_all_seen(&M.client[i]);
    assert_false(route_due(F.route));
    harness_close(NULL);
}

static void each_has_what_is_its_own_once_and_in_order(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)ids_random_u64();
    for (unsigned i = 0; i < (given ? 1 : ROUNDS); i++) {
        memset(&M, 0, sizeof(M));
        M.seed = seed + i;
        print_message("\rseed %u", M.seed);
        one_round();
    }
    print_message("\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_what_is_its_own_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
