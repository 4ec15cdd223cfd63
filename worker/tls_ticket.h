/* tls_ticket - session tickets sealed with the keys on the board (RFC 5077 section 4: AES-CBC, then
 * HMAC-SHA256). Private to tls*.c. Worker process.
 */
#ifndef WORKER_TLS_TICKET_H
#define WORKER_TLS_TICKET_H

#include <stdint.h>

struct board;
struct ssl_ctx_st;

/* Tickets of ctx go by board's keys and live for life_s seconds. board must outlive ctx. 0 or
 * -EINVAL. */
int tls_ticket_setup(struct ssl_ctx_st *ctx, const struct board *board, uint64_t life_s);

#endif
