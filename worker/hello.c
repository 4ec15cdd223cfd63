/* hello - see hello.h.
 *
 * First bytes in clear text are looked at, not taken, so that whoever gets the connection reads it
 * from its beginning. Only a part of the HTTP/2 preface is taken when more is needed to decide:
 * left in the socket it would keep it readable, and the loop awake. What was taken is known (it is
 * a prefix of the preface), so its length is all that travels on, in the wire.
 */
#include "worker/hello.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#include "worker/accept.h"
#include "worker/last_word.h"
#include "worker/protocol.h"
#include "worker/tls.h"
#include "worker/wheel.h"
#include "worker/worker.h"

#define TLS_RECORD 0x16 /* the first byte of a TLS connection: a handshake record */

struct guest { /* a connection that is here */
    struct hello *hello;
    struct guest *next, **prev; /* in the order of accept */
    struct event ready;
    struct wheel_timer timer;
    struct tls *tls;    /* NULL: clear text is expected */
    struct ssl_st *ssl; /* its handshake; NULL: no byte yet */
    int fd;
    bool writes;         /* `ready` waits for room, not for bytes */
    unsigned char early; /* bytes of the preface that were taken */
    char remote[];
};

struct hello {
    struct worker *worker;
    uint64_t (*now_ms)(void *arg);
    void *now_arg;
    struct wheel wheel;
    struct guest *first, **end; /* the oldest in front */
    size_t count, limit;
    size_t ntls;
    struct tls *tls[]; /* by listener; NULL: clear text */
};

/* --- the end of a stay --- */

/* Only the descriptor and the handshake are left, the caller's. */
static int release(struct guest *g)
{
    struct hello *s = g->hello;
    int fd = g->fd;
    *g->prev = g->next;
    if (g->next)
        g->next->prev = g->prev;
    else
        s->end = g->prev;
    s->count--;
    wheel_cancel(&g->timer);
    if (event_initialized(&g->ready))
        event_del(&g->ready);
    metric_sub(s->worker->metrics, METRIC_CONNECTIONS, 1);
    return fd;
}

/* These, and all that follows them, return whether g is still here. */
static bool dismiss(struct guest *g)
{
    close(release(g));
    tls_end(g->ssl);
    free(g);
    return false;
}

static bool dismiss_with(struct guest *g, enum code code, const char *detail)
{
    last_word(g->hello->worker, release(g), code, detail);
    free(g);
    return false;
}

static bool hand_over(struct guest *g, enum protocol p)
{
    struct worker *w = g->hello->worker;
    int fd = release(g);
    struct wire wire = g->ssl ? wire_tls(fd, g->ssl) : wire_clear(fd);
    wire.early = g->early;
    if (protocol_accept(w, p, wire, g->remote) < 0)
        metric_add(w->metrics, METRIC_REFUSED_FDS, 1);
    free(g);
    return false;
}

static void count(struct guest *g, enum metric m)
{
    metric_add(g->hello->worker->metrics, m, 1);
}

/* --- TLS --- */

static void note_failure(struct guest *g, enum tls_fault f)
{
    count(g, tls_fault_metric(f));
    log_event(LOG_DEBUG, "handshake_failed", LOG_Z("reason", tls_fault_text(f)),
              LOG_Z("remote", g->remote));
}

static void on_ready(evutil_socket_t fd, short what, void *arg);

/* 0 or -ENOMEM. */
static int wait_for(struct guest *g, bool room)
{
    if (event_initialized(&g->ready))
        event_del(&g->ready);
    g->writes = room;
    event_assign(&g->ready, g->hello->worker->base, g->fd, (room ? EV_WRITE : EV_READ) | EV_PERSIST,
                 on_ready, g);
    return event_add(&g->ready, NULL) < 0 ? -ENOMEM : 0;
}

static bool shake(struct guest *g)
{
    enum tls_fault f = TLS_INTERNAL;
    enum tls_step step = tls_shake(g->ssl, &f);
    if (step == TLS_DONE) {
        count(g, tls_metric(g->ssl));
        return hand_over(g, tls_protocol(g->ssl));
    }
    bool room = step == TLS_WANT_WRITE;
    bool waits = step != TLS_FAILED;
    if (waits && room != g->writes)
        waits = wait_for(g, room) == 0;
    if (waits)
        return true;
    note_failure(g, f);
    return dismiss(g);
}

