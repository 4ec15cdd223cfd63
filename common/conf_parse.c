/* conf_parse - the upper half of the reader: tokens to a tree, by recursive descent.
 *
 * One token is looked ahead. A setting joins the tree when it is whole; a section joins it at its
 * opening brace, so that what stands before a syntax error can be judged.
 */
#include <errno.h>
#include <stdio.h>

#include "common/conf_lex.h"
#include "common/log.h"

static void *take(struct conf_lexer *l, size_t n)
{
    void *p = conf_tree_alloc(l->tree, n);

    if (!p)
        conf_lex_no_memory(l);
    return p;
}

/* A list's values are gathered here first, since only its end tells how many they are. */
static void read_list(struct conf_lexer *l, struct conf_node *n)
{
    struct conf_text values[CONF_LIST_MAX];

    n->kind = CONF_NODE_LIST;
    conf_lex_next(l);
    while (l->token == TOKEN_WORD || l->token == TOKEN_STRING) {
        if (n->nvalues < CONF_LIST_MAX)
            values[n->nvalues++] = l->text;
        else
            n->too_long = true;
        conf_lex_next(l);
        if (l->token != TOKEN_COMMA)
            break;
        conf_lex_next(l);
    }
    if (l->token != TOKEN_CLOSE) {
        conf_lex_unexpected(l, n->nvalues ? "a comma or }" : "a value or }");
        return;
    }
    n->values = take(l, n->nvalues * sizeof(values[0]));
    if (n->values)
        memcpy(n->values, values, n->nvalues * sizeof(values[0]));
    conf_lex_next(l);
}

static void read_value(struct conf_lexer *l, struct conf_node *n)
{
    if (l->token == TOKEN_OPEN) {
        read_list(l, n);
        return;
    }
    if (l->token != TOKEN_WORD && l->token != TOKEN_STRING) {
        conf_lex_unexpected(l, "a value");
        return;
    }
    n->kind = CONF_NODE_VALUE;
    n->values = take(l, sizeof(n->values[0]));
    if (!n->values)
        return;
    n->values[n->nvalues++] = l->text;
    conf_lex_next(l);
}

static void join(struct conf_node *section, struct conf_node *n)
{
    if (section->last)
        section->last->next = n;
    else
        section->first = n;
    section->last = n;
}

static void read_statements(struct conf_lexer *l, struct conf_node *section, int depth);

static void read_section(struct conf_lexer *l, struct conf_node *into, struct conf_node *n,
                         int depth)
{
    n->kind = CONF_NODE_SECTION;
    if (l->token == TOKEN_STRING) {
        n->titled = true;
        n->title = l->text;
        conf_lex_next(l);
    }
    if (l->token != TOKEN_OPEN) {
        conf_lex_unexpected(l, n->titled ? "{ after the title"
                                         : "=, { or a title in quotes after the name");
        return;
    }
    join(into, n);
    if (depth == CONF_DEPTH_MAX) {
        conf_lex_error(l, l->line, "sections stand more than 8 deep");
        return;
    }
    conf_lex_next(l);
    read_statements(l, n, depth + 1);
}

_Static_assert(CONF_DEPTH_MAX == 8, "the message above says so");

static void read_statement(struct conf_lexer *l, struct conf_node *section, int depth)
{
    if (l->tree->statements == CONF_STATEMENTS_MAX) {
        conf_lex_error(l, l->line, "the file has more than 20000 statements");
        return;
    }
    struct conf_node *n = take(l, sizeof(*n));
    if (!n)
        return;
    l->tree->statements++;
    n->name = l->text;
    n->line = l->line;
    conf_lex_next(l);
    if (l->token != TOKEN_EQUALS) {
        read_section(l, section, n, depth);
        return;
    }
    conf_lex_next(l);
    read_value(l, n);
    if (n->values)
        join(section, n);
}

_Static_assert(CONF_STATEMENTS_MAX == 20000, "the message above says so");

static void read_end(struct conf_lexer *l, struct conf_node *section, bool root)
{
    char what[64];

    if (l->token == TOKEN_CLOSE && !root) {
        section->closed = true;
        conf_lex_next(l);
    } else if (l->token == TOKEN_END && root) {
        section->closed = true;
    } else if (l->token == TOKEN_END) {
        snprintf(what, sizeof(what), "the section of line %d is not closed", section->line);
        conf_lex_error(l, l->line, what);
    } else {
        conf_lex_unexpected(l, "a name");
    }
}

static void read_statements(struct conf_lexer *l, struct conf_node *section, int depth)
{
    while (l->token == TOKEN_WORD)
        read_statement(l, section, depth);
    if (!l->stopped)
        read_end(l, section, depth == 0);
}

int conf_tree_read(struct str text, struct conf_report *report, struct conf_tree *ret)
{
    struct conf_lexer l;

    *ret = (struct conf_tree){.root.kind = CONF_NODE_SECTION};
    conf_lex_begin(&l, text, ret, report);
    read_statements(&l, &ret->root, 0);
    must(l.stopped || ret->root.closed);
    return l.error;
}
