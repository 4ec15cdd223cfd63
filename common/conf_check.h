/* conf_check - from a tree to a configuration: names, duplicates, values (conf_check.c), then what
 * must hold between values (conf_cross.c).
 *
 * Private to conf*.c. Every mistake goes to the report and checking goes on.
 */
#ifndef COMMON_CONF_CHECK_H
#define COMMON_CONF_CHECK_H

#include "common/conf_setting.h"
#include "common/conf_tree.h"

struct conf_seen {
    int line; /* where it was set; 0: it was not */
    bool bad; /* its value was refused, so the field does not say what was meant */
};

struct conf_check {
    struct conf *conf;
    struct conf_report *report;
    const char *dir;                      /* absolute; where relative paths start */
    struct conf_seen seen[CONF_SETTINGS]; /* settings of struct conf */
    bool over[CONF_SECTIONS];             /* that there are too many was said */
    int error;                            /* 0 or -ENOMEM; ends the check */
};

/* A section while its statements are checked. */
struct conf_scope {
    const struct conf_section *section;
    const struct conf_node *node;
    const struct conf_scope *outer; /* NULL at the top */
    void *owner;                    /* the struct that its settings fill */
    struct conf_seen seen[CONF_SETTINGS];
    int sections[CONF_SECTIONS]; /* line of the first one inside; 0: none yet */
};

/* Fills conf with what stands below root; conf has its defaults already. */
void conf_check_tree(struct conf_check *k, const struct conf_node *root);

/* What must hold inside one titled section, or one inside it, judged when it was read to its end.
 */
void conf_cross_item(struct conf_check *k, struct conf_scope *scope);
/* The same for a tls section: reads the files and keeps the certificates. */
void conf_cross_tls(struct conf_check *k, struct conf_scope *scope);
void conf_tls_free(struct conf_listen *l); /* what conf_cross_tls kept */
/* What must hold in the whole file, judged when it was read to its end. */
void conf_cross(struct conf_check *k);

/* Reports a mistake in a setting of scope (name NULL: in the section itself). */
void conf_wrong(struct conf_check *k, const struct conf_scope *scope, const char *name,
                struct conf_mistake m);

#endif
