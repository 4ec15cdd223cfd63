/* message - one entry of a stream, as the store and the feed hold it.
 *
 * The stored value and the feed's copy are the same bytes but for prev. Strings point into the
 * record they were decoded from and live as long as it (a store value: until the transaction ends).
 * Any process.
 */
#ifndef SHM_MESSAGE_H
#define SHM_MESSAGE_H

#include "common/buf.h"
#include "common/ids.h"
#include "common/pack.h"

enum message_flags {
    MESSAGE_JSON = 1,       /* payload is compact JSON, kept as published */
    MESSAGE_TEXT = 2,       /* payload is UTF-8 text; neither: bytes */
    MESSAGE_KEYED = 4,      /* id is the publisher's key */
    MESSAGE_SKIPPED = 8,    /* what prev names was gone when this was appended */
    MESSAGE_EPHEMERAL = 16, /* feed only: no seq, prev, cursor */
    MESSAGE_MSGPACK = 32,   /* payload is MessagePack */
};

struct message {
    uint64_t seq;  /* key, not part of the value */
    uint64_t prev; /* the seq before it in its stream; 0 first ever */
    uint64_t time_ms;
    uint64_t expires_ms; /* store time; 0 never */
    uint16_t flags;
    struct str id;    /* 0..255 bytes; empty: the seq as text */
    struct str event; /* 0..255 bytes; empty: "message" */
    struct str
        content_type;     /* 0..255; empty: application/json, text/plain or octet-stream by flags */
    struct str publisher; /* 0..255 */
    struct str trace;     /* 0..255 */
    struct str collapse;  /* 0..255 */
    struct str except;    /* topics: ids of sessions that do not get it, 16 bytes each */
    struct str payload;
};
#define MESSAGE_EXCEPT_MAX 15 /* sessions */

size_t message_size(const struct message *m); /* of the encoded value */
/* Writes exactly message_size bytes at p. */
void message_encode(const struct message *m, void *p);
/* 0 or -EBADMSG. Sets all but seq. */
int message_decode(const void *p, size_t n, struct message *ret);

/* A FEED_MESSAGE body: u32 n; n targets; the message value. One publish to a subject is one body
 * with a list of streams. */
struct feed_target {
    uint64_t stream;
    uint64_t seq; /* 0 for an ephemeral */
    uint64_t prev;
    uint32_t flags; /* MESSAGE_SKIPPED, FEED_TARGET_TOPIC */
    uint32_t pad;
};
#define FEED_TARGET_TOPIC (1u << 16) /* the stream is a topic; else a mailbox */
/* Whether m is not for this session. */
bool message_excepts(const struct message *m, const uint8_t session[SESSION_ID_SIZE]);
size_t feed_message_size(const struct message *m, size_t ntargets);
void feed_message_encode(const struct message *m, const struct feed_target *targets,
                         size_t ntargets, void *p);
/* Targets and strings point into body (targets may be unaligned: copy out with memcpy).
 * 0 or -EBADMSG. */
int feed_message_decode(struct str body, struct message *ret, const unsigned char **ret_targets,
                        uint32_t *ret_n);

#endif
