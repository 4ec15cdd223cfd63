/* units - durations and sizes as people write them.
 *
 * One table per kind, from the smallest unit to the largest; parsing and writing read the same
 * rows.
 */
#include <errno.h>

#include "common/ids.h"
#include "common/units.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000},
};
static const struct unit sizes[] = {
    {"", 1}, {"K", 1ull << 10}, {"M", 1ull << 20}, {"G", 1ull << 30}, {"T", 1ull << 40},
};
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* `bare` is the factor of a number without a suffix. */
static int parse(struct str s, const struct unit *units, size_t n, uint64_t bare, uint64_t *ret)
{
    uint64_t v = 0;
    uint64_t factor = 0;
    size_t i = 0;
    bool overflow = false;

    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        overflow |= __builtin_mul_overflow(v, (uint64_t)10, &v) ||
                    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v);
    if (i == 0)
        return -EINVAL;
    struct str suffix = str_make(s.p + i, s.n - i);
    if (suffix.n == 0)
        factor = bare;
    for (size_t u = 0; u < n && !factor; u++)
        if (str_is(suffix, units[u].suffix))
            factor = units[u].factor;
    if (!factor)
        return -EINVAL;
    if (overflow || __builtin_mul_overflow(v, factor, &v))
        return -ERANGE;
    *ret = v;
    return 0;
}

/* The largest unit that divides v; zero is written in `zero`, a row of the table. */
static void text(uint64_t v, const struct unit *units, size_t n, size_t zero, char ret[UNITS_TEXT])
{
    size_t u = zero;

    if (v)
        for (u = n - 1; v % units[u].factor; u--)
            ;
    size_t len = u64_text(v / units[u].factor, ret);
    memcpy(ret + len, units[u].suffix, strlen(units[u].suffix) + 1);
}

int duration_parse(struct str s, uint64_t *ret_ms)
{
    return parse(s, durations, ROWS(durations), 1000, ret_ms);
}

int size_parse(struct str s, uint64_t *ret_bytes)
{
    return parse(s, sizes, ROWS(sizes), 1, ret_bytes);
}

void duration_text(uint64_t ms, char ret[UNITS_TEXT])
{
    text(ms, durations, ROWS(durations), 1, ret);
}

void size_text(uint64_t bytes, char ret[UNITS_TEXT])
{
    text(bytes, sizes, ROWS(sizes), 0, ret);
}
