/* route_harness - a router over a fake store, a fake clock and real rings and feed.
 *
 * The fake store holds messages of streams in seq order and one session for each of SESSIONS
 * streams; it can fail reads on demand. The test plays the writer: it takes commands out of the
 * inbox, completes them, and publishes on the feed. Nothing sleeps: the clock moves when told.
 */
#ifndef TESTS_UNIT_WORKER_ROUTE_HARNESS_H
#define TESTS_UNIT_WORKER_ROUTE_HARNESS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/ids.h"
#include "common/log.h"
#include "shm/board.h"
#include "shm/feed.h"
#include "shm/message.h"
#include "shm/ring.h"
#include "worker/route_priv.h"

#define HARNESS_UNUSED __attribute__((unused))
#define SESSIONS 8
#define TOPICS 8
#define SUBSCRIBED 16
#define STORED_MAX 4096
#define GENERATION 7
#define EPOCH UINT64_C(0x9f86d081884c7d65)

struct stored {
    uint64_t stream, seq, prev, expires_ms;
    uint16_t flags;
    char payload[24];
};

static struct {
    struct conf conf;
    struct board *board;
    int board_fd;
    struct ring inbox, reply;
    void *inbox_memory, *reply_memory;
    struct feed feed;
    int feed_fd;
    uint64_t feed_head;
    struct bell bell;
    uint64_t clock_ms;
    uint64_t inbox_pos, reply_head;
    struct route *route;

    struct session session[SESSIONS]; /* of stream i + 1 */
    bool ended[SESSIONS];
    struct topic topic[TOPICS]; /* in the order of their names; name empty: none */
    struct {
        uint64_t mailbox;
        struct subscribed s;
    } subscribed[SUBSCRIBED];
    size_t nsubscribed;
    struct stored stored[STORED_MAX];
    size_t nstored;
    uint64_t last_seq;
    uint64_t trimmed; /* of stream 1 */
    int fail_reads;   /* so many page reads fail with fail_with */
    int fail_with;
    size_t fail_after; /* messages handed out before a read fails */
    unsigned reads, pages;
    bool in_txn;
} F;

static uint64_t fake_clock(void *arg)
{
    (void)arg;
    return F.clock_ms;
}

/* --- the fake store --- */

static int fake_read(void *store, struct txn **ret)
{
    (void)store;
    assert_false(F.in_txn);
    F.in_txn = true;
    F.reads++;
    *ret = (struct txn *)&F;
    return 0;
}

static void fake_done(struct txn *t)
{
    (void)t;
    assert_true(F.in_txn);
    F.in_txn = false;
}

static int fake_last_seq(struct txn *t, uint64_t *ret)
{
    (void)t;
    *ret = F.last_seq;
    return 0;
}

static int fake_session(struct txn *t, const uint8_t id[SESSION_ID_SIZE], struct session *ret)
{
    (void)t;
    for (int i = 0; i < SESSIONS; i++) {
        if (!F.ended[i] && memcmp(F.session[i].id, id, SESSION_ID_SIZE) == 0) {
            *ret = F.session[i];
            return 0;
        }
    }
    return -ENOENT;
}

static int fake_head(struct txn *t, uint64_t stream, struct stream_head *ret)
{
    (void)t;
    *ret = (struct stream_head){.trimmed = stream == 1 ? F.trimmed : 0};
    ret->floor = ret->trimmed;
    for (size_t i = 0; i < F.nstored; i++) {
        if (F.stored[i].stream != stream)
            continue;
        ret->last = F.stored[i].seq;
        ret->count++;
        ret->bytes += strlen(F.stored[i].payload);
    }
    return 0;
}

static int fake_attachments(struct txn *t, const uint8_t id[SESSION_ID_SIZE],
                            struct attachment *ret, size_t max)
{
    (void)t;
    (void)id;
    assert_true(max >= 2);
    ret[0] = (struct attachment){.connection = 1,
                                 .since_ms = 1000,
                                 .lease_ms = UINT64_MAX,
                                 .transport = STR("poll"),
                                 .remote = STR("127.0.0.1:1")};
    ret[1] = (struct attachment){.connection = 2, .transport = STR("gone")};
    return 2;
}

/* Sessions of a subject lie in id order. */
static int fake_subject(struct txn *t, struct str subject, const uint8_t *after,
                        uint8_t (*ret)[SESSION_ID_SIZE], size_t max)
{
    (void)t;
    int n = 0;
    for (int i = 0; i < SESSIONS && (size_t)n < max; i++) {
        if (!str_eq(F.session[i].subject, subject) ||
            (after && memcmp(F.session[i].id, after, SESSION_ID_SIZE) <= 0))
            continue;
        memcpy(ret[n++], F.session[i].id, SESSION_ID_SIZE);
    }
    return n;
}

