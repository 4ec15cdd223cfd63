/* load - closed-loop HTTP/1.1 load: so many connections, each with one request in flight.
 *
 * The requests come from a file, each after a line with its length, and are sent in turn for ever.
 * A run of twelve '@' is replaced by a number of its own at every sending, so that keys and
 * subjects can be unique. Prints one JSON object: rate, latency, and the CPU time that the given
 * processes took per operation; warm-up is left out of all of it.
 */
#include "tests/bench/bench.h"

#include <getopt.h>
#include <sys/epoll.h>

#define MARK "@@@@@@@@@@@@"
#define MARK_LEN 12
#define READ_SIZE (256 * 1024)

struct request {
    char *text;
    size_t len;
    size_t *mark; /* offsets of the numbers */
    size_t nmarks;
};

struct connection {
    int fd;
    char *out;
    size_t out_len, out_pos, out_cap;
    uint64_t sent_ns;
    struct answer answer;
};

struct load {
    int port, epoll, expect;
    unsigned nconnections, weight;
    double seconds, warmup;
    uint64_t count; /* stop after so many requests; 0: after the seconds */
    struct pids pids;
    struct request *requests;
    size_t nrequests;
    uint64_t next, number, done, bad;
    bool measuring;
    struct hist hist;
    char read[READ_SIZE];
};

static void find_marks(struct request *r)
{
    for (const char *p = r->text; (p = memmem(p, r->len - (size_t)(p - r->text), MARK, MARK_LEN));
         p += MARK_LEN) {
        r->mark = realloc(r->mark, (r->nmarks + 1) * sizeof(*r->mark));
        r->mark[r->nmarks++] = (size_t)(p - r->text);
    }
}

static void load_requests(struct load *l, const char *path)
{
    FILE *f = fopen(path, "r");
    size_t len;
    if (!f)
        die(path);
    while (fscanf(f, "%zu%*1[\n]", &len) == 1) {
        l->requests = realloc(l->requests, (l->nrequests + 1) * sizeof(*l->requests));
        struct request *r = &l->requests[l->nrequests++];
        *r = (struct request){.text = malloc(len + 1), .len = len};
        if (fread(r->text, 1, len, f) != len)
            die("the requests end early");
        r->text[len] = '\0';
        find_marks(r);
    }
    fclose(f);
    if (l->nrequests == 0)
        die("no requests");
}

static void watch(struct load *l, struct connection *c, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(l->epoll, op, c->fd, &e) != 0)
        die("epoll_ctl");
}

static void write_some(struct load *l, struct connection *c)
{
    while (c->out_pos < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(l, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0)
            die("send");
        c->out_pos += (size_t)n;
    }
}

static void send_next(struct load *l, struct connection *c)
{
    if (l->count && l->next >= l->count)
        return;
    const struct request *r = &l->requests[l->next++ % l->nrequests];
    if (c->out_cap < r->len) {
        c->out = realloc(c->out, r->len);
        c->out_cap = r->len;
    }
    memcpy(c->out, r->text, r->len);
    for (size_t i = 0; i < r->nmarks; i++) {
        char number[MARK_LEN + 1];
        snprintf(number, sizeof(number), "%0*llu", MARK_LEN,
                 (unsigned long long)(l->number++ % 1000000000000u));
        memcpy(c->out + r->mark[i], number, MARK_LEN);
    }
    c->out_len = r->len;
    c->out_pos = 0;
    answer_reset(&c->answer);
    c->sent_ns = now_ns();
    write_some(l, c);
}

static void finished(struct load *l, struct connection *c)
{
    if (c->answer.status != l->expect && l->bad++ == 0)
        fprintf(stderr, "expected %d, got: %s\n", l->expect, c->answer.head);
    l->done++;
    if (l->measuring)
        hist_add(&l->hist, now_ns() - c->sent_ns);
    send_next(l, c);
}

