/* conf_check - see conf_check.h. One walk over the tree; each statement is looked up in the tables,
 * and what the tables do not know is compared with what they do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/conf_check.h"
#include "common/conf_near.h"
#include "common/conf_value.h"

#define TITLE_MAX 255 /* bytes; names of keys and topics are as long at most */

/* `session`, `api_key "backend"`, `listen "a".tls`: what a message calls a section. */
static void scope_name(const struct conf_scope *s, struct buf *b)
{
    if (!s->outer)
        return;
    scope_name(s->outer, b);
    buf_printf(b, "%s%s", b->len ? "." : "", s->section->name);
    if (s->node->titled) {
        buf_append_c(b, ' ');
        conf_report_quote(b, str_of(s->node->title.z));
    }
}

static const char *full_name(const struct conf_scope *s, const char *name, char *ret, size_t size)
{
    struct buf b;

    buf_fixed(&b, ret, size);
    scope_name(s, &b);
    if (name)
        buf_printf(&b, "%s%s", b.len ? "." : "", name);
    ret[b.len] = 0;
    return ret;
}

void conf_wrong(struct conf_check *k, const struct conf_scope *scope, const char *name,
                struct conf_mistake m)
{
    char text[4 * CONF_NAME_TEXT];

    m.name = full_name(scope, name, text, sizeof(text));
    conf_report_add(k->report, &m);
}

/* A name from the file, cut for a message. */
static const char *quoted_name(const struct conf_node *n, char *ret, size_t size)
{
    struct buf b;
    struct str name = str_of(n->name.z);

    buf_fixed(&b, ret, size);
    buf_append(&b, name.p, name.n < CONF_QUOTE_MAX ? name.n : CONF_QUOTE_MAX);
    buf_append_z(&b, name.n > CONF_QUOTE_MAX ? "..." : "");
    ret[b.len] = 0;
    return ret;
}

/* The nearest name that may stand here; else the place where this very name may stand. */
static const char *near_name(const struct conf_scope *s, const char *name, char *ret, size_t size)
{
    struct conf_near near;

    conf_near_begin(&near, str_of(name));
    for (size_t i = 0; i < CONF_SETTINGS; i++)
        if (strcmp(conf_settings[i].section, s->section->id) == 0)
            conf_near_try(&near, str_of(conf_settings[i].name));
    for (size_t i = 1; i < CONF_SECTIONS; i++)
        if (strcmp(conf_sections[i].parent, s->section->id) == 0)
            conf_near_try(&near, str_of(conf_sections[i].name));
    for (size_t i = 0; i < CONF_SETTINGS && near.best.n == 0; i++)
        if (strcmp(conf_settings[i].name, name) == 0) {
            snprintf(ret, size, "%s%s%s", conf_settings[i].section,
                     *conf_settings[i].section ? "." : "", name);
            return ret;
        }
    return conf_near_text(&near, ret, size);
}

static void unknown(struct conf_check *k, const struct conf_scope *s, const struct conf_node *n)
{
    const struct conf_setting *setting = conf_setting_find(s->section->id, n->name.z);
    const struct conf_section *section = conf_section_find(s->section->id, n->name.z);
    char name[CONF_NAME_TEXT], text[CONF_NAME_TEXT];
    struct conf_mistake m = {.line = n->line};

    if (setting) {
        snprintf(text, sizeof(text), "%s = ...", setting->name);
        m.what = "is a setting, not a section";
        m.allowed = text;
    } else if (section) {
        snprintf(text, sizeof(text), "%s %s%s%s{ ... }", section->name, section->title ? "\"<" : "",
                 section->title ? section->title : "", section->title ? ">\" " : "");
        m.what = "is a section, not a setting";
        m.allowed = text;
    } else {
        m.what = n->kind == CONF_NODE_SECTION ? "unknown section" : "unknown setting";
        if (k->report->n < CONF_REPORT_MAX) /* else nobody would read it */
            m.near = near_name(s, n->name.z, text, sizeof(text));
    }
    conf_wrong(k, s, quoted_name(n, name, sizeof(name)), m);
}

static void keep(struct conf_check *k, int rc)
{
    if (rc == -ENOMEM)
        k->error = rc;
}

/* One value judged and stored; true when it was taken. */
static bool take_value(struct conf_check *k, struct conf_scope *s, const struct conf_setting *row,
                       const struct conf_text *v)
{
    char allowed[CONF_ALLOWED_TEXT], near[CONF_ALLOWED_TEXT];
    struct conf_mistake m = {
        .line = v->line, .value = row->type == CONF_TYPE_SECRET ? "***" : v->z, .what = v->wrong};
    struct str text = str_of(v->z);
    bool list = row->type == CONF_TYPE_LIST;
    int rc = v->wrong ? -EINVAL : 0;

    if (rc == 0 && list)
        m.what = conf_list_item(row, text);
    if (rc == 0 && list)
        rc = m.what ? -EINVAL : conf_list_add(row, text, k->dir, s->owner);
    else if (rc == 0)
        rc = conf_value_store(row, text, k->dir, s->owner, &m.what);
    keep(k, rc);
    if (rc != -EINVAL)
        return rc == 0;
    if (!v->wrong) {
        m.allowed = conf_value_allowed(row, allowed);
        m.near = list ? conf_list_near(row, text, near, sizeof(near))
                      : conf_value_near(row, text, near, sizeof(near));
    }
    conf_wrong(k, s, row->name, m);
    return false;
}

