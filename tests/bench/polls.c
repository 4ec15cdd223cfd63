/* polls - publish to a parked long-poll, at a fixed rate: from the instant a publish was due until
 * the reader has the whole answer.
 *
 * Each reader holds one long-poll on its own session and asks again from the cursor it got. The
 * publishers take the sessions in turn; a session whose reader is just between two polls is passed
 * over. When all publishers are busy the publish waits, and that wait counts.
 */
#include "tests/bench/bench.h"

#include <getopt.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define CURSOR_MAX 64
#define SESSION_MAX 64
#define READ_SIZE (64 * 1024)
#define DUE_MAX 65536

struct reader {
    int fd;
    bool parked, awaited; /* awaited: a message for it is under way */
    uint64_t due_ns;
    char session[SESSION_MAX], cursor[CURSOR_MAX];
    struct answer answer;
};

struct publisher {
    int fd;
    bool busy;
    struct answer answer;
};

struct polls {
    int port, epoll, timer;
    double seconds, warmup, rate;
    const char *key;
    size_t size;
    struct pids pids;
    struct reader *readers;
    size_t nreaders, next;
    struct publisher *publishers;
    size_t npublishers;
    uint64_t due[DUE_MAX]; /* publishes that wait for a publisher */
    size_t ndue;
    uint64_t delivered, passed, overrun;
    bool measuring;
    struct hist hist;
    char payload[4096], read[READ_SIZE];
};

static void send_all(int fd, const char *text, size_t n)
{
    if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("send");
}

static void ask(struct polls *p, struct reader *r)
{
    char text[1024];
    int n = snprintf(text, sizeof(text),
                     "GET /v1/sessions/%s/messages?cursor=%s&wait=60 HTTP/1.1\r\nHost: x\r\n"
                     "Authorization: Bearer %s\r\n\r\n",
                     r->session, r->cursor, p->key);
    answer_reset(&r->answer);
    r->parked = true;
    send_all(r->fd, text, (size_t)n);
}

static void publish(struct polls *p, struct publisher *u, uint64_t due_ns)
{
    struct reader *r = NULL;
    for (size_t tried = 0; tried < p->nreaders && !r; tried++) {
        struct reader *one = &p->readers[p->next++ % p->nreaders];
        if (one->parked && !one->awaited)
            r = one;
        else
            p->passed++;
    }
    if (!r) {
        p->overrun++;
        return;
    }
    char text[8192];
    int n = snprintf(text, sizeof(text),
                     "POST /v1/sessions/%s/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                     "%s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
                     r->session, p->key, p->size, p->payload);
    r->awaited = true;
    r->due_ns = due_ns;
    u->busy = true;
    answer_reset(&u->answer);
    send_all(u->fd, text, (size_t)n);
}

static struct publisher *idle_publisher(struct polls *p)
{
    for (size_t i = 0; i < p->npublishers; i++)
        if (!p->publishers[i].busy)
            return &p->publishers[i];
    return NULL;
}

static void on_timer(struct polls *p)
{
    static double owed;
    static uint64_t last;
    uint64_t ticks, now = now_ns();
    if (read(p->timer, &ticks, sizeof(ticks)) != sizeof(ticks))
        return;
    owed += last ? (double)(now - last) * p->rate / 1e9 : 0;
    last = now;
    for (; owed >= 1; owed -= 1) {
        uint64_t due = now - (uint64_t)((owed - 1) * 1e9 / p->rate);
        struct publisher *u = idle_publisher(p);
        if (u)
            publish(p, u, due);
        else if (p->ndue < DUE_MAX)
            p->due[p->ndue++] = due;
        else
            p->overrun++;
    }
}

static bool receive(struct polls *p, int fd, struct answer *a)
{
    ssize_t n = recv(fd, p->read, READ_SIZE, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        die("recv");
    bool done = false;
    if (answer_feed(a, p->read, (size_t)n, &done) != (size_t)n)
        die("more bytes than one answer");
    return done;
}

static void on_publisher(struct polls *p, struct publisher *u)
{
    if (!receive(p, u->fd, &u->answer))
        return;
    if (u->answer.status != 201)
        die(u->answer.head);
    u->busy = false;
    if (p->ndue) {
        publish(p, u, p->due[0]);
        memmove(p->due, p->due + 1, --p->ndue * sizeof(*p->due));
    }
}

static void on_reader(struct polls *p, struct reader *r)
{
    if (!receive(p, r->fd, &r->answer))
        return;
    const char *cursor = answer_header(&r->answer, "\r\nRestante-Cursor:");
    if (r->answer.status != 200 || !cursor || sscanf(cursor, " %63[^\r]", r->cursor) != 1)
        die(r->answer.head);
    if (r->awaited && p->measuring) {
        hist_add(&p->hist, now_ns() - r->due_ns);
        p->delivered++;
    }
    r->awaited = false;
    r->parked = false;
    ask(p, r);
}

static void run_until(struct polls *p, uint64_t end_ns)
{
    struct epoll_event events[256];
    while (now_ns() < end_ns) {
        int n = epoll_wait(p->epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            uint64_t tag = events[i].data.u64;
            if (tag == 0)
                on_timer(p);
            else if (tag <= p->nreaders)
                on_reader(p, &p->readers[tag - 1]);
            else
                on_publisher(p, &p->publishers[tag - 1 - p->nreaders]);
        }
    }
}

static void watch(struct polls *p, int fd, uint64_t tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = tag};
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        die("epoll_ctl");
}

