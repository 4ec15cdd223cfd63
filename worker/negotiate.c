/* negotiate - media ranges and their qualities, one line at a time. Nothing is refused here: a
 * range that cannot be read matches nothing. */
#include "worker/negotiate.h"

#include <strings.h>

static struct str trimmed(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (p < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return str_make(p, (size_t)(end - p));
}

/* Cuts what stands before the separator off *rest. A separator inside a quoted string is none. */
static struct str next_part(struct str *rest, char separator)
{
    const char *p = rest->p, *end = rest->p + rest->n;
    bool quoted = false;
    while (p < end && (quoted || *p != separator)) {
        if (*p == '"')
            quoted = !quoted;
        else if (*p == '\\' && quoted && p + 1 < end)
            p++;
        p++;
    }
    struct str part = trimmed(rest->p, p);
    *rest = p < end ? str_make(p + 1, (size_t)(end - p - 1)) : str_make(end, 0);
    return part;
}

static bool equals(struct str s, const char *z, size_t n)
{
    return s.n == n && strncasecmp(s.p, z, n) == 0;
}

static unsigned exactness(struct str range, const char *type)
{
    size_t n = strlen(type);
    size_t family = (size_t)(strchr(type, '/') - type) + 1;
    if (equals(range, type, n))
        return 3;
    if (range.n == family + 1 && range.p[family] == '*' &&
        equals(str_make(range.p, family), type, family))
        return 2;
    return equals(range, "*/*", 3) ? 1 : 0;
}

/* qvalue: 0, 1, or 0.5, up to three digits (RFC 9110 section 12.4.2). */
static unsigned quality_of(struct str value)
{
    unsigned q = 0, unit = NEGOTIATE_FULL;
    if (value.n == 0 || value.n > 5 || value.p[0] < '0' || value.p[0] > '1' ||
        (value.n > 1 && value.p[1] != '.'))
        return NEGOTIATE_FULL;
    for (size_t i = 0; i < value.n; i++) {
        if (i == 1)
            continue;
        if (value.p[i] < '0' || value.p[i] > '9')
            return NEGOTIATE_FULL;
        q += (unsigned)(value.p[i] - '0') * unit;
        unit /= 10;
    }
    return q < NEGOTIATE_FULL ? q : NEGOTIATE_FULL;
}

static unsigned quality(struct str parameters)
{
    while (parameters.n) {
        struct str part = next_part(&parameters, ';');
        if (part.n >= 2 && (part.p[0] == 'q' || part.p[0] == 'Q') && part.p[1] == '=')
            return quality_of(trimmed(part.p + 2, part.p + part.n));
    }
    return NEGOTIATE_FULL;
}

void negotiate(struct str accept, const char *type, struct accept *verdict)
{
    while (accept.n) {
        struct str range = next_part(&accept, ',');
        struct str media = next_part(&range, ';');
        unsigned exact = exactness(media, type);
        if (exact == 0 || exact < verdict->exactness)
            continue;
        unsigned q = quality(range);
        if (exact > verdict->exactness || q > verdict->quality)
            verdict->quality = q;
        verdict->exactness = exact;
    }
}
