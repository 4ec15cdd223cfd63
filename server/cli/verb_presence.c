/* verb_presence - who is in a topic. */
#include "server/cli/cli.h"

#include <getopt.h>
#include <stdio.h>

static void print_json(struct str member)
{
    printf("%.*s\n", (int)member.n, member.p);
}

/* A line for each session: key, session, since when, and all that it shows. */
static void print_plain(struct str member)
{
    struct json_value metas, meta;
    struct json_iter it;
    struct buf key, session, since;
    if (!cli_member(member, "metas", &metas))
        return;
    buf_init(&key, 4096);
    buf_init(&session, 256);
    buf_init(&since, 256);
    cli_string(member, "key", &key);
    json_iter_begin(&it, metas);
    while (json_next_item(&it, &meta)) {
        cli_string(meta.raw, "session", &session);
        cli_string(meta.raw, "since", &since);
        printf("%s  %s  %s  %.*s\n", (const char *)key.data, (const char *)session.data,
               (const char *)since.data, (int)meta.raw.n, meta.raw.p);
    }
    buf_free(&key);
    buf_free(&session);
    buf_free(&since);
}

int verb_presence(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    bool json = false;
    for (int o = cli_option(argc, argv, options); o != -1; o = cli_option(argc, argv, options)) {
        if (o != 'j')
            return CLI_USAGE;
        json = true;
    }
    if (optind != argc - 1)
        return CLI_USAGE;
    struct buf path;
    buf_init(&path, 4096);
    buf_append_z(&path, "/v1/topics/");
    cli_encode(&path, argv[optind]);
    buf_append_z(&path, "/presence?limit=1000");
    buf_append_c(&path, '\0');
    int rc = path.error
                 ? CLI_USAGE
                 : cli_each(c, (const char *)path.data, "members", json ? print_json : print_plain);
    buf_free(&path);
    return rc;
}
