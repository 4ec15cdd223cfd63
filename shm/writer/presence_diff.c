/* presence_diff - what changed in the presence of topics, gathered for a moment and then announced.
 *
 * The first change of a topic opens its window; when that is over, what came of all of them goes
 * out as one diff, in the transaction that raises the topic's version: {"version": n, "prev": n-1,
 * "joins": ..., "leaves": ...}, an ephemeral message of the topic. Large ones are cut into several
 * with consecutive versions. Of a session only the end of its way is told: it joined (with another
 * ref than the one that was announced last: an update), or it left. What came and went in between
 * is not told, but a session that was here at the end of any transaction may have been seen in the
 * list, so its leave is.
 *
 * What is gathered lives in the writer's memory only. A topic with unannounced changes says so in
 * the store (topic.dirty_ms), in the transaction of the first of them. When that transaction's
 * writer dies, or a later transaction aborts and takes the memory along, whoever comes upon the
 * topic next finds that it is dirty and that nothing is gathered: then the version rises by one
 * more, so that nobody holds what the next diff names as `prev`, and everyone fetches the list.
 */
#include "shm/writer/writer_priv.h"

#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW_MS 50             /* so a topic has 20 diffs a second at most */
#define DIRTY_MS 1000            /* for a successor to learn that something was lost */
#define DIFF_BYTES (64 * 1024)   /* of one diff */
#define DIFF_FRAME 256           /* of it, what stands around the members; its head on the feed */
#define GATHERED_MOST (4u << 20) /* bytes; past that no window is waited for */
#define PAYLOAD_MAX (8 * DIFF_BYTES) /* one member fits, whatever it shows, quoted or not */

/* What became of one session in one topic. */
struct change {
    struct change *chain; /* of its bucket */
    uint64_t batch;       /* in whose transaction it began */
    uint64_t announced;   /* the ref that was announced last; 0: it was not here */
    struct member m;      /* as it is now; its texts are its own */
};

/* One topic's. */
struct gathered {
    struct gathered *chain; /* of its bucket */
    struct gathered *next;  /* whose window is over after this one's */
    uint64_t topic;
    uint64_t due_ms; /* boot clock */
    bool lost;       /* changes before these were never announced */
    struct change **v;
    size_t n, cap;
};

/* --- gathering --- */

static struct gathered **topic_bucket(struct writer *w, uint64_t topic)
{
    return &w->presence.topic[topic % PRESENCE_TOPICS];
}

static struct gathered *gathered_of(struct writer *w, uint64_t topic)
{
    struct gathered *g = *topic_bucket(w, topic);
    while (g && g->topic != topic)
        g = g->chain;
    return g;
}

static struct change **change_at(struct writer *w, uint64_t topic, uint64_t mailbox)
{
    uint64_t mixed = (topic ^ mailbox * 0x9e3779b97f4a7c15u) * 0x9e3779b97f4a7c15u;
    struct change **at = &w->presence.change[(mixed >> 32) % PRESENCE_CHANGES];
    while (*at && ((*at)->m.topic != topic || (*at)->m.mailbox != mailbox))
        at = &(*at)->chain;
    return at;
}

static size_t change_bytes(const struct change *c)
{
    return sizeof(*c) + c->m.key.n + c->m.meta.n;
}

/* Takes it out of its bucket and frees it; its topic's list is the caller's. */
static void free_change(struct writer *w, struct change *c)
{
    struct change **at = change_at(w, c->m.topic, c->m.mailbox);
    must(*at == c);
    *at = c->chain;
    w->presence.bytes -= change_bytes(c);
    free((void *)(uintptr_t)c->m.key.p);
    free(c);
}

static void free_gathered(struct writer *w, struct gathered *g)
{
    struct gathered **at = topic_bucket(w, g->topic), *before = NULL;
    for (size_t i = 0; i < g->n; i++)
        free_change(w, g->v[i]);
    while (*at != g)
        at = &(*at)->chain;
    *at = g->chain;
    for (struct gathered *i = w->presence.first; i != g; i = i->next)
        before = i;
    if (before)
        before->next = g->next;
    else
        w->presence.first = g->next;
    if (w->presence.last == g)
        w->presence.last = before;
    free(g->v);
    free(g);
}

void presence_forget(struct writer *w)
{
    while (w->presence.first)
        free_gathered(w, w->presence.first);
}

