/* pattern - the one matcher for namespaces, scopes, token claims and limits.
 *
 * Lists of patterns are short (a configuration, a token), so the best one is found by looking at
 * all of them.
 */
#include "common/pattern.h"

static bool is_prefix(struct str pattern)
{
    return pattern.n > 0 && pattern.p[pattern.n - 1] == '*';
}

bool pattern_matches(struct str pattern, struct str name)
{
    if (!is_prefix(pattern))
        return str_eq(pattern, name);
    size_t n = pattern.n - 1;
    return name.n >= n && str_eq(str_make(pattern.p, n), str_make(name.p, n));
}

int pattern_best(struct str name, size_t n, struct str (*pattern_at)(void *arg, size_t i),
                 void *arg)
{
    int best = -1;
    size_t best_n = 0;

    for (size_t i = 0; i < n; i++) {
        struct str pattern = pattern_at(arg, i);
        if (!pattern_matches(pattern, name))
            continue;
        if (!is_prefix(pattern))
            return (int)i;
        if (best < 0 || pattern.n > best_n) {
            best = (int)i;
            best_n = pattern.n;
        }
    }
    return best;
}