static int fake_receipt(struct txn *t, const struct session *s, uint64_t seq, uint64_t now_ms,
                        uint64_t age_ms, struct receipt *ret)
{
    (void)t;
    (void)now_ms;
    (void)age_ms;
    *ret = (struct receipt){.state = seq <= s->delivered ? RECEIPT_DELIVERED : RECEIPT_STORED,
                            .time_ms = 1000};
    return 0;
}

static int fake_page(struct txn *t, struct page *p)
{
    (void)t;
    const struct page_source *source = &p->sources[0];
    uint64_t from = p->cursor > source->join ? p->cursor : source->join;
    uint64_t at = p->cursor, handed = 0;
    size_t count = 0, bytes = 0;
    bool stopped = false, more = false;
    F.pages++;
    bool fail = F.fail_reads > 0;
    if (fail)
        F.fail_reads--;
    if (fail && !F.fail_after)
        return F.fail_with;
    for (size_t i = 0; i < F.nstored && !more; i++) {
        const struct stored *s = &F.stored[i];
        if (s->stream != source->stream || s->seq <= from)
            continue;
        if (s->expires_ms && s->expires_ms <= p->now_ms)
            continue;
        size_t n = strlen(s->payload);
        if (stopped || count == p->limit || (count && bytes + n > p->max_bytes)) {
            more = true;
            break;
        }
        struct message m = {.seq = s->seq,
                            .prev = s->prev,
                            .time_ms = 1000,
                            .expires_ms = s->expires_ms,
                            .flags = s->flags,
                            .payload = str_of(s->payload)};
        if (s->prev > from && s->prev != handed && s->prev > F.trimmed)
            m.flags |= MESSAGE_SKIPPED;
        stopped = !p->on_message(p->arg, s->stream, &m);
        at = handed = s->seq;
        count++;
        bytes += n;
        if (fail && count == F.fail_after)
            return F.fail_with;
    }
    p->ret_more = more;
    p->ret_cursor = more || stopped ? at : F.last_seq > at ? F.last_seq : at;
    p->ret_count = count;
    p->nlost = 0;
    if (source->stream == 1 && from < F.trimmed)
        p->lost[p->nlost++] = (struct page_lost){.stream = 1, .from = from + 1, .to = F.trimmed};
    return 0;
}

static int fake_page_reverse(struct txn *t, struct page_reverse *p)
{
    (void)t;
    size_t n = 0;
    bool full = false;
    uint64_t at = p->before ? p->before : F.last_seq + 1;
    for (size_t i = F.nstored; i > 0 && !full; i--) {
        const struct stored *s = &F.stored[i - 1];
        if (s->stream != p->stream || s->seq >= at)
            continue;
        struct message m = {.seq = s->seq,
                            .prev = s->prev,
                            .time_ms = 1000,
                            .flags = s->flags,
                            .payload = str_of(s->payload)};
        full = n == p->limit || !p->on_message(p->arg, &m);
        if (full)
            break;
        at = s->seq;
        n++;
    }
    p->ret_before = at;
    p->ret_more = full;
    p->ret_count = n;
    return 0;
}

static int fake_subscribed(struct txn *t, uint64_t mailbox, struct subscribed *ret, size_t max)
{
    (void)t;
    size_t n = 0;
    for (size_t i = 0; i < F.nsubscribed && n < max; i++)
        if (F.subscribed[i].mailbox == mailbox)
            ret[n++] = F.subscribed[i].s;
    return (int)n;
}

static int fake_topic(struct txn *t, uint64_t stream, struct topic *ret)
{
    (void)t;
    for (int i = 0; i < TOPICS; i++) {
        if (F.topic[i].name.n && F.topic[i].stream == stream) {
            *ret = F.topic[i];
            return 0;
        }
    }
    return -ENOENT;
}

static int fake_topic_find(struct txn *t, struct str name, uint64_t *ret_stream)
{
    (void)t;
    for (int i = 0; i < TOPICS; i++) {
        if (F.topic[i].name.n && str_eq(F.topic[i].name, name)) {
            *ret_stream = F.topic[i].stream;
            return 0;
        }
    }
    return -ENOENT;
}

