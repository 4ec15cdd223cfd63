/* tickets - see tickets.h. */
#include "server/tickets.h"

#include <string.h>

#include "common/ids.h"
#include "common/log.h"

#include "server/supervisor.h"

void tickets_start(struct supervisor *s)
{
    struct ticket_keys keys;

    /* Those that seal nothing are random as well: a key that is known would open a forgery. */
    ids_random(&keys, sizeof(keys));
    board_tickets_set(s->board, &keys);
    s->tickets_due_ms = s->now_ms + s->conf->ticket_rotation;
    explicit_bzero(&keys, sizeof(keys));
}

void tickets_proceed(struct supervisor *s)
{
    struct ticket_keys keys;

    if (s->now_ms < s->tickets_due_ms)
        return;
    board_tickets_get(s->board, &keys);
    memmove(&keys.key[1], &keys.key[0], (TICKET_KEYS - 1) * sizeof(keys.key[0]));
    ids_random(&keys.key[0], sizeof(keys.key[0]));
    board_tickets_set(s->board, &keys);
    s->tickets_due_ms = s->now_ms + s->conf->ticket_rotation;
    explicit_bzero(&keys, sizeof(keys));
    log_event(LOG_DEBUG, "ticket_keys_rotated");
}
