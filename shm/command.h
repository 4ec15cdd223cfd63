/* command - what a worker asks of the writer, and what comes back.
 *
 * A command is one inbox record, a completion one reply record: a fixed header, then members in
 * pack.h form, encoded and decoded only by command.c. The writer copies a command out of the ring
 * before decoding it and believes nothing in it; a record that does not decode costs the worker its
 * life, never the writer. Completions repeat (generation, id). All views point into the record.
 * Producers: workers (commands), the writer (completions).
 */
#ifndef SHM_COMMAND_H
#define SHM_COMMAND_H

#include "common/code.h"
#include "common/ids.h"
#include "common/pack.h"

enum command_type {
    COMMAND_OPEN = 1, /* make or get a session */
    COMMAND_PATCH,    /* merge attributes, set ttl */
    COMMAND_END,      /* end a session */
    COMMAND_TOUCH,    /* slide the ttl, report delivered; no completion */
    COMMAND_ATTACH,   /* a connection's lease: new or renewed; no completion unless asked */
    COMMAND_DETACH,   /* no completion */
    COMMAND_ACK,
    COMMAND_APPEND, /* one publish, or a whole /v1/publish: one record, one commit */
    COMMAND_SUBSCRIBE,
    COMMAND_UNSUBSCRIBE,
    COMMAND_EMPTY, /* all messages of a topic go */
    COMMAND_TYPES
};

struct command_header {
    uint32_t type;
    uint32_t generation; /* of the worker's slot */
    uint64_t id;         /* the worker's own counter, never 0; 0 = no completion wanted */
};

/* Ceilings that decoders enforce; everything else is bounded by the record. */
#define COMMAND_STRING_MAX 255 /* subject, name, id, event, content_type, publisher, trace, ... */
#define COMMAND_TRANSPORT_MAX 16
#define COMMAND_REMOTE_MAX 64

struct command_open {
    uint8_t session[SESSION_ID_SIZE]; /* proposed by the worker, random; used if it is new */
    struct str subject;               /* 0 (anonymous) or 1..255 bytes */
    struct str name;                  /* empty: always new */
    struct str attributes;            /* compact JSON object; empty: {} */
    struct str claims;                /* JSON array of patterns it may join; empty: none claimed */
    struct str topics;                /* to subscribe to at once: names, each behind its u8 length;
                                         all or none: it is not opened when one is refused */
    uint64_t ttl_ms;                  /* 0: the configured one */
};

struct command_patch {
    uint8_t session[SESSION_ID_SIZE];
    struct str attributes; /* JSON object to merge (RFC 7396 on its top level); empty: none */
    uint64_t ttl_ms;       /* 0: unchanged */
};

struct command_touch {
    uint8_t session[SESSION_ID_SIZE];
    uint64_t delivered; /* 0: nothing new */
};

struct command_attach {
    uint8_t session[SESSION_ID_SIZE];
    uint64_t connection;  /* random; COMMAND_POLL_CONNECTION for all of a session's long-polls */
    struct str transport; /* "poll", "sse", "websocket"; 1..16 bytes */
    struct str remote;    /* address as text; at most 64 bytes */
    uint64_t lease_ms;    /* from now; the writer adds presence_grace */
    uint8_t takes;        /* 0 or 1: a connection begins, so the session's generation rises, and
                             where sessions are exclusive the others are fenced off (rule 15) */
};
#define COMMAND_POLL_CONNECTION 1

/* generation: of the connection it came by, where it has one (pickup_generation); 0: it came by
 * itself (REST), or sessions are shared. An older one than the session's, where sessions are
 * exclusive, is SUPERSEDED: a stale ack must not delete what the new device has not seen. */
struct command_ack {
    uint8_t session[SESSION_ID_SIZE];
    uint64_t seq;
    uint64_t generation;
};

