/* main - `restante`: one table of verbs, global options, exit codes. */
#include "server/cli/cli.h"

#include "common/log.h"
#include "common/version.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct verb {
    const char *name;
    verb_f *run;
    const char *usage;
} verbs[] = {
    {"token", verb_token,
     "token --subject S [--max-age 5m] [--topic PATTERN]... [--attributes JSON] [--kid KID]\n"
     "        print a bootstrap token (needs --config)"},
    {"key", verb_key,
     "key NAME --scope SCOPE...\n"
     "        print a new API key, and its stanza for the configuration"},
    {"session", verb_session,
     "session new [--subject S] [--name N] [--ttl D] [--attributes JSON]\n"
     "  session show ID | session list SUBJECT | session end ID\n"
     "        new prints id and token on two lines; --json prints the server's answer"},
    {"send", verb_send,
     "send ID|--subject S [TEXT...] [--file F] [--event E] [--ttl D] [--collapse K] [--ephemeral]\n"
     "        [--json] [--run NAME] [--retry-for D]\n"
     "        each TEXT, or each line of F or standard input, is one message: a text, or with\n"
     "        --json any JSON value"},
    {"publish", verb_publish,
     "publish TOPIC [TEXT...]\n"
     "        the same to a topic, with the same options"},
    {"topic", verb_topic,
     "topic list [--prefix P] | topic show TOPIC | topic empty TOPIC\n"
     "        empty removes its messages; who is subscribed stays so"},
    {"presence", verb_presence,
     "presence TOPIC [--json]\n"
     "        who is there: a line for each session, with its key, since when, and what it shows;\n"
     "        with --json one for each key"},
    {"tail", verb_tail,
     "tail ID [--cursor C] [--ack] [--json] [--limit N] [--wait D]\n"
     "        [--once | --sse | --websocket]\n"
     "        print what comes, for ever or (--once) until nothing waits; resumes by itself;\n"
     "        by long-polls, or (--sse) one event stream, or (--websocket) one WebSocket"},
    {"status", verb_status,
     "status [--json]\n"
     "        who lives and how they are; by --url and --key, or by --config's admin socket"},
    {"rotate", verb_rotate,
     "rotate\n        make a new key for session tokens; the last one stays"},
    {"verify", verb_verify,
     "verify [PATH]\n"
     "        check a store's invariants (PATH, or --config's store)"},
};
#define NVERBS (sizeof(verbs) / sizeof(verbs[0]))

static void usage(FILE *out)
{
    fputs("usage: restante [--config FILE] [--url URL] [--key KEY] [--cacert FILE] [--insecure]"
          " VERB ...\n\n",
          out);
    for (size_t i = 0; i < NVERBS; i++)
        fprintf(out, "  %s\n", verbs[i].usage);
    fputs(
        "\nRESTANTE_URL, RESTANTE_KEY and RESTANTE_CACERT stand for --url, --key and --cacert.\n"
        "An https server is trusted by the system's certificates, or those of --cacert (PEM); "
        "with\n"
        "--insecure it may be anybody.\n"
        "\nexit codes: 0 done; 1 the server refused; 2 usage; 3 no server, or no answer in time;\n"
        "4 a file, the configuration, memory, or a server that is not trusted; 5 verify found "
        "damage\n",
        out);
}

static int next_option(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"url", required_argument, NULL, 'u'},
        {"key", required_argument, NULL, 'k'},    {"cacert", required_argument, NULL, 'a'},
        {"insecure", no_argument, NULL, 'i'},     {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0},
    };
    /* '+': options after the verb are the verb's own. */
    return getopt_long(argc, argv, "+c:u:k:hV", options, NULL);
}

int main(int argc, char **argv)
{
    log_init(LOG_WARN, STDERR_FILENO, "command", -1);
    struct cli c = {.url = getenv("RESTANTE_URL"),
                    .key = getenv("RESTANTE_KEY"),
                    .cacert = getenv("RESTANTE_CACERT")};
    for (int o = next_option(argc, argv); o != -1; o = next_option(argc, argv)) {
        switch (o) {
        case 'c':
            c.config = optarg;
            break;
        case 'u':
            c.url = optarg;
            break;
        case 'k':
            c.key = optarg;
            break;
        case 'a':
            c.cacert = optarg;
            break;
        case 'i':
            c.insecure = true;
            break;
        case 'h':
            usage(stdout);
            return CLI_OK;
        case 'V':
            puts("restante " RESTANTE_VERSION);
            return CLI_OK;
        default:
            usage(stderr);
            return CLI_USAGE;
        }
    }
    if (optind >= argc) {
        usage(stderr);
        return CLI_USAGE;
    }
    argc -= optind;
    argv += optind;
    for (size_t i = 0; i < NVERBS; i++) {
        if (strcmp(argv[0], verbs[i].name) != 0)
            continue;
        optind = 0; /* glibc: start over, with the verb's own options */
        int rc = verbs[i].run(&c, argc, argv);
        cli_close(&c);
        if (fflush(stdout) != 0 && rc == CLI_OK) {
            cli_error("standard output: cannot be written");
            rc = CLI_ENVIRONMENT;
        }
        if (rc == CLI_USAGE)
            fprintf(stderr, "usage: restante %s\n", verbs[i].usage);
        return rc;
    }
    cli_error("no such verb: %s", argv[0]);
    usage(stderr);
    return CLI_USAGE;
}
