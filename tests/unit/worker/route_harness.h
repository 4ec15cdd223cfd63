/* route_harness - a router over a fake store, a fake clock and real rings and feed.
 *
 * The test plays the writer: it takes commands out of the inbox, completes them, and publishes on
 * the feed. Nothing sleeps: the clock moves when told.
 */
#ifndef TESTS_UNIT_WORKER_ROUTE_HARNESS_H
#define TESTS_UNIT_WORKER_ROUTE_HARNESS_H

#include "fake_store.h"

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
    snprintf(s->payload, sizeof(s->payload), "%.23s", payload);
    if (seq > F.last_seq)
        F.last_seq = seq;
    return s;
}

HARNESS_UNUSED static void feed_message(const struct feed_target *targets, size_t n,
                                        const struct message *m)
{
    void *at;
    assert_int_equal(feed_prepare(&F.feed, &F.feed_head, FEED_MESSAGE, targets[n - 1].seq,
                                  feed_message_size(m, n), &at),
                     0);
    feed_message_encode(m, targets, n, at);
}

HARNESS_UNUSED static void feed_put(const struct feed_target *targets, size_t n, uint16_t flags,
                                    uint64_t expires_ms, const char *payload)
{
    struct message m = {
        .time_ms = 1000, .expires_ms = expires_ms, .flags = flags, .payload = str_of(payload)};
    feed_message(targets, n, &m);
}

/* As it is stored. */
HARNESS_UNUSED static void feed_stored(const struct stored *s)
{
    struct message m = {.time_ms = 1000,
                        .expires_ms = s->expires_ms,
                        .flags = MESSAGE_TEXT,
                        .except = s->except,
                        .payload = str_of(s->payload)};
    struct feed_target t = {.stream = s->stream,
                            .seq = s->seq,
                            .prev = s->prev,
                            .flags = (s->flags & MESSAGE_SKIPPED) |
                                     (s->stream > SESSIONS ? FEED_TARGET_TOPIC : 0)};
    feed_message(&t, 1, &m);
}

HARNESS_UNUSED static void feed_one(uint64_t stream, uint64_t seq, uint64_t prev,
                                    const char *payload)
{
    struct feed_target t = {.stream = stream,
                            .seq = seq,
                            .prev = prev,
                            .flags = stream > SESSIONS ? FEED_TARGET_TOPIC : 0};
    feed_put(&t, 1, MESSAGE_TEXT, 0, payload);
}

HARNESS_UNUSED static void feed_ephemeral(uint64_t stream, const char *payload)
{
    struct feed_target t = {.stream = stream, .flags = stream > SESSIONS ? FEED_TARGET_TOPIC : 0};
    feed_put(&t, 1, MESSAGE_TEXT | MESSAGE_EPHEMERAL, 0, payload);
}

HARNESS_UNUSED static void feed_end(enum feed_type type)
{
    void *at;
    assert_int_equal(feed_prepare(&F.feed, &F.feed_head, type, F.last_seq, 0, &at), 0);
    feed_publish(&F.feed, F.feed_head);
    atomic_store(&F.board->last_seq, F.last_seq);
}

/* --- topics: streams above SESSIONS --- */

HARNESS_UNUSED static void store_topic(uint64_t stream, const char *name)
{
    int i = 0;
    while (F.topic[i].name.n)
        i++;
    assert_true(i < TOPICS && stream > SESSIONS);
    F.topic[i] = (struct topic){.stream = stream, .name = str_of(name)};
}

/* In the store only. */
HARNESS_UNUSED static void join_put(uint64_t mailbox, uint64_t topic, uint64_t join)
{
    assert_true(F.nsubscribed < SUBSCRIBED);
    size_t i = F.nsubscribed++;
    for (; i > 0 && F.subscribed[i - 1].s.topic > topic; i--)
        F.subscribed[i] = F.subscribed[i - 1];
    F.subscribed[i].mailbox = mailbox;
    F.subscribed[i].s = (struct subscribed){.topic = topic, .join = join};
}

HARNESS_UNUSED static bool join_take(uint64_t mailbox, uint64_t topic)
{
    for (size_t i = 0; i < F.nsubscribed; i++) {
        if (F.subscribed[i].mailbox != mailbox || F.subscribed[i].s.topic != topic)
            continue;
        for (F.nsubscribed--; i < F.nsubscribed; i++)
            F.subscribed[i] = F.subscribed[i + 1];
        return true;
    }
    return false;
}

static void *feed_control(size_t size)
{
    void *at;
    assert_int_equal(feed_prepare(&F.feed, &F.feed_head, FEED_CONTROL, 0, size, &at), 0);
    return at;
}

HARNESS_UNUSED static void feed_session_end(int i)
{
    struct feed_session_end c = {.stream = F.session[i].stream};
    memcpy(c.session, F.session[i].id, SESSION_ID_SIZE);
    struct pack p = pack_into(feed_control(FEED_SESSION_END_SIZE), FEED_SESSION_END_SIZE);
    feed_session_end_encode(&p, &c);
}

/* On the feed only. */
HARNESS_UNUSED static void feed_join(uint64_t mailbox, uint64_t topic, uint64_t join)
{
    struct topic row;
    assert_int_equal(fake_topic(NULL, topic, &row), 0);
    struct feed_subscribe c = {.mailbox = mailbox, .topic = topic, .join = join, .name = row.name};
    struct pack p = pack_into(feed_control(feed_subscribe_size(&c)), feed_subscribe_size(&c));
    feed_subscribe_encode(&p, &c);
}

HARNESS_UNUSED static void feed_leave(uint64_t mailbox, uint64_t topic)
{
    struct feed_subscribe c = {.mailbox = mailbox, .topic = topic};
    struct pack p = pack_into(feed_control(FEED_UNSUBSCRIBE_SIZE), FEED_UNSUBSCRIBE_SIZE);
    feed_unsubscribe_encode(&p, &c);
}

HARNESS_UNUSED static void feed_fence(uint64_t mailbox, uint64_t connection, uint64_t generation)
{
    struct feed_fence c = {mailbox, connection, generation};
    struct pack p = pack_into(feed_control(FEED_FENCE_SIZE), FEED_FENCE_SIZE);
    feed_fence_encode(&p, &c);
}

/* Both, at the store's last seq; a batch still to be ended. */
HARNESS_UNUSED static void join(uint64_t mailbox, uint64_t topic)
{
    join_put(mailbox, topic, F.last_seq);
    feed_join(mailbox, topic, F.last_seq);
}

HARNESS_UNUSED static void leave_topic(uint64_t mailbox, uint64_t topic)
{
    assert_true(join_take(mailbox, topic));
    feed_leave(mailbox, topic);
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
