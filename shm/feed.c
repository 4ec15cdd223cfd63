/* feed - one ring, one writer, readers that nobody waits for.
 *
 * A sequence lock over a ring: `reserved` says up to where bytes may have been touched, `published`
 * up to where they mean something. A reader copies first and believes afterwards, once `reserved`
 * shows that nobody can have written over what it copied. Records are whole multiples of 16 bytes
 * on 16-byte positions, so a header always fits before the end, a FEED_COMMIT needs no pad, and the
 * 16 bytes before the published head are always exactly one FEED_COMMIT or FEED_LAP.
 */
#include "shm/feed.h"

#include "common/log.h"
#include "shm/racy.h"
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FEED_ALIGN 16u
#define FEED_MIN 256u                /* data bytes of the smallest feed */
#define FEED_MAX (UINT64_C(1) << 33) /* of the largest: a quarter of it fits a header's len */
/* Each try fails only if the writer goes round the whole feed during one 16-byte read. */
#define RESYNC_TRIES 1000

_Static_assert(sizeof(struct feed_record) == FEED_ALIGN, "feed header");
_Static_assert(sizeof(struct feed_control_block) == 192, "feed control block");

static uint64_t power_of_two(uint64_t size)
{
    uint64_t n = FEED_MIN;
    while (n < size && n < FEED_MAX)
        n <<= 1;
    return n;
}

static uint64_t record_bytes(uint64_t len)
{
    return sizeof(struct feed_record) + ((len + FEED_ALIGN - 1) & ~(uint64_t)(FEED_ALIGN - 1));
}

static unsigned char *at_pos(const struct feed *f, uint64_t pos)
{
    return f->data + (pos & (f->size - 1));
}

static bool ends_batch(unsigned type)
{
    return type == FEED_COMMIT || type == FEED_LAP;
}

/* The writer may have begun to write over what is at pos. */
static bool lapped(const struct feed *f, uint64_t pos)
{
    return atomic_load(&f->control->reserved) - pos > f->size;
}

/* Copies the header at pos; false when the copy may be torn. */
static bool copy_header(const struct feed *f, uint64_t pos, struct feed_record *ret)
{
    racy_copy(ret, at_pos(f, pos), sizeof(*ret));
    racy_fence();
    return !lapped(f, pos);
}

static bool valid(const struct feed *f, uint64_t pos, uint64_t published,
                  const struct feed_record *rec)
{
    uint64_t bytes = record_bytes(rec->len);
    return rec->type >= FEED_PAD && rec->type <= FEED_LAP && published - pos <= f->size &&
           bytes <= published - pos && (pos & (f->size - 1)) + bytes <= f->size &&
           (!ends_batch(rec->type) || rec->len == 0);
}

/* The published head, with the seq in the record just before it. */
static int head_now(const struct feed *f, struct feed_reader *ret)
{
    for (int i = 0; i < RESYNC_TRIES; i++) {
        uint64_t published = feed_published(f);
        if (published < FEED_ALIGN)
            return -EAGAIN;
        struct feed_record rec;
        if (copy_header(f, published - FEED_ALIGN, &rec) && ends_batch(rec.type) && rec.len == 0) {
            *ret = (struct feed_reader){.pos = published, .seq = rec.seq};
            return 0;
        }
    }
    return -EAGAIN;
}

/* The store is the truth: whatever is wrong with the feed, the reader leaves the stretch to it. */
static int resync(const struct feed *f, struct feed_reader *r)
{
    return head_now(f, r) == 0 ? -EOVERFLOW : 0;
}

int feed_create(uint64_t size)
{
    size_t bytes = sizeof(struct feed_control_block) + power_of_two(size);
    int fd = region_create("restante-feed", bytes);
    if (fd < 0)
        return fd;
    void *map;
    int err = region_map(fd, bytes, true, &map);
    if (err) {
        close(fd);
        return err;
    }
    struct feed_control_block *c = map;
    c->size = power_of_two(size);
    region_unmap(map, bytes);
    return fd;
}

int feed_read_only(int fd)
{
    char path[sizeof("/proc/self/fd/-2147483648")];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int ro = open(path, O_RDONLY | O_CLOEXEC);
    return ro < 0 ? -errno : ro;
}

