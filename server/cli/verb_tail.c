/* verb_tail - pick up by long-poll, from a cursor that survives servers: what was printed is never
 * printed again, what was not is asked for again. */
#include "server/cli/tail.h"

#include "common/ids.h"
#include "common/units.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

void tail_print(struct tail *t, struct str message)
{
    if (t->json) {
        fwrite(message.p, 1, message.n, stdout);
        putchar('\n');
        return;
    }
    struct json_value v;
    buf_reset(&t->text);
    if (cli_member(message, "data_b64", &v) && v.type == JSON_STRING) {
        struct buf b64;
        buf_init(&b64, t->text.max);
        json_string(v, &b64);
        if (buf_reserve(&t->text, b64.len) == 0) {
            int n = b64_decode(buf_str(&b64), t->text.data, t->text.cap);
            t->text.len = n > 0 ? (size_t)n : 0;
        }
        buf_free(&b64);
    } else if (cli_member(message, "data", &v)) {
        if (v.type == JSON_STRING)
            json_string(v, &t->text);
        else
            buf_append_str(&t->text, v.raw);
    }
    if (t->text.len)
        fwrite(t->text.data, 1, t->text.len, stdout);
    putchar('\n');
}

void tail_cursor(struct tail *t, struct str cursor)
{
    if (cursor.n == 0 || cursor.n >= sizeof(t->cursor))
        return;
    memcpy(t->cursor, cursor.p, cursor.n);
    t->cursor[cursor.n] = '\0';
}

void tail_reset(struct tail *t, struct str object)
{
    struct buf reason, oldest;
    buf_init(&reason, 64);
    buf_init(&oldest, sizeof(t->cursor));
    cli_string(object, "reason", &reason);
    cli_string(object, "oldest", &oldest);
    if (!reason.error && !oldest.error) {
        cli_error("the cursor is not of this store (%s): going on from %s", (char *)reason.data,
                  (char *)oldest.data);
        tail_cursor(t, str_of((char *)oldest.data));
    }
    buf_free(&reason);
    buf_free(&oldest);
}

void tail_missed(struct str streams)
{
    cli_error("retention took messages unseen: %.*s", (int)streams.n, streams.p);
}

void tail_path(struct tail *t, const char *what)
{
    buf_reset(&t->path);
    buf_append_z(&t->path, "/v1/sessions/");
    cli_encode(&t->path, t->session);
    buf_append_z(&t->path, what);
}

/* Prints a page and moves the cursor. Number of messages, or -1: the answer makes no sense. */
static long print_page(struct tail *t)
{
    struct str body = buf_str(&t->answer.body);
    struct json_value list, one, v;
    if (!cli_member(body, "messages", &list) || list.type != JSON_ARRAY ||
        !cli_member(body, "cursor", &v) || v.type != JSON_STRING)
        return -1;
    struct json_value lost;
    if (cli_member(body, "truncated", &lost))
        tail_missed(lost.raw);
    long n = 0;
    struct json_iter it;
    json_iter_begin(&it, list);
    for (; json_next_item(&it, &one); n++)
        tail_print(t, one.raw);
    if (v.raw.n - 2 >= sizeof(t->cursor))
        return -1;
    memcpy(t->cursor, v.raw.p + 1, v.raw.n - 2);
    t->cursor[v.raw.n - 2] = '\0';
    return n;
}

int tail_ack(struct tail *t, struct cli *c)
{
    if (fflush(stdout) != 0) {
        cli_error("standard output: %s", strerror(errno));
        return CLI_ENVIRONMENT;
    }
    if (!t->ack || !t->cursor[0])
        return CLI_OK;
    tail_path(t, "/ack");
    buf_append_c(&t->path, '\0');
    char body[96];
    snprintf(body, sizeof(body), "{\"cursor\":\"%s\"}", t->cursor);
    struct request q = {.method = "POST",
                        .path = (const char *)t->path.data,
                        .content_type = "application/json",
                        .body = str_of(body),
                        .timeout_ms = TAIL_ANSWER_MS};
    for (unsigned attempt = 0;; attempt++) {
        char why[256];
        int rc = cli_request(c, &q, &t->answer, why);
        if (rc == CLI_OK && t->answer.status / 100 == 2)
            return CLI_OK;
        if (rc == CLI_OK && t->answer.status != 503 && t->answer.status != 429)
            return cli_refused(&t->answer);
        if (rc != CLI_OK && rc != CLI_UNREACHABLE) {
            cli_error("%s", why);
            return rc;
        }
        cli_back_off(attempt, rc == CLI_OK ? t->answer.retry_after_s : 0);
    }
}