static int fake_topic_next(struct txn *t, struct str prefix, struct str after, struct topic *ret)
{
    (void)t;
    for (int i = 0; i < TOPICS; i++) {
        struct str name = F.topic[i].name;
        size_t n = name.n < after.n ? name.n : after.n;
        int order = n ? memcmp(name.p, after.p, n) : 0;
        bool later = order > 0 || (order == 0 && name.n > after.n);
        if (!later || name.n < prefix.n || (prefix.n && memcmp(name.p, prefix.p, prefix.n) != 0))
            continue;
        *ret = F.topic[i];
        return 0;
    }
    return -ENOENT;
}

static const struct route_store_ops fake_ops = {
    .read = fake_read,
    .done = fake_done,
    .last_seq = fake_last_seq,
    .session = fake_session,
    .head = fake_head,
    .attachments = fake_attachments,
    .subject = fake_subject,
    .receipt = fake_receipt,
    .page = fake_page,
    .page_reverse = fake_page_reverse,
    .subscribed = fake_subscribed,
    .topic = fake_topic,
    .topic_find = fake_topic_find,
    .topic_next = fake_topic_next,
};

/* --- the writer's part --- */

HARNESS_UNUSED static uint64_t metric(enum metric m)
{
    return atomic_load(&F.board->seat[0].metrics.v[m]);
}

HARNESS_UNUSED static struct stored *store_put(uint64_t stream, uint64_t seq, uint64_t prev,
                                               const char *payload)
{
    assert_true(F.nstored < STORED_MAX);
    struct stored *s = &F.stored[F.nstored++];
    *s = (struct stored){.stream = stream, .seq = seq, .prev = prev, .flags = MESSAGE_TEXT};
    strncpy(s->payload, payload, sizeof(s->payload) - 1);
    if (seq > F.last_seq)
        F.last_seq = seq;
    return s;
}

HARNESS_UNUSED static void feed_put(const struct feed_target *targets, size_t n, uint16_t flags,
                                    uint64_t expires_ms, const char *payload)
{
    struct message m = {
        .time_ms = 1000, .expires_ms = expires_ms, .flags = flags, .payload = str_of(payload)};
    void *at;
    assert_int_equal(feed_prepare(&F.feed, &F.feed_head, FEED_MESSAGE, targets[n - 1].seq,
                                  feed_message_size(&m, n), &at),
                     0);
    feed_message_encode(&m, targets, n, at);
}

HARNESS_UNUSED static void feed_one(uint64_t stream, uint64_t seq, uint64_t prev,
                                    const char *payload)
{
    struct feed_target t = {.stream = stream, .seq = seq, .prev = prev};
    feed_put(&t, 1, MESSAGE_TEXT, 0, payload);
}

HARNESS_UNUSED static void feed_ephemeral(uint64_t stream, const char *payload)
{
    struct feed_target t = {.stream = stream};
    feed_put(&t, 1, MESSAGE_TEXT | MESSAGE_EPHEMERAL, 0, payload);
}

HARNESS_UNUSED static void feed_end(enum feed_type type)
{
    void *at;
    assert_int_equal(feed_prepare(&F.feed, &F.feed_head, type, F.last_seq, 0, &at), 0);
    feed_publish(&F.feed, F.feed_head);
    atomic_store(&F.board->last_seq, F.last_seq);
}

HARNESS_UNUSED static void feed_session_end(int i)
{
    struct feed_session_end c = {.stream = F.session[i].stream};
    memcpy(c.session, F.session[i].id, SESSION_ID_SIZE);
    void *at;
    assert_int_equal(
        feed_prepare(&F.feed, &F.feed_head, FEED_CONTROL, 0, FEED_SESSION_END_SIZE, &at), 0);
    struct pack p = pack_into(at, FEED_SESSION_END_SIZE);
    feed_session_end_encode(&p, &c);
}

/* Stored, and on the feed, and committed. */
HARNESS_UNUSED static void publish(uint64_t stream, uint64_t seq, uint64_t prev,
                                   const char *payload)
{
    store_put(stream, seq, prev, payload);
    feed_one(stream, seq, prev, payload);
    feed_end(FEED_COMMIT);
}

/* The next command of the inbox: its type, or 0. The body stays in the ring. */
HARNESS_UNUSED static uint32_t take_command(struct command_header *ret, struct unpack *ret_body)
{
    const void *record;
    size_t len;
    if (ring_next(&F.inbox, &F.inbox_pos, &record, &len) != 1)
        return 0;
    ring_release(&F.inbox, F.inbox_pos);
    memcpy(ret, record, sizeof(*ret));
    *ret_body = unpack_from((const unsigned char *)record + sizeof(*ret), len - sizeof(*ret));
    return ret->type;
}

