/* conf_lex - text to tokens; the lower half of the reader of the configuration grammar.
 *
 * Two kinds of fault: one that leaves no doubt where the next token begins (a wrong escape, a
 * string too long) is kept with its text and reading goes on; any other is a syntax error and ends
 * the reading, because what a person meant after it is a guess.
 */
#include <errno.h>

#include "common/conf_lex.h"
#include "common/utf8.h"

void conf_lex_no_memory(struct conf_lexer *l)
{
    l->error = -ENOMEM;
    l->stopped = true;
    l->token = TOKEN_END;
}

void conf_lex_error(struct conf_lexer *l, int line, const char *what)
{
    if (!l->stopped)
        conf_report_syntax(l->report, line, "%s", what);
    l->stopped = true;
    l->token = TOKEN_END;
}

void conf_lex_unexpected(struct conf_lexer *l, const char *wanted)
{
    char memory[6 * CONF_QUOTE_MAX];
    struct buf b;

    buf_fixed(&b, memory, sizeof(memory));
    buf_printf(&b, "%s is expected, not ", wanted);
    if (l->token == TOKEN_END)
        buf_append_z(&b, "the end of the file");
    else if (l->token == TOKEN_STRING)
        buf_append_z(&b, "a string"); /* it may be a secret */
    else
        conf_report_quote(&b, l->raw);
    buf_append_c(&b, 0);
    conf_lex_error(l, l->line, memory);
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("_.-+/:", c) != NULL);
}

static bool starts_with(const struct conf_lexer *l, const char *z)
{
    size_t n = strlen(z);
    return (size_t)(l->end - l->p) >= n && memcmp(l->p, z, n) == 0;
}

static void skip_block_comment(struct conf_lexer *l)
{
    int line = l->at_line;
    const char *p = l->p + 2;

    for (; p < l->end && !(p[0] == '*' && p + 1 < l->end && p[1] == '/'); p++)
        l->at_line += *p == '\n';
    if (p == l->end) {
        l->p = l->end;
        conf_lex_error(l, line, "a comment that begins with /* is not closed");
        return;
    }
    l->p = p + 2;
}

static void skip_space(struct conf_lexer *l)
{
    while (l->p < l->end && !l->stopped) {
        if (*l->p == '#' || starts_with(l, "//"))
            while (l->p < l->end && *l->p != '\n')
                l->p++;
        else if (starts_with(l, "/*"))
            skip_block_comment(l);
        else if (*l->p == ' ' || *l->p == '\t' || *l->p == '\r' || *l->p == '\n')
            l->at_line += *l->p++ == '\n';
        else
            return;
    }
}

/* Takes n bytes as the token's text. */
static void set_text(struct conf_lexer *l, const char *p, size_t n, const char *wrong)
{
    char *z = conf_tree_alloc(l->tree, n + 1);

    if (!z) {
        conf_lex_no_memory(l);
        return;
    }
    if (n)
        memcpy(z, p, n);
    if (n > CONF_STRING_MAX)
        wrong = "is longer than 4096 bytes";
    else if (memchr(z, 0, n))
        wrong = "contains a NUL byte";
    else if (!wrong && !utf8_valid(str_make(z, n)))
        wrong = "is not UTF-8";
    l->text = (struct conf_text){.z = z, .wrong = wrong, .line = l->at_line};
}

_Static_assert(CONF_STRING_MAX == 4096, "the message above says so");

static void read_word(struct conf_lexer *l)
{
    const char *start = l->p;

    while (l->p < l->end && is_word_char(*l->p) && !starts_with(l, "/*"))
        l->p++;
    set_text(l, start, (size_t)(l->p - start), NULL);
}

/* What comes out is never longer than what went in. Returns its length. */
static size_t unescape(struct str s, char *to, const char **ret_wrong)
{
    static const char from[] = "\"\\nt$", into[] = "\"\\\n\t$";
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '$' && i + 1 < s.n && s.p[i + 1] == '{')
            *ret_wrong = "contains ${, and nothing is expanded here: write \\${, or single quotes";
        if (c == '\\') {
            const char *at = strchr(from, s.p[++i]);
            bool known = at && *at;
            if (!known) {
                *ret_wrong = "contains an unknown escape: \\\" \\\\ \\n \\t \\$ are known";
                to[n++] = '\\';
            }
            c = known ? into[at - from] : s.p[i];
        }
        to[n++] = c;
    }
    return n;
}

static void read_string(struct conf_lexer *l)
{
    char quote = *l->p++;
    const char *start = l->p;
    const char *wrong = NULL;

    while (l->p < l->end && *l->p != quote && *l->p != '\n')
        l->p += quote == '"' && *l->p == '\\' && l->end - l->p > 1 && l->p[1] != '\n' ? 2 : 1;
    if (l->p == l->end || *l->p == '\n') {
        conf_lex_error(l, l->at_line, "a string is not closed on its line");
        return;
    }
    struct str s = str_make(start, (size_t)(l->p++ - start));
    if (quote == '\'') {
        set_text(l, s.p, s.n, NULL);
        return;
    }
    char *plain = conf_tree_alloc(l->tree, s.n + 1);
    if (!plain) {
        conf_lex_no_memory(l);
        return;
    }
    size_t n = unescape(s, plain, &wrong);
    set_text(l, plain, n, wrong);
}

void conf_lex_next(struct conf_lexer *l)
{
    static const char marks[] = "{}=,";
    static const enum conf_token tokens[] = {TOKEN_OPEN, TOKEN_CLOSE, TOKEN_EQUALS, TOKEN_COMMA};

    skip_space(l);
    l->line = l->at_line;
    l->token = TOKEN_END;
    if (l->stopped || l->p == l->end)
        return;
    const char *start = l->p;
    const char *mark = *start ? strchr(marks, *start) : NULL;
    if (mark) {
        l->p++;
        l->token = tokens[mark - marks];
    } else if (*start == '"' || *start == '\'') {
        l->token = TOKEN_STRING;
        read_string(l);
    } else if (is_word_char(*start)) {
        l->token = TOKEN_WORD;
        read_word(l);
    } else {
        l->token = TOKEN_WORD; /* so that the message quotes it */
        l->raw = str_make(start, 1);
        while (l->raw.n < (size_t)(l->end - start) && ((unsigned char)start[l->raw.n] >> 6) == 2)
            l->raw.n++;
        conf_lex_unexpected(l, "a name, a value or one of { } = ,");
        return;
    }
    l->raw = str_make(start, (size_t)(l->p - start));
}

void conf_lex_begin(struct conf_lexer *l, struct str text, struct conf_tree *tree,
                    struct conf_report *report)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";

    *l = (struct conf_lexer){
        .p = text.p, .end = text.p + text.n, .at_line = 1, .tree = tree, .report = report};
    if (text.n && starts_with(l, byte_order_mark))
        l->p += strlen(byte_order_mark);
    conf_lex_next(l);
}
