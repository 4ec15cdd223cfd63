/* log - one JSON line per event, written with one system call.
 *
 *   {"time":"...","level":"info","event":"worker_started","role":"worker","slot":0,"pid":1,...}
 *
 * Level, destination and role are the process's only log state (globals by design). A line longer
 * than 4 KiB is cut at a field and marked "cut":true. Strings are JSON-escaped and invalid UTF-8 is
 * replaced. Nothing here allocates or waits: a line that a full pipe or socket does not take is
 * dropped and counted. Credentials never reach a log: callers log paths without their query, and
 * log_redact_target() is the only way a query is logged. Processes ignore SIGPIPE. Any process.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/str.h"

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name;
    enum { LOG_F_STR, LOG_F_U64, LOG_F_I64, LOG_F_BOOL, LOG_F_ERRNO } type;
    struct str s;
    uint64_t u;
};

#define LOG_S(k, str_) ((struct log_field){.name = (k), .type = LOG_F_STR, .s = (str_)})
#define LOG_Z(k, z_) ((struct log_field){.name = (k), .type = LOG_F_STR, .s = str_of(z_)})
#define LOG_U(k, v_) ((struct log_field){.name = (k), .type = LOG_F_U64, .u = (uint64_t)(v_)})
#define LOG_I(k, v_)                                                                               \
    ((struct log_field){.name = (k), .type = LOG_F_I64, .u = (uint64_t)(int64_t)(v_)})
#define LOG_B(k, v_) ((struct log_field){.name = (k), .type = LOG_F_BOOL, .u = (v_) ? 1 : 0})
/* err: a negative errno; writes its text, e.g. "error":"No such file or directory" */
#define LOG_E(err_)                                                                                \
    ((struct log_field){.name = "error", .type = LOG_F_ERRNO, .u = (uint64_t)(int64_t)(err_)})

/* role: static text ("worker"); slot: -1 for none. fd: where lines go (2 = stderr); not owned, and
 * its flags are left alone: a pipe or terminal is opened a second time, so that only we do not
 * block on it. May be called again, and is by every child: the process id is noted here. */
void log_init(enum log_level level, int fd, const char *role, int slot);
bool log_enabled(enum log_level level);
const char *log_role(void); /* as log_init was told; "" before */
uint64_t log_lost(void);    /* lines that were not written whole, in this process */
void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n);

#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_f_[] = {__VA_ARGS__};                                       \
            log_emit((level), (event), log_f_, sizeof(log_f_) / sizeof(log_f_[0]));                \
        }                                                                                          \
    } while (0)

int log_level_parse(struct str s, enum log_level *ret); /* 0 or -EINVAL */
/* Copies a request target into ret (at most size - 1 bytes), the values of access_token, token,
 * authToken, apikey and sid replaced by "***". Errs on the safe side: names are compared after
 * percent-decoding and without case, and may follow any of `? & ; #`, encoded or not; a value ends
 * only at a plain `&`. Returns ret. */
const char *log_redact_target(struct str target, char *ret, size_t size);

/* Our own bug: logs `what`, notes it as the process's panic text (see log_panic_text), aborts. */
void log_panic(const char *file, int line, const char *what) __attribute__((noreturn));
#define must(cond) ((cond) ? (void)0 : log_panic(__FILE__, __LINE__, #cond))
/* Where log_panic copies its text for the supervisor to read after death (board slot); may be NULL.
 */
void log_panic_text(char *where, size_t size);

#endif