int feed_map(int fd, uint64_t size, bool writable, struct feed *ret)
{
    struct feed f = {.size = power_of_two(size)};
    f.map_size = sizeof(struct feed_control_block) + f.size;
    void *map;
    int err = region_map(fd, f.map_size, writable, &map);
    if (err)
        return err;
    f.control = map;
    f.data = (unsigned char *)map + sizeof(struct feed_control_block);
    if (f.control->size != f.size) {
        feed_unmap(&f);
        return -EPROTO;
    }
    *ret = f;
    return 0;
}

void feed_unmap(struct feed *f)
{
    region_unmap(f->control, f->map_size);
    *f = (struct feed){0};
}

/* Nobody may see a byte of the stretch before `reserved` covers it. */
static void reserve(const struct feed *f, uint64_t end)
{
    if (end > atomic_load_explicit(&f->control->reserved, memory_order_relaxed))
        atomic_store(&f->control->reserved, end);
    racy_fence();
}

static void put_header(const struct feed *f, uint64_t pos, enum feed_type type, uint64_t len,
                       uint64_t seq)
{
    struct feed_record rec = {.len = (uint32_t)len, .type = (uint16_t)type, .seq = seq};
    memcpy(at_pos(f, pos), &rec, sizeof(rec));
}

int feed_prepare(const struct feed *f, uint64_t *head, enum feed_type type, uint64_t seq,
                 size_t len, void **ret)
{
    uint64_t at = *head, published = feed_published(f);
    must(at % FEED_ALIGN == 0 && at - published <= f->size / 2);
    must(type > FEED_PAD && type <= FEED_LAP && (!ends_batch(type) || len == 0));
    if (len > f->size)
        return -EMSGSIZE;

    uint64_t bytes = record_bytes(len);
    uint64_t left = f->size - (at & (f->size - 1));
    uint64_t pad = bytes > left ? left : 0;
    uint64_t end = at + pad + bytes;
    if (!ends_batch(type) && end - published > f->size / 4)
        return -EMSGSIZE;

    reserve(f, end);
    if (pad) {
        put_header(f, at, FEED_PAD, pad - sizeof(struct feed_record), 0);
        at += pad;
    }
    put_header(f, at, type, len, seq);
    *ret = at_pos(f, at) + sizeof(struct feed_record);
    *head = end;
    return 0;
}

/* A head that was never reserved can only come from a note on a damaged board. */
void feed_publish(const struct feed *f, uint64_t head)
{
    uint64_t reserved = atomic_load_explicit(&f->control->reserved, memory_order_relaxed);
    uint64_t published = atomic_load_explicit(&f->control->published, memory_order_relaxed);
    if (head > published && head <= reserved && head % FEED_ALIGN == 0)
        atomic_store(&f->control->published, head);
}

/* seq_cst on both sides, as the bells want it (bell.h). */
uint64_t feed_published(const struct feed *f)
{
    return atomic_load(&f->control->published);
}

int feed_start(const struct feed *f, struct feed_reader *ret)
{
    return head_now(f, ret);
}

int feed_next(const struct feed *f, struct feed_reader *r, struct feed_record *ret,
              struct buf *body)
{
    uint64_t pos = r->pos, published = feed_published(f);
    struct feed_record rec;
    for (;;) {
        if (pos == published) {
            r->pos = pos;
            return 0;
        }
        if (!copy_header(f, pos, &rec) || !valid(f, pos, published, &rec))
            return resync(f, r);
        if (rec.type != FEED_PAD)
            break;
        pos += record_bytes(rec.len);
    }

    buf_reset(body);
    size_t words = (rec.len + 7u) & ~(size_t)7;
    int err = buf_reserve(body, words);
    if (err)
        return err;
    racy_copy(body->data, at_pos(f, pos) + sizeof(rec), rec.len);
    racy_fence();
    if (lapped(f, pos))
        return resync(f, r);
    body->len = rec.len;

    r->pos = pos + record_bytes(rec.len);
    if (ends_batch(rec.type) || rec.seq > r->seq)
        r->seq = rec.seq;
    *ret = rec;
    return 1;
}
