/* rings - the one region that holds every worker slot's inbox and reply ring.
 *
 * The supervisor formats it once; it outlives every process but the last. The layout follows from
 * three numbers of the configuration, so nothing in the region itself is trusted to find a ring.
 */
#include "shm/region.h"
#include "shm/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static size_t slot_bytes(uint64_t inbox, uint64_t reply)
{
    return ring_footprint(inbox) + ring_footprint(reply);
}

static int region_bytes(uint32_t slots, uint64_t inbox, uint64_t reply, size_t *ret)
{
    if (slots == 0 || __builtin_mul_overflow(slot_bytes(inbox, reply), slots, ret))
        return -EINVAL;
    return 0;
}

int rings_create(uint32_t slots, uint64_t inbox, uint64_t reply)
{
    size_t size;
    int err = region_bytes(slots, inbox, reply, &size);
    if (err)
        return err;
    int fd = region_create("restante-rings", size);
    if (fd < 0)
        return fd;
    void *map;
    err = region_map(fd, size, true, &map);
    if (err) {
        close(fd);
        return err;
    }
    unsigned char *at = map;
    for (uint32_t i = 0; i < slots; i++, at += slot_bytes(inbox, reply)) {
        ring_format(at, inbox);
        ring_format(at + ring_footprint(inbox), reply);
    }
    region_unmap(map, size);
    return fd;
}

int rings_map(int fd, uint32_t slots, uint64_t inbox, uint64_t reply, struct rings *ret)
{
    struct rings r = {.slots = slots};
    int err = region_bytes(slots, inbox, reply, &r.map_size);
    if (err)
        return err;
    r.inbox = calloc(slots, sizeof(*r.inbox));
    r.reply = calloc(slots, sizeof(*r.reply));
    if (!r.inbox || !r.reply) {
        err = -ENOMEM;
        goto out;
    }
    err = region_map(fd, r.map_size, true, &r.map);
    if (err)
        goto out;
    unsigned char *at = r.map;
    for (uint32_t i = 0; i < slots; i++, at += slot_bytes(inbox, reply)) {
        r.inbox[i] = ring_attach(at, inbox);
        r.reply[i] = ring_attach(at + ring_footprint(inbox), reply);
    }
    *ret = r;
out:
    if (err)
        rings_unmap(&r);
    return err;
}

void rings_unmap(struct rings *r)
{
    region_unmap(r->map, r->map_size);
    free(r->inbox);
    free(r->reply);
    *r = (struct rings){0};
}
