/* bare - the ceiling: answers the same requests as restanted, with as many bytes, and stores
 * nothing. One epoll loop a process, one send an answer, no library.
 *
 *   bare PORT PROCESSES
 *
 * A poll (a GET) is parked under its session until a POST to that session answers it, in the same
 * process; so polls want one process. Everything else is answered at once. A WebSocket is greeted,
 * and sent a frame for each POST to its session or to any topic, with one send each; what it says
 * is not read. WebSockets want one process too.
 */
#include "tests/bench/bench.h"

#include <openssl/evp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define IN_SIZE (512 * 1024)
#define SESSION_MAX 64
#define PARKED 65536 /* slots, a power of two */
#define EPOCH "9f86d081884c7d65"

struct connection {
    int fd;
    bool parked, socket;
    size_t at; /* in sockets */
    char session[SESSION_MAX];
    size_t len, cap;
    char *in;
};

struct bare {
    int epoll, listen;
    uint64_t seq;
    struct connection *parked[PARKED]; /* by a hash of the session; a clash is overwritten */
    struct connection **sockets;
    size_t nsockets;
};

static struct connection **slot(struct bare *b, const char *session)
{
    uint32_t h = 2166136261u;
    for (; *session; session++)
        h = (h ^ (unsigned char)*session) * 16777619u;
    return &b->parked[h & (PARKED - 1)];
}

static void reply(struct connection *c, const char *status, uint64_t seq, const char *body)
{
    char text[2048];
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %s\r\nX-Request-Id: 0123456789abcdef01234567\r\n"
                     "Restante-Cursor: " EPOCH ".%llu\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     status, (unsigned long long)seq, strlen(body), body);
    if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
}

static size_t message(char *text, size_t size, const char *first, const char *stream, uint64_t seq,
                      const char *payload, size_t n)
{
    unsigned long long s = seq;
    return (size_t)snprintf(
        text, size,
        "{%s\"seq\":%llu,\"prev\":%llu,\"cursor\":\"" EPOCH
        ".%llu\",\"stream\":\"%s\",\"id\":\"%llu\",\"event\":\"message\","
        "\"time\":\"2026-11-23T11:50:01.123Z\",\"publisher\":\"backend\",\"content_type\":"
        "\"text/plain\",\"data\":\"%.*s\"}",
        first, s, s - 1, s, stream, s, n < 512 ? (int)n : 512, payload);
}

static void deliver(struct connection *c, uint64_t seq, const char *payload, size_t n)
{
    char one[1024], body[1200];
    message(one, sizeof(one), "", "mailbox", seq, payload, n);
    snprintf(body, sizeof(body), "{\"messages\":[%s],\"cursor\":\"" EPOCH ".%llu\",\"more\":false}",
             one, (unsigned long long)seq);
    c->parked = false;
    reply(c, "200 OK", seq, body);
}

/* --- WebSockets --- */

/* One that has just left is dropped once that is read. */
static void send_frame(struct connection *c, const char *frame, size_t n)
{
    if (send(c->fd, frame, n, MSG_NOSIGNAL) != (ssize_t)n && errno != ECONNRESET && errno != EPIPE)
        die("send");
}

/* text begins 4 bytes into room; the frame's head goes before it. */
static const char *framed(char *room, size_t *n)
{
    size_t head = *n < 126 ? 2 : 4;
    char *frame = room + 4 - head;
    frame[0] = (char)0x81;
    frame[1] = (char)(*n < 126 ? *n : 126);
    if (head == 4) {
        frame[2] = (char)(*n >> 8);
        frame[3] = (char)*n;
    }
    *n += head;
    return frame;
}

static void upgrade(struct bare *b, struct connection *c, const char *head)
{
    const char *key = strcasestr(head, "\r\nSec-WebSocket-Key:");
    char text[512], accept[64];
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!key || sscanf(key + 20, " %63[^\r]", accept) != 1)
        die("an upgrade without a key");
    int n = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", accept);
    EVP_Digest(text, (size_t)n, hash, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)accept, hash, (int)len);
    n = snprintf(text, sizeof(text),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: restante.v1.json\r\n\r\n",
                 accept);
    send_frame(c, text, (size_t)n);
    size_t hello = (size_t)snprintf(text + 4, sizeof(text) - 4,
                                    "{\"t\":\"hello\",\"session\":\"%s\",\"cursor\":\"" EPOCH
                                    ".0\",\"heartbeat\":25}",
                                    c->session);
    const char *frame = framed(text, &hello);
    send_frame(c, frame, hello);
    c->socket = true;
    c->at = b->nsockets;
    b->sockets = realloc(b->sockets, (b->nsockets + 1) * sizeof(*b->sockets));
    b->sockets[b->nsockets++] = c;
    *slot(b, c->session) = c;
}

