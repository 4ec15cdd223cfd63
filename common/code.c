/* code - the table of refusals, looked up by number. */
#include "common/code.h"

struct row {
    int status;
    const char *text;
    const char *title;
};

static const struct row rows[CODE_COUNT] = {
    [CODE_OK] = {200, "ok", "OK"},
#define CODE(name, status, text, title) [CODE_##name] = {status, text, title},
#include "common/code_table.h"
#undef CODE
};

static const struct row *row_of(enum code c)
{
    return (unsigned)c < CODE_COUNT ? &rows[c] : &rows[CODE_INTERNAL];
}

int code_status(enum code c)
{
    return row_of(c)->status;
}

const char *code_text(enum code c)
{
    return row_of(c)->text;
}

const char *code_title(enum code c)
{
    return row_of(c)->title;
}