struct command_subscribe { /* SUBSCRIBE and UNSUBSCRIBE */
    uint8_t session[SESSION_ID_SIZE];
    uint64_t generation; /* as of command_ack */
    struct str topic;    /* 1..255 bytes; whether it may be joined was judged by the worker */
    /* SUBSCRIBE. Empty: it is tracked, or not, as before; COMMAND_UNTRACK; else the meta under
     * which it is tracked: an object as of member_meta. The same meta again changes nothing.
     * Refused: FORBIDDEN where the namespace has no presence, TOO_LARGE past limits.presence_meta,
     * LIMIT_REACHED where topics.members are tracked already. */
    struct str presence;
};
#define COMMAND_PRESENCE_MAX 65536 /* bytes; limits.presence_meta is no more */
#define COMMAND_UNTRACK "null"

struct command_empty {
    struct str topic; /* 1..255 bytes */
};

enum append_target { APPEND_SESSION = 1, APPEND_SUBJECT, APPEND_TOPIC };

/* What does not apply is not encoded, and decodes as zero or empty. flags: at most one of
 * MESSAGE_JSON, MESSAGE_TEXT, MESSAGE_MSGPACK, and MESSAGE_EPHEMERAL; no other bit (the writer sets
 * MESSAGE_KEYED from keyed). */
struct command_append_item {
    uint8_t target; /* enum append_target */
    uint8_t keyed;  /* 0 or 1 */
    uint16_t flags;
    uint8_t session[SESSION_ID_SIZE]; /* APPEND_SESSION */
    struct str name;          /* APPEND_SUBJECT: the subject; APPEND_TOPIC: the topic; 1..255 */
    uint8_t key_hash[16];     /* keyed: of (publisher, key); the writer adds the stream (rule 16) */
    uint8_t content_hash[16]; /* keyed: of all that would be stored but time and trace */
    uint64_t ttl_ms;          /* 0: none */
    struct str id, event, content_type, publisher, trace, collapse, payload;
    struct str except; /* topics: session ids, 16 bytes each, that do not get it; at most
                          MESSAGE_EXCEPT_MAX of them */
};

/* Encoders: append to p; *_size is the exact number of bytes. Decoders: 0, or -EBADMSG (*ret is
 * then untouched) for what is truncated, over a ceiling, of an unknown target, type or flag, or
 * names a zero session or connection. One value has one encoding. Bytes after it are the caller's
 * to refuse (unpack_done). */
#define COMMAND_HEADER_SIZE 16
void command_header_encode(struct pack *p, const struct command_header *h);
int command_header_decode(struct unpack *u, struct command_header *ret);
size_t command_open_size(const struct command_open *c);
void command_open_encode(struct pack *p, const struct command_open *c);
int command_open_decode(struct unpack *u, struct command_open *ret);
size_t command_patch_size(const struct command_patch *c);
void command_patch_encode(struct pack *p, const struct command_patch *c);
int command_patch_decode(struct unpack *u, struct command_patch *ret);
#define COMMAND_TOUCH_SIZE (SESSION_ID_SIZE + 8)
void command_touch_encode(struct pack *p, const struct command_touch *c);
int command_touch_decode(struct unpack *u, struct command_touch *ret);
size_t command_attach_size(const struct command_attach *c);
void command_attach_encode(struct pack *p, const struct command_attach *c);
int command_attach_decode(struct unpack *u, struct command_attach *ret);
#define COMMAND_ACK_SIZE (SESSION_ID_SIZE + 16)
void command_ack_encode(struct pack *p, const struct command_ack *c);
int command_ack_decode(struct unpack *u, struct command_ack *ret);
/* END and DETACH carry a command_ack record: the session, and (DETACH) the connection in seq. */
size_t command_subscribe_size(const struct command_subscribe *c);
void command_subscribe_encode(struct pack *p, const struct command_subscribe *c);
int command_subscribe_decode(struct unpack *u, struct command_subscribe *ret);
size_t command_empty_size(const struct command_empty *c);
void command_empty_encode(struct pack *p, const struct command_empty *c);
int command_empty_decode(struct unpack *u, struct command_empty *ret);

#define COMMAND_APPEND_ITEMS 1000
/* A COMMAND_APPEND body: this head, then the items. */
struct command_append {
    uint8_t session[SESSION_ID_SIZE]; /* by whose connection it came; zero: nobody's */
    uint64_t generation;              /* as of command_ack; 0 without a session */
    uint32_t count;                   /* 1..COMMAND_APPEND_ITEMS */
};
#define COMMAND_APPEND_HEAD_SIZE (SESSION_ID_SIZE + 8 + 4)
void command_append_encode(struct pack *p, const struct command_append *c);
int command_append_decode(struct unpack *u, struct command_append *ret);
size_t command_append_item_size(const struct command_append_item *c);
void command_append_item_encode(struct pack *p, const struct command_append_item *c);
int command_append_item_decode(struct unpack *u, struct command_append_item *ret);

