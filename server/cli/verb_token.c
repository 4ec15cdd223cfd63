/* verb_token, verb_key - secrets: bootstrap tokens for clients, API keys for publishers. */
#include "server/cli/cli.h"

#include "common/clock.h"
#include "common/digest.h"
#include "common/ids.h"
#include "common/token.h"
#include "common/units.h"

#include <getopt.h>
#include <stdio.h>

static const struct conf_token_key *key_of(const struct conf *conf, const char *kid)
{
    for (size_t i = 0; i < conf->ntoken_keys; i++)
        if (!kid || strcmp(conf->token_keys[i].kid, kid) == 0)
            return &conf->token_keys[i];
    return NULL;
}

int verb_token(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"subject", required_argument, NULL, 's'}, {"max-age", required_argument, NULL, 'm'},
        {"topic", required_argument, NULL, 't'},   {"attributes", required_argument, NULL, 'a'},
        {"kid", required_argument, NULL, 'k'},     {NULL, 0, NULL, 0},
    };
    const char *subject = NULL, *attributes = "", *kid = NULL;
    uint64_t max_age_ms = 5 * 60 * 1000;
    struct buf topics;
    buf_init(&topics, 65536);
    int rc = CLI_OK;
    int o = cli_option(argc, argv, options);
    for (; o != -1 && rc == CLI_OK; o = cli_option(argc, argv, options)) {
        if (o == 's')
            subject = optarg;
        else if (o == 'a')
            attributes = optarg;
        else if (o == 'k')
            kid = optarg;
        else if (o == 't') {
            buf_append_c(&topics, topics.len ? ',' : '[');
            json_quote(&topics, str_of(optarg));
        } else if (o != 'm' || duration_parse(str_of(optarg), &max_age_ms) != 0)
            rc = CLI_USAGE;
    }
    if (topics.len)
        buf_append_c(&topics, ']');
    if (!subject || optind != argc)
        rc = CLI_USAGE;
    struct json_value checked;
    if (rc == CLI_OK && attributes[0] &&
        (json_check(str_of(attributes), &checked) != 0 || checked.type != JSON_OBJECT)) {
        cli_error("--attributes must be a JSON object");
        rc = CLI_USAGE;
    }
    struct conf *conf = NULL;
    if (rc == CLI_OK)
        rc = cli_conf(c, &conf);
    const struct conf_token_key *key = conf ? key_of(conf, kid) : NULL;
    if (rc == CLI_OK && !key) {
        cli_error("%s: no such token_key", c->config);
        rc = CLI_ENVIRONMENT;
    }
    if (rc == CLI_OK) {
        struct buf token;
        buf_init(&token, TOKEN_MAX);
        int err = token_jwt_mint(key, str_of(subject), buf_str(&topics), str_of(attributes),
                                 clock_wall_ms(), max_age_ms, &token);
        if (err) {
            cli_error("the token cannot be made: %s", strerror(-err));
            rc = CLI_ENVIRONMENT;
        } else
            printf("%.*s\n", (int)token.len, token.data);
        buf_free(&token);
    }
    buf_free(&topics);
    conf_free(conf);
    return rc;
}

/* "-": what stands between options comes in its place, as 1. */
static int next_scope(int argc, char **argv)
{
    static const struct option options[] = {{"scope", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    return getopt_long(argc, argv, "-", options, NULL);
}

int verb_key(struct cli *c, int argc, char **argv)
{
    (void)c;
    const char *name = NULL;
    struct buf scopes;
    buf_init(&scopes, 65536);
    int rc = CLI_OK;
    bool more = false; /* --scope A B C: what follows a scope is another one */
    int o = next_scope(argc, argv);
    for (; o != -1 && rc == CLI_OK; o = next_scope(argc, argv)) {
        if (o == 1 && !more && !name) {
            name = optarg;
            continue;
        }
        if (o != 's' && o != 1) {
            rc = CLI_USAGE;
            break;
        }
        more = true;
        buf_append_z(&scopes, scopes.len ? ", " : "");
        json_quote(&scopes, str_of(optarg));
    }
    if (!name || scopes.len == 0)
        rc = CLI_USAGE;
    if (rc == CLI_OK) {
        uint8_t secret[32], hash[DIGEST_SIZE];
        char text[64], hex[2 * DIGEST_SIZE + 1];
        ids_random(secret, sizeof(secret));
        size_t n = b64url_encode(secret, sizeof(secret), text);
        sha256(text, n, hash);
        hex_encode(hash, sizeof(hash), hex);
        struct buf quoted;
        buf_init(&quoted, 4096);
        json_quote(&quoted, str_of(name));
        printf("%s\n\napi_key %.*s { sha256 = \"%s\"  scopes = { %.*s } }\n", text, (int)quoted.len,
               quoted.data, hex, (int)scopes.len, scopes.data);
        buf_free(&quoted);
    }
    buf_free(&scopes);
    return rc;
}
