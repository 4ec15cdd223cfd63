/* msgpack_write - writing MessagePack: msgpack-c's packer over a buf. */
#include <msgpack.h>

#include "common/log.h"
#include "common/msgpack.h"

#define HEADER_MAX 5
#define FIXMAP 0x80
#define FIXMAP_MAX 15
#define ARRAY16 0xdc
#define ARRAY16_SIZE 3

static int sink(void *data, const char *bytes, size_t n)
{
    return buf_append(data, bytes, n);
}

static msgpack_packer packer(struct buf *b)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, sink);
    return pk;
}

int mp_put_nil(struct buf *b)
{
    msgpack_packer pk = packer(b);
    return msgpack_pack_nil(&pk);
}

int mp_put_bool(struct buf *b, bool v)
{
    msgpack_packer pk = packer(b);
    return v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
}

int mp_put_u64(struct buf *b, uint64_t v)
{
    msgpack_packer pk = packer(b);
    return msgpack_pack_uint64(&pk, v);
}

int mp_put_i64(struct buf *b, int64_t v)
{
    msgpack_packer pk = packer(b);
    return msgpack_pack_int64(&pk, v);
}

int mp_put_double(struct buf *b, double v)
{
    msgpack_packer pk = packer(b);
    return msgpack_pack_double(&pk, v);
}

int mp_put_str(struct buf *b, struct str s)
{
    msgpack_packer pk = packer(b);
    msgpack_pack_str(&pk, s.n);
    return buf_append_str(b, s);
}

int mp_put_bin(struct buf *b, struct str s)
{
    msgpack_packer pk = packer(b);
    msgpack_pack_bin(&pk, s.n);
    return buf_append_str(b, s);
}

size_t mp_map_begin(struct buf *b)
{
    size_t at = b->len;
    buf_append_c(b, (char)FIXMAP);
    return at;
}

void mp_map_end(struct buf *b, size_t at, unsigned pairs)
{
    must(pairs <= FIXMAP_MAX);
    if (!b->error)
        b->data[at] = (unsigned char)(FIXMAP | pairs);
}

size_t mp_array_begin(struct buf *b)
{
    static const unsigned char header[ARRAY16_SIZE] = {ARRAY16};
    size_t at = b->len;
    buf_append(b, header, sizeof(header));
    return at;
}

void mp_array_end(struct buf *b, size_t at, unsigned items)
{
    must(items <= UINT16_MAX);
    if (b->error)
        return;
    b->data[at + 1] = (unsigned char)(items >> 8);
    b->data[at + 2] = (unsigned char)items;
}

int mp_put_header(struct buf *b, size_t at, enum mp_type type, size_t n)
{
    unsigned char memory[HEADER_MAX + 1];
    struct buf header;
    buf_fixed(&header, memory, sizeof(memory));
    msgpack_packer pk = packer(&header);
    if (type == MP_ARRAY)
        msgpack_pack_array(&pk, n);
    else if (type == MP_MAP)
        msgpack_pack_map(&pk, n);
    else
        msgpack_pack_str(&pk, n);
    size_t more = header.len - 1;
    if (b->error || buf_reserve(b, more) != 0)
        return b->error;
    if (more)
        memmove(b->data + at + header.len, b->data + at + 1, b->len - at - 1);
    memcpy(b->data + at, memory, header.len);
    b->len += more;
    return 0;
}
