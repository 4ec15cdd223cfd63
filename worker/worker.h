/* worker - one process per core: network and protocols. Opens the store read-only. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "common/conf.h"
#include "shm/bell.h"
#include "shm/feed.h"
#include "shm/heritage.h"
#include "shm/ring.h"
#include "shm/store.h"

struct event_base;
struct route;
struct acceptor;
struct rate;
struct h1_server;
struct h2_server;
struct ws_server;
struct hello;

struct worker {
    struct event_base *base;
    const struct conf *conf; /* owned */
    struct heritage heritage;
    struct board *board;
    struct board_seat *seat;
    struct metric_block *metrics; /* &seat->metrics */
    struct rings rings;
    struct feed feed;
    struct store *store;
    struct bell bell, writer_bell, supervisor_bell;
    struct route *route;
    struct rate *rate;    /* how often sessions may publish */
    struct h1_server *h1; /* protocol.h */
    struct h2_server *h2; /* protocol.h; NULL: not spoken */
    struct ws_server *ws; /* WebSockets */
    struct hello *hello;
    struct acceptor *acceptor;
    uint64_t request_seed; /* state of request_id_make */
    uint64_t bodies; /* bytes that request bodies hold; limits.bodies, passed by one growth at the
                        most */
    bool draining;
};

/* Role entry, after exec. Returns the exit status. */
int worker_main(const struct heritage *h, struct conf *conf);

#endif
