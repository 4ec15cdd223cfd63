/* query - percent-decoding (RFC 3986 2.1) and query parameters.
 *
 * Decoding happens exactly once and after splitting, so an encoded separator stays data. A
 * parameter that comes twice is refused: two readers that pick different ones are how filters are
 * passed.
 */
#include <errno.h>

#include "common/ids.h"

#include "worker/exchange.h"

int percent_decode(struct str s, bool plus_is_space, struct buf *ret)
{
    int r = buf_reserve(ret, s.n);
    if (r < 0)
        return r;
    size_t i = 0;
    while (i < s.n) {
        /* The plain run up to the next special byte goes in one piece. */
        size_t from = i;
        while (i < s.n && s.p[i] != '%' && !(plus_is_space && s.p[i] == '+'))
            i++;
        r = buf_append(ret, s.p + from, i - from);
        if (r < 0)
            return r;
        if (i == s.n)
            break;
        char c = ' ';
        if (s.p[i] == '+') {
            i++;
        } else {
            int high = i + 1 < s.n ? hex_value(s.p[i + 1]) : -1;
            int low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return -EINVAL;
            c = (char)(high * 16 + low);
            i += 3;
        }
        r = buf_append_c(ret, c);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Is the still encoded name the given one? Names are short ASCII words of ours. */
static int name_is(struct str encoded, const char *name)
{
    if (!encoded.n || !memchr(encoded.p, '%', encoded.n))
        return str_is(encoded, name) ? 1 : 0;
    struct buf decoded;
    buf_init(&decoded, encoded.n);
    int r = percent_decode(encoded, true, &decoded);
    if (r == 0)
        r = str_is(buf_str(&decoded), name) ? 1 : 0;
    buf_free(&decoded);
    return r;
}

int exchange_query(const struct exchange *ex, const char *name, struct buf *ret)
{
    const char *p = ex->query.p, *end = p + ex->query.n;
    struct str value = {NULL, 0};
    bool found = false;
    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p));
        const char *stop = amp ? amp : end;
        const char *equals = memchr(p, '=', (size_t)(stop - p));
        struct str key = str_make(p, (size_t)((equals ? equals : stop) - p));
        int r = name_is(key, name);
        if (r < 0)
            return r;
        if (r && found)
            return -EINVAL;
        if (r) {
            found = true;
            value = equals ? str_make(equals + 1, (size_t)(stop - equals - 1)) : str_make(stop, 0);
        }
        if (!amp)
            break;
        p = amp + 1;
    }
    if (!found)
        return 0;
    int r = percent_decode(value, true, ret);
    return r < 0 ? r : 1;
}
