/* message_msgpack - one message as a MessagePack map, with the members of message_json.
 *
 * What was published as MessagePack goes out byte for byte; JSON becomes native values, text a
 * string, bytes a bin: the payload is always `data`. The map's header is one byte, so whoever wraps
 * the object in another one can count it up.
 */
#include "common/clock.h"
#include "common/ids.h"
#include "common/msgpack.h"
#include "worker/route.h"

struct map {
    struct buf *b;
    unsigned pairs;
};

static void name(struct map *map, struct str s)
{
    mp_put_str(map->b, s);
    map->pairs++;
}

static void text_member(struct map *map, struct str member, struct str text)
{
    name(map, member);
    mp_put_str(map->b, text);
}

static void number_member(struct map *map, struct str member, uint64_t n)
{
    name(map, member);
    mp_put_u64(map->b, n);
}

static void true_member(struct map *map, struct str member)
{
    name(map, member);
    mp_put_bool(map->b, true);
}

static void time_member(struct map *map, struct str member, uint64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_text(ms, text);
    text_member(map, member, str_make(text, CLOCK_TEXT_SIZE - 1));
}

static void position(struct map *map, const struct message *m, uint64_t epoch)
{
    char cursor[CURSOR_TEXT];
    number_member(map, STR("seq"), m->seq);
    number_member(map, STR("prev"), m->prev);
    text_member(map, STR("cursor"), str_make(cursor, cursor_text(epoch, m->seq, cursor)));
    if (m->flags & MESSAGE_SKIPPED)
        true_member(map, STR("skipped"));
}

static void identity(struct map *map, const struct message *m)
{
    char seq[U64_TEXT];
    if (m->id.n)
        text_member(map, STR("id"), m->id);
    else if (!(m->flags & MESSAGE_EPHEMERAL))
        text_member(map, STR("id"), str_make(seq, u64_text(m->seq, seq)));
}

static int payload(struct map *map, const struct message *m)
{
    name(map, STR("data"));
    if (m->flags & MESSAGE_MSGPACK)
        return buf_append_str(map->b, m->payload);
    if (m->flags & MESSAGE_TEXT)
        return mp_put_str(map->b, m->payload);
    if (!(m->flags & MESSAGE_JSON))
        return mp_put_bin(map->b, m->payload);
    const struct json_value v = {.raw = m->payload};
    return mp_from_json(v, map->b);
}

static void known(struct map *map, const struct message *m)
{
    if (m->publisher.n)
        text_member(map, STR("publisher"), m->publisher);
    if (m->trace.n)
        text_member(map, STR("trace"), m->trace);
    if (m->expires_ms)
        time_member(map, STR("expires_at"), m->expires_ms);
}

int message_msgpack(const struct message *m, struct str stream, uint64_t epoch, struct buf *out)
{
    struct map map = {.b = out};
    size_t at = mp_map_begin(out);
    if (m->flags & MESSAGE_EPHEMERAL)
        true_member(&map, STR("ephemeral"));
    else
        position(&map, m, epoch);
    text_member(&map, STR("stream"), stream);
    identity(&map, m);
    text_member(&map, STR("event"), m->event.n ? m->event : STR("message"));
    time_member(&map, STR("time"), m->time_ms);
    text_member(&map, STR("content_type"), message_content_type(m));
    int err = payload(&map, m);
    if (err)
        return err;
    known(&map, m);
    mp_map_end(out, at, map.pairs);
    return out->error;
}
