/* conf_report - the mistakes of one configuration file, collected, then written in its order.
 *
 * Private to conf*.c. Owner: conf_load; everything is copied in. The number kept is bounded by
 * CONF_REPORT_MAX (the rest is counted). Pure.
 */
#ifndef COMMON_CONF_REPORT_H
#define COMMON_CONF_REPORT_H

#include "common/buf.h"

#define CONF_QUOTE_MAX 64 /* bytes of a value, name or title that a message quotes */
#define CONF_NAME_TEXT 256

struct conf_mistake { /* NULL or "" leaves a part out */
    int line;
    const char *name;    /* "session.ttl", api_key "backend".scopes */
    const char *value;   /* as written */
    const char *what;    /* what is wrong with it */
    const char *allowed; /* what would be right */
    const char *near;    /* the nearest known name */
    bool warning;        /* to be known, but no reason to refuse the file */
};

struct conf_report {
    const char *path; /* borrowed */
    struct conf_report_line *lines;
    size_t n, cap;
    size_t more;  /* mistakes beyond CONF_REPORT_MAX */
    bool refuses; /* one was more than a warning */
    int error;    /* 0 or -ENOMEM; sticky */
};

void conf_report_init(struct conf_report *r, const char *path);
void conf_report_free(struct conf_report *r);
void conf_report_add(struct conf_report *r, const struct conf_mistake *m);
/* What ends the reading; always the last line. */
void conf_report_syntax(struct conf_report *r, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Is there more in it than warnings? */
bool conf_report_refuses(const struct conf_report *r);
/* Whole lines while out has room; the last says how many are missing. 0, -EMSGSIZE or -ENOMEM. */
int conf_report_write(struct conf_report *r, struct buf *out);

/* Appends s in double quotes for a reader's eyes: control characters and bytes that are not UTF-8
 * escaped, at most CONF_QUOTE_MAX bytes of it. */
void conf_report_quote(struct buf *b, struct str s);

#endif
