/* msgpack - MessagePack: a strict reader that keeps bytes, a writer, and the ways to JSON and back.
 *
 * What is accepted is what JSON has a word for, and bytes: no extension types (timestamps are one),
 * no map keys but strings, no floats that are not finite, strings in UTF-8 (RFC 3629). So whatever
 * was published in one encoding can be picked up in the other:
 *
 *   MessagePack -> JSON: integers exact, a float as text that reads back as the same number (1.0
 *     keeps its ".0"), bin as base64 text with padding.
 *   JSON -> MessagePack: integers exact where a 64-bit integer holds them. All other numbers (with
 *     fraction or exponent, longer integers, -0) become float64, as in every JavaScript reader:
 *     12345678901234567890123 loses digits, and 1e400 is infinite.
 *
 * Order and doubled keys of maps survive both ways. The contract is that of json.h: mp_check judges
 * a whole document once, without allocating and before anything that it claims is believed (an
 * array of 4,294,967,295 items in five bytes is refused at its header). Everything else takes
 * values of a document it accepted; on other input it stays inside the text and comes to an end,
 * but what it says then means nothing. A value is a view and lives as long as the text. Any
 * process.
 */
#ifndef COMMON_MSGPACK_H
#define COMMON_MSGPACK_H

#include "common/json.h"

#define MP_DEPTH JSON_DEPTH /* deepest nesting accepted */

enum mp_type {
    MP_NIL,
    MP_FALSE,
    MP_TRUE,
    MP_UINT,
    MP_INT, /* below zero */
    MP_FLOAT,
    MP_STR,
    MP_BIN,
    MP_ARRAY,
    MP_MAP
};

struct mp_value {
    enum mp_type type;
    struct str raw;   /* the value's exact bytes. raw.p NULL: no value */
    struct str bytes; /* STR, BIN: the content. ARRAY, MAP: what follows the header */
    union {
        uint64_t u;    /* UINT; ARRAY: items, MAP: pairs */
        int64_t i;     /* INT */
        double number; /* FLOAT */
    };
};

/* --- reading --- */

/* One complete document. 0; -EINVAL not MessagePack (or cut short, or followed by more); -E2BIG too
 * deep; and what JSON cannot say: -ENOTSUP an extension type, -ENOKEY a map key that is no string,
 * -EDOM a float that is not finite, -EILSEQ a string that is not UTF-8. ret may be NULL. */
int mp_check(struct str text, struct mp_value *ret);
/* The same as a sentence for the peer; static. */
const char *mp_error_text(int err);

/* Walks the pairs of a map / items of an array. Doubled keys come as they stand. A scalar has
 * none. */
struct mp_iter {
    const char *p, *end;
    uint64_t left;
};
void mp_iter_begin(struct mp_iter *it, struct mp_value container);
bool mp_next_member(struct mp_iter *it, struct str *ret_key, struct mp_value *ret);
bool mp_next_item(struct mp_iter *it, struct mp_value *ret);
/* As json_pick. 0; -EINVAL when v is no map; -EEXIST when one of the names stands twice. */
int mp_pick(struct mp_value v, const char *const *names, size_t n, struct mp_value *values);

/* --- conversion --- */

/* Appends the value as compact JSON, at most MP_JSON_GROWTH times as long. 0 or the buffer's error.
 */
int mp_to_json(struct mp_value v, struct buf *b);
#define MP_JSON_GROWTH 6 /* a control character is six bytes in JSON */
/* Appends the value, which json_check accepted or which wraps such values up to MP_WRAP levels
 * deep, as MessagePack with the shortest headers. 0, -E2BIG deeper, or the buffer's error (b then
 * ends anywhere). */
int mp_from_json(struct json_value v, struct buf *b);
#define MP_WRAP 8

/* --- writing (by msgpack-c); each appends and returns 0 or the buffer's error --- */

int mp_put_nil(struct buf *b);
int mp_put_bool(struct buf *b, bool v);
int mp_put_u64(struct buf *b, uint64_t v);
int mp_put_i64(struct buf *b, int64_t v);
int mp_put_double(struct buf *b, double v);
int mp_put_str(struct buf *b, struct str s); /* s is UTF-8 */
int mp_put_bin(struct buf *b, struct str s);

/* Containers whose count is known only at their end: begin returns the place that end needs. A map
 * takes at most 15 pairs and has a header of one byte, an array at most 65535 items and three. */
size_t mp_map_begin(struct buf *b);
void mp_map_end(struct buf *b, size_t at, unsigned pairs);
size_t mp_array_begin(struct buf *b);
void mp_array_end(struct buf *b, size_t at, unsigned items);

/* Puts the shortest header of n items (MP_ARRAY), pairs (MP_MAP) or bytes (MP_STR) in the place of
 * the single byte at `at`; what follows moves up. */
int mp_put_header(struct buf *b, size_t at, enum mp_type type, size_t n);

#endif
