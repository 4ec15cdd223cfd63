/* tail_stream - pick up by an event stream: print what it says, come back where it ended.
 *
 * A reader of the event stream format (WHATWG HTML, section 9.2.6) as our server writes it: lines
 * end with LF. Acks go over a connection of their own, since the stream's is busy for ever; while
 * one is under way nothing is read, and the server waits.
 */
#include "server/cli/tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SILENCE_MS 60000       /* several keep-alives of a server that keeps the default */
#define EVENT_MAX (256u << 20) /* bytes of one event */

struct stream {
    struct tail *t;
    struct cli acks;
    struct buf line, event, data, id;
    uint64_t retry_ms; /* what the server advised; 0: nothing */
    bool closing;      /* it said that it is going */
    bool moved;        /* something was printed that is not acked yet */
    bool heard;        /* something came on this connection */
    int rc;
};

static void on_event(struct stream *s)
{
    struct str name = buf_str(&s->event), data = buf_str(&s->data);
    struct json_value lost;
    if (str_is(name, "restante.reset")) {
        tail_reset(s->t, data);
    } else if (str_is(name, "restante.truncated")) {
        if (cli_member(data, "streams", &lost))
            tail_missed(lost.raw);
    } else if (str_is(name, "restante.closing")) {
        s->closing = true;
    } else {
        tail_print(s->t, data);
        s->moved = true;
        tail_cursor(s->t, buf_str(&s->id));
    }
}

static void end_event(struct stream *s)
{
    if (s->data.len)
        on_event(s);
    buf_reset(&s->event);
    buf_reset(&s->data);
    buf_reset(&s->id);
}

static void on_line(struct stream *s)
{
    struct str line = buf_str(&s->line);
    const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    if (line.n == 0) {
        end_event(s);
        return;
    }
    struct str field = str_make(line.p, colon ? (size_t)(colon - line.p) : line.n);
    struct str value = STR("");
    if (colon) {
        const char *p = colon + 1, *end = line.p + line.n;
        p += p < end && *p == ' ';
        value = str_make(p, (size_t)(end - p));
    }
    if (str_is(field, "event")) {
        buf_append_str(&s->event, value);
    } else if (str_is(field, "id")) {
        buf_append_str(&s->id, value);
    } else if (str_is(field, "data")) {
        if (s->data.len)
            buf_append_c(&s->data, '\n');
        buf_append_str(&s->data, value);
    } else if (str_is(field, "retry")) {
        char number[24];
        snprintf(number, sizeof(number), "%.*s", (int)value.n, value.p);
        s->retry_ms = strtoull(number, NULL, 10);
    }
}

static bool on_bytes(void *arg, struct str bytes)
{
    struct stream *s = arg;
    s->heard = true;
    for (const char *p = bytes.p, *end = p + bytes.n; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        buf_append(&s->line, p, (size_t)((stop ? stop : end) - p));
        if (!stop)
            break;
        if (!s->line.error)
            on_line(s);
        buf_reset(&s->line);
        p = stop + 1;
    }
    if (s->line.error || s->data.error || s->event.error || s->id.error) {
        cli_error("an event that is too large");
        s->rc = CLI_ENVIRONMENT;
    } else if (s->moved) {
        s->moved = false;
        s->rc = tail_ack(s->t, &s->acks);
    }
    return s->rc == CLI_OK;
}

/* What was half said when the line broke comes again. */
static void forget(struct stream *s)
{
    buf_reset(&s->line);
    buf_reset(&s->event);
    buf_reset(&s->data);
    buf_reset(&s->id);
    s->retry_ms = 0;
    s->closing = s->heard = s->moved = false;
}

static int request(struct stream *s, char why[256])
{
    struct tail *t = s->t;
    char last[128];
    const char *headers[] = {"Accept: text/event-stream", NULL, NULL};
    tail_path(t, "/messages");
    buf_append_c(&t->path, '\0');
    if (t->path.error)
        return CLI_USAGE;
    if (t->cursor[0]) {
        snprintf(last, sizeof(last), "Last-Event-ID: %s", t->cursor);
        headers[1] = last;
    }
    const struct request q = {.method = "GET", .path = (const char *)t->path.data};
    const struct streaming how = {
        .headers = headers, .on_bytes = on_bytes, .arg = s, .silence_ms = SILENCE_MS};
    return cli_stream(t->c, &q, &how, &t->answer, why);
}

static void wait_ms(uint64_t ms)
{
    const struct timespec t = {.tv_sec = (time_t)(ms / 1000),
                               .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static int run(struct stream *s)
{
    struct tail *t = s->t;
    unsigned failures = 0;
    for (;;) {
        char why[256] = "";
        forget(s);
        int rc = request(s, why);
        long status = rc == CLI_OK ? t->answer.status : 0;
        if (s->rc != CLI_OK)
            return s->rc;
        if (rc != CLI_OK && rc != CLI_UNREACHABLE) {
            cli_error("%s", why);
            return rc;
        }
        if (status == 200) {
            failures = s->heard ? 0 : failures + 1;
            if (s->closing && s->retry_ms)
                wait_ms(s->retry_ms);
            else
                cli_back_off(failures, 0);
        } else if (status == 204) {
            cli_error("session_unknown: it has ended, or never was");
            return CLI_REFUSED;
        } else if (status == 0 || status == 503 || status == 429) {
            if (failures == 3)
                cli_error("%s; trying on", status ? "the server is not available" : why);
            cli_back_off(failures++, status ? t->answer.retry_after_s : 0);
        } else {
            return cli_refused(&t->answer);
        }
    }
}

int tail_stream(struct tail *t)
{
    struct stream s = {.t = t, .acks = *t->c};
    s.acks.http = NULL;
    buf_init(&s.line, EVENT_MAX);
    buf_init(&s.data, EVENT_MAX);
    buf_init(&s.event, 1024);
    buf_init(&s.id, sizeof(t->cursor));
    int rc = run(&s);
    cli_close(&s.acks);
    buf_free(&s.line);
    buf_free(&s.data);
    buf_free(&s.event);
    buf_free(&s.id);
    return rc;
}
