/* conf_show - the configuration as a file again: what is in force (conf_show), and the sample with
 * every default (conf_sample). Both walk the same tables as the reader, so neither can forget a
 * setting.
 */
#include "common/conf_setting.h"
#include "common/conf_value.h"

#define INDENT 4

static void indent(struct buf *out, int depth)
{
    buf_printf(out, "%*s", depth * INDENT, "");
}

/* A secret that stands in the file, or a path that was not given, has no line. */
static bool is_shown(const struct conf_setting *s, const void *owner)
{
    char **path = conf_field(owner, s->at);

    return s->type != CONF_TYPE_SECRET && !(s->type == CONF_TYPE_PATH && !*path);
}

static void show_section(const struct conf_section *sec, const void *owner, int depth,
                         struct buf *out)
{
    for (size_t i = 0; i < CONF_SETTINGS; i++) {
        const struct conf_setting *s = &conf_settings[i];
        if (strcmp(s->section, sec->id) != 0 || !is_shown(s, owner))
            continue;
        indent(out, depth);
        buf_printf(out, "%s = ", s->name);
        conf_value_show(s, owner, out);
        buf_append_c(out, '\n');
    }
    for (size_t i = 1; i < CONF_SECTIONS && depth > 0; i++) {
        const struct conf_section *inner = &conf_sections[i];
        if (strcmp(inner->parent, sec->id) != 0 || !*(bool *)conf_field(owner, inner->flag))
            continue;
        indent(out, depth);
        buf_printf(out, "%s {\n", inner->name);
        show_section(inner, owner, depth + 1, out);
        indent(out, depth);
        buf_append_z(out, "}\n");
    }
}

/* A token_key whose secret stands in the configuration cannot be shown so that it loads. */
static void show_hidden_key(const struct conf_token_key *key, struct buf *out)
{
    const struct conf_setting *algorithm = &conf_settings[CONF_SETTING_conf_token_key_algorithm];

    buf_append_z(out, "# token_key ");
    conf_quote(out, key->kid);
    buf_append_z(out, " { algorithm = ");
    conf_value_show(algorithm, key, out);
    buf_append_z(out, " secret = \"***\" }\n");
}

static void show_items(const struct conf *c, const struct conf_section *sec, struct buf *out)
{
    for (size_t i = 0; i < conf_items(c, sec); i++) {
        void *item = conf_item(c, sec, i);
        const struct conf_token_key *key = item;
        if (sec == &conf_sections[CONF_SECTION_TOKEN_KEY] && !key->secret_file) {
            show_hidden_key(key, out);
            continue;
        }
        buf_printf(out, "%s ", sec->name);
        conf_quote(out, *conf_item_title(item, sec));
        buf_append_z(out, " {\n");
        show_section(sec, item, 1, out);
        buf_append_z(out, "}\n");
    }
}

int conf_show(const struct conf *c, struct buf *out)
{
    show_section(&conf_sections[CONF_SECTION_TOP], c, 0, out);
    for (size_t i = 1; i < CONF_SECTIONS; i++) {
        const struct conf_section *sec = &conf_sections[i];
        if (*sec->parent)
            continue;
        if (sec->title) {
            show_items(c, sec, out);
            continue;
        }
        buf_printf(out, "%s {\n", sec->name);
        show_section(sec, c, 1, out);
        buf_append_z(out, "}\n");
    }
    return out->error;
}
