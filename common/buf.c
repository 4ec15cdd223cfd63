/* buf - a growing byte buffer that is born with its ceiling.
 *
 * The fast path of an append is in the header; what is here runs when the memory must grow, which
 * doubling makes rare. Sizes are one less than a power of two because of the spare byte, so that
 * the allocator is asked for round figures.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/ids.h"
#include "common/log.h"

#define BUF_FIRST 63 /* bytes of the first allocation, less the spare one */

static int fail(struct buf *b, int error)
{
    b->error = error;
    return error;
}

static int grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    if (cap < need)
        cap = cap <= (SIZE_MAX - 1) / 2 ? 2 * cap + 1 : need;
    if (cap < need)
        cap = need;
    if (cap > b->max)
        cap = b->max;
    if (cap == SIZE_MAX)
        return fail(b, -ENOMEM);
    unsigned char *data = realloc(b->data, cap + 1);
    if (!data)
        return fail(b, -ENOMEM);
    b->data = data;
    b->cap = cap;
    return 0;
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fixed(struct buf *b, void *memory, size_t size)
{
    must(size > 0);
    *b = (struct buf){.data = memory, .cap = size - 1, .max = size - 1};
}

void buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->error = 0;
}

int buf_reserve(struct buf *b, size_t n)
{
    if (b->error)
        return b->error;
    if (n <= b->cap - b->len)
        return 0;
    if (n > b->max - b->len)
        return fail(b, -EMSGSIZE);
    return grow(b, b->len + n);
}

int buf_append_slow(struct buf *b, const void *data, size_t n)
{
    int rc = buf_reserve(b, n);
    if (rc < 0)
        return rc;
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    return 0;
}

int buf_append_u64(struct buf *b, uint64_t v)
{
    char text[U64_TEXT];
    return buf_append(b, text, u64_text(v, text));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    /* The spare byte takes the NUL; without any memory yet, the length alone is asked for. */
    size_t room = b->data ? b->cap - b->len + 1 : 0;
    va_list ap;

    if (b->error)
        return b->error;
    va_start(ap, fmt);
    int n = vsnprintf(room ? (char *)b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    must(n >= 0);
    if ((size_t)n >= room) {
        int rc = buf_reserve(b, (size_t)n);
        if (rc < 0)
            return rc;
        if (n == 0)
            return 0;
        va_start(ap, fmt);
        n = vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
        va_end(ap);
        must(n >= 0);
    }
    b->len += (size_t)n;
    return 0;
}

void buf_consume(struct buf *b, size_t n)
{
    must(n <= b->len);
    if (n && n < b->len)
        memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

struct str buf_str(const struct buf *b)
{
    return str_make(b->data, b->len);
}
