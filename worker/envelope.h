/* envelope - a publish, from JSON, from MessagePack or from headers, to what is stored.
 *
 * Pure: no exchange, no store. Views point into the request or into the scratch buffer and live
 * until either changes; whatever needs no decoding is not copied. Worker.
 */
#ifndef WORKER_ENVELOPE_H
#define WORKER_ENVELOPE_H

#include "common/code.h"
#include "common/datum.h"
#include "common/digest.h"
#include "shm/command.h"

#define ENVELOPE_NAME_MAX                                                                          \
    255 /* bytes of an event, a key, a collapse key, a content type, a name                        \
         */
#define ENVELOPE_TTL_MAX (UINT64_C(100) * 366 * 86400 * 1000) /* ms: a sum with the time fits */

struct envelope {
    uint16_t flags;  /* MESSAGE_JSON | MESSAGE_TEXT | MESSAGE_MSGPACK, MESSAGE_EPHEMERAL */
    uint64_t ttl_ms; /* 0: none */
    struct str event, content_type, collapse; /* empty: none was named */
    struct str key;                           /* batch items: the idempotency key */
    struct str payload;
    struct str except; /* topics: ids of sessions that do not get it, 16 bytes each */

    /* Batch items: where it goes. target 0: the item names nothing. */
    uint8_t target;  /* enum append_target */
    struct str name; /* as it was named: session id text, subject or topic */
};

struct envelope_error {
    enum code code;
    const char *why; /* static */
};

/* The envelope of a single publish to this target, or (0) an item of a batch, with its target and
 * key. object is a value of a document that datum_check accepted. scratch is reset; its ceiling is
 * what bounds memory. limit: payload bytes. True; or false with *ret_error: BAD_REQUEST, TOO_LARGE
 * or UNAVAILABLE (no memory). */
bool envelope_decode(const struct datum *object, enum append_target target, uint64_t limit,
                     struct buf *scratch, struct envelope *ret, struct envelope_error *ret_error);

/* A publish whose body is the payload itself. Headers that are absent have a NULL pointer.
 * content_type absent: application/octet-stream. */
struct envelope_headers {
    struct str content_type, event, ttl, collapse;
};
bool envelope_of_payload(const struct envelope_headers *h, struct str payload, uint64_t limit,
                         struct envelope *ret, struct envelope_error *ret_error);

/* An idempotency key, an event, a collapse key: UTF-8, 1..255 bytes, no control characters. */
bool envelope_name_valid(struct str s);

/* The hashes of rule 16. kind and publisher name whose key it is: ("key", name of the API key). */
void envelope_key_hash(struct digest *d, struct str kind, struct str publisher, struct str key,
                       uint8_t ret[16]);
void envelope_content_hash(struct digest *d, const struct envelope *e, uint8_t ret[16]);

#endif
