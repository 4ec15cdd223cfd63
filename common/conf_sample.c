/* conf_sample - the sample file, from the tables: a person reads it once, from top to bottom, and
 * takes off the "# " where the default does not suit.
 */
#include "common/conf_setting.h"
#include "common/conf_value.h"

#define TOP "# "
#define INSIDE "#     "
#define LINE_WIDTH 96 /* without the mark */

static const char *const applies_text[] = {
    [CONF_LIVE] = "live", [CONF_ROLLING] = "rolling", [CONF_RESTART] = "restart"};

/* What a titled section, and a setting without a default, look like in use. */
static const struct {
    const char *section, *name; /* name NULL: the title */
    const char *text;
} examples[] = {
    {"listen", NULL, "\"127.0.0.1:8080\""},
    {"listen.tls", "certificate", "\"server.crt\""},
    {"listen.tls", "key", "\"server.key\""},
    {"token_key", NULL, "\"main\""},
    {"token_key", "secret_file", "\"token.key\""},
    {"api_key", NULL, "\"backend\""},
    {"api_key", "sha256", "\"0000000000000000000000000000000000000000000000000000000000000000\""},
    {"api_key", "scopes", "{ \"sessions:*\", \"send:*\", \"publish:*\", \"read:*\" }"},
    {"namespace", NULL, "\"chat:*\""},
};

static const char *example_of(const char *section, const char *name)
{
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        bool same = name && examples[i].name ? strcmp(examples[i].name, name) == 0
                                             : name == examples[i].name;
        if (same && strcmp(examples[i].section, section) == 0)
            return examples[i].text;
    }
    return NULL;
}

/* A comment, its lines broken at spaces. */
static void comment(struct buf *out, const char *before, struct str text)
{
    size_t width = LINE_WIDTH + 2 - strlen(before);

    while (text.n) {
        size_t n = text.n;
        if (n > width)
            for (n = width; n > 0 && text.p[n] != ' '; n--)
                ;
        if (n == 0)
            n = text.n;
        buf_printf(out, "%s# %.*s\n", before, (int)n, text.p);
        n += n < text.n;
        text = str_make(text.p + n, text.n - n);
    }
}

static void sample_setting(const struct conf_setting *s, const char *before, struct buf *out)
{
    char allowed[CONF_ALLOWED_TEXT], text[2 * CONF_ALLOWED_TEXT];
    const char *example = example_of(s->section, s->name);
    struct buf b;

    buf_fixed(&b, text, sizeof(text));
    buf_printf(&b, "%s [%s; %s]", s->help, conf_value_brief(s, allowed), applies_text[s->applies]);
    comment(out, before, buf_str(&b));
    if (!example && !s->def) { /* one of two, of which the other is the example */
        buf_printf(out, "%s# %s = ...\n", before, s->name);
        return;
    }
    buf_printf(out, "%s%s = ", before, s->name);
    if (example)
        buf_append_z(out, example);
    else
        conf_value_show_default(s, out);
    buf_append_c(out, '\n');
}

static void sample_settings(const struct conf_section *sec, const char *before, struct buf *out)
{
    for (size_t i = 0; i < CONF_SETTINGS; i++)
        if (strcmp(conf_settings[i].section, sec->id) == 0)
            sample_setting(&conf_settings[i], before, out);
}

/* A section that may stand inside a titled one stays a comment when the marks are taken off: it
 * needs files that are not there. */
static void sample_inner(const struct conf_section *outer, struct buf *out)
{
    for (size_t i = 1; i < CONF_SECTIONS; i++) {
        const struct conf_section *sec = &conf_sections[i];
        if (!*sec->parent || strcmp(sec->parent, outer->id) != 0)
            continue;
        comment(out, INSIDE, str_of(sec->help));
        buf_printf(out, INSIDE "# %s {\n", sec->name);
        sample_settings(sec, INSIDE "#     ", out);
        buf_append_z(out, INSIDE "# }\n");
    }
}

int conf_sample(struct buf *out)
{
    buf_append_z(
        out,
        "## restante.conf: every setting with its default, as this version writes them itself.\n"
        "## Without the leading \"# \" of every line this is a configuration with the defaults;\n"
        "## take it off where another value is wanted. At least one listen is needed.\n"
        "##\n"
        "## name = value; section { ... }; section \"title\" { ... }; lists { \"a\", \"b\" };\n"
        "## comments # and // to the end of the line. Durations: 500ms, 30s, 10m, 2h, 7d. Sizes:\n"
        "## bytes, or 16K, 16M, 64G. Relative paths start at the directory of this file.\n"
        "## In brackets: what is allowed, and how a change applies: live (in place), rolling "
        "(workers\n"
        "## are replaced one by one) or restart.\n"
        "\n");
    sample_settings(&conf_sections[CONF_SECTION_TOP], TOP, out);
    for (size_t i = 1; i < CONF_SECTIONS; i++) {
        const struct conf_section *sec = &conf_sections[i];
        if (*sec->parent)
            continue;
        buf_append_z(out, "\n");
        comment(out, TOP, str_of(sec->help));
        buf_printf(out, "# %s%s%s {\n", sec->name, sec->title ? " " : "",
                   sec->title ? example_of(sec->id, NULL) : "");
        sample_settings(sec, INSIDE, out);
        sample_inner(sec, out);
        buf_append_z(out, "# }\n");
    }
    return out->error;
}
