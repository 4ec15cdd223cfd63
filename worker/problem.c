/* problem - refusals as problem documents (RFC 9457), with the header lines that belong to them.
 *
 * Who asked for MessagePack gets the same members as MSGPACK_TYPE: it has no type for problems.
 * When there is no memory for the document the status still goes out, without a body.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/json.h"

#include "worker/exchange.h"

#define PROBLEM_DETAIL 512
#define PROBLEM_RETRY_S 1

static bool has_line(const struct buf *head, const char *name)
{
    return head->len && memmem(head->data, head->len, name, strlen(name));
}

static void add_lines(struct exchange *ex, enum code code, unsigned retry_after_s)
{
    int status = code_status(code);
    if (!retry_after_s && (status == 429 || status == 503))
        retry_after_s = PROBLEM_RETRY_S;
    if (retry_after_s)
        buf_printf(&ex->out_head, "Retry-After: %u\r\n", retry_after_s);
    if (status == 401 && !has_line(&ex->out_head, "WWW-Authenticate:"))
        buf_append_z(&ex->out_head, code == CODE_TOKEN_MISSING
                                        ? "WWW-Authenticate: Bearer\r\n"
                                        : "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
}

void exchange_problem_with(struct exchange *ex, enum code code, unsigned retry_after_s,
                           struct str members, const char *detail)
{
    struct buf *b = &ex->out_body;
    if (ex->out_head.error)
        buf_free(&ex->out_head);
    buf_reset(b);
    add_lines(ex, code, retry_after_s);
    buf_append_z(b, "{\"type\":\"about:blank\",\"title\":");
    json_quote(b, str_of(code_title(code)));
    buf_printf(b, ",\"status\":%d,\"code\":\"%s\"", code_status(code), code_text(code));
    if (detail && *detail) {
        buf_append_z(b, ",\"detail\":");
        json_quote(b, str_of(detail));
    }
    if (code == CODE_UNAVAILABLE && !members.n)
        members = STR(",\"outcome\":\"none\"");
    buf_append_str(b, members);
    buf_append_z(b, ",\"request_id\":");
    json_quote(b, str_of(ex->request_id));
    buf_append_c(b, '}');

    bool whole = !b->error;
    if (!whole)
        buf_free(b);
    if (ex->out_head.error)
        buf_free(&ex->out_head);
    ex->out_code = code;
    exchange_answer(ex, code_status(code), whole ? PROBLEM_TYPE : NULL);
}

void exchange_problem(struct exchange *ex, enum code code, unsigned retry_after_s,
                      const char *detail, ...)
{
    char text[PROBLEM_DETAIL] = "";
    if (detail) {
        va_list args;
        va_start(args, detail);
        vsnprintf(text, sizeof(text), detail, args);
        va_end(args);
    }
    exchange_problem_with(ex, code, retry_after_s, str_make(NULL, 0), text);
}