static bool look_for_tls(struct guest *g)
{
    unsigned char first;
    ssize_t n = recv(g->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return dismiss(g);
    if (first != TLS_RECORD) {
        note_failure(g, TLS_CLEAR);
        return dismiss_with(g, CODE_BAD_REQUEST, "this port speaks TLS: use https");
    }
    g->ssl = tls_begin(g->tls, g->fd);
    if (g->ssl)
        return shake(g);
    note_failure(g, TLS_INTERNAL);
    return dismiss(g);
}

/* --- first bytes in clear text --- */

/* They begin like the preface, and more is needed to tell. */
static bool take_early(struct guest *g, size_t n)
{
    char bytes[WIRE_PREFACE_LEN];
    if (recv(g->fd, bytes, n, MSG_DONTWAIT) != (ssize_t)n)
        return dismiss(g); /* what was there is gone: the socket is broken */
    g->early = (unsigned char)(g->early + n);
    return true;
}

static bool look(struct guest *g)
{
    char bytes[WIRE_PREFACE_LEN];
    size_t wanted = WIRE_PREFACE_LEN - g->early;
    ssize_t n = recv(g->fd, bytes, wanted, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return dismiss(g);
    if (g->early == 0 && bytes[0] == TLS_RECORD) {
        count(g, METRIC_CLOSED_PROTOCOL);
        return dismiss(g);
    }
    bool alike =
        protocol_spoken(PROTOCOL_HTTP2) && memcmp(bytes, &WIRE_PREFACE[g->early], (size_t)n) == 0;
    if (!alike)
        return hand_over(g, PROTOCOL_HTTP1);
    return (size_t)n == wanted ? hand_over(g, PROTOCOL_HTTP2) : take_early(g, (size_t)n);
}

/* --- events --- */

static bool proceed(struct guest *g)
{
    if (g->ssl)
        return shake(g);
    return g->tls ? look_for_tls(g) : look(g);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    proceed(arg);
}

static void on_due(void *arg)
{
    struct guest *g = arg;
    if (g->tls)
        note_failure(g, TLS_TIMEOUT);
    count(g, METRIC_CLOSED_TIMEOUT);
    dismiss(g);
}

/* --- all of them --- */

static uint64_t boot_ms(void *arg)
{
    (void)arg;
    return clock_boot_ms();
}

/* The oldest goes, unless it has said by now what it speaks. */
static void make_room(struct hello *s)
{
    struct guest *g = s->first;
    if (!proceed(g))
        return;
    count(g, METRIC_REFUSED_UNDECIDED);
    log_event(LOG_DEBUG, "connection_refused", LOG_Z("reason", "undecided"),
              LOG_Z("remote", g->remote));
    if (g->tls)
        dismiss(g); /* it would not understand */
    else
        dismiss_with(g, CODE_UNAVAILABLE, "limits.undecided is reached");
}

static int open_tls(struct hello *s)
{
    const struct worker *w = s->worker;
    int r = 0;
    for (size_t i = 0; i < s->ntls && r == 0; i++) {
        if (w->conf->listens[i].tls)
            r = tls_open(&w->conf->listens[i], w->board, 2 * w->conf->ticket_rotation / 1000,
                         &s->tls[i]);
    }
    return r;
}

int hello_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg, struct hello **ret)
{
    size_t n = w->conf->nlistens;
    struct hello *s = calloc(1, sizeof(*s) + n * sizeof(s->tls[0]));
    if (!s)
        return -ENOMEM;
    s->ntls = n;
    s->worker = w;
    s->now_ms = now_ms ? now_ms : boot_ms;
    s->now_arg = now_arg;
    s->end = &s->first;
    s->limit = (size_t)(acceptor_limit(w) * w->conf->undecided / 100);
    if (s->limit < HELLO_LEAST)
        s->limit = HELLO_LEAST;
    wheel_init(&s->wheel, s->now_ms(s->now_arg));
    int r = open_tls(s);
    if (r == 0)
        *ret = s;
    else
        hello_close(s);
    return r;
}

void hello_close(struct hello *s)
{
    if (!s)
        return;
    while (s->first)
        dismiss(s->first);
    for (size_t i = 0; i < s->ntls; i++)
        tls_close(s->tls[i]);
    free(s);
}

int hello_accept(struct hello *s, int fd, size_t listen, const char *remote)
{
    struct worker *w = s->worker;
    size_t n = strlen(remote) + 1;
    struct guest *g = malloc(sizeof(*g) + n);
    if (!g) {
        close(fd);
        metric_add(w->metrics, METRIC_REFUSED_FDS, 1);
        return -ENOMEM;
    }
    if (s->count >= s->limit)
        make_room(s);
    memset(g, 0, sizeof(*g));
    memcpy(g->remote, remote, n);
    g->hello = s;
    g->fd = fd;
    g->prev = s->end;
    *s->end = g;
    s->end = &g->next;
    s->count++;
    metric_add(w->metrics, METRIC_CONNECTIONS, 1);
    g->tls = listen < s->ntls ? s->tls[listen] : NULL;
    if (!proceed(g)) /* most have sent something by now */
        return 0;
    uint64_t patience = g->tls ? w->conf->handshake_timeout : w->conf->head_timeout;
    wheel_set(&s->wheel, &g->timer, s->now_ms(s->now_arg) + patience, on_due, g);
    if (event_initialized(&g->ready) || wait_for(g, false) == 0)
        return 0;
    count(g, METRIC_REFUSED_FDS);
    dismiss(g);
    return -ENOMEM;
}

void hello_tick(struct hello *s)
{
    wheel_turn(&s->wheel, s->now_ms(s->now_arg));
}

void hello_drain(struct hello *s)
{
    struct guest *next;
    for (struct guest *g = s->first; g; g = next) {
        next = g->next;
        char byte;
        bool silent =
            !g->ssl && g->early == 0 && recv(g->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
        if (silent)
            dismiss(g);
        else
            proceed(g); /* whoever takes it has to know it before it drains */
    }
}

size_t hello_connections(const struct hello *s)
{
    return s->count;
}
