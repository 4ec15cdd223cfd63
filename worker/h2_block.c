/* h2_block - a header section while it arrives, field by field, in one run of bytes.
 *
 * It may come in many frames and many reads, so it has a buffer of its own; there is one a
 * connection at most, and what a request needs of it is copied out when it is whole.
 */
#include <stdlib.h>

#include "worker/h2_priv.h"

struct h2_block *h2_block_new(size_t limit)
{
    struct h2_block *b = malloc(sizeof(*b));
    if (!b)
        return NULL;
    buf_init(&b->text, limit);
    h2_block_clear(b, limit);
    return b;
}

void h2_block_clear(struct h2_block *b, size_t limit)
{
    buf_reset(&b->text);
    b->text.max = limit;
    b->method = b->path = b->authority = (struct h2_span){0, 0};
    b->nfields = 0;
    b->fault = H1_FINE;
}

void h2_block_free(struct h2_block *b)
{
    if (!b)
        return;
    buf_free(&b->text);
    free(b);
}

static struct h2_span keep(struct h2_block *b, struct str s)
{
    uint32_t at = (uint32_t)b->text.len;
    if (buf_append_str(&b->text, s) != 0)
        return (struct h2_span){0, 0};
    return (struct h2_span){at, (uint32_t)s.n};
}

static void add_pseudo(struct h2_block *b, struct str name, struct str value, size_t target_max)
{
    if (str_is(name, ":method"))
        b->method = keep(b, value);
    else if (str_is(name, ":authority"))
        b->authority = keep(b, value);
    else if (str_is(name, ":path") && value.n > target_max)
        b->fault = H1_TARGET_LONG;
    else if (str_is(name, ":path"))
        b->path = keep(b, value);
}

void h2_block_add(struct h2_block *b, struct str name, struct str value, size_t target_max)
{
    if (b->fault != H1_FINE)
        return;
    if (name.n && name.p[0] == ':') {
        add_pseudo(b, name, value, target_max);
    } else if (b->nfields + (b->authority.n > 0) >= EXCHANGE_HEADERS) {
        b->fault = H1_HEADERS_COUNT; /* :authority counts as Host */
    } else {
        struct h2_field *f = &b->field[b->nfields++];
        f->name = keep(b, name);
        f->value = keep(b, value);
    }
    if (b->text.error)
        b->fault = b->text.error == -ENOMEM ? H1_MEMORY : H1_HEADERS_SIZE;
}
