/* log - one JSON line per event, written with one system call.
 *
 * A line is built on the stack and handed over whole: pipes take up to PIPE_BUF bytes atomically,
 * so lines of several processes never mix. Nobody may wait for the reader of the log, and the flags
 * of a descriptor are shared with strangers (a terminal's shell), so a pipe or terminal is opened
 * again for ourselves, non-blocking; a socket is told per call; a file does not block. Where the
 * second opening is refused, poll says whether a line fits: then two processes that fill the same
 * pipe in the same moment may still wait for its reader.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"

#define LINE_SIZE PIPE_BUF /* the newline included */
#define LINE_CUT ",\"cut\":true"
#define LINE_END "}\n"
#define OWN_FD_LEAST 100
#define LINE_RESERVE (sizeof(LINE_CUT) - 1 + sizeof(LINE_END) - 1)

enum sink { SINK_FILE, SINK_SOCKET, SINK_OWN, SINK_POLL };

static struct {
    enum log_level level;
    int fd;
    enum sink sink;
    const char *role;
    int slot;
    pid_t pid; /* asked once: a system call a line would double its price */
    uint64_t lost;
    bool torn; /* the last line ends in the middle */
    char *panic;
    size_t panic_size;
} state = {.level = LOG_INFO, .fd = STDERR_FILENO, .sink = SINK_POLL, .role = "", .slot = -1};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void add_name(struct buf *line, const char *name)
{
    buf_append_z(line, ",\"");
    buf_append_z(line, name); /* ours, and needs no escape */
    buf_append_z(line, "\":");
}

static void add_i64(struct buf *line, int64_t v)
{
    if (v < 0)
        buf_append_c(line, '-');
    buf_append_u64(line, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void add_errno(struct buf *line, int64_t err)
{
    const char *text = err > INT_MIN && err <= INT_MAX ? strerrordesc_np(abs((int)err)) : NULL;

    if (text) {
        json_quote(line, str_of(text));
    } else {
        buf_append_z(line, "\"errno ");
        add_i64(line, err);
        buf_append_c(line, '"');
    }
}

static void add_field(struct buf *line, const struct log_field *f)
{
    add_name(line, f->name);
    switch (f->type) {
    case LOG_F_STR:
        json_quote(line, f->s);
        break;
    case LOG_F_U64:
        buf_append_u64(line, f->u);
        break;
    case LOG_F_I64:
        add_i64(line, (int64_t)f->u);
        break;
    case LOG_F_BOOL:
        buf_append_z(line, f->u ? "true" : "false");
        break;
    case LOG_F_ERRNO:
        add_errno(line, (int64_t)f->u);
        break;
    }
}

static void add_head(struct buf *line, enum log_level level, const char *event)
{
    char time[CLOCK_TEXT_SIZE];

    clock_text(clock_wall_ms(), time);
    buf_append_z(line, "{\"time\":\"");
    buf_append_z(line, time);
    buf_append_c(line, '"');
    add_field(line, &LOG_Z("level", level_names[level]));
    add_field(line, &LOG_Z("event", event));
    if (*state.role)
        add_field(line, &LOG_Z("role", state.role));
    if (state.slot >= 0)
        add_field(line, &LOG_U("slot", state.slot));
    add_field(line, &LOG_U("pid", state.pid ? state.pid : getpid()));
}

/* Fields are added while they fit; the first that does not ends the line. */
static void add_fields(struct buf *line, const struct log_field *fields, size_t n)
{
    size_t ceiling = line->max - LINE_RESERVE;

    for (size_t i = 0; i < n; i++) {
        size_t was = line->len;
        add_field(line, &fields[i]);
        if (line->error || line->len > ceiling) {
            line->error = 0;
            line->len = was;
            buf_append_z(line, LINE_CUT);
            break;
        }
    }
    buf_append_z(line, LINE_END);
}

static ssize_t hand_over(struct str line)
{
    struct pollfd p = {.fd = state.fd, .events = POLLOUT};

    if (state.sink == SINK_SOCKET)
        return send(state.fd, line.p, line.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (state.sink == SINK_POLL && (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT)))
        return -1;
    return write(state.fd, line.p, line.n);
}

/* Opens what fd is once more, for writing without blocking; well above the numbers that are given
 * a meaning across exec. */
static int open_again(int fd)
{
    char path[sizeof("/proc/self/fd/") + 11];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int low = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_APPEND);
    if (low < 0)
        return -1;
    int own = fcntl(low, F_DUPFD_CLOEXEC, OWN_FD_LEAST);
    close(low);
    return own;
}

static void choose_sink(int fd)
{
    struct stat st;
    int own;

    state.fd = fd;
    state.sink = SINK_POLL;
    if (fstat(fd, &st) < 0)
        return; /* every line will be counted as lost */
    if (S_ISREG(st.st_mode)) {
        state.sink = SINK_FILE;
    } else if (S_ISSOCK(st.st_mode)) {
        state.sink = SINK_SOCKET;
    } else {
        own = open_again(fd);
        if (own >= 0) {
            state.fd = own;
            state.sink = SINK_OWN;
        }
    }
}

void log_init(enum log_level level, int fd, const char *role, int slot)
{
    if (state.sink == SINK_OWN)
        close(state.fd);
    state.level = level;
    state.role = role;
    state.slot = slot;
    state.pid = getpid();
    state.torn = false;
    choose_sink(fd);
}

bool log_enabled(enum log_level level)
{
    return level >= state.level;
}

const char *log_role(void)
{
    return state.role;
}

uint64_t log_lost(void)
{
    return state.lost;
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    char memory[LINE_SIZE + 1];
    struct buf line;
    int saved = errno;

    buf_fixed(&line, memory, sizeof(memory));
    if (state.torn)
        buf_append_c(&line, '\n'); /* what is torn spoils its own line only */
    add_head(&line, level, event);
    add_fields(&line, fields, n);
    ssize_t wrote = hand_over(buf_str(&line));
    if (wrote != (ssize_t)line.len)
        state.lost++;
    if (wrote > 0)
        state.torn = wrote != (ssize_t)line.len;
    errno = saved;
}

int log_level_parse(struct str s, enum log_level *ret)
{
    for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (str_is(s, level_names[i])) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

void log_panic(const char *file, int line, const char *what)
{
    if (state.panic)
        snprintf(state.panic, state.panic_size, "%s:%d: %s", file, line, what);
    const struct log_field fields[] = {LOG_Z("what", what), LOG_Z("file", file),
                                       LOG_I("line", line)};
    log_emit(LOG_ERROR, "panic", fields, sizeof(fields) / sizeof(fields[0]));
    abort();
}

void log_panic_text(char *where, size_t size)
{
    state.panic = size ? where : NULL;
    state.panic_size = size;
}
