/* verb_send, verb_publish - lines into mailboxes and topics: one batch in flight, keys
 * <run>-<line>, repeated until the server has said what became of it. A line is numbered once, so
 * however often a batch is repeated, and even when the command is started again with the same
 * --run, each line is published once. An ephemeral one has no key that is remembered: it may come
 * twice. */
#include "server/cli/cli.h"

#include "common/clock.h"
#include "common/ids.h"
#include "common/units.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define BATCH_ITEMS 500
#define BATCH_BYTES (1u << 20)
#define LINE_MAX_BYTES (16u << 20)
#define TIMEOUT_MS 60000

struct send {
    struct cli *c;
    const char *kind, *target; /* "session", "subject" or "topic", and its name */
    const char *event, *ttl, *collapse, *run, *file;
    bool json;      /* a line is a JSON value, not text */
    bool ephemeral; /* nothing is stored */
    uint64_t retry_for_ms;
    struct buf batch; /* the JSON body being filled */
    size_t items;
    uint64_t line;       /* lines taken so far */
    uint64_t first_line; /* of the batch */
    uint64_t sent, duplicates, bytes;
    bool progress;
    uint64_t shown_ms;
    struct response answer;
};

static void show_progress(struct send *s, bool last)
{
    uint64_t now = clock_boot_ms();
    if (!s->progress || (!last && now < s->shown_ms + 500))
        return;
    s->shown_ms = now;
    fprintf(stderr, "\r%llu messages, %llu bytes%s", (unsigned long long)(s->sent + s->duplicates),
            (unsigned long long)s->bytes, last ? "\n" : "");
}

static void add_member(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ",\"%s\":", name);
    json_quote(b, str_of(value));
}

static int add_line(struct send *s, struct str text)
{
    struct buf *b = &s->batch;
    s->line++;
    if (s->items == 0) {
        buf_reset(b);
        buf_append_z(b, "{\"messages\":[");
        s->first_line = s->line;
    } else
        buf_append_c(b, ',');
    buf_printf(b, "{\"%s\":", s->kind);
    json_quote(b, str_of(s->target));
    buf_append_z(b, ",\"key\":");
    char key[300];
    snprintf(key, sizeof(key), "%s-%llu", s->run, (unsigned long long)s->line);
    json_quote(b, str_of(key));
    add_member(b, "event", s->event);
    add_member(b, "ttl", s->ttl);
    add_member(b, "collapse", s->collapse);
    if (s->ephemeral)
        buf_append_z(b, ",\"ephemeral\":true");
    if (s->json) {
        buf_append_z(b, ",\"data\":");
        buf_append_str(b, text);
    } else if (utf8_valid(text)) {
        buf_append_z(b, ",\"content_type\":\"text/plain\",\"data\":");
        json_quote(b, text);
    } else {
        buf_append_z(b, ",\"content_type\":\"application/octet-stream\",\"data_b64\":\"");
        if (buf_reserve(b, text.n / 3 * 4 + 8) == 0)
            b->len += b64_encode(text.p, text.n, (char *)b->data + b->len);
        buf_append_c(b, '"');
    }
    buf_append_c(b, '}');
    s->items++;
    s->bytes += text.n;
    return b->error;
}

/* What became of each item. CLI_OK, or the first refusal is told. */
static int judge(struct send *s)
{
    struct json_value results, one;
    if (!cli_member(buf_str(&s->answer.body), "results", &results) || results.type != JSON_ARRAY) {
        cli_error("the server's answer has no results");
        return CLI_REFUSED;
    }
    struct json_iter it;
    json_iter_begin(&it, results);
    size_t n = 0;
    for (; json_next_item(&it, &one); n++) {
        struct json_value v;
        uint64_t status = 0;
        if (cli_member(one.raw, "status", &v))
            json_u64(v, &status);
        bool duplicate = cli_member(one.raw, "duplicate", &v) && v.type == JSON_TRUE;
        if (status / 100 != 2) {
            cli_error(
                "line %llu was refused: %.*s (repeat with --run %s: lines before it are kept)",
                (unsigned long long)(s->first_line + n), (int)one.raw.n, one.raw.p, s->run);
            return CLI_REFUSED;
        }
        s->duplicates += duplicate;
        s->sent += !duplicate;
    }
    if (n != s->items) {
        cli_error("the server answered %zu of %zu messages", n, s->items);
        return CLI_REFUSED;
    }
    return CLI_OK;
}

static int flush_batch(struct send *s)
{
    if (s->items == 0)
        return CLI_OK;
    buf_append_z(&s->batch, "]}");
    if (s->batch.error) {
        cli_error("no memory for a batch");
        return CLI_ENVIRONMENT;
    }
    struct request q = {"POST", "/v1/publish", "application/json", buf_str(&s->batch), TIMEOUT_MS};
    uint64_t until = clock_boot_ms() + s->retry_for_ms;
    char why[256];
    for (unsigned attempt = 0;; attempt++) {
        int rc = cli_request(s->c, &q, &s->answer, why);
        bool again = rc == CLI_UNREACHABLE ||
                     (rc == CLI_OK && (s->answer.status == 503 || s->answer.status == 429));
        if (!again) {
            if (rc != CLI_OK)
                cli_error("%s", why);
            else
                rc = s->answer.status == 200 ? judge(s) : cli_refused(&s->answer);
            s->items = 0;
            show_progress(s, false);
            return rc;
        }
        if (clock_boot_ms() >= until) {
            cli_error("%s; gave up at line %llu (repeat with --run %s)",
                      rc == CLI_OK ? "the server is not available" : why,
                      (unsigned long long)s->first_line, s->run);
            return CLI_UNREACHABLE;
        }
        cli_back_off(attempt, rc == CLI_OK ? s->answer.retry_after_s : 0);
    }
}

