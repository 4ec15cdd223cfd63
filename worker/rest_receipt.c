/* rest_receipt - what became of a message, as far as it is known; never a guess. */
#include "worker/rest_priv.h"

#include <errno.h>

struct ask {
    struct exchange *ex;
    const struct session *session;
    uint64_t seq;
    struct receipt receipt;
};

static int read_receipt(void *arg, struct txn *t)
{
    struct ask *a = arg;
    struct route *r = a->ex->worker->route;
    uint64_t last;
    int err = route_ops(r)->last_seq(t, &last);
    if (!err && (a->seq == 0 || a->seq > last))
        err = -ENOENT; /* never given to anyone */
    if (!err)
        err = route_ops(r)->receipt(t, a->session, a->seq, route_now_ms(r),
                                    a->ex->worker->conf->mailbox_age, &a->receipt);
    return err;
}

void receipt_head(struct exchange *ex)
{
    rest_is_key(ex, principal_may(&ex->principal, "sessions", STR("*")));
}

void receipt_body(struct exchange *ex)
{
    struct ask a = {.ex = ex};
    if (u64_parse(ex->param[1], &a.seq) != 0) {
        exchange_problem(ex, CODE_NOT_FOUND, 0, "no such seq");
        return;
    }
    struct session_copy session;
    if (!rest_session(ex, &session))
        return;
    /* What this worker handed out may be on its way to the store yet. */
    struct session s = session.s;
    uint64_t delivered = route_delivered(ex->worker->route, &s);
    if (delivered > s.delivered) {
        s.delivered_prev = s.delivered;
        s.delivered = delivered;
        s.delivered_ms = 0;
    }
    a.session = &s;
    int err = route_read(ex->worker->route, read_receipt, &a);
    session_copy_free(&session);
    if (err == -ENOENT) {
        exchange_problem(ex, CODE_NOT_FOUND, 0, "no such seq");
        return;
    }
    if (err) {
        rest_store_error(ex, err);
        return;
    }
    struct buf *b = &ex->out_body;
    buf_append_z(b, "{\"seq\":");
    buf_append_u64(b, a.seq);
    buf_append_z(b, ",\"state\":\"");
    buf_append_z(b, receipt_state_text(a.receipt.state));
    buf_append_z(b, "\",");
    rest_time_member(b, "time", a.receipt.time_ms);
    buf_append_c(b, ',');
    rest_time_member(b, "delivered_at", a.receipt.delivered_ms);
    buf_append_c(b, ',');
    rest_time_member(b, "acked_at", a.receipt.acked_ms);
    buf_append_c(b, '}');
    exchange_answer(ex, 200, JSON_TYPE);
}
