/* tail_socket - pick up by a WebSocket (restante.v1.json): print what it says, ack over the same
 * connection, come back where it ended.
 *
 * libwebsockets is the client: connection, TLS, framing, pongs. One ack is in flight at a time, for
 * all that has reached standard output by then. Whatever ends a connection, the session is looked
 * at by REST before the next one: that tells the end of the session, of the credential's days, or a
 * server that is not trusted, in the same words as the other verbs. A proxy of the environment is
 * not asked: libwebsockets does not know for which hosts not to.
 */
#include "server/cli/tail.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <libwebsockets.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FRAME_MAX (256u << 20) /* bytes of one message */
#define COMMAND_MAX 256
#define AGAIN_MS 500          /* an ack that was not taken */
#define HEARTBEAT_MAX 600     /* seconds */
#define HEARTBEAT_UNKNOWN 25u /* until hello */

#define CLOSED_SUPERSEDED                                                                          \
    4409 /* libwebsockets makes 1002 of 1012 and 1013, so no other is judged */

struct socket {
    struct tail *t;
    struct address at;
    struct lws_context *context;
    struct lws *wsi; /* once it is open */
    struct buf frame, object, path;
    char acked[64];      /* the cursor of the last ack that was confirmed */
    char flying[64];     /* of the one that is not answered yet; "": none */
    uint64_t n;          /* of that ack */
    uint64_t heard_ms;   /* boot clock: the last sign of life */
    uint64_t again_ms;   /* no ack before */
    uint64_t advised_ms; /* how long to stay away; 0: nobody said */
    unsigned heartbeat_s;
    int http, closed; /* how the last connection was refused, how it was ended; 0: it was not */
    bool over, ready, printed, ping;
    int rc;
};

enum member { M_T, M_HEARTBEAT, M_CURSOR, M_STREAMS, M_RE, M_CODE, M_DETAIL, M_RETRY, MEMBERS };
static const char *const names[MEMBERS] = {"t",  "heartbeat", "cursor", "streams",
                                           "re", "code",      "detail", "retry_after_ms"};

static bool is(struct json_value v, const char *text)
{
    return v.raw.p && v.type == JSON_STRING && str_is(str_make(v.raw.p + 1, v.raw.n - 2), text);
}

static uint64_t number(struct json_value v, uint64_t otherwise)
{
    uint64_t n;
    return v.raw.p && json_u64(v, &n) == 0 ? n : otherwise;
}

/* The message object as the other roads have it: without "t". */
static void print(struct socket *s, struct json_value frame, struct json_value cursor)
{
    struct json_iter it;
    struct str key;
    struct json_value v;
    buf_reset(&s->object);
    json_iter_begin(&it, frame);
    while (json_next_member(&it, &key, &v)) {
        if (json_key_is(key, "t"))
            continue;
        buf_append_z(&s->object, s->object.len ? ",\"" : "{\"");
        buf_append_str(&s->object, key);
        buf_append_z(&s->object, "\":");
        buf_append_str(&s->object, v.raw);
    }
    buf_append_c(&s->object, '}');
    if (s->object.error) {
        cli_error("no memory for a message");
        s->rc = CLI_ENVIRONMENT;
        return;
    }
    tail_print(s->t, buf_str(&s->object));
    s->printed = true;
    if (cursor.raw.p && cursor.type == JSON_STRING) /* an ephemeral one has none */
        tail_cursor(s->t, str_make(cursor.raw.p + 1, cursor.raw.n - 2));
}

/* Half a heartbeat has gone by, or an ack is to be tried again. The server's pings are answered,
 * but not told: so we ask ourselves. */
static int on_timer(struct socket *s)
{
    uint64_t now = clock_boot_ms(), every = s->heartbeat_s * 1000ull;
    uint64_t silent = now - s->heard_ms;
    if (silent >= every * 5 / 2)
        return -1;
    s->ping |= silent >= every;
    uint64_t next = s->again_ms > now ? s->again_ms - now : every / 2;
    lws_callback_on_writable(s->wsi);
    lws_set_timer_usecs(s->wsi, (lws_usec_t)next * 1000);
    return 0;
}

static void on_error(struct socket *s, const struct json_value *m)
{
    bool mine = s->flying[0] && number(m[M_RE], 0) == s->n;
    if (mine)
        s->flying[0] = '\0';
    if (mine && (is(m[M_CODE], "unavailable") || is(m[M_CODE], "rate_limited"))) {
        s->again_ms = clock_boot_ms() + AGAIN_MS;
        on_timer(s);
        return;
    }
    cli_error("refused: %.*s: %.*s", (int)m[M_CODE].raw.n, m[M_CODE].raw.p, (int)m[M_DETAIL].raw.n,
              m[M_DETAIL].raw.p);
    s->rc = CLI_REFUSED;
}

