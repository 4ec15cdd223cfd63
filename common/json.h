/* json - a strict scanner that keeps bytes, and an escaping writer.
 *
 * Payloads must survive as published (9007199254740993 and member order too), so values are found
 * and checked in place (RFC 8259, UTF-8 by RFC 3629, paired surrogate escapes) and copied, never
 * re-rendered. Small control objects (attributes, claims) go through cJSON after json_check.
 * Nothing here allocates, except into the caller's buf. Any process.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/buf.h"

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
    struct str raw; /* the value's exact bytes; a string with its quotes */
};

/* One complete document, white space around it allowed. 0; -EINVAL not JSON; -E2BIG too deep.
 * ret may be NULL. */
int json_check(struct str text, struct json_value *ret);

/* Walks the members of an object / items of an array whose text was checked. */
struct json_iter {
    const char *p, *end;
    bool first;
};
void json_iter_begin(struct json_iter *it, struct json_value container);
/* true and the next member; ret_key is the raw text between the quotes (escapes kept). */
bool json_next_member(struct json_iter *it, struct str *ret_key, struct json_value *ret);
bool json_next_item(struct json_iter *it, struct json_value *ret);

/* Scans and checks at once, for bodies: begin, then members/items until 0 (end) or < 0.
 * The names stay as above; every value handed out is already checked. Use json_check unless the
 * text is large. A key with an escape is compared unescaped by json_key_is. */
bool json_key_is(struct str raw_key, const char *name);

/* Decodes a string value (quotes included in raw). \u0000 is allowed in payload strings only:
 * 0, -EINVAL when not a string, -EMSGSIZE past b->max, -ENOMEM. Appends to b. */
int json_string(struct json_value v, struct buf *b);
/* Non-negative integer without fraction or exponent. 0, -EINVAL, -ERANGE. */
int json_u64(struct json_value v, uint64_t *ret);
/* A duration of units.h: integer seconds, or a string. 0, -EINVAL, -ERANGE. */
int json_duration(struct json_value v, uint64_t *ret_ms);

/* Appends the value's bytes with white space outside strings removed. */
int json_compact(struct json_value v, struct buf *b);
/* Appends a quoted, escaped string; the bytes must be UTF-8 (utf8_valid), else they are replaced
 * by U+FFFD. */
int json_quote(struct buf *b, struct str s);

bool utf8_valid(struct str s); /* RFC 3629: no surrogates, no overlong forms, <= U+10FFFF */

#endif
