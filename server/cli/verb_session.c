/* verb_session - new, show, list, end. */
#include "server/cli/cli.h"

#include <getopt.h>
#include <stdio.h>

#define TIMEOUT_MS 30000

static int print_body(const struct response *r)
{
    fwrite(r->body.data, 1, r->body.len, stdout);
    putchar('\n');
    return CLI_OK;
}

static int session_new(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"subject", required_argument, NULL, 's'}, {"name", required_argument, NULL, 'n'},
        {"ttl", required_argument, NULL, 't'},     {"attributes", required_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},          {NULL, 0, NULL, 0},
    };
    struct buf body;
    buf_init(&body, 1 << 20);
    bool json = false;
    int rc = CLI_OK;
    buf_append_c(&body, '{');
    int o = cli_option(argc, argv, options);
    for (; o != -1 && rc == CLI_OK; o = cli_option(argc, argv, options)) {
        if (o == 'j') {
            json = true;
            continue;
        }
        const char *member = o == 's'   ? "\"subject\":"
                             : o == 'n' ? "\"name\":"
                             : o == 't' ? "\"ttl\":"
                             : o == 'a' ? "\"attributes\":"
                                        : NULL;
        if (!member) {
            rc = CLI_USAGE;
            break;
        }
        buf_append_z(&body, body.len > 1 ? "," : "");
        buf_append_z(&body, member);
        if (o == 'a')
            buf_append_z(&body, optarg);
        else
            json_quote(&body, str_of(optarg));
    }
    buf_append_c(&body, '}');
    if (optind != argc)
        rc = CLI_USAGE;
    struct response r;
    response_init(&r);
    if (rc == CLI_OK) {
        struct request q = {"POST", "/v1/sessions", "application/json", buf_str(&body), TIMEOUT_MS};
        rc = cli_must(c, &q, &r);
    }
    if (rc == CLI_OK && json)
        rc = print_body(&r);
    else if (rc == CLI_OK) {
        struct buf s;
        buf_init(&s, 4096);
        cli_string(buf_str(&r.body), "session", &s);
        puts((const char *)s.data);
        cli_string(buf_str(&r.body), "token", &s);
        puts((const char *)s.data);
        buf_free(&s);
    }
    response_free(&r);
    buf_free(&body);
    return rc;
}

static int session_one(struct cli *c, const char *method, const char *id)
{
    struct buf path;
    buf_init(&path, 4096);
    buf_append_z(&path, "/v1/sessions/");
    cli_encode(&path, id);
    buf_append_c(&path, '\0');
    struct response r;
    response_init(&r);
    struct request q = {method, (const char *)path.data, NULL, STR(""), TIMEOUT_MS};
    int rc = path.error ? CLI_USAGE : cli_must(c, &q, &r);
    if (rc == CLI_OK && r.body.len)
        print_body(&r);
    response_free(&r);
    buf_free(&path);
    return rc;
}

static int session_list(struct cli *c, const char *subject)
{
    struct buf path;
    buf_init(&path, 65536);
    buf_append_z(&path, "/v1/sessions?subject=");
    cli_encode(&path, subject);
    buf_append_c(&path, '\0');
    int rc = path.error ? CLI_USAGE : cli_list(c, (const char *)path.data, "sessions");
    buf_free(&path);
    return rc;
}

int verb_session(struct cli *c, int argc, char **argv)
{
    if (argc < 2)
        return CLI_USAGE;
    const char *what = argv[1];
    if (strcmp(what, "new") == 0)
        return session_new(c, argc - 1, argv + 1);
    if (argc != 3)
        return CLI_USAGE;
    if (strcmp(what, "show") == 0)
        return session_one(c, "GET", argv[2]);
    if (strcmp(what, "end") == 0)
        return session_one(c, "DELETE", argv[2]);
    if (strcmp(what, "list") == 0)
        return session_list(c, argv[2]);
    return CLI_USAGE;
}
