/* message_list - {"messages":[...],"cursor":...,"more":...}: the answer of a pick-up, in either
 * encoding.
 *
 * Written straight into the answer while messages come; counts are patched in at the end, so no
 * message is copied twice. An error is the buffer's. Worker.
 */
#ifndef WORKER_MESSAGE_LIST_H
#define WORKER_MESSAGE_LIST_H

#include "common/datum.h"
#include "shm/page.h"

#define MESSAGE_LIST_MAX 1000 /* messages */

struct message_list {
    struct buf *out; /* the caller's; its own from the first message to the end */
    enum encoding encoding;
    size_t map_at, array_at; /* MessagePack: headers that wait for their counts */
    unsigned count;          /* messages in it */
    unsigned nlost;
    struct buf lost; /* the rows of "truncated" */
};

/* out is empty, and stays the caller's. */
void message_list_init(struct message_list *l, struct buf *out, enum encoding encoding);
void message_list_free(struct message_list *l);
void message_list_reset(struct message_list *l); /* empty again, out too */
/* object: made in the list's encoding. At most MESSAGE_LIST_MAX. */
void message_list_add(struct message_list *l, struct str object);
/* Retention took messages of this stream unseen. */
void message_list_lost(struct message_list *l, struct str stream, uint64_t from, uint64_t to);
void message_list_end(struct message_list *l, struct str cursor, bool more);

#endif
