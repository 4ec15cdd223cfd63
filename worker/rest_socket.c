/* rest_socket - a WebSocket is asked for (RFC 6455 section 4.2), and judged before anything changes
 * hands: whatever is wrong is answered in words, by a problem document.
 *
 * A page cannot set headers here, so its credential comes in the query, or as one of the
 * subprotocols it offers: restante.bearer.<base64url of the token>. That one is never chosen, so it
 * is never sent back; who offers nothing else has named no encoding, as if nothing was offered. A
 * cursor that is not ours is no refusal: it is told by `reset`, and everything comes from the
 * oldest on.
 */
#include "worker/cors.h"
#include "worker/rest_priv.h"
#include "worker/socket.h"

#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define VERSION "13"
#define BEARER "restante.bearer."

/* --- what is offered --- */

static const struct protocol {
    const char *name;
    enum encoding encoding;
} protocols[] = {
    {SOCKET_JSON, ENCODING_JSON},
    {SOCKET_MSGPACK, ENCODING_MSGPACK},
};

struct offer {
    const struct protocol *first; /* the first of ours; NULL: none */
    struct str bearer;            /* p NULL: none */
    bool any;                     /* an encoding was asked for, ours or not */
};

static void take_entry(struct offer *offer, struct str entry)
{
    size_t prefix = sizeof(BEARER) - 1;
    if (!entry.n)
        return;
    if (entry.n >= prefix && memcmp(entry.p, BEARER, prefix) == 0) {
        if (!offer->bearer.p)
            offer->bearer = str_make(entry.p + prefix, entry.n - prefix);
        return;
    }
    offer->any = true;
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]) && !offer->first; i++)
        if (str_is(entry, protocols[i].name))
            offer->first = &protocols[i];
}

/* A list of RFC 9110 section 5.6.1: commas, white space around entries, empty ones allowed. */
static void take_list(struct offer *offer, struct str list)
{
    const char *p = list.p, *end = list.p + list.n;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end, *next = comma ? comma + 1 : end;
        while (p < stop && (*p == ' ' || *p == '\t'))
            p++;
        while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        take_entry(offer, str_make(p, (size_t)(stop - p)));
        p = next;
    }
}

static struct offer read_offer(const struct exchange *ex)
{
    static const char name[] = "sec-websocket-protocol";
    struct offer offer = {.any = false};
    for (size_t i = 0; i < ex->nheaders; i++) {
        const struct header *h = &ex->headers[i];
        if (h->name.n == sizeof(name) - 1 && strncasecmp(h->name.p, name, h->name.n) == 0)
            take_list(&offer, h->value);
    }
    return offer;
}

/* --- before anything is looked up --- */

static void refuse_road(struct exchange *ex, const char *why)
{
    /* HTTP/2 has no such fields (RFC 9113 section 8.2.2). */
    if (ex->transport->may_upgrade) {
        exchange_add_header(ex, "Upgrade", STR("websocket"));
        exchange_add_header(ex, "Connection", STR("Upgrade"));
    }
    exchange_problem(ex, CODE_UPGRADE_REQUIRED, 0, "%s", why);
}

static bool asks_properly(struct exchange *ex)
{
    if (ex->method != METHOD_GET || !exchange_may_upgrade(ex)) {
        refuse_road(ex, "this is a WebSocket's place: ask to upgrade, over HTTP/1.1");
        return false;
    }
    if (!str_is(exchange_header(ex, "sec-websocket-version"), VERSION)) {
        exchange_add_header(ex, "Sec-WebSocket-Version", STR(VERSION));
        refuse_road(ex, "Sec-WebSocket-Version: " VERSION " is spoken here");
        return false;
    }
    if (!ws_key_valid(exchange_header(ex, "sec-websocket-key"))) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "Sec-WebSocket-Key: base64 of 16 bytes");
        return false;
    }
    if (!cors_may_connect(ex)) {
        exchange_problem(ex, CODE_FORBIDDEN, 0, "pages of this origin may not connect");
        return false;
    }
    return true;
}