static void start(struct polls *p, const char *sessions)
{
    FILE *f = fopen(sessions, "r");
    struct reader one = {0};
    if (!f)
        die(sessions);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    while (fscanf(f, "%63s %63s", one.session, one.cursor) == 2) {
        p->readers = realloc(p->readers, (p->nreaders + 1) * sizeof(one));
        p->readers[p->nreaders++] = one;
    }
    fclose(f);
    for (size_t i = 0; i < p->nreaders; i++) {
        p->readers[i].fd = tcp_connect(p->port);
        watch(p, p->readers[i].fd, i + 1);
        ask(p, &p->readers[i]);
    }
    p->publishers = calloc(p->npublishers, sizeof(*p->publishers));
    for (size_t i = 0; i < p->npublishers; i++) {
        p->publishers[i].fd = tcp_connect(p->port);
        watch(p, p->publishers[i].fd, i + 1 + p->nreaders);
    }
    memset(p->payload, 'x', p->size);
    p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    long period = (long)(1e9 / p->rate);
    struct itimerspec every = {{0, period}, {0, period}};
    timerfd_settime(p->timer, 0, &every, NULL);
    watch(p, p->timer, 0);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},       {"sessions", required_argument, NULL, 'f'},
        {"publishers", required_argument, NULL, 'u'}, {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},    {"warmup", required_argument, NULL, 'w'},
        {"key", required_argument, NULL, 'k'},        {"size", required_argument, NULL, 'b'},
        {"pids", required_argument, NULL, 'P'},       {NULL, 0, NULL, 0},
    };
    static struct polls p = {
        .npublishers = 16, .rate = 5000, .seconds = 4, .warmup = 1, .key = "x", .size = 128};
    const char *sessions = NULL;
    for (int o = getopt_long(argc, argv, "", options, NULL); o != -1;
         o = getopt_long(argc, argv, "", options, NULL)) {
        switch (o) {
        case 'p':
            p.port = atoi(optarg);
            break;
        case 'f':
            sessions = optarg;
            break;
        case 'u':
            p.npublishers = (size_t)atoi(optarg);
            break;
        case 'r':
            p.rate = atof(optarg);
            break;
        case 's':
            p.seconds = atof(optarg);
            break;
        case 'w':
            p.warmup = atof(optarg);
            break;
        case 'k':
            p.key = optarg;
            break;
        case 'b':
            p.size = (size_t)atoi(optarg);
            break;
        case 'P':
            pids_parse(&p.pids, optarg);
            break;
        default:
            return 2;
        }
    }
    if (!p.port || !sessions || p.size >= sizeof(p.payload) || p.rate < 2) {
        fputs("usage: polls --port N --sessions FILE --key KEY [--rate N] [--publishers N]\n"
              "             [--seconds S] [--warmup S] [--size BYTES] [--pids N,N,...]\n",
              stderr);
        return 2;
    }
    start(&p, sessions);
    run_until(&p, now_ns() + (uint64_t)(p.warmup * 1e9));
    p.measuring = true;
    uint64_t cpu = pids_cpu_ns(&p.pids), begin = now_ns();
    run_until(&p, begin + (uint64_t)(p.seconds * 1e9));
    double took = (double)(now_ns() - begin) / 1e9, n = (double)p.delivered;
    cpu = pids_cpu_ns(&p.pids) - cpu;
    printf("{\"ops\":%.0f,\"seconds\":%.3f,\"rate\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"cpu_us\":%.3f,\"passed\":%llu,\"overrun\":%llu}\n",
           n, took, n / took, (double)hist_at(&p.hist, 0.5) / 1e3,
           (double)hist_at(&p.hist, 0.99) / 1e3, (double)cpu / 1e3 / n,
           (unsigned long long)p.passed, (unsigned long long)p.overrun);
    return 0;
}
