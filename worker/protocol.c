/* protocol - see protocol.h. A row is made from the functions of one protocol's header, which are
 * alike; the casts between a worker and its servers are here and nowhere else.
 */
#include "worker/protocol.h"

#include <errno.h>

#include "common/log.h"

#include "worker/h1.h"
#include "worker/h2.h"
#include "worker/worker.h"
#include "worker/ws.h"

struct http {
    const char *name; /* NULL: not spoken */
    int (*open)(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg);
    void (*close)(struct worker *w);
    int (*accept)(struct worker *w, struct wire wire, const char *remote);
    bool (*proceed)(struct worker *w);
    void (*tick)(struct worker *w);
    void (*drain)(struct worker *w);
    size_t (*connections)(const struct worker *w);
};

/* A server that was not opened has no connections and nothing to do. */
#define PROTOCOL(p)                                                                                \
    static int p##_row_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg)        \
    {                                                                                              \
        return p##_open(w, now_ms, now_arg, &w->p);                                                \
    }                                                                                              \
    static void p##_row_close(struct worker *w)                                                    \
    {                                                                                              \
        p##_close(w->p);                                                                           \
        w->p = NULL;                                                                               \
    }                                                                                              \
    static int p##_row_accept(struct worker *w, struct wire wire, const char *remote)              \
    {                                                                                              \
        return p##_accept(w->p, wire, remote);                                                     \
    }                                                                                              \
    static bool p##_row_proceed(struct worker *w)                                                  \
    {                                                                                              \
        return w->p && p##_proceed(w->p);                                                          \
    }                                                                                              \
    static void p##_row_tick(struct worker *w)                                                     \
    {                                                                                              \
        if (w->p)                                                                                  \
            p##_tick(w->p);                                                                        \
    }                                                                                              \
    static void p##_row_drain(struct worker *w)                                                    \
    {                                                                                              \
        if (w->p)                                                                                  \
            p##_drain(w->p);                                                                       \
    }                                                                                              \
    static size_t p##_row_connections(const struct worker *w)                                      \
    {                                                                                              \
        return w->p ? p##_connections(w->p) : 0;                                                   \
    }

#define ROW(p, alpn)                                                                               \
    {                                                                                              \
        alpn, p##_row_open, p##_row_close, p##_row_accept, p##_row_proceed, p##_row_tick,          \
            p##_row_drain, p##_row_connections                                                     \
    }

PROTOCOL(h1)
PROTOCOL(h2)

static const struct http rows[PROTOCOLS] = {
    [PROTOCOL_HTTP1] = ROW(h1, "http/1.1"),
    [PROTOCOL_HTTP2] = ROW(h2, "h2"),
};

int protocol_open(struct worker *w, uint64_t (*now_ms)(void *arg), void *now_arg)
{
    int r = 0;
    for (size_t i = 0; i < PROTOCOLS && r == 0; i++) {
        if (rows[i].name)
            r = rows[i].open(w, now_ms, now_arg);
    }
    return r == 0 ? ws_open(w, now_ms, now_arg, &w->ws) : r;
}

void protocol_close(struct worker *w)
{
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (rows[i].name)
            rows[i].close(w);
    }
    ws_close_all(w->ws);
    w->ws = NULL;
}

bool protocol_spoken(enum protocol p)
{
    return rows[p].name != NULL;
}

const char *protocol_name(enum protocol p)
{
    return rows[p].name;
}

int protocol_accept(struct worker *w, enum protocol p, struct wire wire, const char *remote)
{
    must(protocol_spoken(p));
    return rows[p].accept(w, wire, remote);
}

bool protocol_proceed(struct worker *w)
{
    bool more = false;
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (rows[i].name && rows[i].proceed(w))
            more = true;
    }
    if (w->ws && ws_proceed(w->ws)) /* behind HTTP/1.1, which hands over to it */
        more = true;
    return more;
}

void protocol_tick(struct worker *w)
{
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (rows[i].name)
            rows[i].tick(w);
    }
    if (w->ws)
        ws_tick(w->ws);
}

void protocol_drain(struct worker *w)
{
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (rows[i].name)
            rows[i].drain(w);
    }
}

size_t protocol_connections(const struct worker *w)
{
    size_t n = 0;
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (rows[i].name)
            n += rows[i].connections(w);
    }
    return w->ws ? n + ws_connections(w->ws) : n;
}