static int take_line(struct send *s, struct str text)
{
    const char *wrong = text.n > LINE_MAX_BYTES                  ? "is too long"
                        : s->json && json_check(text, NULL) != 0 ? "is not JSON"
                                                                 : NULL;
    if (wrong) {
        cli_error("line %llu %s (go on from it with --run %s: lines before it are kept)",
                  (unsigned long long)(s->line + 1), wrong, s->run);
        int sent = flush_batch(s);
        return sent == CLI_OK ? CLI_REFUSED : sent;
    }
    int rc = CLI_OK;
    if (s->items == BATCH_ITEMS || (s->items && s->batch.len + text.n > BATCH_BYTES))
        rc = flush_batch(s);
    if (rc == CLI_OK && add_line(s, text) != 0) {
        cli_error("no memory for a line");
        rc = CLI_ENVIRONMENT;
    }
    return rc;
}

static int send_stream(struct send *s, FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    int rc = CLI_OK;
    while (rc == CLI_OK) {
        ssize_t n = getline(&line, &cap, in);
        if (n < 0)
            break;
        if (n && line[n - 1] == '\n')
            n--;
        rc = take_line(s, str_make(line, (size_t)n));
    }
    if (rc == CLI_OK && ferror(in)) {
        cli_error("the input cannot be read: %s", strerror(errno));
        rc = CLI_ENVIRONMENT;
    }
    free(line);
    return rc;
}

static int parse(struct send *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'},    {"event", required_argument, NULL, 'e'},
        {"ttl", required_argument, NULL, 't'},     {"collapse", required_argument, NULL, 'c'},
        {"ephemeral", no_argument, NULL, 'E'},     {"json", no_argument, NULL, 'j'},
        {"run", required_argument, NULL, 'r'},     {"retry-for", required_argument, NULL, 'R'},
        {"subject", required_argument, NULL, 's'}, {NULL, 0, NULL, 0},
    };
    for (int o = cli_option(argc, argv, options); o != -1; o = cli_option(argc, argv, options)) {
        if (o == 's' && strcmp(s->kind, "topic") != 0) {
            s->kind = "subject";
            s->target = optarg;
        } else if (o == 'f')
            s->file = optarg;
        else if (o == 'e')
            s->event = optarg;
        else if (o == 't')
            s->ttl = optarg;
        else if (o == 'c')
            s->collapse = optarg;
        else if (o == 'E')
            s->ephemeral = true;
        else if (o == 'j')
            s->json = true;
        else if (o == 'r' && strlen(optarg) <= 200)
            s->run = optarg;
        else if (o != 'R' || duration_parse(str_of(optarg), &s->retry_for_ms) != 0)
            return CLI_USAGE;
    }
    if (!s->target) {
        if (optind == argc)
            return CLI_USAGE;
        s->target = argv[optind++];
    }
    return s->file && optind < argc ? CLI_USAGE : CLI_OK;
}

/* The texts of the command line, or else the lines of the file or of standard input. */
static int take_all(struct send *s, int argc, char **argv)
{
    int rc = CLI_OK;
    if (optind < argc) {
        for (int i = optind; i < argc && rc == CLI_OK; i++)
            rc = take_line(s, str_of(argv[i]));
        return rc;
    }
    FILE *in = s->file ? fopen(s->file, "r") : stdin;
    if (!in) {
        cli_error("%s: %s", s->file, strerror(errno));
        return CLI_ENVIRONMENT;
    }
    rc = send_stream(s, in);
    if (s->file)
        fclose(in);
    return rc;
}

/* kind: what the first argument names. */
static int send_to(struct cli *c, const char *kind, int argc, char **argv)
{
    char run[33];
    uint8_t random[8];
    ids_random(random, sizeof(random));
    hex_encode(random, sizeof(random), run);
    struct send s = {.c = c, .kind = kind, .run = run, .retry_for_ms = 5 * 60 * 1000};
    int rc = parse(&s, argc, argv);
    if (rc != CLI_OK)
        return rc;
    /* One line escaped takes at most six times its bytes. */
    buf_init(&s.batch, BATCH_BYTES + 6 * (size_t)LINE_MAX_BYTES + BATCH_ITEMS * 4096u);
    response_init(&s.answer);
    s.progress = isatty(STDERR_FILENO);
    s.shown_ms = clock_boot_ms();

    rc = take_all(&s, argc, argv);
    if (rc == CLI_OK)
        rc = flush_batch(&s);
    if (s.sent + s.duplicates > BATCH_ITEMS)
        show_progress(&s, true);
    response_free(&s.answer);
    buf_free(&s.batch);
    return rc;
}

int verb_send(struct cli *c, int argc, char **argv)
{
    return send_to(c, "session", argc, argv);
}

int verb_publish(struct cli *c, int argc, char **argv)
{
    return send_to(c, "topic", argc, argv);
}
