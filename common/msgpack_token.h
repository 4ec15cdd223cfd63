/* msgpack_token - one value, or the header of one container. Private to msgpack_*.c. */
#ifndef COMMON_MSGPACK_TOKEN_H
#define COMMON_MSGPACK_TOKEN_H

#include "common/msgpack.h"

/* The value at p < end, of a container only the header: 0 and what follows; -EINVAL, -ENOTSUP. raw
 * is not set, and bytes of a container are all that is left. Whether it is one that JSON knows is
 * not judged. */
int mp_token(const unsigned char *p, const unsigned char *end, struct mp_value *v,
             const unsigned char **ret);

static inline bool mp_is_container(enum mp_type type)
{
    return type == MP_ARRAY || type == MP_MAP;
}

/* How many values a container holds; of a map, keys count too. */
static inline uint64_t mp_values_of(const struct mp_value *v)
{
    return v->type == MP_MAP ? 2 * v->u : v->u;
}

#endif