int presence_gathers(struct writer *w, struct topic *topic)
{
    struct gathered *g = gathered_of(w, topic->stream);
    if (g)
        return topic_put(w->txn, topic);
    g = calloc(1, sizeof(*g));
    if (!g)
        return -ENOMEM;
    struct gathered **at = topic_bucket(w, topic->stream);
    g->chain = *at;
    *at = g;
    if (w->presence.last)
        w->presence.last->next = g;
    else
        w->presence.first = g;
    w->presence.last = g;
    g->topic = topic->stream;
    g->due_ms = w->boot_ms + WINDOW_MS;
    g->lost = topic->dirty_ms != 0;
    return g->lost ? topic_put(w->txn, topic) : topic_dirty(w->txn, topic, w->now_ms + DIRTY_MS);
}

/* Texts of its own, of which the key is the beginning. */
static int keep_texts(struct member *m)
{
    char *text = malloc(m->key.n + m->meta.n);
    if (!text)
        return -ENOMEM;
    memcpy(text, m->key.p, m->key.n);
    memcpy(text + m->key.n, m->meta.p, m->meta.n);
    m->key.p = text;
    m->meta.p = text + m->key.n;
    return 0;
}

static int add_change(struct gathered *g, struct change **ret)
{
    if (g->n == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 8;
        struct change **v = realloc(g->v, cap * sizeof(struct change *));
        if (!v)
            return -ENOMEM;
        g->v = v;
        g->cap = cap;
    }
    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    g->v[g->n++] = *ret;
    return 0;
}

static void remove_change(struct writer *w, struct gathered *g, struct change *c)
{
    size_t i = 0;
    while (g->v[i] != c)
        i++;
    g->v[i] = g->v[--g->n];
    free_change(w, c);
}

int presence_note(struct writer *w, const struct member *m, uint64_t was)
{
    struct gathered *g = gathered_of(w, m->topic);
    struct change **at = change_at(w, m->topic, m->mailbox), *c = *at;
    struct member now = *m;
    must(g);
    writer_count(w, METRIC_PRESENCE_CHANGES, 1);
    /* It came and went inside one transaction: nobody can have seen it. */
    if (c && !m->here && c->announced == 0 && c->batch == w->meta.batch) {
        remove_change(w, g, c);
        return 0;
    }
    int err = keep_texts(&now);
    if (err)
        return err;
    if (c) {
        w->presence.bytes -= change_bytes(c);
        free((void *)(uintptr_t)c->m.key.p);
    } else {
        err = add_change(g, &c);
        if (err) {
            free((void *)(uintptr_t)now.key.p);
            return err;
        }
        c->batch = w->meta.batch;
        c->announced = was;
        *at = c;
    }
    c->m = now;
    w->presence.bytes += change_bytes(c);
    return 0;
}

/* --- announcing --- */

static bool over(const struct writer *w)
{
    return w->presence.bytes > GATHERED_MOST;
}

bool presence_waits(const struct writer *w)
{
    const struct gathered *g = w->presence.first;
    return g && (w->boot_ms >= g->due_ms || over(w));
}

int presence_wait_ms(const struct writer *w, int most)
{
    const struct gathered *g = w->presence.first;
    uint64_t now = clock_boot_ms();
    if (!g || w->now_ms < w->sweep_after_ms || g->due_ms >= now + (uint64_t)most)
        return most;
    return g->due_ms > now ? (int)(g->due_ms - now) : 0;
}

/* Joins, then leaves; of each those of one key together. */
static int compare(const void *a, const void *b)
{
    const struct member *x = &(*(struct change *const *)a)->m;
    const struct member *y = &(*(struct change *const *)b)->m;
    if (x->here != y->here)
        return x->here ? -1 : 1;
    int order = memcmp(x->hash, y->hash, MEMBER_HASH);
    return order ? order : (x->mailbox > y->mailbox) - (x->mailbox < y->mailbox);
}

static void write_change(struct buf *b, const struct change *c)
{
    struct member m = c->m;
    if (!m.here && c->announced)
        m.ref = c->announced; /* the one that everyone knows */
    member_json(b, &m, m.here ? c->announced : 0);
}

/* The changes from g->v[from] on that fit into one diff, at least one. Returns where the next one
 * begins. */
