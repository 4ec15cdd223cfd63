/* h1_scan - finds the end of a header section and judges its bytes.
 *
 * One pass with a class table: ordinary bytes are skipped in a tight loop, only line ends, colons,
 * white space and forbidden bytes are looked at.
 */
#include "common/log.h"

#include "worker/exchange.h"
#include "worker/h1_scan.h"

/* A request line that is not complete may be this much longer than the longest target. */
#define LINE_SLACK 64

enum {
    X, /* control characters: never */
    V, /* in values only */
    T, /* tchar: in names too */
    C, /* the colon */
    B, /* SP and HTAB */
    R, /* CR */
    L, /* LF */
};

static const unsigned char classes[256] = {
    /* clang-format off */
    X, X, X, X, X, X, X, X, X, B, L, X, X, R, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X,
    B, T, V, T, T, T, T, T, V, V, T, T, V, T, T, V, T, T, T, T, T, T, T, T, T, T, C, V, V, V, V, V,
    V, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, V, V, V, T, T,
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, V, T, V, T, X,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    /* clang-format on */
};

static unsigned char class_at(const char *p)
{
    return classes[(unsigned char)*p];
}

bool h1_is_token(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (class_at(p + i) != T)
            return false;
    }
    return n > 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The request line without its CRLF. */
static enum h1_fault judge_request_line(const char *p, size_t n, size_t target_max)
{
    if (n == 14 && memcmp(p, "PRI * HTTP/2.0", 14) == 0)
        return H1_PREFACE;
    const char *end = p + n;
    const char *sp = memchr(p, ' ', n);
    if (!sp || !h1_is_token(p, (size_t)(sp - p)))
        return H1_REQUEST_LINE;
    const char *target = sp + 1;
    sp = memchr(target, ' ', (size_t)(end - target));
    size_t target_len = (size_t)((sp ? sp : end) - target);
    if (target_len == 0)
        return H1_REQUEST_LINE;
    if (target_len > target_max)
        return H1_TARGET_LONG;
    for (size_t i = 0; i < target_len; i++) {
        if (target[i] <= ' ' || target[i] > '~' || target[i] == '#')
            return H1_TARGET;
    }
    if (!sp)
        return H1_VERSION_09;
    const char *version = sp + 1;
    if (end - version != 8 || memcmp(version, "HTTP/", 5) != 0 || !is_digit(version[5]) ||
        version[6] != '.' || !is_digit(version[7]))
        return H1_REQUEST_LINE;
    return version[5] == '1' && version[7] <= '1' ? H1_FINE : H1_VERSION;
}

/* The line that ends before `end` is complete. */
static enum h1_fault judge_line(const struct h1_scan *s, const char *data, size_t end, size_t limit)
{
    if (s->lines == 0)
        return judge_request_line(data + s->line, end - s->line, limit / 2);
    if (!s->colon)
        return H1_HEADER_NAME;
    return s->lines > EXCHANGE_HEADERS ? H1_HEADERS_COUNT : H1_FINE;
}

static enum h1_fault judge_byte(const struct h1_scan *s, size_t at, unsigned char class)
{
    if (class == X)
        return H1_CONTROL;
    if (class == L)
        return H1_BARE_LF;
    if (class == B)
        return at == s->line ? H1_OBS_FOLD : H1_HEADER_SPACE;
    return H1_HEADER_NAME;
}

enum h1_scan_result h1_scan(struct h1_scan *s, const char *data, size_t n, size_t limit,
                            size_t *ret_len, enum h1_fault *ret_fault)
{
    size_t stop = n < limit ? n : limit;
    size_t i = s->pos;
    enum h1_fault fault = H1_FINE;
    while (i < stop) {
        if (s->lines == 0 || s->colon) {
            while (i < stop && class_at(data + i) >= V && class_at(data + i) <= B)
                i++;
        } else {
            while (i < stop && class_at(data + i) == T)
                i++;
        }
        if (i == stop)
            break;
        unsigned char class = class_at(data + i);
        if (class == C && i > s->line) {
            s->colon = true;
            i++;
            continue;
        }
        if (class != R) {
            fault = judge_byte(s, i, class);
            break;
        }
        if (i + 1 == stop)
            break;
        if (data[i + 1] != '\n') {
            fault = H1_BARE_CR;
            break;
        }
        if (i == s->line && s->lines > 0) {
            *ret_len = i + 2;
            return H1_SCAN_WHOLE;
        }
        fault = judge_line(s, data, i, limit);
        if (fault != H1_FINE)
            break;
        i += 2;
        s->line = (uint32_t)i;
        s->lines++;
        s->colon = false;
    }
    s->pos = (uint32_t)i;
    if (fault == H1_FINE && s->lines == 0 && i > limit / 2 + LINE_SLACK)
        fault = H1_TARGET_LONG;
    if (fault == H1_FINE && n >= limit)
        fault = s->lines ? H1_HEADERS_SIZE : H1_TARGET_LONG;
    if (fault == H1_FINE)
        return H1_SCAN_MORE;
    *ret_fault = fault;
    return H1_SCAN_BAD;
}
