/* sockets - publish over HTTP/1.1, deliver to WebSockets.
 *
 *   --topic T --window N   fan-out: each publish is for all sockets; N of them are under way
 *   (neither)              unicast: each publisher sends its next once it has its answer, to the
 *                          sessions in turn
 *   --rate N               unicast at a fixed rate, one message for a session at a time: from the
 *                          instant a publish was due until its frame is there
 *
 * A message is under way until every socket that it is for has it. Prints one JSON object: messages
 * delivered, their rate, latency, and the CPU time that the given processes took for each; warm-up
 * is left out of all of it.
 */
#include "tests/bench/socket.h"

#include <getopt.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define SESSION_MAX 64
#define DUE_MAX 65536

struct reader {
    struct socket socket;
    char session[SESSION_MAX];
    bool awaited;
    uint64_t sent_ns; /* or due */
};

struct publisher {
    int fd;
    bool busy;
    struct answer answer;
};

struct run {
    int port, listen, epoll, timer; /* listen: of the sockets, where it is another port */
    double seconds, warmup, rate, owed;
    const char *key, *topic, *protocol, *cursor;
    char path[256];
    size_t size;
    uint64_t window;
    bool tls, measuring;
    struct pids pids;
    struct reader *readers;
    size_t nreaders, next;
    struct publisher *publishers;
    size_t npublishers;
    uint64_t published, delivered, measured, passed, overrun, last_ns;
    uint64_t due[DUE_MAX];
    size_t ndue;
    uint64_t sent[DUE_MAX]; /* fan-out: when message i % DUE_MAX was sent */
    struct hist hist;
    char payload[4096];
    uint8_t read[SOCKET_READ];
};

