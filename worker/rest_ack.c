/* rest_ack - the client's word that it has processed everything up to a cursor. Cumulative. */
#include "worker/rest_priv.h"

#include <stdlib.h>

void ack_head(struct exchange *ex)
{
    rest_session_head(ex);
    if (!ex->answered)
        rest_json_head(ex);
}

static ssize_t encode(void *arg, struct pack *p)
{
    command_ack_encode(p, arg);
    return 0;
}

static void on_done(struct rest_ask *ask, struct unpack *body)
{
    struct exchange *ex = ask->ex;
    (void)body;
    rest_release(ask);
    exchange_answer(ex, 204, NULL);
}

static bool read_cursor(struct exchange *ex, const struct session *s, uint64_t *ret_seq)
{
    static const char *const names[] = {"cursor"};
    struct json_value cursor;
    if (!rest_json_body(ex, names, 1, &cursor))
        return false;
    char memory[CURSOR_TEXT];
    struct buf text;
    buf_fixed(&text, memory, sizeof(memory));
    if (!cursor.raw.p || json_string(cursor, &text) != 0) {
        exchange_problem(ex, CODE_BAD_REQUEST, 0, "cursor: a cursor is needed");
        return false;
    }
    return rest_cursor(ex, s, buf_str(&text), ret_seq);
}

void ack_body(struct exchange *ex)
{
    struct session_copy session;
    if (!rest_session(ex, &session))
        return;
    struct command_ack c;
    memcpy(c.session, session.s.id, SESSION_ID_SIZE);
    if (read_cursor(ex, &session.s, &c.seq)) {
        if (c.seq <= session.s.acked)
            exchange_answer(ex, 204, NULL); /* it was said already */
        else
            rest_command(ex, COMMAND_ACK, COMMAND_ACK_SIZE, encode, &c, on_done);
    }
    session_copy_free(&session);
}
