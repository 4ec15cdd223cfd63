/* rest_member - members of answers, in the words of the API. */
#include "worker/rest_priv.h"

#include "common/clock.h"
#include "common/units.h"

void rest_text_member(struct buf *b, const char *name, struct str s)
{
    buf_append_c(b, '"');
    buf_append_z(b, name);
    buf_append_z(b, "\":");
    if (s.n)
        json_quote(b, s);
    else
        buf_append_z(b, "null");
}

void rest_duration_member(struct buf *b, const char *name, uint64_t ms)
{
    buf_append_c(b, '"');
    buf_append_z(b, name);
    buf_append_z(b, "\":");
    if (ms % 1000 == 0) {
        buf_append_u64(b, ms / 1000);
        return;
    }
    char text[UNITS_TEXT];
    duration_text(ms, text);
    json_quote(b, str_of(text));
}

void rest_cursor_member(struct exchange *ex, struct buf *b, const char *name, uint64_t seq)
{
    cursor_member(b, name, route_epoch(ex->worker->route), seq);
}

void rest_time_member(struct buf *b, const char *name, uint64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    buf_append_c(b, '"');
    buf_append_z(b, name);
    if (!ms) {
        buf_append_z(b, "\":null");
        return;
    }
    clock_text(ms, text);
    buf_append_z(b, "\":\"");
    buf_append(b, text, CLOCK_TEXT_SIZE - 1);
    buf_append_c(b, '"');
}

void rest_cursor_header(struct exchange *ex, uint64_t seq)
{
    char text[CURSOR_TEXT];
    size_t n = cursor_text(route_epoch(ex->worker->route), seq, text);
    exchange_add_header(ex, "Restante-Cursor", str_make(text, n));
}