/* To the socket of the session, or to all. */
static void push(struct bare *b, struct connection *to, uint64_t seq, const char *payload, size_t n)
{
    char room[1024];
    size_t len = message(room + 4, sizeof(room) - 4, "\"t\":\"message\",",
                         to ? "mailbox" : "topic:bench:fan", seq, payload, n);
    const char *frame = framed(room, &len);
    if (to)
        send_frame(to, frame, len);
    for (size_t i = 0; !to && i < b->nsockets; i++)
        send_frame(b->sockets[i], frame, len);
}

static void serve(struct bare *b, struct connection *c, const char *head, const char *payload,
                  size_t n)
{
    char session[SESSION_MAX] = "";
    sscanf(head, "%*s /v1/sessions/%63[^/ ]", session);
    if (sscanf(head, "GET /v1/socket?session=%63[^ &]", c->session) == 1) {
        upgrade(b, c, head);
        return;
    }
    if (strncmp(head, "GET ", 4) == 0) {
        memcpy(c->session, session, sizeof(session));
        c->parked = true;
        *slot(b, session) = c;
        return;
    }
    uint64_t seq = ++b->seq;
    bool topic = strncmp(head, "POST /v1/topics/", 16) == 0;
    struct connection *reader = *slot(b, session);
    if (topic)
        push(b, NULL, seq, payload, n);
    else if (session[0] && reader && strcmp(reader->session, session) == 0) {
        if (reader->socket)
            push(b, reader, seq, payload, n);
        else if (reader->parked)
            deliver(reader, seq, payload, n);
    }
    char body[256];
    unsigned long long s = seq;
    snprintf(body, sizeof(body),
             "{\"seq\":%llu,\"cursor\":\"" EPOCH
             ".%llu\",\"stream\":\"mailbox\",\"durability\":\"memory\",\"duplicate\":false}",
             s, s);
    reply(c, session[0] || topic ? "201 Created" : "200 OK", seq, body);
}

static void drop(struct bare *b, struct connection *c)
{
    if (c->session[0] && *slot(b, c->session) == c)
        *slot(b, c->session) = NULL;
    if (c->socket) {
        b->sockets[c->at] = b->sockets[--b->nsockets];
        b->sockets[c->at]->at = c->at;
    }
    close(c->fd);
    free(c->in);
    free(c);
}

static void on_readable(struct bare *b, struct connection *c)
{
    if (c->cap - c->len < 4096) {
        c->cap = c->cap ? c->cap * 2 : 8192;
        c->in = c->cap <= IN_SIZE * 4 ? realloc(c->in, c->cap) : NULL;
        if (!c->in)
            die("a request is too large");
    }
    ssize_t n = recv(c->fd, c->in + c->len, c->cap - c->len - 1, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(b, c);
        return;
    }
    if (c->socket)
        return;
    c->len += (size_t)n;
    size_t at = 0;
    for (;;) {
        c->in[c->len] = '\0';
        char *head = c->in + at, *end = memmem(head, c->len - at, "\r\n\r\n", 4);
        if (!end)
            break;
        *end = '\0';
        const char *length = strcasestr(head, "\r\nContent-Length:");
        size_t body = length ? strtoull(length + 17, NULL, 10) : 0;
        size_t whole = (size_t)(end + 4 - head) + body;
        if (c->len - at < whole) {
            *end = '\r';
            break;
        }
        serve(b, c, head, end + 4, body);
        at += whole;
    }
    memmove(c->in, c->in + at, c->len - at);
    c->len -= at;
}

static void on_accept(struct bare *b)
{
    int fd = accept4(b->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct connection *c = calloc(1, sizeof(*c));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (!c)
        die("memory");
    c->fd = fd;
    if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll_ctl");
}

static void serve_port(int port)
{
    static struct bare b;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
    b.listen = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(b.listen, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(b.listen, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(b.listen, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(b.listen, 1024) != 0)
        die("listen");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(b.epoll, EPOLL_CTL_ADD, b.listen, &e);
    for (;;) {
        int n = epoll_wait(b.epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_readable(&b, events[i].data.ptr);
            else
                on_accept(&b);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: bare PORT PROCESSES\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < atoi(argv[2]); i++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    }
    serve_port(atoi(argv[1]));
}
