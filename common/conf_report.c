/* conf_report - see conf_report.h. Mistakes are found out of order (values while walking, relations
 * at the end); sorting by line gives the reader one list to work down.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/conf_report.h"
#include "common/json.h"

#define LINE_MAX_BYTES 2048 /* of one mistake, its parts quoted and cut */

struct conf_report_line {
    int line;
    bool last;      /* a syntax error */
    size_t arrival; /* keeps the sort stable */
    char *text;
};

void conf_report_init(struct conf_report *r, const char *path)
{
    *r = (struct conf_report){.path = path};
}

void conf_report_free(struct conf_report *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->lines[i].text);
    free(r->lines);
    conf_report_init(r, NULL);
}

bool conf_report_refuses(const struct conf_report *r)
{
    return r->refuses;
}

/* The length of s cut to max bytes, but not inside a character. */
static size_t cut_at(struct str s, size_t max)
{
    size_t n = s.n < max ? s.n : max;

    if (n < s.n)
        while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
            n--;
    return n;
}

void conf_report_quote(struct buf *b, struct str s)
{
    size_t n = cut_at(s, CONF_QUOTE_MAX);
    bool text = utf8_valid(str_make(s.p, n));

    buf_append_c(b, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !text))
            buf_printf(b, "\\x%02x", c);
        else
            buf_append_c(b, (char)c);
    }
    buf_append_z(b, n < s.n ? "...\"" : "\"");
}

static void take(struct conf_report *r, int line, bool last, const struct buf *text)
{
    if (r->error)
        return;
    if (r->n >= CONF_REPORT_MAX && !last) {
        r->more++;
        return;
    }
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        struct conf_report_line *lines = reallocarray(r->lines, cap, sizeof(*lines));
        if (!lines) {
            r->error = -ENOMEM;
            return;
        }
        r->lines = lines;
        r->cap = cap;
    }
    char *copy = strndup((const char *)text->data, text->len);
    if (!copy) {
        r->error = -ENOMEM;
        return;
    }
    r->lines[r->n] =
        (struct conf_report_line){.line = line, .last = last, .arrival = r->n, .text = copy};
    r->n++;
}

static bool given(const char *z)
{
    return z && *z;
}

void conf_report_add(struct conf_report *r, const struct conf_mistake *m)
{
    char memory[LINE_MAX_BYTES];
    struct buf b;

    buf_fixed(&b, memory, sizeof(memory));
    if (given(m->name))
        buf_append_z(&b, m->name);
    if (m->value) {
        buf_append_z(&b, given(m->name) ? " = " : "");
        conf_report_quote(&b, str_of(m->value));
    }
    buf_printf(&b, "%s%s%s", b.len ? ": " : "", m->warning ? "warning: " : "", m->what);
    r->refuses |= !m->warning;
    if (given(m->allowed))
        buf_printf(&b, "; allowed: %s", m->allowed);
    if (given(m->near))
        buf_printf(&b, "; did you mean \"%s\"?", m->near);
    take(r, m->line, false, &b);
}

void conf_report_syntax(struct conf_report *r, int line, const char *fmt, ...)
{
    char memory[LINE_MAX_BYTES];
    struct buf b;
    char text[LINE_MAX_BYTES / 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_fixed(&b, memory, sizeof(memory));
    buf_printf(&b, "syntax error: %s", text);
    r->refuses = true;
    take(r, line, true, &b);
}

static int by_place(const void *a, const void *b)
{
    const struct conf_report_line *x = a, *y = b;

    if (x->last != y->last)
        return x->last ? 1 : -1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->arrival < y->arrival ? -1 : 1;
}

/* One whole line or nothing, so that a report that is full still reads well. */
static int put_line(const char *path, int line, const char *text, struct buf *out)
{
    size_t was = out->len;
    int rc = buf_printf(out, "%s:%d: %s\n", path, line, text);

    if (rc)
        out->len = was;
    return rc;
}

int conf_report_write(struct conf_report *r, struct buf *out)
{
    char more[64];
    int rc = r->error;

    if (r->n)
        qsort(r->lines, r->n, sizeof(*r->lines), by_place);
    for (size_t i = 0; i < r->n && rc == 0; i++)
        rc = put_line(r->path, r->lines[i].line, r->lines[i].text, out);
    if (r->more && rc == 0) {
        snprintf(more, sizeof(more), "%zu more mistakes are not shown", r->more);
        rc = put_line(r->path, 0, more, out);
    }
    return rc;
}
