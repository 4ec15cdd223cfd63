/* verb_status, verb_rotate - the admin's view. By HTTP with an admin key, or, on the server's own
 * machine and without any key, by the admin socket in run_dir. */
#include "server/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS 15000

/* One line out, one JSON line back. */
static int ask_socket(struct cli *c, const char *word, struct response *ret)
{
    struct conf *conf = NULL;
    int rc = cli_conf(c, &conf);
    if (rc != CLI_OK)
        return rc;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int n = snprintf(to.sun_path, sizeof(to.sun_path), "%s/admin.sock", conf->run_dir);
    conf_free(conf);
    if (n >= (int)sizeof(to.sun_path)) {
        cli_error("run_dir is too long for a socket's path");
        return CLI_ENVIRONMENT;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        cli_error("socket: %s", strerror(errno));
        return CLI_ENVIRONMENT;
    }
    struct timeval limit = {.tv_sec = TIMEOUT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        dprintf(fd, "%s\n", word) != (int)strlen(word) + 1) {
        cli_error("%s: %s", to.sun_path, strerror(errno));
        close(fd);
        return CLI_UNREACHABLE;
    }
    char part[4096];
    ssize_t got = 0;
    for (;;) {
        got = read(fd, part, sizeof(part));
        if (got <= 0)
            break;
        buf_append(&ret->body, part, (size_t)got);
    }
    close(fd);
    while (ret->body.len && ret->body.data[ret->body.len - 1] == '\n')
        ret->body.len--;
    if (got < 0 || ret->body.len == 0) {
        cli_error("%s: no answer", to.sun_path);
        return CLI_UNREACHABLE;
    }
    struct json_value error;
    if (cli_member(buf_str(&ret->body), "error", &error)) {
        cli_error("refused: %.*s", (int)error.raw.n, error.raw.p);
        return CLI_REFUSED;
    }
    return CLI_OK;
}

static uint64_t number(struct str object, const char *name)
{
    struct json_value v;
    uint64_t n = 0;
    if (cli_member(object, name, &v))
        json_u64(v, &n);
    return n;
}

static void print_role(const char *label, struct str role)
{
    struct buf state;
    buf_init(&state, 64);
    cli_string(role, "state", &state);
    printf("%-12s pid %-8" PRIu64 " %-9s up %" PRIu64 " s, respawned %" PRIu64 "x", label,
           number(role, "pid"), (const char *)state.data, number(role, "uptime"),
           number(role, "respawns"));
    struct json_value v;
    if (cli_member(role, "connections", &v))
        printf(", %" PRIu64 " connections, %" PRIu64 " parked", number(role, "connections"),
               number(role, "parked"));
    putchar('\n');
    buf_free(&state);
}

static void print_text(struct str status)
{
    struct json_value v, one;
    if (cli_member(status, "supervisor", &v))
        printf("%-12s pid %" PRIu64 "\n", "supervisor", number(v.raw, "pid"));
    if (cli_member(status, "writer", &v))
        print_role("writer", v.raw);
    if (cli_member(status, "workers", &v) && v.type == JSON_ARRAY) {
        struct json_iter it;
        json_iter_begin(&it, v);
        while (json_next_item(&it, &one)) {
            char label[32];
            snprintf(label, sizeof(label), "worker %" PRIu64, number(one.raw, "slot"));
            print_role(label, one.raw);
        }
    }
    if (cli_member(status, "store", &v))
        printf("%-12s %" PRIu64 " sessions, %" PRIu64 " log entries, %" PRIu64 " of %" PRIu64
               " bytes used\n",
               "store", number(v.raw, "sessions"), number(v.raw, "messages"), number(v.raw, "used"),
               number(v.raw, "limit"));
}

static int ask(struct cli *c, const char *method, const char *path, const char *word,
               struct response *ret)
{
    if (c->config && !(c->url && c->url[0]))
        return ask_socket(c, word, ret);
    struct request q = {method, path, NULL, STR(""), TIMEOUT_MS};
    return cli_must(c, &q, ret);
}

int verb_status(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    bool json = false;
    for (int o = cli_option(argc, argv, options); o != -1; o = cli_option(argc, argv, options)) {
        if (o != 'j')
            return CLI_USAGE;
        json = true;
    }
    if (optind != argc)
        return CLI_USAGE;
    struct response r;
    response_init(&r);
    int rc = ask(c, "GET", "/v1/status", "status", &r);
    if (rc == CLI_OK && json)
        printf("%.*s\n", (int)r.body.len, (const char *)r.body.data);
    else if (rc == CLI_OK)
        print_text(buf_str(&r.body));
    response_free(&r);
    return rc;
}

int verb_rotate(struct cli *c, int argc, char **argv)
{
    (void)argv;
    if (argc != 1)
        return CLI_USAGE;
    struct response r;
    response_init(&r);
    int rc = ask(c, "POST", "/v1/rotate", "rotate", &r);
    response_free(&r);
    return rc;
}