/* The file's list replaces the default whole. */
static bool take_list(struct conf_check *k, struct conf_scope *s, const struct conf_setting *row,
                      const struct conf_node *n)
{
    bool good = !n->too_long;

    conf_list_free(row, s->owner);
    if (n->too_long)
        conf_wrong(k, s, row->name,
                   (struct conf_mistake){.line = n->line, .what = "has more than 1000 values"});
    for (size_t i = 0; i < n->nvalues && !k->error; i++) {
        bool twice = false;
        for (size_t j = 0; j < i && !twice && !conf_list_of_paths(row); j++)
            twice = strcmp(n->values[i].z, n->values[j].z) == 0;
        if (twice)
            conf_wrong(k, s, row->name,
                       (struct conf_mistake){.line = n->values[i].line,
                                             .value = n->values[i].z,
                                             .what = "stands in the list twice"});
        good &= !twice && take_value(k, s, row, &n->values[i]);
    }
    return good;
}

_Static_assert(CONF_LIST_MAX == 1000, "the message above says so");

static void check_setting(struct conf_check *k, struct conf_scope *s, const struct conf_node *n)
{
    const struct conf_setting *row = conf_setting_find(s->section->id, n->name.z);
    struct conf_mistake m = {.line = n->line};
    char what[64];

    if (!row) {
        unknown(k, s, n);
        return;
    }
    struct conf_seen *seen = &s->seen[row - conf_settings];
    if (seen->line) {
        snprintf(what, sizeof(what), "is set twice, first in line %d", seen->line);
        m.what = what;
        conf_wrong(k, s, row->name, m);
        return;
    }
    seen->line = n->line;
    bool list = row->type == CONF_TYPE_LIST;
    bool one = list && n->kind == CONF_NODE_VALUE && conf_list_of_paths(row);
    if ((n->kind == CONF_NODE_LIST) != list && !one) {
        char allowed[CONF_ALLOWED_TEXT];
        m.what = n->kind == CONF_NODE_LIST ? "is one value, not a list" : "is a list";
        m.allowed = n->kind == CONF_NODE_LIST ? conf_value_allowed(row, allowed)
                                              : "{ \"value\", \"value\" }";
        conf_wrong(k, s, row->name, m);
        seen->bad = true;
    } else if (list) {
        seen->bad = !take_list(k, s, row, n);
    } else {
        seen->bad = !take_value(k, s, row, &n->values[0]);
    }
}

static void check_statements(struct conf_check *k, struct conf_scope *s);

/* What is wrong with a title, or NULL. */
static const char *title_wrong(const struct conf_section *sec, const struct conf_text *title)
{
    struct str t = str_of(title->z);
    struct address address;

    if (title->wrong)
        return title->wrong;
    if (t.n == 0)
        return "has an empty title";
    if (t.n > TITLE_MAX)
        return "has a title of more than 255 bytes";
    if (conf_has_control(t))
        return "has a control character in its title";
    if (sec == &conf_sections[CONF_SECTION_NAMESPACE])
        return conf_pattern_wrong(t);
    if (sec == &conf_sections[CONF_SECTION_LISTEN] && address_parse(t, &address))
        return "is not an address to listen at";
    return NULL;
}

_Static_assert(TITLE_MAX == 255, "the message above says so");

static const char *title_allowed(const struct conf_section *sec)
{
    if (sec == &conf_sections[CONF_SECTION_LISTEN])
        return "\"127.0.0.1:8080\", \"[::1]:8080\", \"*:8080\", \"unix:/path\"";
    if (sec == &conf_sections[CONF_SECTION_NAMESPACE])
        return "a topic, or a prefix and *";
    return NULL;
}

/* The first line of an equal title, or 0. Addresses that are written in two ways are compared
 * later, by what they mean. */
static int title_line(const struct conf *c, const struct conf_section *sec, const char *title)
{
    size_t n = sec == &conf_sections[CONF_SECTION_LISTEN] ? 0 : conf_items(c, sec);

    for (size_t i = 0; i < n; i++) {
        void *other = conf_item(c, sec, i);
        if (strcmp(*conf_item_title(other, sec), title) == 0)
            return *(int *)conf_field(other, sec->line_at);
    }
    return 0;
}

