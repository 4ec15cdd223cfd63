/* buf - a growing byte buffer that is born with its ceiling.
 *
 * The caller owns it and frees it. Growth doubles, up to `max`. An append that would pass `max` or
 * for which there is no memory changes nothing, sets `error` and makes every later append fail as
 * well: a chain of appends is checked once, at its end. Any process; no locks.
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
void buf_free(struct buf *b);             /* frees; leaves an empty, usable buffer */
void buf_reset(struct buf *b);            /* len = 0, error = 0, keeps the memory */
int buf_reserve(struct buf *b, size_t n); /* room for n more bytes; 0, -EMSGSIZE, -ENOMEM */
int buf_append(struct buf *b, const void *data, size_t n);
int buf_append_str(struct buf *b, struct str s);
int buf_append_z(struct buf *b, const char *z);
int buf_append_c(struct buf *b, char c);
int buf_append_u64(struct buf *b, uint64_t v); /* decimal */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n); /* drops n bytes from the front; n <= len */
struct str buf_str(const struct buf *b);   /* valid until the next change */

#endif