static void post(struct run *r, struct publisher *p, const char *path)
{
    char text[8192];
    int n = snprintf(text, sizeof(text),
                     "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
                     path, r->key, r->size, r->payload);
    p->busy = true;
    answer_reset(&p->answer);
    if (send(p->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
}

static struct publisher *idle_publisher(struct run *r)
{
    for (size_t i = 0; i < r->npublishers; i++)
        if (!r->publishers[i].busy)
            return &r->publishers[i];
    return NULL;
}

static void post_to(struct run *r, struct publisher *p, struct reader *to, uint64_t at_ns)
{
    char path[256];
    snprintf(path, sizeof(path), "/v1/sessions/%s/messages", to->session);
    to->awaited = true;
    to->sent_ns = at_ns;
    post(r, p, path);
}

/* The next session that has no message under way. */
static struct reader *idle_reader(struct run *r)
{
    for (size_t tried = 0; tried < r->nreaders; tried++) {
        struct reader *one = &r->readers[r->next++ % r->nreaders];
        if (!one->awaited)
            return one;
        r->passed++;
    }
    return NULL;
}

/* As many publishes as may be under way. */
static void publish(struct run *r)
{
    struct publisher *p = idle_publisher(r);
    while (p && r->topic && r->published < r->delivered / r->nreaders + r->window) {
        r->sent[r->published++ % DUE_MAX] = now_ns();
        post(r, p, r->path);
        p = idle_publisher(r);
    }
    while (p && !r->topic && (r->rate == 0 || r->ndue)) {
        struct reader *to = idle_reader(r);
        if (!to)
            return;
        post_to(r, p, to, r->rate == 0 ? now_ns() : r->due[0]);
        if (r->rate != 0)
            memmove(r->due, r->due + 1, --r->ndue * sizeof(*r->due));
        p = idle_publisher(r);
    }
}

static void on_timer(struct run *r)
{
    uint64_t ticks, now = now_ns();
    if (read(r->timer, &ticks, sizeof(ticks)) != sizeof(ticks))
        return;
    r->owed += r->last_ns ? (double)(now - r->last_ns) * r->rate / 1e9 : 0;
    r->last_ns = now;
    for (; r->owed >= 1; r->owed -= 1) {
        if (r->ndue < DUE_MAX)
            r->due[r->ndue++] = now - (uint64_t)((r->owed - 1) * 1e9 / r->rate);
        else
            r->overrun++;
    }
}

static void on_publisher(struct run *r, struct publisher *p)
{
    ssize_t n = recv(p->fd, r->read, sizeof(r->read), 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("recv");
    bool done = false;
    if (answer_feed(&p->answer, (char *)r->read, (size_t)n, &done) != (size_t)n)
        die("more bytes than one answer");
    if (!done)
        return;
    if (p->answer.status != 201)
        die(p->answer.head);
    p->busy = false;
}

static void on_reader(struct run *r, struct reader *one)
{
    for (size_t n = sizeof(r->read); n == sizeof(r->read) || one->socket.tls;) {
        n = socket_read(&one->socket, r->read, sizeof(r->read));
        if (n == 0)
            return;
        uint64_t first = one->socket.frames, got = socket_feed(&one->socket, r->read, n);
        r->delivered += got;
        if (got && r->measuring) {
            r->measured += got;
            uint64_t now = now_ns();
            for (uint64_t i = first; i < first + got; i++)
                hist_add(&r->hist, now - (r->topic ? r->sent[i % DUE_MAX] : one->sent_ns));
        }
        if (got)
            one->awaited = false;
    }
}

static void run_until(struct run *r, uint64_t end_ns)
{
    struct epoll_event events[256];
    while (now_ns() < end_ns) {
        publish(r);
        int n = epoll_wait(r->epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            uint64_t tag = events[i].data.u64;
            if (tag == 0)
                on_timer(r);
            else if (tag <= r->nreaders)
                on_reader(r, &r->readers[tag - 1]);
            else
                on_publisher(r, &r->publishers[tag - 1 - r->nreaders]);
        }
    }
}

static void watch(struct run *r, int fd, uint64_t tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = tag};
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll_ctl");
}

static void start(struct run *r, const char *sessions)
{
    FILE *f = fopen(sessions, "r");
    struct reader one = {0};
    if (!f)
        die(sessions);
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    while (fscanf(f, "%63s", one.session) == 1) {
        r->readers = realloc(r->readers, (r->nreaders + 1) * sizeof(one));
        r->readers[r->nreaders++] = one;
    }
    fclose(f);
    if (r->nreaders == 0)
        die("no sessions");
    SSL_CTX *tls = r->tls ? socket_tls() : NULL;
    for (size_t i = 0; i < r->nreaders; i++) {
        struct reader *to = &r->readers[i];
        int fd = tcp_connect(r->listen);
        if (fcntl(fd, F_SETFL, 0) != 0)
            die("fcntl");
        char query[256];
        snprintf(query, sizeof(query), "session=%s&cursor=%s", to->session, r->cursor);
        socket_upgrade(&to->socket, fd, tls, query, r->key, r->protocol);
        if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
            die("fcntl");
        watch(r, to->socket.fd, i + 1);
    }
    r->publishers = calloc(r->npublishers, sizeof(*r->publishers));
    for (size_t i = 0; i < r->npublishers; i++) {
        r->publishers[i].fd = tcp_connect(r->port);
        watch(r, r->publishers[i].fd, i + 1 + r->nreaders);
    }
    memset(r->payload, 'x', r->size);
    if (r->rate == 0)
        return;
    r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    long period = (long)(1e9 / r->rate);
    struct itimerspec every = {{0, period}, {0, period}};
    timerfd_settime(r->timer, 0, &every, NULL);
    watch(r, r->timer, 0);
}

static void parse(struct run *r, int argc, char **argv, const char **ret_sessions)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"sessions", required_argument, NULL, 'f'},
        {"publishers", required_argument, NULL, 'u'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"warmup", required_argument, NULL, 'w'},
        {"key", required_argument, NULL, 'k'},
        {"size", required_argument, NULL, 'b'},
        {"pids", required_argument, NULL, 'P'},
        {"topic", required_argument, NULL, 't'},
        {"window", required_argument, NULL, 'W'},
        {"tls", required_argument, NULL, 'T'},
        {"protocol", required_argument, NULL, 'S'},
        {"cursor", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    for (int o = getopt_long(argc, argv, "", options, NULL); o != -1;
         o = getopt_long(argc, argv, "", options, NULL)) {
        switch (o) {
        case 'p':
            r->port = atoi(optarg);
            break;
        case 'T':
            r->tls = true;
            r->listen = atoi(optarg);
            break;
        case 'f':
            *ret_sessions = optarg;
            break;
        case 'u':
            r->npublishers = (size_t)atoi(optarg);
            break;
        case 'r':
            r->rate = atof(optarg);
            break;
        case 's':
            r->seconds = atof(optarg);
            break;
        case 'w':
            r->warmup = atof(optarg);
            break;
        case 'k':
            r->key = optarg;
            break;
        case 'b':
            r->size = (size_t)atoi(optarg);
            break;
        case 'P':
            pids_parse(&r->pids, optarg);
            break;
        case 't':
            r->topic = optarg;
            break;
        case 'W':
            r->window = strtoull(optarg, NULL, 10);
            break;
        case 'S':
            r->protocol = optarg;
            break;
        case 'c':
            r->cursor = optarg;
            break;
        default:
            exit(2);
        }
    }
    if (!r->port || !*ret_sessions || !r->cursor || r->size >= sizeof(r->payload)) {
        fputs("usage: sockets --port N --sessions FILE --key KEY --cursor C [--tls PORT]\n"
              "               [--protocol P] [--topic T --window N | --rate N] [--publishers N] "
              "[--seconds S]\n"
              "               [--warmup S] [--size BYTES] [--pids N,N,...]\n",
              stderr);
        exit(2);
    }
    if (!r->tls)
        r->listen = r->port;
    if (r->topic) {
        r->npublishers = r->window;
        snprintf(r->path, sizeof(r->path), "/v1/topics/%s/messages", r->topic);
    }
}

int main(int argc, char **argv)
{
    static struct run r = {.npublishers = 16,
                           .window = 1,
                           .seconds = 2,
                           .warmup = 0.5,
                           .key = "x",
                           .protocol = "restante.v1.json",
                           .size = 128};
    const char *sessions = NULL;
    parse(&r, argc, argv, &sessions);
    start(&r, sessions);
    run_until(&r, now_ns() + (uint64_t)(r.warmup * 1e9));
    r.measuring = true;
    uint64_t cpu = pids_cpu_ns(&r.pids), begin = now_ns();
    run_until(&r, begin + (uint64_t)(r.seconds * 1e9));
    double took = (double)(now_ns() - begin) / 1e9, n = (double)r.measured;
    cpu = pids_cpu_ns(&r.pids) - cpu;
    printf("{\"ops\":%.0f,\"seconds\":%.3f,\"rate\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"cpu_us\":%.3f,\"passed\":%llu,\"overrun\":%llu}\n",
           n, took, n / took, (double)hist_at(&r.hist, 0.5) / 1e3,
           (double)hist_at(&r.hist, 0.99) / 1e3, (double)cpu / 1e3 / n,
           (unsigned long long)r.passed, (unsigned long long)r.overrun);
    return 0;
}
