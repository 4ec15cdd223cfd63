/* region - a piece of shared memory of fixed size: a sealed memfd.
 *
 * The supervisor makes regions and hands their descriptors on; every role maps them after exec. The
 * size is sealed, so that no process can make another one fault by truncating the file. Board,
 * rings, feed and heritage are regions.
 */
#ifndef SHM_REGION_H
#define SHM_REGION_H

#include <stdbool.h>
#include <stddef.h>

/* A zero-filled region, close-on-exec. name is for /proc only. The fd, or -errno. */
int region_create(const char *name, size_t size);
/* 0 with *ret; -EPROTO when the region is not of exactly that size; -errno. */
int region_map(int fd, size_t size, bool writable, void **ret);
void region_unmap(void *map, size_t size); /* map may be NULL */

#endif
