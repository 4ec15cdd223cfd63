/* protocol - the HTTP versions a worker speaks, as one table, and the WebSockets behind them.
 *
 * What is the same for all of them (opening, one turn, the clock, draining, closing) is a loop over
 * the table here; a connection is handed to one of them by hello.h. WebSockets begin as HTTP/1.1
 * (exchange_hand_over); in a drain it is their application that ends them. Worker process.
 */
#ifndef WORKER_PROTOCOL_H
#define WORKER_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/wire.h"

enum protocol { PROTOCOL_HTTP1, PROTOCOL_HTTP2, PROTOCOLS };

struct worker;

/* Opens them all; w->h1 and its like are set. now_ms: boot clock; NULL: the real one. 0 or
 * -errno; then close what there is. */
int protocol_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg);
void protocol_close(struct worker *w); /* also of a worker that opened none */

/* Is p spoken here? And its name in ALPN (RFC 7301); static. */
bool protocol_spoken(enum protocol p);
const char *protocol_name(enum protocol p);

/* Hands a connection over: the wire is p's from here on, also on failure. 0 or -ENOMEM. */
int protocol_accept(struct worker *w, enum protocol p, struct wire wire, const char *remote);

bool protocol_proceed(struct worker *w); /* one turn; true: there is more to do, do not sleep */
void protocol_tick(struct worker *w);
void protocol_drain(struct worker *w);
size_t protocol_connections(const struct worker *w);

#endif
