/* command - the packed form of commands, completions and control records.
 *
 * A worker faces the internet, so the writer takes every byte here for hostile: a decoder reads
 * inside its record only, enforces each ceiling, and accepts exactly the one encoding that the
 * encoder makes. Decoders fill a local value and hand it out whole or not at all.
 */
#include "shm/command.h"

#include "shm/message.h"

#include <errno.h>

_Static_assert(sizeof(struct command_header) == COMMAND_HEADER_SIZE, "command header");
_Static_assert(sizeof(struct completion_header) == COMPLETION_HEADER_SIZE, "completion header");

#define STRING_BYTES 4 /* length of a string, before its bytes */
#define HASH_SIZE 16
#define FORMATS (MESSAGE_JSON | MESSAGE_TEXT | MESSAGE_MSGPACK)

/* --- what members have in common --- */

static struct str take_str(struct unpack *u, size_t min, size_t max)
{
    struct str s = unpack_str(u);
    if (s.n < min || s.n > max)
        u->bad = true;
    return s;
}

static uint64_t take_nonzero(struct unpack *u)
{
    uint64_t v = unpack_u64(u);
    if (v == 0)
        u->bad = true;
    return v;
}

static uint8_t take_bool(struct unpack *u)
{
    uint8_t v = unpack_u8(u);
    if (v > 1)
        u->bad = true;
    return v;
}

static void take_session(struct unpack *u, uint8_t ret[SESSION_ID_SIZE])
{
    static const uint8_t none[SESSION_ID_SIZE];
    unpack_copy(u, ret, SESSION_ID_SIZE);
    if (memcmp(ret, none, SESSION_ID_SIZE) == 0)
        u->bad = true;
}

static size_t str_size(struct str s)
{
    return STRING_BYTES + s.n;
}

/* --- commands --- */

void command_header_encode(struct pack *p, const struct command_header *h)
{
    pack_bytes(p, h, sizeof(*h));
}

int command_header_decode(struct unpack *u, struct command_header *ret)
{
    struct command_header h;
    unpack_copy(u, &h, sizeof(h));
    if (u->bad || h.type == 0 || h.type >= COMMAND_TYPES)
        return -EBADMSG;
    *ret = h;
    return 0;
}

size_t command_open_size(const struct command_open *c)
{
    return SESSION_ID_SIZE + str_size(c->subject) + str_size(c->name) + str_size(c->attributes) +
           str_size(c->claims) + str_size(c->topics) + 8;
}

void command_open_encode(struct pack *p, const struct command_open *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_str(p, c->subject);
    pack_str(p, c->name);
    pack_str(p, c->attributes);
    pack_str(p, c->claims);
    pack_str(p, c->topics);
    pack_u64(p, c->ttl_ms);
}

