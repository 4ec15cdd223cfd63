/* presence - what a session says of itself in a topic, as it comes by REST or WebSocket.
 *
 * Worker. Pure.
 */
#ifndef WORKER_PRESENCE_H
#define WORKER_PRESENCE_H

#include "common/code.h"
#include "common/conf.h"
#include "common/datum.h"

/* Levels of a meta: in lists, diffs and the messages that carry them it must stay below what any
 * reader takes. */
#define PRESENCE_DEPTH 32

/* What a command's presence is, of the member `said` of a request: nothing was said, null, or a
 * meta, compact and with its reserved members left out (member_meta). ns: the topic's namespace.
 * OK, with a view into b (set up here; to be freed in any case); or BAD_REQUEST, TOO_LARGE,
 * FORBIDDEN, UNAVAILABLE (no memory) with *ret_why static. */
enum code presence_read(const struct conf *conf, const struct conf_namespace *ns,
                        const struct datum *said, struct buf *b, struct str *ret,
                        const char **ret_why);

#endif
