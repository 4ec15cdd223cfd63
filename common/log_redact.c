/* log_redact - a request target without its credentials.
 *
 * The text is read as a mistaken client may have meant it: a second `?`, an encoded `?`, an encoded
 * name, an encoded `=`. A name that was not a credential costs a value in a log; a credential that
 * was missed costs a session.
 */
#include <ctype.h>

#include "common/ids.h"
#include "common/log.h"

#define REDACTED "***"

static const char *const secret_names[] = {"access_token", "token", "authToken", "apikey", "sid"};

/* The character at i, percent-decoded; *ret_n is how many bytes spell it. */
static char char_at(struct str s, size_t i, size_t *ret_n)
{
    *ret_n = 1;
    if (s.p[i] != '%' || s.n - i < 3)
        return s.p[i];
    int high = hex_value(s.p[i + 1]), low = hex_value(s.p[i + 2]);
    if (high < 0 || low < 0)
        return s.p[i];
    *ret_n = 3;
    return (char)(high << 4 | low);
}

/* Length of `name=` spelled at i in any way; 0 when something else stands there. */
static size_t spelled(struct str s, size_t i, const char *name)
{
    size_t start = i, n;

    for (; *name; name++, i += n) {
        if (i == s.n)
            return 0;
        char c = char_at(s, i, &n);
        if (tolower((unsigned char)c) != tolower((unsigned char)*name))
            return 0;
    }
    return i < s.n && char_at(s, i, &n) == '=' ? i + n - start : 0;
}

static size_t secret_at(struct str s, size_t i)
{
    for (size_t k = 0; k < sizeof(secret_names) / sizeof(secret_names[0]); k++) {
        size_t n = spelled(s, i, secret_names[k]);
        if (n)
            return n;
    }
    return 0;
}

static void put(char *ret, size_t size, size_t *len, const char *p, size_t n)
{
    if (n > size - 1 - *len)
        n = size - 1 - *len;
    memcpy(ret + *len, p, n);
    *len += n;
}

const char *log_redact_target(struct str target, char *ret, size_t size)
{
    size_t len = 0, i = 0, n;

    must(size > 0);
    while (i < target.n && len < size - 1) {
        char c = char_at(target, i, &n);
        put(ret, size, &len, target.p + i, n);
        i += n;
        size_t secret = c && strchr("?&;#", c) ? secret_at(target, i) : 0;
        if (!secret)
            continue;
        put(ret, size, &len, target.p + i, secret);
        put(ret, size, &len, REDACTED, strlen(REDACTED));
        i += secret;
        const char *and = memchr(target.p + i, '&', target.n - i);
        i = and? (size_t)(and-target.p) : target.n;
    }
    ret[len] = '\0';
    return ret;
}