static bool identify_bearer(struct exchange *ex, struct str bearer)
{
    char token[TOKEN_MAX];
    struct session_keys keys;
    enum code code = CODE_TOKEN_MALFORMED;
    int n = b64url_decode(bearer, token, sizeof(token));
    if (n > 0) {
        board_keys_get(ex->worker->board, &keys);
        code = principal_of(ex->worker->conf, &keys, str_make(NULL, 0), str_make(token, (size_t)n),
                            clock_wall_ms(), &ex->principal);
    }
    if (code != CODE_OK)
        exchange_problem(ex, code, 0, NULL);
    return code == CODE_OK;
}

void socket_head(struct exchange *ex)
{
    if (!asks_properly(ex))
        return;
    if (ex->principal.kind == PRINCIPAL_NONE) {
        struct offer offer = read_offer(ex);
        if (offer.bearer.p && !identify_bearer(ex, offer.bearer))
            return;
    }
    rest_session_head(ex);
}

/* --- the connection changes hands --- */

struct upgrade {
    struct socket *socket;
    const struct protocol *protocol; /* NULL: none was offered */
    char key[WS_KEY_TEXT];
};

static void on_gone(struct exchange *ex)
{
    struct upgrade *u = ex->app;
    socket_free(u->socket);
    free(u);
}

static void on_wire(struct exchange *ex, struct wire wire, const char *remote)
{
    struct upgrade *u = ex->app;
    const struct ws_handshake handshake = {
        .key = str_make(u->key, sizeof(u->key)),
        .protocol = u->protocol ? u->protocol->name : NULL,
        .request_id = ex->request_id,
    };
    socket_begin(u->socket, wire, remote, &handshake);
    free(u);
}

static void hand_over(struct exchange *ex, const struct socket_start *start,
                      const struct protocol *protocol)
{
    struct upgrade *u = calloc(1, sizeof(*u));
    if (!u || socket_new(ex->worker, start, &u->socket) != 0) {
        free(u);
        rest_no_memory(ex);
        return;
    }
    u->protocol = protocol;
    memcpy(u->key, exchange_header(ex, "sec-websocket-key").p, sizeof(u->key));
    ex->app = u;
    ex->on_gone = on_gone;
    exchange_hand_over(ex, on_wire);
}

/* False: answered. */
static bool read_start(struct exchange *ex, const struct session *s, struct cursor_reset *reset,
                       struct socket_start *ret)
{
    char memory[2 * CURSOR_TEXT];
    struct buf b;
    buf_fixed(&b, memory, sizeof(memory));
    int found = rest_query(ex, "cursor", &b);
    ret->cursor = pickup_begin(s);
    if (found <= 0)
        return found == 0;
    switch (rest_cursor_judge(ex, s, buf_str(&b), &ret->cursor, reset)) {
    case REST_CURSOR_OURS:
        /* Who asks from there has it; what lies before the session's start is nobody's. */
        if (ret->cursor > s->start_seq)
            route_touch(ex->worker->route, s, ret->cursor);
        return true;
    case REST_CURSOR_RESET:
        ret->cursor = reset->oldest;
        ret->reset = reset;
        return true;
    default:
        return false;
    }
}

static void upgrade(struct exchange *ex, const struct session *s)
{
    struct offer offer = read_offer(ex);
    struct cursor_reset reset;
    struct socket_start start = {
        .session = s,
        .principal = &ex->principal,
        .encoding = offer.first ? offer.first->encoding : ENCODING_JSON,
    };
    if (offer.any && !offer.first)
        exchange_problem(ex, CODE_BAD_REQUEST, 0,
                         "Sec-WebSocket-Protocol: " SOCKET_JSON " or " SOCKET_MSGPACK
                         " must be among what is offered");
    else if (read_start(ex, s, &reset, &start))
        hand_over(ex, &start, offer.first);
}

void socket_body(struct exchange *ex)
{
    struct session_copy session;
    if (ex->worker->draining) {
        exchange_problem(ex, CODE_UNAVAILABLE, 0, "this server is leaving; come again");
        return;
    }
    int found = rest_query(ex, "session", &ex->param_text);
    if (found == 0)
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "query parameter session: it is needed");
    if (found <= 0)
        return;
    ex->param[0] = buf_str(&ex->param_text);
    if (!rest_session(ex, &session))
        return;
    upgrade(ex, &session.s);
    session_copy_free(&session);
}