static void on_readable(struct load *l, struct connection *c)
{
    ssize_t n = recv(c->fd, l->read, READ_SIZE, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n == 0)
        errno = ECONNRESET;
    if (n <= 0)
        die("recv");
    bool done = false;
    size_t used = answer_feed(&c->answer, l->read, (size_t)n, &done);
    if (used != (size_t)n)
        die("more bytes than one answer");
    if (done)
        finished(l, c);
}

/* Serves events until the time, or until all requests are answered. */
static void run_until(struct load *l, uint64_t end_ns)
{
    struct epoll_event events[256];
    while ((l->count ? l->done < l->count : true) && now_ns() < end_ns) {
        int n = epoll_wait(l->epoll, events, 256, 100);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) {
                watch(l, c, EPOLL_CTL_MOD, EPOLLIN);
                write_some(l, c);
            }
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                on_readable(l, c);
        }
    }
}

static void parse(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},    {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'}, {"warmup", required_argument, NULL, 'w'},
        {"pids", required_argument, NULL, 'P'},    {"requests", required_argument, NULL, 'r'},
        {"expect", required_argument, NULL, 'e'},  {"count", required_argument, NULL, 'n'},
        {"weight", required_argument, NULL, 'W'},  {NULL, 0, NULL, 0},
    };
    const char *requests = NULL;
    for (int o = getopt_long(argc, argv, "", options, NULL); o != -1;
         o = getopt_long(argc, argv, "", options, NULL)) {
        switch (o) {
        case 'p':
            l->port = atoi(optarg);
            break;
        case 'c':
            l->nconnections = (unsigned)atoi(optarg);
            break;
        case 's':
            l->seconds = atof(optarg);
            break;
        case 'w':
            l->warmup = atof(optarg);
            break;
        case 'P':
            pids_parse(&l->pids, optarg);
            break;
        case 'r':
            requests = optarg;
            break;
        case 'e':
            l->expect = atoi(optarg);
            break;
        case 'n':
            l->count = strtoull(optarg, NULL, 10);
            break;
        case 'W':
            l->weight = (unsigned)atoi(optarg);
            break;
        default:
            exit(2);
        }
    }
    if (!l->port || !requests) {
        fputs("usage: load --port N --requests FILE [--connections N] [--seconds S] [--warmup S]\n"
              "            [--expect STATUS] [--count N] [--weight N] [--pids N,N,...]\n",
              stderr);
        exit(2);
    }
    load_requests(l, requests);
}

int main(int argc, char **argv)
{
    static struct load l = {
        .expect = 200, .nconnections = 32, .seconds = 4, .warmup = 1, .weight = 1};
    parse(&l, argc, argv);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = calloc(l.nconnections, sizeof(*connections));
    if (l.epoll < 0 || !connections)
        die("start");
    for (unsigned i = 0; i < l.nconnections; i++) {
        connections[i].fd = tcp_connect(l.port);
        watch(&l, &connections[i], EPOLL_CTL_ADD, EPOLLIN);
        send_next(&l, &connections[i]);
    }
    if (!l.count)
        run_until(&l, now_ns() + (uint64_t)(l.warmup * 1e9));
    l.measuring = true;
    uint64_t done = l.done, cpu = pids_cpu_ns(&l.pids), begin = now_ns();
    run_until(&l, l.count ? UINT64_MAX : begin + (uint64_t)(l.seconds * 1e9));
    double took = (double)(now_ns() - begin) / 1e9;
    /* weight: operations that one request stands for, such as the messages of a batch */
    double ops = (double)((l.count ? l.done : l.done - done) * l.weight);
    cpu = pids_cpu_ns(&l.pids) - cpu;
    printf("{\"ops\":%.0f,\"seconds\":%.3f,\"rate\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"cpu_us\":%.3f,\"bad\":%llu}\n",
           ops, took, ops / took, (double)hist_at(&l.hist, 0.5) / 1e3,
           (double)hist_at(&l.hist, 0.99) / 1e3, (double)cpu / 1e3 / ops,
           (unsigned long long)l.bad);
    return l.bad ? 1 : 0;
}
