/* message_list - the list around message objects that others made. */
#include "worker/message_list.h"

#include "common/log.h"

#define LOST_MAX (2u << 20) /* bytes of the rows of "truncated": a session's every stream fits */

static void begin(struct message_list *l)
{
    if (l->encoding == ENCODING_JSON) {
        buf_append_z(l->out, "{\"messages\":[");
        return;
    }
    l->map_at = mp_map_begin(l->out);
    mp_put_str(l->out, STR("messages"));
    l->array_at = mp_array_begin(l->out);
}

static void end_json(struct message_list *l, struct str cursor, bool more)
{
    buf_append_z(l->out, "],\"cursor\":");
    json_quote(l->out, cursor);
    buf_append_z(l->out, more ? ",\"more\":true" : ",\"more\":false");
    if (l->nlost) {
        buf_append_z(l->out, ",\"truncated\":[");
        buf_append_str(l->out, buf_str(&l->lost));
        buf_append_c(l->out, ']');
    }
    buf_append_c(l->out, '}');
}

static void end_msgpack(struct message_list *l, struct str cursor, bool more)
{
    mp_array_end(l->out, l->array_at, l->count);
    mp_put_str(l->out, STR("cursor"));
    mp_put_str(l->out, cursor);
    mp_put_str(l->out, STR("more"));
    mp_put_bool(l->out, more);
    if (l->nlost) {
        mp_put_str(l->out, STR("truncated"));
        size_t at = mp_array_begin(l->out);
        buf_append_str(l->out, buf_str(&l->lost));
        mp_array_end(l->out, at, l->nlost);
    }
    mp_map_end(l->out, l->map_at, l->nlost ? 4 : 3);
}

void message_list_init(struct message_list *l, struct buf *out, enum encoding encoding)
{
    *l = (struct message_list){.out = out, .encoding = encoding};
    buf_init(&l->lost, LOST_MAX);
}

void message_list_free(struct message_list *l)
{
    buf_free(&l->lost);
}

void message_list_reset(struct message_list *l)
{
    buf_reset(l->out);
    buf_reset(&l->lost);
    l->count = l->nlost = 0;
}

void message_list_add(struct message_list *l, struct str object)
{
    must(l->count < MESSAGE_LIST_MAX);
    if (l->count == 0)
        begin(l);
    else if (l->encoding == ENCODING_JSON)
        buf_append_c(l->out, ',');
    buf_append_str(l->out, object);
    l->count++;
}

void message_list_lost(struct message_list *l, struct str stream, uint64_t from, uint64_t to)
{
    struct buf *b = &l->lost;
    if (l->encoding == ENCODING_JSON) {
        buf_append_z(b, l->nlost ? ",{\"stream\":" : "{\"stream\":");
        json_quote(b, stream);
        buf_append_z(b, ",\"from\":");
        buf_append_u64(b, from);
        buf_append_z(b, ",\"to\":");
        buf_append_u64(b, to);
        buf_append_c(b, '}');
    } else {
        size_t at = mp_map_begin(b);
        mp_put_str(b, STR("stream"));
        mp_put_str(b, stream);
        mp_put_str(b, STR("from"));
        mp_put_u64(b, from);
        mp_put_str(b, STR("to"));
        mp_put_u64(b, to);
        mp_map_end(b, at, 3);
    }
    l->nlost++;
}

void message_list_end(struct message_list *l, struct str cursor, bool more)
{
    if (l->count == 0)
        begin(l);
    if (l->encoding == ENCODING_JSON)
        end_json(l, cursor, more);
    else
        end_msgpack(l, cursor, more);
    if (l->lost.error && !l->out->error)
        l->out->error = l->lost.error; /* never an answer with half of them */
}
