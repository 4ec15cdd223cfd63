/* rest_priv - what the REST handlers share.
 *
 *   rest.c          the route table, credentials, media types, dispatch
 *   rest_common.c   parameters, sessions, commands and their refusals
 *   rest_member.c   members of answers
 *   rest_session.c  POST/GET/PATCH/DELETE sessions, tokens, lists
 *   rest_publish.c  one message into a mailbox, to a subject, to a topic
 *   rest_batch.c    /v1/publish
 *   rest_pickup.c   messages: short GET and long-poll
 *   rest_sse.c      messages: an event stream
 *   rest_socket.c   a WebSocket is asked for
 *   rest_topic.c    topics are listed, looked at and emptied
 *   rest_history.c  what a topic holds, forward and backward
 *   rest_subscribe.c  PUT/DELETE subscriptions
 *   rest_presence.c who is in a topic
 *   rest_ack.c      acks
 *   rest_receipt.c  what became of a message
 *   rest_health.c   health, readiness, metrics, status, rotation
 *   rest_openapi.c  the description of all this
 *
 * A function that answers by itself when something is wrong returns false (or NULL) then, and its
 * caller just returns.
 */
#ifndef WORKER_REST_PRIV_H
#define WORKER_REST_PRIV_H

#include "common/json.h"
#include "worker/cursor.h"
#include "worker/exchange.h"
#include "worker/rest.h"
#include "worker/route.h"
#include "worker/worker.h"

#define JSON_BODY_MAX (1u << 20) /* bytes of a control object: sessions, patches, acks */

/* --- requests --- */

/* The body is JSON or MessagePack, or there is none; else 415. Lowers the body limit to
 * JSON_BODY_MAX. */
bool rest_json_head(struct exchange *ex);
/* True when the Content-Type is this type, with or without parameters. */
bool rest_is_type(struct str content_type, const char *type);
/* The body's encoding by its Content-Type; JSON without one. False: it is of another type. */
bool rest_encoding(const struct exchange *ex, enum encoding *ret);
/* The body as an object with these members picked (datum_pick), in the encoding it came in. An
 * empty body is {} when the route allows none. */
bool rest_body(struct exchange *ex, const char *const *names, size_t n, struct datum *ret);
/* The same for control objects, as JSON: a body of MessagePack is converted in its place. */
bool rest_json_body(struct exchange *ex, const char *const *names, size_t n,
                    struct json_value *ret);
/* One query parameter, decoded into b (reset first): 1, 0 absent, -1 answered. */
int rest_query(struct exchange *ex, const char *name, struct buf *b);
/* A whole number in [min, max]; `ret` keeps its value when it is absent. */
bool rest_query_u64(struct exchange *ex, const char *name, uint64_t min, uint64_t max,
                    uint64_t *ret);
/* 1 or true, 0 or false; `ret` keeps its value when it is absent. */
bool rest_query_flag(struct exchange *ex, const char *name, bool *ret);

/* --- sessions --- */

/* A session id as text. The id of zeros is nobody's: commands do not carry it. 0, -EINVAL. */
int rest_session_id(struct str text, uint8_t ret[SESSION_ID_SIZE]);
/* The credential may act for a session at all (401, 403); for on_head. */
void rest_session_head(struct exchange *ex);
/* The session of the path's first parameter, if the caller may act for it: 404, 401 token_revoked,
 * 403, 500. Slides its ttl; to be freed by session_copy_free. */
bool rest_session(struct exchange *ex, struct session_copy *ret);
/* The same, but an unknown session is -ENOENT and not answered yet. 0; other values: answered. */
int rest_session_find(struct exchange *ex, struct session_copy *ret);
/* For what only API keys may do: `code` says whether this one may. A session's token gets 403, or
 * 401 token_revoked when its session is gone. */
bool rest_is_key(struct exchange *ex, enum code code);
/* What others are told of counts against limits.publish_rate where a session's token asked for it:
 * 429. */
bool rest_rate(struct exchange *ex);
/* A cursor of ours that is not ahead: 400, or 410 with oldest and newest. */
bool rest_cursor(struct exchange *ex, const struct session *s, struct str text, uint64_t *ret_seq);
/* The same for those who go on from the oldest instead: REFUSED was answered, RESET was not. */
enum rest_cursor { REST_CURSOR_OURS, REST_CURSOR_RESET, REST_CURSOR_REFUSED };
enum rest_cursor rest_cursor_judge(struct exchange *ex, const struct session *s, struct str text,
                                   uint64_t *ret_seq, struct cursor_reset *ret_reset);
void rest_cursor_reset(struct exchange *ex, const struct cursor_reset *reset); /* answers 410 */

