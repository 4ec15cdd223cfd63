/* conf_cross - what must hold between settings; each rule is a few lines, each names both sides.
 *
 * A rule whose sides were refused already is not judged: the field does not say what was meant.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/conf_check.h"
#include "common/conf_file.h"
#include "common/conf_value.h"
#include "common/units.h"

#define SECRET_FILE_MAX 4096 /* bytes */
_Static_assert(CONF_SECRET_MIN == 32, "a message below says so");

static void item_wrong(struct conf_check *k, const struct conf_scope *s, const char *name, int line,
                       const char *what, const char *allowed)
{
    struct conf_mistake m = {.line = line ? line : s->node->line, .what = what, .allowed = allowed};

    conf_wrong(k, s, name, m);
}

static void cross_listen(struct conf_check *k, struct conf_scope *s)
{
    struct conf_listen *l = s->owner;
    struct address a, b;
    char what[64];

    if (address_parse(str_of(l->address), &a)) {
        struct address written;
        if (address_parse(str_of(s->node->title.z), &written) == 0) /* else it was said */
            item_wrong(k, s, NULL, 0, "has a path of more than 107 bytes from the root", NULL);
        return;
    }
    for (struct conf_listen *o = k->conf->listens; o < l; o++) {
        if (address_parse(str_of(o->address), &b) || !address_eq(&a, &b))
            continue;
        snprintf(what, sizeof(what), "stands twice, first in line %d", o->line);
        item_wrong(k, s, NULL, 0, what, NULL);
        return;
    }
}

_Static_assert(ADDRESS_UNIX_MAX == 107, "the message above says so");

static void load_secret(struct conf_check *k, struct conf_scope *s, int line)
{
    static const struct conf_setting *const row =
        &conf_settings[CONF_SETTING_conf_token_key_secret];
    struct conf_token_key *key = s->owner;
    char memory[SECRET_FILE_MAX + 1], why[CONF_FILE_WHY];
    struct conf_mistake m = {.line = line, .value = key->secret_file, .what = why};
    struct buf text;

    buf_fixed(&text, memory, sizeof(memory));
    int rc = conf_file_read(key->secret_file, &text, why);
    if (rc == 0) {
        if (text.len && text.data[text.len - 1] == '\n')
            text.len--;
        if (text.len && text.data[text.len - 1] == '\r')
            text.len--;
        rc = conf_value_store(row, buf_str(&text), k->dir, key, &m.what);
        m.allowed = "at least 32 bytes in the file";
    }
    if (rc == -ENOMEM)
        k->error = rc;
    else if (rc)
        conf_wrong(k, s, "secret_file", m);
    explicit_bzero(memory, sizeof(memory));
}

static void cross_token_key(struct conf_check *k, struct conf_scope *s)
{
    const struct conf_seen *secret = &s->seen[CONF_SETTING_conf_token_key_secret];
    const struct conf_seen *file = &s->seen[CONF_SETTING_conf_token_key_secret_file];

    if (!secret->line && !file->line)
        item_wrong(k, s, NULL, 0, "has no secret", "exactly one of secret, secret_file");
    else if (secret->line && file->line)
        item_wrong(k, s, "secret_file", file->line, "stands beside secret",
                   "exactly one of secret, secret_file");
    else if (file->line && !file->bad)
        load_secret(k, s, file->line);
}

static void cross_api_key(struct conf_check *k, struct conf_scope *s)
{
    const struct conf_api_key *key = s->owner;
    const struct conf_seen *sha256 = &s->seen[CONF_SETTING_conf_api_key_sha256];
    const struct conf_seen *scopes = &s->seen[CONF_SETTING_conf_api_key_scopes];
    char allowed[CONF_ALLOWED_TEXT];

    if (!sha256->line)
        item_wrong(k, s, "sha256", 0, "is missing",
                   conf_value_allowed(&conf_settings[CONF_SETTING_conf_api_key_sha256], allowed));
    if (!scopes->bad && key->nscopes == 0)
        item_wrong(k, s, "scopes", scopes->line, scopes->line ? "is empty" : "is missing",
                   conf_list_allowed(&conf_settings[CONF_SETTING_conf_api_key_scopes]));
    if (sha256->line == 0 || sha256->bad)
        return;
    for (const struct conf_api_key *o = k->conf->api_keys; o < key; o++) {
        char what[64];
        if (memcmp(o->sha256, key->sha256, sizeof(key->sha256)) != 0)
            continue;
        snprintf(what, sizeof(what), "is the same key as in line %d", o->line);
        item_wrong(k, s, "sha256", sha256->line, what, NULL);
        return;
    }
}

