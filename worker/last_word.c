/* last_word - see last_word.h. */
#include "worker/last_word.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/request_id.h"
#include "worker/wire.h"
#include "worker/worker.h"

#define TEXT_MAX 1024

/* A whole answer; returns its length. */
static size_t compose(char text[TEXT_MAX], const char *id, enum code code, const char *detail)
{
    char body[512];
    bool again = code == CODE_UNAVAILABLE;
    int n = snprintf(body, sizeof(body),
                     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\","
                     "\"detail\":\"%s\",%s\"request_id\":\"%s\"}",
                     code_title(code), code_status(code), code_text(code), detail,
                     again ? "\"outcome\":\"none\"," : "", id);
    n = snprintf(text, TEXT_MAX,
                 "HTTP/1.1 %d %s\r\nServer: restante\r\nCache-Control: no-store\r\n"
                 "X-Request-Id: %s\r\nContent-Type: application/problem+json\r\n%s"
                 "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                 code_status(code), code_title(code), id, again ? "Retry-After: 1\r\n" : "", n,
                 body);
    return (size_t)n;
}

void last_word(struct worker *w, int fd, enum code code, const char *detail)
{
    char id[REQUEST_ID_MADE + 1], text[TEXT_MAX], rest[2048];
    request_id_make(&w->request_seed, id);
    size_t n = compose(text, id, code, detail);
    /* What the peer has sent already is read, or closing would reset the connection before the
     * answer is seen. */
    ssize_t sent = send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)n && shutdown(fd, SHUT_WR) == 0) {
        ssize_t got = recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
        (void)got;
    }
    close(fd);
}

void last_word_by_wire(struct wire *wire, const char *request_id, enum code code,
                       const char *detail)
{
    char text[TEXT_MAX];
    struct iovec part = {text, compose(text, request_id, code, detail)};
    ssize_t sent = wire_write(wire, &part, 1);
    (void)sent;
    wire_close(wire);
}
