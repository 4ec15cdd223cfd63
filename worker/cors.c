/* cors - a few header lines, or none. */
#include "worker/cors.h"

#include "common/log.h"
#include "worker/worker.h"

#include <strings.h>

#define ALLOW_HEADERS                                                                              \
    "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Restante-Event, Restante-TTL, "  \
    "Restante-Collapse, X-Request-Id, traceparent"
#define EXPOSE_HEADERS "Restante-Cursor, Retry-After, X-Request-Id"

enum verdict { NOBODY, EVERYBODY, THIS_ONE };

/* A name below another: labels, and nothing that would end a host. */
static bool is_labels(struct str s)
{
    if (s.n == 0 || s.p[0] == '.' || s.p[s.n - 1] == '.')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!fine || (c == '.' && s.p[i - 1] == '.'))
            return false;
    }
    return true;
}

bool cors_matches(struct str item, struct str origin)
{
    const char *star = memchr(item.p, '*', item.n);
    if (!star)
        return str_eq(item, origin);
    size_t before = (size_t)(star - item.p), after = item.n - before - 1;
    if (origin.n <= before + after || memcmp(origin.p, item.p, before) != 0 ||
        memcmp(origin.p + origin.n - after, star + 1, after) != 0)
        return false;
    return is_labels(str_make(origin.p + before, origin.n - before - after));
}

static enum verdict judge(const struct conf *conf, struct str origin)
{
    enum verdict verdict = NOBODY;
    for (size_t i = 0; i < conf->ncors_origins; i++) {
        struct str item = str_of(conf->cors_origins[i]);
        if (str_is(item, "*"))
            return EVERYBODY;
        if (origin.n && origin.n <= CORS_ORIGIN_MAX && cors_matches(item, origin))
            verdict = THIS_ONE;
    }
    return verdict;
}

void cors_answer(struct exchange *ex)
{
    const struct conf *conf = ex->worker->conf;
    if (conf->ncors_origins == 0)
        return;
    struct str origin = exchange_header(ex, "origin");
    enum verdict verdict = judge(conf, origin);
    if (verdict != EVERYBODY)
        exchange_add_header(ex, "Vary", STR("Origin"));
    if (verdict == NOBODY || origin.n == 0)
        return;
    exchange_add_header(ex, "Access-Control-Allow-Origin",
                        verdict == EVERYBODY ? STR("*") : origin);
    exchange_add_header(ex, "Access-Control-Expose-Headers", STR(EXPOSE_HEADERS));
}

void cors_preflight(struct exchange *ex, struct str methods)
{
    const struct conf *conf = ex->worker->conf;
    struct str origin = exchange_header(ex, "origin");
    if (origin.n == 0 || exchange_header(ex, "access-control-request-method").n == 0 ||
        judge(conf, origin) == NOBODY)
        return;
    exchange_add_header(ex, "Access-Control-Allow-Methods", methods);
    exchange_add_header(ex, "Access-Control-Allow-Headers", STR(ALLOW_HEADERS));
    buf_printf(&ex->out_head, "Access-Control-Max-Age: %llu\r\n",
               (unsigned long long)(conf->cors_max_age / 1000));
}

/* By host and port alone: whoever took TLS off before us knows the scheme, we do not. */
static bool same_host(struct str origin, struct str host)
{
    const char *mark = origin.n ? memmem(origin.p, origin.n, "://", 3) : NULL;
    if (!mark || !host.n)
        return false;
    mark += 3;
    return (size_t)(origin.p + origin.n - mark) == host.n && strncasecmp(mark, host.p, host.n) == 0;
}

bool cors_may_connect(const struct exchange *ex)
{
    const struct conf *conf = ex->worker->conf;
    struct str origin = exchange_header(ex, "origin");
    if (!origin.n || !conf->ncors_origins)
        return true;
    return judge(conf, origin) != NOBODY || same_host(origin, exchange_header(ex, "host"));
}
