/* json - a strict scanner that keeps bytes, and an escaping writer (RFC 8259).
 *
 * Payloads must survive as published (9007199254740993 and member order too), so values are found
 * and checked in place (UTF-8 by RFC 3629, surrogate escapes only in pairs) and copied, never
 * re-rendered. Small control objects (attributes, claims) go through cJSON after json_check.
 *
 * The contract: json_check judges a whole document once, in one pass. Everything else takes values
 * of a document it accepted and does not judge them again. On other input it stays inside the text
 * and comes to an end, but what it says then means nothing. A value is a view and lives as long as
 * the text. Nothing here allocates, except into the caller's buf. Any process.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/buf.h"
#include "common/utf8.h"

#define JSON_DEPTH 64 /* deepest nesting accepted */

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    enum json_type type;
    struct str raw; /* the value's exact bytes; a string with its quotes. raw.p NULL: no value */
};

/* One complete document, white space around it allowed. 0; -EINVAL not JSON; -E2BIG too deep.
 * ret may be NULL. */
int json_check(struct str text, struct json_value *ret);

/* Walks the members of an object / items of an array whose text was checked. Members come as they
 * stand: duplicates too. A scalar has none. */
struct json_iter {
    const char *p, *end;
    bool first;
};
void json_iter_begin(struct json_iter *it, struct json_value container);
/* true and the next member; ret_key is the raw text between the quotes (escapes kept). */
bool json_next_member(struct json_iter *it, struct str *ret_key, struct json_value *ret);
bool json_next_item(struct json_iter *it, struct json_value *ret);
/* Compares a raw key, its escapes decoded, with a name. */
bool json_key_is(struct str raw_key, const char *name);

/* Picks the members named in names[0..n) out of an object into values[0..n), in one walk; a
 * values[i].raw.p is NULL where there is none, members of other names are passed over. 0; -EINVAL
 * when v is no object; -EEXIST when one of the names stands twice (values then mean nothing). */
int json_pick(struct json_value v, const char *const *names, size_t n, struct json_value *values);

/* Decodes a string value and appends it to b; \u0000 becomes a NUL byte. 0; -EINVAL when not a
 * string (b keeps its length); -EMSGSIZE past b->max, -ENOMEM (b->error is set). */
int json_string(struct json_value v, struct buf *b);
/* Non-negative integer without fraction or exponent. 0, -EINVAL, -ERANGE. */
int json_u64(struct json_value v, uint64_t *ret);
/* A duration of units.h: integer seconds, or a string. 0, -EINVAL, -ERANGE. */
int json_duration(struct json_value v, uint64_t *ret_ms);

/* Appends the value's bytes with white space outside strings removed. 0 or the buffer's error. */
int json_compact(struct json_value v, struct buf *b);
/* Appends s as a quoted, escaped string. Each byte that is not UTF-8 is replaced by U+FFFD. 0 or
 * the buffer's error. */
int json_quote(struct buf *b, struct str s);

#endif
