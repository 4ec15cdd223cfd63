/* tail - what the two ways of `restante tail` share. Process: the command. */
#ifndef SERVER_CLI_TAIL_H
#define SERVER_CLI_TAIL_H

#include "server/cli/cli.h"

#define TAIL_ANSWER_MS 20000 /* for an answer that waits for nothing */

struct tail {
    struct cli *c;
    const char *session;
    char cursor[64]; /* of what was printed; "": from the session's ack */
    bool ack, json, once;
    uint64_t limit, wait_ms;
    struct response answer;
    struct buf path, text;
};

void tail_print(struct tail *t, struct str message); /* a message object */
/* /v1/sessions/<id><what> into t->path; the caller may append, and ends it with a NUL. */
void tail_path(struct tail *t, const char *what);
/* What has reached standard output is acked, over this connection; without --ack only flushed. */
int tail_ack(struct tail *t, struct cli *c);
/* By an event stream, for ever. The exit code. */
int tail_stream(struct tail *t);

#endif
