/* pattern - the one matcher for namespaces, scopes, token claims and limits.
 *
 * A pattern is an exact name, or ends in `*` and matches every name with that prefix (an empty
 * rest too). Exact beats the longest prefix. A `*` elsewhere is an ordinary character. Any process.
 */
#ifndef COMMON_PATTERN_H
#define COMMON_PATTERN_H

#include "common/str.h"

bool pattern_matches(struct str pattern, struct str name);
/* Index of the best of n patterns for name, or -1. `pattern_at` hands out pattern i. */
int pattern_best(struct str name, size_t n, struct str (*pattern_at)(void *arg, size_t i),
                 void *arg);

#endif
