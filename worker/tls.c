/* tls - see tls.h. One SSL_CTX per certificate; a connection begins with the first one and moves to
 * that of its server name inside the handshake.
 */
#include "worker/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "common/certificate.h"
#include "common/conf.h"
#include "common/log.h"

#include "worker/tls_ticket.h"

#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TLS13_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"

struct tls {
    const struct conf_listen *conf;
    size_t n;
    SSL_CTX *ctx[]; /* of conf->certificates */
};

/* --- what a client asks for --- */

/* The certificate for host: exact before wildcard, the earlier before the later; else the first. */
static size_t certificate_of(const struct conf_listen *conf, struct str host)
{
    for (int wildcards = 0; wildcards < 2; wildcards++) {
        for (size_t i = 0; i < conf->ncertificates; i++) {
            if (certificate_is_for(conf->certificates[i], host, wildcards))
                return i;
        }
    }
    return 0;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    struct tls *t = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    size_t i = t->n > 1 ? certificate_of(t->conf, str_of(name)) : 0;
    if (i > 0 && !SSL_set_SSL_CTX(ssl, t->ctx[i]))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static bool is_in(const char *name, const unsigned char *list, size_t n)
{
    size_t len = strlen(name);
    for (size_t at = 0; at < n; at += 1 + (size_t)list[at]) {
        if (list[at] == len && n - at > len && memcmp(list + at + 1, name, len) == 0)
            return true;
    }
    return false;
}

/* The newest protocol that both speak. */
static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
                   const unsigned char *list, unsigned n, void *arg)
{
    (void)ssl;
    (void)arg;
    for (int p = PROTOCOLS - 1; p >= 0; p--) {
        const char *name =
            protocol_spoken((enum protocol)p) ? protocol_name((enum protocol)p) : NULL;
        if (!name || !is_in(name, list, n))
            continue;
        *ret = (const unsigned char *)name;
        *ret_n = (unsigned char)strlen(name);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- contexts --- */

static bool set_up(SSL_CTX *ctx, const struct certificate *c)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, TLS13_CIPHERS) == 1 &&
           SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 &&
           SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) == 1;
}

static int open_context(struct tls *t, const struct board *board, uint64_t ticket_life_s)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return -ENOMEM;
    t->ctx[t->n++] = ctx;
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    int r = set_up(ctx, t->conf->certificates[t->n - 1]) ? 0 : -EINVAL;
    return r == 0 ? tls_ticket_setup(ctx, board, ticket_life_s) : r;
}

int tls_open(const struct conf_listen *conf, const struct board *board, uint64_t ticket_life_s,
             struct tls **ret)
{
    must(conf->ncertificates > 0);
    struct tls *t = calloc(1, sizeof(*t) + conf->ncertificates * sizeof(t->ctx[0]));
    if (!t)
        return -ENOMEM;
    t->conf = conf;
    int r = 0;
    while (r == 0 && t->n < conf->ncertificates)
        r = open_context(t, board, ticket_life_s);
    if (r < 0) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());
        log_event(LOG_ERROR, "tls_failed", LOG_Z("address", conf->address),
                  LOG_Z("reason", why ? why : ""), LOG_E(r));
        tls_close(t);
        return r;
    }
    *ret = t;
    return 0;
}

void tls_close(struct tls *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        SSL_CTX_free(t->ctx[i]);
    free(t);
}

/* --- a handshake --- */

struct ssl_st *tls_begin(struct tls *t, int fd)
{
    ERR_clear_error();
    SSL *ssl = SSL_new(t->ctx[0]);
    if (!ssl)
        return NULL;
    if (SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

void tls_end(struct ssl_st *ssl)
{
    SSL_free(ssl); /* SSL_set_fd: the descriptor stays open */
}

static const struct {
    int reason; /* of OpenSSL's library SSL */
    enum tls_fault fault;
} reasons[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, TLS_VERSION},
    {SSL_R_VERSION_TOO_LOW, TLS_VERSION},
    {SSL_R_VERSION_TOO_HIGH, TLS_VERSION},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, TLS_VERSION},
    {SSL_R_INAPPROPRIATE_FALLBACK, TLS_VERSION},
    {SSL_R_NO_SHARED_CIPHER, TLS_CIPHER},
    {SSL_R_NO_SHARED_GROUPS, TLS_CIPHER},
    {SSL_R_NO_SUITABLE_KEY_SHARE, TLS_CIPHER},
    {SSL_R_NO_SUITABLE_GROUPS, TLS_CIPHER},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TLS_CIPHER},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, TLS_CIPHER},
    {SSL_R_NO_APPLICATION_PROTOCOL, TLS_ALPN},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_GONE},
    {ERR_R_MALLOC_FAILURE, TLS_INTERNAL},
    {ERR_R_INTERNAL_ERROR, TLS_INTERNAL},
};

static enum tls_fault fault_of(unsigned long error)
{
    int reason = ERR_GET_REASON(error);
    if (error == 0)
        return TLS_GONE; /* an end, or what the socket said */
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET)
        return TLS_ALERT;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reason == reasons[i].reason)
            return reasons[i].fault;
    }
    return ERR_SYSTEM_ERROR(error) ? TLS_GONE : TLS_GARBAGE;
}

enum tls_step tls_shake(struct ssl_st *ssl, enum tls_fault *ret_fault)
{
    ERR_clear_error();
    int r = SSL_do_handshake(ssl);
    if (r == 1)
        return TLS_DONE;
    switch (SSL_get_error(ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    default:
        *ret_fault = fault_of(ERR_peek_error());
        ERR_clear_error();
        return TLS_FAILED;
    }
}

/* --- afterwards --- */

enum protocol tls_protocol(const struct ssl_st *ssl)
{
    const unsigned char *name;
    unsigned n;
    SSL_get0_alpn_selected(ssl, &name, &n);
    for (int p = 0; p < PROTOCOLS && n; p++) {
        const char *known = protocol_name((enum protocol)p);
        if (known && strlen(known) == n && memcmp(known, name, n) == 0)
            return (enum protocol)p;
    }
    return PROTOCOL_HTTP1;
}

enum metric tls_metric(const struct ssl_st *ssl)
{
    bool resumed = SSL_session_reused(ssl);
    if (SSL_version(ssl) == TLS1_3_VERSION)
        return resumed ? METRIC_TLS13_RESUMED : METRIC_TLS13_FULL;
    return resumed ? METRIC_TLS12_RESUMED : METRIC_TLS12_FULL;
}

static const struct {
    enum metric metric;
    const char *text;
} faults[TLS_FAULTS] = {
#define FAULT(name, reason) [TLS_##name] = {METRIC_TLS_FAILED_##name, reason},
#include "worker/tls_fault_table.h"
#undef FAULT
};

enum metric tls_fault_metric(enum tls_fault f)
{
    must(f < TLS_FAULTS);
    return faults[f].metric;
}

const char *tls_fault_text(enum tls_fault f)
{
    must(f < TLS_FAULTS);
    return faults[f].text;
}