static size_t write_diff(struct buf *b, const struct gathered *g, size_t from, size_t room,
                         uint64_t version)
{
    size_t i = from;
    bool leaves = false;
    buf_reset(b);
    buf_printf(b, "{\"version\":%llu,\"prev\":%llu,\"joins\":{", (unsigned long long)version,
               (unsigned long long)version - 1);
    for (; i < g->n; i++) {
        const struct member *m = &g->v[i]->m;
        const struct member *before = i > from ? &g->v[i - 1]->m : NULL;
        if (before && b->len + DIFF_FRAME + 6 * m->key.n + m->meta.n > room)
            break;
        bool same = before && before->here == m->here && str_eq(before->key, m->key);
        if (before && !same)
            buf_append_z(b, "]}");
        if (!m->here && !leaves)
            buf_append_z(b, "},\"leaves\":{");
        else if (before)
            buf_append_c(b, ',');
        leaves = !m->here;
        if (!same) {
            json_quote(b, m->key);
            buf_append_z(b, ":{\"metas\":[");
        }
        write_change(b, g->v[i]);
    }
    if (i > from)
        buf_append_z(b, "]}");
    buf_append_z(b, leaves ? "}}" : "},\"leaves\":{}}");
    return i;
}

/* Whether it can be said in this transaction, and not as a lap: at the end of the ring a record
 * leaves up to its own size empty. */
static bool has_room(const struct writer *w, size_t bytes)
{
    uint64_t used = w->out.feed_head - feed_published(&w->feed);
    if (!w->out.on_feed || over(w))
        return true; /* there will not be more room later, or no waiting for it */
    return !w->out.lap && used + 2 * (bytes + DIFF_FRAME) <= w->feed.size / 4;
}

static void send(struct writer *w, uint64_t topic, struct str payload)
{
    struct message m = {
        .time_ms = w->now_ms,
        .flags = MESSAGE_JSON | MESSAGE_EPHEMERAL,
        .event = STR("presence"),
        .payload = payload,
    };
    struct feed_target target = {.stream = topic, .flags = FEED_TARGET_TOPIC};
    prepare_message(w, &m, &target, 1);
    writer_count(w, METRIC_PRESENCE_DIFFS, 1);
}

/* All that is gathered of a topic, or as much as has room: 1 it is done, 0 it goes on in the next
 * transaction, or < 0. */
static int announce(struct writer *w, struct gathered *g, struct topic *topic)
{
    struct buf *b = &w->presence.payload;
    size_t most = w->feed.size / 8 < DIFF_BYTES ? w->feed.size / 8 : DIFF_BYTES;
    size_t at = 0;
    if (g->n > 0)
        qsort(g->v, g->n, sizeof(struct change *), compare);
    while (at < g->n || (g->lost && g->n == 0)) {
        uint64_t version = topic->version + (g->lost ? 2 : 1);
        size_t next = write_diff(b, g, at, most, version);
        if (b->error)
            return b->error;
        if (!has_room(w, b->len))
            break;
        send(w, g->topic, buf_str(b));
        topic->version = version;
        g->lost = false;
        at = next;
    }
    for (size_t i = 0; i < at; i++)
        free_change(w, g->v[i]);
    for (size_t i = at; i < g->n; i++)
        g->v[i - at] = g->v[i];
    g->n -= at;
    bool done = g->n == 0 && !g->lost;
    w->changed = w->must_commit = true;
    int err = done ? topic_clean(w->txn, topic) : topic_put(w->txn, topic);
    return err ? err : done;
}

int presence_announce(struct writer *w)
{
    if (w->presence.payload.max == 0)
        buf_init(&w->presence.payload, PAYLOAD_MAX);
    while (presence_waits(w)) {
        struct gathered *g = w->presence.first;
        struct topic topic;
        int err = topic_get(w->txn, g->topic, &topic);
        int done = err == -ENOENT ? 1 : err; /* it went with its last subscriber: nobody listens */
        if (!err)
            done = announce(w, g, &topic);
        if (done <= 0)
            return done;
        free_gathered(w, g);
    }
    return 0;
}

int presence_due(struct writer *w, uint64_t stream)
{
    struct topic topic;
    int err = topic_get(w->txn, stream, &topic);
    if (err || topic.dirty_ms == 0)
        return err == -ENOENT ? 0 : err;
    topic.dirty_ms = 0;         /* its row was taken */
    if (gathered_of(w, stream)) /* this writer is late: it knows all that changed */
        return topic_dirty(w->txn, &topic, w->now_ms + DIRTY_MS);
    err = presence_gathers(w, &topic);
    if (!err)
        gathered_of(w, stream)->lost = true;
    return err;
}

void presence_close(struct writer *w)
{
    presence_forget(w);
    buf_free(&w->presence.meta);
    buf_free(&w->presence.payload);
}
