/* fake_store - what the router reads by, without a store.
 *
 * It holds messages of streams in seq order, one session for each of SESSIONS mailboxes, topics,
 * subscriptions, members and one attachment, all in F, and can fail reads on demand. Streams above
 * SESSIONS are topics.
 */
#ifndef TESTS_UNIT_WORKER_FAKE_STORE_H
#define TESTS_UNIT_WORKER_FAKE_STORE_H

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
#define TOPICS 128
#define SUBSCRIBED 512
#define MEMBERS 16384
#define STORED_MAX 4096
#define GENERATION 7
#define EPOCH UINT64_C(0x9f86d081884c7d65)

struct stored {
    uint64_t stream, seq, prev, expires_ms;
    uint16_t flags;
    bool gone; /* replaced, say: no reader is shown it */
    struct str except;
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
    } subscribed[SUBSCRIBED]; /* by topic */
    size_t nsubscribed;
    struct member member[MEMBERS]; /* by topic, hash and mailbox */
    size_t nmembers, member_at;    /* the one that a walk gave last */
    struct stored stored[STORED_MAX];
    size_t nstored;
    uint64_t last_seq;
    bool bounded;     /* pages show no more than the board says is published */
    uint64_t trimmed; /* of stream 1 */
    uint64_t topic_trimmed[TOPICS];
    struct attachment attachment; /* of connections of their own: this one */
    int fail_reads;               /* so many page reads fail with fail_with */
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

static int fake_attachment(struct txn *t, const uint8_t id[SESSION_ID_SIZE], uint64_t connection,
                           struct attachment *ret)
{
    (void)t;
    (void)id;
    if (!F.attachment.connection || F.attachment.connection != connection)
        return -ENOENT;
    *ret = F.attachment;
    return 0;
}

static uint64_t fake_trimmed(uint64_t stream)
{
    for (int i = 0; i < TOPICS; i++)
        if (F.topic[i].name.n && F.topic[i].stream == stream)
            return F.topic_trimmed[i];
    return stream == 1 ? F.trimmed : 0;
}

static bool fake_shows(const struct stored *s, const struct page *p)
{
    const struct message m = {.except = s->except};
    return !s->gone && !(s->expires_ms && s->expires_ms <= p->now_ms) &&
           s->seq > fake_trimmed(s->stream) && !(p->session && message_excepts(&m, p->session));
}

/* As page_read, by the letter. */
static bool fake_prev_is_gone(const struct stored *s, const struct page *p, uint64_t join)
{
    if (s->prev == 0 || s->prev <= join || s->prev <= fake_trimmed(s->stream))
        return false;
    for (size_t i = 0; i < F.nstored; i++)
        if (F.stored[i].seq == s->prev)
            return !fake_shows(&F.stored[i], p);
    return true;
}

static const struct page_source *fake_source(const struct page *p, uint64_t stream)
{
    for (size_t i = 0; i < p->nsources; i++)
        if (p->sources[i].stream == stream)
            return &p->sources[i];
    return NULL;
}

static uint64_t fake_had(const struct page *p, const struct page_source *source)
{
    return p->cursor > source->join ? p->cursor : source->join;
}

static int fake_page(struct txn *t, struct page *p)
{
    (void)t;
    uint64_t at = p->cursor;
    uint64_t published = atomic_load(p->published);
    uint64_t high = F.bounded && published < F.last_seq ? published : F.last_seq;
    size_t count = 0, bytes = 0, limit = p->limit;
    bool more = false;
    F.pages++;
    bool fail = F.fail_reads > 0;
    if (fail)
        F.fail_reads--;
    if (fail && !F.fail_after)
        return F.fail_with;
    p->nlost = 0;
    for (size_t i = 0; i < p->nsources; i++) {
        const struct page_source *source = &p->sources[i];
        uint64_t trimmed = fake_trimmed(source->stream), had = fake_had(p, source);
        if (trimmed > high)
            trimmed = high;
        if (had < trimmed)
            p->lost[p->nlost++] =
                (struct page_lost){.stream = source->stream, .from = had + 1, .to = trimmed};
    }
    for (size_t i = 0; i < F.nstored && !more; i++) {
        const struct stored *s = &F.stored[i];
        const struct page_source *source = fake_source(p, s->stream);
        if (!source || s->seq <= fake_had(p, source) || s->seq > high || !fake_shows(s, p))
            continue;
        size_t n = strlen(s->payload);
        if (count >= limit || (count && bytes + n > p->max_bytes)) {
            more = true;
            break;
        }
        struct message m = {.seq = s->seq,
                            .prev = s->prev,
                            .time_ms = 1000,
                            .expires_ms = s->expires_ms,
                            .flags = s->flags,
                            .except = s->except,
                            .payload = str_of(s->payload)};
        if (fake_prev_is_gone(s, p, source->join))
            m.flags |= MESSAGE_SKIPPED;
        if (!p->on_message(p->arg, s->stream, &m))
            limit = 0;
        at = s->seq;
        count++;
        bytes += n;
        if (fail && count == F.fail_after)
            return F.fail_with;
    }
    p->ret_more = more;
    p->ret_cursor = more || high < at ? at : high;
    p->ret_count = count;
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

static int fake_subscription(struct txn *t, uint64_t mailbox, uint64_t topic,
                             struct subscribed *ret)
{
    (void)t;
    for (size_t i = 0; i < F.nsubscribed; i++) {
        if (F.subscribed[i].mailbox == mailbox && F.subscribed[i].s.topic == topic) {
            *ret = F.subscribed[i].s;
            return 0;
        }
    }
    return -ENOENT;
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

static int fake_member(struct txn *t, uint64_t topic, const uint8_t hash[MEMBER_HASH],
                       uint64_t mailbox, struct member *ret)
{
    (void)t;
    for (size_t i = 0; i < F.nmembers; i++) {
        const struct member *m = &F.member[i];
        if (m->topic == topic && m->mailbox == mailbox && memcmp(m->hash, hash, MEMBER_HASH) == 0) {
            *ret = *m;
            return 0;
        }
    }
    return -ENOENT;
}

static int fake_member_from(size_t i, uint64_t topic, const uint8_t *after, struct member *ret)
{
    for (; i < F.nmembers; i++) {
        const struct member *m = &F.member[i];
        if (m->topic != topic || (after && memcmp(m->hash, after, MEMBER_HASH) <= 0))
            continue;
        F.member_at = i;
        *ret = *m;
        return 0;
    }
    return -ENOENT;
}

static int fake_member_first(struct txn *t, uint64_t topic, const uint8_t *after,
                             struct member *ret)
{
    (void)t;
    return fake_member_from(0, topic, after, ret);
}

static int fake_member_next(struct txn *t, uint64_t topic, struct member *ret)
{
    (void)t;
    return fake_member_from(F.member_at + 1, topic, NULL, ret);
}

static const struct route_store_ops fake_ops = {
    .read = fake_read,
    .done = fake_done,
    .last_seq = fake_last_seq,
    .session = fake_session,
    .head = fake_head,
    .attachments = fake_attachments,
    .attachment = fake_attachment,
    .subject = fake_subject,
    .receipt = fake_receipt,
    .page = fake_page,
    .page_reverse = fake_page_reverse,
    .subscribed = fake_subscribed,
    .subscription = fake_subscription,
    .topic = fake_topic,
    .topic_find = fake_topic_find,
    .topic_next = fake_topic_next,
    .member = fake_member,
    .member_first = fake_member_first,
    .member_next = fake_member_next,
};

#endif
