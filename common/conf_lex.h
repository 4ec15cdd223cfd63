/* conf_lex - the words and marks of the configuration grammar.
 *
 * Private to conf_parse.c, which reads lexer.token, .line and .text and calls conf_lex_next. Texts
 * live as long as the tree. Pure.
 */
#ifndef COMMON_CONF_LEX_H
#define COMMON_CONF_LEX_H

#include "common/conf_tree.h"

enum conf_token {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_STRING,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_EQUALS,
    TOKEN_COMMA
};

struct conf_lexer {
    const char *p, *end;
    int at_line;           /* of p */
    enum conf_token token; /* the one looked at; END when stopped */
    int line;              /* where it begins */
    struct conf_text text; /* of a WORD or STRING */
    struct str raw;        /* its bytes in the file, for messages */
    bool stopped;          /* a syntax error was reported, or error is set */
    int error;             /* 0 or -ENOMEM */
    struct conf_tree *tree;
    struct conf_report *report;
};

/* Looks at the first token. */
void conf_lex_begin(struct conf_lexer *l, struct str text, struct conf_tree *tree,
                    struct conf_report *report);
void conf_lex_next(struct conf_lexer *l);
/* Stop the reading: with a message, or because there is no memory. */
void conf_lex_error(struct conf_lexer *l, int line, const char *what);
void conf_lex_unexpected(struct conf_lexer *l, const char *wanted);
void conf_lex_no_memory(struct conf_lexer *l);

#endif
