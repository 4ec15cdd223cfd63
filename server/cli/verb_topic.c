/* verb_topic - list, show, empty. */
#include "server/cli/cli.h"

#include <getopt.h>
#include <stdio.h>

#define TIMEOUT_MS 30000

static int topic_list(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {{"prefix", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    const char *prefix = "";
    for (int o = cli_option(argc, argv, options); o != -1; o = cli_option(argc, argv, options)) {
        if (o != 'p')
            return CLI_USAGE;
        prefix = optarg;
    }
    if (optind != argc)
        return CLI_USAGE;
    struct buf path;
    buf_init(&path, 4096);
    buf_append_z(&path, "/v1/topics?prefix=");
    cli_encode(&path, prefix);
    buf_append_c(&path, '\0');
    int rc = path.error ? CLI_USAGE : cli_list(c, (const char *)path.data, "topics");
    buf_free(&path);
    return rc;
}

/* Its row: the first of those whose name begins so, since a name stands before what it begins. */
static int topic_show(struct cli *c, const char *name)
{
    struct buf path, found;
    buf_init(&path, 4096);
    buf_init(&found, 4096);
    struct response r;
    response_init(&r);
    buf_append_z(&path, "/v1/topics?limit=1&prefix=");
    cli_encode(&path, name);
    buf_append_c(&path, '\0');
    struct request q = {"GET", (const char *)path.data, NULL, STR(""), TIMEOUT_MS};
    int rc = path.error ? CLI_USAGE : cli_must(c, &q, &r);
    if (rc == CLI_OK) {
        struct json_value list, row;
        struct json_iter it;
        bool any = cli_member(buf_str(&r.body), "topics", &list) && list.type == JSON_ARRAY;
        if (any) {
            json_iter_begin(&it, list);
            any = json_next_item(&it, &row);
        }
        if (any)
            cli_string(row.raw, "topic", &found);
        if (any && !found.error && strcmp((const char *)found.data, name) == 0)
            printf("%.*s\n", (int)row.raw.n, row.raw.p);
        else {
            cli_error("topic_unknown: there is no topic of that name");
            rc = CLI_REFUSED;
        }
    }
    response_free(&r);
    buf_free(&path);
    buf_free(&found);
    return rc;
}

static int topic_empty(struct cli *c, const char *name)
{
    struct buf path;
    buf_init(&path, 4096);
    buf_append_z(&path, "/v1/topics/");
    cli_encode(&path, name);
    buf_append_z(&path, "/messages");
    buf_append_c(&path, '\0');
    struct response r;
    response_init(&r);
    struct request q = {"DELETE", (const char *)path.data, NULL, STR(""), TIMEOUT_MS};
    int rc = path.error ? CLI_USAGE : cli_must(c, &q, &r);
    response_free(&r);
    buf_free(&path);
    return rc;
}

int verb_topic(struct cli *c, int argc, char **argv)
{
    if (argc < 2)
        return CLI_USAGE;
    if (strcmp(argv[1], "list") == 0)
        return topic_list(c, argc - 1, argv + 1);
    if (argc != 3)
        return CLI_USAGE;
    if (strcmp(argv[1], "show") == 0)
        return topic_show(c, argv[2]);
    if (strcmp(argv[1], "empty") == 0)
        return topic_empty(c, argv[2]);
    return CLI_USAGE;
}
