/* main - restanted: one program, several processes. Started by a person or an init system it is the
 * supervisor, or prints something; started by the supervisor (`--role`) it is a worker or the
 * writer. The table of roles is the process model.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/version.h"
#include "shm/writer/writer.h"

#include "server/options.h"
#include "server/role.h"
#include "server/supervisor.h"
#include "worker/worker.h"

#define OUTPUT_MAX (4 * 1024 * 1024)

static const struct role_entry roles[] = {
    {ROLE_WRITER, "writer", false, writer_main},
    {ROLE_WORKER, "worker", true, worker_main},
};

static int print(const struct buf *out, int rc)
{
    if (rc) {
        fprintf(stderr, "restanted: %s\n", strerror(-rc));
        return EXIT_FAILED;
    }
    if (fwrite(out->data, 1, out->len, stdout) != out->len || fflush(stdout) != 0) {
        fprintf(stderr, "restanted: standard output: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

static int config_read(const char *file, char path[PATH_MAX], struct buf *text, struct conf **ret)
{
    struct buf report;

    if (!realpath(file, path)) {
        fprintf(stderr, "restanted: %s: %s\n", file, strerror(errno));
        return -errno;
    }
    int rc = conf_read_file(path, text);
    if (rc) {
        fprintf(stderr, "restanted: %s: %s\n", path, strerror(-rc));
        return rc;
    }
    buf_init(&report, OUTPUT_MAX);
    rc = conf_load(buf_str(text), path, ret, &report);
    if (report.len > 0)
        (void)fwrite(report.data, 1, report.len, stderr);
    if (rc)
        fprintf(stderr, "restanted: %s: %s\n", path,
                rc == -EINVAL ? "the configuration has mistakes" : strerror(-rc));
    buf_free(&report);
    return rc;
}

static int config_verb(const struct options *o, const struct title *title)
{
    struct buf text, out;
    struct conf *conf = NULL;
    char path[PATH_MAX];
    int status = EXIT_CONFIG;

    buf_init(&text, CONF_FILE_MAX);
    buf_init(&out, OUTPUT_MAX);
    if (config_read(o->config, path, &text, &conf) == 0) {
        if (o->verb == VERB_CHECK) {
            status = print(&out, buf_printf(&out, "%s: configuration OK\n", path));
        } else if (o->verb == VERB_SHOW) {
            status = print(&out, conf_show(conf, &out));
        } else {
            title_set(title, "restanted: supervisor"); /* argv, and with it o->config, is gone */
            status = supervisor_main(conf, buf_str(&text), path);
        }
    }
    conf_free(conf);
    buf_free(&out);
    buf_free(&text);
    return status;
}

static int text_verb(enum verb verb)
{
    struct buf out;
    int rc;

    buf_init(&out, OUTPUT_MAX);
    if (verb == VERB_HELP)
        rc = options_help(&out);
    else if (verb == VERB_SAMPLE)
        rc = conf_sample(&out);
    else
        rc = buf_printf(&out, "restanted %s\n", RESTANTE_VERSION);
    int status = print(&out, rc);
    buf_free(&out);
    return status;
}

int main(int argc, char **argv)
{
    struct options o;
    struct title title;
    struct buf why;

    buf_init(&why, OUTPUT_MAX);
    if (options_parse(argc, argv, &o, &why)) {
        fprintf(stderr, "restanted: %.*s", (int)why.len, (const char *)why.data);
        buf_free(&why);
        return EXIT_USAGE;
    }
    switch (o.verb) {
    case VERB_ROLE:
        title_take(argc, argv, &title);
        return role_run(roles, sizeof(roles) / sizeof(roles[0]), &title);
    case VERB_RUN:
    case VERB_CHECK:
    case VERB_SHOW:
        title_take(argc, argv, &title);
        return config_verb(&o, &title);
    case VERB_SAMPLE:
    case VERB_VERSION:
    case VERB_HELP:
        break;
    }
    return text_verb(o.verb);
}
