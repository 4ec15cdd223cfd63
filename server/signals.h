/* signals - what each signal does, in one table.
 *
 * The supervisor blocks all of them and reads them from a signalfd: there are no handlers, and so
 * nothing runs at a moment that the loop has not chosen. Roles get SIGTERM as their word to leave
 * and ignore what a terminal sends to the whole group.
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include "common/buf.h"

#include <stdint.h>

enum {
    SIGNALS_CHILD = 1 << 0,   /* a role ended, stopped or went on */
    SIGNALS_STOP = 1 << 1,    /* orderly stop; once more: fast stop */
    SIGNALS_IGNORED = 1 << 2, /* logged, nothing else */
};

struct signals {
    unsigned what;   /* SIGNALS_*, or-ed */
    unsigned stops;  /* how many stops were asked for; more than one means: fast */
    int stop_signal; /* the last of them; 0 none */
    int ignored;     /* the last ignored one; 0 none */
};

/* Supervisor: dispositions to their defaults (a shell may have handed on ignored ones), all of the
 * table blocked. A signalfd (non-blocking, close-on-exec) or -errno. */
int signals_open(void);
/* Supervisor: everything that is pending. A signalfd merges equal signals that arrive together. */
struct signals signals_read(int fd);
const char *signals_name(int signo); /* "TERM"; static; "unknown" for one without a name */

/* Child, between fork and exec (async-signal-safe). */
void signals_for_role(void);

/* One line per row of the table, for --help. 0 or a buf error. */
int signals_help(struct buf *out);

#endif
