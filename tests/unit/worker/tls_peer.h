/* tls_peer - a TLS client for tests, on one end of a socketpair; the other end is the server's. */
#ifndef TESTS_UNIT_WORKER_TLS_PEER_H
#define TESTS_UNIT_WORKER_TLS_PEER_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/certificate.h"
#include "common/conf.h"
#include "shm/board.h"
#include "tests/unit/certificate_maker.h"
#include "worker/tls.h"

struct peer_wishes {
    int version;          /* TLS1_2_VERSION, ...; 0: any */
    const char *ciphers;  /* of TLS 1.2; NULL: the default */
    const char *alpn;     /* "\x02h2\x08http/1.1"; NULL: none */
    const char *host;     /* SNI; NULL: none */
    SSL_SESSION *session; /* to be resumed; NULL: none */
    bool distrusts;       /* refuses the server's certificate */
};

struct peer {
    int fd;     /* the client's end */
    int server; /* the server's end, until somebody owns it */
    SSL_CTX *ctx;
    SSL *ssl;
};

static inline void peer_pair(struct peer *p)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    p->fd = pair[0];
    p->server = pair[1];
}

MAKER_UNUSED static struct peer peer_open(const struct peer_wishes *w)
{
    struct peer p;
    peer_pair(&p);
    p.ctx = SSL_CTX_new(TLS_client_method());
    if (!p.ctx)
        abort();
    SSL_CTX_set_security_level(p.ctx,
                               0); /* old versions and weak ciphers are the server's to refuse */
    SSL_CTX_set_verify(p.ctx, w->distrusts ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(p.ctx, SSL_SESS_CACHE_OFF); /* sessions outlive the context */
    if (w->version) {
        SSL_CTX_set_min_proto_version(p.ctx, w->version);
        SSL_CTX_set_max_proto_version(p.ctx, w->version);
    }
    if (w->ciphers && SSL_CTX_set_cipher_list(p.ctx, w->ciphers) != 1)
        abort();
    if (w->alpn)
        SSL_CTX_set_alpn_protos(p.ctx, (const unsigned char *)w->alpn, (unsigned)strlen(w->alpn));
    p.ssl = SSL_new(p.ctx);
    if (!p.ssl || SSL_set_fd(p.ssl, p.fd) != 1)
        abort();
    if (w->host)
        SSL_set_tlsext_host_name(p.ssl, w->host);
    if (w->session)
        SSL_set_session(p.ssl, w->session);
    SSL_set_connect_state(p.ssl);
    return p;
}

MAKER_UNUSED static void peer_close(struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    if (p->fd >= 0)
        close(p->fd);
    if (p->server >= 0)
        close(p->server);
    ERR_clear_error();
}

/* Both sides as far as it goes. The server's last step. */
MAKER_UNUSED static enum tls_step peer_shake(struct peer *p, struct ssl_st *server,
                                             enum tls_fault *ret_fault)
{
    enum tls_step step = TLS_WANT_READ;
    for (int i = 0; i < 20 && (step == TLS_WANT_READ || step == TLS_WANT_WRITE); i++) {
        SSL_do_handshake(p->ssl);
        step = tls_shake(server, ret_fault);
    }
    SSL_do_handshake(p->ssl); /* takes in what came last */
    char byte;
    SSL_read(p->ssl, &byte, 1); /* and the ticket, with TLS 1.3 */
    return step;
}

/* A listener's configuration with certificates for names; the strings stay the caller's. */
MAKER_UNUSED static void peer_listen(struct conf_listen *l, const char *const *names, size_t n)
{
    *l = (struct conf_listen){.address = (char *)(uintptr_t) "test", .tls = true};
    l->certificates = calloc(n, sizeof(l->certificates[0]));
    if (!l->certificates)
        abort();
    l->ncertificates = n;
    for (size_t i = 0; i < n; i++)
        l->certificates[i] = certificate_for(names[i]);
}

MAKER_UNUSED static void peer_unlisten(struct conf_listen *l)
{
    for (size_t i = 0; i < l->ncertificates; i++)
        certificate_free(l->certificates[i]);
    free(l->certificates);
}

/* A board whose ticket keys are made of n; each n has its own. */
MAKER_UNUSED static void peer_tickets(struct board *b, int newest)
{
    struct ticket_keys k;
    for (int i = 0; i < TICKET_KEYS; i++)
        memset(&k.key[i], newest - i, sizeof(k.key[i]));
    board_tickets_set(b, &k);
}

#endif
