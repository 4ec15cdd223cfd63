/* options - see options.h. One table makes the parser and the help text.
 */
#include "server/options.h"

#include <errno.h>

#include "server/signals.h"
#include "server/supervisor.h"

struct option_row {
    const char *name;
    enum verb verb;
    const char *argument; /* NULL: takes none */
    const char *help;     /* NULL: internal */
};

static const struct option_row table[] = {
    {"--config", VERB_RUN, "FILE", "run the server in the foreground with this configuration"},
    {"--check-config", VERB_CHECK, NULL, "with --config: report everything wrong with it and exit"},
    {"--show-config", VERB_SHOW, NULL, "with --config: print the effective configuration"},
    {"--sample-config", VERB_SAMPLE, NULL,
     "print a file with every setting, its default and range"},
    {"--version", VERB_VERSION, NULL, "print the version"},
    {"--help", VERB_HELP, NULL, "print this"},
    {"-h", VERB_HELP, NULL, NULL},
    {"--role", VERB_ROLE, NULL, NULL}, /* spawn.c starts roles with it */
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static const struct {
    int status;
    const char *help;
} exits[] = {
    {EXIT_OK, "orderly stop, or nothing wrong"},
    {EXIT_FAILED, "the environment failed: directory in use, address taken, a role hopeless"},
    {EXIT_USAGE, "wrong command line"},
    {EXIT_CONFIG, "the configuration cannot be read or has mistakes"},
};

/* "--name" or "--name=value"; *ret_value is NULL without "=". */
static const struct option_row *row_of(const char *arg, const char **ret_value)
{
    const char *equals = strchr(arg, '=');
    struct str name = str_make(arg, equals ? (size_t)(equals - arg) : strlen(arg));

    for (size_t i = 0; i < ROWS; i++) {
        if (!str_is(name, table[i].name) || (equals && !table[i].argument))
            continue;
        *ret_value = equals ? equals + 1 : NULL;
        return &table[i];
    }
    return NULL;
}

static int refuse(struct buf *why, const char *arg, const char *what)
{
    buf_printf(why, "%s%s%s (see restanted --help)\n", arg, *arg ? ": " : "", what);
    return -EINVAL;
}

static bool needs_config(enum verb v)
{
    return v == VERB_RUN || v == VERB_CHECK || v == VERB_SHOW;
}

int options_parse(int argc, char *const *argv, struct options *ret, struct buf *why)
{
    struct options o = {.verb = VERB_RUN};

    for (int i = 1; i < argc; i++) {
        const char *value;
        const struct option_row *row = row_of(argv[i], &value);
        if (!row)
            return refuse(why, argv[i], "no such option");
        if (row->argument) {
            if (o.config)
                return refuse(why, argv[i], "given twice");
            o.config = value ? value : i + 1 < argc ? argv[++i] : "";
            if (*o.config == 0)
                return refuse(why, row->name, "needs a file");
        } else if (o.verb != VERB_RUN && o.verb != row->verb) {
            return refuse(why, argv[i], "only one of these at a time");
        } else {
            o.verb = row->verb;
        }
    }
    if (needs_config(o.verb) && !o.config)
        return refuse(why, "", "--config FILE is needed");
    *ret = o;
    return 0;
}

int options_help(struct buf *out)
{
    buf_append_z(out, "usage: restanted --config FILE [--check-config | --show-config]\n\n"
                      "The restante server: sessions and mailboxes that outlive connections.\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        const struct option_row *row = &table[i];
        if (row->help)
            buf_printf(out, "  %s%s%-*s %s\n", row->name, row->argument ? " " : "",
                       (int)(17 - strlen(row->name) - (row->argument ? 1 : 0)),
                       row->argument ? row->argument : "", row->help);
    }
    buf_append_z(out, "\nExit status:\n");
    for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
        buf_printf(out, "  %-9d %s\n", exits[i].status, exits[i].help);
    buf_append_z(out, "\nSignals:\n");
    return signals_help(out);
}
