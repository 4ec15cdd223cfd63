/* conf_near - "did you mean": the known word nearest to one that is not known.
 *
 * Distance is the number of inserted, dropped, changed or swapped letters, case apart. Near means
 * at most a third of the word's letters, and one at least. Candidates are borrowed. Pure.
 */
#ifndef COMMON_CONF_NEAR_H
#define COMMON_CONF_NEAR_H

#include "common/str.h"

struct conf_near {
    struct str word;
    struct str best; /* empty: none is near */
    unsigned distance;
};

void conf_near_begin(struct conf_near *n, struct str word);
void conf_near_try(struct conf_near *n, struct str candidate);
/* The nearest as text into ret (cut to size - 1 bytes), "" when none is near. Returns ret. */
const char *conf_near_text(const struct conf_near *n, char *ret, size_t size);

#endif
