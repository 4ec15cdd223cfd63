/* conf_near - see conf_near.h. Optimal string alignment, three rows of the table at a time. */
#include <stdio.h>

#include "common/conf_near.h"

#define WORD_MAX 63 /* bytes; nothing known is longer, and longer words are near to nothing */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(struct str a, size_t i, struct str b, size_t j)
{
    return lower(a.p[i]) == lower(b.p[j]);
}

static unsigned distance(struct str a, struct str b)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.n; j++)
        last[j] = (unsigned)j;
    memcpy(before, last, sizeof(rows[0]));
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.n; j++) {
            row[j] = last[j - 1] + !same(a, i - 1, b, j - 1);
            row[j] = least(row[j], least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a, i - 1, b, j - 2) && same(a, i - 2, b, j - 1))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b.n];
}

void conf_near_begin(struct conf_near *n, struct str word)
{
    unsigned third = (unsigned)(word.n / 3);

    *n = (struct conf_near){.word = word, .distance = (third ? third : 1) + 1};
}

void conf_near_try(struct conf_near *n, struct str candidate)
{
    if (n->word.n == 0 || n->word.n > WORD_MAX || candidate.n == 0 || candidate.n > WORD_MAX)
        return;
    unsigned d = distance(n->word, candidate);
    if (d >= n->distance)
        return;
    n->best = candidate;
    n->distance = d;
}

const char *conf_near_text(const struct conf_near *n, char *ret, size_t size)
{
    snprintf(ret, size, "%.*s", (int)n->best.n, n->best.n ? n->best.p : "");
    return ret;
}
