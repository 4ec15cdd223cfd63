/* title - see title.h. The kernel shows the argument area up to its end if the last byte of it is
 * NUL, and else, as sendmail taught it, one string that may run on into the environment. So a short
 * title is padded with NULs and a long one simply crosses the border.
 */
#include "server/title.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* True with environ's strings copied, so that their old place may be overwritten. */
static bool environ_move(void)
{
    size_t n = 0;
    char **copy;

    while (environ[n])
        n++;
    copy = calloc(n + 1, sizeof(*copy));
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = strdup(environ[i]);
        if (copy[i])
            continue;
        while (i > 0)
            free(copy[--i]);
        free(copy);
        return false;
    }
    if (copy)
        environ = copy;
    return copy != NULL;
}

void title_take(int argc, char **argv, struct title *ret)
{
    char *end = argv[0];
    char **old = environ;

    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(argv[i]) + 1;
    ret->area = argv[0];
    ret->size = (size_t)(end - argv[0]);
    if (!environ || environ[0] != end || !environ_move())
        return;
    for (size_t i = 0; old[i] && old[i] == end; i++)
        end += strlen(old[i]) + 1;
    ret->size = (size_t)(end - argv[0]);
}

void title_set(const struct title *t, const char *text)
{
    size_t n = strlen(text);

    (void)prctl(PR_SET_NAME, "restanted");
    if (t->size == 0)
        return;
    if (n > t->size - 1)
        n = t->size - 1;
    memset(t->area, 0, t->size);
    memcpy(t->area, text, n);
}
