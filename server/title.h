/* title - the name that ps shows: "restanted: worker 0".
 *
 * The title is written over the process's own argument and environment strings, which is where the
 * kernel reads /proc/<pid>/cmdline from. The comm name (`ps -o comm`, pidof) becomes "restanted".
 * Any process, once, before it uses the environment from a saved pointer.
 */
#ifndef SERVER_TITLE_H
#define SERVER_TITLE_H

#include <stddef.h>

struct title {
    char *area; /* not owned: it is the process's own stack */
    size_t size;
};

/* Finds the area that may be overwritten: argv's strings, and environ's where they follow and could
 * be moved to the heap (never freed: environ points there). argv's strings are gone after
 * title_set.
 */
void title_take(int argc, char **argv, struct title *ret);
/* Cuts what does not fit. */
void title_set(const struct title *t, const char *text);

#endif
