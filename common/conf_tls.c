/* conf_tls - what must hold in a listener's tls section: every certificate has its key, and a
 * server can begin with them. They are kept as they were judged, so nothing can change between the
 * check and the use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/certificate.h"
#include "common/clock.h"
#include "common/conf_check.h"
#include "common/conf_file.h"

enum file { CERTIFICATE_FILE, KEY_FILE };
static const char *const file_names[] = {"certificate", "key"};

static const struct conf_seen *seen_of(const struct conf_scope *s, enum file f)
{
    return &s->seen[f == KEY_FILE ? CONF_SETTING_conf_listen_key
                                  : CONF_SETTING_conf_listen_certificate];
}

static const char *path_of(const struct conf_listen *l, enum file f, size_t i)
{
    return f == KEY_FILE ? l->key[i] : l->certificate[i];
}

static void say(struct conf_check *k, const struct conf_scope *s, enum file f, const char *value,
                const char *what, bool warning)
{
    int line = seen_of(s, f)->line;

    conf_wrong(
        k, s, file_names[f],
        (struct conf_mistake){
            .line = line ? line : s->node->line, .value = value, .what = what, .warning = warning});
}

static bool read_file(struct conf_check *k, struct conf_scope *s, enum file f, size_t i,
                      struct buf *text)
{
    const char *path = path_of(s->owner, f, i);
    char why[CONF_FILE_WHY];
    int rc = conf_file_read(path, text, why);

    if (rc == -ENOMEM)
        k->error = rc;
    else if (rc)
        say(k, s, f, path, why, false);
    return rc == 0;
}

static void warn_of_age(struct conf_check *k, struct conf_scope *s, size_t i)
{
    const struct conf_listen *l = s->owner;
    int age = certificate_age(l->certificates[i], clock_wall_ms() / 1000);

    if (age)
        say(k, s, CERTIFICATE_FILE, l->certificate[i], age > 0 ? "has expired" : "is not valid yet",
            true);
}

static void load_pair(struct conf_check *k, struct conf_scope *s, size_t i)
{
    struct conf_listen *l = s->owner;
    struct buf chain, key;
    char why[CERTIFICATE_WHY];

    buf_init(&chain, CERTIFICATE_FILE_MAX);
    buf_init(&key, CERTIFICATE_FILE_MAX);
    bool both = read_file(k, s, CERTIFICATE_FILE, i, &chain);
    both &= read_file(k, s, KEY_FILE, i, &key);
    if (both) {
        enum certificate_fault fault =
            certificate_read(buf_str(&chain), buf_str(&key), &l->certificates[i], why);
        enum file f = fault == CERTIFICATE_BAD_KEY ? KEY_FILE : CERTIFICATE_FILE;
        if (fault == CERTIFICATE_FINE)
            warn_of_age(k, s, i);
        else if (why[0])
            say(k, s, f, path_of(l, f, i), why, false);
        else
            k->error = -ENOMEM;
    }
    conf_file_wipe(&chain);
    conf_file_wipe(&key);
}

/* Are there as many keys as certificates? */
static bool paired(struct conf_check *k, struct conf_scope *s)
{
    const struct conf_listen *l = s->owner;
    char what[96];

    for (enum file f = CERTIFICATE_FILE; f <= KEY_FILE; f++) {
        size_t n = f == KEY_FILE ? l->nkey : l->ncertificate;
        if (!seen_of(s, f)->bad && n == 0)
            say(k, s, f, NULL, seen_of(s, f)->line ? "is empty" : "is missing", false);
        if (seen_of(s, f)->bad || n == 0)
            return false;
    }
    if (l->ncertificate > CONF_CERTIFICATES_MAX) {
        snprintf(what, sizeof(what), "names more than %d certificates", CONF_CERTIFICATES_MAX);
        say(k, s, CERTIFICATE_FILE, NULL, what, false);
    } else if (l->ncertificate != l->nkey) {
        snprintf(what, sizeof(what), "names %zu files for %zu certificates", l->nkey,
                 l->ncertificate);
        say(k, s, KEY_FILE, NULL, what, false);
    } else {
        return true;
    }
    return false;
}

void conf_cross_tls(struct conf_check *k, struct conf_scope *s)
{
    struct conf_listen *l = s->owner;

    if (l->certificates || !paired(k, s)) /* a second section was reported */
        return;
    l->certificates = calloc(l->ncertificate, sizeof(struct certificate *));
    if (!l->certificates) {
        k->error = -ENOMEM;
        return;
    }
    l->ncertificates = l->ncertificate;
    for (size_t i = 0; i < l->ncertificates && !k->error; i++)
        load_pair(k, s, i);
}

void conf_tls_free(struct conf_listen *l)
{
    for (size_t i = 0; i < l->ncertificates; i++)
        certificate_free(l->certificates[i]);
    free(l->certificates);
}
