/* sse - fields and line ends, nothing else.
 *
 * Lines end with LF alone. JSON as we make it holds neither LF nor CR, so the usual data is one
 * line, found to be one by two searches and copied at once.
 */
#include "worker/sse.h"

/* The first line end in s, or its end. */
static const char *line_end(const char *p, const char *end)
{
    size_t n = (size_t)(end - p);
    const char *lf = memchr(p, '\n', n);
    const char *cr = memchr(p, '\r', lf ? (size_t)(lf - p) : n);
    return cr ? cr : lf ? lf : end;
}

static void append_data(struct buf *b, struct str data)
{
    const char *p = data.p, *end = p + data.n;
    for (;;) {
        const char *stop = data.n ? line_end(p, end) : end;
        buf_append_str(b, STR("data: "));
        buf_append_str(b, str_make(p, (size_t)(stop - p)));
        buf_append_c(b, '\n');
        if (stop == end)
            return;
        p = stop + 1;
        if (*stop == '\r' && p < end && *p == '\n')
            p++;
    }
}

int sse_event(struct buf *b, struct str id, struct str event, struct str data)
{
    if (id.n) {
        buf_append_str(b, STR("id: "));
        buf_append_str(b, id);
        buf_append_c(b, '\n');
    }
    buf_append_str(b, STR("event: "));
    buf_append_str(b, event);
    buf_append_c(b, '\n');
    append_data(b, data);
    return buf_append_c(b, '\n');
}

int sse_retry(struct buf *b, uint64_t ms)
{
    buf_append_str(b, STR("retry: "));
    buf_append_u64(b, ms);
    return buf_append_str(b, STR("\n\n"));
}

int sse_keepalive(struct buf *b)
{
    return buf_append_str(b, STR(":\n\n"));
}