/* --- members of answers: each appends "name":value --- */

/* A cursor: of a seq in our epoch. */
void rest_cursor_member(struct exchange *ex, struct buf *b, const char *name, uint64_t seq);
void rest_time_member(struct buf *b, const char *name, uint64_t ms);     /* 0: null */
void rest_text_member(struct buf *b, const char *name, struct str s);    /* empty: null */
void rest_duration_member(struct buf *b, const char *name, uint64_t ms); /* seconds, or text */
/* The header that goes with the cursor of a list. */
void rest_cursor_header(struct exchange *ex, uint64_t seq);

/* --- topics --- */

/* The name of a topic: 400 for what cannot be one. */
bool rest_topic_name(struct exchange *ex, struct str name);

/* --- commands --- */

/* An open command on behalf of an exchange, embedded in the handler's state or alone. */
struct rest_ask {
    struct exchange *ex;
    struct route_call *call; /* NULL: none is open */
    /* The completion's code is OK, or the one of `fine`; others were answered already, and release
     * called. */
    void (*on_done)(struct rest_ask *ask, struct unpack *body);
    enum code fine; /* a refusal that is none here; CODE_OK: there is none such */
    void (*release)(struct rest_ask *ask); /* frees the state; called once at its end */
};

/* Sends the command; ex->app is ask until it is released. Answered and released when it fails. */
bool rest_send(struct exchange *ex, struct rest_ask *ask, enum command_type type, size_t size_max,
               route_encode_f *encode, void *encode_arg);
/* For a handler that calls route_command itself: the done function, with ask as its argument, and
 * what makes the exchange wait for it. */
route_done_f rest_done;
void rest_wait(struct exchange *ex, struct rest_ask *ask);
/* The handler's end: clears ex->app and its callbacks and calls release. */
void rest_release(struct rest_ask *ask);
/* The same without state of its own. */
bool rest_command(struct exchange *ex, enum command_type type, size_t size_max,
                  route_encode_f *encode, void *encode_arg,
                  void (*on_done)(struct rest_ask *ask, struct unpack *body));
/* What a failed route_command means to the caller. */
void rest_not_sent(struct exchange *ex, int err);
void rest_store_error(struct exchange *ex, int err);
void rest_no_memory(struct exchange *ex);

/* --- picking up --- */

/* The query of a pick-up but its cursor, judged. */
struct pickup_query {
    uint64_t wait_ms, limit, max_bytes;
    bool ack;
};
bool pickup_query(struct exchange *ex, struct pickup_query *ret);
/* The session's start, or its ack: where who names no cursor begins. */
uint64_t pickup_begin(const struct session *s);
/* Whether Accept prefers an event stream to a list. */
bool sse_wanted(const struct exchange *ex);
void sse_body(struct exchange *ex);

/* --- handlers, for the table --- */

void session_open_head(struct exchange *ex);
void session_open_body(struct exchange *ex);
void session_list_head(struct exchange *ex);
void session_list_body(struct exchange *ex);
void session_get_body(struct exchange *ex);
void session_patch_head(struct exchange *ex);
void session_patch_body(struct exchange *ex);
void session_delete_body(struct exchange *ex);
void session_token_body(struct exchange *ex);
void pickup_body(struct exchange *ex);
void ack_head(struct exchange *ex);
void ack_body(struct exchange *ex);
void publish_head(struct exchange *ex);
void publish_session_body(struct exchange *ex);
void publish_subject_body(struct exchange *ex);
void publish_topic_head(struct exchange *ex);
void publish_topic_body(struct exchange *ex);
void batch_head(struct exchange *ex);
void batch_body(struct exchange *ex);
void topic_list_head(struct exchange *ex);
void topic_list_body(struct exchange *ex);
void topic_read_head(struct exchange *ex);
void topic_get_body(struct exchange *ex);
void topic_history_body(struct exchange *ex);
void topic_empty_head(struct exchange *ex);
void topic_empty_body(struct exchange *ex);
void subscribe_head(struct exchange *ex);
void subscribe_body(struct exchange *ex);
void unsubscribe_body(struct exchange *ex);
void presence_head(struct exchange *ex);
void presence_body(struct exchange *ex);
void receipt_head(struct exchange *ex);
void receipt_body(struct exchange *ex);
void socket_head(struct exchange *ex);
void socket_body(struct exchange *ex);
void health_body(struct exchange *ex);
void ready_body(struct exchange *ex);
void metrics_body(struct exchange *ex);
void openapi_body(struct exchange *ex);
void web_body(struct exchange *ex);
void admin_head(struct exchange *ex);
void status_body(struct exchange *ex);
void rotate_body(struct exchange *ex);

#endif
