/* message - the compact form of one entry, in the store and on the feed.
 *
 * At 100 million messages each byte of header counts: fixed 24 bytes, the expiry and the sessions
 * that are excepted only where there are any, six strings of at most 255 bytes, and the payload is
 * what remains. One value has one encoding; anything else does not decode.
 *
 *   u64 prev | u64 time_ms | u16 flags | u8 length of each string | [u64 expires_ms] |
 *   [u8 sessions | their ids] | strings | payload
 */
#include "shm/message.h"

#include "common/log.h"

#include <errno.h>

#define STRINGS 6
#define STRING_MAX 255u
#define VALUE_HEADER (8 + 8 + 2 + STRINGS)
#define VALUE_EXPIRES 0x8000u /* in the value only: expires_ms follows the lengths */
#define VALUE_EXCEPT 0x4000u  /* in the value only: sessions follow it */
#define KNOWN_FLAGS                                                                                \
    (MESSAGE_JSON | MESSAGE_TEXT | MESSAGE_KEYED | MESSAGE_SKIPPED | MESSAGE_EPHEMERAL |           \
     MESSAGE_MSGPACK)

/* The strings in the order of the value. */
static const size_t string_at[STRINGS] = {
    offsetof(struct message, id),           offsetof(struct message, event),
    offsetof(struct message, content_type), offsetof(struct message, publisher),
    offsetof(struct message, trace),        offsetof(struct message, collapse),
};

static struct str get_string(const struct message *m, unsigned i)
{
    struct str s;
    memcpy(&s, (const char *)m + string_at[i], sizeof(s));
    return s;
}

static void set_string(struct message *m, unsigned i, struct str s)
{
    memcpy((char *)m + string_at[i], &s, sizeof(s));
}

static void encode(struct pack *k, const struct message *m)
{
    must(!(m->flags & ~(unsigned)KNOWN_FLAGS));
    must(m->except.n % SESSION_ID_SIZE == 0);
    must(m->except.n <= MESSAGE_EXCEPT_MAX * SESSION_ID_SIZE);
    unsigned more = (m->expires_ms ? VALUE_EXPIRES : 0) | (m->except.n ? VALUE_EXCEPT : 0);
    pack_u64(k, m->prev);
    pack_u64(k, m->time_ms);
    pack_u16(k, (uint16_t)(m->flags | more));
    for (unsigned i = 0; i < STRINGS; i++) {
        must(get_string(m, i).n <= STRING_MAX);
        pack_u8(k, (uint8_t)get_string(m, i).n);
    }
    if (m->expires_ms)
        pack_u64(k, m->expires_ms);
    if (m->except.n) {
        pack_u8(k, (uint8_t)(m->except.n / SESSION_ID_SIZE));
        pack_bytes(k, m->except.p, m->except.n);
    }
    for (unsigned i = 0; i < STRINGS; i++)
        pack_bytes(k, get_string(m, i).p, get_string(m, i).n);
    pack_bytes(k, m->payload.p, m->payload.n);
}

static int decode(struct unpack *u, struct message *ret)
{
    struct message m = {0};
    m.prev = unpack_u64(u);
    m.time_ms = unpack_u64(u);
    unsigned flags = unpack_u16(u);
    m.flags = (uint16_t)(flags & ~(VALUE_EXPIRES | VALUE_EXCEPT));
    uint8_t length[STRINGS];
    unpack_copy(u, length, sizeof(length));
    if (flags & VALUE_EXPIRES) {
        m.expires_ms = unpack_u64(u);
        if (m.expires_ms == 0)
            return -EBADMSG;
    }
    if (flags & VALUE_EXCEPT) {
        uint8_t sessions = unpack_u8(u);
        if (sessions == 0 || sessions > MESSAGE_EXCEPT_MAX)
            return -EBADMSG;
        m.except.n = sessions * (size_t)SESSION_ID_SIZE;
        m.except.p = unpack_bytes(u, m.except.n);
    }
    for (unsigned i = 0; i < STRINGS; i++)
        set_string(&m, i, str_make(unpack_bytes(u, length[i]), length[i]));
    if (u->bad || (m.flags & ~(unsigned)KNOWN_FLAGS))
        return -EBADMSG;
    m.payload = str_make(u->p, (size_t)(u->end - u->p));
    u->p = u->end;
    m.seq = ret->seq;
    *ret = m;
    return 0;
}

size_t message_size(const struct message *m)
{
    size_t n = VALUE_HEADER + (m->expires_ms ? 8 : 0) + m->payload.n;
    if (m->except.n)
        n += 1 + m->except.n;
    for (unsigned i = 0; i < STRINGS; i++)
        n += get_string(m, i).n;
    return n;
}

void message_encode(const struct message *m, void *p)
{
    struct pack k = pack_into(p, message_size(m));
    encode(&k, m);
    must(!k.bad && k.p == k.end);
}

int message_decode(const void *p, size_t n, struct message *ret)
{
    struct unpack u = unpack_from(p, n);
    return decode(&u, ret);
}

bool message_excepts(const struct message *m, const uint8_t session[SESSION_ID_SIZE])
{
    for (size_t i = 0; i < m->except.n; i += SESSION_ID_SIZE)
        if (memcmp(m->except.p + i, session, SESSION_ID_SIZE) == 0)
            return true;
    return false;
}

size_t feed_message_size(const struct message *m, size_t ntargets)
{
    return 4 + ntargets * sizeof(struct feed_target) + message_size(m);
}

void feed_message_encode(const struct message *m, const struct feed_target *targets,
                         size_t ntargets, void *p)
{
    must(ntargets > 0 && ntargets <= UINT32_MAX);
    struct pack k = pack_into(p, feed_message_size(m, ntargets));
    pack_u32(&k, (uint32_t)ntargets);
    pack_bytes(&k, targets, ntargets * sizeof(*targets));
    encode(&k, m);
    must(!k.bad && k.p == k.end);
}

int feed_message_decode(struct str body, struct message *ret, const unsigned char **ret_targets,
                        uint32_t *ret_n)
{
    struct unpack u = unpack_from(body.p, body.n);
    uint32_t n = unpack_u32(&u);
    const unsigned char *targets = unpack_bytes(&u, (size_t)n * sizeof(struct feed_target));
    if (n == 0 || u.bad)
        return -EBADMSG;
    int err = decode(&u, ret);
    if (err)
        return err;
    *ret_targets = targets;
    *ret_n = n;
    return 0;
}
