/* role - the child's side of spawn: from exec to the role's own main.
 *
 * The table of roles is the caller's, so that a test may run other mains behind the same door.
 */
#ifndef SERVER_ROLE_H
#define SERVER_ROLE_H

#include "common/conf.h"
#include "server/title.h"
#include "shm/heritage.h"

typedef int role_main_f(const struct heritage *h, struct conf *conf); /* returns the exit status */

struct role_entry {
    enum role role;
    const char *name; /* "worker": in logs, and with the slot in ps */
    bool numbered;    /* there are several: ps shows the slot too */
    role_main_f *main;
};

/* Runs the role that the heritage on HERITAGE_FD names; conf is freed afterwards. Returns its exit
 * status; EXIT_USAGE when there is no (sane) heritage: nobody calls `--role` by hand; EXIT_FAILED
 * or EXIT_CONFIG when what was inherited cannot be used. All are logged. */
int role_run(const struct role_entry *roles, size_t n, const struct title *title);

#endif
