/* cursor - the board says at once what is ours; what it does not know yet the store decides. */
#include "worker/cursor.h"

#include <errno.h>

struct range {
    struct route *route;
    const struct session *session;
    uint64_t last, oldest;
};

/* Where a stream's messages begin for who has acked so far. */
static int begin_of(const struct range *r, struct txn *t, uint64_t stream, uint64_t join,
                    uint64_t *ret)
{
    struct stream_head head;
    int err = route_ops(r->route)->head(t, stream, &head);
    if (err)
        return err;
    uint64_t begin = join > r->session->acked ? join : r->session->acked;
    *ret = head.floor > begin ? head.floor : begin;
    return 0;
}

/* The oldest is before the first message of any stream: the mailbox may have been trimmed beyond
 * what lies unread in a topic. */
static int read_range(void *arg, struct txn *t)
{
    struct range *r = arg;
    struct subscribed has[PAGE_SOURCES];
    int err = route_ops(r->route)->last_seq(t, &r->last);
    if (!err)
        err = begin_of(r, t, r->session->stream, 0, &r->oldest);
    if (err)
        return err;
    int n = route_ops(r->route)->subscribed(t, r->session->stream, has, PAGE_SOURCES);
    for (int i = 0; i < n; i++) {
        uint64_t begin;
        err = begin_of(r, t, has[i].topic, has[i].join, &begin);
        if (err)
            return err;
        if (begin < r->oldest)
            r->oldest = begin;
    }
    return n < 0 ? n : 0;
}

int cursor_judge(struct route *route, const struct session *s, struct str text, uint64_t *ret_seq,
                 struct cursor_reset *ret_reset)
{
    uint64_t epoch, seq;
    if (cursor_parse(text, &epoch, &seq) != 0)
        return -EINVAL;
    bool ours = epoch == route_epoch(route);
    if (ours && seq <= route_last_seq(route)) {
        *ret_seq = seq;
        return 0;
    }
    /* The board may lag behind a commit whose answer is out already. */
    struct range r = {.route = route, .session = s};
    int err = route_read(route, read_range, &r);
    if (err)
        return err;
    if (ours && seq <= r.last) {
        *ret_seq = seq;
        return 0;
    }
    *ret_reset = (struct cursor_reset){
        .reason = ours ? "ahead" : "epoch",
        .oldest = r.oldest,
        .newest = r.last,
    };
    return 1;
}

void cursor_member(struct buf *b, const char *name, uint64_t epoch, uint64_t seq)
{
    char text[CURSOR_TEXT];
    size_t n = cursor_text(epoch, seq, text);
    buf_append_c(b, '"');
    buf_append_z(b, name);
    buf_append_z(b, "\":\"");
    buf_append(b, text, n);
    buf_append_c(b, '"');
}

void cursor_reset_members(struct buf *b, uint64_t epoch, const struct cursor_reset *reset)
{
    buf_append_z(b, "\"reason\":\"");
    buf_append_z(b, reset->reason);
    buf_append_z(b, "\",");
    cursor_member(b, "oldest", epoch, reset->oldest);
    buf_append_c(b, ',');
    cursor_member(b, "newest", epoch, reset->newest);
}
