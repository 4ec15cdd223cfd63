/* buf - a growing byte buffer that is born with its ceiling.
 *
 * The caller owns it and frees it. Growth doubles, up to `max`. An append or a reserve that would
 * pass `max` or for which there is no memory changes nothing, sets `error` and makes every later
 * append fail as well: a chain of appends is checked once, at its end. One byte past `cap` is
 * always there, so that a formatted append needs no copy. Any process; no locks.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/str.h"

#include <stdint.h>

struct buf {
    unsigned char *data; /* NULL until the first append */
    size_t len;
    size_t cap;
    size_t max; /* bytes; the ceiling */
    int error;  /* 0, -EMSGSIZE (past max) or -ENOMEM; sticky until buf_reset/buf_free */
};

void buf_init(struct buf *b, size_t max);
/* A buffer on the caller's memory, of which it uses size - 1 bytes; it never grows and must not be
 * given to buf_free. size >= 1. */
void buf_fixed(struct buf *b, void *memory, size_t size);
void buf_free(struct buf *b);             /* frees; leaves an empty, usable buffer */
void buf_reset(struct buf *b);            /* len = 0, error = 0, keeps the memory */
int buf_reserve(struct buf *b, size_t n); /* room for n more bytes; 0, -EMSGSIZE, -ENOMEM */
int buf_append_slow(struct buf *b, const void *data, size_t n); /* buf_append when it must grow */

/* Appends return 0 or the buffer's error. data may be NULL when n is 0; it must not lie in b. */
static inline int buf_append(struct buf *b, const void *data, size_t n)
{
    if (b->error || n > b->cap - b->len)
        return buf_append_slow(b, data, n);
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    return 0;
}

static inline int buf_append_c(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

static inline int buf_append_str(struct buf *b, struct str s)
{
    return buf_append(b, s.p, s.n);
}

static inline int buf_append_z(struct buf *b, const char *z)
{
    return buf_append(b, z, strlen(z));
}

int buf_append_u64(struct buf *b, uint64_t v); /* decimal */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n); /* drops n bytes from the front; n <= len */
struct str buf_str(const struct buf *b);   /* valid until the next change */

#endif