/* Skips what needs no completion. */
HARNESS_UNUSED static uint32_t take_asked(struct command_header *ret, struct unpack *ret_body)
{
    uint32_t type;
    do {
        type = take_command(ret, ret_body);
    } while (type && ret->id == 0);
    return type;
}

HARNESS_UNUSED static void complete_as(uint32_t generation, uint64_t id, enum code code,
                                       const void *body, size_t n)
{
    struct completion_header h = {.code = code, .generation = generation, .id = id};
    void *at;
    assert_int_equal(ring_prepare(&F.reply, &F.reply_head, sizeof(h) + n, &at), 0);
    memcpy(at, &h, sizeof(h));
    if (n)
        memcpy((unsigned char *)at + sizeof(h), body, n);
    ring_publish(&F.reply, F.reply_head);
}

HARNESS_UNUSED static void complete(uint64_t id, enum code code, const void *body, size_t n)
{
    complete_as(GENERATION, id, code, body, n);
}

HARNESS_UNUSED static void proceed(void)
{
    for (int i = 0; i < 1000 && route_proceed(F.route); i++)
        ;
}

HARNESS_UNUSED static void pass_ms(uint64_t ms)
{
    for (uint64_t end = F.clock_ms + ms; F.clock_ms < end;) {
        F.clock_ms += end - F.clock_ms < 100 ? end - F.clock_ms : 100;
        route_tick(F.route);
    }
}

/* --- open and close --- */

static int harness_open_route(void)
{
    struct route_parts parts = {
        .conf = &F.conf,
        .board = F.board,
        .seat = &F.board->seat[0],
        .generation = GENERATION,
        .inbox = &F.inbox,
        .reply = &F.reply,
        .feed = &F.feed,
        .writer_bell = &F.bell,
        .store_ops = &fake_ops,
        .now_ms = fake_clock,
    };
    return route_open(&parts, &F.route);
}

static int harness_open_sized(uint64_t inbox, uint64_t reply, uint64_t feed)
{
    memset(&F, 0, sizeof(F));
    log_init(LOG_ERROR, -1, "test", -1);
    F.board_fd = board_create(1, &F.board);
    assert_true(F.board_fd >= 0);
    F.clock_ms = 1000000;
    F.conf.publish_timeout = 5000;
    F.conf.session_ttl = 600000;
    F.conf.session_max_ttl = 86400000;
    F.conf.limit_request = 1 << 20;
    F.conf.limit_bodies = 64 << 20;
    F.conf.limit_message = 64 << 10;
    F.conf.limit_header = 16 << 10;
    F.conf.max_per_subject = 10;
    F.conf.attributes_size = 4096;
    F.conf.token_max_age = 300000;
    F.inbox_memory = aligned_alloc(64, (ring_footprint(inbox) + 63) & ~(size_t)63);
    F.reply_memory = aligned_alloc(64, (ring_footprint(reply) + 63) & ~(size_t)63);
    ring_format(F.inbox_memory, inbox);
    ring_format(F.reply_memory, reply);
    F.inbox = ring_attach(F.inbox_memory, inbox);
    F.reply = ring_attach(F.reply_memory, reply);
    F.feed_fd = feed_create(feed);
    assert_true(F.feed_fd >= 0);
    assert_int_equal(feed_map(F.feed_fd, feed, true, &F.feed), 0);
    F.bell = (struct bell){.fd = -1, .asleep = &F.board->seat[BOARD_WRITER].asleep};
    atomic_store(&F.board->epoch, EPOCH);
    atomic_store(&F.board->writer_ready, 1);
    atomic_store(&F.board->clock_offset_ms, (int64_t)(clock_wall_ms() - clock_boot_ms()));
    uint64_t now = board_now_ms(F.board);
    for (int i = 0; i < SESSIONS; i++) {
        struct session *s = &F.session[i];
        memset(s->id, i + 1, SESSION_ID_SIZE);
        s->stream = (uint64_t)i + 1;
        s->ttl_ms = 600000;
        s->expires_ms = now + s->ttl_ms;
        s->subject = i < 4 ? STR("alice") : STR("bob");
        s->attributes = STR("{}");
    }
    feed_end(FEED_COMMIT);
    return harness_open_route();
}

HARNESS_UNUSED static int harness_open(void **state)
{
    (void)state;
    return harness_open_sized(1 << 20, 64 << 10, 1 << 20);
}

HARNESS_UNUSED static int harness_close(void **state)
{
    (void)state;
    route_close(F.route);
    feed_unmap(&F.feed);
    close(F.feed_fd);
    board_unmap(F.board);
    close(F.board_fd);
    free(F.inbox_memory);
    free(F.reply_memory);
    return 0;
}

#endif