void conf_cross_item(struct conf_check *k, struct conf_scope *s)
{
    static void (*const rules[CONF_SECTIONS])(struct conf_check *, struct conf_scope *) = {
        [CONF_SECTION_LISTEN] = cross_listen,
        [CONF_SECTION_TLS] = conf_cross_tls,
        [CONF_SECTION_TOKEN_KEY] = cross_token_key,
        [CONF_SECTION_API_KEY] = cross_api_key,
    };
    size_t i = (size_t)(s->section - conf_sections);

    if (rules[i])
        rules[i](k, s);
}

/* One setting may be at most a share of another. */
struct at_most {
    enum conf_setting_index small, large;
    unsigned share; /* 1: the whole, 2: the half */
    void (*text)(uint64_t v, char ret[UNITS_TEXT]);
};

static const struct at_most at_most[] = {
    {CONF_SETTING_limit_message, CONF_SETTING_limit_request, 1, size_text},
    {CONF_SETTING_limit_request, CONF_SETTING_shm_inbox, 2, size_text},
    {CONF_SETTING_limit_request, CONF_SETTING_limit_bodies, 1, size_text},
    {CONF_SETTING_session_ttl, CONF_SETTING_session_max_ttl, 1, duration_text},
};

static void cross_at_most(struct conf_check *k, const struct at_most *r)
{
    const struct conf_setting *small = &conf_settings[r->small], *large = &conf_settings[r->large];
    const struct conf_seen *a = &k->seen[r->small], *b = &k->seen[r->large];
    uint64_t v = *(uint64_t *)conf_field(k->conf, small->at);
    uint64_t most = *(uint64_t *)conf_field(k->conf, large->at) / r->share;
    char value[UNITS_TEXT], bound[UNITS_TEXT], name[64], allowed[128];

    if (a->bad || b->bad || v <= most)
        return;
    r->text(v, value);
    r->text(most, bound);
    snprintf(name, sizeof(name), "%s.%s", small->section, small->name);
    snprintf(allowed, sizeof(allowed), "at most %s, %s%s.%s", bound,
             r->share == 1 ? "which is " : "half of ", large->section, large->name);
    conf_report_add(k->report, &(struct conf_mistake){.line = a->line ? a->line : b->line,
                                                      .name = name,
                                                      .value = value,
                                                      .what = "is too large",
                                                      .allowed = allowed});
}

/* store_path is where the store is, from here on. */
static void cross_store(struct conf_check *k)
{
    const struct conf_seen *path = &k->seen[CONF_SETTING_store_path];
    const struct conf_seen *durability = &k->seen[CONF_SETTING_store_durability];
    struct conf *c = k->conf;

    if (*c->store_path || path->bad)
        return;
    if (c->store_durability == CONF_MEMORY) {
        conf_report_add(k->report,
                        &(struct conf_mistake){.line = path->line ? path->line : durability->line,
                                               .name = "store.path",
                                               .value = "",
                                               .what = "is empty while store.durability is memory",
                                               .allowed = "a directory on tmpfs"});
        return;
    }
    char *resolved = conf_path(c->state_dir, STR("store"));
    if (!resolved) {
        k->error = -ENOMEM;
        return;
    }
    free(c->store_path);
    c->store_path = resolved;
}

void conf_cross(struct conf_check *k)
{
    if (k->conf->nlistens == 0)
        conf_report_add(k->report, &(struct conf_mistake){.name = "listen",
                                                          .what = "is missing",
                                                          .allowed = "at least one"});
    for (size_t i = 0; i < sizeof(at_most) / sizeof(at_most[0]); i++)
        cross_at_most(k, &at_most[i]);
    cross_store(k);
}
