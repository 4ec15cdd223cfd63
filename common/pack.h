/* pack - bounds-checked little records inside shared memory and the store.
 *
 * Native byte order (records never leave the machine), unaligned. A writer past its end and a
 * reader past its end set `bad` and do nothing more, so a chain is checked once. Strings carry a
 * u32 length. What unpack hands out points into the record and lives as long as it. Any process.
 */
#ifndef COMMON_PACK_H
#define COMMON_PACK_H

#include "common/str.h"

#include <stdint.h>

struct pack {
    unsigned char *p, *end;
    unsigned char *start;
    bool bad;
};

struct unpack {
    const unsigned char *p, *end;
    bool bad;
};

static inline struct pack pack_into(void *p, size_t n)
{
    return (struct pack){.p = p, .end = (unsigned char *)p + n, .start = p};
}

static inline size_t pack_len(const struct pack *k)
{
    return (size_t)(k->p - k->start);
}

static inline void pack_bytes(struct pack *k, const void *data, size_t n)
{
    if (k->bad || (size_t)(k->end - k->p) < n) {
        k->bad = true;
        return;
    }
    if (n)
        memcpy(k->p, data, n);
    k->p += n;
}

static inline void pack_u8(struct pack *k, uint8_t v)
{
    pack_bytes(k, &v, sizeof(v));
}

static inline void pack_u16(struct pack *k, uint16_t v)
{
    pack_bytes(k, &v, sizeof(v));
}

static inline void pack_u32(struct pack *k, uint32_t v)
{
    pack_bytes(k, &v, sizeof(v));
}

static inline void pack_u64(struct pack *k, uint64_t v)
{
    pack_bytes(k, &v, sizeof(v));
}

static inline void pack_str(struct pack *k, struct str s)
{
    pack_u32(k, (uint32_t)s.n);
    pack_bytes(k, s.p, s.n);
}

static inline struct unpack unpack_from(const void *p, size_t n)
{
    return (struct unpack){.p = p, .end = (const unsigned char *)p + n};
}

static inline const void *unpack_bytes(struct unpack *u, size_t n)
{
    if (u->bad || (size_t)(u->end - u->p) < n) {
        u->bad = true;
        return NULL;
    }
    const void *at = u->p;
    u->p += n;
    return at;
}

static inline void unpack_copy(struct unpack *u, void *ret, size_t n)
{
    const void *at = unpack_bytes(u, n);
    if (at)
        memcpy(ret, at, n);
    else
        memset(ret, 0, n);
}

static inline uint8_t unpack_u8(struct unpack *u)
{
    uint8_t v;
    unpack_copy(u, &v, sizeof(v));
    return v;
}

static inline uint16_t unpack_u16(struct unpack *u)
{
    uint16_t v;
    unpack_copy(u, &v, sizeof(v));
    return v;
}

static inline uint32_t unpack_u32(struct unpack *u)
{
    uint32_t v;
    unpack_copy(u, &v, sizeof(v));
    return v;
}

static inline uint64_t unpack_u64(struct unpack *u)
{
    uint64_t v;
    unpack_copy(u, &v, sizeof(v));
    return v;
}

static inline struct str unpack_str(struct unpack *u)
{
    uint32_t n = unpack_u32(u);
    const void *at = unpack_bytes(u, n);
    return at ? str_make(at, n) : str_make(NULL, 0);
}

static inline bool unpack_done(const struct unpack *u)
{
    return !u->bad && u->p == u->end;
}

#endif
