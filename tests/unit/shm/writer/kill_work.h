/* kill_work - what the writer is asked while it dies, and what must have come of it afterwards. */
#ifndef TESTS_KILL_WORK_H
#define TESTS_KILL_WORK_H

#include "rig.c"

#include "shm/page.h"
#include "shm/verify.h"

static const uint8_t alice[SESSION_ID_SIZE] = {1};

/* --- the workload --- */

#define NAMESPACE "session { exclusive = true }\nnamespace \"t:*\" { }\n"
#define COMMANDS 24 /* at most; few enough for one turn of a slot */
#define CONTROLS 7  /* records that the workload makes */

enum kind { PUBLISH, OTHER, FLEETING };

struct asked {
    uint64_t id;
    enum kind kind;
    uint32_t slot;  /* PUBLISH: by which worker */
    bool hers;      /* PUBLISH: alice is to find it: her mailbox or a topic of hers */
    enum code code; /* what it must be answered; of a PUBLISH, of its item */
    uint64_t seq;   /* what it was answered */
    unsigned answers;
};

struct work {
    struct asked asked[COMMANDS];
    size_t n;
    uint64_t messages; /* PUBLISH */
};

static void add(struct work *w, uint64_t id, enum kind kind, bool hers, enum code code)
{
    must(w->n < COMMANDS);
    w->asked[w->n++] = (struct asked){.id = id, .kind = kind, .hers = hers, .code = code};
    w->messages += kind == PUBLISH;
}

static void connect_as(struct work *w, struct rig *r, uint64_t connection)
{
    struct command_attach c = {.connection = connection,
                               .lease_ms = 3600 * 1000,
                               .transport = STR("websocket"),
                               .takes = 1};
    memcpy(c.session, alice, SESSION_ID_SIZE);
    add(w, rig_attach(r, 0, &c), OTHER, false, CODE_OK);
}

/* Her mailbox, a topic that she has joined and keeps, one that she leaves, one that she never
 * joined; two connections, of which the older one says something too late. */
static void put_commands(struct rig *r, struct work *w, bool big)
{
    static const char *const where[] = {NULL, "t:hers", "t:left", "t:other", "t:hers", NULL};
    char *payload = calloc(1, 20001);
    must(payload);
    memset(payload, '5', big ? 20000 : 8);
    memset(w, 0, sizeof(*w));
    add(w, rig_open_session(r, 0, alice, "alice"), OTHER, false, CODE_OK);
    add(w, rig_subscribe(r, 0, alice, "t:hers", 0), OTHER, false, CODE_OK);
    connect_as(w, r, 7);
    add(w, rig_subscribe(r, 0, alice, "t:left", 0), OTHER, false, CODE_OK);
    for (int i = 0; i < 6; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%d", i);
        payload[0] = (char)('1' + i);
        const char *id = i % 2 ? key : NULL;
        uint32_t slot = i == 5; /* the last of them by another worker */
        add(w,
            where[i] ? rig_publish_topic(r, slot, where[i], id, payload, MESSAGE_JSON)
                     : rig_append(r, slot, alice, id, payload, MESSAGE_JSON),
            PUBLISH, !where[i] || strcmp(where[i], "t:hers") == 0, CODE_OK);
        w->asked[w->n - 1].slot = slot;
        if (i == 2)
            connect_as(w, r, 8);
    }
    free(payload);
    add(w, rig_ack_by(r, 0, alice, 3, 1), OTHER, false, CODE_SUPERSEDED);
    add(w, rig_subscribe(r, 0, alice, "t:never", 1), OTHER, false, CODE_SUPERSEDED);
    add(w, rig_ack_by(r, 0, alice, 1, 2), OTHER, false, CODE_OK);
    add(w, rig_unsubscribe(r, 0, alice, "t:left", 2), OTHER, false, CODE_OK);
    add(w, rig_subscribe(r, 0, alice, "t:none", 2), OTHER, false, CODE_OK);
    add(w, rig_unsubscribe(r, 0, alice, "t:none", 2), OTHER, false, CODE_OK);
    add(w, rig_append(r, 0, alice, NULL, "1", MESSAGE_JSON | MESSAGE_EPHEMERAL), FLEETING, false,
        CODE_OK);
    add(w, rig_publish_topic(r, 0, "t:hers", NULL, "1", MESSAGE_JSON | MESSAGE_EPHEMERAL), FLEETING,
        false, CODE_OK);
}