static void on_frame(struct socket *s)
{
    struct json_value frame, m[MEMBERS];
    if (json_check(buf_str(&s->frame), &frame) != 0 || json_pick(frame, names, MEMBERS, m) != 0 ||
        !m[M_T].raw.p) {
        cli_error("the server's frame makes no sense");
        s->rc = CLI_REFUSED;
    } else if (is(m[M_T], "message")) {
        print(s, frame, m[M_CURSOR]);
    } else if (is(m[M_T], "hello")) {
        s->ready = true;
        uint64_t every = number(m[M_HEARTBEAT], HEARTBEAT_UNKNOWN);
        s->heartbeat_s = every > HEARTBEAT_MAX ? HEARTBEAT_MAX : every ? (unsigned)every : 1;
        on_timer(s);
    } else if (is(m[M_T], "ok") && number(m[M_RE], 0) == s->n) {
        memcpy(s->acked, s->flying, sizeof(s->acked));
        s->flying[0] = '\0';
    } else if (is(m[M_T], "error")) {
        on_error(s, m);
    } else if (is(m[M_T], "truncated") && m[M_STREAMS].raw.p) {
        tail_missed(m[M_STREAMS].raw);
    } else if (is(m[M_T], "reset")) {
        tail_reset(s->t, frame.raw);
    } else if (is(m[M_T], "closing")) {
        s->advised_ms = number(m[M_RETRY], 0);
    }
}

static int on_bytes(struct socket *s, struct lws *wsi, const void *bytes, size_t n)
{
    s->heard_ms = clock_boot_ms();
    if (lws_is_first_fragment(wsi))
        buf_reset(&s->frame);
    buf_append(&s->frame, bytes, n);
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi))
        return 0;
    if (s->frame.error) {
        cli_error("a message that is too large");
        s->rc = CLI_ENVIRONMENT;
        return -1;
    }
    on_frame(s);
    lws_callback_on_writable(wsi); /* after what else has come already */
    return s->rc == CLI_OK ? 0 : -1;
}

static int send_text(struct lws *wsi, enum lws_write_protocol how, const char *text)
{
    unsigned char room[LWS_PRE + COMMAND_MAX];
    size_t n = strlen(text);
    memcpy(room + LWS_PRE, text, n);
    return lws_write(wsi, room + LWS_PRE, n, how) < (int)n ? -1 : 0;
}

static bool wants_ack(const struct socket *s)
{
    return s->t->ack && s->ready && s->printed && !s->flying[0] && s->t->cursor[0] &&
           strcmp(s->t->cursor, s->acked) != 0 && clock_boot_ms() >= s->again_ms;
}

/* One thing at a time; libwebsockets says when the next may go. */
static int on_writable(struct socket *s, struct lws *wsi)
{
    if (fflush(stdout) != 0) {
        cli_error("standard output cannot be written");
        s->rc = CLI_ENVIRONMENT;
        return -1;
    }
    if (s->ping) {
        s->ping = false;
        lws_callback_on_writable(wsi);
        return send_text(wsi, LWS_WRITE_PING, "");
    }
    if (!wants_ack(s))
        return 0;
    char text[COMMAND_MAX];
    memcpy(s->flying, s->t->cursor, sizeof(s->flying));
    snprintf(text, sizeof(text), "{\"t\":\"ack\",\"n\":%llu,\"cursor\":\"%s\"}",
             (unsigned long long)++s->n, s->flying);
    return send_text(wsi, LWS_WRITE_TEXT, text);
}

static int add_authorization(struct socket *s, struct lws *wsi, unsigned char **p, size_t n)
{
    const char *key = s->t->c->key;
    if (!key || !key[0])
        return 0;
    struct buf value;
    buf_init(&value, 16384);
    buf_printf(&value, "Bearer %s", key);
    int failed = value.error || lws_add_http_header_by_name(
                                    wsi, (const unsigned char *)"Authorization:", value.data,
                                    (int)value.len, p, *p + n);
    buf_free(&value);
    return failed;
}

/* libwebsockets compares names only. An address is compared by OpenSSL. */
static void expect_address(const struct socket *s, SSL_CTX *tls)
{
    X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(tls), s->at.host);
}

static bool is_address(const char *host)
{
    unsigned char ip[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t n)
{
    struct socket *s = wsi ? lws_context_user(lws_get_context(wsi)) : NULL;
    if (!s)
        return 0;
    switch (why) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_CLIENT_VERIFY_CERTS:
        if (!s->t->c->insecure && is_address(s->at.host))
            expect_address(s, user);
        return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return add_authorization(s, wsi, in, n);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        s->wsi = wsi;
        s->heard_ms = clock_boot_ms();
        return on_timer(s);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        s->heard_ms = clock_boot_ms();
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE: {
        int rc = on_bytes(s, wsi, in, n);
        s->heard_ms = clock_boot_ms(); /* what printing it took is not the server's silence */
        return rc;
    }
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return on_writable(s, wsi);
    case LWS_CALLBACK_TIMER:
        return on_timer(s);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (n >= 2)
            s->closed = ((unsigned char *)in)[0] << 8 | ((unsigned char *)in)[1];
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        s->http = (int)lws_http_client_http_response(wsi);
        s->over = true;
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        s->over = true;
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "restante.v1.json", .callback = on_event, .rx_buffer_size = 64 * 1024},
    {.name = NULL}};

