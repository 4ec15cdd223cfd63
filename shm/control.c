/* control - the packed form of control records on the feed (rule 5); declared in command.h. */
#include "shm/command.h"

#include <errno.h>

static uint64_t take_nonzero(struct unpack *u)
{
    uint64_t v = unpack_u64(u);
    if (v == 0)
        u->bad = true;
    return v;
}

void feed_session_end_encode(struct pack *p, const struct feed_session_end *c)
{
    pack_u8(p, FEED_SESSION_END);
    pack_u64(p, c->stream);
    pack_bytes(p, c->session, SESSION_ID_SIZE);
}

int feed_session_end_decode(struct unpack *u, struct feed_session_end *ret)
{
    static const uint8_t none[SESSION_ID_SIZE];
    struct feed_session_end c = {0};
    c.stream = take_nonzero(u);
    unpack_copy(u, c.session, SESSION_ID_SIZE);
    if (u->bad || memcmp(c.session, none, SESSION_ID_SIZE) == 0)
        return -EBADMSG;
    *ret = c;
    return 0;
}

size_t feed_subscribe_size(const struct feed_subscribe *c)
{
    return 1 + 3 * 8 + 4 + c->name.n;
}

void feed_subscribe_encode(struct pack *p, const struct feed_subscribe *c)
{
    pack_u8(p, FEED_SUBSCRIBE);
    pack_u64(p, c->mailbox);
    pack_u64(p, c->topic);
    pack_u64(p, c->join);
    pack_str(p, c->name);
}

int feed_subscribe_decode(struct unpack *u, struct feed_subscribe *ret)
{
    struct feed_subscribe c = {0};
    c.mailbox = take_nonzero(u);
    c.topic = take_nonzero(u);
    c.join = unpack_u64(u);
    c.name = unpack_str(u);
    if (u->bad || c.name.n == 0 || c.name.n > COMMAND_STRING_MAX)
        return -EBADMSG;
    *ret = c;
    return 0;
}

void feed_unsubscribe_encode(struct pack *p, const struct feed_subscribe *c)
{
    pack_u8(p, FEED_UNSUBSCRIBE);
    pack_u64(p, c->mailbox);
    pack_u64(p, c->topic);
}

int feed_unsubscribe_decode(struct unpack *u, struct feed_subscribe *ret)
{
    struct feed_subscribe c = {0};
    c.mailbox = take_nonzero(u);
    c.topic = take_nonzero(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}

void feed_fence_encode(struct pack *p, const struct feed_fence *c)
{
    pack_u8(p, FEED_FENCE);
    pack_u64(p, c->mailbox);
    pack_u64(p, c->connection);
    pack_u64(p, c->generation);
}

int feed_fence_decode(struct unpack *u, struct feed_fence *ret)
{
    struct feed_fence c = {0};
    c.mailbox = take_nonzero(u);
    c.connection = take_nonzero(u);
    c.generation = take_nonzero(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}