/* The cursor is of another history. One that stays the same would be refused for ever. */
static int reset(struct tail *t)
{
    char before[sizeof(t->cursor)];
    memcpy(before, t->cursor, sizeof(before));
    tail_reset(t, buf_str(&t->answer.body));
    return strcmp(before, t->cursor) != 0 ? CLI_OK : cli_refused(&t->answer);
}

static int run(struct tail *t)
{
    unsigned failures = 0;
    for (;;) {
        tail_path(t, "/messages");
        buf_printf(&t->path, "?limit=%llu&wait=%llums", (unsigned long long)t->limit,
                   (unsigned long long)(t->once ? 0 : t->wait_ms));
        if (t->cursor[0])
            buf_printf(&t->path, "&cursor=%s", t->cursor);
        buf_append_c(&t->path, '\0');
        if (t->path.error)
            return CLI_USAGE;
        struct request q = {.method = "GET",
                            .path = (const char *)t->path.data,
                            .timeout_ms = (long)(TAIL_ANSWER_MS + t->wait_ms)};
        char why[256];
        int rc = cli_request(t->c, &q, &t->answer, why);
        bool again = rc == CLI_UNREACHABLE ||
                     (rc == CLI_OK && (t->answer.status == 503 || t->answer.status == 429));
        if (again) {
            if (failures == 3)
                cli_error("%s; trying on", rc == CLI_OK ? "the server is not available" : why);
            cli_back_off(failures++, rc == CLI_OK ? t->answer.retry_after_s : 0);
            continue;
        }
        failures = 0;
        if (rc != CLI_OK) {
            cli_error("%s", why);
            return rc;
        }
        if (t->answer.status == 410)
            rc = reset(t);
        else if (t->answer.status == 200) {
            long n = print_page(t);
            if (n < 0) {
                cli_error("the server's answer makes no sense");
                return CLI_REFUSED;
            }
            struct json_value more;
            bool ended = t->once && !(cli_member(buf_str(&t->answer.body), "more", &more) &&
                                      more.type == JSON_TRUE);
            rc = tail_ack(t, t->c);
            if (ended)
                return rc;
        } else if (t->answer.status == 204) {
            if (t->answer.cursor[0])
                snprintf(t->cursor, sizeof(t->cursor), "%s", t->answer.cursor);
            if (t->once)
                return CLI_OK;
        } else
            rc = cli_refused(&t->answer);
        if (rc != CLI_OK)
            return rc;
    }
}

int verb_tail(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"cursor", required_argument, NULL, 'c'},
        {"ack", no_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        {"limit", required_argument, NULL, 'l'},
        {"wait", required_argument, NULL, 'w'},
        {"once", no_argument, NULL, 'o'},
        {"sse", no_argument, NULL, 's'},
        {"websocket", no_argument, NULL, 'W'},
        {NULL, 0, NULL, 0},
    };
    struct tail t = {.c = c, .limit = 100, .wait_ms = 25000};
    int (*by)(struct tail * t) = run;
    for (int o = cli_option(argc, argv, options); o != -1; o = cli_option(argc, argv, options)) {
        uint64_t epoch, seq;
        if (o == 'a')
            t.ack = true;
        else if (o == 'j')
            t.json = true;
        else if (o == 'o')
            t.once = true;
        else if ((o == 's' || o == 'W') && by == run)
            by = o == 's' ? tail_stream : tail_socket;
        else if (o == 'c' && cursor_parse(str_of(optarg), &epoch, &seq) == 0)
            snprintf(t.cursor, sizeof(t.cursor), "%s", optarg);
        else if (o == 'l' && u64_parse(str_of(optarg), &t.limit) == 0 && t.limit >= 1 &&
                 t.limit <= 1000)
            continue;
        else if (o == 'w' && duration_parse(str_of(optarg), &t.wait_ms) == 0 && t.wait_ms <= 60000)
            continue;
        else
            return CLI_USAGE;
    }
    if (optind + 1 != argc || (t.once && by != run))
        return CLI_USAGE;
    t.session = argv[optind];
    response_init(&t.answer);
    buf_init(&t.path, 4096);
    buf_init(&t.text, 256u << 20);
    int rc = by(&t);
    response_free(&t.answer);
    buf_free(&t.path);
    buf_free(&t.text);
    return rc;
}
