/* tickets - the keys that TLS session tickets are sealed with (RFC 5077, RFC 8446 section 4.6.1).
 *
 * Made at random at every start and never written to disk, so no ticket outlives the server, and
 * who reads the disk later cannot open recorded connections. All workers of all generations read
 * them from the board: a ticket of one resumes at another. The newest seals; the ones before it
 * open what is still in circulation. Supervisor only.
 */
#ifndef SERVER_TICKETS_H
#define SERVER_TICKETS_H

struct supervisor;

void tickets_start(struct supervisor *s); /* before the first role; every key is random */
/* Each turn: a new key in front, the last one dropped, every server.ticket_rotation. */
void tickets_proceed(struct supervisor *s);

#endif
