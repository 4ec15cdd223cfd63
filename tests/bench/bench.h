/* bench - what the load programs share: a clock, a histogram, CPU of other processes, answers.
 *
 * Static functions in a header, so that each program stays one file of its own.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(1);
}

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- histogram: buckets of 1/32 of a power of two, so 3 % wide --- */

#define HIST_SUB 32
struct hist {
    uint64_t n, bucket[64 * HIST_SUB];
};

static inline unsigned hist_of(uint64_t v)
{
    if (v < HIST_SUB)
        return (unsigned)v;
    unsigned e = 63u - (unsigned)__builtin_clzll(v);
    return (e - 4) * HIST_SUB + (unsigned)((v >> (e - 5)) & (HIST_SUB - 1));
}

static inline void hist_add(struct hist *h, uint64_t v)
{
    h->bucket[hist_of(v)]++;
    h->n++;
}

static inline uint64_t hist_at(const struct hist *h, double q)
{
    uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;
    for (unsigned b = 0; b < 64 * HIST_SUB; b++) {
        seen += h->bucket[b];
        if (seen > want || seen == h->n) {
            if (b < HIST_SUB)
                return b;
            unsigned e = b / HIST_SUB + 4;
            return ((uint64_t)(HIST_SUB + b % HIST_SUB)) << (e - 5);
        }
    }
    return 0;
}

/* --- CPU time of other processes, by the scheduler's own nanoseconds --- */

#define PIDS_MAX 64
struct pids {
    int n, pid[PIDS_MAX];
};

static inline void pids_parse(struct pids *p, const char *list)
{
    p->n = 0;
    while (*list && p->n < PIDS_MAX) {
        char *end;
        p->pid[p->n++] = (int)strtol(list, &end, 10);
        list = *end ? end + 1 : end;
    }
}

static inline uint64_t pids_cpu_ns(const struct pids *p)
{
    uint64_t sum = 0;
    for (int i = 0; i < p->n; i++) {
        char path[64];
        unsigned long long ns = 0;
        snprintf(path, sizeof(path), "/proc/%d/schedstat", p->pid[i]);
        FILE *f = fopen(path, "r");
        if (!f || fscanf(f, "%llu", &ns) != 1)
            die(path);
        fclose(f);
        sum += ns;
    }
    return sum;
}

/* --- connections --- */

static inline int tcp_connect(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl");
    return fd;
}

/* --- answers: the head is kept, the body only counted --- */

#define HEAD_MAX 4096
struct answer {
    char head[HEAD_MAX];
    size_t len;       /* of head, a part of the body may be in it */
    size_t body_left; /* still to come, once the head is whole */
    bool whole_head;
    int status;
};

static inline const char *answer_header(const struct answer *a, const char *name)
{
    const char *p = strcasestr(a->head, name);
    return p ? p + strlen(name) : NULL;
}

/* Takes n bytes; how many of them belong to this answer. *ret_done: it is whole. */
static inline size_t answer_feed(struct answer *a, const char *bytes, size_t n, bool *ret_done)
{
    size_t used = 0;
    *ret_done = false;
    if (!a->whole_head) {
        size_t before = a->len, take = HEAD_MAX - 1 - a->len;
        take = n < take ? n : take;
        memcpy(a->head + a->len, bytes, take);
        a->head[a->len + take] = '\0';
        char *end = strstr(a->head, "\r\n\r\n");
        if (!end) {
            if (a->len + take == HEAD_MAX - 1)
                die("an answer's head is too long");
            a->len += take;
            return take;
        }
        a->len = (size_t)(end + 4 - a->head);
        used = a->len - before;
        end[2] = '\0';
        a->whole_head = true;
        a->status = atoi(a->head + 9);
        const char *length = answer_header(a, "\r\nContent-Length:");
        a->body_left = length ? strtoull(length, NULL, 10) : 0;
    }
    size_t body = n - used < a->body_left ? n - used : a->body_left;
    a->body_left -= body;
    *ret_done = a->body_left == 0;
    return used + body;
}

static inline void answer_reset(struct answer *a)
{
    a->len = 0;
    a->whole_head = false;
}

#endif
