/* conf_tree - the memory of a configuration tree.
 *
 * A tree is built once, read once and thrown away whole, so its nodes come from chunks that are
 * freed together: no node has an owner that a syntax error could make forget it.
 */
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/conf_tree.h"

#define CHUNK_BYTES (32 * 1024)

struct conf_chunk {
    struct conf_chunk *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

void *conf_tree_alloc(struct conf_tree *t, size_t n)
{
    struct conf_chunk *c = t->chunks;

    n = (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (!c || c->size - c->used < n) {
        size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
        c = calloc(1, sizeof(*c) + size);
        if (!c)
            return NULL;
        c->size = size;
        c->next = t->chunks;
        t->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += n;
    return p;
}

/* Secrets may stand in the text. */
void conf_tree_free(struct conf_tree *t)
{
    while (t->chunks) {
        struct conf_chunk *c = t->chunks;
        t->chunks = c->next;
        explicit_bzero(c->bytes, c->used);
        free(c);
    }
    *t = (struct conf_tree){.root.kind = CONF_NODE_SECTION};
}
