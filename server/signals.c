/* signals - see signals.h. A signal that has no use yet is in the table all the same: its default
 * action would be to kill the server, which nobody who sends SIGHUP means.
 */
#include "server/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/log.h"

struct signal_row {
    int signo;
    const char *name;
    unsigned what;
    bool terminal; /* sent to the whole group, or by mistake: roles ignore it */
    const char *help;
};

static const struct signal_row table[] = {
    {SIGTERM, "SIGTERM", SIGNALS_STOP, false,
     "orderly stop: no more accepts, polls answered, the writer commits; again: fast stop"},
    {SIGINT, "SIGINT", SIGNALS_STOP, true, "as SIGTERM"},
    {SIGQUIT, "SIGQUIT", SIGNALS_STOP, true, "as SIGTERM"},
    {SIGCHLD, "SIGCHLD", SIGNALS_CHILD, false, "a process ended: its successor is started"},
    {SIGHUP, "SIGHUP", SIGNALS_IGNORED, true, "logged, nothing else"},
    {SIGUSR1, "SIGUSR1", SIGNALS_IGNORED, true, "logged, nothing else"},
    {SIGUSR2, "SIGUSR2", SIGNALS_IGNORED, true, "logged, nothing else"},
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static void table_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < ROWS; i++)
        sigaddset(set, table[i].signo);
}

static const struct signal_row *row_of(int signo)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (table[i].signo == signo)
            return &table[i];
    }
    return NULL;
}

int signals_open(void)
{
    sigset_t set;

    table_set(&set);
    for (size_t i = 0; i < ROWS; i++)
        (void)signal(table[i].signo, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &set, NULL))
        return -errno;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

struct signals signals_read(int fd)
{
    struct signals ret = {0};
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        const struct signal_row *row = row_of((int)info.ssi_signo);
        must(row);
        ret.what |= row->what;
        if (row->what == SIGNALS_STOP) {
            ret.stops++;
            ret.stop_signal = row->signo;
        } else if (row->what == SIGNALS_IGNORED) {
            ret.ignored = row->signo;
        }
    }
    return ret;
}

const char *signals_name(int signo)
{
    const char *name = sigabbrev_np(signo);

    return name ? name : "unknown";
}

void signals_for_role(void)
{
    sigset_t none;

    for (size_t i = 0; i < ROWS; i++)
        (void)signal(table[i].signo, table[i].terminal ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int signals_help(struct buf *out)
{
    for (size_t i = 0; i < ROWS; i++)
        buf_printf(out, "  %-9s %s\n", table[i].name, table[i].help);
    return out->error;
}