/* --- what must have come of it --- */

/* Each command was answered, once (an ephemeral may repeat, rule 1). */
static void check_replies(struct rig *r, struct work *w)
{
    for (uint32_t slot = 0; slot < 2; slot++) {
        struct rig_reply reply;
        while (rig_reply(r, slot, &reply)) {
            size_t i = 0;
            while (i < w->n && w->asked[i].id != reply.id)
                i++;
            assert_true(i < w->n);
            struct asked *a = &w->asked[i];
            a->answers++;
            a->seq = reply.seq;
            assert_int_equal(a->kind == OTHER ? reply.code : reply.item, a->code);
        }
    }
    for (size_t i = 0; i < w->n; i++)
        assert_true(w->asked[i].answers == 1 ||
                    (w->asked[i].kind == FLEETING && w->asked[i].answers > 0));
}

struct seen {
    uint64_t seq[64];
    size_t n;
};

static bool on_message(void *arg, uint64_t stream, const struct message *m)
{
    (void)stream;
    struct seen *s = arg;
    must(s->n < 64);
    s->seq[s->n++] = m->seq;
    return true;
}

static void read_all(struct rig *r, struct txn *t, const struct page_source *sources, size_t n,
                     struct seen *ret)
{
    struct page_lost lost[8];
    struct page p = {.sources = sources,
                     .nsources = n,
                     .limit = 64,
                     .max_bytes = 1 << 20,
                     .now_ms = board_now_ms(r->board),
                     .on_message = on_message,
                     .arg = ret,
                     .lost = lost};
    ret->n = 0;
    must(n <= 8 && page_read(t, &p) == 0 && p.nlost == 0);
}

/* The one subscription that is left, the topics that are, and what each holds. */
static void check_topics(struct rig *r, struct txn *t, const struct session *s)
{
    static const struct {
        const char *name;
        uint64_t messages, subscribers;
    } all[] = {{"t:hers", 2, 1}, {"t:left", 1, 0}, {"t:other", 1, 0}};
    struct subscribed sub[4];
    uint64_t stream;
    struct seen seen;
    must(subscribed_list(t, s->stream, sub, 4) == 1);
    must(topic_find(t, STR("t:hers"), &stream) == 0);
    must(sub[0].topic == stream && sub[0].join == 0);
    must(txn_entries(t, DB_SUBS) == 1);
    must(txn_entries(t, DB_TOPIC) == 3);
    for (size_t i = 0; i < 3; i++) {
        struct topic topic;
        must(topic_find(t, str_of(all[i].name), &stream) == 0);
        must(topic_get(t, stream, &topic) == 0);
        must(topic.subscribers == all[i].subscribers);
        read_all(r, t, &(struct page_source){.stream = stream}, 1, &seen);
        must(seen.n == all[i].messages);
    }
    must(topic_find(t, STR("t:none"), &stream) == -ENOENT);
    must(topic_find(t, STR("t:never"), &stream) == -ENOENT);
}

/* In a child: what the store holds, and that the walker finds nothing wrong. */
static void check_store(struct rig *r, const struct work *w)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char path[128];
        snprintf(path, sizeof(path), "%s/store", r->dir);
        struct store_options o = {.path = path,
                                  .map_size = r->conf->store_map_size,
                                  .mode = STORE_READER,
                                  .max_readers = 16};
        struct store *store;
        must(store_open(&o, &store) == 0);
        struct buf report;
        buf_init(&report, 1 << 20);
        uint64_t violations;
        struct txn *t;
        must(store_read(store, &t) == 0);
        must(verify_txn(t, &report, &violations) == 0);
        if (violations)
            fprintf(stderr, "%.*s\n", (int)report.len, report.data);
        must(violations == 0);
        struct session s;
        struct attachment a;
        must(session_get(t, alice, &s) == 0);
        must(s.acked == 1 && s.generation == 2);
        must(attachment_get(t, alice, 7, &a) == 0 && a.generation == 1);
        must(attachment_get(t, alice, 8, &a) == 0 && a.generation == 2);
        check_topics(r, t, &s);
        uint64_t hers;
        must(topic_find(t, STR("t:hers"), &hers) == 0);
        struct page_source sources[] = {{.stream = s.stream, .join = s.acked}, {.stream = hers}};
        struct seen seen;
        read_all(r, t, sources, 2, &seen);
        size_t n = 0;
        for (size_t i = 0; i < w->n; i++)
            if (w->asked[i].hers && w->asked[i].seq > 1) /* her first is acked */
                must(n < seen.n && seen.seq[n++] == w->asked[i].seq);
        must(n == seen.n);
        txn_done(t);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A control record as a word. */