static void check_title(struct conf_check *k, const struct conf_scope *s)
{
    const struct conf_section *sec = s->section;
    struct conf_mistake m = {.line = s->node->line, .allowed = title_allowed(sec)};
    char what[64], allowed[64];

    if (!s->node->titled) {
        snprintf(allowed, sizeof(allowed), "%s \"<%s>\" { ... }", sec->name, sec->title);
        m.what = "has no title";
        m.allowed = allowed;
        conf_wrong(k, s, NULL, m);
        return;
    }
    m.what = title_wrong(sec, &s->node->title);
    if (m.what)
        conf_wrong(k, s, NULL, m);
    int first = title_line(k->conf, sec, s->node->title.z);
    if (first) {
        snprintf(what, sizeof(what), "stands twice, first in line %d", first);
        conf_wrong(k, s, NULL, (struct conf_mistake){.line = s->node->line, .what = what});
    }
}

/* A title as it is kept: the path of a unix address begins at the root. */
static char *title_copy(const struct conf_check *k, const struct conf_scope *s)
{
    const char *title = s->node->titled ? s->node->title.z : "";
    struct address a;

    if (s->section != &conf_sections[CONF_SECTION_LISTEN] || address_parse(str_of(title), &a) ||
        a.kind != ADDRESS_UNIX)
        return strdup(title);
    char *path = conf_path(k->dir, a.path);
    size_t prefix = (size_t)(a.path.p - title), n = path ? strlen(path) + 1 : 0;
    char *copy = path ? malloc(prefix + n) : NULL;
    if (copy) {
        memcpy(copy, title, prefix);
        memcpy(copy + prefix, path, n);
    }
    free(path);
    return copy;
}

/* Adds the item with its title, line and defaults; false when there is no room or no memory. */
static bool add_item(struct conf_check *k, struct conf_scope *s)
{
    const struct conf_section *sec = s->section;
    size_t index = (size_t)(sec - conf_sections);
    char what[64];

    if (conf_items(k->conf, sec) == sec->max) {
        snprintf(what, sizeof(what), "is one more than the %zu that there may be", sec->max);
        if (!k->over[index])
            conf_wrong(k, s, NULL, (struct conf_mistake){.line = s->node->line, .what = what});
        k->over[index] = true;
        return false;
    }
    s->owner = conf_item_add(k->conf, sec);
    if (!s->owner) {
        keep(k, -ENOMEM);
        return false;
    }
    char **title = conf_item_title(s->owner, sec);
    *title = title_copy(k, s);
    keep(k, *title ? 0 : -ENOMEM);
    *(int *)conf_field(s->owner, sec->line_at) = s->node->line;
    for (size_t i = 0; i < CONF_SETTINGS && !k->error; i++)
        if (conf_settings[i].owner == sec->owner)
            keep(k, conf_value_default(&conf_settings[i], k->dir, s->owner));
    return !k->error;
}

static void check_untitled(struct conf_check *k, struct conf_scope *s, int *first)
{
    struct conf_mistake m = {.line = s->node->line};
    char what[64];

    if (s->node->titled) {
        m.what = "takes no title";
        conf_wrong(k, s, NULL, m);
    }
    if (*first) {
        snprintf(what, sizeof(what), "stands twice, first in line %d", *first);
        m.what = what;
        conf_wrong(k, s, NULL, m);
    } else {
        *first = s->node->line;
    }
    if (s->section->flag)
        *(bool *)conf_field(s->owner, s->section->flag) = true;
}

static void check_section(struct conf_check *k, struct conf_scope *outer, const struct conf_node *n)
{
    const struct conf_section *sec = conf_section_find(outer->section->id, n->name.z);

    if (!sec) {
        unknown(k, outer, n);
        return;
    }
    struct conf_scope s = {.section = sec, .node = n, .outer = outer, .owner = outer->owner};
    if (sec->title) {
        check_title(k, &s);
        if (!add_item(k, &s))
            return;
    } else {
        check_untitled(k, &s, &outer->sections[sec - conf_sections]);
    }
    check_statements(k, &s);
    if ((sec->title || sec->flag) && n->closed && !k->error)
        conf_cross_item(k, &s);
}

static void check_statements(struct conf_check *k, struct conf_scope *s)
{
    for (const struct conf_node *n = s->node->first; n && !k->error; n = n->next) {
        if (n->kind == CONF_NODE_SECTION)
            check_section(k, s, n);
        else
            check_setting(k, s, n);
    }
    for (size_t i = 0; i < CONF_SETTINGS; i++)
        if (conf_settings[i].owner == CONF_OWNER_conf && s->seen[i].line && !k->seen[i].line)
            k->seen[i] = s->seen[i];
}

void conf_check_tree(struct conf_check *k, const struct conf_node *root)
{
    struct conf_scope top = {
        .section = &conf_sections[CONF_SECTION_TOP], .node = root, .owner = k->conf};

    check_statements(k, &top);
    if (root->closed && !k->error)
        conf_cross(k);
}
