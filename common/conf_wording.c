/* conf_wording - how settings look to a person: values as the grammar writes them, what is allowed
 * in words, and the nearest choice. One row a type.
 */
#include <stdio.h>

#include "common/conf_near.h"
#include "common/conf_value.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/units.h"

#define SIZES "a number of bytes, or with K, M, G, T"

static void show_path(const struct conf_setting *s, const void *owner, struct buf *out)
{
    char **field = conf_field(owner, s->at);

    conf_quote(out, *field ? *field : "");
}

static void show_bool(const struct conf_setting *s, const void *owner, struct buf *out)
{
    buf_append_z(out, *(bool *)conf_field(owner, s->at) ? "true" : "false");
}

static void show_count(const struct conf_setting *s, const void *owner, struct buf *out)
{
    buf_append_u64(out, *(uint64_t *)conf_field(owner, s->at));
}

static void show_size(const struct conf_setting *s, const void *owner, struct buf *out)
{
    char text[UNITS_TEXT];

    size_text(*(uint64_t *)conf_field(owner, s->at), text);
    conf_quote(out, text);
}

static void show_duration(const struct conf_setting *s, const void *owner, struct buf *out)
{
    char text[UNITS_TEXT];

    duration_text(*(uint64_t *)conf_field(owner, s->at), text);
    conf_quote(out, text);
}

static void show_choice(const struct conf_setting *s, int index, struct buf *out)
{
    struct conf_choices c = {s->min};
    struct str choice = {0};

    for (int i = 0; i <= index; i++)
        must(conf_choice_next(&c, &choice));
    buf_printf(out, "\"%.*s\"", (int)choice.n, choice.p);
}

static void show_enum(const struct conf_setting *s, const void *owner, struct buf *out)
{
    show_choice(s, *(int *)conf_field(owner, s->at), out);
}

static void show_switch(const struct conf_setting *s, const void *owner, struct buf *out)
{
    show_choice(s, *(bool *)conf_field(owner, s->at), out);
}

static void show_sha256(const struct conf_setting *s, const void *owner, struct buf *out)
{
    char text[65];

    hex_encode(conf_field(owner, s->at), 32, text);
    conf_quote(out, text);
}

static void show_secret(const struct conf_setting *s, const void *owner, struct buf *out)
{
    (void)s;
    (void)owner;
    buf_append_z(out, "\"***\"");
}

static void show_list(const struct conf_setting *s, const void *owner, struct buf *out)
{
    char **items;
    size_t n = conf_list_items(s, owner, &items);

    buf_append_z(out, "{ ");
    for (size_t i = 0; i < n; i++) {
        conf_quote(out, items[i]);
        buf_append_z(out, i + 1 < n ? ", " : " ");
    }
    buf_append_c(out, '}');
}

struct wording {
    void (*show)(const struct conf_setting *s, const void *owner, struct buf *out);
    const char *allowed; /* NULL: the choices; a range follows where the row has one */
    const char *brief;   /* the same where the units were explained already */
    bool quoted;         /* a default is written as a string */
};

static const struct wording wordings[CONF_TYPE_COUNT_OF] = {
    [CONF_TYPE_PATH] = {show_path, "a path", "path", true},
    [CONF_TYPE_BOOL] = {show_bool, "true, false", "true or false", false},
    [CONF_TYPE_COUNT] = {show_count, "a whole number", "number", false},
    [CONF_TYPE_SIZE] = {show_size, SIZES, "size", true},
    [CONF_TYPE_RING] = {show_size, SIZES, "size", true},
    [CONF_TYPE_DURATION] = {show_duration, "a whole number of ms, s, m, h, d, or of seconds",
                            "duration", true},
    [CONF_TYPE_ENUM] = {show_enum, NULL, NULL, true},
    [CONF_TYPE_WORKERS] = {show_count, "auto, or a whole number", "auto or number", false},
    [CONF_TYPE_SWITCH] = {show_switch, NULL, NULL, true},
    [CONF_TYPE_SHA256] = {show_sha256, "64 hexadecimal digits", "64 digits", true},
    [CONF_TYPE_SECRET] = {show_secret, "at least 32 bytes", "text", true},
    [CONF_TYPE_LIST] = {show_list, NULL, NULL, false},
};

_Static_assert(CONF_SECRET_MIN == 32, "the table says so");

void conf_quote(struct buf *out, const char *z)
{
    static const char plain[] = "\"\\\n\t", escaped[] = "\"\\nt";

    buf_append_c(out, '"');
    for (; *z; z++) {
        const char *at = strchr(plain, *z);
        if (at || (z[0] == '$' && z[1] == '{'))
            buf_append_c(out, '\\');
        buf_append_c(out, at ? escaped[at - plain] : *z);
    }
    buf_append_c(out, '"');
}

void conf_value_show(const struct conf_setting *s, const void *owner, struct buf *out)
{
    wordings[s->type].show(s, owner, out);
}

void conf_value_show_default(const struct conf_setting *s, struct buf *out)
{
    struct conf_choices c = {s->def};
    struct str item;

    if (s->type == CONF_TYPE_LIST) {
        buf_append_c(out, '{');
        for (const char *joint = " "; conf_choice_next(&c, &item); joint = ", ")
            buf_printf(out, "%s\"%.*s\"", joint, (int)item.n, item.p);
        buf_append_z(out, " }");
    } else if (wordings[s->type].quoted) {
        conf_quote(out, s->def);
    } else {
        buf_append_z(out, s->def);
    }
}

static const char *describe(const struct conf_setting *s, const char *kind,
                            char ret[CONF_ALLOWED_TEXT])
{
    struct conf_choices c = {s->min};
    struct str choice;
    struct buf b;

    buf_fixed(&b, ret, CONF_ALLOWED_TEXT);
    if (s->type == CONF_TYPE_LIST)
        buf_append_z(&b, conf_list_allowed(s));
    else if (kind)
        buf_append_z(&b, kind);
    else
        while (conf_choice_next(&c, &choice))
            buf_printf(&b, "%s%.*s", b.len ? ", " : "", (int)choice.n, choice.p);
    if (kind && *s->min && s->type != CONF_TYPE_LIST)
        buf_printf(&b, ", %s to %s", s->min, s->max);
    if (s->type == CONF_TYPE_PATH && s->def && !*s->def)
        buf_append_z(&b, ", or empty");
    ret[b.len] = 0;
    return ret;
}

const char *conf_value_allowed(const struct conf_setting *s, char ret[CONF_ALLOWED_TEXT])
{
    return describe(s, wordings[s->type].allowed, ret);
}

const char *conf_value_brief(const struct conf_setting *s, char ret[CONF_ALLOWED_TEXT])
{
    return describe(s, wordings[s->type].brief, ret);
}

const char *conf_value_near(const struct conf_setting *s, struct str text, char *ret, size_t size)
{
    struct conf_near near;
    struct conf_choices c = {s->type == CONF_TYPE_BOOL ? "true|false" : s->min};
    struct str choice;

    conf_near_begin(&near, text);
    if (s->type == CONF_TYPE_BOOL || s->type == CONF_TYPE_ENUM || s->type == CONF_TYPE_SWITCH)
        while (conf_choice_next(&c, &choice))
            conf_near_try(&near, choice);
    return conf_near_text(&near, ret, size);
}
