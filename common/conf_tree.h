/* conf_tree - a configuration file as it was written: statements, values, lines.
 *
 * Private to conf*.c. The reader knows the grammar and no names; what names and values mean is for
 * conf_check.c. A tree owns everything in it until conf_tree_free. Pure.
 */
#ifndef COMMON_CONF_TREE_H
#define COMMON_CONF_TREE_H

#include "common/conf_report.h"

#define CONF_STRING_MAX 4096      /* bytes of a name, title or value */
#define CONF_LIST_MAX 1000        /* values of a list */
#define CONF_DEPTH_MAX 8          /* sections inside each other */
#define CONF_STATEMENTS_MAX 20000 /* settings and sections of a file */

enum conf_node_kind { CONF_NODE_VALUE, CONF_NODE_LIST, CONF_NODE_SECTION };

/* A word or string. What is wrong with the text itself is kept, so that whoever knows the setting's
 * name reports it. */
struct conf_text {
    const char *z;     /* unescaped, NUL-terminated */
    const char *wrong; /* static; NULL: nothing */
    int line;
};

struct conf_node {
    struct conf_node *next; /* the next statement of the same section */
    enum conf_node_kind kind;
    struct conf_text name;
    int line;
    struct conf_text *values; /* one of a VALUE, nvalues of a LIST */
    size_t nvalues;           /* at most CONF_LIST_MAX */
    bool too_long;            /* the list had more */
    bool titled;              /* the rest: of a SECTION */
    struct conf_text title;
    struct conf_node *first, *last;
    bool closed; /* its end was read; false only before a syntax error */
};

struct conf_tree {
    struct conf_node root; /* a section without a name; closed unless a syntax error came */
    struct conf_chunk *chunks;
    size_t statements;
};

/* Reads text into *ret, which is to be freed whatever the result. A syntax error goes to the report
 * and leaves what stands before it. 0 or -ENOMEM. */
int conf_tree_read(struct str text, struct conf_report *report, struct conf_tree *ret);
void conf_tree_free(struct conf_tree *t);

/* Memory that lives as long as the tree, zeroed; NULL when there is none. */
void *conf_tree_alloc(struct conf_tree *t, size_t n);

#endif
