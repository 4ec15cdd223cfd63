/* datum - one value of a request, the same to read whether it came as JSON or as MessagePack.
 *
 * For what is read in either encoding without being turned into the other first: envelopes, whose
 * payload is kept as published. A datum is a view into the text that datum_check accepted, and
 * lives as long. Any process.
 */
#ifndef COMMON_DATUM_H
#define COMMON_DATUM_H

#include "common/msgpack.h"

enum encoding { ENCODING_JSON, ENCODING_MSGPACK, ENCODINGS };

struct datum {
    enum encoding encoding;
    union {
        struct json_value json;
        struct mp_value mp;
    };
};

/* One complete document, as json_check and mp_check judge it, with their errors. */
int datum_check(enum encoding encoding, struct str text, struct datum *ret);
/* Such an error as a sentence for the peer; static. */
const char *datum_error_text(enum encoding encoding, int err);

/* Picks members as json_pick does: 0, -EINVAL, -EEXIST. n <= DATUM_PICK. */
#define DATUM_PICK 16
int datum_pick(const struct datum *object, const char *const *names, size_t n,
               struct datum *values);
/* The items of a list; false with the first call of datum_next_item when it is none. */
struct datum_iter {
    enum encoding encoding;
    union {
        struct json_iter json;
        struct mp_iter mp;
    };
};
bool datum_is_list(const struct datum *d);
void datum_iter_begin(struct datum_iter *it, const struct datum *list);
bool datum_next_item(struct datum_iter *it, struct datum *ret);

struct str datum_raw(const struct datum *d); /* its exact bytes; p NULL: no such member */
bool datum_given(const struct datum *d);     /* it is there, and not null */
bool datum_is_string(const struct datum *d); /* text; bin is none */
/* The decoded text. A view into the document where nothing needs decoding, else appended to
 * scratch, whose memory must not move while such views are in use. 0; -EINVAL no string; the
 * buffer's error. */
int datum_text(const struct datum *d, struct buf *scratch, struct str *ret);
int datum_bool(const struct datum *d, bool *ret); /* 0, -EINVAL */
/* A whole number, not negative. 0, -EINVAL, -ERANGE. */
int datum_u64(const struct datum *d, uint64_t *ret);
int datum_duration(const struct datum *d, uint64_t *ret_ms); /* as json_duration */

#endif
