/* tail - what the ways of `restante tail` share. Process: the command. */
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
/* A string member as the place to go on from; one that is no cursor changes nothing. */
void tail_cursor(struct tail *t, struct str cursor);
/* The cursor was of another history: says so, and goes on from what the server names. */
void tail_reset(struct tail *t, struct str object);
void tail_missed(struct str streams); /* says what retention took unseen */
/* By an event stream, and by a WebSocket, for ever. The exit code. */
int tail_stream(struct tail *t);
int tail_socket(struct tail *t);

#endif
