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
};
#define COMMAND_POLL_CONNECTION 1

struct command_ack {
    uint8_t session[SESSION_ID_SIZE];
    uint64_t seq;
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
#define COMMAND_ACK_SIZE (SESSION_ID_SIZE + 8)
void command_ack_encode(struct pack *p, const struct command_ack *c);
int command_ack_decode(struct unpack *u, struct command_ack *ret);
/* END and DETACH carry a command_ack record: the session, and (DETACH) the connection in seq. */

#define COMMAND_APPEND_ITEMS 1000
/* A COMMAND_APPEND body: u32 count, then the items. */
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

struct completion_session { /* OPEN, PATCH */
    uint8_t session[SESSION_ID_SIZE];
    uint8_t created;
    uint64_t cursor; /* seq where a new client starts: its ack, or the store's last seq */
    uint64_t expires_ms;
    uint64_t ttl_ms;
    struct str subject, name, attributes;
};
size_t completion_session_size(const struct completion_session *c);
void completion_session_encode(struct pack *p, const struct completion_session *c);
int completion_session_decode(struct unpack *u, struct completion_session *ret);

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
    FEED_SESSION_END = 1, /* u64 mailbox stream, session id 16 */
};
struct feed_session_end {
    uint64_t stream;
    uint8_t session[SESSION_ID_SIZE];
};
#define FEED_SESSION_END_SIZE (1 + 8 + SESSION_ID_SIZE) /* with the u8 type */
void feed_session_end_encode(struct pack *p, const struct feed_session_end *c);
int feed_session_end_decode(struct unpack *u, struct feed_session_end *ret); /* after the u8 type */

#endif
