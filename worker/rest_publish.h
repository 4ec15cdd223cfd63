/* rest_publish - what a single publish and a batch share. Worker; private to the REST handlers. */
#ifndef WORKER_REST_PUBLISH_H
#define WORKER_REST_PUBLISH_H

#include "worker/envelope.h"
#include "worker/rest_priv.h"

/* Fills the command item of an envelope: publisher, trace, hashes. *digest is made when the first
 * key needs it and belongs to the caller. 0, -ENOMEM. */
int publish_item(const struct exchange *ex, const struct envelope *e, struct digest **digest,
                 struct command_append_item *ret);
struct str publish_publisher(const struct exchange *ex);

/* HTTP status of one result: 201, 200 (duplicate), 202 (ephemeral), or the code's. */
int publish_status(enum code code, bool duplicate, bool ephemeral);
/* Appends {"session":...,"status":...,...}; session NULL: without it. */
void publish_result(struct buf *b, const uint8_t *session, const struct append_result *r,
                    bool ephemeral);
/* Whether the caller may publish to this topic, and what becomes of it in this version. */
enum code publish_topic(const struct exchange *ex, struct str topic);

#endif
