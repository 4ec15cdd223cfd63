/* cors - which origins' pages may call and read (Fetch, "CORS protocol"; RFC 6454 for origins).
 *
 * cors.origins lists them: scheme://host[:port] as browsers send it, with *. before the host for
 * every name below it, or * for all. Credentials travel in headers that a page sets itself, so
 * browsers are never told to send theirs along. An origin that is not listed gets the answer
 * without a word about it, and its browser keeps it from the page. Worker process.
 */
#ifndef WORKER_CORS_H
#define WORKER_CORS_H

#include "worker/exchange.h"

#define CORS_ORIGIN_MAX 300 /* bytes: a scheme, a name of 253 and a port */

/* Whether an item of cors.origins covers this origin; * is not looked at. */
bool cors_matches(struct str item, struct str origin);
/* The header lines of any answer. */
void cors_answer(struct exchange *ex);
/* The header lines of an answer to OPTIONS, when it is a browser's question before the request. */
void cors_preflight(struct exchange *ex, struct str methods);
/* Whether a page may connect a WebSocket, to which browsers do not apply any of the above. Its
 * credential never goes by itself (there are no cookies), so a page has no more of it than whoever
 * gave it the token meant it to have; but where origins are listed, they are all that may: those,
 * and pages of the host that was asked. Who sends no Origin is no browser. */
bool cors_may_connect(const struct exchange *ex);

#endif