int command_open_decode(struct unpack *u, struct command_open *ret)
{
    struct command_open c = {0};
    take_session(u, c.session);
    c.subject = take_str(u, 0, COMMAND_STRING_MAX);
    c.name = take_str(u, 0, COMMAND_STRING_MAX);
    c.attributes = unpack_str(u);
    c.claims = unpack_str(u);
    c.topics = unpack_str(u);
    c.ttl_ms = unpack_u64(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}

size_t command_patch_size(const struct command_patch *c)
{
    return SESSION_ID_SIZE + str_size(c->attributes) + 8;
}

void command_patch_encode(struct pack *p, const struct command_patch *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_str(p, c->attributes);
    pack_u64(p, c->ttl_ms);
}

int command_patch_decode(struct unpack *u, struct command_patch *ret)
{
    struct command_patch c = {0};
    take_session(u, c.session);
    c.attributes = unpack_str(u);
    c.ttl_ms = unpack_u64(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}

void command_touch_encode(struct pack *p, const struct command_touch *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_u64(p, c->delivered);
}

int command_touch_decode(struct unpack *u, struct command_touch *ret)
{
    struct command_touch c = {0};
    take_session(u, c.session);
    c.delivered = unpack_u64(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}

size_t command_attach_size(const struct command_attach *c)
{
    return SESSION_ID_SIZE + 8 + str_size(c->transport) + str_size(c->remote) + 8 + 1;
}

void command_attach_encode(struct pack *p, const struct command_attach *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_u64(p, c->connection);
    pack_str(p, c->transport);
    pack_str(p, c->remote);
    pack_u64(p, c->lease_ms);
    pack_u8(p, c->takes);
}

int command_attach_decode(struct unpack *u, struct command_attach *ret)
{
    struct command_attach c = {0};
    take_session(u, c.session);
    c.connection = take_nonzero(u);
    c.transport = take_str(u, 1, COMMAND_TRANSPORT_MAX);
    c.remote = take_str(u, 0, COMMAND_REMOTE_MAX);
    c.lease_ms = unpack_u64(u);
    c.takes = take_bool(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}

void command_ack_encode(struct pack *p, const struct command_ack *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_u64(p, c->seq);
    pack_u64(p, c->generation);
}

int command_ack_decode(struct unpack *u, struct command_ack *ret)
{
    struct command_ack c = {0};
    take_session(u, c.session);
    c.seq = unpack_u64(u);
    c.generation = unpack_u64(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}

size_t command_subscribe_size(const struct command_subscribe *c)
{
    return SESSION_ID_SIZE + 8 + str_size(c->topic) + str_size(c->presence);
}

void command_subscribe_encode(struct pack *p, const struct command_subscribe *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_u64(p, c->generation);
    pack_str(p, c->topic);
    pack_str(p, c->presence);
}

/* The writer puts it into what it sends as it is: that it be JSON is the worker's to see to. */
static bool presence_makes_sense(struct str s)
{
    return s.n == 0 || str_is(s, COMMAND_UNTRACK) ||
           (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}');
}

int command_subscribe_decode(struct unpack *u, struct command_subscribe *ret)
{
    struct command_subscribe c = {0};
    take_session(u, c.session);
    c.generation = unpack_u64(u);
    c.topic = take_str(u, 1, COMMAND_STRING_MAX);
    c.presence = take_str(u, 0, COMMAND_PRESENCE_MAX);
    if (u->bad || !presence_makes_sense(c.presence))
        return -EBADMSG;
    *ret = c;
    return 0;
}

size_t command_empty_size(const struct command_empty *c)
{
    return str_size(c->topic);
}

void command_empty_encode(struct pack *p, const struct command_empty *c)
{
    pack_str(p, c->topic);
}

int command_empty_decode(struct unpack *u, struct command_empty *ret)
{
    struct str topic = take_str(u, 1, COMMAND_STRING_MAX);
    if (u->bad)
        return -EBADMSG;
    ret->topic = topic;
    return 0;
}

/* --- append --- */

void command_append_encode(struct pack *p, const struct command_append *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_u64(p, c->generation);
    pack_u32(p, c->count);
}

int command_append_decode(struct unpack *u, struct command_append *ret)
{
    static const uint8_t none[SESSION_ID_SIZE];
    struct command_append c = {0};
    unpack_copy(u, c.session, SESSION_ID_SIZE);
    c.generation = unpack_u64(u);
    c.count = unpack_u32(u);
    bool nobody = memcmp(c.session, none, SESSION_ID_SIZE) == 0;
    if (u->bad || c.count == 0 || c.count > COMMAND_APPEND_ITEMS || (nobody && c.generation))
        return -EBADMSG;
    *ret = c;
    return 0;
}

static bool flags_known(unsigned flags)
{
    unsigned format = flags & FORMATS;
    return !(flags & ~(unsigned)(FORMATS | MESSAGE_EPHEMERAL)) && (format & (format - 1)) == 0;
}

size_t command_append_item_size(const struct command_append_item *c)
{
    return 1 + 1 + 2 + (c->target == APPEND_SESSION ? SESSION_ID_SIZE : str_size(c->name)) +
           (c->keyed ? 2 * HASH_SIZE : 0) + 8 + str_size(c->id) + str_size(c->event) +
           str_size(c->content_type) + str_size(c->publisher) + str_size(c->trace) +
           str_size(c->collapse) + str_size(c->except) + str_size(c->payload);
}

void command_append_item_encode(struct pack *p, const struct command_append_item *c)
{
    pack_u8(p, c->target);
    pack_u8(p, c->keyed);
    pack_u16(p, c->flags);
    if (c->target == APPEND_SESSION)
        pack_bytes(p, c->session, SESSION_ID_SIZE);
    else
        pack_str(p, c->name);
    if (c->keyed) {
        pack_bytes(p, c->key_hash, HASH_SIZE);
        pack_bytes(p, c->content_hash, HASH_SIZE);
    }
    pack_u64(p, c->ttl_ms);
    pack_str(p, c->id);
    pack_str(p, c->event);
    pack_str(p, c->content_type);
    pack_str(p, c->publisher);
    pack_str(p, c->trace);
    pack_str(p, c->collapse);
    pack_str(p, c->except);
    pack_str(p, c->payload);
}

int command_append_item_decode(struct unpack *u, struct command_append_item *ret)
{
    struct command_append_item c = {0};
    c.target = unpack_u8(u);
    c.keyed = take_bool(u);
    c.flags = unpack_u16(u);
    if (c.target < APPEND_SESSION || c.target > APPEND_TOPIC || !flags_known(c.flags))
        return -EBADMSG;
    if (c.target == APPEND_SESSION)
        take_session(u, c.session);
    else
        c.name = take_str(u, 1, COMMAND_STRING_MAX);
    if (c.keyed) {
        unpack_copy(u, c.key_hash, HASH_SIZE);
        unpack_copy(u, c.content_hash, HASH_SIZE);
    }
    c.ttl_ms = unpack_u64(u);
    c.id = take_str(u, 0, COMMAND_STRING_MAX);
    c.event = take_str(u, 0, COMMAND_STRING_MAX);
    c.content_type = take_str(u, 0, COMMAND_STRING_MAX);
    c.publisher = take_str(u, 0, COMMAND_STRING_MAX);
    c.trace = take_str(u, 0, COMMAND_STRING_MAX);
    c.collapse = take_str(u, 0, COMMAND_STRING_MAX);
    c.except = take_str(u, 0, MESSAGE_EXCEPT_MAX * SESSION_ID_SIZE);
    c.payload = unpack_str(u);
    if (u->bad || c.except.n % SESSION_ID_SIZE != 0 || (c.except.n && c.target != APPEND_TOPIC))
        return -EBADMSG;
    *ret = c;
    return 0;
}

/* --- completions --- */

void completion_header_encode(struct pack *p, const struct completion_header *h)
{
    pack_bytes(p, h, sizeof(*h));
}

int completion_header_decode(struct unpack *u, struct completion_header *ret)
{
    struct completion_header h;
    unpack_copy(u, &h, sizeof(h));
    if (u->bad || h.code >= CODE_COUNT)
        return -EBADMSG;
    *ret = h;
    return 0;
}

void completion_session_encode(struct pack *p, const struct completion_session *c)
{
    pack_bytes(p, c->session, SESSION_ID_SIZE);
    pack_u8(p, c->created);
}

int completion_session_decode(struct unpack *u, struct completion_session *ret)
{
    struct completion_session c = {0};
    take_session(u, c.session);
    c.created = take_bool(u);
    if (u->bad)
        return -EBADMSG;
    *ret = c;
    return 0;
}

void completion_subscribe_encode(struct pack *p, const struct completion_subscribe *c)
{
    pack_u64(p, c->join);
}

int completion_subscribe_decode(struct unpack *u, struct completion_subscribe *ret)
{
    uint64_t join = unpack_u64(u);
    if (u->bad)
        return -EBADMSG;
    ret->join = join;
    return 0;
}

void append_result_encode(struct pack *p, const struct append_result *r)
{
    pack_bytes(p, r->session, SESSION_ID_SIZE);
    pack_u32(p, r->code);
    pack_u32(p, r->duplicate);
    pack_u64(p, r->seq);
}

int append_result_decode(struct unpack *u, struct append_result *ret)
{
    struct append_result r;
    unpack_copy(u, r.session, SESSION_ID_SIZE);
    r.code = unpack_u32(u);
    r.duplicate = unpack_u32(u);
    r.seq = unpack_u64(u);
    if (u->bad || r.code >= CODE_COUNT || r.duplicate > 1)
        return -EBADMSG;
    *ret = r;
    return 0;
}

size_t append_completion_max(size_t sessions_and_topics, size_t subjects, size_t max_per_subject)
{
    const size_t item = 4 + 4; /* code, n */
    size_t single, subject, all;
    if (__builtin_mul_overflow(sessions_and_topics, item + APPEND_RESULT_SIZE, &single) ||
        __builtin_mul_overflow(max_per_subject, APPEND_RESULT_SIZE, &subject) ||
        __builtin_add_overflow(subject, item, &subject) ||
        __builtin_mul_overflow(subject, subjects, &subject) ||
        __builtin_add_overflow(single, subject, &all))
        return SIZE_MAX;
    return all;
}
