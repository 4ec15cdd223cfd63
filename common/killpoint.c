/* killpoint - die at a named point, in test builds.
 *
 * The environment is read at every pass: these builds are for correctness, not for speed, and the
 * role is known only after log_init. Ordinary builds compile this file to nothing.
 */
#include "common/killpoint.h"

#ifdef RESTANTE_KILLPOINTS
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/ids.h"
#include "common/log.h"

/* Cuts `text` at the first `sep` and returns what stood before it. */
static struct str cut(struct str *text, char sep)
{
    const char *at = text->n ? memchr(text->p, sep, text->n) : NULL;
    must(at);
    struct str head = str_make(text->p, (size_t)(at - text->p));
    *text = str_make(at + 1, text->n - head.n - 1);
    return head;
}

/* True for the one process that may die; the others find its mark. */
static bool claim(void)
{
    const char *path = getenv("RESTANTE_KILL_ONCE");
    if (!path)
        return true;
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    must(fd >= 0 || errno == EEXIST);
    if (fd < 0)
        return false;
    close(fd);
    return true;
}

void killpoint_pass(const char *name)
{
    static uint64_t passed; /* of the one point that is armed */
    uint64_t wanted;

    struct str text = str_of(getenv("RESTANTE_KILL"));
    if (text.n == 0)
        return;
    struct str role = cut(&text, ':');
    struct str point = cut(&text, ':');
    must(u64_parse(text, &wanted) == 0 && wanted > 0);
    if (!str_is(role, log_role()) || !str_is(point, name))
        return;
    if (++passed == wanted && claim())
        raise(SIGKILL);
}
#else
typedef int killpoint_is_off; /* ISO C wants something here */
#endif
