/* connects - a WebSocket from nothing, over and over: connect, open a session, upgrade, hello,
 * subscribe, close. Prints one JSON object as the other load programs do.
 *
 *   --plain: only connect, upgrade, hello, close.
 *
 * Each of a few processes has one such connection at a time.
 */
#include "tests/bench/socket.h"

#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PROCESSES 8

struct shared {
    _Atomic uint64_t done;
};

struct connects {
    int port;
    const char *key, *topic;
    bool plain;
    double seconds, warmup;
    struct pids pids;
    struct shared *shared;
};

/* One request and its whole answer; the answer's body into body. */
static void ask(int fd, const char *text, size_t n, char *body, size_t size)
{
    struct answer a = {0};
    char in[8192];
    bool done = false;
    size_t len = 0;
    if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        die("send");
    while (!done) {
        ssize_t got = recv(fd, in, sizeof(in), 0);
        if (got <= 0)
            die("recv");
        bool whole = a.whole_head;
        size_t used = answer_feed(&a, in, (size_t)got, &done);
        size_t head = whole ? 0 : a.len < used ? a.len : used;
        size_t part = used - head < size - 1 - len ? used - head : size - 1 - len;
        memcpy(body + len, in + head, part);
        len += part;
    }
    body[len] = '\0';
    if (a.status / 100 != 2)
        die(a.head);
}

static void open_session(const struct connects *c, int fd, uint64_t number, char session[64])
{
    char text[1024], named[64], body[4096];
    int n = snprintf(named, sizeof(named), "{\"subject\":\"c%d-%llu\"}", getpid(),
                     (unsigned long long)number);
    n = snprintf(text, sizeof(text),
                 "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                 "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                 c->key, n, named);
    ask(fd, text, (size_t)n, body, sizeof(body));
    if (sscanf(body, "{\"session\":\"%63[^\"]", session) != 1)
        die(body);
}

static void command(struct socket *s, const char *text)
{
    uint8_t frame[256] = {0x81};
    size_t n = strlen(text);
    frame[1] = (uint8_t)(0x80 | n); /* a mask of zeros changes nothing */
    memcpy(frame + 6, text, n);
    socket_write(s, frame, n + 6);
}

static void once(const struct connects *c, uint64_t number)
{
    char session[64] = "AAAAAAAAAAAAAAAAAAAAAA", text[128], query[128];
    uint8_t in[4096];
    struct socket s;
    int fd = tcp_connect(c->port);
    struct linger reset = {1, 0}; /* no TIME_WAIT: the ports would run out */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (fcntl(fd, F_SETFL, 0) != 0)
        die("fcntl");
    if (!c->plain)
        open_session(c, fd, number, session);
    snprintf(query, sizeof(query), "session=%s", session);
    socket_upgrade(&s, fd, NULL, query, c->key, "restante.v1.json");
    if (!c->plain) {
        snprintf(text, sizeof(text), "{\"t\":\"subscribe\",\"n\":1,\"topic\":\"%s\"}", c->topic);
        command(&s, text);
        while (s.frames == 0)
            socket_feed(&s, in, socket_read(&s, in, sizeof(in)));
    }
    close(fd);
    c->shared->done++;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"key", required_argument, NULL, 'k'},
        {"topic", required_argument, NULL, 't'},
        {"plain", no_argument, NULL, 'x'},
        {"seconds", required_argument, NULL, 's'},
        {"pids", required_argument, NULL, 'P'},
        {NULL, 0, NULL, 0},
    };
    struct connects c = {.key = "x", .topic = "bench:connects", .seconds = 2, .warmup = 0.5};
    for (int o = getopt_long(argc, argv, "", options, NULL); o != -1;
         o = getopt_long(argc, argv, "", options, NULL)) {
        switch (o) {
        case 'p':
            c.port = atoi(optarg);
            break;
        case 'k':
            c.key = optarg;
            break;
        case 't':
            c.topic = optarg;
            break;
        case 'x':
            c.plain = true;
            break;
        case 's':
            c.seconds = atof(optarg);
            break;
        case 'P':
            pids_parse(&c.pids, optarg);
            break;
        default:
            return 2;
        }
    }
    if (!c.port)
        return 2;
    c.shared =
        mmap(NULL, sizeof(*c.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c.shared == MAP_FAILED)
        die("mmap");
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] < 0)
            die("fork");
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (uint64_t n = 0;; n++)
                once(&c, n);
        }
    }
    usleep((useconds_t)(c.warmup * 1e6));
    uint64_t done = c.shared->done, cpu = pids_cpu_ns(&c.pids), begin = now_ns();
    usleep((useconds_t)(c.seconds * 1e6));
    done = c.shared->done - done;
    cpu = pids_cpu_ns(&c.pids) - cpu;
    double took = (double)(now_ns() - begin) / 1e9, n = (double)done;
    int bad = 0;
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        kill(children[i], SIGKILL);
        waitpid(children[i], &status, 0);
        bad |= !WIFSIGNALED(status);
    }
    printf("{\"ops\":%.0f,\"seconds\":%.3f,\"rate\":%.0f,\"cpu_us\":%.3f}\n", n, took, n / took,
           (double)cpu / 1e3 / n);
    return bad || done == 0;
}
