/* member - rows of members: how they are kept and how they are shown.
 *
 * Key: topic stream 8 + first 16 bytes of SHA-256(key) + mailbox stream 8. A row:
 *
 *   u64 since_ms, ref | u8 here | session id 16 | key | meta
 *
 * A meta may be larger than a stack should be, so a row is written into the store's own memory.
 * What it is made of must therefore not lie in the store.
 */
#include "shm/member.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"

#include <errno.h>

#define MEMBER_KEY (8 + MEMBER_HASH + 8)
#define ROW_FIXED (8 + 8 + 1 + SESSION_ID_SIZE)

static const char *const own_names[] = {"session", "since", "ref", "prev_ref"};

void member_hash(struct str key, uint8_t ret[MEMBER_HASH])
{
    subject_hash(key, ret);
}

struct str member_key(const struct session *s, char text[SESSION_ID_TEXT])
{
    if (s->subject.n)
        return s->subject;
    session_id_text(s->id, text);
    return str_of(text);
}

static struct str row_key(unsigned char key[MEMBER_KEY], uint64_t topic,
                          const uint8_t hash[MEMBER_HASH], uint64_t mailbox)
{
    key_u64(key, topic);
    memcpy(key + 8, hash, MEMBER_HASH);
    key_u64(key + 8 + MEMBER_HASH, mailbox);
    return str_make(key, MEMBER_KEY);
}

int member_decode(struct row row, struct member *ret)
{
    struct unpack u = unpack_from(row.value.p, row.value.n);
    struct member m = {.since_ms = unpack_u64(&u)};
    if (row.key.n != MEMBER_KEY)
        return -EUCLEAN;
    m.topic = key_u64_get(row.key.p);
    memcpy(m.hash, row.key.p + 8, MEMBER_HASH);
    m.mailbox = key_u64_get(row.key.p + 8 + MEMBER_HASH);
    m.ref = unpack_u64(&u);
    uint8_t here = unpack_u8(&u);
    m.here = here == 1;
    unpack_copy(&u, m.session, SESSION_ID_SIZE);
    m.key = unpack_str(&u);
    m.meta = unpack_str(&u);
    if (!unpack_done(&u) || here > 1 || m.key.n == 0 || m.key.n > MEMBER_KEY_MAX || m.meta.n < 2)
        return -EUCLEAN;
    *ret = m;
    return 0;
}

int member_get(struct txn *t, uint64_t topic, const uint8_t hash[MEMBER_HASH], uint64_t mailbox,
               struct member *ret)
{
    unsigned char key[MEMBER_KEY];
    struct row row = {.key = row_key(key, topic, hash, mailbox)};
    int rc = txn_get(t, DB_MEMBER, row.key, &row.value);
    return rc < 0 ? rc : member_decode(row, ret);
}

/* The placed row, if it is of the topic. */
static int of_topic(int rc, struct row row, uint64_t topic, struct member *ret)
{
    if (rc < 0)
        return rc;
    if (row.key.n < 8)
        return -EUCLEAN;
    return key_u64_get(row.key.p) == topic ? member_decode(row, ret) : -ENOENT;
}

/* The least hash that is greater; false: there is none. */
static bool increment(uint8_t hash[MEMBER_HASH])
{
    for (int i = MEMBER_HASH - 1; i >= 0; i--)
        if (++hash[i] != 0)
            return true;
    return false;
}

int member_first(struct txn *t, uint64_t topic, const uint8_t *after, struct member *ret)
{
    unsigned char key[MEMBER_KEY];
    uint8_t from[MEMBER_HASH] = {0};
    struct row row;
    if (after) {
        memcpy(from, after, MEMBER_HASH);
        if (!increment(from))
            return -ENOENT;
    }
    int rc = txn_seek(t, DB_MEMBER, row_key(key, topic, from, 0), &row);
    return of_topic(rc, row, topic, ret);
}

int member_next(struct txn *t, uint64_t topic, struct member *ret)
{
    struct row row;
    int rc = txn_next(t, DB_MEMBER, &row);
    return of_topic(rc, row, topic, ret);
}

int member_put(struct txn *t, struct member *m)
{
    unsigned char key[MEMBER_KEY];
    void *at;
    must(m->key.n > 0 && m->key.n <= MEMBER_KEY_MAX && m->meta.n >= 2);
    member_hash(m->key, m->hash);
    size_t size = ROW_FIXED + 2 * sizeof(uint32_t) + m->key.n + m->meta.n;
    int rc = txn_reserve(t, DB_MEMBER, row_key(key, m->topic, m->hash, m->mailbox), size, &at);
    if (rc < 0)
        return rc;
    struct pack p = pack_into(at, size);
    pack_u64(&p, m->since_ms);
    pack_u64(&p, m->ref);
    pack_u8(&p, m->here);
    pack_bytes(&p, m->session, SESSION_ID_SIZE);
    pack_str(&p, m->key);
    pack_str(&p, m->meta);
    must(!p.bad && p.p == p.end);
    return 0;
}

int member_del(struct txn *t, uint64_t topic, const uint8_t hash[MEMBER_HASH], uint64_t mailbox)
{
    unsigned char key[MEMBER_KEY];
    return txn_del(t, DB_MEMBER, row_key(key, topic, hash, mailbox));
}

void member_ref_text(uint64_t ref, char text[MEMBER_REF_TEXT])
{
    unsigned char bytes[8];
    key_u64(bytes, ref);
    hex_encode(bytes, sizeof(bytes), text);
}

int member_json(struct buf *b, const struct member *m, uint64_t prev_ref)
{
    char session[SESSION_ID_TEXT], since[CLOCK_TEXT_SIZE], ref[MEMBER_REF_TEXT];
    session_id_text(m->session, session);
    clock_text(m->since_ms, since);
    member_ref_text(m->ref, ref);
    buf_append(b, m->meta.p, m->meta.n - 1); /* without its closing brace */
    buf_printf(b, "%s\"session\":\"%s\",\"since\":\"%s\",\"ref\":\"%s\"", m->meta.n > 2 ? "," : "",
               session, since, ref);
    if (prev_ref) {
        member_ref_text(prev_ref, ref);
        buf_printf(b, ",\"prev_ref\":\"%s\"", ref);
    }
    return buf_append_c(b, '}');
}

static bool is_own(struct str raw_key)
{
    for (size_t i = 0; i < sizeof(own_names) / sizeof(own_names[0]); i++)
        if (json_key_is(raw_key, own_names[i]))
            return true;
    return false;
}

int member_meta(struct json_value object, struct buf *b)
{
    struct json_iter it;
    struct str name;
    struct json_value value;
    bool first = true;
    buf_append_c(b, '{');
    json_iter_begin(&it, object);
    while (json_next_member(&it, &name, &value)) {
        if (is_own(name))
            continue;
        buf_append_z(b, first ? "\"" : ",\"");
        buf_append_str(b, name);
        buf_append_z(b, "\":");
        json_compact(value, b);
        first = false;
    }
    return buf_append_c(b, '}');
}
