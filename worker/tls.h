/* tls - TLS 1.2 and 1.3 by OpenSSL (RFC 5246, RFC 8446), as a listener is configured.
 *
 * One `struct tls` per TLS listener, made when the worker starts, from what the configuration has
 * read already; it opens no files. It chooses the certificate by SNI (RFC 6066: an exact name
 * before a wildcard, else the first), the protocol by ALPN (RFC 7301), and seals tickets with the
 * keys on the board, so that a session resumes at any worker. There is no renegotiation, no
 * compression, no early data (a request must not be replayable); TLS 1.2 has forward-secret AEAD
 * ciphers only. A connection is an `SSL`: begin, shake until done, then wire.h has it. Worker
 * process.
 */
#ifndef WORKER_TLS_H
#define WORKER_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "common/metric.h"
#include "worker/protocol.h"

struct board;
struct conf_listen;
struct ssl_st;
struct tls;

enum tls_fault {
#define FAULT(name, ...) TLS_##name,
#include "worker/tls_fault_table.h"
#undef FAULT
    TLS_FAULTS
};

/* conf must outlive it, board too. ticket_life_s: how long a ticket resumes, in seconds. 0,
 * -ENOMEM, or -EINVAL when OpenSSL refuses (logged). */
int tls_open(const struct conf_listen *conf, const struct board *board, uint64_t ticket_life_s,
             struct tls **ret);
void tls_close(struct tls *t); /* connections live on; NULL is fine */

/* A connection whose first byte has not been read yet; fd stays the caller's. NULL: no memory. */
struct ssl_st *tls_begin(struct tls *t, int fd);
void tls_end(struct ssl_st *ssl); /* of one that was not handed on */

enum tls_step { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_FAILED };
/* As far as it goes now. TLS_FAILED: *ret_fault; the alert was sent if there is one. */
enum tls_step tls_shake(struct ssl_st *ssl, enum tls_fault *ret_fault);

/* After TLS_DONE: what was agreed on (HTTP/1.1 without ALPN), and its row of the metric table. */
enum protocol tls_protocol(const struct ssl_st *ssl);
enum metric tls_metric(const struct ssl_st *ssl);
enum metric tls_fault_metric(enum tls_fault f);
const char *tls_fault_text(enum tls_fault f); /* static */

#endif
