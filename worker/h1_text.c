/* h1_text - the header section of an answer (RFC 9112 section 4, RFC 9110 section 6.6).
 *
 * Every answer says when (Date), who (Server, without a version), which (X-Request-Id), that it
 * must not be stored, and where it ends: Content-Length, chunks, or the end of the connection.
 */
#include <stdio.h>
#include <time.h>

#include "common/clock.h"

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

/* IMF-fixdate, made once a second. Written out by hand: strftime would follow the locale. */
static const char *date_of(struct h1_server *s)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t now_s = clock_wall_ms() / 1000;
    if (now_s == s->date_s)
        return s->date;
    time_t t = (time_t)now_s;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        snprintf(s->date, sizeof(s->date), "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                 days + tm.tm_wday * 3, (unsigned)tm.tm_mday % 100, months + tm.tm_mon * 3,
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    s->date_s = now_s;
    return s->date;
}

void h1_answer_head(struct buf *out, struct h1_server *s, const struct h1_request *rq, bool keep)
{
    const struct exchange *ex = &rq->ex;
    append_status(out, ex->out_status);
    buf_append_z(out, "Date: ");
    buf_append_z(out, date_of(s));
    buf_append_str(out, STR("\r\nServer: restante\r\nCache-Control: no-store\r\nX-Request-Id: "));
    buf_append_z(out, ex->request_id);
    buf_append_str(out, STR("\r\n"));
    bool bodiless = ex->out_status == 204 || ex->out_status == 304;
    if (ex->out_type && !bodiless) {
        buf_append_str(out, STR("Content-Type: "));
        buf_append_z(out, ex->out_type);
        buf_append_str(out, STR("\r\n"));
    }
    buf_append_str(out, buf_str(&ex->out_head));
    if (!bodiless && !rq->stream) {
        buf_append_str(out, STR("Content-Length: "));
        buf_append_u64(out, ex->out_body.len);
        buf_append_str(out, STR("\r\n"));
    } else if (rq->stream && !rq->http10) {
        buf_append_str(out, STR("Transfer-Encoding: chunked\r\n"));
    }
    if (!keep)
        buf_append_str(out, STR("Connection: close\r\n"));
    else if (rq->http10)
        buf_append_str(out, STR("Connection: keep-alive\r\n"));
    buf_append_str(out, STR("\r\n"));
}