/* One connection, to its end. */
static int attempt(struct socket *s)
{
    struct tail *t = s->t;
    s->over = s->ready = s->ping = false;
    s->flying[0] = '\0';
    s->http = s->closed = 0;
    s->advised_ms = s->again_ms = 0;
    s->heartbeat_s = HEARTBEAT_UNKNOWN;
    buf_reset(&s->path);
    buf_printf(&s->path, "%s/v1/socket?session=", s->at.path);
    cli_encode(&s->path, t->session);
    if (t->cursor[0])
        buf_printf(&s->path, "&cursor=%s", t->cursor);
    buf_append_c(&s->path, '\0');
    if (s->path.error)
        return CLI_USAGE;
    int flags = s->at.tls ? LCCSCF_USE_SSL : 0;
    if (s->at.tls && t->c->insecure)
        flags |= LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_EXPIRED | LCCSCF_ALLOW_INSECURE |
                 LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
    else if (s->at.tls && is_address(s->at.host))
        flags |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK; /* expect_address */
    const struct lws_client_connect_info how = {
        .context = s->context,
        .address = s->at.host,
        .port = s->at.port,
        .ssl_connection = flags,
        .path = (const char *)s->path.data,
        .host = s->at.host,
        .protocol = protocols[0].name,
        .local_protocol_name = protocols[0].name,
        .ietf_version_or_minus_one = -1,
        .alpn = "http/1.1",
    };
    if (!lws_client_connect_via_info(&how))
        s->over = true;
    while (!s->over && lws_service(s->context, 0) >= 0)
        ;
    return s->rc;
}

/* What the session's REST road says about the connection's end: CLI_OK, try again. */
static int explain(struct socket *s, unsigned *failures)
{
    struct tail *t = s->t;
    char why[256];
    tail_path(t, "");
    buf_append_c(&t->path, '\0');
    const struct request q = {
        .method = "GET", .path = (const char *)t->path.data, .timeout_ms = TAIL_ANSWER_MS};
    int rc = t->path.error ? CLI_USAGE : cli_request(t->c, &q, &t->answer, why);
    long status = rc == CLI_OK ? t->answer.status : 0;
    if (rc != CLI_OK && rc != CLI_UNREACHABLE) {
        cli_error("%s", why);
        return rc;
    }
    if (status == 0 || status == 503 || status == 429) {
        if (*failures == 3)
            cli_error("%s; trying on", status ? "the server is not available" : why);
    } else if (status != 200) {
        return cli_refused(&t->answer);
    } else if (s->http / 100 == 4 && s->http != 429) {
        cli_error("refused: %d to a WebSocket", s->http);
        return CLI_REFUSED;
    }
    cli_back_off((*failures)++, status == 200 ? 0 : t->answer.retry_after_s);
    return CLI_OK;
}

static int run(struct socket *s)
{
    unsigned failures = 0;
    for (;;) {
        int rc = attempt(s);
        if (rc != CLI_OK)
            return rc;
        if (s->closed == CLOSED_SUPERSEDED) {
            cli_error("superseded: a newer connection has this session");
            return CLI_REFUSED;
        }
        if (s->ready)
            failures = 0;
        if (s->advised_ms) {
            const struct timespec t = {.tv_sec = (time_t)(s->advised_ms / 1000),
                                       .tv_nsec = (long)(s->advised_ms % 1000) * 1000000};
            nanosleep(&t, NULL);
            continue;
        }
        rc = explain(s, &failures);
        if (rc != CLI_OK)
            return rc;
    }
}

int tail_socket(struct tail *t)
{
    struct socket s = {.t = t};
    char why[256];
    int rc = cli_address(t->c, &s.at, why);
    if (rc != CLI_OK) {
        cli_error("%s", why);
        return rc;
    }
    buf_init(&s.frame, FRAME_MAX);
    buf_init(&s.object, FRAME_MAX);
    buf_init(&s.path, 4096);
    lws_set_log_level(0, NULL);
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .options = s.at.tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
        .client_ssl_ca_filepath = s.at.tls && !t->c->insecure ? cli_trust(t->c) : NULL,
        .http_proxy_address = "",
        .fd_limit_per_thread = 32,
        .pt_serv_buf_size = 64 * 1024,
        .user = &s,
    };
    s.context = lws_create_context(&info);
    if (s.context)
        rc = run(&s);
    else {
        cli_error("libwebsockets cannot start; is --cacert a file of certificates?");
        rc = CLI_ENVIRONMENT;
    }
    if (s.context)
        lws_context_destroy(s.context);
    buf_free(&s.frame);
    buf_free(&s.object);
    buf_free(&s.path);
    cli_address_free(&s.at);
    return rc;
}