/* Completions. */
struct completion_header {
    uint32_t code; /* enum code of the whole command */
    uint32_t generation;
    uint64_t id;
};

#define COMPLETION_HEADER_SIZE 16
void completion_header_encode(struct pack *p, const struct completion_header *h);
int completion_header_decode(struct unpack *u, struct completion_header *ret);

/* OPEN, PATCH. The rest is in the store by now: a completion reserves its bytes for as long as its
 * command is open, so a crowd that opens its sessions at once must find room for all of theirs. */
struct completion_session {
    uint8_t session[SESSION_ID_SIZE];
    uint8_t created;
};
#define COMPLETION_SESSION_SIZE (SESSION_ID_SIZE + 1)
void completion_session_encode(struct pack *p, const struct completion_session *c);
int completion_session_decode(struct unpack *u, struct completion_session *ret);

struct completion_subscribe { /* SUBSCRIBE */
    uint64_t join;            /* seq: messages after it are delivered */
};
#define COMPLETION_SUBSCRIBE_SIZE 8
void completion_subscribe_encode(struct pack *p, const struct completion_subscribe *c);
int completion_subscribe_decode(struct unpack *u, struct completion_subscribe *ret);

/* APPEND: per item, in order: u32 code, u32 n, then n results (n is 1 for a session or topic, the
 * number of sessions for a subject, 0 when code alone tells). */
struct append_result {
    uint8_t session[SESSION_ID_SIZE]; /* subject items; else zero */
    uint32_t code;
    uint32_t duplicate;
    uint64_t seq; /* 0 when refused or ephemeral */
};
#define APPEND_RESULT_SIZE (SESSION_ID_SIZE + 16)
void append_result_encode(struct pack *p, const struct append_result *r);
int append_result_decode(struct unpack *u, struct append_result *ret);
/* The largest completion, after its header, that a COMMAND_APPEND of these items can get (rule 3);
 * SIZE_MAX when that is no number. */
size_t append_completion_max(size_t sessions_and_topics, size_t subjects, size_t max_per_subject);

/* Control records on the feed (body of FEED_CONTROL). */
enum feed_control {
    FEED_SESSION_END = 1,
    FEED_SUBSCRIBE,
    FEED_UNSUBSCRIBE,
    FEED_FENCE, /* only where sessions are exclusive */
};
struct feed_session_end {
    uint64_t stream;
    uint8_t session[SESSION_ID_SIZE];
};
#define FEED_SESSION_END_SIZE (1 + 8 + SESSION_ID_SIZE) /* with the u8 type */
void feed_session_end_encode(struct pack *p, const struct feed_session_end *c);
int feed_session_end_decode(struct unpack *u, struct feed_session_end *ret); /* after the u8 type */
struct feed_subscribe {      /* FEED_SUBSCRIBE; FEED_UNSUBSCRIBE without join and name */
    uint64_t mailbox, topic; /* streams */
    uint64_t join;
    struct str name; /* of the topic */
};
size_t feed_subscribe_size(const struct feed_subscribe *c);
void feed_subscribe_encode(struct pack *p, const struct feed_subscribe *c);
int feed_subscribe_decode(struct unpack *u, struct feed_subscribe *ret);
#define FEED_UNSUBSCRIBE_SIZE (1 + 8 + 8)
void feed_unsubscribe_encode(struct pack *p, const struct feed_subscribe *c);
int feed_unsubscribe_decode(struct unpack *u, struct feed_subscribe *ret);
struct feed_fence { /* the connection that took the session, and the generation it was given */
    uint64_t mailbox, connection, generation;
};
#define FEED_FENCE_SIZE (1 + 3 * 8)
void feed_fence_encode(struct pack *p, const struct feed_fence *c);
int feed_fence_decode(struct unpack *u, struct feed_fence *ret);

#endif
