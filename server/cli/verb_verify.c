/* verb_verify - the walker over a store's invariants, on the machine where the store lies. */
#include "server/cli/cli.h"

#include "shm/verify.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

int verb_verify(struct cli *c, int argc, char **argv)
{
    char path[PATH_MAX];
    if (argc == 2)
        snprintf(path, sizeof(path), "%s", argv[1]);
    else if (argc == 1) {
        struct conf *conf = NULL;
        int rc = cli_conf(c, &conf);
        if (rc != CLI_OK)
            return rc;
        snprintf(path, sizeof(path), "%s", conf->store_path);
        conf_free(conf);
    } else
        return CLI_USAGE;

    struct buf report;
    buf_init(&report, 16u << 20);
    uint64_t violations = 0;
    int err = verify_store(path, &report, &violations);
    if (report.len)
        fwrite(report.data, 1, report.len, stdout);
    buf_free(&report);
    if (err) {
        cli_error("%s: %s", path,
                  err == -EEXIST ? "a store of another version of restante" : strerror(-err));
        return CLI_ENVIRONMENT;
    }
    return violations ? CLI_DAMAGED : CLI_OK;
}
