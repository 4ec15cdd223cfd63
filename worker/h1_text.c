/* h1_text - the header section of an answer (RFC 9112 section 4).
 *
 * The status line, what every answer has (answer_head.h), and where it ends: Content-Length,
 * chunks, or the end of the connection.
 */
#include "worker/h1_priv.h"

static const struct {
    int status;
    const char *line;
} status_lines[] = {
#define LINE(status, text)                                                                         \
    {                                                                                              \
        status, "HTTP/1.1 " #status " " text "\r\n"                                                \
    }
    LINE(200, "OK"),
    LINE(201, "Created"),
    LINE(202, "Accepted"),
    LINE(204, "No Content"),
    LINE(304, "Not Modified"),
    LINE(400, "Bad Request"),
    LINE(401, "Unauthorized"),
    LINE(403, "Forbidden"),
    LINE(404, "Not Found"),
    LINE(405, "Method Not Allowed"),
    LINE(406, "Not Acceptable"),
    LINE(408, "Request Timeout"),
    LINE(409, "Conflict"),
    LINE(410, "Gone"),
    LINE(413, "Content Too Large"),
    LINE(414, "URI Too Long"),
    LINE(415, "Unsupported Media Type"),
    LINE(417, "Expectation Failed"),
    LINE(426, "Upgrade Required"),
    LINE(429, "Too Many Requests"),
    LINE(431, "Request Header Fields Too Large"),
    LINE(500, "Internal Server Error"),
    LINE(501, "Not Implemented"),
    LINE(503, "Service Unavailable"),
    LINE(505, "HTTP Version Not Supported"),
    LINE(507, "Insufficient Storage"),
#undef LINE
};

static void append_status(struct buf *out, int status)
{
    for (size_t i = 0; i < sizeof(status_lines) / sizeof(status_lines[0]); i++) {
        if (status_lines[i].status == status) {
            buf_append_z(out, status_lines[i].line);
            return;
        }
    }
    buf_printf(out, "HTTP/1.1 %d \r\n", status); /* an empty reason is valid */
}

void h1_answer_head(struct buf *out, struct h1_server *s, const struct h1_request *rq, bool keep)
{
    const struct exchange *ex = &rq->ex;
    append_status(out, ex->out_status);
    answer_head(out, &s->date, ex, !rq->stream);
    if (rq->stream && !rq->http10)
        buf_append_str(out, STR("Transfer-Encoding: chunked\r\n"));
    if (!keep)
        buf_append_str(out, STR("Connection: close\r\n"));
    else if (rq->http10)
        buf_append_str(out, STR("Connection: keep-alive\r\n"));
    buf_append_str(out, STR("\r\n"));
}
