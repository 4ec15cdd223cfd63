/* conf - load and free a configuration, and the questions that are asked of it.
 *
 * Loading builds a new struct and gives it away only when nothing is wrong, so a running process
 * can try a file without harm.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf_check.h"
#include "common/conf_value.h"
#include "common/log.h"
#include "common/pattern.h"

/* The absolute directory of the file, to be freed. 0, -ENOMEM, or what getcwd says. */
static int directory_of(const char *path, char **ret)
{
    char cwd[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);

    if (*path != '/' && !getcwd(cwd, sizeof(cwd)))
        return -errno;
    char *dir = n ? conf_path(cwd, str_make(path, n)) : strdup(cwd);
    if (!dir)
        return -ENOMEM;
    *ret = dir;
    return 0;
}

static int fill(struct str text, const char *dir, struct conf *c, struct conf_report *report)
{
    struct conf_check k = {.conf = c, .report = report, .dir = dir};
    struct conf_tree tree;

    for (size_t i = 0; i < CONF_SETTINGS; i++)
        if (conf_settings[i].owner == CONF_OWNER_conf) {
            int rc = conf_value_default(&conf_settings[i], dir, c);
            if (rc)
                return rc;
        }
    int rc = conf_tree_read(text, report, &tree);
    if (rc == 0) {
        conf_check_tree(&k, &tree.root);
        rc = k.error;
    }
    conf_tree_free(&tree);
    return rc;
}

/* Builds into *ret whatever can be built; what is wrong goes to the report. 0 or -ENOMEM. */
static int load(struct str text, const char *path, struct conf **ret, struct conf_report *report)
{
    char *dir = NULL;
    char what[128];

    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    int rc = directory_of(path, &dir);
    if (rc < 0 && rc != -ENOMEM) {
        snprintf(what, sizeof(what), "the working directory cannot be told: %s", strerror(-rc));
        conf_report_add(report, &(struct conf_mistake){.what = what});
        return 0;
    }
    if (rc == 0 && text.n > CONF_FILE_MAX)
        conf_report_add(report, &(struct conf_mistake){.what = "the file is larger than 1 MiB"});
    else if (rc == 0)
        rc = fill(text, dir, *ret, report);
    free(dir);
    return rc;
}

int conf_load(struct str text, const char *path, struct conf **ret, struct buf *report)
{
    struct conf_report mistakes;
    struct conf *c;

    conf_report_init(&mistakes, path);
    int rc = load(text, path, &c, &mistakes);
    if (rc == 0)
        rc = mistakes.error;
    if (rc == 0 && mistakes.n)
        rc = conf_report_write(&mistakes, report) == -ENOMEM ? -ENOMEM : 0;
    if (rc == 0 && conf_report_refuses(&mistakes))
        rc = -EINVAL;
    if (rc == 0)
        *ret = c;
    else
        conf_free(c);
    conf_report_free(&mistakes);
    return rc;
}

_Static_assert(CONF_FILE_MAX == 1 << 20, "the message above says so");

int conf_read_file(const char *path, struct buf *text)
{
    size_t was = text->len;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : 0;
    ssize_t got = 1;

    while (rc == 0 && got != 0) {
        char part[16384];
        got = read(fd, part, sizeof(part));
        if (got < 0)
            rc = errno == EINTR ? 0 : -errno;
        else if (text->len - was + (size_t)got > CONF_FILE_MAX)
            rc = -EFBIG;
        else
            rc = buf_append(text, part, (size_t)got);
    }
    if (fd >= 0)
        close(fd);
    if (rc)
        text->len = was;
    return rc == -EMSGSIZE ? -EFBIG : rc;
}

static void free_settings(enum conf_owner owner, void *of)
{
    for (size_t i = 0; i < CONF_SETTINGS; i++)
        if (conf_settings[i].owner == owner)
            conf_value_free(&conf_settings[i], of);
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CONF_SECTIONS; i++) {
        const struct conf_section *s = &conf_sections[i];
        size_t n = s->title ? conf_items(c, s) : 0;
        for (size_t j = 0; j < n; j++) {
            void *item = conf_item(c, s, j);
            free_settings(s->owner, item);
            free(*conf_item_title(item, s));
        }
    }
    for (size_t i = 0; i < c->nlistens; i++)
        conf_tls_free(&c->listens[i]);
    free(c->listens);
    free(c->token_keys);
    free(c->api_keys);
    free(c->namespaces);
    free_settings(CONF_OWNER_conf, c);
    free(c);
}

bool conf_key_allows(const struct conf_api_key *k, const char *kind, struct str name)
{
    size_t n = strlen(kind);

    for (size_t i = 0; i < k->nscopes; i++) {
        const char *scope = k->scopes[i];
        if (strncmp(scope, kind, n) != 0)
            continue;
        if (scope[n] == 0 || (scope[n] == ':' && pattern_matches(str_of(scope + n + 1), name)))
            return true;
    }
    return false;
}

static struct str namespace_at(void *arg, size_t i)
{
    const struct conf *c = arg;
    return str_of(c->namespaces[i].pattern);
}

const struct conf_namespace *conf_namespace_of(const struct conf *c, struct str topic)
{
    int i = pattern_best(topic, c->nnamespaces, namespace_at, (void *)(uintptr_t)c);
    return i < 0 ? NULL : &c->namespaces[i];
}