static void word_of(const struct rig_fed *f, char ret[32])
{
    switch ((enum feed_control)f->control) {
    case FEED_SUBSCRIBE:
        snprintf(ret, 32, "+%.*s", (int)f->sub.name.n, f->sub.name.p);
        return;
    case FEED_UNSUBSCRIBE:
        snprintf(ret, 32, "-%u", (unsigned)f->sub.topic);
        return;
    case FEED_FENCE:
        snprintf(ret, 32, "fence %u as %u", (unsigned)f->fence.connection,
                 (unsigned)f->fence.generation);
        return;
    case FEED_SESSION_END:
        break;
    }
    fail_msg("control record %d", f->control);
}

static int by_seq(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Each message has a seq of its own, none is left out, and those of one slot are in its order; when
 * it was the other one's turn depends on how the batches were cut. From here on in their order. */
static void check_seqs(struct work *w)
{
    uint64_t last[2] = {0}, seq = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct asked *a = &w->asked[i];
        if (a->kind != PUBLISH)
            continue;
        assert_true(a->seq > last[a->slot]);
        last[a->slot] = a->seq;
    }
    qsort(w->asked, w->n, sizeof(w->asked[0]), by_seq);
    for (size_t i = 0; i < w->n; i++)
        if (w->asked[i].kind == PUBLISH)
            assert_int_equal(w->asked[i].seq, ++seq);
    assert_int_equal(seq, w->messages);
}

/* What the feed said since the beginning: each seq and each control record once and in order. Where
 * the batch did not fit, a lap stands for what is missing. */
static void check_feed(struct rig *r, const struct work *w, bool big)
{
    static const char *const words[CONTROLS] = {
        "+t:hers", "fence 7 as 1", "+t:left", "fence 8 as 2", "-", "+t:none", "-"};
    struct rig_fed f;
    uint64_t at = 0, left = 0, laps = 0;
    size_t said = 0, fed = 0;
    bool may_miss = false;
    while (rig_fed(r, &f)) {
        if (f.rec.type == FEED_MESSAGE && f.rec.seq) {
            assert_true(f.rec.seq == at + 1);
            at = f.rec.seq;
            fed++;
        } else if (f.rec.type == FEED_LAP) {
            assert_true(f.rec.seq >= at);
            at = f.rec.seq;
            may_miss = true;
            laps++;
        } else if (f.rec.type == FEED_COMMIT)
            assert_true(f.rec.seq == at);
        else if (f.rec.type == FEED_CONTROL) {
            char word[32];
            word_of(&f, word);
            if (f.control == FEED_UNSUBSCRIBE) {
                assert_true(f.sub.topic > left); /* they were made in this order */
                left = f.sub.topic;
                word[1] = 0;
            }
            while (big && may_miss && said < CONTROLS && strcmp(words[said], word) != 0)
                said++;
            assert_true(said < CONTROLS);
            assert_string_equal(words[said], word);
            said++;
            may_miss = false;
        }
    }
    assert_int_equal(at, w->messages);
    if (!big) { /* one batch, and all of it is there whoever published it */
        assert_int_equal(fed, w->messages);
        assert_int_equal(said, CONTROLS);
    } else {
        assert_true(said == CONTROLS || may_miss);
        assert_true(laps > 0);
    }
}

#endif
